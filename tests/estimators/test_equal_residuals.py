"""Penalties on residuals of a real target, where those of the groups are known to differ."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.integrate import quad

import pyfairme as pf

pytestmark = pytest.mark.usefixtures("optimised")

APART, MORE = 2.0, 1.0  # means of x, and what the second group has more at equal x
ROWS = 6000


def rows(seed, skewed=False):
    """y = x + MORE S + noise and x | S ~ Normal(APART S, 1): x tells of S, and S of y.

    ``skewed`` noise has mean 0 in both groups, but is heavy to the right in the second alone.
    """
    rng = np.random.default_rng(seed)
    s = rng.integers(0, 2, ROWS)
    x = APART * s + rng.normal(size=ROWS)
    y = x + MORE * s + 0.5 * rng.normal(size=ROWS)
    if skewed:
        y = y + s * np.where(rng.random(ROWS) < 0.05, 19.0, -1.0)
    town = rng.choice(list("abcdefgh"), ROWS)
    return pd.DataFrame({"x": x, "s": np.array(["one", "two"])[s], "town": town}), y, s


def gap_of(fairness, weight, drop, skewed=False):
    """Return the difference of the groups' mean residuals on new rows, and its standard error."""
    X, y, _ = rows(0, skewed)
    model = pf.FairMixedEffectsRegressor(
        "town", ["s"], fairness=fairness, fairness_weight=weight, drop_sensitive=drop, hidden=(16,),
        guide="mean_field", network_posterior="none", unseen="population", cluster_weight=0.0,
        min_steps=1500, epochs=1, learning_rate=0.01, random_state=0, progress=False,
    ).fit(X, y)  # fmt: skip
    X, y, s = rows(1, skewed)
    residual = y - model.predict(X)
    error = sum(residual[s == g].var() / (s == g).sum() for g in (0, 1)) ** 0.5
    return residual[s == 1].mean() - residual[s == 0].mean(), error


def gap_of_the_best_prediction():
    """MORE times what E(S | x) leaves open: S is 1 with the log odds APART (x - APART / 2)."""

    def mean(group):
        def term(x):
            return stats.norm.pdf(x, APART * group) / (1 + np.exp(-APART * (x - APART / 2)))

        return quad(term, -10, 12)[0]

    return MORE * (1 - (mean(1) - mean(0)))


def test_means_of_residuals_are_made_alike_where_they_are_known_to_differ():
    none, error = gap_of(None, 0.0, drop=True)
    known = gap_of_the_best_prediction()
    assert known > 20 * error
    assert none == pytest.approx(known, abs=4 * error)  # the error of two samples, and of a fit
    fair, error = gap_of("moment", 3.0, drop=True)
    assert abs(fair) < 0.1 * known + 3 * error


def gap_of_equalized_odds():
    """The gap of the best linear prediction b (x + c S) that is independent of S given y.

    Given y, the mean of x is shrunken to the line of its group: with 1 the variance of x, and
    1.25 that of y, within groups, E(x | y, S) = .8 y + (APART - .8 (APART + MORE)) S, which c
    takes away; b is the least-squares slope.
    """
    c = 0.8 * (APART + MORE) - APART
    apart = APART + c
    b = (1 + 0.25 * (APART + MORE) * apart) / (1 + 0.25 * apart**2)
    return APART + MORE - b * apart


def test_equalized_odds_of_predictions_moves_residuals_apart():
    """As docs/start.md says: given y, predictions that tell nothing of S follow y less than S."""
    read, error = gap_of(None, 0.0, drop=False)
    assert abs(read) < 4 * error
    odds, error = gap_of("adversarial", 3.0, drop=False)
    assert 8 * error < odds < gap_of_equalized_odds() + 4 * error
    means, error = gap_of("moment", 3.0, drop=False)
    assert abs(means) < 4 * error


def test_rare_large_outcomes_count_for_the_means_that_are_made_alike():
    """Means of what is bounded would be alike where those of the residuals are far apart."""
    fair, error = gap_of("moment", 1.0, drop=False, skewed=True)
    assert error < 0.1
    assert abs(fair) < 4 * error
