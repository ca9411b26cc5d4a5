"""Frontiers of models: against the definition, against random points, and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from pyfairme.metrics import hypervolume, non_dominated
from pyfairme.metrics.pareto import on_hull

# a coarse grid has ties in one or both
NUMBER = st.one_of(st.integers(0, 6).map(lambda i: i / 8), st.floats(0, 1), st.just(np.nan))
MODELS = st.lists(st.tuples(NUMBER, NUMBER), max_size=12).map(
    lambda pairs: np.array(pairs, float).reshape(-1, 2)
)
REFERENCE = (0.1, 0.9)


def dominates(one, other):
    return one[0] >= other[0] and one[1] <= other[1] and (one[0] > other[0] or one[1] < other[1])


@given(MODELS)
def test_a_model_is_marked_exactly_when_no_other_dominates_it(models):
    found = non_dominated(*models.T)
    expected = [
        not np.isnan(model).any() and not any(dominates(other, model) for other in models)
        for model in models
    ]
    assert found.tolist() == expected


@given(MODELS)
def test_corners_are_non_dominated_and_no_model_lies_below_them(models):
    accuracy, disparity = models.T
    corner, marked = on_hull(accuracy, disparity), non_dominated(accuracy, disparity)
    assert not (corner & ~marked).any()
    assert corner.any() == marked.any()
    if corner.any():
        order = np.argsort(accuracy[corner])
        a, d = accuracy[corner][order], disparity[corner][order]
        assert (np.diff(a) > 0).all()
        assert a[-1] == np.nanmax(accuracy[marked])
        assert d[0] == np.nanmin(disparity[marked])
        assert (np.interp(accuracy[marked], a, d) <= disparity[marked] + 1e-9).all()
        with np.errstate(over="ignore"):  # steps of denormal size
            slopes = np.diff(d) / np.diff(a)
        assert (np.diff(slopes) >= -1e-6 * np.abs(slopes[1:])).all()


@settings(max_examples=25, deadline=None)
@given(MODELS, st.integers(0, 99))
def test_the_area_is_the_share_of_random_points_that_are_dominated(models, seed):
    rng = np.random.default_rng(seed)
    start, ceiling = REFERENCE
    a = rng.uniform(start, 1, 20_000)
    d = rng.uniform(0, ceiling, 20_000)
    covered = np.zeros(len(a), bool)
    for accuracy, disparity in models:
        covered |= (a <= accuracy) & (d >= disparity)
    box = (1 - start) * ceiling
    error = 5 * np.sqrt(0.25 / len(a)) * box
    found = hypervolume(*models.T, REFERENCE)
    if len(models) and np.isnan(models).any(axis=1).all():
        assert np.isnan(found)  # nothing is known of any model
        return
    assert found == pytest.approx(covered.mean() * box, abs=error)


@given(MODELS)
def test_the_convex_area_is_that_of_the_hull_of_the_rectangles(models):
    start, ceiling = REFERENCE
    better = models[(models[:, 0] > start + 1e-3) & (models[:, 1] < ceiling - 1e-3)]
    found = hypervolume(*better.T, REFERENCE, convex=True)
    corners = [(x, y) for a, d in better for x in (start, a) for y in (d, ceiling)]
    expected = ConvexHull(np.array(corners)).volume if corners else 0.0
    assert found == pytest.approx(expected, abs=1e-9)
    assert found >= hypervolume(*better.T, REFERENCE) - 1e-12


def test_areas_by_hand():
    accuracy, disparity = [0.8, 0.7, 0.75], [0.2, 0.1, 0.19]
    assert hypervolume(accuracy, disparity, (0.6, 0.3)) == pytest.approx(0.0305)
    assert hypervolume(accuracy, disparity, (0.6, 0.3), convex=True) == pytest.approx(0.035)
    assert on_hull(accuracy, disparity).tolist() == [True, True, False]
    assert hypervolume([0.8], [0.1], (0.7, 0.25), convex=True) == pytest.approx(0.015)


def test_models_that_do_not_beat_the_reference_cover_nothing():
    assert hypervolume([0.6, 0.9, np.nan], [0.0, 0.3, 0.0], (0.7, 0.25)) == 0
    assert hypervolume([], [], (0.7, 0.25), convex=True) == 0
    with_worse = hypervolume([0.8, 0.6], [0.2, 0.0], (0.7, 0.25), convex=True)
    assert with_worse == pytest.approx(0.1 * 0.05)


def test_more_models_never_cover_less():
    rng = np.random.default_rng(0)
    models = rng.random((30, 2))
    for convex in (False, True):
        areas = [hypervolume(*models[:n].T, REFERENCE, convex=convex) for n in range(31)]
        assert (np.diff(areas) >= -1e-12).all()


def test_wrong_shapes_and_references_are_refused():
    with pytest.raises(ValueError, match=r"vectors of one length.*\(2,\) and \(1,\)"):
        non_dominated([0.1, 0.2], [0.1])
    for wrong in ((0.7,), (0.7, np.nan)):
        with pytest.raises(ValueError, match="two finite numbers, accuracy and disparity"):
            hypervolume([0.8], [0.1], wrong)
