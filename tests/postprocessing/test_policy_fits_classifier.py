"""Threshold policies that fit their classifier, within scikit-learn's own tools."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

import pyfairme as pf


def people(n, seed):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "x1": rng.normal(size=n),
            "x2": rng.normal(size=n),
            "sex": rng.choice(["f", "m"], n, p=[0.4, 0.6]),
        }
    )
    chance = expit(-0.6 + frame["x1"] + 0.5 * frame["x2"] + 0.9 * (frame["sex"] == "m"))
    return frame, (rng.random(n) < chance).astype(int)


X, Y = people(4000, 0)
NEW, Y_NEW = people(6000, 1)


def model(**keywords):
    encode = make_column_transformer(
        (StandardScaler(), ["x1", "x2"]), (OneHotEncoder(), ["sex"]), sparse_threshold=0
    )
    return Pipeline([("encode", encode), ("model", LogisticRegression(**keywords))])


def gap(decision, rows=NEW):
    """Difference of selection rates."""
    return float(np.ptp(pd.Series(decision).groupby(rows["sex"].to_numpy()).mean()))


def joint(estimator, **keywords):
    keywords = {"measure": "difference", **keywords}
    return pf.JointThresholds(estimator, {"sex": 0.01}, "demographic_parity", **keywords)


def test_a_classifier_that_is_not_fitted_is_fitted_and_stays_as_it_is():
    unfitted = model()
    policy = joint(unfitted).fit(X, Y)
    assert not hasattr(unfitted, "classes_")
    assert policy.estimator_ is not unfitted
    whole = model().fit(X, Y)
    np.testing.assert_allclose(policy.estimator_.predict_proba(X), whole.predict_proba(X))
    assert policy.estimator is unfitted
    # thresholds are those of out-of-fold probabilities
    p = cross_val_predict(model(), X, Y, cv=5, method="predict_proba")[:, 1]
    seen = joint(Known(p)).fit(X.assign(row=np.arange(len(X))), Y)
    np.testing.assert_allclose(seen.thresholds_["threshold"], policy.thresholds_["threshold"])
    assert gap(policy.predict(NEW)) < 0.03 < gap(whole.predict(NEW))


class Known(ClassifierMixin, BaseEstimator):
    """Probabilities by the number of the row."""

    def __init__(self, p):
        self.p = p
        self.classes_ = np.array([0, 1])

    def predict_proba(self, X):
        p = self.p[X["row"]]
        return np.stack([1 - p, p], axis=1)


@pytest.mark.parametrize("policy", ["joint", "group"])
def test_overfitted_scores_need_folds(policy):
    """On its own training rows a deep tree is sure of everything; held-out rows show its rates."""
    tree = DecisionTreeClassifier(min_samples_leaf=3, random_state=0)
    bare = X[["x1", "x2"]].assign(sex=(X["sex"] == "m").astype(int))
    new = NEW[["x1", "x2"]].assign(sex=(NEW["sex"] == "m").astype(int))

    def fitted(estimator):
        if policy == "joint":
            return joint(estimator).fit(bare, Y)
        return pf.GroupThresholds(estimator, "sex", "demographic_parity").fit(bare, Y)

    if policy == "joint":  # such a tree is too sure of new rows as well
        with pytest.warns(pf.FairnessWarning, match="uncalibrated-probabilities"):
            honest = fitted(tree)
    else:
        honest = fitted(tree)
    assert gap(honest.predict(new)) < 0.05
    assert gap(honest.estimator_.predict(new)) > 0.08


def test_a_fitted_one_is_shared_and_an_unfitted_one_is_cloned():
    fitted, unfitted = model().fit(X, Y), model()
    assert clone(joint(fitted)).estimator is fitted
    copy = clone(joint(unfitted))
    assert copy.estimator is not unfitted
    copy.set_params(estimator__model__C=0.5)
    assert unfitted.get_params()["model__C"] == 1.0
    assert clone(joint(fitted, cv=3)).estimator is not fitted
    assert joint(fitted).fit(X, Y).estimator_ is fitted
    assert joint(fitted, cv=3).fit(X, Y).estimator_ is not fitted
    frozen = FrozenEstimator(fitted)
    again = clone(joint(frozen, cv=3)).fit(X, Y)
    assert again.estimator_ is frozen
    np.testing.assert_allclose(
        again.thresholds_["threshold"], joint(fitted).fit(X, Y).thresholds_["threshold"]
    )


def test_it_works_within_scikit_learns_tools():
    policy = joint(model())
    assert is_classifier(policy)
    decision = cross_val_predict(policy, X, Y, cv=3)
    assert gap(decision, X) < 0.08
    scores = cross_val_score(policy, X, Y, cv=3, scoring="balanced_accuracy")
    assert scores.min() > 0.6
    grid = {"estimator__model__C": [1e-2, 1.0], "objective": ["accuracy", "balanced_accuracy"]}
    search = GridSearchCV(policy, grid, cv=3, scoring="balanced_accuracy").fit(X, Y)
    chosen = search.best_params_["estimator__model__C"]
    assert search.best_estimator_.estimator_.get_params()["model__C"] == chosen
    # at the end of a pipeline whose steps keep names
    keep = make_column_transformer(
        (StandardScaler(), ["x1", "x2"]), remainder="passthrough", verbose_feature_names_out=False
    ).set_output(transform="pandas")
    whole = make_pipeline(keep, joint(model())).fit(X, Y)
    assert (whole.predict(NEW) == joint(model()).fit(X, Y).predict(NEW)).mean() > 0.99


@pytest.mark.filterwarnings("ignore:The probabilities are not calibrated")  # they know no S
def test_groups_are_routed_as_metadata():
    bare = X[["x1", "x2"]].to_numpy()
    policy = joint(LogisticRegression())
    with sklearn.config_context(enable_metadata_routing=True):
        policy.set_fit_request(sensitive_features=True)
        policy.set_score_request(sensitive_features=True)
        scores = cross_val_score(policy, bare, Y, params={"sensitive_features": X["sex"]}, cv=3)
    assert scores.min() > 0.6


@pytest.mark.filterwarnings("ignore:The probabilities are not calibrated")
@pytest.mark.parametrize("estimator", [model(), LogisticRegression()], ids=["pipeline", "plain"])
def test_weights_reach_the_classifier(estimator):
    table = X if isinstance(estimator, Pipeline) else X[["x1", "x2"]]
    options = {} if isinstance(estimator, Pipeline) else {"sensitive_features": X["sex"]}
    times = np.random.default_rng(0).integers(1, 4, len(Y))
    policy = joint(estimator).fit(table, Y, sample_weight=times, **options)
    at = np.repeat(np.arange(len(Y)), times)
    whole = clone(estimator).fit(table.iloc[at], Y[at])
    np.testing.assert_allclose(
        policy.estimator_.predict_proba(table), whole.predict_proba(table), atol=1e-3
    )


@pytest.mark.filterwarnings("ignore:The probabilities are not calibrated")
def test_a_classifier_without_weights_is_told():
    with pytest.warns(pf.DataWarning, match="KNeighborsClassifier.fit takes no sample_weight"):
        joint(KNeighborsClassifier(30)).fit(
            X[["x1", "x2"]], Y, sample_weight=np.arange(len(Y)) + 1.0, sensitive_features=X["sex"]
        )


@pytest.mark.filterwarnings("ignore:The probabilities are not calibrated")
def test_weights_reach_the_model_of_groups():
    """Weights that are the same for all rows but those of men with a high x2 move its slope."""
    weight = np.where((X["x2"] > 0) & (X["sex"] == "m"), 5.0, 0.2)
    scored = LogisticRegression().fit(X[["x1", "x2"]], Y)

    def chances(by):
        policy = joint(scored, sensitive="inferred", group_model=by)
        return policy.fit(X, Y, sample_weight=weight)._reading.chances["sex"]

    plain = LogisticRegression()
    for alone, last in zip(chances(plain), chances(make_pipeline(plain)), strict=True):
        np.testing.assert_allclose(last[-1].coef_, alone.coef_, rtol=1e-6)
        assert np.abs(alone.coef_).max() > 1
    with pytest.warns(pf.DataWarning, match=r"takes no sample_weight.*\[weights-not-fitted\]"):
        chances(KNeighborsClassifier(50))


def test_folds_may_be_chosen():
    splits = list(StratifiedKFold(3, shuffle=True, random_state=0).split(X, Y))
    one = joint(model(), cv=splits).fit(X, Y)
    other = joint(model(), cv=StratifiedKFold(3, shuffle=True, random_state=0)).fit(X, Y)
    pd.testing.assert_frame_equal(one.thresholds_, other.thresholds_)
    with pytest.raises(ValueError, match=r"hold every row out once.*\[cv-partition\]"):
        joint(model(), cv=ShuffleSplit(3, random_state=0)).fit(X, Y)


def test_what_cannot_be_fitted_is_told():
    with pytest.raises(ValueError, match=r"Pipeline is not fitted.*\[policy-fits-classifier\]"):
        joint(model()).fit(X)
    with pytest.raises(ValueError, match="two classes, and y has 3"):
        joint(model()).fit(X, np.arange(len(Y)) % 3)
    with pytest.raises(ValueError, match=r"one class.*\[one-class\]"):
        joint(model()).fit(X, np.ones(len(Y)))
    with pytest.raises(NotFittedError):  # ours takes minutes: only where cv asks for it
        joint(pf.FairMixedEffectsClassifier()).fit(X, Y)
    with pytest.raises(NotFittedError):
        joint(model()).predict(X)


@pytest.mark.filterwarnings("ignore:The probabilities are not calibrated")  # a short training
def test_ours_is_fitted_where_cv_asks_for_it():
    clf = pf.FairMixedEffectsClassifier(
        sensitive="sex", fairness=None, guide="mean_field", hidden=(4,), min_steps=1000, epochs=1,
        random_state=0, progress=False,
    )  # fmt: skip
    policy = pf.JointThresholds(clf, 0.02, "demographic_parity", cv=2).fit(X, Y)
    assert not hasattr(clf, "classes_")
    assert isinstance(policy.estimator_, pf.FairMixedEffectsClassifier)
    assert policy.rates_["attribute"].tolist() == ["sex"]
    assert gap(policy.predict(NEW)) < gap(policy.estimator_.predict(NEW)) / 2
    assert (policy.predict(NEW) == clone(policy).fit(X, Y).predict(NEW)).all()


@pytest.mark.filterwarnings("ignore:The probabilities are not calibrated")  # S is no covariate
@pytest.mark.parametrize("named", [False, True])
def test_ours_reads_groups_given_apart_only_where_it_names_them(named):
    clf = pf.FairMixedEffectsClassifier(
        sensitive="sex" if named else None, fairness=None, guide="mean_field", hidden=(4,),
        min_steps=1000, epochs=1, random_state=0, progress=False,
    )  # fmt: skip
    bare, new = X.drop(columns="sex"), NEW.drop(columns="sex")
    policy = pf.JointThresholds(clf, {"sex": 0.02}, "demographic_parity", cv=2)
    policy.fit(bare, Y, sensitive_features=X["sex"])
    assert ("sex" in policy.estimator_.feature_names_in_) == named
    decision = policy.predict(new, sensitive_features=NEW["sex"])
    if named:
        inside = pf.JointThresholds(clf, {"sex": 0.02}, "demographic_parity", cv=2).fit(X, Y)
        assert (inside.predict(NEW) == decision).all()
    else:
        assert gap(decision) < 0.08  # limit .04, three errors of .013
    report = policy.fairness_report(new, Y_NEW, n_boot=0, sensitive_features=NEW["sex"])
    assert "sex" in set(report["attribute"])


def test_categories_and_gaps_go_to_a_classifier_that_takes_them():
    rows = X.assign(sex=X["sex"].astype("category"), x1=X["x1"].where(X["x1"] < 1))
    boosted = HistGradientBoostingClassifier(max_iter=20, categorical_features="from_dtype")
    policy = joint(boosted, cv=3).fit(rows, Y)
    assert policy.feature_names_in_.tolist() == ["x1", "x2", "sex"]
    assert gap(policy.predict(rows), X) < 0.06


@parametrize_with_checks([pf.GroupThresholds(LogisticRegression(), criterion=None, cv=2)])
@pytest.mark.filterwarnings("ignore")
def test_one_threshold_for_any_classifier_is_an_estimator_of_scikit_learn(estimator, check):
    """Without exceptions."""
    check(estimator)


class Alternating(pf.JointThresholds):
    """Groups of the checks' tables, which have none: every other row."""

    @staticmethod
    def _groups(X):
        return {"row": np.arange(np.shape(X)[0] if hasattr(X, "shape") else len(np.asarray(X))) % 2}

    def fit(self, X, y=None, sample_weight=None):
        return super().fit(X, y, sample_weight, sensitive_features=self._groups(X))

    def predict(self, X, **_):
        return super().predict(X, sensitive_features=self._groups(X))

    def predict_proba(self, X):
        return super().predict_proba(X, sensitive_features=self._groups(X))

    def score(self, X, y, sample_weight=None):
        return super().score(X, y, sample_weight)


@parametrize_with_checks(
    [
        Alternating(LogisticRegression(), {"row": 0.3}, cv=2),
        Alternating(LogisticRegression(), {"row": 0.3}, cv=2, calibration="isotonic"),
    ]
)
@pytest.mark.filterwarnings("ignore")
def test_joint_thresholds_are_an_estimator_of_scikit_learn(estimator, check):
    """Without exceptions."""
    check(estimator)
