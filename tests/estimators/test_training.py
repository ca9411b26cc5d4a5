"""What a fit leaves behind: history, thresholds, the best epoch, and warnings of collapse."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import balanced_accuracy_score

import pyfairme as pf
from pyfairme.estimators import validation_rows as held_out_rows

ADVERSARIAL = {"fairness": "adversarial", "min_steps": 600, "learning_rate": 5e-3}


@pytest.fixture(scope="module")
def adversarial(binary, classifier):
    """Five sixths of the steps after the warm-up, at a weight that moves the prediction."""
    return classifier(**ADVERSARIAL, fairness_weight=0.5).fit(binary.X, binary.y)


@pytest.mark.long
def test_history_names_every_term(adversarial):
    terms = {
        "mixed",
        "fixed",
        "kl",
        "cluster_adversary/cluster",
        "adversarial/fixed/group1",
        "adversarial/mixed/group1",
    }
    validated = {f"validation/{name}" for name in terms - {"kl"}}
    judged = {f"{kind}/{view}/group1" for kind in ("skill", "validation/disparity")
              for view in ("fixed", "mixed")}  # fmt: skip
    found = adversarial.history_
    assert set(found.columns) == {"epoch", "member", "weight_decay", *terms, *validated, *judged}
    assert np.isfinite(found).all(axis=None)
    assert found["epoch"].is_monotonic_increasing
    assert len(found) == 6  # 600 steps in chunks of 100
    assert found["epoch"].iloc[-1] == pytest.approx(600 * 256 / 360)
    assert found["mixed"].iloc[-1] < found["mixed"].iloc[0]


def test_history_of_an_ensemble_names_the_member(rich):
    assert list(rich.history_["member"]) == [0, 0, 1, 1]
    assert {"adversarial/mixed/bracket", "skill/fixed/group1 x group2"} <= set(rich.history_)


def test_history_without_validation_or_penalty(linear):
    _, reg = linear
    assert set(reg.history_.columns) == {"epoch", "member", "mixed", "fixed", "kl"}


def test_skill_is_one_minus_the_share_of_chance(adversarial, binary):
    """Chance is the entropy of the group given the outcome, groups weighted to one size."""
    held = held_out(adversarial, binary)
    y, s = binary.y.to_numpy(), (binary.X["group1"] == "g1").to_numpy().astype(int)
    kept = np.setdiff1d(np.arange(400), held)
    weight = 0.5 * len(kept) / np.bincount(s[kept])
    mass = np.zeros((2, 2))
    np.add.at(mass, (y[held], s[held]), weight[s[held]] / 40)
    chance = -(mass * np.log(mass / mass.sum(axis=1, keepdims=True))).sum()
    for view in ("fixed", "mixed"):
        loss = adversarial.history_[f"validation/adversarial/{view}/group1"]
        skill = adversarial.history_[f"skill/{view}/group1"]
        np.testing.assert_allclose(skill, 1 - loss / chance, atol=1e-5)


def test_epochs_count_when_there_are_more_of_them(binary, classifier):
    fitted = classifier(epochs=250, min_steps=0).fit(binary.X, binary.y)
    assert len(fitted.history_) == 5  # 360 rows are 2 steps an epoch: 500 in all
    assert fitted.n_iter_ == 5


def test_early_stopping_keeps_the_best_epoch(binary, classifier):
    overfitted = classifier(
        fairness=None, learning_rate=0.01, cluster_weight=0.0, min_steps=3000, random_state=1,
        weight_decay=0.0, numeric_encoding="standard",
    )  # fmt: skip
    stopped = clone(overfitted).fit(binary.X, binary.y)  # "auto": there is no penalty
    history = stopped.history_
    score = history["validation/score"]
    assert len(history) < 30
    assert stopped.n_iter_ == int(score.idxmin()) + 1
    assert 6 <= stopped.n_iter_ < len(history)
    assert score[:5].isna().all()  # the warm-up, a fifth of 30 chunks, is not over
    by_hand = history["validation/mixed"] + 0.5 * history["validation/fixed"]
    np.testing.assert_allclose(score.dropna(), by_hand[score.notna()], rtol=1e-5)
    kept = log_loss_on_held_out(stopped, binary)
    assert kept == pytest.approx(history["validation/mixed"].min(), abs=0.01)
    assert kept < history["validation/mixed"].iloc[-1] - 0.02
    to_the_end = clone(overfitted).set_params(early_stopping=False).fit(binary.X, binary.y)
    assert to_the_end.n_iter_ == len(to_the_end.history_) == 30
    assert "validation/score" not in to_the_end.history_
    assert log_loss_on_held_out(to_the_end, binary) > kept + 0.01


def held_out(estimator, case):
    """Numbers of the rows that `fit` held out."""
    keys = held_out_rows.keys_of(case.X, estimator.design_.schema)
    _, held = held_out_rows.held_out(keys, case.y.to_numpy(), len(case.X), 0.1, estimator._seed)
    assert len(held) == 40
    return held


def log_loss_on_held_out(estimator, case):
    """Log loss of the mixed prediction."""
    held = held_out(estimator, case)
    return pf.metrics.log_loss(case.y.iloc[held], estimator.predict_proba(case.X.iloc[held])[:, 1])


def test_stopping_is_off_with_a_penalty_unless_asked_for(binary, classifier, clf):
    assert "validation/score" not in clf.history_
    asked = classifier(early_stopping=True).fit(binary.X, binary.y)
    found = asked.history_.iloc[-1]
    expected = found["validation/mixed"] + 0.5 * found["validation/fixed"]
    for view in ("fixed", "mixed"):
        expected += 0.3 * found[f"validation/disparity/{view}/group1"]
    assert found["validation/score"] == pytest.approx(expected, rel=1e-5)


def test_threshold_of_balanced_accuracy(binary, classifier):
    """On the held-out rows no other threshold is better, for each kind of effects."""
    rare = binary.y.to_numpy() * (np.arange(400) % 3 > 0)
    case = binary._replace(y=pd.Series(rare))
    fitted = classifier(threshold="balanced_accuracy").fit(case.X, case.y)
    assert set(fitted.threshold_) == {"fixed", "random", "mixed"}
    held = held_out(fitted, case)
    X, y = case.X.iloc[held], rare[held]
    for effects, chosen in fitted.threshold_.items():
        proba = fitted.predict_proba(X, effects=effects)[:, 1]
        best = max(balanced_accuracy_score(y, proba >= t) for t in np.unique(proba))
        mine = balanced_accuracy_score(y, fitted.predict(X, effects=effects))
        assert mine == pytest.approx(best, abs=1e-6), effects
        assert mine > 0.5
        assert 0 < chosen < 0.5  # the class is rare
    assert len(set(fitted.threshold_.values())) == 3


@pytest.mark.long
def test_threshold_without_held_out_rows_is_that_of_the_training_rows(binary, classifier):
    estimator = classifier(
        threshold="balanced_accuracy", validation_fraction=0.0, hidden=(), fairness=None
    )
    fitted = estimator.fit(binary.X, binary.y)
    proba = fitted.predict_proba(binary.X)[:, 1]
    best = max(balanced_accuracy_score(binary.y, proba >= t) for t in np.unique(proba))
    mine = balanced_accuracy_score(binary.y, fitted.predict(binary.X))
    assert mine == pytest.approx(best, abs=1e-6)


@pytest.mark.long
@pytest.mark.parametrize("threshold", ["balanced_accuracy", "smoothed_balanced_accuracy"])
def test_threshold_of_a_rare_class_is_chosen_on_training_rows(binary, classifier, threshold):
    """4 positives of 400, of which the 40 validation rows have none or one: .97 can be had."""
    x = np.linspace(-2, 2, 400)
    noise = 0.3 * np.random.default_rng(0).normal(size=400)
    y = ((x + noise).argsort().argsort() > 395).astype(int)
    X = pd.DataFrame({"cluster": binary.X["cluster"].to_numpy(), "x": x})
    estimator = classifier(
        threshold=threshold, sensitive=(), fairness=None, hidden=(), unseen="population"
    )
    expected = r"40 validation rows hold 0 of the rarer class.*\[threshold-on-training-rows\]$"
    with pytest.warns(pf.notices.DataWarning, match=expected) as caught:
        fitted = estimator.fit(X, y)
    assert caught[0].filename == __file__  # the user's line
    assert balanced_accuracy_score(y, fitted.predict(X)) > 0.9
    assert fitted.threshold_["mixed"] < 0.2


def test_a_number_is_the_threshold_of_all_effects(binary, classifier):
    fitted = classifier(threshold=0.6).fit(binary.X, binary.y)
    assert fitted.threshold_ == {"fixed": 0.6, "random": 0.6, "mixed": 0.6}
    above = fitted.predict_proba(binary.test)[:, 1] >= 0.6
    np.testing.assert_array_equal(fitted.predict(binary.test), above.astype(int))
    assert 0 < above.mean() < (fitted.predict_proba(binary.test)[:, 1] >= 0.5).mean()


def test_a_healthy_fit_says_nothing(binary, classifier):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = classifier(**ADVERSARIAL, fairness_weight=0.1).fit(binary.X, binary.y)
    assert fitted.predict_proba(binary.test)[:, 1].std() > 0.1


@pytest.mark.filterwarnings("ignore:drop_sensitive hides")  # x is the group: so it is meant
def test_a_penalty_that_flattens_the_prediction_is_noticed(binary, classifier):
    """All that x tells is the group: one rate for everyone is fair, and of no use."""
    rng = np.random.default_rng(0)
    group = (binary.X["group1"] == "g1").to_numpy()
    X = pd.DataFrame({"x": group + 0.1 * rng.normal(size=400), "group1": binary.X["group1"]})
    y = np.where(rng.random(400) < 0.8, group, ~group)
    both = {"fairness": ("adversarial", "moment"), "min_steps": 600, "learning_rate": 5e-3}
    estimator = classifier(
        cluster=None, hidden=(), drop_sensitive=True, criterion="demographic_parity", **both
    )
    fair = clone(estimator).set_params(fairness_weight=0.0).fit(X, y)  # warnings are errors
    assert fair.predict_proba(X)[:, 1].std() > 0.2
    expected = r"^Collapsed: the fixed prediction is nearly constant .* Lower fairness_weight"
    strong = {"adversarial": {"group1": 0.3}, "moment": {"group1": 30.0}}
    with pytest.warns(pf.AdversaryWarning, match=expected):
        flat = clone(estimator).set_params(fairness_weight=strong).fit(X, y)
    assert flat.predict_proba(X)[:, 1].std() < 1e-3
    # an adversary of weight 0 has not done it, and is no reason to lower its weight
    idle = {"adversarial": {"group1": 0.0}, "moment": {"group1": 30.0}}
    flat = clone(estimator).set_params(fairness_weight=idle).fit(X, y)  # warnings are errors
    assert flat.predict_proba(X)[:, 1].std() < 1e-3


def test_more_weight_means_less_disparity(binary, classifier):
    def gap(weight):
        fitted = classifier(**ADVERSARIAL, fairness_weight=weight).fit(binary.X, binary.y)
        soft = pd.Series(fitted.predict_proba(binary.test)[:, 1], binary.test.index)
        rates = soft.groupby([binary.y_test, binary.test["group1"]]).mean().unstack()
        return (rates["g1"] - rates["g0"]).abs().mean()

    gaps = [gap(weight) for weight in (0.0, 0.3, 1.0)]  # at 3 all that is left is noise
    assert gaps[0] > 0.1
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 0.5 * gaps[0]


def test_a_weight_of_zero_is_the_model_without_the_penalty(binary, classifier):
    """Training that stops early included; by attribute, by penalty and by prediction too."""
    own = {"learning_rate": 0.01, "min_steps": 1500, "cluster_weight": 0.0, "weight_decay": 0.0}
    off = classifier(fairness=None, **own).fit(binary.X, binary.y)
    assert len(off.history_) < 15  # stopped
    for weight in (
        {"fairness_weight": 0.0},
        {"fairness_weight": {"group1": 0.0}},
        {"fairness_weight": {"moment": 0.0}},
        {"fairness_on": {"fixed": 0.0, "mixed": 0.0}},
    ):
        zero = classifier(**own, **weight).fit(binary.X, binary.y)
        assert (len(zero.history_), zero.n_iter_) == (len(off.history_), off.n_iter_)
        np.testing.assert_allclose(
            zero.predict_proba(binary.test), off.predict_proba(binary.test), rtol=1e-3
        )


@pytest.mark.long
def test_a_linear_model_at_weight_zero_is_fitted_on_like_one_without_penalties(binary, classifier):
    own = {"guide": "block", "hidden": (), "unseen": "population"}
    off = classifier(fairness=None, **own).fit(binary.X, binary.y)
    zero = classifier(fairness_weight=0.0, **own).fit(binary.X, binary.y)
    np.testing.assert_allclose(
        zero.predict_proba(binary.test), off.predict_proba(binary.test), rtol=1e-3
    )
