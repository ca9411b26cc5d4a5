"""Tables that are probably not what the user thinks: each is told, and ordinary ones are not."""

from contextlib import suppress

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme.notices import DataWarning

QUICK = {
    "hidden": (), "guide": "mean_field", "cluster_weight": 0.0, "unseen": "population",
    "min_steps": 2, "epochs": 1, "progress": False, "random_state": 0,
}  # fmt: skip


def table(rows=200):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"id": [f"r{i}" for i in range(rows)], "x": rng.normal(size=rows)})
    return X.assign(months=rng.uniform(1, 24, rows)), rng


def test_one_row_per_cluster_is_told():
    X, rng = table()
    y = rng.normal(size=200)
    model = pf.FairMixedEffectsRegressor("id", **QUICK)
    with pytest.warns(DataWarning, match=r"180 of 180 training .* \[one-row-per-cluster\]"):
        model.fit(X, y)
    model.fit(X.assign(id=np.arange(200) // 4), y)  # warnings are errors: pairs are enough


def test_an_effect_for_each_count_is_meant():
    X, rng = table()
    model = pf.FairMixedEffectsRegressor("id", likelihood="poisson", **QUICK)
    model.fit(X, rng.poisson(3, 200))  # lets the variance be larger than the mean


@pytest.mark.parametrize("likelihood", ["poisson", "negative_binomial"])
def test_a_raw_exposure_is_told(likelihood):
    X, rng = table()
    X = X.drop(columns="id")
    y = rng.poisson(0.2 * X["months"])
    model = pf.FairMixedEffectsRegressor(likelihood=likelihood, offset="months", **QUICK)
    told = pytest.warns(DataWarning, match=r"'months' looks like an exp.* numpy\.log .*\[raw-exp")
    with told, suppress(FloatingPointError):  # such a fit may also end above the null model's loss
        model.fit(X, y)
    model.fit(X.assign(months=np.log(X["months"])), y)  # warnings are errors


def test_a_rate_that_falls_with_the_exposure_is_no_raw_exposure():
    X, rng = table()
    X = X.drop(columns="id")
    X = X.assign(months=np.log(X["months"]) + 8)
    y = rng.poisson(np.exp(X["months"] - 8) ** 0.6)
    pf.FairMixedEffectsRegressor(likelihood="poisson", offset="months", **QUICK).fit(X, y)
