"""Defects that a review found, each pinned: offset, refit, seen rows, pooling, repeated names."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

import pyfairme as pf
from pyfairme.estimators.fairness_report import collect, pool, report
from pyfairme.notices import DataWarning

QUICK = {
    "guide": "mean_field",
    "hidden": (8,),
    "min_steps": 300,
    "epochs": 1,
    "random_state": 0,
    "progress": False,
}


@pytest.mark.long
def test_offset_of_a_regressor_is_in_the_targets_units():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=1500), "off": rng.normal(0, 50, 1500)})
    y = 100 + frame["off"] + 5 * frame["x"] + rng.normal(size=1500)
    reg = pf.FairMixedEffectsRegressor(
        offset="off", hidden=(), random_state=0, validation_fraction=0, progress=False
    ).fit(frame, y)
    found = reg.predict(frame)
    slope = np.polyfit(frame["off"], found, 1)[0]
    assert slope == pytest.approx(1.0, abs=0.01)
    assert np.sqrt(np.mean((found - y) ** 2)) < 1.2  # the noise is 1
    effects = reg.fixed_effects_.set_index("term")["mean"]
    assert effects["x"] == pytest.approx(5.0, rel=0.03)
    assert effects["Intercept"] == pytest.approx(100.0, rel=0.01)


@pytest.fixture(scope="module")
def data():
    return pf.datasets.make_clustered(rows=600, clusters=6, sensitive_levels=(2,), random_state=0)


@pytest.mark.long
def test_a_refit_that_fails_leaves_no_half_fitted_model(data):
    reg = pf.FairMixedEffectsRegressor("cluster", unseen="population", **QUICK)
    reg.set_params(hidden=(), min_steps=5).fit(data.frame, data.target * 1.0)
    with pytest.raises(ValueError, match="random_slopes='hidden' needs a hidden layer"):
        reg.set_params(random_slopes="hidden", hidden=()).fit(data.frame, data.target * 1000.0)
    with pytest.raises(NotFittedError):
        check_is_fitted(reg)


@pytest.mark.long
@pytest.mark.parametrize("policy", ["infer", "population", "sample"])
def test_rows_of_new_clusters_are_unseen_under_every_policy(data, policy):
    clf = pf.FairMixedEffectsClassifier(
        "cluster", data.schema.sensitive, unseen=policy, fairness=None, **QUICK
    ).fit(data.frame, data.target)
    half = data.frame.copy()
    half.loc[half.index[:300], "cluster"] = "new"
    counts = np.bincount(collect(clf, half, data.target).seen)
    np.testing.assert_array_equal(counts, [300, 300])


@pytest.mark.slow
def test_fits_that_saw_different_levels_can_be_pooled(data):
    frame = data.frame.copy()
    frame["group1"] = frame["group1"].astype(str)
    frame.loc[frame.index[0], "group1"] = "rare"
    parts = []
    for rows in (slice(0, 300), slice(300, 600)):
        clf = pf.FairMixedEffectsClassifier("cluster", ["group1"], fairness=None, **QUICK)
        clf.set_params(validation_fraction=0).fit(frame[rows], data.target[rows])
        parts.append(collect(clf, frame[rows], data.target[rows]))
    pooled = report(pool(parts), by_cluster=False, n_boot=0, level=0.9)
    assert pooled["n"].max() == 600
    assert "rare" in set(pooled["group"])


def test_repeated_penalties_are_refused(data):
    clf = pf.FairMixedEffectsClassifier("cluster", fairness=("moment", "moment"), **QUICK)
    with pytest.raises(ValueError, match=r"fairness: .* names one of them twice"):
        clf.fit(data.frame, data.target)


@pytest.mark.long
def test_slopes_far_from_their_origin_are_warned_of(data):
    frame = data.frame.assign(year=2010 + np.arange(600) % 10)
    clf = pf.FairMixedEffectsClassifier("cluster", fairness=None, random_slopes=["year"], **QUICK)
    clf.set_params(hidden=(), validation_fraction=0)
    clf.fit(frame, data.target)  # silent: years start at their mean
    assert clf.variance_components_["origin"].tolist() == ["year = 2014.5", ""]
    coded = frame.assign(year=frame["year"].where(frame.index != 7, 0))  # SD 82, mean 2011
    with pytest.warns(DataWarning, match=r"'year' start at 0, .* than 10 standard .*far-origin\]$"):
        clf.fit(coded, data.target)


def test_importance_finds_what_the_target_was_made_from():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "strong": rng.normal(size=2000),
            "weak": rng.normal(size=2000),
            "none": rng.normal(size=2000),
        }
    )
    y = (2 * frame["strong"] + 0.5 * frame["weak"] + rng.logistic(size=2000) > 0).astype(int)
    clf = pf.FairMixedEffectsClassifier(hidden=(), random_state=0, progress=False).fit(frame, y)
    found = clf.feature_importance(frame, effects="fixed", method="gradient")
    assert list(found["feature"]) == ["strong", "weak", "none"]
    assert list(found["rank"]) == [1, 2, 3]
    assert found["share"].sum() == pytest.approx(1.0)
    # a linear model: importances stand as the coefficients do
    coefficients = clf.fixed_effects_.set_index("term")["mean"].abs()
    ratio = found.set_index("feature")["importance"]
    expected = coefficients["strong"] / coefficients["weak"]
    assert ratio["strong"] / ratio["weak"] == pytest.approx(expected, rel=0.02)
    moved = clf.feature_importance(frame, effects="fixed")  # by permutation
    assert list(moved["feature"]) == ["strong", "weak", "none"]
    with pytest.raises(ValueError, match=r"X has one: give more rows, .*one-row-importance\]$"):
        clf.feature_importance(frame[:1])


def test_names_of_the_posteriors_own_dimensions_are_refused(data):
    frame = data.frame.rename(columns={"cluster": "draw"})
    with pytest.raises(ValueError, match="'draw' has the name of a dimension of every posterior"):
        pf.FairMixedEffectsClassifier("draw", **QUICK).fit(frame, data.target)
