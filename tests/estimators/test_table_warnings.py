"""Tables that are probably not what the user thinks: each is told, and ordinary ones are not."""

import warnings
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


@pytest.mark.long
def test_one_row_per_cluster_is_told():
    X, rng = table()
    y = rng.normal(size=200)
    model = pf.FairMixedEffectsRegressor("id", **QUICK)
    with pytest.warns(DataWarning, match=r"180 of 180 training .* \[one-row-per-cluster\]"):
        model.fit(X, y)
    model.fit(X.assign(id=np.arange(200) // 4), y)  # warnings are errors: pairs are enough


@pytest.mark.long
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


def applications(rows=600):
    """Four applications to each of 150 advertisements, with first names of one sex."""
    rng = np.random.default_rng(3)
    sex = rng.choice(["f", "m"], rows)
    names = {"f": ["Ann", "Eve", "Ida"], "m": ["Bob", "Cid", "Dan"]}
    X = pd.DataFrame(
        {
            "ad_id": np.sort(rng.choice(10_000, 150, replace=False)).repeat(4),
            "first_name": [rng.choice(names[one]) for one in sex],
            "years": rng.poisson(6, rows),
            "industry": rng.choice(["care", "trade", "food"], rows),
            "sex": sex,
        }
    )
    return X, (rng.random(rows) < 0.2).astype(int), rng


def told_of(X, y, **keywords):
    model = pf.FairMixedEffectsClassifier("industry", "sex", **{**QUICK, **keywords})
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", DataWarning)
        model.fit(X, y)
    return [str(one.message) for one in said]


@pytest.mark.long
def test_a_column_that_tells_a_hidden_group_is_told():
    X, y, rng = applications()
    X = X.drop(columns="ad_id")
    (text,) = told_of(X, y, drop_sensitive=True)
    assert "hides 'sex' from the network, and other columns tell it" in text
    assert "'first_name' (100%)" in text
    assert text.endswith("[proxy]")
    assert told_of(X, y) == []  # the network sees the attribute itself
    mixed = X.assign(first_name=np.where(rng.random(600) < 0.5, "Kim", X["first_name"]))
    assert told_of(mixed, y, drop_sensitive=True) == []


@pytest.mark.long
def test_an_identifier_taken_for_a_quantity_is_told():
    X, y, rng = applications()
    X = X.drop(columns="first_name")
    (text,) = told_of(X, y)
    assert "'ad_id' is probably an identifier (1" in text
    assert "give it to groups= of a study" in text
    assert text.endswith("[row-number]")
    for name in ("paid", "bid", "covid"):
        assert told_of(X.rename(columns={"ad_id": name}), y) == []
    rising = np.cumsum(rng.integers(1, 9, 600))
    (text,) = told_of(X.drop(columns="ad_id").assign(filed=rising), y)
    assert "'filed' is probably an identifier" in text
    shuffled = X.drop(columns="ad_id").assign(filed=rng.permutation(rising))
    assert told_of(shuffled, y) == []


@pytest.mark.long
@pytest.mark.parametrize("text", [True, False])
def test_a_column_that_nearly_copies_the_outcome_is_told(text):
    X, y, rng = applications()
    X = X.drop(columns=["ad_id", "first_name"])
    copy = np.where(rng.random(600) < 0.01, 1 - y, y)
    (found,) = told_of(X.assign(called=np.where(copy, "Y", "N") if text else copy), y)
    assert "'called' is nearly the target: in 99." in found
    assert found.endswith("[target-copy]")
    weak = np.where(rng.random(600) < 0.10, 1 - y, y)
    assert told_of(X.assign(called=weak), y) == []
    rare = (np.arange(600) < 25).astype(int)  # a constant is right in 96 % of the rows
    assert told_of(X.assign(called=(np.arange(600) < 5).astype(int)), rare) == []
