"""Pareto smoothing and resampling."""

import numpy as np
import pytest

from pyfairme.inference.laplace.psis import (
    ENOUGH,
    LEAST,
    RELIABLE,
    relative_ess,
    resample,
    smooth,
    trusted,
)


def log_weights_of(kind, draws, rng):
    """Light and heavy tails, few draws, one that rules all, and some far below the smallest."""
    if kind == "normal":
        return rng.normal(0, 2, draws)
    if kind == "pareto":
        return -1.2 * np.log(rng.uniform(size=draws))
    if kind == "student":
        return 30 * rng.standard_t(2, draws)
    return np.r_[rng.normal(size=draws - 1), 900.0]


@pytest.mark.arviz
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of ArviZ, where a tail has no fit
@pytest.mark.parametrize("draws", [6, 25, 26, 100, 1000, 4000])
@pytest.mark.parametrize("kind", ["normal", "pareto", "student", "one"])
def test_weights_and_k_are_those_of_arviz(kind, draws):
    try:
        from arviz import psislw
    except ImportError:
        pytest.skip("ArviZ 1.x cuts the tail at another draw: see below")
    rng = np.random.default_rng(draws)
    rows = np.stack([log_weights_of(kind, draws, rng) for _ in range(10)])
    found, k = smooth(rows)
    for row, own, its in zip(rows, found, k, strict=True):
        expected, expected_k = psislw(row)
        np.testing.assert_allclose(own, expected, atol=1e-9)
        assert its == pytest.approx(np.inf if np.isnan(expected_k) else float(expected_k))


@pytest.mark.arviz
@pytest.mark.parametrize("kind", ["normal", "pareto"])
def test_weights_and_k_are_close_to_those_of_arviz_1(kind):
    """It cuts the tail at another draw: of 4,000 that moves k by .013 and the weights by .013."""
    array_stats = pytest.importorskip("arviz_stats.base").array_stats
    rng = np.random.default_rng(4000)
    rows = np.stack([log_weights_of(kind, 4000, rng) for _ in range(10)])
    found, k = smooth(rows)
    for row, own, its in zip(rows, found, k, strict=True):
        expected, expected_k = array_stats.psislw(-row)
        assert its == pytest.approx(float(expected_k), abs=0.05)
        assert np.abs(np.exp(own) - np.exp(expected)).sum() < 0.05


def test_equal_weights_are_smoothed_alike():
    """Ties, as of opposite draws, keep the same sum of weights, whatever their order."""
    row = np.round(np.random.default_rng(4).normal(size=600), 1)
    order = np.random.default_rng(5).permutation(600)
    found, k = smooth(np.stack([row, row[order]]))
    np.testing.assert_allclose(np.sort(found[0]), np.sort(found[1]), atol=1e-12)
    assert k[0] == pytest.approx(k[1])


@pytest.mark.arviz
@pytest.mark.parametrize("k", [0.2, 0.5, 1.0])
def test_k_is_the_tail_index_of_the_weights(k):
    """Weights U^-k have a Pareto tail of index k; its standard error is about (1 + k) / 15."""
    log_weight = -k * np.log(np.random.default_rng(1).uniform(size=(20, 4000)))
    found = smooth(log_weight)[1]
    assert found.mean() == pytest.approx(k, abs=0.08)
    assert (found > RELIABLE).mean() == (1.0 if k == 1.0 else 0.0)


def test_equal_weights_have_no_tail():
    found, k = smooth(np.full(500, 3.0))
    assert k == -np.inf
    np.testing.assert_allclose(np.exp(found), 1 / 500)


@pytest.mark.arviz
def test_weights_are_normalised_and_keep_their_order():
    log_weight = np.random.default_rng(2).normal(0, 2, 800)
    found, k = smooth(log_weight)
    assert np.ndim(k) == 0
    assert np.exp(found).sum() == pytest.approx(1.0)
    order = np.argsort(log_weight)
    assert (np.diff(found[order]) >= -1e-9).all()
    np.testing.assert_allclose(smooth(log_weight + 700.0)[0], found, atol=1e-8)


def test_effective_share_is_that_of_normal_weights():
    """Var w / (E w)² of log-normal weights is exp(s²) - 1; Kong: ESS = n / (1 + that)."""
    log_weight = np.random.default_rng(5).normal(0, 0.5, 100_000)
    assert relative_ess(log_weight) == pytest.approx(np.exp(-0.25), rel=0.02)
    assert relative_ess(log_weight - 900.0) == pytest.approx(relative_ess(log_weight))
    assert relative_ess(np.full(10, -3.0)) == pytest.approx(1.0)
    assert relative_ess(np.array([0.0, *np.full(9, -1000.0)])) == pytest.approx(0.1)


def test_weights_are_trusted_for_their_tail_or_for_their_number():
    k = np.array([RELIABLE, RELIABLE + 0.01, RELIABLE + 0.01])
    share = np.array([ENOUGH - 0.01, ENOUGH, ENOUGH - 0.01])
    assert trusted(k, share).tolist() == [True, True, False]
    assert trusted(0.1, LEAST)
    assert not trusted(0.1, LEAST - 0.001)  # so few that k is not known


def test_resampling_is_unbiased_and_even():
    rng = np.random.default_rng(3)
    log_weight = rng.normal(size=50)
    weight = np.exp(log_weight) / np.exp(log_weight).sum()
    counts = np.array(
        [np.bincount(resample(log_weight, 200, rng), minlength=50) for _ in range(2000)]
    )
    assert (counts.sum(axis=1) == 200).all()
    assert np.abs(counts - 200 * weight).max() < 1  # systematic: never off by a whole draw
    np.testing.assert_allclose(counts.mean(axis=0), 200 * weight, atol=4 * 0.5 / 2000**0.5)


def test_resampled_draws_have_no_order():
    chosen = resample(np.zeros(1000), 1000, np.random.default_rng(4))
    assert sorted(chosen) == list(range(1000))
    assert abs(np.corrcoef(chosen, np.arange(1000))[0, 1]) < 0.13  # 4 standard errors
