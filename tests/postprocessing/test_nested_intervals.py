"""A model's intervals from narrow to wide: the score is the size of the first that holds y."""

import numpy as np
import pytest
from scipy import stats

from pyfairme.postprocessing.nested_intervals import PROBABILITIES, SIZES, NestedIntervals


def normal(mean, sd):
    quantiles = stats.norm.ppf(np.array(PROBABILITIES)[:, None], mean, sd)
    return NestedIntervals.of(quantiles)


def poisson(mean):
    quantiles = stats.poisson.ppf(np.array(PROBABILITIES)[:, None], mean)
    return NestedIntervals.of(quantiles, whole=True)


def test_the_interval_of_a_size_is_the_models_own():
    rows = normal(np.array([0.0, 5.0]), np.array([1.0, 2.0]))
    for size in (0.5, 0.9, 0.99):
        low, high = rows.at(np.full(2, size))
        assert low == pytest.approx(stats.norm.ppf((1 - size) / 2, [0, 5], [1, 2]))
        assert high == pytest.approx(stats.norm.ppf((1 + size) / 2, [0, 5], [1, 2]))


def test_the_score_is_the_size_at_which_an_end_meets_the_outcome():
    rng = np.random.default_rng(0)
    mean, sd = rng.normal(size=400), rng.uniform(0.2, 3, 400)
    rows, y = normal(mean, sd), mean + sd * 2 * rng.standard_t(2, 400)
    size = rows.score(y)
    low, high = rows.at(size)
    assert np.minimum(np.abs(low - y), np.abs(high - y)) == pytest.approx(0, abs=1e-9)
    assert ((low - 1e-9 <= y) & (y <= high + 1e-9)).all()
    assert (size > SIZES[-1]).sum() > 20  # beyond the draws too
    inside = np.abs(y - mean) < 2.5 * sd
    truth = 2 * stats.norm.cdf(np.abs(y - mean) / sd) - 1
    assert size[inside] == pytest.approx(truth[inside], abs=0.02)  # between sizes it is linear


def test_beyond_the_draws_an_interval_grows_by_its_own_width():
    rows = normal(np.zeros(1), np.ones(1))
    low, high = rows.at(np.array([0.99]))
    wider = rows.at(np.array([1.49]))
    assert (wider[1] - high)[0] == pytest.approx(0.5 * (high - low)[0])
    assert (low - wider[0])[0] == pytest.approx(0.5 * (high - low)[0])


def test_counts_have_whole_bounds_that_hold_exactly_what_they_score():
    rng = np.random.default_rng(1)
    mean = rng.choice([0.1, 0.8, 3.0, 40.0], 300)
    rows, y = poisson(mean), rng.poisson(mean * rng.gamma(2, 0.5, 300)).astype(float)
    score = rows.score(y)
    for size in [0.0, 0.33, 0.8, 0.93, 0.99, 1.2, *score[:20]]:
        low, high = rows.at(np.full(300, size))
        assert (low == np.round(low)).all()
        assert (high == np.round(high)).all()
        held = (low <= y) & (y <= high)
        known = np.abs(score - size) > 1e-9  # at the size itself rounding may decide
        clear = known & (low < high)
        assert (held[clear] == (score <= size)[clear]).all()


def test_zeros_of_counts_have_sizes_of_their_own():
    """Where half of a row's draws are 0, so is its median, and 0 has the score 0."""
    assert poisson(np.array([0.1, 3.0])).score(np.zeros(2)) == pytest.approx([0, 0.9], abs=0.03)


def test_sizes_are_tied_down_to_none():
    low, high = normal(np.array([2.0]), np.ones(1)).at(np.array([-0.5]))
    assert (low, high) == (2, 2)
