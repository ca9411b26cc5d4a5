"""Threshold policies, against fairlearn used directly on the same scores."""

import numpy as np
import pandas as pd
import pytest
from fairlearn.postprocessing import ThresholdOptimizer
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, balanced_accuracy_score

import pyfairme as pf
from pyfairme.postprocessing import threshold_rules

PEER = {
    "equalized_odds": "equalized_odds",
    "demographic_parity": "demographic_parity",
    "equal_opportunity": "true_positive_rate_parity",
    "false_positive_rate_parity": "false_positive_rate_parity",
}
BRACKET = pf.Binned("x3", (-0.5, 0.5), name="bracket")


class Scores(BaseEstimator):
    """A classifier for fairlearn that knows its scores, in the order of the rows."""

    def __init__(self, clf, effects):
        self.clf, self.effects = clf, effects

    def fit(self, X, y):
        raise NotImplementedError

    def predict_proba(self, X):
        return self.clf.predict_proba(X, effects=self.effects)

    def __sklearn_is_fitted__(self):
        return True


def policy(clf, case, *arguments, **keywords):
    return pf.GroupThresholds(clf, *arguments, **keywords).fit(case.test, case.y_test)


@pytest.fixture(scope="module")
def odds(clf, binary):
    return policy(clf, binary, "group1")


def rates(decision, y, group):
    """Selection rate, TPR and FPR of each group, of decisions or their probabilities."""
    frame = pd.DataFrame({"d": np.asarray(decision), "y": np.asarray(y), "g": np.asarray(group)})
    selected = frame.groupby("g")["d"].mean()
    tpr = frame[frame["y"] == 1].groupby("g")["d"].mean()
    fpr = frame[frame["y"] == 0].groupby("g")["d"].mean()
    return np.stack([selected, tpr, fpr])


@pytest.mark.parametrize("objective", ["balanced_accuracy", "accuracy"])
@pytest.mark.parametrize("criterion", PEER)
def test_decisions_are_those_of_fairlearn(clf, binary, criterion, objective):
    mine = policy(clf, binary, "group2", criterion, objective=objective, effects="fixed")
    peer = ThresholdOptimizer(
        estimator=Scores(clf, "fixed"), constraints=PEER[criterion], prefit=True,
        objective=f"{objective}_score", predict_method="predict_proba",
    )  # fmt: skip
    peer.fit(binary.test, binary.y_test, sensitive_features=binary.test["group2"])
    for rows in (binary.test, binary.unseen):
        expected = peer._pmf_predict(rows, sensitive_features=rows["group2"])
        assert mine.predict_proba(rows) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("criterion", "equal"), [
    ("demographic_parity", [0]), ("equal_opportunity", [1]),
    ("false_positive_rate_parity", [2]), ("equalized_odds", [1, 2]),
])  # fmt: skip
def test_the_criterion_holds_on_the_rows_of_the_choice(clf, binary, criterion, equal):
    found = policy(clf, binary, "group2", criterion)
    chance = found.predict_proba(binary.test)[:, 1]
    for rate in rates(chance, binary.y_test, binary.test["group2"])[equal]:
        assert np.ptp(rate) < 1e-9
    before = rates(clf.predict(binary.test), binary.y_test, binary.test["group2"])[equal]
    assert np.ptp(before, axis=1).max() > 0.03  # there was something to equalise


def test_decisions_follow_their_probabilities(odds, binary):
    chance, decision = odds.predict_proba(binary.test), odds.predict(binary.test)
    assert chance.sum(axis=1) == pytest.approx(1)
    certain = (chance[:, 1] == 0) | (chance[:, 1] == 1)
    assert 0 < certain.sum() < len(certain)  # equalized odds tosses coins
    assert (decision[certain] == chance[certain, 1]).all()
    many = [
        policy(odds.estimator, binary, "group1", random_state=seed).predict(binary.test)
        for seed in range(40)
    ]
    fair = (chance > 0.1).all(axis=1)  # coins that 40 tosses can judge
    deviation = (np.mean(many, axis=0) - chance[:, 1])[fair]
    sd = np.sqrt(chance[fair].prod(axis=1) / len(many))
    assert fair.sum() > 10
    assert np.abs(deviation / sd).max() < 4.5
    assert np.sqrt(np.mean((deviation / sd) ** 2)) == pytest.approx(1, abs=0.35)


def test_a_row_is_decided_alike_in_any_company(odds, binary):
    decision = odds.predict(binary.test)
    order = np.random.default_rng(0).permutation(len(binary.test))
    assert (odds.predict(binary.test.iloc[order]) == decision[order]).all()
    assert [odds.predict(binary.test.iloc[[i]])[0] for i in range(20)] == decision[:20].tolist()
    again = policy(odds.estimator, binary, "group1")
    assert (again.predict(binary.test) == decision).all()
    other = policy(odds.estimator, binary, "group1", random_state=1)
    assert (other.predict(binary.test) != decision).any()


def test_the_coin_does_not_see_dtypes(odds, binary):
    chance = odds.predict_proba(binary.test)[:, 1]
    tossed = binary.test[(chance > 0) & (chance < 1)]
    coded = tossed.astype({"cluster": "category", "group1": "category", "group2": "object"})
    assert (odds.predict(coded) == odds.predict(tossed)).all()


def test_coins_are_uniform_and_differ_by_seed():
    rows = pd.DataFrame({"x": np.arange(20000.0), "z": np.arange(20000) % 7})
    first, second = threshold_rules.coins(rows, 0), threshold_rules.coins(rows, 1)
    counts = np.histogram(first, bins=20, range=(0, 1))[0]
    assert ((counts - 1000) ** 2 / 950).sum() < 43.8  # chi-squared, 19 df, p = .001
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.03


@pytest.mark.parametrize(
    ("objective", "score"),
    [("balanced_accuracy", balanced_accuracy_score), ("accuracy", accuracy_score)],
)
def test_one_threshold_is_the_best_there_is(clf, binary, objective, score):
    found = policy(clf, binary, criterion=None, objective=objective)
    assert not found.needs_sensitive
    p = clf.predict_proba(binary.test)[:, 1]
    best = max(score(binary.y_test, p > cut) for cut in [-1.0, *p])
    assert score(binary.y_test, found.predict(binary.test)) == pytest.approx(best)
    without = binary.unseen.drop(columns="group2")  # clf itself needs group1 only as a covariate
    with pytest.raises(ValueError, match="'group2' is not in the frame"):
        found.predict(without)
    assert list(found.thresholds_["group"]) == ["all"]
    assert (
        found.predict_proba(binary.unseen)[:, 1].tolist() == found.predict(binary.unseen).tolist()
    )


def test_one_threshold_reads_no_group(binary, classifier):
    hidden = classifier(sensitive=["group1", "group2"], drop_sensitive=True)
    hidden.fit(binary.X, binary.y)
    blind = binary.test.drop(columns=["group1", "group2"])
    one = policy(hidden, binary, "group1", None)
    assert (one.predict(blind) == one.predict(binary.test)).all()
    by_group = policy(hidden, binary, "group1")
    with pytest.raises(ValueError, match=r"need the sensitive column 'group1' of every row.*Add"):
        by_group.predict(blind)
    with pytest.raises(ValueError, match="need the sensitive column 'group1'"):
        pf.GroupThresholds(hidden, "group1").fit(blind, binary.y_test)


def test_brackets_and_intersections_have_groups(clf, binary):
    found = policy(clf, binary, BRACKET, "demographic_parity")
    assert list(found.thresholds_["group"]) == ["<=-0.5", "(-0.5, 0.5]", ">0.5"]
    crossed = policy(clf, binary, ("group1", BRACKET), "equal_opportunity")
    assert len(crossed.thresholds_) == 6
    assert crossed.thresholds_["n"].sum() == 200
    both = binary.test["group1"] + " & " + BRACKET.apply(binary.test["x3"])
    tpr = rates(crossed.predict_proba(binary.test)[:, 1], binary.y_test, both)[1]
    assert np.ptp(tpr) < 1e-9


def test_missing_levels_are_a_group(binary, clf):
    rows = binary.test.copy()
    rows.loc[rows.index[:60], "group1"] = None
    found = pf.GroupThresholds(clf, "group1")
    with pytest.warns(UserWarning, match="missing"):  # clf knows no gaps
        found.fit(rows, binary.y_test)
    assert list(found.thresholds_["group"]) == ["g0", "g1", "(missing)"]
    with pytest.warns(UserWarning, match="missing"):
        chance = found.predict_proba(rows)[:, 1]
    tpr = rates(chance, binary.y_test, rows["group1"].fillna("?"))[1]
    assert np.ptp(tpr) < 1e-9


def test_unseen_clusters_are_decided(odds, binary):
    decision = odds.predict(binary.unseen)
    assert set(decision) == {0, 1}
    strict = clone(odds)
    assert strict.estimator is odds.estimator  # a clone shares the fitted classifier
    with pytest.raises(NotFittedError):
        strict.predict(binary.unseen)


def test_labels_are_the_classifiers(binary, classifier):
    words = binary.y.map({0: "no", 1: "yes"}), binary.y_test.map({0: "no", 1: "yes"})
    clf = classifier().fit(binary.X, words[0])
    found = pf.GroupThresholds(clf, "group1").fit(binary.test, words[1])
    assert set(found.predict(binary.unseen)) == {"no", "yes"}


def test_a_level_never_seen_is_refused(odds, binary):
    rows = binary.test.assign(group1=["g9", *binary.test["group1"][1:]])
    with pytest.raises(ValueError, match=r"1 rows belong to a group of 'group1' that was not "):
        odds.predict(rows)


def test_what_cannot_be_chosen_is_refused(clf, binary):
    X, y = binary.test, binary.y_test
    with pytest.raises(ValueError, match=r"these 0|one level only \('g0'\).*criterion=None"):
        pf.GroupThresholds(clf, "group1").fit(X[X["group1"] == "g0"], y[X["group1"] == "g0"])
    empty = y.where(X["group1"] == "g0", 0)
    with pytest.raises(ValueError, match=r"The group 'g1' of 'group1' has no positive row among"):
        pf.GroupThresholds(clf, "group1").fit(X, empty)
    with pytest.raises(ValueError, match="has no negative row"):
        pf.GroupThresholds(clf, "group1", "demographic_parity").fit(X, 1 - empty)
    with pytest.raises(ValueError, match="All 200 rows are of one class"):
        pf.GroupThresholds(clf, criterion=None).fit(X, np.ones(200, int))
    with pytest.raises(ValueError, match="X has 200 rows, y has 3"):
        pf.GroupThresholds(clf, "group1").fit(X, [0, 1, 1])


def test_bad_keywords_are_refused(clf, binary, reg):
    X, y = binary.test, binary.y_test
    for keywords, message in [
        ({"attribute": None}, "criterion='equalized_odds' needs an attribute"),
        ({"criterion": "parity"}, "Invalid value of criterion: 'parity'"),
        ({"objective": "auc"}, "Invalid value of objective"),
        ({"effects": "all"}, "Invalid value of effects"),
        ({"grid_size": 0}, "Invalid value of grid_size"),
    ]:
        with pytest.raises(ValueError, match=message):
            pf.GroupThresholds(**{"estimator": clf, "attribute": "group1", **keywords}).fit(X, y)
    with pytest.raises(TypeError, match="one policy has one attribute"):
        pf.GroupThresholds(clf, ["group1", "group2"]).fit(X, y)
    with pytest.raises(TypeError, match="another classifier with predict_proba, got Fair"):
        pf.GroupThresholds(reg, "group1").fit(X, y)
    with pytest.raises(NotFittedError):
        pf.GroupThresholds(pf.FairMixedEffectsClassifier(), "group1").fit(X, y)


def test_the_report_is_the_estimators_with_the_policys_decisions(odds, clf, binary):
    mine = odds.fairness_report(binary.test, binary.y_test, n_boot=10)
    base = clf.fairness_report(binary.test, binary.y_test, n_boot=10)
    base = base[base["effects"] == "mixed"].reset_index(drop=True)
    keys = ["effects", "clusters", "attribute", "group", "class", "metric"]
    assert mine[keys].equals(base[keys])
    found = mine.set_index(["attribute", "group", "metric"])["value"]
    tpr, fpr = rates(odds.predict(binary.test), binary.y_test, binary.test["group1"])[1:]
    assert found["group1", "all", "tpr_sd"] == pytest.approx(np.std(tpr))
    assert found["group1", "all", "fpr_sd"] == pytest.approx(np.std(fpr))
    same = mine["metric"].isin(["auroc", "log_loss", "brier", "counterfactual_gap"])
    assert mine.loc[same, "value"].tolist() == base.loc[same, "value"].tolist()
    gap = mine[mine["metric"] == "counterfactual_gap"]
    assert gap["note"].str.contains("thresholds are not in it").all()
    other = policy(clf, binary, "group2")
    assert set(other.fairness_report(binary.test, binary.y_test, n_boot=0)["attribute"]) == {
        "all", "group1", "group2",
    }  # fmt: skip


def test_it_says_that_it_needs_the_group(odds, clf, binary):
    assert odds.needs_sensitive
    assert "needs S when predicting" in repr(odds)
    assert "NEEDS THE SENSITIVE ATTRIBUTE: 'group1'" in odds.describe()
    chances = np.unique(odds.predict_proba(binary.test)[binary.test["group1"] == "g1", 1])
    line = next(line for line in odds.describe().splitlines() if line.startswith("- g1 ("))
    assert all(f"{chance:.3g}" in line for chance in chances)
    html = odds._html_repr()
    assert all(f'data-value="{n!r}"' in html for n in odds.thresholds_["above"].tolist())
    assert "NEEDS THE SENSITIVE ATTRIBUTE" in html
    one = pf.GroupThresholds(clf, criterion=None)
    assert 'class="pyfairme"' not in one._html_repr()
    assert "no S" in repr(one)
    assert "Not fitted yet" in one.describe()


@pytest.mark.parametrize(
    "keywords",
    [
        {"attribute": ("group1", BRACKET), "random_state": 3},
        {"attribute": "group1", "effects": "fixed", "random_state": None},
        {"criterion": None},
    ],
)
def test_a_saved_policy_decides_alike(clf, binary, tmp_path, keywords):
    found = policy(clf, binary, **keywords)
    found.save(tmp_path / "policy.pyfairme")
    again = pf.GroupThresholds.load(tmp_path / "policy.pyfairme")
    assert again.attribute == found.attribute
    assert (again.predict(binary.unseen) == found.predict(binary.unseen)).all()
    assert again.predict_proba(binary.test).tobytes() == found.predict_proba(binary.test).tobytes()
    assert again.thresholds_.equals(found.thresholds_)
    assert again.describe() == found.describe()


def test_another_file_is_refused(clf, tmp_path):
    clf.save(tmp_path / "clf.pyfairme")
    with pytest.raises(ValueError, match="holds a 'FairMixedEffectsClassifier', not a GroupThr"):
        pf.GroupThresholds.load(tmp_path / "clf.pyfairme")


@pytest.mark.filterwarnings("ignore:Unlike the training rows")  # g9
def test_groups_never_seen_can_be_decided_by_one_threshold(clf, binary, tmp_path):
    rows = binary.test.assign(group1=["g9", *binary.test["group1"][1:]])
    found = policy(clf, binary, "group1", unknown_groups="pooled")
    one = policy(clf, binary, criterion=None)
    read = policy(clf, binary, "group1")
    decided = found.predict_proba(rows)
    np.testing.assert_array_equal(decided[0], one.predict_proba(rows)[0])
    np.testing.assert_array_equal(decided[1:], read.predict_proba(binary.test)[1:])
    found.save(tmp_path / "policy")
    again = pf.GroupThresholds.load(tmp_path / "policy")
    np.testing.assert_array_equal(again.predict_proba(rows), decided)
    with pytest.raises(ValueError, match=r"unknown_groups='pooled' .* \[unknown-group\]"):
        read.predict(rows)
    with pytest.raises(ValueError, match=r"unknown_groups: 'pool'\. Valid values are \['raise', '"):
        read.set_params(unknown_groups="pool").predict(rows)
