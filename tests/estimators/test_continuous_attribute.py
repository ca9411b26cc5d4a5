"""Fits whose sensitive attribute is a number: what penalties do to its curve, reports, files."""

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf

QUICK = {"guide": "mean_field", "network_posterior": "none", "unseen": "population",
         "random_state": 0, "progress": False, "min_steps": 800}  # fmt: skip


def draw(rows, seed):
    """Log odds rise with x and swing with age; the truth's curve over age is not flat."""
    rng = np.random.default_rng(seed)
    age, x = rng.uniform(20, 70, rows), rng.normal(size=rows)
    log_odds = x + 1.5 * np.sin((age - 20) / 50 * 2 * np.pi)
    y = (rng.uniform(size=rows) < 1 / (1 + np.exp(-log_odds))).astype(int)
    cluster = [f"g{one}" for one in rng.integers(0, 4, rows)]
    return pd.DataFrame({"age": age, "x": x, "g": cluster}), y


def swing(model, X, y):
    """SD over deciles of age of the mean probability, mean over outcome classes."""
    p, age = model.predict_proba(X)[:, 1], X["age"].to_numpy()
    group = np.searchsorted(np.quantile(age, np.arange(0.1, 1, 0.1)), age)
    means = [[p[(group == g) & (y == c)].mean() for g in range(10)] for c in (0, 1)]
    return float(np.std(means, axis=1).mean())


@pytest.fixture(scope="module")
def tables():
    return draw(2500, 0), draw(6000, 1)


@pytest.fixture(scope="module")
def models(tables):
    (X, y), _ = tables

    def fitted(weight, frame=X):
        model = pf.FairMixedEffectsClassifier(
            "g", pf.Continuous("age"), fairness="moment", fairness_weight=weight, **QUICK
        )
        return model.fit(frame, y)

    return fitted


def test_a_penalty_flattens_the_curve_over_a_number(models, tables):
    """Monotonically in the weight; the unfair swing is .2, that of equal ages is about .01."""
    _, (X, y) = tables
    found = [swing(models(weight), X, y) for weight in (0.0, 1.0, 5.0)]
    assert found[0] > 0.15
    assert found[1] < 0.6 * found[0]
    assert found[2] < 0.6 * found[1]


@pytest.mark.long
def test_rows_without_the_number_are_fitted_and_in_no_penalty(models, tables):
    """30 % missing at random flatten as the full data do, up to what fewer ages can: a third."""
    (X, _), (new, y) = tables
    lost = np.random.default_rng(2).uniform(size=len(X)) < 0.3
    missing = X.assign(age=X["age"].where(~lost))
    free, full = swing(models(0.0), new, y), swing(models(5.0), new, y)
    model = models(5.0, missing)
    assert model.design_.attributes[0].group_counts[0] == pytest.approx((~lost).sum() / 8, abs=1)
    assert swing(model, new, y) < full + 0.15 * free


def test_reports_files_and_displays_know_the_groups(models, tables, tmp_path):
    _, (X, y) = tables
    model = models(1.0)
    report = model.fairness_report(X, y, n_boot=20)
    groups = [g for g in report.loc[report["attribute"] == "age", "group"].unique() if g != "all"]
    assert groups == list(model.design_.attributes[0].levels)
    assert len(groups) == 8
    model.save(tmp_path / "m.pyfairme")
    again = pf.load(tmp_path / "m.pyfairme")
    assert again.sensitive == pf.Continuous("age")
    np.testing.assert_array_equal(again.predict_proba(X[:50]), model.predict_proba(X[:50]))
    assert "a number to penalties, cut at quantiles for reports" in str(model.summary())
    with pytest.warns(UserWarning, match="uncalibrated-groups"):
        policy = pf.JointThresholds(model, {"age": 0.02}).fit(X[:3000])
    assert set(policy.rates_["attribute"]) == {"age"}


@pytest.mark.long
@pytest.mark.parametrize("likelihood", ["normal", "poisson"])
def test_numbers_stand_beside_groups_and_real_outcomes(likelihood, tables):
    (X, _), _ = tables
    rng = np.random.default_rng(3)
    mean = np.exp(0.3 * X["x"] + np.sin(X["age"] / 8))
    y = rng.poisson(mean) if likelihood == "poisson" else np.log(mean) + rng.normal(size=len(X))
    both = X.assign(sex=rng.choice(["f", "m"], len(X)))
    model = pf.FairMixedEffectsRegressor(
        "g", ["sex", pf.Continuous("age", groups=5)], likelihood=likelihood, fairness="moment",
        **{**QUICK, "min_steps": 100},
    ).fit(both[:800], y[:800])  # fmt: skip
    report = model.fairness_report(both[800:1200], y[800:1200], n_boot=20)
    assert {"sex", "age"} <= set(report["attribute"])


@pytest.mark.long
def test_an_adversary_is_judged_by_its_skill_over_a_number(tables):
    """At weight 0 the prediction follows age, which an adversary sees; its chance is entropy."""
    (X, y), _ = tables
    model = pf.FairMixedEffectsClassifier(
        "g", pf.Continuous("age", groups=4), fairness="adversarial", fairness_weight=0.0, **QUICK
    ).fit(X, y)
    skill = model.history_.iloc[-1].filter(like="skill/mixed/age").to_numpy()
    assert 0.02 < skill[0] < 1
