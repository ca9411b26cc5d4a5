"""Threshold policies on classifiers that are not ours: fitted ones, used as they are."""

import pickle

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

import pyfairme as pf
from pyfairme.estimators.refine_and_adapt import FairnessWarning
from pyfairme.metrics import fpr_sd, tpr_sd
from pyfairme.report.display.policy_facts import policy_facts

COLUMNS = ["x1", "x2", "job"]


def people(n, seed):
    """Rows whose outcome depends on two attributes, beside numbers and labels."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "x1": rng.normal(size=n),
            "x2": rng.normal(size=n),
            "job": rng.choice(["a", "b", "c"], n),
            "sex": rng.choice(["f", "m"], n, p=[0.4, 0.6]),
            "race": rng.choice(["r", "s", "t"], n, p=[0.6, 0.3, 0.1]),
        }
    )
    shift = 0.8 * (frame["sex"] == "m") - 0.7 * (frame["race"] == "t") + 0.3 * (frame["job"] == "a")
    chance = expit(-0.6 + frame["x1"] + 0.5 * frame["x2"] + shift)
    return frame, np.where(rng.random(n) < chance, "yes", "no")


TRAIN, CHOOSE, TEST = (people(n, seed) for n, seed in ((4000, 0), (4000, 1), (4000, 2)))
LIMITS = {"sex": 0.01, "race": 0.02}


def pipeline(labels=("job", "sex", "race")):
    encode = make_column_transformer(
        (StandardScaler(), ["x1", "x2"]), (OneHotEncoder(), list(labels)), sparse_threshold=0
    )
    return make_pipeline(encode, LogisticRegression())


@pytest.fixture(scope="module")
def scored():
    return pipeline().fit(*TRAIN)


@pytest.fixture(scope="module")
def joint(scored):
    return pf.JointThresholds(scored, LIMITS).fit(*CHOOSE)


def spread(y, decision, X, name):
    true, found = y == "yes", decision == "yes"
    sds = (one(true, found, sensitive_features=X[name]) for one in (tpr_sd, fpr_sd))
    return max(sds)


def test_a_pipeline_keeps_limits_on_new_rows(joint, scored):
    """SDs of 4,000 new rows have errors of about .02, those of the smallest group .03."""
    X, y = TEST
    decision = joint.predict(X)
    assert joint.estimator_ is scored
    assert set(decision) == {"no", "yes"}
    for name, most in (("sex", 0.04), ("race", 0.08)):
        before = spread(y, scored.predict(X), X, name)
        assert spread(y, decision, X, name) < most < before
    assert (joint.rates_["after"] < joint.rates_["limit"] + 1e-4).all()
    assert joint.needs_sensitive
    assert "p: probability of Pipeline" in joint.describe()
    p, chance = scored.predict_proba(X)[:, 1], joint.predict_proba(X)[:, 1]
    assert ((p > joint.row_thresholds(X)) == (chance > 0.5)).all()
    assert joint.score(X, y) == accuracy_score(y, decision)


def test_groups_given_apart_are_those_of_the_table(joint, scored):
    """X may hold S as well: the classifier then reads it there."""
    X, y = CHOOSE
    for apart in (X[["sex", "race"]], X[["sex", "race"]].to_numpy(), dict(X[["sex", "race"]])):
        found = pf.JointThresholds(scored, LIMITS).fit(X, y, sensitive_features=apart)
        pd.testing.assert_frame_equal(found.thresholds_, joint.thresholds_)
    every = pf.JointThresholds(scored, 0.02).fit(X, y, sensitive_features=X[["sex", "race"]])
    assert every.rates_["attribute"].unique().tolist() == ["sex", "race"]
    rows, groups = TEST[0], TEST[0][["sex", "race"]].sample(frac=1, random_state=0)
    own = joint.predict(rows, sensitive_features=groups.reset_index(drop=True))
    assert (own != joint.predict(rows)).any()
    assert (
        joint.predict(rows, sensitive_features=rows[["sex", "race"]]) == joint.predict(rows)
    ).all()


@pytest.mark.filterwarnings("ignore:.*expected rates are wrong")  # it has a penalty
def test_groups_of_our_classifier_may_be_given_apart(clf, binary):
    S = binary.test[["group1", "group2"]]
    limits = {"group1": 0.01, "group2": 0.01}
    inside = pf.JointThresholds(clf, limits).fit(binary.test, binary.y_test)
    apart = pf.JointThresholds(clf, limits)
    apart.fit(binary.test, binary.y_test, sensitive_features=S.to_numpy())
    pd.testing.assert_frame_equal(apart.rates_, inside.rates_)
    decision = apart.predict(binary.test, sensitive_features=S)
    assert (decision == inside.predict(binary.test)).all()
    report = apart.fairness_report(binary.test, binary.y_test, n_boot=0, sensitive_features=S)
    other = inside.fairness_report(binary.test, binary.y_test, n_boot=0)
    pd.testing.assert_frame_equal(report.frame, other.frame)
    moved = S.assign(group1=S["group1"].to_numpy()[::-1])
    assert (apart.predict(binary.test, sensitive_features=moved) != decision).any()


def test_arrays_need_groups_apart():
    (X, y), (rows, _) = CHOOSE, TEST
    model = LogisticRegression().fit(TRAIN[0][["x1", "x2"]].to_numpy(), TRAIN[1])
    array, new = X[["x1", "x2"]].to_numpy(), rows[["x1", "x2"]].to_numpy()
    with pytest.warns(pf.FairnessWarning, match="not calibrated"):  # it does not know S
        policy = pf.JointThresholds(model, {"sex": 0.02}).fit(array, y, sensitive_features=X["sex"])
    decision = policy.predict(new, sensitive_features=rows["sex"])
    listed = policy.predict(new.tolist(), sensitive_features=rows["sex"].tolist())
    assert (decision == listed).all()
    thin = sparse.csr_array(new)
    assert (policy.predict(thin, sensitive_features=rows["sex"]) == decision).all()
    with pytest.raises(
        ValueError, match=r"X is an array.*sensitive_features=.*array-without-names"
    ):
        policy.predict(new)
    for name in ("sex", None):  # a name may be given, or taken from limits
        series = rows["sex"].rename(name)
        assert (policy.predict(new, sensitive_features=series) == decision).all()
    # a table of which the model was fitted on all but S, as numbers
    table = rows[["x1", "x2", "sex"]]
    assert (policy.predict(table) == decision).all()


def test_any_frame_and_any_order_of_rows_or_columns_decide_alike(joint):
    X = TEST[0]
    decision = joint.predict(X)
    order = np.random.default_rng(0).permutation(len(X))
    assert (joint.predict(X.iloc[order]) == decision[order]).all()
    assert (joint.predict(X[X.columns[::-1]]) == decision).all()
    assert (
        joint.predict(X.assign(more=1.0, **{"job": X["job"].astype("category")})) == decision
    ).all()
    polars = pl.DataFrame({name: X[name].tolist() for name in X})
    assert (joint.predict(polars) == decision).all()
    apart = polars.select("sex", "race")
    assert (joint.predict(polars, sensitive_features=apart) == decision).all()


class Wrapped(ClassifierMixin, BaseEstimator):
    """As a wrapper of another library: no names, no number of columns, classes as a list."""

    def __init__(self, seen=("x1", "x2")):
        self.seen = seen

    def fit(self, X, y):
        self._model = LogisticRegression().fit(X[list(self.seen)], y)
        self.classes_ = self._model.classes_
        return self

    def predict_proba(self, X):
        return self._model.predict_proba(X[list(self.seen)])


@pytest.mark.parametrize(
    "model",
    [
        Wrapped(),
        HistGradientBoostingClassifier(max_iter=10),
        CalibratedClassifierCV(HistGradientBoostingClassifier(max_iter=10), cv=2),
        SVC(),
    ],
    ids=lambda one: type(one).__name__,
)
@pytest.mark.filterwarnings("ignore:The probabilities are not calibrated")
def test_what_gives_probabilities_is_taken_and_else_is_not(model):
    X, y = TRAIN
    model = clone(model).fit(X[["x1", "x2"]], y)
    policy = pf.JointThresholds(model, {"sex": 0.02})
    if isinstance(model, SVC):
        with pytest.raises(TypeError, match=r"with predict_proba, got SVC\. \[not-a-classifier\]"):
            policy.fit(*CHOOSE)
        return
    policy.fit(*CHOOSE)
    assert policy.rates_["after"].max() < 0.021
    frozen = pf.JointThresholds(FrozenEstimator(model), {"sex": 0.02}).fit(*CHOOSE)
    pd.testing.assert_frame_equal(frozen.rates_, policy.rates_)
    by_group = pf.GroupThresholds(model, "sex").fit(*CHOOSE)
    chance = by_group.predict_proba(CHOOSE[0])[:, 1]
    for outcome in ("yes", "no"):
        there = CHOOSE[1] == outcome
        assert (
            np.ptp(pd.Series(chance[there]).groupby(CHOOSE[0]["sex"].to_numpy()[there]).mean())
            < 1e-9
        )


def test_one_attribute_that_is_given_apart_needs_no_name(scored):
    X, y = CHOOSE
    named = pf.GroupThresholds(scored, ("sex", "race")).fit(X, y)
    apart = pf.GroupThresholds(scored).fit(X, y, sensitive_features=X[["sex", "race"]])
    pd.testing.assert_frame_equal(named.thresholds_, apart.thresholds_)
    assert "'sex x race'" in apart.describe()
    decision = apart.predict(X, sensitive_features=X[["sex", "race"]].to_numpy())
    assert (decision == named.predict(X)).all()
    with pytest.raises(ValueError, match="needs an attribute"):
        pf.GroupThresholds(scored).fit(X, y)
    one = pf.GroupThresholds(scored, criterion=None).fit(X, y)
    assert not one.needs_sensitive
    assert recall_score(y, one.predict(X), pos_label="yes") > 0.5


def test_weights_are_repeated_rows(scored):
    X, y = CHOOSE
    times = np.random.default_rng(0).integers(1, 4, len(y))
    at = np.repeat(np.arange(len(y)), times)
    weighted = pf.JointThresholds(scored, LIMITS).fit(X, y, sample_weight=times)
    repeated = pf.JointThresholds(scored, LIMITS).fit(X.iloc[at].reset_index(drop=True), y[at])
    numbers = [name for name in weighted.rates_ if name.endswith(("before", "after"))]
    np.testing.assert_allclose(weighted.rates_[numbers], repeated.rates_[numbers], atol=1e-4)
    # a row that stands for three people is no three rows: it tells less
    wide, narrow = (
        (one.rates_["observed_high"] - one.rates_["observed_low"]).mean()
        for one in (weighted, repeated)
    )
    assert wide > narrow
    np.testing.assert_allclose(
        weighted.thresholds_["threshold"], repeated.thresholds_["threshold"], atol=2e-3
    )


def test_the_report_has_the_decisions(joint):
    X, y = TEST
    report = joint.fairness_report(X, y, n_boot=20)
    found = report.set_index(["attribute", "group", "metric"])["value"]
    decision = joint.predict(X) == "yes"
    for name in ("sex", "race"):
        expected = tpr_sd(y == "yes", decision, sensitive_features=X[name])
        assert found[name, "all", "tpr_sd"] == pytest.approx(expected)
    assert report.attrs["positive"] == "yes"
    assert set(report["clusters"]) == {"seen"}
    assert "counterfactual_gap" not in set(report["metric"])
    apart = joint.fairness_report(X, y, n_boot=0, sensitive_features=X[["sex", "race"]])
    assert apart["value"].equals(report["value"])
    one = joint.fairness_report(X, y, attributes="job", n_boot=0)
    assert set(one["attribute"]) == {"all", "job"}
    assert "sex" in str(report.summary())
    assert "JointThresholds" in joint._html_repr()


def test_pickle_keeps_a_policy_and_save_says_so(joint, tmp_path):
    X = TEST[0]
    again = pickle.loads(pickle.dumps(joint))
    assert (again.predict(X) == joint.predict(X)).all()
    joblib.dump(joint, tmp_path / "policy.joblib")
    assert (joblib.load(tmp_path / "policy.joblib").predict(X) == joint.predict(X)).all()
    by_group = pf.GroupThresholds(joint.estimator, "sex").fit(*CHOOSE)
    for policy in (joint, by_group):
        with pytest.raises(ValueError, match=r"Pipeline is not one of ours?.*joblib\.dump"):
            policy.save(tmp_path / "policy.pyfairme")
    assert not (tmp_path / "policy.pyfairme").exists()


def test_bad_input_is_refused(scored, joint):
    X, y = CHOOSE
    policy = pf.JointThresholds(scored, LIMITS)
    with pytest.raises(ValueError, match=r"effects='fixed' chooses among.*Pipeline has one kind"):
        pf.JointThresholds(scored, LIMITS, effects="fixed").fit(X, y)
    with pytest.raises(ValueError, match=r"No attribute to limit.*Name attributes"):
        pf.JointThresholds(scored, 0.02).fit(X, y)
    blind = LogisticRegression().fit(X[["x1"]], y)
    with pytest.raises(ValueError, match="need the sensitive column 'sex' of every row"):
        pf.JointThresholds(blind, LIMITS).fit(X.drop(columns="sex"), y)
    with pytest.raises(ValueError, match=r"covariate column 'sex' is not in the frame"):
        policy.fit(X.drop(columns="sex"), y, sensitive_features=X[["sex", "race"]])
    with pytest.raises(ValueError, match="X has 4000 rows, sensitive_features has 3"):
        policy.fit(X, y, sensitive_features=["f", "m", "f"])
    with pytest.raises(TypeError, match=r"sensitive_features must be a frame.*got 'sex'"):
        policy.fit(X, y, sensitive_features="sex")
    with pytest.raises(TypeError, match=r"one or two dimensions.*\(2, 1, 1\)"):
        policy.fit(X, y, sensitive_features=np.zeros((2, 1, 1)))
    with pytest.raises(ValueError, match="y holds 'maybe', which is none of the classifier's"):
        policy.fit(X, np.where(np.arange(len(y)) == 3, "maybe", y))
    with pytest.raises(ValueError, match="X has 4000 rows, y has 2"):
        policy.fit(X, ["yes", "no"])
    three = LogisticRegression().fit(X[["x1"]], X["job"])
    with pytest.raises(ValueError, match="two classes, and the classifier has 3"):
        pf.JointThresholds(three, LIMITS).fit(X, y)
    with pytest.raises(TypeError, match="got LinearRegression"):
        pf.JointThresholds(LinearRegression(), LIMITS).fit(X, y)
    with pytest.raises(TypeError, match="got the class LogisticRegression"):
        pf.JointThresholds(LogisticRegression, LIMITS).fit(X, y)
    with pytest.raises(NotFittedError):
        pf.JointThresholds(scored, LIMITS).predict(X)
    with pytest.raises(ValueError, match="not among the rows the thresholds were chosen on"):
        joint.predict(X, sensitive_features=X[["sex", "race"]].assign(race="u"))
    with pytest.raises(ValueError, match="0 sample"):
        joint.predict(X[:0])
    with pytest.raises(ValueError, match=r"reads 'sex', so that sensitive='inferred'"):
        pf.JointThresholds(scored, LIMITS, sensitive="inferred").fit(X, y)


@pytest.mark.parametrize("kind", [pf.JointThresholds, pf.GroupThresholds])
def test_outcomes_and_groups_that_cannot_be_meant_are_named(scored, kind):
    X, y = CHOOSE
    policy = kind(scored, {"sex": 0.02} if kind is pf.JointThresholds else "sex")
    gaps = pd.Series(y, dtype=object).mask(np.arange(len(y)) < 3)
    for given in (gaps, gaps.astype("string"), gaps.astype("category")):
        with pytest.raises(ValueError, match=r"y has 3 missing values.*\[missing-target\]"):
            policy.fit(X, given)
    with pytest.raises(ValueError, match=r"3 missing values.*\[missing-target\]"):
        policy.fit(X, y).fairness_report(X, gaps)
    twice = pd.DataFrame(np.stack([y, y], axis=1), columns=["y", "y"])
    with pytest.raises(ValueError, match=r"shape \(4000, 2\) instead\. \[y-not-rows\]"):
        policy.fit(X, twice)
    with pytest.raises(ValueError, match=r"duplicated ones: 'sex'.*\[column-twice\]"):
        policy.fit(X, y, sensitive_features=X[["sex", "sex"]])
    weights = pd.DataFrame(np.ones((len(y), 2)), columns=["w", "w"])
    with pytest.raises(ValueError, match=r"got 2D array.*\[weights\]"):
        policy.fit(X, y, weights)


def test_an_absent_column_says_what_may_be_meant(scored):
    X, y = CHOOSE
    text = r"Did you mean 'race'\?.*give it as sensitive_features=, or leave the attribute out"
    with pytest.raises(ValueError, match=text):
        pf.JointThresholds(scored, {"rase": 0.1}).fit(X, y)


def test_a_policy_names_its_positive_class_and_small_thresholds():
    """Of "approve" and "deny" the positive class is "deny": rates are of denials."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"x": rng.normal(size=4000), "sex": rng.choice(["f", "m"], 4000)})
    y = np.where(rng.random(4000) < expit(X["x"] - 5.5), "deny", "approve")
    model = LogisticRegression().fit(X[["x"]], y)
    joint = pf.JointThresholds(model, {"sex": 0.2}).fit(X, y)
    group = pf.GroupThresholds(model, "sex", "equal_opportunity").fit(X, y)
    for policy in (joint, group):
        assert "Positive is the class 'deny'." in policy.describe()
    cut = float(joint.thresholds_["threshold"][0])
    assert 0.001 < cut < 0.05  # two or three of three decimals would say nothing
    assert f"p > {cut:#.3g} " in joint.describe()


@pytest.mark.filterwarnings("ignore:The probabilities are not calibrated")
@pytest.mark.parametrize("kind", [pf.JointThresholds, pf.GroupThresholds])
def test_decisions_that_are_all_alike_say_why(kind):
    X, y = CHOOSE
    limits = {"sex": 0.02} if kind is pf.JointThresholds else "sex"
    constant = DummyClassifier().fit(*TRAIN)
    text = r"All 4000 rows get the same decision, because all have the probability 0\.\d+"
    with pytest.warns(FairnessWarning, match=text):
        policy = kind(constant, limits).fit(X, y)
    assert len({*policy.predict(X)}) == 1
    rare = np.where(np.arange(len(y)) % 50 == 0, "yes", "no")
    scored = LogisticRegression().fit(X[["x1"]], rare)
    with pytest.warns(FairnessWarning, match=r"Try objective='balanced_accuracy'.*constant-deci"):
        policy = kind(scored, limits, objective="accuracy").fit(X, rare)
    assert {*policy.predict(X)} == {"no"}
    kind(scored, limits).fit(X, rare)  # no warning


class Odd(Wrapped):
    def predict_proba(self, X):
        return 2 * super().predict_proba(X)


class OneColumn(Wrapped):
    def predict_proba(self, X):
        return super().predict_proba(X)[:, 1]


def test_odd_probabilities_are_refused():
    X, y = TRAIN
    with pytest.raises(ValueError, match=r"probabilities from 0 to 1, got values from"):
        pf.JointThresholds(Odd().fit(X, y), LIMITS).fit(*CHOOSE)
    with pytest.raises(ValueError, match=r"two columns for 4000 rows, got an array of shape"):
        pf.JointThresholds(OneColumn().fit(X, y), LIMITS).fit(*CHOOSE)


@pytest.mark.filterwarnings("ignore:The probabilities are not calibrated")  # they know no S
@pytest.mark.parametrize("one", [False, True])
def test_a_classifier_of_arrays_gets_the_columns_of_fit_in_their_order(one):
    (X, y), (new, _) = CHOOSE, TEST
    model = LogisticRegression().fit(TRAIN[0][["x1", "x2"]].to_numpy(), TRAIN[1])
    policy = pf.GroupThresholds(model, "sex") if one else pf.JointThresholds(model, {"sex": 0.02})
    policy.fit(X[["x1", "x2", "sex"]], y)
    decision = policy.predict(new[["x1", "x2", "sex"]])
    for order in (["sex", "x2", "x1"], ["x2", "race", "job", "x1", "sex"]):
        assert (policy.predict(new[order]) == decision).all()
    apart = policy.predict(new[["x2", "x1"]], sensitive_features=new["sex"])
    assert (apart == decision).all()
    array = new[["x1", "x2"]].to_numpy()
    assert (policy.predict(array, sensitive_features=new["sex"]) == decision).all()
    with pytest.raises(ValueError, match=r"'x2' is not in the frame.*\[absent-column\]"):
        policy.predict(new[["x1", "job", "sex"]])


def test_text_that_gaps_have_become_part_of_is_refused(joint):
    rows = TEST[0].head(3)
    gone = np.array(["f", np.nan, "m"])
    assert gone.dtype.kind == "U"
    for given in (gone, {"sex": gone, "race": rows["race"]}, gone[:, None].repeat(2, 1)):
        with pytest.raises(ValueError, match=r"holds 'nan' in .*dtype=object.*\[missing-label\]"):
            joint.predict(rows, sensitive_features=given)


def test_the_number_of_standard_errors_is_one_that_means_something():
    model = DecisionTreeClassifier(random_state=0).fit(TRAIN[0][["x1", "x2"]], TRAIN[1])
    with pytest.warns(pf.FairnessWarning, match=r"\(more than 100 standard errors\)"):
        pf.JointThresholds(model, {"sex": 0.2}, "demographic_parity").fit(*CHOOSE)


def test_a_view_says_what_the_fitted_limits_are_of(joint):
    again = clone(joint).fit(*CHOOSE).set_params(measure="ratio")
    assert again.measure_ == "sd"
    assert "SD over groups" in policy_facts(again).parts[1].heading


def test_a_number_without_brackets_is_for_joint_thresholds(scored):
    with pytest.raises(TypeError, match=r"got Continuous: take Binned.*\[attribute-kind\]"):
        pf.GroupThresholds(scored, pf.Continuous("x1")).fit(*CHOOSE)


def test_rows_that_count_for_nothing_are_no_evidence(scored):
    """Positive rows of weight 0: there is no class, no group and no probability to choose by."""
    X, y = CHOOSE
    none = np.where(y == "yes", 0.0, 1.0)
    with pytest.raises(ValueError, match=r"rows are of one class.*one-class"):
        pf.GroupThresholds(scored, criterion=None).fit(X, y, none)
    some = np.where((y == "yes") & (X["sex"] == "f"), 0.0, 1.0)
    blind = pipeline(("job",)).fit(TRAIN[0][COLUMNS], TRAIN[1])
    with pytest.raises(ValueError, match=r"No row with sex = 'f' is positive"):
        pf.JointThresholds(blind, {"sex": 0.02}, sensitive="inferred").fit(X, y, some)
    with pytest.raises(ValueError, match="no-threshold"):
        pf.JointThresholds(Certain(), {"sex": 0.02}).fit(X, sample_weight=(X["x1"] < 0) * 1.0)


class Certain(Wrapped):
    """Probability 0 where x1 is below 0."""

    def __init__(self):
        self.classes_ = np.array(["no", "yes"])

    def predict_proba(self, X):
        p = np.where(X["x1"] < 0, 0.0, 0.5)
        return np.stack([1 - p, p], axis=1)


def test_a_fitted_policy_says_what_it_reads_whatever_its_keywords_say_since(scored):
    policy = pf.GroupThresholds(scored, "sex").fit(*CHOOSE)
    policy.set_params(criterion=None)
    assert policy.needs_sensitive
    assert "needs S" in repr(policy)
    assert "Thresholds by group of 'sex' for equalized odds" in policy.describe()
    assert not policy.fit(*CHOOSE).needs_sensitive
