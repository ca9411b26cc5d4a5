"""The benchmark's permutation given outcomes: the law that it keeps, and what it makes vanish."""

import numpy as np
import pytest

from tests.benchmarks.inverse_permutation import (
    Settings,
    fit,
    partial_correlation,
    permuted,
    probability,
)


def rows(n, seed=0):
    """Two attributes that outcome and covariate depend on, given each other too."""
    rng = np.random.default_rng(seed)
    a = np.column_stack([rng.random(n) < 0.5, rng.random(n) < 0.3]).astype(float)
    x = rng.normal(size=n) + 1.5 * a[:, 0] - a[:, 1]
    y = (rng.random(n) < 1 / (1 + np.exp(-x))).astype(int)
    return x, y, a


def test_permuted_attributes_keep_their_law_given_outcomes_and_lose_the_covariate():
    x, y, a = rows(8000)
    found = permuted(y, a, np.random.default_rng(1))
    assert np.array_equal(np.sort(found, axis=0), np.sort(a, axis=0))  # a permutation
    for value in (0, 1):
        part = y == value
        # standard errors of means of 4,000 rows: .008
        assert found[part].mean(axis=0) == pytest.approx(a[part].mean(axis=0), abs=0.03)
        before = [np.corrcoef(x[part], a[part, k])[0, 1] for k in (0, 1)]
        after = [np.corrcoef(x[part], found[part, k])[0, 1] for k in (0, 1)]
        assert np.abs(before).min() > 0.25
        assert np.abs(after).max() < 0.07  # four standard errors of a correlation of 4,000 rows


def test_partial_correlation_is_none_of_noise_and_one_of_what_attributes_fix():
    x, y, a = rows(4000)
    rng = np.random.default_rng(2)
    assert partial_correlation(rng.random(4000), y, a, rng) == pytest.approx(0, abs=0.02)
    assert partial_correlation(y + 0.3 * a[:, 0] + 0.1 * a[:, 1], y, a, rng) == pytest.approx(1)
    brute = []  # every pair of 400 rows, written out
    score = x[:400]
    kernel = np.exp(-0.5 * ((score[:, None] - score) / np.median(np.abs(x - x[::-1]))) ** 2)
    same_y = y[:400, None] == y[:400]
    for same in (same_y & (a[:400, None] == a[:400]).all(axis=2), same_y):
        np.fill_diagonal(same, False)
        brute.append(np.mean((kernel * same).sum(axis=1) / same.sum(axis=1)))
    slow = (brute[0] - brute[1]) / (1 - brute[1])
    assert partial_correlation(score, y[:400], a[:400], rng) == pytest.approx(slow, abs=0.02)


def test_a_weight_takes_the_attributes_out_of_the_prediction():
    x, y, a = rows(4000)
    inputs = np.column_stack([x, a + np.random.default_rng(3).normal(size=a.shape)])
    settings = Settings(batch=200, rate=3e-3, discriminator_rate=3e-3, epochs=15)
    left = []
    for mu in (0.0, 0.8):
        p = probability(fit(inputs, y, a, mu, 0, settings), inputs)
        left.append(partial_correlation(p, y, a, np.random.default_rng(4)))
    assert left[0] > 0.1
    assert left[1] < 0.5 * left[0]
