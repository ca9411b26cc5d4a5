"""Probabilities of the classes as they are, from a fit to balanced classes."""

import copy

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit
from sklearn.linear_model import LogisticRegression

import pyfairme as pf

ROWS = 1000
QUICK = {
    "hidden": (), "min_steps": 1000, "learning_rate": 0.01, "batch_size": 1000, "epochs": 1,
    "unseen": "population", "guide": "mean_field", "validation_fraction": 0.0, "random_state": 0,
    "progress": False, "fairness": None,
}  # fmt: skip


def table(classes):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"g": rng.choice(list("abcd"), ROWS), "x": rng.normal(size=ROWS)})
    link = np.outer(X["x"], np.arange(classes)) - 1.6 * np.arange(classes)
    y = (link + rng.gumbel(size=link.shape)).argmax(axis=1)
    return X, y


@pytest.fixture(scope="module")
def two():
    """The balanced fit as it is, and corrected."""
    X, y = table(2)
    own = {"class_weight": "balanced", **QUICK}
    as_it_is = pf.FairMixedEffectsClassifier("g", prior_correction=False, **own).fit(X, y)
    corrected = pf.FairMixedEffectsClassifier("g", prior_correction=True, **own).fit(X, y)
    return X, y, as_it_is, corrected


def test_log_odds_move_by_the_log_ratio_of_the_weights(two):
    X, y, as_it_is, corrected = two
    assert 0.1 < y.mean() < 0.25
    ratio = np.log((1 - y.mean()) / y.mean())
    for effects in ("fixed", "mixed", "random"):
        before, after = (
            logit(m.predict_proba(X, effects=effects)[:, 1]) for m in (as_it_is, corrected)
        )
        # exact for each draw; means over draws differ a little
        np.testing.assert_allclose(before - after, ratio, atol=0.02)
    before, after = (logit(m.predict_interval(X)["low"]) for m in (as_it_is, corrected))
    np.testing.assert_allclose(before - after, ratio, atol=1e-3)


def test_corrected_probabilities_are_calibrated(two):
    """As those of an unweighted regression; balanced ones are .5 on average."""
    X, y, as_it_is, corrected = two
    inputs = pd.get_dummies(X, columns=["g"]).to_numpy(float)
    weighted = LogisticRegression(class_weight="balanced").fit(inputs, y)
    plain = LogisticRegression().fit(inputs, y).predict_proba(inputs)[:, 1]
    expected = weighted.predict_proba(inputs)[:, 1].mean()
    assert as_it_is.predict_proba(X)[:, 1].mean() == pytest.approx(expected, abs=0.02)
    found = corrected.predict_proba(X)[:, 1]
    assert expected > y.mean() + 0.15
    assert found.mean() == pytest.approx(y.mean(), abs=0.015)
    np.testing.assert_allclose(found, plain, atol=0.05)


@pytest.mark.long
def test_several_classes_move_by_their_own_weights():
    X, y = table(3)
    shares = np.bincount(y) / ROWS
    own = {"class_weight": {0: 1.0, 1: 3.0, 2: 5.0}, **QUICK}
    as_it_is, corrected = (
        pf.FairMixedEffectsClassifier("g", prior_correction=how, **own).fit(X, y)
        for how in (False, True)
    )
    odds = as_it_is.predict_proba(X) / [1.0, 3.0, 5.0]
    expected = odds / odds.sum(axis=1, keepdims=True)
    found = corrected.predict_proba(X)
    np.testing.assert_allclose(found, expected, atol=0.005)
    np.testing.assert_allclose(found.mean(axis=0), shares, atol=0.02)
    assert np.abs(as_it_is.predict_proba(X).mean(axis=0) - shares).max() > 0.1


@pytest.mark.long
def test_a_corrected_model_learns_on_from_rows_as_they_are(two, tmp_path):
    X, y, as_it_is, corrected = two
    corrected.save(tmp_path / "model.pyfairme")
    loaded = pf.load(tmp_path / "model.pyfairme")
    np.testing.assert_array_equal(loaded.predict_proba(X), corrected.predict_proba(X))
    new = X[:200].assign(g="new")
    grown = [model.adapt(new, y[:200]) for model in (corrected, loaded)]
    means = [model.predict_proba(new)[:, 1].mean() for model in grown]
    assert means == pytest.approx([y[:200].mean()] * 2, abs=0.03)
    assert corrected._training.weight == pytest.approx(np.ones(ROWS), rel=1e-5)
    weighted = copy.copy(as_it_is).adapt(new, y[:200])
    assert weighted.predict_proba(new)[:, 1].mean() > y[:200].mean() + 0.15


def test_moved_probabilities_are_told_once_and_not_for_nothing():
    X, y = table(2)
    own = {**QUICK, "min_steps": 50}
    text = r"^class_weight moves the probabilities: a share of 0\.\d+ .* has class 1, and its mean "
    with pytest.warns(UserWarning, match=text + r".*\[class-weight-moves-probabilities\]$") as said:
        pf.FairMixedEffectsClassifier("g", class_weight="balanced", **own).fit(X, y)
    assert said[0].filename == __file__
    mild = {0: 1.0, 1: 1.1}  # warnings are errors
    pf.FairMixedEffectsClassifier("g", class_weight=mild, **own).fit(X, y)
    pf.FairMixedEffectsClassifier("g", prior_correction=True, **own).fit(X, y)
    with pytest.raises(ValueError, match="Invalid value of prior_correction: 'yes'"):
        pf.FairMixedEffectsClassifier("g", prior_correction="yes", **own).fit(X, y)


def test_decisions_of_a_number_are_penalised_where_they_fall():
    """The adversary's threshold is that of the weighted fit which the corrected one stands for."""
    from pyfairme.estimators.prior_correction import moved_threshold, shift_of

    weights, classes = {"no": 1.0, "yes": 4.0}, ["no", "yes"]
    moved = moved_threshold(0.3, weights, classes)
    assert logit(moved) + shift_of(weights, classes)[0] == pytest.approx(logit(0.3))
