"""A large table, whose rows are encoded as they are taken, or read from Parquet: the same fit."""

import jax
import numpy as np
import pandas as pd
import pyarrow.dataset
import pytest

import pyfairme as pf
from pyfairme.data import encoded_later
from pyfairme.estimators import table_fit
from pyfairme.inference import training_rows

ROWS = 3000
SETTINGS = {
    "cluster": "school",
    "sensitive": ["sex"],
    "random_slopes": ["score"],
    "guide": "mean_field",
    "network_posterior": "none",
    "hidden": (8,),
    "epochs": 2,
    "min_steps": 200,
    "threshold": "balanced_accuracy",
    "random_state": 0,
}


@pytest.fixture(scope="module")
def table():
    draw = np.random.default_rng(3)
    school, score, hours = (
        draw.integers(12, size=ROWS),
        draw.normal(size=ROWS),
        draw.exponential(size=ROWS),
    )
    frame = pd.DataFrame(
        {
            "school": [f"s{i}" for i in school],
            "score": score,
            "hours": np.where(draw.uniform(size=ROWS) < 0.05, np.nan, hours),
            "sort": draw.choice(["low", "mid", "high"], ROWS),
            "sex": draw.choice(["f", "m"], ROWS),
        }
    )
    link = np.sin(2 * score) + 0.3 * school / 12 + 0.5 * (frame["sex"] == "m")
    frame["passed"] = (draw.uniform(size=ROWS) < 1 / (1 + np.exp(-link))).astype(int)
    return frame


def fitted(table, **settings):
    model = pf.FairMixedEffectsClassifier(**(SETTINGS | settings))
    return model.fit(table.drop(columns="passed"), table["passed"])


@pytest.fixture
def taken_in_parts(monkeypatch):
    """Let every table be large, and some steps be what the device holds."""
    monkeypatch.setattr(table_fit, "LARGEST_HELD", 0)
    monkeypatch.setattr(training_rows, "TAKEN_BYTES", 2**20)
    monkeypatch.setattr(encoded_later, "BLOCK", 1000)


def assert_same_fit(one, other):
    for a, b in zip(
        jax.tree.leaves(one.fit_.network), jax.tree.leaves(other.fit_.network), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=2e-5)
    for name, drawn in one.fit_.draws.items():
        np.testing.assert_allclose(drawn, other.fit_.draws[name], atol=2e-5, err_msg=name)
    np.testing.assert_allclose(one.fit_.centre, other.fit_.centre, atol=2e-5)
    pd.testing.assert_frame_equal(one.history_, other.history_, rtol=1e-4, atol=1e-5)
    assert one.threshold_ == pytest.approx(other.threshold_, abs=1e-4)
    np.testing.assert_allclose(one._input_sd, other._input_sd, rtol=1e-5)


@pytest.mark.parametrize(("members", "fairness"), [(1, "adversarial"), (2, "moment")])
def test_rows_encoded_as_they_are_taken_give_the_same_fit(table, members, fairness, request):
    whole = fitted(table, ensemble=members, fairness=fairness)
    request.getfixturevalue("taken_in_parts")
    parts = fitted(table, ensemble=members, fairness=fairness)
    assert parts._training is None  # it was not encoded all at once
    assert whole._training is not None
    assert_same_fit(whole, parts)


@pytest.fixture(scope="module")
def in_memory(table):
    return fitted(table)


@pytest.fixture(scope="module")
def folder(table, tmp_path_factory):
    """Two files of several row groups; the level "high" and school s11 are in the last one only."""
    path = tmp_path_factory.mktemp("rows")
    late = (table["sort"] == "high") | (table["school"] == "s11")
    table = table.sort_index(key=lambda index: late[index])
    for name, part, size in (("a", table[:1234], 500), ("b", table[1234:], 701)):
        part.to_parquet(path / f"{name}.parquet", row_group_size=size, index=False)
    return path


def test_files_give_the_fit_of_their_rows_in_memory(folder, request):
    frame = pd.read_parquet(folder)
    assert set(frame["sort"][:1234]) == {"low", "mid"}  # else the test shows less than it says
    whole = fitted(frame)
    files = pf.FairMixedEffectsClassifier(**SETTINGS).fit(folder, "passed")
    assert_same_fit(whole, files)
    assert files.classes_.dtype == whole.classes_.dtype
    assert list(files.feature_names_in_) == list(whole.feature_names_in_)
    rows = frame.drop(columns="passed")
    np.testing.assert_allclose(files.predict_proba(folder), whole.predict_proba(rows), atol=1e-5)
    assert (files.predict(str(folder)) == whole.predict(rows)).mean() > 0.999
    request.getfixturevalue("taken_in_parts")
    dataset = pyarrow.dataset.dataset(folder)
    assert_same_fit(whole, pf.FairMixedEffectsClassifier(**SETTINGS).fit(dataset, "passed"))
