"""What a row's weight, a class's weight, a seed and a label's type mean."""

import copy

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

import pyfairme as pf
from pyfairme.estimators.refine_and_adapt import _training_rows
from pyfairme.notices import DataWarning

FULL = {"validation_fraction": 0.0, "batch_size": 1024, "hidden": (), "fairness": None}
FULL |= {"unseen": "population", "learning_rate": 1e-3}  # no classifier; a rate not by rows


def test_weight_two_equals_giving_every_row_twice(binary, classifier):
    X, y = binary.X, binary.y
    estimator = classifier(**FULL)  # every step sees every row
    twice = clone(estimator).fit(pd.concat([X, X]), pd.concat([y, y]))
    weighted = clone(estimator).fit(X, y, sample_weight=np.full(len(X), 2.0))
    plain = clone(estimator).fit(X, y)
    expected = twice.predict_proba(binary.test)
    np.testing.assert_allclose(weighted.predict_proba(binary.test), expected, atol=2e-3)
    # weights are counts: twice the rows say more about the clusters than the rows alone
    assert np.abs(plain.predict_proba(binary.test) - expected).max() > 0.01


def test_weights_of_a_population_are_warned_of(binary, classifier):
    """Rows counted 900 times have an interval that is thirty times narrower, as the text says."""
    estimator = classifier(**FULL, cluster="cluster", guide="mean_field")
    survey = np.where(binary.y == 1, 600.0, 1200.0)
    text = r"counts 400 rows as 3\d\d,\d{3}: .* about (29|30|31) times narrower.*\[heavy-rows\]"
    with pytest.warns(DataWarning, match=text):
        clone(estimator).fit(binary.X, binary.y, sample_weight=survey)
    scaled = survey * survey.sum() / (survey**2).sum()
    assert scaled.sum() == pytest.approx(survey.sum() ** 2 / (survey**2).sum())
    few = clone(estimator).fit(binary.X, binary.y, sample_weight=scaled)  # no warning
    new = binary.test.head(9).assign(cluster="new")
    with pytest.warns(DataWarning, match=r"counts 9 rows as 8,100.*\[heavy-rows\]"):
        few.adapt(new, binary.y[:9], sample_weight=np.full(9, 900.0))


def with_absent_rows(case):
    """The training rows, with 100 odd ones before and 100 behind them, and weights of 1 and 0."""
    odd = case.test.assign(x1=1e6, group1="odd", cluster="odd")
    X = pd.concat([odd[:100], case.X, odd[100:]])
    return X, np.repeat([0.0, 1.0, 0.0], [100, 400, 100])


def test_rows_of_weight_zero_are_as_good_as_absent(clf, binary, classifier):
    X, weight = with_absent_rows(binary)
    y = np.concatenate([np.full(100, 7), binary.y, np.full(100, 8)])
    weighted = classifier().fit(X, y, sample_weight=weight)
    assert list(weighted.classes_) == [0, 1]
    assert weighted.design_ == clf.design_
    np.testing.assert_array_equal(
        weighted.predict_proba(binary.test), clf.predict_proba(binary.test)
    )


def test_rows_of_weight_zero_do_not_scale_a_real_target(reg, real, regressor):
    X, weight = with_absent_rows(real)
    y = np.concatenate([np.full(100, 1e6), real.y, np.full(100, -1e6)])
    weighted = regressor(random_slopes=["x1"]).fit(X, y, sample_weight=weight)
    assert weighted.target_ == reg.target_
    np.testing.assert_array_equal(weighted.predict(real.test), reg.predict(real.test))


def test_weights_move_the_fit(binary, classifier, clf):
    weight = np.where(binary.y == 1, 5.0, 1.0)
    heavy = classifier().fit(binary.X, binary.y, sample_weight=weight)
    gain = heavy.predict_proba(binary.test)[:, 1] - clf.predict_proba(binary.test)[:, 1]
    assert gain.mean() > 0.1


def test_class_weight_equals_the_same_sample_weights(binary, classifier):
    by_class = classifier(class_weight={0: 1.0, 1: 5.0}, prior_correction=False).fit(
        binary.X, binary.y
    )
    by_row = classifier().fit(binary.X, binary.y, sample_weight=np.where(binary.y == 1, 5.0, 1.0))
    both = classifier(class_weight={0: 1.0, 1: 2.5}, prior_correction=False).fit(
        binary.X, binary.y, sample_weight=np.where(binary.y == 1, 2.0, 1.0)
    )
    expected = by_row.predict_proba(binary.test)
    np.testing.assert_array_equal(by_class.predict_proba(binary.test), expected)
    np.testing.assert_array_equal(both.predict_proba(binary.test), expected)


def test_balanced_class_weight_lifts_the_rare_class(binary, classifier):
    rare = binary.y.to_numpy() * (np.arange(400) % 4 == 0)
    balanced = classifier(class_weight="balanced", prior_correction=False).fit(binary.X, rare)
    plain = classifier().fit(binary.X, rare)
    assert rare.mean() < 0.2
    assert plain.predict_proba(binary.test)[:, 1].mean() < 0.25
    assert balanced.predict_proba(binary.test)[:, 1].mean() > 0.35


def test_balancing_counts_classes_by_weight(binary, classifier):
    """As repeated rows would, and as scikit-learn does; the rare class has half of the mass."""
    rare = binary.y.to_numpy() * (np.arange(400) % 4 == 0)
    weight = np.where(rare, 9.0, 1.0)
    balanced = classifier(
        **FULL | {"learning_rate": 0.01},
        class_weight="balanced",
        prior_correction=False,
        min_steps=1000,
    )
    found = balanced.fit(binary.X, rare, sample_weight=weight)
    sums = np.bincount(rare, weight)
    assert found._class_weights == pytest.approx(dict(enumerate(sums.sum() / (2 * sums))))
    X = pd.get_dummies(binary.X.drop(columns="cluster")).to_numpy(float)
    oracle = LogisticRegression(class_weight="balanced", C=1e6).fit(X, rare, weight)
    expected = np.average(oracle.predict_proba(X)[:, 1], weights=weight * own_weight(rare, sums))
    mean = found.predict_proba(binary.X)[:, 1]
    mean = np.average(mean, weights=weight * own_weight(rare, sums))
    assert expected == pytest.approx(0.5, abs=1e-3)
    assert mean == pytest.approx(expected, abs=0.01)
    rows = np.repeat(np.arange(400), weight.astype(int))
    repeated = clone(balanced).fit(binary.X.iloc[rows], rare[rows])
    np.testing.assert_allclose(
        repeated.predict_proba(binary.test), found.predict_proba(binary.test), atol=0.01
    )


def own_weight(y, sums):
    return (sums.sum() / (2 * sums))[y]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({0: -1.0, 1: 1.0}, r"class_weight of 0 is -1\.0\. Expected a finite .*\[class-weight\]$"),
        ({0: np.nan}, r"class_weight of 0 is nan\. .*\[class-weight\]$"),
        ({0: np.inf}, r"class_weight of 0 is inf\. .*\[class-weight\]$"),
        ({0: "1"}, r"class_weight of 0 is '1'\. .*\[class-weight\]$"),
        ({0: None}, r"class_weight of 0 is None\. .*\[class-weight\]$"),
        ({"0": 2.0}, r"names \['0'\], which are not among the classes.*\[class-weight-unknown\]$"),
        ({0: 1.0, 1: 1.0, 2: 5.0}, r"names \[2\], which are not .*\[class-weight-unknown\]$"),
        ("x", r"Invalid value of class_weight: 'x'\. .*\[class-weight\]$"),
        ([1, 2], r"Invalid value of class_weight: \[1, 2\]\. .*\[class-weight\]$"),
    ],
)
def test_class_weights_that_mean_nothing_are_refused(binary, classifier, given, text):
    with pytest.raises(ValueError, match=text):
        classifier(class_weight=given).fit(binary.X, binary.y)


@pytest.mark.long
def test_updates_weigh_classes_as_the_fit_did(binary, classifier, tmp_path):
    """ "balanced" is the fit's balance: few rows, all of one class here, have none of their own."""
    rare = binary.y.to_numpy() * (np.arange(400) % 4 == 0)
    balanced = classifier(class_weight="balanced", prior_correction=False, min_steps=50).fit(
        binary.X, rare
    )
    own = len(rare) / (2 * np.bincount(rare))
    assert balanced._class_weights == pytest.approx(dict(enumerate(own)))
    few = binary.unseen[binary.y_unseen == 1][:6]
    ones = np.ones(6, int)
    balanced.save(tmp_path / "model.pyfairme")
    by_hand = copy.copy(balanced)
    by_hand._class_weights = None
    expected = by_hand.adapt(few, ones, sample_weight=np.full(6, own[1]))
    for estimator in (balanced, pf.load(tmp_path / "model.pyfairme")):
        found = estimator.adapt(few, ones)
        np.testing.assert_array_equal(
            found.fit_.draws["cluster_intercept"], expected.fit_.draws["cluster_intercept"]
        )
    part = binary.X[rare == 1]
    np.testing.assert_allclose(
        _training_rows(balanced, binary.X, rare, None).weight, own[rare], rtol=1e-6
    )
    assert set(part["cluster"]) == set(binary.X["cluster"])
    given = _training_rows(balanced, part, rare[rare == 1], np.full(len(part), 2.0))
    np.testing.assert_allclose(given.weight, 2 * own[1], rtol=1e-6)


def test_weights_that_are_all_zero_are_refused(binary, classifier):
    with pytest.raises(ValueError, match="must contain at least one non-zero"):
        classifier().fit(binary.X, binary.y, sample_weight=np.zeros(400))
    with pytest.raises(ValueError, match=r"Every row has weight 0: .* a positive class_weight"):
        classifier(class_weight={0: 0.0, 1: 0.0}).fit(binary.X, binary.y)
    with pytest.raises(ValueError, match="at least 2 classes in y, got 1 class: 1"):
        classifier(class_weight={0: 0.0}).fit(binary.X, binary.y)
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        classifier().fit(binary.X, binary.y, sample_weight=np.full(400, -1.0))
    with pytest.raises(ValueError, match=r"sample_weight.shape == \(3,\), expected \(400,\)"):
        classifier().fit(binary.X, binary.y, sample_weight=np.ones(3))


def test_a_seed_decides_everything(clf, binary, classifier):
    again = classifier().fit(binary.X, binary.y)
    rows = pd.concat([binary.test, binary.unseen[:100]])  # most clusters are known
    assert again.predict_interval(rows).equals(clf.predict_interval(rows))
    assert again.sample_predictive(rows, draws=5).equals(clf.sample_predictive(rows, draws=5))
    assert again.history_.equals(clf.history_)
    other = classifier(random_state=1).fit(binary.X, binary.y)
    assert np.abs(other.predict_proba(rows) - clf.predict_proba(rows)).max() > 1e-3


def test_without_a_seed_two_fits_differ(binary, classifier):
    first, second = (classifier(random_state=None).fit(binary.X, binary.y) for _ in range(2))
    gap = np.abs(first.predict_proba(binary.test) - second.predict_proba(binary.test))
    assert gap.max() > 1e-3


def test_a_random_state_object_is_drawn_from(binary, classifier):
    state = np.random.RandomState(0)
    first, second = (classifier(random_state=state).fit(binary.X, binary.y) for _ in range(2))
    assert first._seed != second._seed


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [
        (np.array(["no", "yes"]), "U"),
        (np.array(["no", "yes"], dtype=object), "O"),
        (np.array([False, True]), "b"),
        (np.array([-1, 7]), "i"),
        (np.array([1.0, 2.0]), "f"),
    ],
    ids=["text", "object", "bool", "int", "float"],
)
def test_labels_come_back_as_they_were(clf, binary, classifier, labels, dtype):
    y = labels[binary.y.to_numpy()]
    fitted = classifier().fit(binary.X, y)
    assert list(fitted.classes_) == list(labels)
    found = fitted.predict(binary.test)
    assert found.dtype.kind == dtype
    np.testing.assert_array_equal(found, labels[clf.predict(binary.test)])
    np.testing.assert_array_equal(fitted.predict_proba(binary.test), clf.predict_proba(binary.test))
    assert fitted.score(binary.X, y) > 0.5


def test_text_labels_of_pandas_come_back(clf, binary, classifier):
    y = pd.Series(np.array(["no", "yes"])[binary.y], dtype="str")
    found = classifier().fit(binary.X, y).predict(binary.test)
    assert list(found) == list(np.array(["no", "yes"])[clf.predict(binary.test)])
