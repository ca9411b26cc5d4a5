"""Thresholds of several attributes at once, against linear programming and simulation."""

import copy
import re

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq, linprog
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.tree import DecisionTreeClassifier

import pyfairme as pf
from pyfairme.data.attributes import Attribute
from pyfairme.metrics import fpr_sd, tpr_sd
from pyfairme.postprocessing.calibration_check import warn_of_beliefs
from pyfairme.postprocessing.inferred_groups import Features, infer, learn
from pyfairme.postprocessing.joint_rule import Members, expected_rates, gains, joint_rule
from pyfairme.postprocessing.limit_support import Limit

BRACKET = pf.Binned("x3", (-0.5, 0.5), name="bracket")


def rows(n, seed):
    """Probabilities that differ between the groups of two attributes, two and two."""
    rng = np.random.default_rng(seed)
    codes = {"a": rng.integers(2, size=n), "b": (rng.random(n) < 0.3).astype(int)}
    p = expit(-1 + 0.9 * codes["a"] - 0.7 * codes["b"] + rng.normal(size=n))
    return p, {name: Members.of(code, 2) for name, code in codes.items()}


def doubtful(n, seed):
    """The same where only chances of the groups are known, others for each outcome."""
    p, members = rows(n, seed)
    rng = np.random.default_rng(seed + 100)
    found = {}
    for name, known in members.items():
        two = [expit(3 * known.positive[:, 1] - 1.5 + rng.normal(size=n)) for _ in range(2)]
        found[name] = Members(*(np.stack([1 - q, q], axis=1) for q in two))
    return p, found


def linear_program(p, members, limits, objective):
    """Least loss over all d in [0, 1]: of two groups the SD is half their difference."""
    reward, charge = gains(p, objective)
    gain = reward * p - charge * (1 - p)
    table, bounds = [], []
    for limit in limits:
        positive, negative = members[limit.attribute]
        weight = np.zeros_like(positive)
        weight += (limit.rate != "fpr") * p[:, None] * positive
        weight += (limit.rate != "tpr") * (1 - p)[:, None] * negative
        one, two = weight.T
        gap = one / one.sum() - two / two.sum()
        table += [gap, -gap]
        bounds += [2 * limit.bound] * 2
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
@pytest.mark.parametrize("draw", [rows, doubtful])
def test_no_rule_loses_less(draw, limits, objective):
    limits = tuple(Limit(*one) for one in limits)
    p, members = draw(3000, seed=0)
    least = linear_program(p, members, limits, objective)
    rule = joint_rule(p, members, limits, objective)
    chance = rule.chances(p, members)
    gain = rule.reward * p - rule.charge * (1 - p)
    loss = gain[gain > 0].sum() - gain @ chance
    assert least > 0.0005  # the limits cost something
    assert rule.least == pytest.approx(least, rel=0.01)
    assert rule.least <= least + 1e-9  # weak duality
    assert loss == pytest.approx(least, rel=0.05, abs=2e-5)
    for limit in limits:
        found = expected_rates(chance, p, members[limit.attribute], limit.rate)
        assert np.std(found) < limit.bound + 5e-4


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
    members = {"a": Members.of(codes["a"], 3), "b": Members.of(codes["b"], 5)}
    rule = joint_rule(p, members, limits, "balanced_accuracy")
    chance = rule.chances(p, members)
    for limit in limits:
        rates_ = expected_rates(chance, p, members[limit.attribute], limit.rate)
        assert rates_.std() < sd + 1e-4
    gain = rule.reward * p - rule.charge * (1 - p)
    loss = np.maximum(gain, 0).sum() - gain @ chance
    assert 0.001 < rule.least <= loss < rule.least + 1e-3


def test_a_group_without_rows_is_refused():
    p, members = rows(100, seed=0)
    members["a"] = Members(*(np.pad(one, ((0, 0), (0, 1))) for one in members["a"]))
    with pytest.raises(ValueError, match="rows of every group of 'a', and one has none"):
        joint_rule(p, members, (Limit("a", "tpr", 0.1),), "accuracy")


def test_equal_odds_need_coins_and_looser_limits_few():
    p, members = rows(3000, seed=0)
    shares = []
    for sd in (0.0, 0.02):
        limits = tuple(Limit("a", rate, sd) for rate in ("tpr", "fpr"))
        chance = joint_rule(p, members, limits, "balanced_accuracy").chances(p, members)
        shares.append(((chance > 0) & (chance < 1)).mean())
    assert shares[0] > 0.3
    assert shares[1] < 0.05


def test_limits_that_do_not_bind_are_one_threshold():
    p, members = rows(500, seed=1)
    limits = (Limit("a", "tpr", np.inf), Limit("b", "fpr", 0.4))
    rule = joint_rule(p, members, limits, "accuracy")
    assert rule.least == 0
    reward, charge = rule.weights(members)
    assert charge / (reward + charge) == pytest.approx(0.5)
    assert set(rule.chances(p, members)) == {0.0, 1.0}


def test_new_rows_keep_the_limits_too():
    """Known truth: y is drawn from p. Rates of 100,000 new rows have an error of about .003."""
    limits = tuple(Limit(a, r, 0.01) for a in "ab" for r in ("tpr", "fpr"))
    p, members = rows(20_000, seed=2)
    rule = joint_rule(p, members, limits, "balanced_accuracy")
    p, members = rows(100_000, seed=3)
    y = np.random.default_rng(4).random(len(p)) < p
    decision = np.random.default_rng(5).random(len(p)) < rule.chances(p, members)
    plain = p * rule.reward > (1 - p) * rule.charge
    for name in "ab":
        for sd in (tpr_sd, fpr_sd):
            group = members[name].positive[:, 1]
            before = sd(y, plain, sensitive_features=group)
            assert sd(y, decision, sensitive_features=group) < 0.018 < 0.05 < before
    lost = balanced_accuracy_score(y, plain) - balanced_accuracy_score(y, decision)
    assert lost == pytest.approx(rule.least, abs=0.006)


def proxies(n, seed):
    """Known truth: y and a proxy x depend on a group that no rule reads."""
    rng = np.random.default_rng(seed)
    group = rng.integers(2, size=n)
    x = rng.normal(group, 1.0)
    given = expit(np.stack([x - 2, x - 1], axis=1))  # P(y = 1 | x, group)
    y = rng.random(n) < given[np.arange(n), group]
    share = np.stack([expit(0.5 - x), expit(x - 0.5)], axis=1)  # P(group | x)
    p = (share * given).sum(1)
    truth = Members(share * given / p[:, None], share * (1 - given) / (1 - p)[:, None])
    return x, group, y.astype(int), p, truth


def test_groups_that_are_not_read_are_inferred_and_their_limits_kept():
    """Rates of 100,000 new rows have an error of about .003; those of the true chances alike."""
    x, group, y, p, truth = proxies(20_000, seed=0)
    attribute = Attribute.fit(pd.DataFrame({"group": group}), "group")
    coefficients = learn(attribute, group, y, np.stack([x, np.log(p / (1 - p))], axis=1))
    limits = tuple(Limit("group", rate, 0.01) for rate in ("tpr", "fpr"))
    x_, group_, y_, p_, truth_ = proxies(100_000, seed=1)
    learnt = infer(coefficients, np.stack([x_, np.log(p_ / (1 - p_))], axis=1))
    for one, other in zip(learnt, truth_, strict=True):
        assert abs(one - other).mean() < 0.02  # of 7,000 rows of an outcome
    here = infer(coefficients, np.stack([x, np.log(p / (1 - p))], axis=1))
    rule = joint_rule(p, {"group": here}, limits, "balanced_accuracy")
    known = joint_rule(p, {"group": truth}, limits, "balanced_accuracy")
    read = joint_rule(p, {"group": Members.of(group, 2)}, limits, "balanced_accuracy")
    assert rule.least == pytest.approx(known.least, rel=0.05)
    assert read.least != pytest.approx(known.least, rel=0.2)  # p is not P(y | x, group) there
    plain = p_ * rule.reward > (1 - p_) * rule.charge
    decision = np.random.default_rng(2).random(len(p_)) < rule.chances(p_, {"group": learnt})
    for sd in (tpr_sd, fpr_sd):
        before = sd(y_, plain, sensitive_features=group_)
        assert sd(y_, decision, sensitive_features=group_) < 0.018 < 0.1 < before
    lost = balanced_accuracy_score(y_, plain) - balanced_accuracy_score(y_, decision)
    assert lost == pytest.approx(known.least, abs=0.006)


@pytest.fixture(scope="module")
def unfair(binary):
    clf = pf.FairMixedEffectsClassifier(
        "cluster", ("group1", "group2"), fairness=None, guide="mean_field", hidden=(8,), epochs=1,
        min_steps=1000, random_state=0, progress=False,
    )  # fmt: skip
    return clf.fit(binary.X, binary.y)


@pytest.fixture(scope="module")
def unread(unfair, binary):
    clf = clone(unfair).set_params(drop_sensitive=True)
    return clf.fit(binary.X, binary.y)


@pytest.fixture(scope="module")
def inferred(unread, binary):
    return pf.JointThresholds(unread, 0.02, sensitive="inferred").fit(binary.X, binary.y)


S = ["group1", "group2"]


@pytest.mark.long
def test_inferred_groups_are_read_of_no_row(inferred, unread, binary):
    assert not inferred.needs_sensitive
    assert "infers S" in repr(inferred)
    assert "INFERS 'group1', 'group2' from covariates" in inferred.describe()
    assert (inferred.rates_["after"] < 0.021).all()
    assert inferred.rates_["before"].max() > 0.05
    decision = inferred.predict(binary.test)
    bare = binary.test.drop(columns=S)
    assert (inferred.predict(bare) == decision).all()
    assert (inferred.predict(bare.assign(group1=np.inf, group2=None)) == decision).all()
    shuffled = bare.join(binary.test[S].sample(frac=1, random_state=0).set_index(bare.index))
    assert (inferred.predict(shuffled) == decision).all()
    p, chance = unread.predict_proba(bare)[:, 1], inferred.predict_proba(bare)[:, 1]
    assert ((p > inferred.row_thresholds(bare)) == (chance > 0.5)).all()
    assert (decision == chance)[(chance == 0) | (chance == 1)].all()
    report = inferred.fairness_report(binary.test, binary.y_test, n_boot=0)
    found = report.set_index(["attribute", "metric"])["value"]
    expected = tpr_sd(binary.y_test, decision, sensitive_features=binary.test["group2"])
    assert found["group2", "tpr_sd"] == pytest.approx(expected)


def test_new_clusters_and_a_saved_policy_infer_alike(inferred, binary, tmp_path):
    inferred.save(tmp_path / "policy.pyfairme")
    again = pf.JointThresholds.load(tmp_path / "policy.pyfairme")
    rows = binary.unseen.drop(columns=S)
    np.testing.assert_array_equal(again.predict_proba(rows), inferred.predict_proba(rows))
    assert not again.needs_sensitive
    assert again.describe() == inferred.describe()


def test_what_was_fitted_says_whether_groups_are_read(joint, inferred, binary, tmp_path):
    for policy, needs in ((joint, True), (inferred, False)):
        kept = policy.sensitive
        policy.set_params(sensitive="inferred" if needs else "read")  # not fitted again
        assert policy.needs_sensitive is needs
        policy.save(tmp_path / "policy.pyfairme")
        policy.set_params(sensitive=kept)
        again = pf.JointThresholds.load(tmp_path / "policy.pyfairme")
        assert (again.sensitive, again.needs_sensitive) == (kept, needs)
        assert (again.predict(binary.test) == policy.predict(binary.test)).all()


def test_fixed_effects_infer_groups_from_no_cluster(unread, binary):
    fixed = pf.JointThresholds(unread, 0.05, sensitive="inferred", effects="fixed")
    chance = fixed.fit(binary.X, binary.y).predict_proba(binary.test)
    elsewhere = binary.test.assign(cluster=binary.X["cluster"].iloc[0])
    np.testing.assert_array_equal(fixed.predict_proba(elsewhere), chance)
    mixed = pf.JointThresholds(unread, 0.05, sensitive="inferred").fit(binary.X, binary.y)
    assert (mixed.predict_proba(elsewhere) != mixed.predict_proba(binary.test)).any()


def test_features_of_groups_follow_the_classifier_or_stop(unread, binary, monkeypatch):
    frame, p = binary.test, np.full(len(binary.test), 0.3)
    learnt = Features.of(unread, "mixed")
    before = learnt.read(unread, frame, p)
    clusters = len(learnt.clusters["cluster"])
    assert before.shape == (len(frame), len(learnt.columns) + clusters + 1)
    assert (before[:, -1 - clusters : -1].sum(1) == 1).all()
    unseen = learnt.read(unread, binary.unseen, np.full(len(binary.unseen), 0.3))
    assert (unseen[:, -1 - clusters : -1] == 0).all()
    wider = unread.design_.with_clusters("cluster", ["a new one"])
    with monkeypatch.context() as patch:
        patch.setattr(unread, "design_", wider)
        np.testing.assert_array_equal(learnt.read(unread, frame, p), before)
    other = learnt._replace(columns=learnt.columns[::-1])
    with pytest.raises(
        ValueError, match=r"fitted again after the groups were learned.*policy again"
    ):
        other.read(unread, frame, p)


def test_wrong_probabilities_are_noticed_where_groups_are_inferred():
    """The standard error is that of outcomes given the chances of groups, not of both."""
    _, group, y, p, truth = proxies(4000, seed=3)
    groups = {"group": Attribute.fit(pd.DataFrame({"group": group}), "group")}
    warn_of_beliefs([], p, {"group": truth}, groups, y)
    shifted = expit(np.log(p / (1 - p)) + 0.25)
    with pytest.warns(pf.FairnessWarning, match="The probabilities are not calibrated"):
        warn_of_beliefs([], shifted, {"group": truth}, groups, y)


@pytest.mark.parametrize("seed", range(5))
def test_calibrated_probabilities_raise_no_doubt(seed):
    _, group, y, p, truth = proxies(4000, seed=seed)
    groups = {"group": Attribute.fit(pd.DataFrame({"group": group}), "group")}
    warn_of_beliefs([], p, {"group": truth}, groups, y)


def test_tied_probabilities_of_sorted_rows_raise_no_doubt():
    rng = np.random.default_rng(0)
    p = np.repeat([0.1, 0.4, 0.8], 2000)
    y = np.concatenate([np.sort(rng.random(2000) < one) for one in (0.1, 0.4, 0.8)]).astype(float)
    groups = {"group": Attribute.fit(pd.DataFrame({"group": ["a", "b"]}), "group")}
    members = {"group": Members.of(rng.integers(2, size=len(p)), 2)}
    warn_of_beliefs([], p, members, groups, y)
    warn_of_beliefs([], np.full(len(p), y.mean()), members, groups, np.sort(y))


@pytest.mark.parametrize("factor", [0.5, 2.0], ids=["too moderate", "too bold"])
def test_probabilities_of_the_wrong_shape_are_told_and_isotonic_regression_cures_them(factor):
    """Their sum is right in every group: moved until it is."""
    rng = np.random.default_rng(0)
    n = 6000
    group = rng.integers(2, size=n)
    link = 1.5 * rng.normal(size=n)
    y = (rng.random(n) < expit(link)).astype(float)
    told = np.zeros(n)
    for one in (0, 1):
        own = group == one
        shift = brentq(lambda a, own=own: np.sum(expit(factor * link[own] + a) - y[own]), -9, 9)
        told[own] = expit(factor * link[own] + shift)
    members = {"group": Members.of(group, 2)}
    groups = {"group": Attribute.fit(pd.DataFrame({"group": group.astype(str)}), "group")}
    with pytest.warns(pf.FairnessWarning, match="uncalibrated-probabilities"):
        warn_of_beliefs([], told, members, groups, y)
    half = n // 2
    isotonic = IsotonicRegression(out_of_bounds="clip").fit(told[:half], y[:half])
    cured = np.clip(isotonic.predict(told[half:]), 0.01, 0.99)
    rest = {"group": Members.of(group[half:], 2)}
    warn_of_beliefs([], cured, rest, groups, y[half:])


def test_what_cannot_be_inferred_is_refused(unfair, unread, inferred, binary):
    X, y = binary.X, binary.y
    policy = pf.JointThresholds(unread, 0.02, sensitive="inferred")
    with pytest.raises(ValueError, match=r"from X and y: give fit\(X, y\), or choose"):
        policy.fit(X)
    with pytest.raises(ValueError, match=r"reads 'group1', so that.*drop_sensitive=True"):
        pf.JointThresholds(unfair, 0.02, sensitive="inferred").fit(X, y)
    rare = (X["group2"] != "g2") | (np.asarray(y) == 0)
    with pytest.raises(ValueError, match="No row with group2 = 'g2' is positive: who belongs"):
        policy.fit(X[rare], y[rare])
    with pytest.raises(ValueError, match="Invalid value of sensitive: 'guessed'"):
        clone(policy).set_params(sensitive="guessed").fit(X, y)
    with pytest.raises(ValueError, match="need the sensitive column 'group1'"):
        policy.fit(X.drop(columns="group1"), y)


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
    html = joint._html_repr()
    assert all(f'data-value="{n!r}"' in html for n in joint.rates_["after"].tolist())
    assert re.search(r"- group2 = g1 \(\d+ rows\): p > 0\.\d+", text)
    assert re.search(
        r"SD of true positive rates over group2: 0\.\d+ to 0\.\d+ \(limit 0\.03\)", text
    )
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
    with pytest.raises(TypeError, match="another classifier with predict_proba, got str"):
        pf.JointThresholds("model", 0.1).fit(X)


def test_probabilities_that_are_not_calibrated_are_warned_of(unfair, binary, monkeypatch):
    for keywords, text in [
        ({"fairness": "moment", "fairness_weight": 0.3}, "fairness='moment'.*pulled together"),
        ({"class_weight": "balanced"}, "class_weight='balanced'.*other shares of the classes"),
    ]:
        for name, value in keywords.items():
            monkeypatch.setattr(unfair, name, value)
        monkeypatch.setattr(unfair, "_fitted_params", unfair.get_params(deep=False))  # as if so
        with pytest.warns(pf.FairnessWarning, match=text):
            pf.JointThresholds(unfair, 0.1).fit(binary.test)
        monkeypatch.undo()
    monkeypatch.setattr(unfair, "fairness", "moment")
    monkeypatch.setattr(unfair, "fairness_weight", {"group1": 0.0})
    monkeypatch.setattr(unfair, "_fitted_params", unfair.get_params(deep=False))
    pf.JointThresholds(unfair, 0.1).fit(binary.test)  # no pull at all
    monkeypatch.undo()
    with pytest.warns(
        pf.FairnessWarning, match=r"not calibrated: of the rows with group\d = 'g\d'"
    ):
        pf.JointThresholds(unfair, 0.1).fit(binary.test, np.ones(200, int))


def test_coins_for_most_rows_are_warned_of(unfair, binary):
    with pytest.warns(pf.FairnessWarning, match=r"\d+% of the rows are decided at random"):
        pf.JointThresholds(unfair, {("group1", "group2"): 0.0}).fit(binary.test)


def test_rows_that_share_a_probability_are_parted_by_coins(unfair, binary):
    found = pf.JointThresholds(unfair, {"group1": {"selection_rate": 0.0}}, effects="random")
    with pytest.warns(pf.FairnessWarning, match="random effects alone know neither groups"):
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


@pytest.mark.filterwarnings("ignore:Unlike the training rows")  # g9
def test_groups_never_seen_can_add_nothing_to_the_threshold(joint, binary):
    rows = binary.test.assign(group2="g9")
    with pytest.raises(ValueError, match=r"unknown_groups='pooled' .* \[unknown-group\]"):
        joint.predict(rows)
    found = copy.copy(joint).set_params(unknown_groups="pooled")
    at = found.row_thresholds(rows)
    # group2 says nothing there, so the threshold is a function of group1 alone
    assert pd.Series(at).groupby(rows["group1"].to_numpy()).nunique().eq(1).all()
    known = found.row_thresholds(binary.test)
    np.testing.assert_array_equal(known, joint.row_thresholds(binary.test))
    assert found.predict(rows.assign(group1="g9")).shape == (200,)


@pytest.mark.parametrize(("certain", "rate"), [(0.0, "tpr"), (1.0, "fpr")])
def test_a_group_whose_probabilities_are_certain_has_no_rate_to_limit(certain, rate):
    group = np.arange(300) % 3
    p = np.where(group == 2, certain, np.linspace(0.05, 0.95, 300))
    members = {"a": Members.of(group, 3)}
    with pytest.raises(ValueError, match=rf"with a = 2 are {certain:.0f}: .*their {rate} is not"):
        joint_rule(p, members, (Limit("a", rate, 0.02),), "accuracy")
    free = joint_rule(p, members, (Limit("a", rate, np.inf),), "accuracy")
    assert free.least == 0
    assert (free.chances(p, members) == (p > 0.5)).all()
    limit = Limit("a", "selection_rate", 0.02)  # it is defined
    rule = joint_rule(p, members, (limit,), "accuracy")
    after = expected_rates(rule.chances(p, members), p, members["a"], limit.rate)
    assert np.std(after) < 0.021


def test_a_tree_that_is_sure_of_a_group_is_told():
    rng = np.random.default_rng(0)
    group = rng.choice(["a", "b", "c"], 600)
    x = rng.normal(size=600) - 9 * (group == "c")
    y = (rng.random(600) < 1 / (1 + np.exp(-x))).astype(int)
    X = pd.DataFrame({"x": x})
    tree = DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=r"with S = 'c' are 0.*\[group-without-outcome\]"):
        pf.JointThresholds(tree, {"S": 0.02}).fit(X, y, sensitive_features=group)
    with pytest.warns(pf.FairnessWarning, match=r"tpr over 'S' is not defined"):
        policy = pf.JointThresholds(tree, {"S": np.inf}).fit(X, y, sensitive_features=group)
    assert policy.loss_ == 0
