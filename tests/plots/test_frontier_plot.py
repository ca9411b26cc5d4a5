"""The frontier as it is drawn: every point where its numbers say, peers by their kind."""

import numpy as np
import pandas as pd
import pytest

from pyfairme.metrics.pareto import on_hull
from pyfairme.plots import plot_frontier

ACCURACY = [0.83, 0.825, 0.81, 0.79, 0.78]
WORST = [0.20, 0.18, 0.08, 0.085, 0.03]
NAMES = ["0", "0.03", "0.1", "0.2", "0.3"]
SPREADS = ("tpr_sd_sex", "tpr_sd_sex x race", "fpr_sd_sex", "fpr_sd_sex x race")


def with_ends(name, values):
    values = np.array(values)
    return {name: values, f"{name}_low": values - 0.01, f"{name}_high": values + 0.02}


@pytest.fixture
def points():
    columns = {"variant": NAMES, "effects": "mixed", "clusters": "seen"}
    columns |= {"unfair": [True, *[False] * 4], "non_dominated": [True, True, True, False, True]}
    columns |= with_ends("balanced_accuracy", ACCURACY) | with_ends("worst_sd", WORST)
    for share, name in zip((0.5, 1.0, 0.3, 0.8), SPREADS, strict=True):
        columns |= with_ends(name, share * np.array(WORST))
        columns |= {f"{name}_null_low": 0.01, f"{name}_null_high": [0.05, 0.9, 0.9, 0.9, 0.9]}
        corrected = name.replace("_sd_", "_sd_corrected_")
        columns |= {corrected: 0.0, f"{corrected}_null_low": 0.0, f"{corrected}_null_high": 0.1}
    table = pd.DataFrame(columns)
    return pd.concat([table, table.assign(effects="fixed", balanced_accuracy=0.5)])


@pytest.fixture
def peers():
    return pd.DataFrame(
        {
            "method": ["boosting", "thresholds", "reductions", "reductions"],
            "balanced_accuracy": [0.85, 0.82, 0.80, 0.81],
            "needs_sensitive": [False, True, False, False],
            **{name: [0.1, 0.01, 0.02, 0.05] for name in SPREADS[:3]},
            SPREADS[3]: [0.15, 0.02, 0.03, np.nan],
        }
    )


def dots(axes):
    """Centres of all markers in a panel, with the marker's fill, by label."""
    return {
        one.get_label(): (np.asarray(one.get_offsets()), one.get_facecolor())
        for one in axes.collections
        if len(one.get_offsets()) and not str(one.get_label()).startswith("_")
    }


def panels(figure):
    return {axes.get_title() or axes.get_xlabel(): axes for axes in figure.axes}


def test_points_lie_at_their_numbers_and_their_kinds_are_told_apart(points):
    figure = plot_frontier(points, chosen="0.1")
    found = panels(figure)
    assert list(found) == [
        "worst of these spreads", "TPR SD, sex", "TPR SD, sex x race", "FPR SD, sex",
        "FPR SD, sex x race",
    ]  # fmt: skip
    for heading, share in zip(found, (1, 0.5, 1.0, 0.3, 0.8), strict=True):
        drawn = dots(found[heading])
        expected = np.column_stack([share * np.array(WORST), ACCURACY])
        assert drawn["fair, by fairness weight"][0] == pytest.approx(expected[[1, 2, 4]])
        assert drawn["dominated by another weight"][0] == pytest.approx(expected[[3]])
        assert drawn["without fairness"][0] == pytest.approx(expected[[0]])
        assert drawn["chosen"][0] == pytest.approx(expected[[2]])
        assert not len(drawn["chosen"][1])  # a ring


def test_the_line_joins_the_corners_of_the_hull(points):
    for heading, axes in panels(plot_frontier(points)).items():
        hull = np.asarray(axes.lines[0].get_xydata())
        corner = on_hull(ACCURACY, WORST)
        assert corner.tolist() == [True, False, True, False, True], heading
        assert hull[:, 1] == pytest.approx(sorted(np.array(ACCURACY)[corner]))


def test_whiskers_and_the_null_band_of_the_unfair_point(points):
    axes = panels(plot_frontier(points))["TPR SD, sex"]
    across, up = (
        np.array(one.get_segments()) for one in axes.collections if hasattr(one, "get_segments")
    )
    assert across[0] == pytest.approx(np.array([[0.09, 0.83], [0.12, 0.83]]))
    assert up[4] == pytest.approx(np.array([[0.015, 0.77], [0.015, 0.80]]))
    band = axes.patches[0]
    assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((0.01, 0.05))
    assert not panels(plot_frontier(points))["worst of these spreads"].patches


def test_weights_are_written_beside_their_points(points):
    axes = panels(plot_frontier(points))["worst of these spreads"]
    written = {text.get_text(): text.xy for text in axes.texts}
    assert written == {
        n: pytest.approx([w, a]) for n, w, a in zip(NAMES[1:], WORST[1:], ACCURACY[1:], strict=True)
    }


def test_peers_that_need_the_attribute_are_hollow(points, peers):
    found = panels(plot_frontier(points, peers=peers))
    sex = dots(found["TPR SD, sex"])
    assert sex["boosting"][0].tolist() == [[0.1, 0.85]]
    assert len(sex["boosting"][1])
    assert not len(sex["thresholds (needs S to predict)"][1])
    assert len(sex["reductions"][0]) == 2
    worst = dots(found["worst of these spreads"])
    assert worst["boosting"][0].tolist() == [[0.15, 0.85]]
    assert worst["reductions"][0][0].tolist() == [0.03, 0.80]
    # of the other point one spread is not known, so the worst is not
    assert np.ma.masked_invalid(worst["reductions"][0]).count() == 3
    legend = {text.get_text() for text in plot_frontier(points, peers=peers).legends[0].get_texts()}
    assert {"boosting", "thresholds (needs S to predict)", "without fairness"} <= legend


def test_peers_are_left_out_of_panels_they_know_nothing_of(points, peers):
    found = panels(plot_frontier(points, peers=peers.drop(columns=list(SPREADS[1:]))))
    assert "boosting" in dots(found["TPR SD, sex"])
    assert "boosting" not in dots(found["FPR SD, sex"])
    assert "boosting" not in dots(found["worst of these spreads"])


def test_a_regression_has_r2_and_one_row_of_panels(points):
    names = {"balanced_accuracy": "r2", "tpr_sd_sex": "residual_sd_sex"}
    kept = [c for c in points if not c.startswith(("tpr_sd_sex x", "fpr_sd", "tpr_sd_corr"))]
    table = points[kept].rename(
        columns=lambda c: next((c.replace(a, b) for a, b in names.items() if c.startswith(a)), c)
    )
    figure = plot_frontier(table)
    assert list(panels(figure)) == ["worst of these spreads", "SD of mean residual, sex"]
    assert figure.axes[0].get_ylabel() == "R²"


def test_what_is_not_there_is_not_drawn(points, peers):
    with pytest.raises(ValueError, match="No points of random predictions on seen clusters"):
        plot_frontier(points, effects="random")
    with pytest.raises(ValueError, match=r"No point is called '9'; there are 0, 0\.03"):
        plot_frontier(points, chosen="9")
    with pytest.raises(ValueError, match=r"peers need the columns method, .*; method missing"):
        plot_frontier(points, peers=peers.drop(columns="method"))
