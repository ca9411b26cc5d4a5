"""``warm_start=True``: a fit begins where the estimator's last one ended."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import pyfairme as pf


@pytest.fixture(scope="module")
def warm(binary, classifier):
    """Fitted twice, and the loss of the first fit."""
    model = classifier(warm_start=True).fit(binary.X, binary.y)
    first = model.history_
    return model.fit(binary.X, binary.y), first


def same(one, other, rows):
    return np.array_equal(one.predict_proba(rows), other.predict_proba(rows))


def test_a_fit_begins_where_the_last_one_ended(warm, clf):
    model, first = warm
    pd.testing.assert_frame_equal(first, clf.history_)  # the first fit is an ordinary one
    losses = first["mixed"].to_numpy()
    assert model.history_["mixed"].iloc[0] < losses[-1] + 0.2 * (losses[0] - losses[-1])
    assert len(model.history_) == len(first)  # of the new fit only
    assert model.n_iter_ == len(first)


def test_without_it_a_second_fit_is_the_first_one(binary, classifier, clf):
    model = classifier().fit(binary.X, binary.y).fit(binary.X, binary.y)
    assert same(model, clf, binary.test)


def test_a_clone_is_unfitted_and_learns_anew(binary, warm, clf):
    copy = clone(warm[0])
    assert copy.warm_start is True
    assert not hasattr(copy, "fit_")
    assert same(copy.fit(binary.X, binary.y), clf, binary.test)


def test_files_and_pickles_keep_what_is_needed(binary, classifier, warm, tmp_path):
    model = classifier(warm_start=True).fit(binary.X, binary.y)
    model.save(tmp_path / "model.pyfairme")
    for copy in (pf.load(tmp_path / "model.pyfairme"), pickle.loads(pickle.dumps(model))):
        assert same(copy.fit(binary.X, binary.y), warm[0], binary.test)
    older = pf.load(tmp_path / "model.pyfairme")
    del older._learned  # as after loading a file that was written before there was a warm start
    with pytest.warns(UserWarning, match="the file that .* does not hold where its fit ended"):
        older.fit(binary.X, binary.y)


@pytest.mark.long
@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"hidden": (4,)}, r"in hidden \(hidden: \(8,\) then, \(4,\) now\): the fit starts afresh"),
        ({"fairness": "correlation"}, r"differs from the fitted one in penalties"),
        pytest.param(
            {"ensemble": 2}, r"in ensemble \(ensemble: 1 then, 2 now\)", marks=pytest.mark.slow
        ),
        pytest.param({"guide": "low_rank"}, r"in guide", marks=pytest.mark.slow),
        ({"sensitive": ("group2",)}, r"in attributes, groups"),
    ],
)
def test_another_structure_warns_and_is_a_cold_fit(binary, classifier, warm, keywords, message):
    model = pickle.loads(pickle.dumps(warm[0])).set_params(min_steps=100, **keywords)
    with pytest.warns(UserWarning, match=message):
        model.fit(binary.X, binary.y)
    cold = classifier(min_steps=100, **keywords).fit(binary.X, binary.y)
    assert same(model, cold, binary.test)
    pd.testing.assert_frame_equal(model.history_, cold.history_)


def test_other_clusters_and_columns_are_told(binary, warm):
    model = pickle.loads(pickle.dumps(warm[0])).set_params(min_steps=100)
    renamed = binary.X.assign(cluster=binary.X["cluster"] + "!")
    with pytest.warns(UserWarning, match=r"in clusters \(clusters: .*c0"):
        model.fit(renamed, binary.y)
    with pytest.warns(UserWarning, match=r"in columns, clusters"):
        model.fit(binary.X.rename(columns={"x1": "z1"}), binary.y)


def test_strengths_and_other_rows_may_differ(binary, warm):
    """A path of weights, and more rows of the same kind: both go on."""
    model = pickle.loads(pickle.dumps(warm[0])).set_params(fairness_weight=2.0, min_steps=100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(binary.X, binary.y)
        assert model.history_["mixed"].iloc[0] < 0.5 * np.log(2) + 0.5 * warm[1]["mixed"].iloc[0]
        more = pd.concat([binary.X, binary.test]).iloc[100:500]
        model.fit(more, pd.concat([binary.y, binary.y_test]).iloc[100:500])


def test_a_failed_fit_costs_nothing_but_itself(binary, classifier, warm):
    model = classifier(warm_start=True).fit(binary.X, binary.y)
    with pytest.raises(ValueError, match="at least 2 classes"):
        model.fit(binary.X, np.zeros(len(binary.X), int))
    assert not hasattr(model, "fit_")
    assert same(model.fit(binary.X, binary.y), warm[0], binary.test)


@pytest.mark.long
def test_a_linear_model_of_a_real_target_goes_on(real, regressor):
    model = regressor(hidden=(), warm_start=True, min_steps=100).fit(real.X, real.y)
    first = model.history_["mixed"]
    again = model.fit(real.X, real.y).history_["mixed"]
    assert again.iloc[0] < first.iloc[-1]


def test_it_is_true_or_false(binary, classifier):
    with pytest.raises(ValueError, match="Invalid value of warm_start: 'yes'"):
        classifier(warm_start="yes").fit(binary.X, binary.y)
