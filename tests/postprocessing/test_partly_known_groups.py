"""Groups that are inferred from tables of any classifier, or where a row's S is missing."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

import pyfairme as pf
from pyfairme.metrics import fpr_sd, tpr_sd

LIMIT = {"group": 0.01}
pytestmark = pytest.mark.filterwarnings("ignore:.*of the rows are decided at random")


def proxies(n, seed, gaps=0.0):
    """Known truth: y and a proxy x depend on a group, which may be missing at random."""
    rng = np.random.default_rng(seed)
    group = rng.integers(2, size=n)
    x = rng.normal(group, 1.0)
    y = (rng.random(n) < expit(x - 2 + group)).astype(int)
    label = pd.Series(np.where(group == 1, "b", "a"))
    table = pd.DataFrame({"x": x, "group": label.mask(rng.random(n) < gaps)})
    return table, y, label


class Truth(ClassifierMixin, BaseEstimator):
    """P(y | x), or P(y | x, group) where the group is there."""

    def __init__(self, reads):
        self.reads = reads
        self.classes_ = np.array([0, 1])
        self.feature_names_in_ = np.array(["x", "group"] if reads else ["x"], dtype=object)

    def predict_proba(self, X):
        x = X["x"].to_numpy()
        given = expit(np.stack([x - 2, x - 1], axis=1))
        share = np.stack([expit(0.5 - x), expit(x - 0.5)], axis=1)
        p = (share * given).sum(1)
        if self.reads:
            p = np.where(X["group"] == "a", given[:, 0], p)
            p = np.where(X["group"] == "b", given[:, 1], p)
        return np.stack([1 - p, p], axis=1)


def worst(policy, rows, y, label):
    decision = policy.predict(rows)
    return max(sd(y, decision, sensitive_features=label) for sd in (tpr_sd, fpr_sd))


@pytest.mark.parametrize("share", [0.3, 0.8])
@pytest.mark.parametrize("reads", [False, True])
def test_limits_hold_on_new_rows_where_groups_are_missing(reads, share):
    """Rates of 100,000 new rows have an error of about .003."""
    X, y, _ = proxies(20_000, 0, share)
    policy = pf.JointThresholds(Truth(reads), LIMIT, sensitive="read_or_inferred").fit(X, y)
    new, y_new, label = proxies(100_000, 1, share)
    assert worst(policy, new, y_new, label) < 0.018
    plain = pf.JointThresholds(Truth(reads), np.inf, sensitive="read_or_inferred")
    plain.set_params(limits={"group": np.inf}).fit(X, y)
    assert worst(plain, new, y_new, label) > 0.1
    gone = new["group"].isna().to_numpy()
    for part in (gone, ~gone):  # nor do known rows make up for the others
        assert worst(policy, new[part], y_new[part], label[part]) < 0.03
    assert policy.rates_["attribute"].tolist() == ["group"] * 2 + ["group (missing)"] * 2
    assert policy.rates_["observed_after"].max() < 0.03
    low, high = policy.rates_["observed_low"], policy.rates_["observed_high"]
    assert low.isna().tolist() == high.isna().tolist() == [False, False, True, True]
    assert (high - low)[:2].between(0.01, 0.1).all()  # of groups that nobody observed none is known
    assert "infers them where a row's are missing" in policy.describe()
    chance = policy.predict_proba(new[gone])
    assert (policy.predict_proba(new)[gone] == chance).all()


def test_what_is_known_helps_as_much_as_there_is_of_it():
    """The bound of the loss rises from that of read groups to that of inferred ones."""
    bounds = {}
    for share in (0.0, 0.5, 1.0):
        X, y, label = proxies(20_000, 0, share)
        if share == 1.0:
            found = pf.JointThresholds(Truth(False), LIMIT, sensitive="inferred")
            bounds[share] = found.fit(X.assign(group=label), y).least_loss_
            continue
        found = pf.JointThresholds(Truth(False), LIMIT, sensitive="read_or_inferred").fit(X, y)
        bounds[share] = found.least_loss_
    read = pf.JointThresholds(Truth(True), LIMIT).fit(X.assign(group=label), y)
    # a blind p that is brought up to date is P(y | x, group) up to what was learned
    assert bounds[0.0] == pytest.approx(read.least_loss_, rel=0.1)
    assert bounds[0.0] != pytest.approx(bounds[1.0], rel=0.05)
    assert min(bounds[0.0], bounds[1.0]) < bounds[0.5] < max(bounds[0.0], bounds[1.0])


def test_a_missing_group_is_one_of_its_own_unless_asked_otherwise():
    X, y, _ = proxies(4000, 0, 0.3)
    policy = pf.JointThresholds(Truth(True), LIMIT).fit(X, y)
    assert policy.thresholds_["group"].tolist() == ["a", "b", "(missing)"]
    asked = pf.JointThresholds(Truth(True), LIMIT, sensitive="read_or_inferred").fit(X, y)
    assert asked.thresholds_["group"].tolist() == ["a", "b"] * 2
    assert asked.thresholds_["n"][:2].sum() == X["group"].notna().sum()
    assert asked.thresholds_["n"].sum() == pytest.approx(4000, abs=2)


def test_rows_without_a_group_teach_nothing_where_groups_are_inferred():
    """A third group in their place would loosen a limit on the SD of two by sqrt(3 / 2).

    Rates of 200,000 new rows have an error of about .002, the groups' chances of .002.
    """
    X, y, _ = proxies(40_000, 0, 0.4)
    limit = {"group": 0.03}
    policy = pf.JointThresholds(Truth(False), limit, sensitive="inferred").fit(X, y)
    assert policy.thresholds_["group"].tolist() == ["a", "b"]
    assert policy.rates_["after"].max() == pytest.approx(0.03, abs=0.001)
    assert policy.rates_["observed_after"].max() == pytest.approx(0.03, abs=0.012)
    new, y_new, label = proxies(200_000, 1)
    assert worst(policy, new[["x"]], y_new, label) == pytest.approx(0.03, abs=0.005)
    known = X["group"].notna().to_numpy()
    same = pf.JointThresholds(Truth(False), limit, sensitive="inferred").fit(X[known], y[known])
    found = (policy.predict(new[["x"]]) == same.predict(new[["x"]])).mean()
    assert found > 0.98


def test_gaps_are_no_new_groups_and_new_groups_no_gaps():
    X, y, _ = proxies(4000, 0, 0.3)
    policy = pf.JointThresholds(Truth(True), LIMIT, sensitive="read_or_inferred").fit(X, y)
    new = proxies(500, 1, 0.3)[0]
    new.loc[3, "group"] = "c"
    with pytest.raises(ValueError, match=r"1 rows belong to a group of 'group' that was not"):
        policy.predict(new)
    assert len(policy.set_params(unknown_groups="pooled").predict(new)) == 500
    with pytest.raises(ValueError, match="column 'group'"):
        policy.predict(new[["x"]])
    with pytest.raises(ValueError, match=r"'group' is missing in all 4000 rows"):
        policy.fit(X.assign(group=None), y)
    with pytest.raises(ValueError, match=r"sensitive='read_or_inferred' learns.*from X and y"):
        policy.fit(X)


@pytest.mark.parametrize("bare", [False, True], ids=["frame", "array"])
@pytest.mark.parametrize("by", [None, HistGradientBoostingClassifier(max_iter=30)], ids=str)
def test_groups_are_inferred_for_any_classifier(by, bare):
    """Rates of 100,000 new rows have an error of .003; boosting learns chances less well."""
    X, y, label = proxies(20_000, 0)
    new, y_new, label_new = proxies(100_000, 1)
    X, new = X[["x"]], new[["x"]]
    if bare:
        X, new = X.to_numpy(), new.to_numpy()
    model = HistGradientBoostingClassifier(max_iter=30)
    policy = pf.JointThresholds(model, LIMIT, sensitive="inferred", group_model=by, cv=3)
    policy.fit(X, y, sensitive_features={"group": label})
    assert worst(policy, new, y_new, label_new) < (0.04 if by is None else 0.08)
    assert not policy.needs_sensitive
    plain = policy.estimator_.predict(new)
    assert tpr_sd(y_new, plain, sensitive_features=label_new) > 0.1


@pytest.mark.filterwarnings("ignore:The probabilities are not calibrated")  # they know no job
def test_labels_gaps_and_new_labels_are_encoded_for_inferred_groups():
    rng = np.random.default_rng(0)
    X, y, label = proxies(6000, 0)
    X = X.assign(job=np.where(label == "b", "nurse", "smith"), number=rng.normal(size=6000))
    X["number"] = X["number"].mask(rng.random(6000) < 0.2)
    X["job"] = X["job"].mask(rng.random(6000) < 0.3)
    model = HistGradientBoostingClassifier(max_iter=20).fit(X[["x", "number"]], y)
    policy = pf.JointThresholds(model, LIMIT, sensitive="inferred").fit(X, y)
    names = [*model.feature_names_in_]
    assert len(policy.predict(X[names])) == 6000

    class Whole(Truth):
        def __init__(self):
            super().__init__(False)
            del self.feature_names_in_

    wide = pf.JointThresholds(Whole(), LIMIT, sensitive="inferred").fit(X, y)
    bare = X.drop(columns="group")
    odd = bare.assign(job="pilot", number=np.inf)
    assert np.isfinite(wide.predict_proba(odd)).all()
    told = wide.row_thresholds(bare.assign(job="nurse", x=0.0, number=0.0))
    other = wide.row_thresholds(bare.assign(job="smith", x=0.0, number=0.0))
    assert abs(told[0] - other[0]) > 0.01  # the job tells the group


def test_a_policy_of_ours_that_infers_where_s_is_missing_is_saved(binary, tmp_path):
    clf = pf.FairMixedEffectsClassifier(
        "cluster", ("group1", "group2"), fairness=None, drop_sensitive=True, guide="mean_field",
        hidden=(8,), epochs=1, min_steps=300, random_state=0, progress=False,
    ).fit(binary.X, binary.y)  # fmt: skip
    some = np.random.default_rng(0).random(len(binary.X)) < 0.3
    gaps = binary.X.assign(group1=binary.X["group1"].mask(some))
    policy = pf.JointThresholds(clf, 0.05, sensitive="read_or_inferred").fit(gaps, binary.y)
    policy.save(tmp_path / "policy.pyfairme")
    again = pf.JointThresholds.load(tmp_path / "policy.pyfairme")
    rows = binary.test.assign(group2=binary.test["group2"].mask(binary.test["x1"] > 0))
    np.testing.assert_array_equal(again.predict_proba(rows), policy.predict_proba(rows))
    assert again.describe() == policy.describe()
    ratio = pf.JointThresholds(clf, 0.8, "demographic_parity", measure="ratio")
    ratio.fit(binary.test)
    ratio.save(tmp_path / "ratio.pyfairme")
    again = pf.JointThresholds.load(tmp_path / "ratio.pyfairme")
    assert again.measure == "ratio"
    assert "least ratio of selection rates over group1" in again.describe()
    inferred = pf.JointThresholds(
        clf, 0.05, sensitive="inferred", group_model=LogisticRegression(max_iter=500)
    ).fit(binary.X, binary.y)
    with pytest.raises(ValueError, match="group_model is not one of our classifiers"):
        inferred.save(tmp_path / "inferred.pyfairme")


@pytest.mark.parametrize("calibration", [None, "isotonic"])
def test_thresholds_of_rows_are_of_the_classifiers_own_probability(calibration):
    """A known group corrects it before it is decided on: its threshold moves the other way."""
    X, y, _ = proxies(4000, 0, gaps=0.3)
    policy = pf.JointThresholds(
        Truth(False), {"group": 0.05}, sensitive="read_or_inferred", calibration=calibration
    ).fit(X, y)
    p, chance = Truth(False).predict_proba(X)[:, 1], policy.predict_proba(X)[:, 1]
    cut, sure = policy.row_thresholds(X), (chance == 0) | (chance == 1)
    assert sure.mean() > 0.6
    for part in (sure & X["group"].isna(), sure & X["group"].notna()):
        assert ((p > cut) == (chance == 1))[part].all()
    assert "corrected for groups that are known" in policy.describe()
    plain = pf.JointThresholds(Truth(True), {"group": 0.05}, sensitive="read_or_inferred").fit(X, y)
    assert "corrected" not in plain.describe()
