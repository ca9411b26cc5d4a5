"""A model no better than a constant, or that decides all rows alike, is not presented as fair."""

import warnings

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme.data import Schema
from pyfairme.datasets import Dataset
from pyfairme.metrics.constant_baseline import AgainstConstant, against_constant
from pyfairme.study import cross_validate, frontier

LINEAR = {
    "hidden": (), "random_intercepts": False, "guide": "mean_field", "unseen": "population",
    "min_steps": 200, "epochs": 1, "learning_rate": 0.02, "fairness": "moment", "random_state": 0,
    "progress": False,
}  # fmt: skip
OWN = {"validation_fraction": 0}  # or noise is warned of already in the fit
ROWS = 6000


def made(percent, signal, seed=0):
    """Rows with so many positives, and as much signal in one number."""
    rng = np.random.default_rng(seed)
    x, sex = rng.normal(size=ROWS), rng.choice(["f", "m"], ROWS)
    link = signal * x + 0.3 * (sex == "m")
    low, high = -20.0, 20.0
    for _ in range(50):
        middle = (low + high) / 2
        under = np.mean(1 / (1 + np.exp(-link - middle))) < percent / 100
        low, high = (middle, high) if under else (low, middle)
    y = (rng.random(ROWS) < 1 / (1 + np.exp(-link - low))).astype(int)
    frame = pd.DataFrame({"x": x, "sex": sex, "branch": rng.choice(list("abc"), ROWS)})
    return frame, pd.Series(y, name="y")


def fitted(X, y, **keywords):
    model = pf.FairMixedEffectsClassifier("branch", ["sex"], **(LINEAR | OWN | keywords))
    return model.fit(X.iloc[:3000], y.iloc[:3000])


def said(facts):
    return " ".join(str(facts).split())


def test_the_losses_are_those_of_their_definitions():
    """By hand, and the error by 3,000 samples of the rows (its own error is 1.3 %)."""
    rng = np.random.default_rng(0)
    n = 400
    p = rng.uniform(0.01, 0.3, n)
    y = (rng.random(n) < p).astype(float)
    found = against_constant(y, p, 0.1, classes=True)
    loss = -np.where(y == 1, np.log(p), np.log(1 - p))
    constant = -np.where(y == 1, np.log(0.1), np.log(0.9))
    assert found[1:3] == pytest.approx((loss.mean(), constant.mean()))
    picks = rng.integers(n, size=(3000, n))
    assert found.error == pytest.approx((loss - constant)[picks].mean(axis=1).std(), rel=0.05)
    values, predicted = rng.normal(size=n), rng.normal(size=n)
    real = against_constant(values, predicted, None, np.ones(n), classes=False)
    assert real.constant == pytest.approx(values.var())
    assert real.loss == pytest.approx(((values - predicted) ** 2).mean())


@pytest.mark.parametrize("percent", [1, 3, 12])
def test_what_predicts_nothing_is_told_in_nineteen_of_twenty_tables(percent):
    """Predictions that are noise, each a bit worse than the base rate: never called better.

    A calibrated constant is a draw: said to be better at most as often as the level allows.
    """
    rng = np.random.default_rng(percent)
    base, better = percent / 100, 0
    for _ in range(400):
        y = (rng.random(3000) < base).astype(float)
        own = np.clip(base * np.exp(0.3 * rng.normal(size=3000)), 0, 0.99)
        found = against_constant(y, own, base, classes=True)
        better += not found.unclear
    assert better <= 20 + 3 * np.sqrt(400 * 0.05 * 0.95)


def test_dependence_within_clusters_widens_the_error():
    rng = np.random.default_rng(3)
    cluster = np.repeat(np.arange(60), 20)
    y, shift = rng.normal(size=1200), rng.normal(size=60)[cluster]
    alone = against_constant(y + shift, shift * 0, 0.5, classes=False)
    whole = against_constant(y + shift, shift * 0, 0.5, clusters=cluster, classes=False)
    few = against_constant(y + shift, shift * 0, 0.5, clusters=cluster % 20, classes=False)
    assert whole.error > 2 * alone.error
    assert few.error == alone.error  # clusters are then given, as in a report's intervals
    single = np.where(np.arange(1200) % 2, cluster, -1)
    assert alone.error < against_constant(
        y + shift, shift * 0, 0.5, clusters=single, classes=False
    ).error < whole.error  # fmt: skip


def test_a_difference_within_noise_is_no_merit():
    assert "no better than a constant" in AgainstConstant("log loss", 0.27, 0.28, 0.01).note
    assert not AgainstConstant("log loss", 0.25, 0.28, 0.01).note
    assert AgainstConstant("log loss", 0.25, 0.28, float("nan")).note  # one row or none


@pytest.mark.parametrize("percent", [1, 3, 12])
def test_a_report_of_noise_says_so_first(percent):
    X, y = made(percent, signal=0.0)
    y = pd.Series(np.random.default_rng(9).permutation(y), name="y")
    model = fitted(X, y)
    with pytest.warns(UserWarning, match=r"Every one of the 3,000 rows is decided 0.*\[constant-"):
        report = model.fairness_report(X.iloc[3000:], y.iloc[3000:], n_boot=20)
    line = report.query("metric == 'log_loss' and effects == 'mixed'").iloc[0]
    assert line["note"].startswith("no better than a constant: log loss ")
    base = y.iloc[:3000].mean()
    constant = float(line["note"].partition("of a constant ")[2].partition(" ")[0])
    assert constant == pytest.approx(
        -(y[3000:].mean() * np.log(base) + (1 - y[3000:].mean()) * np.log(1 - base)),
        rel=0.006,  # three digits
    )
    spread = report.query("metric == 'tpr_sd' and effects == 'mixed'")
    assert spread["note"].str.startswith("decides 0 for every row: no sign of fairness").all()
    text = said(report.summary())
    assert "every row is decided 0: equal rates are no sign of fairness" in text
    assert "no sign of fairness" in text[: text.index("Base rates")]
    with pytest.warns(UserWarning, match="constant-decision"):
        card = model.card(X.iloc[3000:], y.iloc[3000:], n_boot=20)
    verdict = said(card)
    assert "threshold='balanced_accuracy'" in verdict[: verdict.index("Base rates")]


@pytest.mark.parametrize("percent", [1, 3, 12])
def test_a_model_that_ranks_rows_is_told_of_its_decisions_alone(percent):
    X, y = made(percent, signal=1.5)
    model = fitted(X, y, threshold="balanced_accuracy")
    report = model.fairness_report(X.iloc[3000:], y.iloc[3000:], n_boot=20)
    mixed = report.query("effects == 'mixed'")
    assert not mixed["note"].str.contains("no better than a constant|no sign of").any()
    strict = fitted(X, y)
    share = float(np.mean(strict.predict(X.iloc[3000:])))
    if share >= 0.01:
        assert percent == 12
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Every one of the 3,000 rows is decided 0")
        found = strict.fairness_report(X.iloc[3000:], y.iloc[3000:], n_boot=20)
    assert "no sign of fairness. Try threshold='balanced_accuracy'" in said(found.summary())
    notes = found.query("metric == 'fpr_sd' and effects == 'mixed'")["note"]
    assert notes.str.contains("^decides 0 for (?:every row|all but )").all()
    losses = found.query("metric == 'log_loss' and effects == 'mixed'")["note"]
    assert not losses.str.contains("no better").any()


def test_a_regression_of_noise_is_no_better_than_the_training_mean():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"x": rng.normal(size=600), "sex": rng.choice(["f", "m"], 600)})
    y = rng.normal(size=600) + 4.0
    model = pf.FairMixedEffectsRegressor(None, ["sex"], **LINEAR, **OWN).fit(X[:300], y[:300])
    report = model.fairness_report(X[300:], y[300:], n_boot=20)
    note = report.query("metric == 'rmse' and attribute == 'all' and effects == 'mixed'")["note"]
    assert note.str.startswith("no better than a constant: MSE ").all()


def test_the_base_rate_is_that_of_training_rows_and_their_weights(tmp_path):
    X, y = made(12, signal=1.0)
    weight = np.where(y == 1, 3.0, 1.0)
    model = pf.FairMixedEffectsClassifier(
        "branch", ["sex"], **LINEAR, class_weight="balanced", validation_fraction=0,
        prior_correction=True,
    ).fit(X, y, sample_weight=weight)  # fmt: skip
    assert model._record.base[1] == pytest.approx(np.average(y, weights=weight))
    model.save(tmp_path / "m.pyfairme")
    assert pf.load(tmp_path / "m.pyfairme")._record.base == model._record.base


def as_data(X, y):
    return Dataset(X, y, Schema.infer(X, cluster="branch", sensitive=["sex"]), name="made")


def test_studies_say_it_of_every_model():
    X, y = made(3, signal=0.0)
    models = {"noise": pf.FairMixedEffectsClassifier(**LINEAR)}
    study = cross_validate(models, as_data(X, y), folds=3, seeds=1, n_boot=20, progress=False)
    text = said(study.summary())
    assert "noise, seen clusters: AUROC" in text
    assert "noise, seen clusters: every row is decided 0" in text
    assert any(
        study.frame.query("metric == 'log_loss'")["note"].str.startswith("no better than a const")
    )


def test_a_frontier_names_useless_points_and_does_not_choose_them_silently():
    X, y = made(3, signal=1.0)
    swept = frontier(
        pf.FairMixedEffectsClassifier(**LINEAR), as_data(X, y), weights=(0, 1.0), folds=3,
        seeds=2, n_boot=20, progress=False,
    )  # fmt: skip
    mixed = swept.points.query("effects == 'mixed'")
    assert (mixed["selected"] < 0.01).all()
    assert mixed["useless"].str.contains("decides negative for 100.0% of the rows").all()
    assert {"auroc_low", "auroc_high"} <= set(mixed.columns)
    with pytest.warns(UserWarning, match=r"decides negative for .*balanced_accuracy.*\[useless-"):
        choice = swept.choose(0.5)
    assert "no sign of fairness" in choice.note
    assert "no sign of fairness" in said(swept.summary())
