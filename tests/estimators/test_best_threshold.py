"""The threshold of the highest balanced accuracy."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import balanced_accuracy_score

from pyfairme.estimators.best_threshold import best_threshold


def two_normals(seed, rows=1500, share=0.25):
    """Log-odds of two Normal classes with means -1 and 1: the best threshold has log-odds 0."""
    rng = np.random.default_rng(seed)
    y = (rng.uniform(size=rows) < share).astype(int)
    return y, expit(rng.normal(2.0 * y - 1.0, 1.0)), np.ones(rows)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_empirical_one_is_the_best_of_all(weighted):
    y, p, weight = two_normals(0, rows=200)
    weight = np.random.default_rng(1).uniform(0.5, 2, 200) if weighted else weight
    found = best_threshold(y, p, weight)

    def score(t):
        return balanced_accuracy_score(y, p >= t, sample_weight=weight)

    assert score(found) == pytest.approx(max(score(t) for t in p))


def test_the_smoothed_one_is_nearer_to_the_truth():
    """Over 100 data sets: the RMS error is less than half of the empirical one's."""
    error = {smooth: [] for smooth in (False, True)}
    for seed in range(100):
        for smooth, errors in error.items():
            found = best_threshold(*two_normals(seed), smooth=smooth)
            errors.append(np.log(found / (1 - found)))
    rms = {smooth: np.sqrt(np.mean(np.square(errors))) for smooth, errors in error.items()}
    assert rms[True] < 0.5 * rms[False]
    assert abs(np.mean(error[True])) < 3 * np.std(error[True]) / 10  # no bias to be seen


def test_the_smoothed_one_weighs_rows():
    y, p, _ = two_normals(2)
    twice = np.concatenate([np.arange(len(y)), np.flatnonzero(p > 0.5)])
    heavy = np.where(p > 0.5, 2.0, 1.0)
    found = best_threshold(y, p, heavy, smooth=True)
    copied = best_threshold(y[twice], p[twice], np.ones(len(twice)), smooth=True)
    assert found == pytest.approx(copied, abs=0.02)  # bandwidths differ a little


@pytest.mark.parametrize("smooth", [False, True])
def test_one_class_or_one_probability(smooth):
    p = np.linspace(0.1, 0.9, 5)
    assert best_threshold(np.ones(5), p, np.ones(5), smooth=smooth) == 0.5
    same = best_threshold(np.array([0, 1, 0, 1]), np.full(4, 0.3), np.ones(4), smooth=smooth)
    assert 0 <= same <= 1


def test_extreme_probabilities_are_finite():
    y = np.array([0, 0, 1, 1] * 20)
    p = np.array([0.0, 1e-9, 1 - 1e-9, 1.0] * 20)
    assert 0 < best_threshold(y, p, np.ones(80), smooth=True) < 1
