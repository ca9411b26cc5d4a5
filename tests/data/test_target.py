"""Targets: coding, decoding, errors, state."""

import json

import numpy as np
import pandas as pd
import pytest

from pyfairme.data.target import ClassTarget, CountTarget, RealTarget


@pytest.mark.parametrize(
    "y",
    [
        np.array([3, 1, 3, 2]),
        np.array([True, False, True]),
        np.array(["b", "a", "b"]),
        np.array(["b", "a"], dtype=object),
        np.array([0.0, 1.0], dtype=np.float32),
        pd.Series(["yes", "no", "yes"]),
    ],
)
def test_labels_survive_coding_and_state(y):
    target = ClassTarget.fit(y)
    again = ClassTarget.from_state(json.loads(json.dumps(target.to_state())))
    assert again == target
    codes = again.encode(y)
    assert codes.dtype == np.int32
    assert codes.max() == len(np.unique(y)) - 1
    decoded = again.decode(codes)
    assert decoded.tolist() == list(y)
    assert decoded.dtype == np.asarray(y).dtype


def test_class_errors():
    with pytest.raises(ValueError, match="samples of at least 2 classes in y, got 1 class: 5"):
        ClassTarget.fit([5, 5])
    with pytest.raises(ValueError, match="y has the label 'c', unknown in training"):
        ClassTarget.fit(["a", "b"]).encode(["a", "c"])
    with pytest.raises(ValueError, match="y has 1 missing values"):
        ClassTarget.fit([0.0, 1.0, np.nan])
    with pytest.raises(ValueError, match="y mixes text and numbers"):
        ClassTarget.fit(np.array(["a", 1], dtype=object))
    with pytest.raises(ValueError, match=r"shape \(n,\), got shape \(2, 2\)"):
        ClassTarget.fit(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="at least one row in y"):
        ClassTarget.fit([])


def test_real_target_is_standardised_and_mapped_back():
    y = np.array([1.0, 2.0, 6.0])
    target = RealTarget.fit(y)
    z = target.encode(y)
    assert z.dtype == np.float32
    np.testing.assert_allclose([z.mean(), z.std()], [0, 1], atol=1e-6)
    np.testing.assert_allclose(target.decode(z), y, rtol=1e-6)
    assert RealTarget.from_state(json.loads(json.dumps(target.to_state()))) == target


def test_constant_target_has_scale_one():
    assert RealTarget.fit([0.1, 0.1, 0.1]).scale == 1.0


@pytest.mark.parametrize(
    ("y", "message"),
    [(["a", "b"], "Expected a numeric y"), ([1, np.inf], "infinite"), ([1, np.nan], "missing")],
)
def test_real_errors(y, message):
    with pytest.raises(ValueError, match=message):
        RealTarget.fit(y)


def test_counts():
    target = CountTarget.fit([0.0, 3, 15])
    assert target.encode([0, 2]).tolist() == [0, 2]
    assert target.decode(np.array([2])).tolist() == [2.0]
    assert CountTarget.from_state(target.to_state()) == target
    for wrong in ([-1, 2], [0.5, 1]):
        with pytest.raises(ValueError, match=r"Expected counts 0, 1, 2, \.\.\. in y, got"):
            CountTarget.fit(wrong)
