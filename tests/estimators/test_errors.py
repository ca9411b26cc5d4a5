"""Every mistake has a message that says what was expected, what came and what to do."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

import pyfairme as pf
from pyfairme.notices import DataWarning


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"fairness": "advers"}, r"Invalid value of fairness: 'advers'\. Valid values are \["),
        ({"fairness": ("moment", "x")}, r"Invalid value of fairness: 'x'\."),
        ({"criterion": "equality"}, r"Invalid value of criterion: 'equality'\. Valid values"),
        ({"guide": "banana"}, r"Invalid value of guide: 'banana'\. Valid values are \['auto"),
        ({"unseen": "guess"}, r"unseen: 'guess'\. Valid values are \['infer', 'population', 's"),
        ({"missing": "drop"}, r"missing: 'drop'\. Valid values are \['category', 'raise'\]"),
        ({"network_posterior": "all"}, r"network_posterior: 'all'\. Valid values are \['auto'"),
        ({"early_stopping": "yes"}, r"early_stopping: 'yes'\. Valid values are \['auto', True"),
        ({"progress": 1}, r"progress: 1\. Valid values are \['auto', True, False\]"),
        ({"drop_sensitive": "no"}, r"drop_sensitive: 'no'\. Valid values are \[True, False\]"),
        ({"random_intercepts": None}, r"random_intercepts: None\. Valid values are \[True"),
        ({"fairness_on": "both"}, r"fairness_on: 'both'\. Valid values are \['fixed', 'random'"),
        ({"fairness_on": {"fixed": -1}}, r"fairness_on\['fixed'\]: -1\. Expected a number at l"),
        ({"fairness_weight": -0.1}, r"fairness_weight\['group1'\]: -0\.1\. Expected a number at"),
        ({"fairness_weight": None}, r"fairness_weight\['group1'\]: None\. Expected a number"),
        ({"fairness_weight": {"sex": 1}}, r"names \['sex'\], which are neither sensitive att"),
        ({"fairness_weight": {"adversarial": 1}}, r"\['adversarial'\], which are not in fairness="),
        ({"cluster_weight": -1}, r"cluster_weight: -1\. Expected a number at least 0\."),
        ({"fixed_weight": "a"}, r"fixed_weight: 'a'\. Expected a number at least 0\."),
        ({"kl_weight": np.nan}, r"kl_weight: nan\. Expected a number at least 0\."),
        ({"prior_scale": 0}, r"prior_scale: 0\. Expected a number greater than 0\."),
        ({"learning_rate": 0.0}, r"learning_rate: 0\.0\. Expected a number greater than 0\."),
        ({"batch_size": 0}, r"batch_size: 0\. Expected an integer >= 1\."),
        ({"epochs": 2.5}, r"epochs: 2\.5\. Expected an integer >= 1\."),
        ({"min_steps": -1}, r"min_steps: -1\. Expected an integer >= 0\."),
        ({"ensemble": True}, r"ensemble: True\. Expected an integer >= 1\."),
        ({"hidden": 64}, r"hidden: 64\. Expected a tuple of widths, such as \(64, 32\), or \(\)"),
        ({"hidden": (8, 0)}, r"hidden: 0\. Expected an integer >= 1\."),
        ({"validation_fraction": 1.0}, r"validation_fraction: 1\.0\. Expected 0 <= fraction < 1"),
        ({"random_slopes": "some"}, r"random_slopes: 'some'\. Valid values are None, 'all', 'hi"),
        ({"random_slopes": {"town": ["x1"]}}, r"random_slopes names \['town'\], which are not in"),
        ({"random_slopes": ["x1"], "cluster": None}, r"needs a grouping factor: give cluster="),
        ({"random_slopes": "hidden", "hidden": ()}, r"needs a hidden layer: hidden=\(\) has none"),
        ({"random_slopes": ["x9"]}, r"covariate column 'x9' is not in the frame\. Avail"),
        ({"early_stopping": True, "validation_fraction": 0.0}, r"needs validation rows: give val"),
        ({"cluster": 0}, r"cluster: 0\. Expected the name of a column \(text, not empty\), a l"),
        ({"cluster": ["cluster", 3]}, r"cluster: \['cluster', 3\]\. Expected the name of a colu"),
        ({"cluster": ""}, r"cluster: ''\. Expected the name of a column \(text, not empty\)"),
        ({"fairness": 3}, r"Invalid value of fairness: 3\. Valid values are \["),
        ({"cluster": "clutser"}, r"The cluster column 'clutser' is not in the frame\. Did you me"),
        ({"cluster": "group1"}, r"'group1' is both cluster and sensitive: .* Choose one role"),
        ({"sensitive": ["groop1"]}, r"sensitive column 'groop1' is not .* Did you mean 'group1'"),
        ({"sensitive": pf.Binned("group1", (0,))}, r"Binned expected a numeric column, but 'gro"),
        ({"sensitive": "x1"}, r"'x1' has \d+ distinct numbers .* give brackets, for example Bin"),
        ({"offset": "exposure"}, r"column 'exposure' is not in the frame"),
        (
            {"offset": ["x1"]},
            r"offset: \['x1'\]\. Expected the name of one numeric .* \[offset",
        ),
        ({"random_slopes": True}, r"random_slopes: True\..* give 'all'\. \[random-slopes\]"),
        ({"random_slopes": 5}, r"random_slopes: 5\. Valid values are None, 'all', 'hidden', a li"),
        ({"random_slopes": {"cluster": 5}}, r"random_slopes: 5\. .* \[random-slopes\]"),
        ({"random_slopes": "x1"}, r"random_slopes: 'x1'\..* For one column write \['x1'\]\."),
        ({"random_slopes": [5]}, r"random_slopes: \[5\]\. Valid values are None"),
        (
            {"sensitive": ["group1", ["group1", "group2"]]},
            r"attribute: \['group1', 'group2'\].* write the tuple \('group1', 'group2'\)\. \[sens",
        ),
        ({"sensitive": [()]}, r"sensitive attribute: \(\)\. Expected the name of a column, Binned"),
        ({"sensitive": [5]}, r"sensitive attribute: 5\. Expected .* \[sensitive-attribute\]"),
        ({"unseen": np.arange(9000)}, r"unseen: a ndarray of shape \(9000,\)\. Valid values"),
        ({"threshold": np.arange(9)}, r"threshold: a ndarray of shape \(9,\)\. .* \[threshold\]"),
        (
            {"threshold": 1.5},
            r"threshold: 1\.5\. Expected a probability between 0 and 1, or one of 'ba",
        ),
        ({"threshold": None}, r"threshold: None\. Expected a probability"),
        (
            {"threshold": "f1"},
            r"threshold: 'f1'\. Valid values are \['balanced_accuracy', 'sm",
        ),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_wrong_keywords(binary, classifier, keywords, message):
    with pytest.raises(ValueError, match=message):
        classifier(**keywords).fit(binary.X, binary.y)


def test_keywords_of_the_regressor(real, regressor):
    with pytest.raises(ValueError, match=r"likelihood: 'gamma'\. Valid values are \['normal', "):
        regressor(likelihood="gamma").fit(real.X, real.y)
    with pytest.raises(ValueError, match="a real or count target does not have: use"):
        regressor(criterion="equal_opportunity").fit(real.X, real.y)


@pytest.mark.long
def test_keywords_in_other_spellings_are_the_same_model(binary, classifier, clf):
    spelled = classifier(
        cluster=["cluster"],
        sensitive="group1",
        hidden=[8],
        fairness=("moment",),
        fairness_on={"mixed": 1, "fixed": 1.0},
        fairness_weight={"moment": {"group1": 0.3}},
        random_slopes={"cluster": None},
    ).fit(binary.X, binary.y)
    assert spelled.fit_.spec == clf.fit_.spec
    np.testing.assert_array_equal(
        spelled.predict_proba(binary.test), clf.predict_proba(binary.test)
    )


@pytest.mark.parametrize("sensitive", ["group1", ["group1"], pf.Binned("x1", (0,))])
def test_arrays_have_no_names(binary, classifier, clf, sensitive):
    text = "cluster and sensitive are names of columns, so X must be a pandas or polars frame; got"
    numbers = binary.X.filter(regex="^x").to_numpy()
    for roles in ({"cluster": None, "sensitive": sensitive}, {"cluster": "c", "sensitive": ()}):
        with pytest.raises(ValueError, match=text):
            classifier(**roles).fit(numbers, binary.y)
    with pytest.raises(ValueError, match=text):
        clf.predict(binary.test.to_numpy())


def test_columns_that_are_gone(clf, binary):
    with pytest.raises(ValueError, match=r"column 'group2' is not .* Did you mean 'group1'"):
        clf.predict(binary.test.drop(columns="group2"))
    with pytest.raises(ValueError, match=r"column 'cluster' is not in the frame\."):
        clf.predict(binary.test.rename(columns={"cluster": "occupation"}))
    with pytest.raises(ValueError, match="got duplicated ones: 'x1'"):
        clf.predict(binary.test.rename(columns={"x2": "x1"}))
    with pytest.raises(ValueError, match="Expected numbers in column 'x1', got text"):
        clf.predict(binary.test.assign(x1="a"))


def test_targets_that_cannot_be(binary, classifier, regressor, real):
    X, y = binary.X, binary.y
    with pytest.raises(ValueError, match="at least 2 classes in y, got 1 class: 1"):
        classifier().fit(X, np.ones(400))
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        classifier().fit(X, y + 0.5 * np.arange(400))
    with pytest.raises(ValueError, match=r"inconsistent .*: X has 400 rows, y has 399\. Give one"):
        classifier().fit(X, y[:-1])
    with pytest.raises(ValueError, match=r"y should be a 1d array, got an array of shape \(400, 2"):
        classifier().fit(X, np.ones((400, 2)))
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        classifier().fit(X, None)
    with pytest.raises(ValueError, match=r"y has 1 missing values .*: drop these rows"):
        regressor().fit(real.X, real.y.mask(np.arange(400) == 3))
    with pytest.raises(ValueError, match="Expected a numeric y, got dtype"):
        regressor().fit(real.X, np.repeat(["a", "b"], 200))


def test_tables_that_cannot_be(binary, classifier):
    with pytest.raises(ValueError, match=r"Found array with 1 sample\(s\) while a minimum of 2"):
        classifier().fit(binary.X[:1], binary.y[:1])
    one = binary.X.assign(cluster="only")
    with pytest.raises(ValueError, match=r"'cluster' needs at least two clusters .* \(only\): dr"):
        classifier().fit(one, binary.y)
    with pytest.raises(ValueError, match=r"'group1' has one level only \('g0'\)"):
        classifier().fit(binary.X.assign(group1="g0"), binary.y)
    with pytest.raises(ValueError, match=r"Column 'x1' has 360 infinite \(inf\) values"):
        classifier().fit(binary.X.assign(x1=np.inf), binary.y)
    with pytest.raises(ValueError, match="Column 'x1' has no value at all"):
        classifier().fit(binary.X.assign(x1=np.nan), binary.y)
    with pytest.raises(ValueError, match="it looks like an identifier; drop it or make it a clus"):
        classifier().fit(binary.X.assign(name=[f"n{i}" for i in range(400)]), binary.y)


def test_no_rows_to_predict(clf, binary):
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        clf.predict(binary.test[:0])


def test_a_constant_column_is_left_out_with_a_warning(clf, binary, classifier):
    with pytest.warns(UserWarning, match="Constant in the training rows, left out: 'flat', 'one'"):
        fitted = classifier().fit(binary.X.assign(flat=1.0, one="a"), binary.y)
    test = binary.test.assign(flat=2.0, one="b")
    np.testing.assert_array_equal(fitted.predict_proba(test), clf.predict_proba(binary.test))


def test_what_prediction_is_asked_for(clf, binary):
    rows = binary.test
    for method in (clf.predict, clf.predict_proba, clf.predict_interval, clf.sample_predictive):
        with pytest.raises(ValueError, match=r"effects: 'both'\. Valid values are \["):
            method(rows, effects="both")
    with pytest.raises(ValueError, match=r"kind: 'y'\. Valid values are \['auto', 'mean'"):
        clf.predict_interval(rows, kind="y")
    for level in (0, 1, 90, "0.9", None, True):
        expected = f"between 0 and 1, got {level!r}; 0.9 means 90 %"
        with pytest.raises(ValueError, match=expected):
            clf.predict_interval(rows, level=level)
        with pytest.raises(ValueError, match=expected):
            clf.icc(level)
    for draws in (0, 1.5, "5", True):
        with pytest.raises(ValueError, match=rf"draws must be at least 1, got {draws!r}\. Giv"):
            clf.sample_predictive(rows, draws=draws)
    with pytest.raises(ValueError, match="n_boot must be a whole number of at least 0, got -1"):
        clf.fairness_report(rows, binary.y_test, n_boot=-1)


@pytest.mark.parametrize(
    "use",
    [
        lambda e, X, y: e.predict(X),
        lambda e, X, y: e.predict_interval(X),
        lambda e, X, y: e.sample_predictive(X),
        lambda e, X, y: e.fairness_report(X, y),
        lambda e, X, y: e.icc(),
        lambda e, X, y: e.save("nowhere"),
    ],
    ids=["predict", "interval", "sample", "report", "icc", "save"],
)
def test_nothing_works_before_fit(binary, classifier, regressor, use):
    for estimator in (classifier(), regressor()):
        name = re.escape(type(estimator).__name__)
        with pytest.raises(NotFittedError, match=f"This {name} instance is not fitted yet"):
            use(estimator, binary.test, binary.y_test)


def test_missing_numbers_under_raise(binary, classifier):
    holed = binary.X.assign(x1=binary.X["x1"].mask(np.arange(400) == 5))
    with pytest.raises(ValueError, match=r"Column 'x1' has 1 missing values .* fill or drop them"):
        classifier(missing="raise").fit(holed, binary.y)


@pytest.mark.long
def test_whatever_row_is_held_out_the_fit_says_nothing(binary, classifier):
    """A level, a gap, a cluster or a group may be validation's alone (warnings are errors)."""
    rare = binary.X.assign(
        town=np.where(np.arange(400) < 9, np.arange(400).astype(str), "common"),
        x1=binary.X["x1"].mask(np.arange(400) == 11),
        group1=np.where(np.arange(400) == 13, "g7", binary.X["group1"]),
        cluster=np.where(np.arange(400) < 20, np.arange(400).astype(str), binary.X["cluster"]),
    )
    alone = 0
    for seed in range(3):
        estimator = classifier(
            random_state=seed, validation_fraction=0.5, hidden=(), unseen="raise", min_steps=100
        )
        fitted = estimator.fit(rare, binary.y)
        assert fitted.design_.attributes[0].levels == ("g0", "g1", "g7")
        columns = {c.name for c in fitted.design_.columns}
        assert "x1 missing" in columns  # the only gap trains: else there would be none to learn
        alone += len({f"town[{level}]" for level in range(9)} - columns)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Unlike the training rows")
            assert np.isfinite(fitted.predict_proba(rare)).all()  # no cluster is unknown
            report = fitted.fairness_report(rare, binary.y, n_boot=0)
        assert set(report["group"].dropna()) >= {"g0", "g1", "g7"}
        assert set(fitted.cluster_effects_["cluster"]) == set(rare["cluster"])
    assert alone > 3  # of 27, half expected


@pytest.mark.long
def test_a_loss_that_is_not_finite_says_what_to_do(real, regressor):
    with pytest.raises(
        FloatingPointError,
        match=r"the loss is not finite at epoch .* \(terms: .*\)"
        r"\. Lower learning_rate",
    ):
        regressor(random_slopes=["x1"], learning_rate=1e6).fit(real.X, real.y)


def test_outputs_are_frames_of_pandas(clf, binary):
    assert isinstance(clf.predict_interval(binary.test), pd.DataFrame)
    assert isinstance(clf.history_, pd.DataFrame)


@pytest.mark.parametrize(
    ("of", "message"),
    [
        (lambda X: X.iloc[0], r"got a series: for one row .* frame\.iloc\[\[0\]\].*\[x-not-r"),
        (
            lambda X: X.iloc[0].to_dict(),
            r"got a dict: for one row give pandas\.DataFrame",
        ),
        (
            lambda X: X.to_dict("records"),
            r"got a list of dictionaries: give pandas\.DataFrame",
        ),
        (lambda X: "X", r"a frame or an array, got the text 'X'\. \[x-not-rows\]"),
    ],
)
def test_what_is_no_table_is_named(clf, classifier, binary, of, message):
    for call in (clf.predict, lambda X: classifier().fit(X, binary.y)):
        with pytest.raises(TypeError, match=message):
            call(of(binary.X))


@pytest.mark.parametrize("y", [{0: 1, 1: 0}, "target", 3])
def test_a_target_that_is_no_column_is_named(classifier, binary, y):
    with pytest.raises(ValueError, match=r"y must hold one target per row .* \[y-not-rows\]"):
        classifier().fit(binary.X, y)


def test_messages_print_no_whole_column(clf, binary):
    for call in (clf.feature_importance, clf.predict, clf.predict_interval, clf.refine):
        with pytest.raises(ValueError, match=r"a Series of shape \(400,\)") as raised:
            call(binary.X, binary.y) if call != clf.refine else call(binary.y)
        assert "\n" not in str(raised.value)
    with pytest.raises(ValueError, match=r"This method takes no y\. \[unknown-choice\]"):
        clf.feature_importance(binary.X, binary.y)
    with pytest.raises(ValueError, match=r"sensitive attribute: 1\. .*\[sensitive-attribute\]"):
        clf.fairness_report(binary.X, binary.y, attributes=[1])


def test_fixed_effects_need_no_cluster_column(clf, reg, binary, real):
    bare = binary.test.drop(columns="cluster")
    for method in (clf.predict, clf.predict_proba, clf.predict_interval):
        there, absent = (np.asarray(method(X, effects="fixed")) for X in (binary.test, bare))
        np.testing.assert_array_equal(absent, there)
    # a row's noise depends on what identifies it, the cluster too: alike up to Monte-Carlo error
    there, absent = (
        np.asarray(clf.sample_predictive(X, 1000, effects="fixed")).mean(axis=(0, 1))
        for X in (binary.test, bare)
    )
    assert np.abs(there - absent).max() < 5 * np.sqrt(0.5 / 1000)
    there, absent = (
        reg.predict(X, effects="fixed") for X in (real.test, real.test.drop(columns="cluster"))
    )
    np.testing.assert_array_equal(absent, there)
    with pytest.raises(ValueError, match=r"column 'cluster' is not in the frame.*\[absent-co"):
        clf.predict(bare)


def test_a_column_that_a_transformer_renamed_is_named(classifier, binary):
    renamed = binary.X.rename(columns={"cluster": "remainder__cluster"})
    with pytest.raises(ValueError, match=r"'remainder__cluster': .* verbose_feature_names_out=F"):
        classifier().fit(renamed, binary.y)
    with pytest.raises(ValueError, match=r"in a ColumnTransformer verbose_feature_names_out=False"):
        classifier().fit(binary.X.to_numpy(), binary.y)


def test_rows_of_y_in_another_order_are_told(classifier, binary):
    shuffled = binary.y.sample(frac=1, random_state=0)
    with pytest.warns(DataWarning, match=r"y has the row .* give y\.loc\[X\.index\].*\[other-"):
        classifier().fit(binary.X, shuffled)
    classifier().fit(binary.X, binary.y.reset_index(drop=True))  # other labels: by position


def test_brackets_need_cut_points():
    for edges in (3, ("a",), "3", None):
        with pytest.raises(ValueError, match=r"expected cut points.* quantile.*\[binned-edges\]"):
            pf.Binned("age", edges)
