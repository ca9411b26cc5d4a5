"""Pipelines, searches, cross-validation, copies, and the frames people have."""

import io
import pickle
import warnings

import jax
import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import pyfairme as pf

COMPILED = []


def note_compilation(event, duration, **_):
    if "backend_compile" in event:
        COMPILED.append(event)


@pytest.fixture(scope="module")
def compilations():
    """A list that grows with every function that XLA compiles."""
    jax.monitoring.register_event_duration_secs_listener(note_compilation)
    return COMPILED


def all_seen(case):
    """600 rows: three folds train on 400 each, as every other test does."""
    return pd.concat([case.X, case.test]), pd.concat([case.y, case.y_test])


def scaled_numbers():
    numbers = [f"x{i}" for i in range(1, 6)]
    return ColumnTransformer(
        [("numbers", MinMaxScaler(), numbers)],
        remainder="passthrough",
        verbose_feature_names_out=False,
    )


def test_pipeline_of_frames_equals_the_estimator_alone(binary, classifier):
    pipeline = make_pipeline(scaled_numbers(), classifier()).set_output(transform="pandas")
    pipeline.fit(binary.X, binary.y)
    scaled = scaled_numbers().set_output(transform="pandas").fit(binary.X)
    alone = classifier().fit(scaled.transform(binary.X), binary.y)
    np.testing.assert_array_equal(
        pipeline.predict_proba(binary.test), alone.predict_proba(scaled.transform(binary.test))
    )


def test_pipeline_of_arrays_says_what_to_do(binary, classifier):
    pipeline = make_pipeline(scaled_numbers(), classifier())
    with pytest.raises(ValueError, match=r"pipeline\.set_output\(transform='pandas'\)"):
        pipeline.fit(binary.X, binary.y)


def test_pipeline_of_arrays_works_without_roles(binary, classifier):
    numbers = binary.X.filter(regex="^x")
    estimator = classifier(cluster=None, sensitive=())
    pipeline = make_pipeline(StandardScaler(), estimator).fit(numbers, binary.y)
    found = pipeline.predict_proba(binary.test[numbers.columns])
    assert found.shape == (len(binary.test), 2)
    assert list(pipeline[-1].design_.schema.numeric) == ["x0", "x1", "x2", "x3", "x4"]


@pytest.mark.slow
def test_grid_search_over_the_fairness_weight_compiles_once(binary, classifier, compilations):
    X, y = all_seen(binary)
    pf.clear_caches()  # else programs of other files are used
    GridSearchCV(classifier(), {"fairness_weight": [0.1]}, cv=3).fit(X, y)
    before = len(compilations)
    grid = {"fairness_weight": [0.0, 0.3, {"group1": 1.0}, {"moment": 0.1}]}
    search = GridSearchCV(classifier(), grid, cv=3, scoring="neg_log_loss", error_score="raise")
    search.fit(X, y)
    assert len(compilations) == before
    assert before > 0
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) == 4  # every setting reached the fit
    assert search.best_estimator_.fairness_weight in grid["fairness_weight"]


def test_cross_val_predict_gives_out_of_fold_mixed_probabilities(binary, classifier):
    X, y = all_seen(binary)
    found = cross_val_predict(classifier(), X, y, cv=KFold(3), method="predict_proba")
    fold = classifier().fit(X[:400], y[:400])
    np.testing.assert_allclose(found[400:], fold.predict_proba(X[400:]), rtol=1e-6)
    assert not np.allclose(found[400:], fold.predict_proba(X[400:], effects="fixed"))


def test_a_clone_is_unfitted_and_fits_the_same(rich, binary):
    copy = clone(rich)
    assert not hasattr(copy, "fit_")
    assert copy.get_params() == rich.get_params()
    refitted = copy.fit(binary.X, binary.y)
    np.testing.assert_array_equal(
        refitted.predict_proba(binary.test), rich.predict_proba(binary.test)
    )


@pytest.mark.parametrize("how", ["pickle", "joblib"])
def test_copies_predict_bit_for_bit(rich, reg, binary, how):
    for estimator in (rich, reg) if how == "pickle" else (reg,):
        buffer = io.BytesIO()
        (pickle if how == "pickle" else joblib).dump(estimator, buffer)
        buffer.seek(0)
        copy = (pickle if how == "pickle" else joblib).load(buffer)
        rows = pd.concat([binary.test, binary.unseen])
        assert copy.predict_interval(rows).equals(estimator.predict_interval(rows))
        np.testing.assert_array_equal(copy.predict(rows), estimator.predict(rows))
        assert copy.history_.equals(estimator.history_)


def test_fitted_state_holds_no_device_arrays(rich, reg):
    for estimator in (rich, reg):
        leaves = jax.tree.leaves([estimator.fit_.network, estimator.fit_.draws])
        assert leaves
        assert all(type(leaf) is np.ndarray for leaf in leaves)


def polars(frame):
    return pl.DataFrame({name: frame[name].to_list() for name in frame})


def test_polars_equals_pandas(clf, binary, classifier):
    fitted = classifier().fit(polars(binary.X), pl.Series(binary.y.to_list()))
    for rows in (binary.test, binary.unseen):
        expected = clf.predict_proba(rows)
        np.testing.assert_array_equal(fitted.predict_proba(polars(rows)), expected)
        np.testing.assert_array_equal(clf.predict_proba(polars(rows)), expected)
    interval = clf.predict_interval(polars(binary.test))
    assert interval.index.equals(pd.RangeIndex(len(binary.test)))
    np.testing.assert_array_equal(interval, clf.predict_interval(binary.test))


def test_a_lazy_polars_frame_says_what_to_do(clf, binary):
    with pytest.raises(TypeError, match=r"got a lazy one \(LazyFrame\): collect\(\) first"):
        clf.predict(polars(binary.test).lazy())


def test_outputs_are_indexed_like_the_rows(clf, binary):
    rows = binary.test.set_axis([f"row {i}" for i in range(len(binary.test))])
    assert clf.predict_interval(rows).index.equals(rows.index)
    drawn = clf.sample_predictive(rows, draws=3)
    assert list(drawn.coords["row"].to_numpy()) == list(rows.index)


def test_order_of_columns_and_extra_columns_do_not_matter(clf, binary):
    shuffled = binary.test[binary.test.columns[::-1]].assign(extra=1.0)
    np.testing.assert_array_equal(clf.predict_proba(shuffled), clf.predict_proba(binary.test))


def test_numbered_columns_are_taken_by_position(binary, classifier):
    numbers = binary.X.filter(regex="^x")
    numbered = numbers.set_axis(range(5), axis=1)
    estimator = classifier(cluster=None, sensitive=())
    by_frame = clone(estimator).fit(numbered, binary.y)
    by_array = clone(estimator).fit(numbers.to_numpy(), binary.y)
    assert not hasattr(by_frame, "feature_names_in_")
    np.testing.assert_array_equal(
        by_frame.predict_proba(numbers.to_numpy()), by_array.predict_proba(numbered)
    )
    with pytest.raises(TypeError, match=r"Expected column names that are strings, got \[0, 1, 2\]"):
        classifier().fit(numbered, binary.y)


def test_names_given_after_an_array_are_warned_of(binary, classifier):
    numbers = binary.X.filter(regex="^x")
    fitted = classifier(cluster=None, sensitive=()).fit(numbers.to_numpy(), binary.y)
    with pytest.warns(UserWarning, match="has feature names, but"):
        named = fitted.predict_proba(numbers)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(named, fitted.predict_proba(numbers.to_numpy()))


def test_fitting_twice_equals_fitting_anew(clf, binary, classifier):
    X, y = all_seen(binary)
    twice = classifier().fit(X[200:], y[200:]).fit(binary.X, binary.y)
    np.testing.assert_array_equal(twice.predict_proba(binary.test), clf.predict_proba(binary.test))


def test_inputs_are_left_as_they_are(binary, classifier):
    X, y = binary.X.copy(), binary.y.copy()
    fitted = classifier().fit(X, y)
    fitted.fairness_report(X, y, n_boot=0)
    assert X.equals(binary.X)
    assert y.equals(binary.y)
