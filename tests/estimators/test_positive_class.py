"""Which class is the positive one: ordered targets, ``pos_label``, and what is warned of."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.metrics import make_scorer
from sklearn.model_selection import cross_val_score

import pyfairme as pf
from pyfairme import metrics as M
from pyfairme.data import ClassTarget
from pyfairme.data.target import class_order
from pyfairme.estimators.class_label_warnings import warn_of_classes
from pyfairme.notices import DataWarning

ROWS = 240


@pytest.fixture(scope="module")
def table():
    r = np.random.default_rng(0)
    X = pd.DataFrame({"c": r.choice(list("abc"), ROWS), "s": r.choice(["f", "m"], ROWS)})
    X["x"] = r.normal(size=ROWS)
    return X, X["x"].to_numpy() + 0.3 * r.normal(size=ROWS) > 0


def classifier(**keywords):
    quick = {
        "hidden": (), "fairness": None, "guide": "mean_field", "min_steps": 150, "epochs": 1,
        "random_state": 0, "progress": False,
    }  # fmt: skip
    return pf.FairMixedEffectsClassifier("c", ["s"], **quick | keywords)


def named(good: np.ndarray) -> pd.Series:
    return pd.Series(np.where(good, "approved", "denied"))


@pytest.fixture(scope="module")
def as_numbers(table):
    X, good = table
    return classifier().fit(X, good.astype(int))


@pytest.fixture(scope="module")
def as_words(table):
    X, good = table
    return classifier(pos_label="approved").fit(X, named(good))


def test_words_with_pos_label_give_the_fit_of_0_and_1(table, as_numbers, as_words):
    X, good = table
    assert as_words.classes_.tolist() == ["denied", "approved"]
    np.testing.assert_array_equal(as_words.predict_proba(X), as_numbers.predict_proba(X))
    assert ((as_words.predict(X) == "approved") == as_numbers.predict(X)).all()
    reports = (
        as_words.fairness_report(X, named(good), n_boot=0),
        as_numbers.fairness_report(X, good.astype(int), n_boot=0),
    )
    pd.testing.assert_series_equal(reports[0]["value"], reports[1]["value"])
    assert set(reports[0]["class"]) == {"approved"}
    assert reports[0].attrs["positive"] == "approved"


def test_policies_follow_the_classifier(table, as_numbers, as_words):
    X, good = table
    policies = [
        pf.GroupThresholds(as_words, "s").fit(X, named(good)),
        pf.GroupThresholds(as_numbers, "s").fit(X, good.astype(int)),
    ]
    words, numbers = (policy.predict(X) for policy in policies)
    assert ((words == "approved") == numbers).all()


def test_an_ordered_target_keeps_its_order(table, as_numbers):
    X, good = table
    order = pd.CategoricalDtype(["denied", "never", "approved"], ordered=True)
    model = classifier().fit(X, named(good).astype(order))
    assert model.classes_.tolist() == ["denied", "approved"]
    np.testing.assert_array_equal(model.predict_proba(X), as_numbers.predict_proba(X))


def test_saved_models_keep_the_order(as_words, table, tmp_path):
    X, _ = table
    as_words.save(tmp_path / "m.pyfairme")
    again = pf.load(tmp_path / "m.pyfairme")
    assert again.classes_.tolist() == ["denied", "approved"]
    np.testing.assert_array_equal(again.predict(X), as_words.predict(X))


@pytest.mark.long
def test_scorers_of_scikit_learn(table):
    X, good = table
    model, y = classifier(pos_label="approved"), named(good)
    right = make_scorer(M.auroc, response_method="predict_proba", pos_label="approved")
    assert min(cross_val_score(model, X, y, cv=2, scoring=right)) > 0.9
    with pytest.warns(DataWarning, match=r"'denied' is the positive one.*\[scorer-order\]"):
        wrong = cross_val_score(model, X, y, cv=2, scoring="roc_auc")
    assert max(wrong) < 0.1  # what the warning is about


@pytest.mark.parametrize(
    ("y", "order"),
    [
        (pd.Categorical(["b"], ["b", "a"], ordered=True), ("b", "a")),
        (pd.Series(pd.Categorical([2], [3, 2], ordered=True)), (3, 2)),
        (pl.Series(["b"], dtype=pl.Enum(["b", "a"])), ("b", "a")),
        (pd.Series(pd.Categorical(["b"], ["b", "a"])), None),
        (pl.Series(["b"], dtype=pl.Categorical), None),
        (["b", "a"], None),
        (np.array([1, 0]), None),
    ],
)
def test_which_targets_have_an_order(y, order):
    assert class_order(y) == order


def test_pos_label_must_be_one_of_two_classes():
    with pytest.raises(ValueError, match=r"pos_label='yes' is none of .*\['approved', 'denied'\]"):
        ClassTarget.fit(["approved", "denied"], pos_label="yes")
    with pytest.raises(ValueError, match=r"two classes, and y has 3.*\[pos-label\]"):
        ClassTarget.fit([0, 1, 2], pos_label=1)
    assert ClassTarget.fit([0, 1, 1], pos_label=0).encode([0, 1]).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("classes", "code"),
    [
        (("approved", "denied"), "positive-by-order"),
        (("ja", "nein"), "positive-by-order"),
        (("eligible", "not eligible"), "positive-by-order"),
        (("yes", "yes "), "classes-alike"),
    ],
)
def test_what_is_warned_of(classes, code):
    with pytest.warns(DataWarning, match=rf"\[{code}\]"):
        warn_of_classes(classes, np.arange(50) % 2, chosen=False)


def test_a_stray_third_class_is_warned_of():
    codes = np.repeat([0, 1, 2], [1000, 900, 6])
    with pytest.warns(DataWarning, match=r"'maybe' has 6.*\[rare-class\]"):
        warn_of_classes(("no", "yes", "maybe"), codes, chosen=False)


@pytest.mark.parametrize(
    ("classes", "chosen"),
    [
        (("denied", "approved"), True),
        (("approved", "denied"), True),  # meant
        (("no", "yes"), False),
        (("bad", "good"), False),
        (("<=50K", ">50K"), False),
        ((0, 1), False),
        ((False, True), False),
        (("a", "b", "c"), False),
    ],
)
def test_what_is_not_warned_of(classes, chosen):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_classes(classes, np.arange(60) % len(classes), chosen=chosen)


def test_metrics_of_labels_are_those_of_0_and_1():
    r = np.random.default_rng(0)
    y, d, p = r.integers(0, 2, 200), r.integers(0, 2, 200), r.random(200)
    s = r.choice(["f", "m"], 200)
    words, decided = (np.where(one, "approved", "denied") for one in (y, d))
    for metric in (
        M.tpr_sd, M.fpr_sd, M.tpr_sd_corrected, M.fpr_sd_corrected, M.demographic_parity,
        M.demographic_parity_difference, M.equalized_odds_difference, M.worst_group_accuracy,
    ):  # fmt: skip
        found = metric(words, decided, sensitive_features=s, pos_label="approved")
        assert found == metric(y, d, sensitive_features=s)
    assert M.balanced_accuracy(words, decided, pos_label="approved") == M.balanced_accuracy(y, d)
    for metric in (M.auroc, M.log_loss, M.brier):
        assert metric(words, p, pos_label="approved") == metric(y, p)
    worst = M.worst_group_calibration_error
    found = worst(words, p, sensitive_features=s, pos_label="approved")
    assert found == worst(y, p, sensitive_features=s)
    with pytest.raises(ValueError, match="must hold numbers"):
        M.tpr_sd(words, decided, sensitive_features=s)
    with pytest.raises(ValueError, match=r"leaves 2 others.*\[pos-label\]"):
        M.tpr_sd(words, decided, sensitive_features=s, pos_label="yes")
    with pytest.raises(ValueError, match=r"the same two labels.*\[pos-label\]"):
        M.tpr_sd(words, np.where(d, "approved", "no"), sensitive_features=s, pos_label="approved")
