"""The benchmark's mixed model with a limited covariance, by oracles apart from its solver."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from tests.benchmarks.constrained_mixed_model import fit, objective
from tests.benchmarks.fair_mixed_models import accuracy_at, gap_at


def rows(strata, each, sd=1.0, seed=0):
    rng = np.random.default_rng(seed)
    stratum = np.repeat(np.arange(strata), each)
    group = (rng.random(len(stratum)) < 0.5).astype(float)
    x = np.column_stack([np.ones(len(stratum)), rng.normal(size=(len(stratum), 3)), group])
    truth, intercepts = np.array([-1.0, 0.4, 0.8, 0.5, 2.0]), rng.normal(0, sd, strata)
    y = (rng.random(len(stratum)) < 1 / (1 + np.exp(-x @ truth - intercepts[stratum]))).astype(int)
    return x, group, stratum, y, truth, intercepts


def test_without_a_limit_it_is_ridge_regression_of_the_intercepts():
    x, group, stratum, y, _, _ = rows(8, 30)
    found = fit(x, group, stratum, y)
    # scikit-learn's penalty is |w|^2 / 2 with C = 1: sum b^2 means columns of 1 / sqrt(2); those of
    # fixed effects are made so large that their coefficients cost nothing
    design = np.hstack([1e4 * x, np.eye(8)[stratum] / np.sqrt(2)])
    model = LogisticRegression(C=1.0, fit_intercept=False, solver="newton-cholesky", tol=1e-12)
    w = model.fit(design, y).coef_[0]
    assert found.beta == pytest.approx(1e4 * w[:5], abs=1e-5)
    assert found.intercepts == pytest.approx(w[5:] / np.sqrt(2), abs=1e-5)


@pytest.mark.parametrize("limit", [0.0, 0.1])
def test_a_general_solver_finds_the_same_constrained_optimum(limit):
    x, group, stratum, y, _, _ = rows(6, 25, seed=1)
    found = fit(x, group, stratum, y, limit)
    assert fit(x, group, stratum, y).covariance > 0.3  # so that the limit binds
    assert found.covariance == pytest.approx(limit, abs=1e-10)
    design, penalty = np.hstack([x, np.eye(6)[stratum]]), np.repeat([0.0, 2.0], [5, 6])
    centred = (group - group.mean()) / len(y)
    limits = [
        {"type": "ineq", "fun": lambda t, sign=sign: limit - sign * centred @ (design @ t)}
        for sign in (1, -1)
    ]
    settings = {"ftol": 1e-12, "maxiter": 500}

    def loss(theta):
        return objective(design, y, penalty, theta)

    other = minimize(loss, np.zeros(11), method="SLSQP", constraints=limits, options=settings)
    theta = np.concatenate([found.beta, found.intercepts])
    assert objective(design, y, penalty, theta) == pytest.approx(other.fun, abs=1e-6)
    assert theta == pytest.approx(other.x, abs=2e-3)


def test_a_limit_that_does_not_bind_changes_nothing():
    x, group, stratum, y, _, _ = rows(6, 25, seed=2)
    free = fit(x, group, stratum, y)
    bound = fit(x, group, stratum, y, 2 * abs(free.covariance))
    assert np.array_equal(bound.beta, free.beta)


def test_the_truth_is_recovered_from_many_rows():
    x, group, stratum, y, truth, intercepts = rows(60, 150, sd=1.5, seed=3)
    found = fit(x, group, stratum, y, variance=None)
    # slopes: standard errors near .03; the SD of 60 intercepts: 1.5 / sqrt(120) = .14
    assert found.beta[1:] == pytest.approx(truth[1:], abs=0.12)
    assert np.sqrt(found.variance) == pytest.approx(1.5, abs=0.42)
    assert np.corrcoef(found.intercepts, intercepts)[0, 1] > 0.97


def curves(shifts, slope):
    """Accuracies .7 + shift + slope * difference, of settings at differences 0, .1 and .4."""
    return pd.DataFrame(
        [
            {
                "method": f"at {x:g}",
                "draw": draw,
                "difference": x,
                "accuracy": 0.7 + shift + slope * x,
            }
            for draw, shift in enumerate(shifts)
            for x in (0.0, 0.1, 0.4)
        ]
    )


def test_gaps_at_equal_differences_are_those_of_straight_curves():
    """For means the jackknife is the standard error: its interval is Student's."""
    apart = np.array([0.01, 0.03, 0.02, 0.06])
    mine, other = curves(apart, 0.5), curves(np.zeros(6), 0.2)  # two draws more: not in common
    assert accuracy_at(mine, 0.25) == pytest.approx(0.7 + apart.mean() + 0.125)
    assert np.isnan(accuracy_at(mine, 0.41))
    gap, half = gap_at(mine, other, 0.25)
    assert gap == pytest.approx(apart.mean() + 0.075)
    assert half == pytest.approx(2.3534 * apart.std(ddof=1) / 2, rel=1e-4)  # t of 3 degrees, .95
