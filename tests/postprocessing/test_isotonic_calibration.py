"""Joint thresholds that calibrate probabilities first, by centred isotonic regression."""

import json
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.model_selection import cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pyfairme as pf
from pyfairme.notices import StateError
from pyfairme.postprocessing.isotonic_calibration import IsotonicCalibration

LIMIT = 0.02


class Told(ClassifierMixin, BaseEstimator):
    """Probabilities that a column holds, bent: odds to the power of `factor`, times `times`."""

    def __init__(self, factor=1.0, times=1.0):
        self.factor = factor
        self.times = times
        self.classes_ = np.array([0, 1])

    def predict_proba(self, X):
        link = logit(np.asarray(X["true"], float))
        p = expit(self.factor * link + np.log(self.times))
        return np.stack([1 - p, p], axis=1)


def people(n, seed):
    """Return rows with their true probability, which two groups have unlike ones of, and y."""
    rng = np.random.default_rng(seed)
    group = rng.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2])
    shift = np.array([0.0, -0.8, 0.6])[pd.Categorical(group).codes]
    true = expit(-0.5 + 1.2 * rng.normal(size=n) + shift)
    return pd.DataFrame({"true": true, "group": group}), (rng.random(n) < true).astype(int)


X, Y = people(8000, 0)
NEW, _ = people(40_000, 1)


def expected(policy):
    """Return the worst SD over groups of TPR and FPR by the true probabilities of new rows."""
    d, true = policy.predict_proba(NEW)[:, 1], NEW["true"].to_numpy()
    sds = []
    for mass in (true, 1 - true):
        sums = pd.DataFrame({"d": d * mass, "n": mass}).groupby(NEW["group"].to_numpy()).sum()
        sds.append(np.std(sums["d"] / sums["n"]))
    return max(sds)


def accuracy(policy):
    """Return true balanced accuracy of the policy on new rows."""
    d, true = policy.predict_proba(NEW)[:, 1], NEW["true"].to_numpy()
    tpr, fpr = d @ true / true.sum(), d @ (1 - true) / (1 - true).sum()
    return (tpr + 1 - fpr) / 2


def test_the_curve_is_that_of_pooled_blocks_at_their_means():
    """Worked by hand: the second and third row violate the order, two rows are tied."""
    p = np.array([0.1, 0.2, 0.4, 0.6, 0.6, 0.9])
    y = np.array([0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
    curve = IsotonicCalibration.fit(p, y, np.ones(6))
    # 0 | (1, 0, (1, 0)) pooled: 2 of 4 at (.2 + .4 + .6 + .6) / 4 | 1
    np.testing.assert_allclose(curve.given, [0.1, 0.45, 0.9])
    np.testing.assert_allclose(curve.calibrated, [0.0, 0.5, 1.0])
    np.testing.assert_allclose(curve.of(np.array([0.0, 0.45, 0.675, 1.0])), [0, 0.5, 0.75, 1])


def test_weights_count_as_repeated_rows_and_rows_of_none_not_at_all():
    rng = np.random.default_rng(0)
    p, times = rng.random(300), rng.integers(0, 4, 300)
    y = (rng.random(300) < p).astype(float)
    weighted = IsotonicCalibration.fit(p, y, times.astype(float))
    ones = np.ones(times.sum())
    repeated = IsotonicCalibration.fit(np.repeat(p, times), np.repeat(y, times), ones)
    for one, other in zip(weighted, repeated, strict=True):
        np.testing.assert_allclose(one, other)


def test_the_way_back_leads_to_where_one_came_from():
    rng = np.random.default_rng(0)
    p = rng.random(500)
    curve = IsotonicCalibration.fit(p, (rng.random(500) < p**2).astype(float), np.ones(500))
    inside = np.linspace(curve.given[0], curve.given[-1], 101)[1:-1]
    np.testing.assert_allclose(curve.given_at(curve.of(inside)), inside, atol=1e-9)
    ends = np.array([curve.calibrated[0] - 0.1, curve.calibrated[-1] + 0.1, np.nan])
    np.testing.assert_array_equal(curve.given_at(ends), [0.0, 1.0, np.nan])


def test_a_threshold_that_none_or_all_are_above_stays_one_where_the_curve_reaches_0_and_1():
    """1 is the threshold of groups that nobody is decided positively in, 0 of those where all are.

    The curve ends at .9 there: above .9 nobody is decided positively either.
    """
    curve = IsotonicCalibration(np.array([0.2, 0.9]), np.array([0.0, 1.0]))
    np.testing.assert_allclose(curve.given_at(np.array([0.0, 0.5, 1.0])), [0.0, 0.55, 1.0])


@pytest.mark.parametrize(("factor", "times"), [(0.5, 1.0), (2.0, 1.0), (1.0, 4.0)])
def test_bent_probabilities_lead_to_the_thresholds_of_true_ones(factor, times):
    """Too moderate, too bold, and of other shares of the classes.

    The best policy knows the true probabilities. Isotonic regression of 8,000 rows is off by some
    n^(-1/3) = .05 at a point, and by less on average. Expected rates of the smallest group are off
    by .5 / sqrt(8,000 x .2 x .4) = .02 at most, their SD by less (that of the best policy by .008).
    Moderate ones cost more than they must, bold ones miss the limit.
    """
    limits = {"group": LIMIT}
    best = pf.JointThresholds(Told(), limits).fit(X)
    curve = pf.JointThresholds(Told(factor, times), limits, calibration="isotonic").fit(X, Y)
    gap = curve.calibration_.of(Told(factor, times).predict_proba(NEW)[:, 1]) - NEW["true"]
    assert np.abs(gap).mean() < 0.02
    assert expected(best) < LIMIT + 0.015
    assert expected(curve) < LIMIT + 0.015
    assert accuracy(curve) > accuracy(best) - 0.005
    with pytest.warns(pf.FairnessWarning, match="uncalibrated"):
        bent = pf.JointThresholds(Told(factor, times), limits).fit(X, Y)
    assert expected(bent) > LIMIT + 0.04 or accuracy(bent) < accuracy(curve) - 0.003


def test_calibrated_probabilities_stay_nearly_as_they_are():
    limits = {"group": LIMIT}
    best = pf.JointThresholds(Told(), limits).fit(X)
    curve = pf.JointThresholds(Told(), limits, calibration="isotonic").fit(X, Y)
    assert abs(accuracy(curve) - accuracy(best)) < 0.005
    assert expected(curve) < LIMIT + 0.015
    assert best.calibration_ is None


def test_thresholds_of_rows_and_groups_are_those_of_the_classifiers_probability():
    told = Told(0.5)
    policy = pf.JointThresholds(told, {"group": {"tpr": LIMIT}}, calibration="isotonic").fit(X, Y)
    p, cut = told.predict_proba(NEW)[:, 1], policy.row_thresholds(NEW)
    share = policy.predict_proba(NEW)[:, 1]
    sure = (share == 0) | (share == 1)
    assert sure.mean() > 0.9
    np.testing.assert_array_equal((p > cut)[sure], share[sure] == 1)
    by_group = policy.thresholds_.set_index("group")["threshold"]
    np.testing.assert_allclose(cut, by_group[NEW["group"]])
    assert "calibrated by isotonic regression" in policy.describe()


@pytest.mark.parametrize("way", ["inferred", "read_or_inferred"])
def test_groups_are_inferred_with_calibrated_probabilities(way):
    """A monotone bend changes neither the order of rows nor, but between points, the curve."""
    rng = np.random.default_rng(2)

    class Blind(Told):
        def __init__(self, factor=1.0, times=1.0):
            super().__init__(factor, times)
            self.feature_names_in_ = np.array(["true", "hint"])

    def rows(frame):
        return frame.assign(hint=(frame["group"] == "b") + 0.7 * rng.normal(size=len(frame)))

    known, new = rows(X), rows(NEW)
    if way == "read_or_inferred":
        known.loc[rng.random(len(known)) < 0.3, "group"] = None
    limits, shares = {"group": LIMIT}, []
    for told in (Blind(), Blind(0.5)):
        policy = pf.JointThresholds(told, limits, sensitive=way, calibration="isotonic")
        shares.append(policy.fit(known, Y).predict_proba(new)[:, 1])
    assert np.abs(shares[0] - shares[1]).mean() < 0.02
    if way == "inferred":
        hidden = policy.predict_proba(new.drop(columns="group"))[:, 1]
        np.testing.assert_array_equal(hidden, shares[1])


def test_it_works_where_the_policy_fits_the_classifier():
    """Naive Bayes counts a column that is there twice twice: it is too bold."""
    rng = np.random.default_rng(3)
    frame, y = people(3000, 3)
    score = logit(frame["true"]) + 0.5 * rng.normal(size=len(frame))
    frame = pd.DataFrame({"one": score, "two": score, "three": score, "group": frame["group"]})
    three = make_column_transformer((StandardScaler(), ["one", "two", "three"]))
    model = make_pipeline(three, GaussianNB())
    policy = pf.JointThresholds(model, {"group": LIMIT}, calibration="isotonic")
    assert clone(policy).get_params()["calibration"] == "isotonic"
    decisions = cross_val_predict(policy, frame, y, cv=3)
    rates = pd.Series(decisions[y == 1]).groupby(frame["group"][y == 1].to_numpy()).mean()
    plain = cross_val_predict(model, frame, y, cv=3)
    before = pd.Series(plain[y == 1]).groupby(frame["group"][y == 1].to_numpy()).mean()
    assert rates.std(ddof=0) < before.std(ddof=0) / 2


def test_outcomes_are_asked_for():
    policy = pf.JointThresholds(Told(), {"group": LIMIT}, calibration="isotonic")
    with pytest.raises(ValueError, match=r"y is missing: give fit\(X, y\), or calibration=None"):
        policy.fit(X)
    policy = pf.JointThresholds(Told(), {"group": LIMIT}, calibration="sigmoid")
    with pytest.raises(ValueError, match=r"calibration: 'sigmoid'. Valid values are \[None, 'iso"):
        policy.fit(X, Y)


def test_policies_in_files_and_pickles_decide_alike(clf, binary, tmp_path):
    rows, y = binary.X, binary.y
    keywords = {"limits": {"group1": 0.05}, "calibration": "isotonic"}
    with pytest.warns(pf.FairnessWarning):
        policy = pf.JointThresholds(clf, **keywords).fit(rows, y)
    file = tmp_path / "policy.pyfairme"
    policy.save(file)
    again = pf.JointThresholds.load(file)
    assert again.calibration == "isotonic"
    for one in (again, pickle.loads(pickle.dumps(policy))):
        np.testing.assert_array_equal(one.predict_proba(rows), policy.predict_proba(rows))
        np.testing.assert_array_equal(one.row_thresholds(rows), policy.row_thresholds(rows))
        for part, other in zip(one.calibration_, policy.calibration_, strict=True):
            np.testing.assert_array_equal(part, other)


@pytest.mark.parametrize("kind", ["joint", "group", "classifier"])
def test_pickles_of_an_earlier_version_have_the_defaults_of_later_keywords(kind, clf):
    made, name = {
        "joint": lambda: (pf.JointThresholds(clf, {"group1": 0.05}), "calibration"),
        "group": lambda: (pf.GroupThresholds(clf, "group1"), "cv"),
        "classifier": lambda: (clf, "network_posterior"),
    }[kind]()
    state = {key: value for key, value in made.__getstate__().items() if key != name}
    older = type(made).__new__(type(made))
    older.__setstate__(state)
    default = type(made).__init__.__kwdefaults__[name]
    assert older.get_params(deep=False)[name] == default
    clone(older)
    repr(older)


@pytest.mark.parametrize(
    "saved",
    [[[0.2, 0.1], [0.1, 0.2]], [[0.1, 0.2], [0.3, 1.2]], [[0.1], [0.1, 0.2]], [[], []], [[0.1]]],
)
def test_a_damaged_curve_is_refused(saved):
    with pytest.raises(StateError):
        IsotonicCalibration.restored(json.loads(json.dumps(saved)))


def test_class_weights_are_no_doubt_once_probabilities_are_calibrated(binary, classifier):
    rows, y = binary.X, binary.y
    weighted = classifier(fairness=None, class_weight="balanced", prior_correction=False).fit(
        rows, y
    )
    said = []
    for calibration in (None, "isotonic"):
        policy = pf.JointThresholds(weighted, {"group1": 0.05}, calibration=calibration)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            policy.fit(rows, y)
        said.append(any("class_weight" in str(one.message) for one in caught))
    assert said == [True, False]


def test_points_that_coincide_are_one():
    """Two steps whose means differ by less than a float can tell."""
    p = np.array([0.3, np.nextafter(0.3, 1), 0.3, np.nextafter(0.3, 1), 0.9])
    curve = IsotonicCalibration.fit(p, np.array([0.0, 1.0, 0.0, 1.0, 1.0]), np.ones(5))
    assert (np.diff(curve.given) > 0).all()
    again = IsotonicCalibration.restored([part.tolist() for part in curve])
    np.testing.assert_array_equal(again.given, curve.given)
