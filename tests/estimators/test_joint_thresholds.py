"""Thresholds of several attributes at once, against linear programming and simulation."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import balanced_accuracy_score

import pyfairme as pf
from pyfairme.estimators.joint_rules import Limit, expected_rates, gains, joint_rule
from pyfairme.metrics import fpr_sd, tpr_sd

BRACKET = pf.Binned("x3", (-0.5, 0.5), name="bracket")


def rows(n, seed):
    """Probabilities that differ between the groups of two attributes, two and two."""
    rng = np.random.default_rng(seed)
    codes = {"a": rng.integers(2, size=n), "b": (rng.random(n) < 0.3).astype(int)}
    p = expit(-1 + 0.9 * codes["a"] - 0.7 * codes["b"] + rng.normal(size=n))
    return p, codes, {"a": 2, "b": 2}


def linear_program(p, codes, limits, objective):
    """Least loss over all d in [0, 1]: of two groups the SD is half their difference."""
    reward, charge = gains(p, objective)
    gain = reward * p - charge * (1 - p)
    table, bounds = [], []
    for limit in limits:
        weight = {"tpr": p, "fpr": 1 - p, "selection_rate": np.ones_like(p)}[limit.rate]
        one, two = ((codes[limit.attribute] == g) * weight for g in (0, 1))
        gap = one / one.sum() - two / two.sum()
        table += [gap, -gap]
        bounds += [2 * limit.sd] * 2
    found = linprog(-gain, A_ub=np.array(table), b_ub=bounds, bounds=(0, 1), method="highs")
    assert found.success
    return np.maximum(gain, 0).sum() + found.fun


@pytest.mark.parametrize("objective", ["balanced_accuracy", "accuracy"])
@pytest.mark.parametrize(
    "limits",
    [
        [("a", "tpr", 0.0)],
        [("a", "tpr", 0.03), ("b", "tpr", 0.02)],
        [("a", "tpr", 0.0), ("a", "fpr", 0.0)],  # equalized odds: many coins
        [("a", "tpr", 0.0), ("a", "fpr", 0.0), ("b", "fpr", 0.01)],
        [("a", "selection_rate", 0.01), ("b", "selection_rate", 0.0)],
    ],
)
def test_no_rule_loses_less(limits, objective):
    limits = tuple(Limit(*one) for one in limits)
    p, codes, groups = rows(3000, seed=0)
    least = linear_program(p, codes, limits, objective)
    rule = joint_rule(p, codes, groups, limits, objective)
    chance = rule.chances(p, codes)
    gain = rule.reward * p - rule.charge * (1 - p)
    loss = gain[gain > 0].sum() - gain @ chance
    assert least > 0.0005  # the limits cost something
    assert rule.least == pytest.approx(least, rel=0.01)
    assert rule.least <= least + 1e-9  # weak duality
    assert loss == pytest.approx(least, rel=0.05, abs=2e-5)
    for limit in limits:
        found = expected_rates(chance, p, codes[limit.attribute], 2, limit.rate)
        assert np.std(found) < limit.sd + 5e-4


@pytest.mark.parametrize("sd", [0.0, 0.01, 0.04])
def test_more_groups_have_their_certificate(sd):
    """Limits are kept at a loss near the bound: then no rule can lose less."""
    rng = np.random.default_rng(6)
    codes = {
        "a": rng.integers(3, size=4000),
        "b": rng.choice(5, 4000, p=[0.6, 0.2, 0.1, 0.08, 0.02]),
    }
    p = expit(-1 + 0.5 * codes["a"] - 0.3 * codes["b"] + rng.normal(size=4000))
    limits = tuple(Limit(name, rate, sd) for name in "ab" for rate in ("tpr", "fpr"))
    rule = joint_rule(p, codes, {"a": 3, "b": 5}, limits, "balanced_accuracy")
    chance = rule.chances(p, codes)
    for limit in limits:
        groups = len(rule.parts[limit.attribute])
        rates_ = expected_rates(chance, p, codes[limit.attribute], groups, limit.rate)
        assert rates_.std() < sd + 1e-4
    gain = rule.reward * p - rule.charge * (1 - p)
    loss = np.maximum(gain, 0).sum() - gain @ chance
    assert 0.001 < rule.least <= loss < rule.least + 1e-3


def test_a_group_without_rows_is_refused():
    p, codes, groups = rows(100, seed=0)
    with pytest.raises(ValueError, match="rows of every group of 'a', and one has none"):
        joint_rule(p, codes, groups | {"a": 3}, (Limit("a", "tpr", 0.1),), "accuracy")


def test_equal_odds_need_coins_and_looser_limits_few():
    p, codes, groups = rows(3000, seed=0)
    shares = []
    for sd in (0.0, 0.02):
        limits = tuple(Limit("a", rate, sd) for rate in ("tpr", "fpr"))
        chance = joint_rule(p, codes, groups, limits, "balanced_accuracy").chances(p, codes)
        shares.append(((chance > 0) & (chance < 1)).mean())
    assert shares[0] > 0.3
    assert shares[1] < 0.05


def test_limits_that_do_not_bind_are_one_threshold():
    p, codes, groups = rows(500, seed=1)
    limits = (Limit("a", "tpr", np.inf), Limit("b", "fpr", 0.4))
    rule = joint_rule(p, codes, groups, limits, "accuracy")
    assert rule.least == 0
    reward, charge = rule.weights(codes)
    assert charge / (reward + charge) == pytest.approx(0.5)
    assert set(rule.chances(p, codes)) == {0.0, 1.0}


def test_new_rows_keep_the_limits_too():
    """Known truth: y is drawn from p. Rates of 100,000 new rows have an error of about .003."""
    limits = tuple(Limit(a, r, 0.01) for a in "ab" for r in ("tpr", "fpr"))
    p, codes, groups = rows(20_000, seed=2)
    rule = joint_rule(p, codes, groups, limits, "balanced_accuracy")
    p, codes, groups = rows(100_000, seed=3)
    y = np.random.default_rng(4).random(len(p)) < p
    decision = np.random.default_rng(5).random(len(p)) < rule.chances(p, codes)
    plain = p * rule.reward > (1 - p) * rule.charge
    for name in "ab":
        for sd in (tpr_sd, fpr_sd):
            before = sd(y, plain, sensitive_features=codes[name])
            assert sd(y, decision, sensitive_features=codes[name]) < 0.018 < 0.05 < before
    lost = balanced_accuracy_score(y, plain) - balanced_accuracy_score(y, decision)
    assert lost == pytest.approx(rule.least, abs=0.006)


@pytest.fixture(scope="module")
def unfair(binary):
    clf = pf.FairMixedEffectsClassifier(
        "cluster", ("group1", "group2"), fairness=None, guide="mean_field", hidden=(8,), epochs=1,
        min_steps=1000, random_state=0, progress=False,
    )  # fmt: skip
    return clf.fit(binary.X, binary.y)


@pytest.fixture(scope="module")
def joint(unfair, binary):
    return pf.JointThresholds(unfair, {"group1": 0.02, "group2": {"tpr": 0.03}}).fit(
        binary.test, binary.y_test
    )


def test_the_table_says_what_was_reached(joint, unfair, binary):
    lines = joint.rates_
    assert lines[["attribute", "rate", "limit"]].values.tolist() == [
        ["group1", "tpr", 0.02], ["group1", "fpr", 0.02], ["group2", "tpr", 0.03],
    ]  # fmt: skip
    assert (lines["before"] > lines["limit"]).any()
    assert (lines["after"] < lines["limit"] + 0.001).all()
    assert 0 <= joint.least_loss_ <= joint.loss_ < joint.least_loss_ + 0.002
    decision = joint.predict(binary.test)
    chance = joint.predict_proba(binary.test)[:, 1]
    positive = binary.y_test == 1
    tpr = pd.Series(chance)[positive.to_numpy()].groupby(
        binary.test.loc[positive, "group2"].to_numpy()
    )
    assert lines["observed_after"].iloc[2] == pytest.approx(np.std(tpr.mean()))
    p = unfair.predict_proba(binary.test)[:, 1]
    tossed = (chance > 0) & (chance < 1)
    assert joint.coins_ == pytest.approx(tossed.mean())
    assert 0 < tossed.sum() < 40
    assert (decision == chance)[~tossed].all()
    above = p > joint.row_thresholds(binary.test)
    assert (decision == above)[~tossed].all()
    assert ((chance > 0.5) == above).all()
    order = np.random.default_rng(0).permutation(len(decision))
    assert (joint.predict(binary.test.iloc[order]) == decision[order]).all()
    other = clone(joint).set_params(random_state=1).fit(binary.test).predict(binary.test)
    assert (other == decision)[~tossed].all()


def test_outcomes_move_no_threshold(joint, unfair, binary):
    blind = clone(joint).fit(binary.test)
    assert blind.thresholds_.equals(joint.thresholds_)
    assert "observed_after" not in blind.rates_


def test_a_number_limits_every_attribute(unfair, binary):
    every = pf.JointThresholds(unfair, np.inf, "demographic_parity").fit(binary.test)
    assert every.rates_["attribute"].tolist() == ["group1", "group2"]
    assert set(every.rates_["rate"]) == {"selection_rate"}
    assert (
        f"from that of one threshold, p > {every.thresholds_['threshold'][0]:.3f}"
        in every.describe()
    )
    assert every.least_loss_ == 0
    assert every.thresholds_["threshold"].nunique() == 1


def test_it_says_that_it_needs_the_groups(joint, unfair):
    assert joint.needs_sensitive
    assert "needs S when predicting" in repr(joint)
    text = joint.describe()
    assert "NEEDS THE SENSITIVE ATTRIBUTES: 'group1', 'group2'" in text
    assert re.search(r"- group2 = g1 \(\d+ rows\): p > 0\.\d+", text)
    assert re.search(r"SD of tpr over group2: 0\.\d+ to 0\.\d+ \(limit 0\.03\)", text)
    assert "Not fitted yet" in pf.JointThresholds(unfair, 0.1).describe()


def test_bad_input_is_refused(unfair, clf, binary):
    X = binary.test
    for limits, keywords, message in [
        ({"age": 0.1}, {}, "need the sensitive column 'age' of every row.*Available columns: 'x1'"),
        ({"group1": -0.1}, {}, "limit of 'group1' must be a number from 0 to 0.5.*got -0.1"),
        ({"group1": 2}, {}, "a number from 0 to 0.5, the largest SD over groups.*got 2"),
        ({"group1": "2 %"}, {}, "must be a number from 0 to 0.5.*got '2 %'"),
        ({"group1": {}}, {}, "No rate of 'group1' is limited: name one of tpr, fpr"),
        (
            {BRACKET: 0.1, "bracket": 0.1},
            {},
            "limits names 'bracket' twice|sensitive column 'bracket'",
        ),
        ({"group1": {"recall": 0.1}}, {}, "Invalid value of a rate in limits: 'recall'"),
        ({}, {}, "No attribute to limit"),
        (0.1, {"criterion": "parity"}, "Invalid value of criterion: 'parity'"),
        (0.1, {"objective": "auc"}, "Invalid value of objective"),
        (0.1, {"effects": "all"}, "Invalid value of effects"),
    ]:
        with pytest.raises(ValueError, match=message):
            pf.JointThresholds(unfair, limits, **keywords).fit(X)
    one = X[X["group1"] == "g0"]
    with pytest.raises(ValueError, match=r"one level only.*leave the attribute out of limits"):
        pf.JointThresholds(unfair, 0.1).fit(one)
    found = pf.JointThresholds(
        unfair, {"group1": np.float32(0.1), "group2": {"tpr": np.int64(0)}}
    ).fit(X)
    before = found.predict_proba(X)
    with pytest.raises(ValueError, match=r"one level only"):
        found.set_params(limits=0.3).fit(one)  # leaves it as it was
    assert (found.predict_proba(X) == before).all()
    with pytest.raises(ValueError, match=r"'group2' is not in the frame|does not have it"):
        found.predict(X.drop(columns="group2"))
    with pytest.raises(ValueError, match="not among the rows the thresholds were chosen on"):
        pf.JointThresholds(unfair, {"group2": 0.1}).fit(X[X["group2"] != "g2"]).predict(X)
    with pytest.raises(ValueError, match="X has 200 rows, y has 3"):
        found.fit(X, [0, 1, 1])
    with pytest.raises(NotFittedError):
        clone(found).predict(X)
    with pytest.raises(TypeError, match="must be a fitted FairMixedEffectsClassifier, got str"):
        pf.JointThresholds("model", 0.1).fit(X)


def test_probabilities_that_are_not_calibrated_are_warned_of(unfair, binary, monkeypatch):
    for keywords, text in [
        ({"fairness": "moment", "fairness_weight": 0.3}, "fairness='moment'.*pulled together"),
        ({"class_weight": "balanced"}, "class_weight='balanced'.*other shares of the classes"),
    ]:
        for name, value in keywords.items():
            monkeypatch.setattr(unfair, name, value)
        with pytest.warns(pf.FairnessWarning, match=text):
            pf.JointThresholds(unfair, 0.1).fit(binary.test)
        monkeypatch.undo()
    monkeypatch.setattr(unfair, "fairness", "moment")
    monkeypatch.setattr(unfair, "fairness_weight", {"group1": 0.0})
    pf.JointThresholds(unfair, 0.1).fit(binary.test)  # no pull at all
    monkeypatch.undo()
    with pytest.warns(
        pf.FairnessWarning, match=r"not calibrated: of the rows with group\d = 'g\d'"
    ):
        pf.JointThresholds(unfair, 0.1).fit(binary.test, np.ones(200, int))


def test_coins_for_most_rows_are_warned_of(unfair, binary):
    with pytest.warns(pf.FairnessWarning, match=r"A coin decides \d+% of the rows"):
        pf.JointThresholds(unfair, {("group1", "group2"): 0.0}).fit(binary.test)


def test_rows_that_share_a_probability_are_parted_by_coins(unfair, binary):
    found = pf.JointThresholds(unfair, {"group1": {"selection_rate": 0.0}}, effects="random")
    with pytest.warns(pf.FairnessWarning, match="random effects alone do not know the groups"):
        found.fit(binary.test.iloc[:40])
    assert found.coins_ > 0
    assert (found.rates_["after"] < 0.002).all()


def test_the_report_has_the_policys_decisions(joint, unfair, binary):
    mine = joint.fairness_report(binary.test, binary.y_test, n_boot=0)
    found = mine.set_index(["attribute", "group", "metric"])["value"]
    decision = joint.predict(binary.test)
    for name in ("group1", "group2"):
        sd = tpr_sd(binary.y_test, decision, sensitive_features=binary.test[name])
        assert found[name, "all", "tpr_sd"] == pytest.approx(sd)
    assert set(mine["effects"]) == {"mixed"}


def test_a_saved_policy_decides_alike(unfair, binary, tmp_path):
    found = pf.JointThresholds(
        unfair,
        {BRACKET: 0.05, "group1": {"fpr": 0.01}, ("group1", "group2"): {"tpr": 0.1}},
        random_state=None,
    ).fit(binary.test, binary.y_test)
    found.save(tmp_path / "policy.pyfairme")
    again = pf.JointThresholds.load(tmp_path / "policy.pyfairme")
    assert (again.predict(binary.unseen) == found.predict(binary.unseen)).all()
    assert again.describe() == found.describe()
    pd.testing.assert_frame_equal(again.rates_, found.rates_)
    pd.testing.assert_frame_equal(again.thresholds_, found.thresholds_)
    refitted = again.fit(binary.test)
    assert refitted.thresholds_.equals(found.thresholds_)
    with pytest.raises(ValueError, match=r"read it with JointThresholds\.load"):
        pf.load(tmp_path / "policy.pyfairme")
    with pytest.raises(ValueError, match="holds a 'JointThresholds', not a GroupThresholds"):
        pf.GroupThresholds.load(tmp_path / "policy.pyfairme")
