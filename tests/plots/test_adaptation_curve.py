import numpy as np
import pandas as pd
import pytest

from pyfairme.plots.adaptation_curve import plot_adaptation

LOSS = {"log_loss": "log loss"}


def records():
    """Two models; `adapt` drawn eleven times per number of rows, its loss 1 / rows and a ladder."""
    lines = []
    for model in ("plain", "fair"):
        lines.append({"model": model, "method": "population", "rows": 0, "log_loss": 0.7})
        for rows in (5, 100):
            for step in np.linspace(-0.1, 0.1, 11):
                loss = 1 / rows + step
                lines.append({"model": model, "method": "adapt", "rows": rows, "log_loss": loss})
    return pd.DataFrame(lines).assign(tpr_sd=0.1)


def test_points_are_means_and_bars_hold_the_level_of_the_draws():
    axes = plot_adaptation(records(), LOSS, level=0.8).axes[0]
    line = next(line for line in axes.lines if line.get_label() == "adapt")
    assert line.get_ydata() == pytest.approx([1 / 5, 1 / 100])
    ends = [segment[:, 1] for bars in axes.collections for segment in bars.get_segments()]
    assert ends[-2:] == [pytest.approx([0.12, 0.28]), pytest.approx([-0.07, 0.09])]


def test_no_rows_stand_left_of_the_logarithmic_axis_and_reach_across_as_a_dotted_line():
    axes = plot_adaptation(records(), LOSS).axes[0]
    zero, five, hundred = axes.get_xticks()
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "5", "100"]
    assert zero < five < hundred
    assert hundred - five == pytest.approx(np.log10(20))
    across = [line for line in axes.lines if line.get_linestyle() == ":"]
    assert next(line.get_ydata()[0] for line in across if len(set(line.get_ydata())) == 1) == 0.7


def test_a_panel_per_metric_and_model_with_one_legend():
    figure = plot_adaptation(records(), {**LOSS, "tpr_sd": "TPR SD"})
    assert [axes.get_title() for axes in figure.axes] == ["plain", "fair", "", ""]
    assert [axes.get_ylabel() for axes in figure.axes] == ["log loss", "", "TPR SD", ""]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["population", "adapt"]


def test_a_metric_that_a_method_lacks_leaves_no_line():
    frame = records()
    frame.loc[frame["method"] == "adapt", "tpr_sd"] = np.nan
    axes = plot_adaptation(frame, {"tpr_sd": "TPR SD"}).axes[0]
    assert "adapt" not in axes.get_legend_handles_labels()[1]


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match="lacks the columns rows, brier"):
        plot_adaptation(records().drop(columns="rows"), {"brier": "Brier"})
    with pytest.raises(ValueError, match="the frame has no lines"):
        plot_adaptation(records()[:0], LOSS)
    with pytest.raises(ValueError, match="metrics is empty"):
        plot_adaptation(records(), {})
