"""Probes tell of the cluster and the target, and of nothing else."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme.study.probes import add_probes


@pytest.fixture(scope="module")
def probed():
    return add_probes(pf.datasets.load_adult(), number=3, random_state=1)


def test_probes_are_uncorrelated_with_every_covariate(probed):
    frame = probed.frame
    covariates = pd.get_dummies(
        frame.drop(columns=["occupation", *probed.probes]), dtype=float
    ).to_numpy()
    for name in probed.probes:
        found = [np.corrcoef(frame[name], column)[0, 1] for column in covariates.T]
        assert np.nanmax(np.abs(found)) < 2e-3


def test_probes_are_correlated_with_cluster_and_target(probed):
    frame, y = probed.frame, probed.target
    for name in probed.probes:
        probe = frame[name]
        between = probe.groupby(frame["occupation"]).transform("mean").var() / probe.var()
        assert between > 0.3
        assert np.corrcoef(probe, y)[0, 1] > 0.15
        assert probe.std(ddof=0) == pytest.approx(1.0)


def test_roles_and_the_rest_of_the_table_stay(probed):
    adult = pf.datasets.load_adult()
    pd.testing.assert_frame_equal(probed.frame[adult.frame.columns], adult.frame)
    assert set(probed.probes) <= set(probed.schema.numeric)
    assert probed.schema.cluster == adult.schema.cluster
    assert adult.probes == ()


def test_the_seed_fixes_the_probes(probed):
    again = add_probes(pf.datasets.load_adult(), number=3, random_state=1)
    pd.testing.assert_frame_equal(again.frame, probed.frame)
    other = add_probes(pf.datasets.load_adult(), number=3, random_state=2)
    assert not np.allclose(other.frame["probe1"], probed.frame["probe1"])


def test_text_classes_count_as_0_and_1():
    adult = pf.datasets.load_adult()
    text = replace(adult, target=adult.target.map({0: "no", 1: "yes"}))
    pd.testing.assert_frame_equal(add_probes(text).frame, add_probes(adult).frame)


def test_strength_0_leaves_noise():
    noise = add_probes(pf.datasets.load_adult(), number=1, strength=0.0)
    assert abs(np.corrcoef(noise.frame["probe1"], noise.target)[0, 1]) < 0.02


def test_errors_say_what_to_do(probed):
    with pytest.raises(ValueError, match="already: rename them"):
        add_probes(probed, number=1)
    with pytest.raises(ValueError, match="number must be a whole number of at least 1, got 0"):
        add_probes(pf.datasets.load_adult(), number=0)
    three = pf.datasets.make_clustered(rows=90, likelihood="categorical", random_state=0)
    with pytest.raises(
        ValueError, match="this target has 3: add them to a data set with one class"
    ):
        add_probes(three)
    with pytest.raises(ValueError, match="strength to be a finite number >= 0, got -1"):
        add_probes(pf.datasets.load_adult(), strength=-1.0)
