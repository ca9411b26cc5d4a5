"""The study's pictures show its numbers."""

import numpy as np
import pytest

from pyfairme.paper.disparity_bars import plot_disparities
from pyfairme.paper.figures import write_figures
from pyfairme.plots.group_rates import plot_group_rates
from pyfairme.plots.importance_bars import plot_importance


def cells(results, variant, clusters, metric, column="value"):
    chosen = results[
        (results["variant"] == variant)
        & (results["clusters"] == clusters)
        & (results["metric"] == metric)
        & (results["effects"] == "mixed")
        & (results["group"] == "all")
    ]
    return chosen.set_index("attribute")[column]


@pytest.mark.long
def test_bars_whiskers_and_bands_are_the_results(results):
    figure = plot_disparities(results)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert len(panels) == 4 * 2  # TPR SD, FPR SD, DP, counterfactual; seen and unseen
    axes = panels[1]  # TPR SD, unseen
    before, after, band = ([bar.get_height() for bar in bars] for bars in axes.containers)
    assert before == pytest.approx(cells(results, "medl", "unseen", "tpr_sd").tolist())
    assert after == pytest.approx(cells(results, "medl_adb", "unseen", "tpr_sd").tolist())
    low, high = (
        cells(results, "medl", "unseen", "tpr_sd", f"null_{end}") for end in ("low", "high")
    )
    assert band == pytest.approx((high - low).tolist())
    assert [bar.get_y() for bar in axes.containers[2]] == pytest.approx(low.tolist())
    ends = np.array(axes.collections[1].get_segments())[:, :, 1]
    assert ends[:, 0] == pytest.approx(cells(results, "medl_adb", "unseen", "tpr_sd", "low"))
    assert ends[:, 1] == pytest.approx(cells(results, "medl_adb", "unseen", "tpr_sd", "high"))
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert ticks == list(cells(results, "medl", "unseen", "tpr_sd").index) == ["sex", "race"]


def test_changes_are_written_in_brackets_where_not_resolvable(results):
    axes = plot_disparities(results).axes[0]
    before, after, high = (
        cells(results, variant, "seen", "tpr_sd", column)
        for variant, column in (("medl", "value"), ("medl_adb", "value"), ("medl", "null_high"))
    )
    percent = {name: f"{100 * (after[name] / before[name] - 1):+.1f} %" for name in before.index}
    assert (before <= high).to_dict() == {"sex": False, "race": True}
    assert [text.get_text() for text in axes.texts] == [percent["sex"], f"({percent['race']})"]


def test_nothing_reaches_beyond_the_axes(results):
    figure = plot_disparities(results)
    for axes in figure.axes:
        bars = [bar.get_y() + bar.get_height() for c in axes.containers for bar in c]
        whiskers = [s[1, 1] for lines in axes.collections[:2] for s in lines.get_segments()]
        assert axes.get_ylim()[1] > np.nanmax(bars + whiskers) > 0


def test_disparities_of_a_missing_model_are_refused(results):
    with pytest.raises(ValueError, match=r"'medl' and 'x' for effects='mixed'; .* models nnet, da"):
        plot_disparities(results, pair=("medl", "x"))


def test_probes_are_hatched_and_ranked(importance):
    panels = (("nnet", "mixed"), ("medl_adb", "mixed"))
    nnet, fair = plot_importance(importance, dataset="adult", panels=panels, top=3).axes
    names = [label.get_text() for label in nnet.get_yticklabels()]
    assert names == ["probe 1", "age", "probe 2"]
    hatched = [bars[0].get_hatch() is not None for bars in nnet.containers]
    assert hatched == [True, False, True]
    colours = [bars[0].get_facecolor() for bars in nnet.containers]
    assert colours[0] == colours[2] != colours[1]
    assert [bars[0].get_width() for bars in nnet.containers] == pytest.approx([40, 20, 40 / 3])
    # probes below the first three are drawn all the same, below a gap
    assert [label.get_text() for label in fair.get_yticklabels()][3:] == ["probe 1", "probe 2"]
    places = [bars[0].get_y() for bars in fair.containers]
    assert np.diff(places) == pytest.approx([1, 1, 1.5, 1])
    assert [text.get_text() for text in fair.texts] == ["1", "2", "3", "4", "5"]


def test_importance_of_a_missing_model_is_refused(importance):
    with pytest.raises(
        ValueError, match=r"No importance of 'da' on 'adult'; there is that of nnet"
    ):
        plot_importance(importance, dataset="adult", panels=(("da", "mixed"),))


def test_a_regression_s_groups_show_errors_and_means(before, after):
    new = {"tpr": "mse", "fpr": "mean_prediction"}
    figure = plot_group_rates(*(frame.replace({"metric": new}) for frame in (before, after)))
    titles = [axes.get_title().strip() for axes in figure.axes]  # a line is left for names
    assert titles == ["mean squared error (n = rows)", "mean prediction (n = rows)"]
    assert figure.axes[0].get_xlim()[1] < 1  # no rate


def test_every_figure_is_written(results, importance, tmp_path):
    written = write_figures(results, importance, tmp_path / "new")
    assert set(written) == {
        "figure_2_adult_mixed.png", "figure_2_adult_fixed.png", "figure_3_adult_importance.png",
        "groups_adult_seen.png", "groups_adult_unseen.png",
    }  # fmt: skip
    for name in written:
        assert (tmp_path / "new" / name).read_bytes().startswith(b"\x89PNG")


def test_without_the_pair_only_importance_is_drawn(results, importance, tmp_path):
    plain = results[results["variant"] == "nnet"].assign(dataset="mine")
    written = write_figures(plain, importance.assign(dataset="mine"), tmp_path)
    assert written == {
        "importance_mine.png": "importance of features of nnet and medl_adb on mine, probes marked"
    }
