import numpy as np
import pytest
from scipy import stats

from pyfairme.metrics import pit_values


def uniform(values):
    return stats.kstest(values, "uniform").pvalue


def test_continuous_pit_is_the_distribution_function():
    rng = np.random.default_rng(0)
    mean = rng.normal(size=200)
    y = mean + rng.normal(size=200)
    draws = mean + rng.normal(size=(20_000, 200))
    assert pit_values(y, draws) == pytest.approx(stats.norm.cdf(y - mean), abs=0.015)


@pytest.mark.parametrize("number", [7, 200])
def test_randomised_pit_of_the_right_counts_is_uniform(number):
    rng = np.random.default_rng(1)
    rate = rng.uniform(0.2, 2, 4000)
    y, draws = rng.poisson(rate), rng.poisson(rate, (number, 4000))
    assert uniform(pit_values(y, draws, discrete=True, random_state=0)) > 0.01
    wide = rng.negative_binomial(1, 1 / (1 + rate), (number, 4000))
    assert uniform(pit_values(y, wide, discrete=True, random_state=0)) < 1e-6


def test_randomised_pit_lies_between_the_steps():
    draws = np.array([[0], [0], [1], [2]])
    found = np.array([pit_values([1], draws, discrete=True, random_state=s)[0] for s in range(300)])
    assert found.min() == pytest.approx(2 / 5, abs=0.02)  # L = 2 of S = 4
    assert found.max() == pytest.approx(4 / 5, abs=0.02)  # L + E + 1


def test_biased_and_narrow_predictions_show():
    rng = np.random.default_rng(2)
    y = rng.normal(size=3000)
    low = pit_values(y, rng.normal(-1, 1, (300, 3000)))
    narrow = pit_values(y, rng.normal(0, 0.5, (300, 3000)))
    assert low.mean() > 0.7
    assert ((narrow < 0.1) | (narrow > 0.9)).mean() > 0.4


def test_chains_are_pooled():
    rng = np.random.default_rng(3)
    y, draws = rng.normal(size=5), rng.normal(size=(2, 50, 5))
    assert np.array_equal(pit_values(y, draws), pit_values(y, draws.reshape(100, 5)))


def test_discrete_outcomes_must_be_named():
    draws = np.random.default_rng(4).poisson(1.0, (50, 20))
    with pytest.raises(ValueError, match=r"% of the outcomes equal .* pass discrete=True"):
        pit_values(draws[0], draws)


def test_draws_of_other_rows_are_refused():
    with pytest.raises(ValueError, match=r"\(draws, 3\) or \(chain, draw, 3\).*got shape \(3, 2\)"):
        pit_values([1, 2, 3], np.zeros((3, 2)))
    with pytest.raises(ValueError, match="draws must hold finite numbers"):
        pit_values([1.0, 2.0], [[0.0, np.nan]])
