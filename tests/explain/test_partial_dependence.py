"""Partial dependence: an average of settings, and its picture."""

import numpy as np
import pandas as pd
import pytest

from pyfairme.explain import avg_predictions, partial_dependence
from pyfairme.plots import plot_partial_dependence
from tests.bad_inputs import tiny


def test_curves_are_averages_with_values_set(clf, binary):
    X = binary.test
    found = partial_dependence(clf, X, "x1", ["c1", "c3"], grid=4, rows=1000, draws=100)
    values = np.linspace(*X["x1"].quantile([0.05, 0.95]), 4)
    set_to = avg_predictions(clf, X, {"cluster": ["c1", "c3"], "x1": values}, draws=100)
    np.testing.assert_allclose(found.draws, set_to.draws, atol=1e-6)
    pd.testing.assert_frame_equal(found.frame, set_to.frame, atol=1e-6)


def test_fewer_rows_are_the_same_in_every_call(clf, binary):
    X = binary.test
    one, two = (partial_dependence(clf, X, "group2", rows=50, draws=50) for _ in range(2))
    np.testing.assert_array_equal(one.draws, two.draws)
    assert one.frame["n"].tolist() == [50] * 3
    assert list(one.frame["group2"]) == ["g0", "g1", "g2"]


def test_the_picture_has_a_panel_for_each_cluster_with_its_band(clf, binary):
    found = partial_dependence(clf, binary.test, "x1", "all", grid=[-1, 0, 1], draws=50).frame
    figure = plot_partial_dependence(found)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == list(dict.fromkeys(found["cluster"]))
    own = found[found["cluster"] == shown[1].get_title()]
    curves = [line.get_ydata() for line in shown[1].lines]
    assert any(np.array_equal(curve, own["estimate"]) for curve in curves)
    band = shown[1].collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((own["low"].min(), own["high"].max()))


def test_of_many_clusters_the_extremes_have_panels():
    names = [f"c{i:02}" for i in range(30)]
    lines = [(name, x, i + x, i + x - 1, i + x + 1) for i, name in enumerate(names) for x in (0, 1)]
    frame = pd.DataFrame(lines, columns=["town", "x", "estimate", "low", "high"])
    figure = plot_partial_dependence(frame)
    assert [axes.get_title() for axes in figure.axes] == names[:6] + names[-6:]
    assert "12 of 30 clusters" in figure.get_suptitle()


def test_what_is_no_curve_is_refused(clf):
    with pytest.raises(ValueError, match=r"Expected the frame of partial_dependence.*not-in-table"):
        plot_partial_dependence(pd.DataFrame({"x": [1], "estimate": [1]}))
    many = pd.DataFrame({"x": [1, 1], "class": ["a", "b"], "estimate": 0, "low": 0, "high": 0})
    with pytest.raises(ValueError, match=r"lines of each class.*\[choose-one\]"):
        plot_partial_dependence(many)
    with pytest.raises(ValueError, match=r"it has none: choose.*\[choose-one\]"):
        partial_dependence(tiny.fit(cluster=None), tiny.rows(), "x1", "all")
