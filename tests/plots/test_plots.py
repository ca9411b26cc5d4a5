"""The pictures show the numbers that they were given."""

import io
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from pyfairme.plots import plot_cluster_effects, plot_group_rates, plot_training


@pytest.fixture
def effects():
    rows = []
    for term, means in (
        ("Intercept", (0.1, -0.3, 0.2)),
        ("age", (0.01, 0.05, -0.02)),
        ("sex[Male]", (2.0, 0.5, 1.0)),
        ("hours", (0.001, 0.0, 0.002)),
    ):
        for cluster, mean in zip("abc", means, strict=True):
            sd = abs(means[0]) if term != "sex[Male]" else 0.1
            rows.append(("job", cluster, term, mean, sd, mean - sd, mean + 2 * sd))
    columns = ["factor", "cluster", "term", "mean", "sd", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def panels(figure):
    return [axes for axes in figure.axes if axes.get_visible()]


def test_the_forest_shows_means_and_intervals(effects):
    first = panels(plot_cluster_effects(effects))[0]
    points, lines = first.collections[1], first.collections[0]
    assert points.get_offsets()[:, 0].tolist() == [0.1, -0.3, 0.2]
    ends = np.array(lines.get_segments())[:, :, 0]
    assert ends == pytest.approx(np.array([[0, 0.3], [-0.4, -0.1], [0.1, 0.4]]))
    assert [label.get_text() for label in first.get_yticklabels()] == list("abc")


def test_a_figure_shows_itself_in_a_notebook(effects):
    png = plot_cluster_effects(effects)._repr_png_()
    assert png.startswith(b"\x89PNG")


def test_the_forest_shows_the_intercept_and_the_clearest_slopes(effects):
    figure = plot_cluster_effects(effects, slopes=2)  # |mean| / sd: 20 sex, 5 age, 2 hours
    titles = [axes.get_title() for axes in panels(figure)]
    assert titles == ["intercept", "sex:\nMale", "slope of\nage"]


def test_the_forests_axes_have_units(effects):
    labels = {a.get_title(): a.get_xlabel() for a in panels(plot_cluster_effects(effects))}
    assert labels["intercept"] == labels["sex:\nMale"] == "log-odds"
    assert labels["slope of\nage"] == "log-odds per unit"


def test_only_intervals_without_zero_are_coloured(effects):
    first = panels(plot_cluster_effects(effects))[0]
    colours = first.collections[1].get_facecolors()
    assert not np.array_equal(colours[0], colours[1])  # a reaches down to 0, b does not
    assert np.array_equal(colours[1], colours[2])


def test_the_forest_of_nothing_or_of_two_factors_is_refused(effects):
    with pytest.raises(ValueError, match=r"one grouping factor, got \[\]"):
        plot_cluster_effects(effects.iloc[:0])
    both = pd.concat([effects, effects.assign(factor="town")])
    with pytest.raises(ValueError, match=r"one grouping factor, got \['job', 'town'\]"):
        plot_cluster_effects(both)


def points(axes):
    return [part.get_offsets()[:, 0].tolist() for part in axes.collections[1::2]]


def test_points_are_the_rates_in_the_reports_order(before, after):
    tpr, fpr = panels(plot_group_rates(before, after))
    assert points(tpr) == [[0.55, 0.45], [0.52, 0.48]]
    assert points(fpr) == [[0.25, 0.15], [0.21, 0.19]]
    assert [label.get_text() for label in tpr.get_yticklabels()] == ["Male", "Female"]


def test_groups_of_the_second_report_are_matched_by_name(before, after):
    tpr, _ = panels(plot_group_rates(before, after[::-1]))
    assert points(tpr) == [[0.55, 0.45], [0.52, 0.48]]


def test_whiskers_are_the_intervals_and_n_is_written(before, after):
    tpr, _ = panels(plot_group_rates(before, after))
    ends = np.array(tpr.collections[0].get_segments())[:, :, 0]
    assert ends == pytest.approx(np.array([[0.54, 0.57], [0.44, 0.47]]))
    assert [text.get_text() for text in tpr.texts] == ["n = 1,234", "n = 56"]


def test_whiskers_stay_inside_the_axes(before, after):
    wide = before.assign(high=before["high"].where(before["metric"] != "fpr", 0.6))
    _, fpr = panels(plot_group_rates(wide, after))
    assert fpr.get_xlim()[1] >= 0.6
    assert fpr.get_xlim()[0] > 0  # no bars, which would have to start there


def test_the_legend_names_both_models(before, after):
    figure = plot_group_rates(before, after, names=("plain", "fair"))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["plain", "fair"]


def test_missing_rates_are_refused(before, after):
    with pytest.raises(ValueError, match=r"clusters='unseen'. It has .* clusters \['seen'\]"):
        plot_group_rates(before, after, clusters="unseen")


@pytest.fixture
def history():
    epoch = np.array([1.0, 2.0, 3.0])
    names = {
        "mixed": 0.5, "validation/mixed": 0.6, "fixed": 0.7, "kl": 0.1,
        "cluster_adversary/job": 1.5, "skill/fixed/sex": 0.2, "skill/mixed/sex": 0.3,
        "skill/mixed/race": 0.4, "validation/disparity/mixed/sex": 0.05,
    }  # fmt: skip
    return pd.DataFrame({"epoch": epoch, **{k: v / epoch for k, v in names.items()}, "member": 0})


def curves(axes):
    return {line.get_label(): list(line.get_ydata()) for line in axes.lines}


def test_training_curves_are_the_history(history):
    losses, kl, cluster, skill, disparity = panels(plot_training(history))
    found = curves(losses)
    assert found["mixed, L_M, training"] == history["mixed"].tolist()
    assert found["mixed, L_M, validation"] == history["validation/mixed"].tolist()
    assert curves(kl)["KL / n"] == history["kl"].tolist()
    assert curves(cluster)["job, training"] == history["cluster_adversary/job"].tolist()
    assert curves(skill)["race, mixed"] == history["skill/mixed/race"].tolist()
    assert curves(disparity)["sex, mixed"] == history["validation/disparity/mixed/sex"].tolist()
    assert losses.lines[0].get_xdata().tolist() == [1, 2, 3]


def test_an_attribute_keeps_its_colour_and_the_effects_their_dash(history):
    skill = panels(plot_training(history))[3]
    drawn = {line.get_label(): line for line in skill.lines}
    assert drawn["sex, fixed"].get_color() == drawn["sex, mixed"].get_color()
    assert drawn["sex, mixed"].get_color() != drawn["race, mixed"].get_color()
    assert drawn["sex, fixed"].get_linestyle() != drawn["sex, mixed"].get_linestyle()


def test_panels_without_columns_are_left_out(history):
    assert len(panels(plot_training(history[["epoch", "mixed"]]))) == 1


def test_the_first_member_of_an_ensemble_is_drawn(history):
    both = pd.concat([history, (history * 9).assign(member=1)])
    (line, *_) = panels(plot_training(both))[0].lines
    assert line.get_ydata().tolist() == history["mixed"].tolist()


def test_a_history_without_epochs_is_refused(history):
    with pytest.raises(ValueError, match="no epoch"):
        plot_training(history.iloc[:0])


def test_figures_are_drawn_without_pyplot(before, after, effects, history):
    for figure in (
        plot_group_rates(before, after),
        plot_cluster_effects(effects),
        plot_training(history),
    ):
        stream = io.BytesIO()
        figure.savefig(stream)  # warnings, such as of a layout that does not fit, are errors
        assert stream.getvalue().startswith(b"\x89PNG")


@pytest.mark.long
def test_importing_report_does_not_import_matplotlib():
    code = "import sys, pyfairme.report; print('matplotlib' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_names_are_drawn_as_they_are_and_apart(effects):
    """Not as formulas, each on one line, and long ones by their ends."""
    names = {"a": "$x^{$", "b": "two\nlines" + "b" * 300, "c": "two\nlines" + "b" * 301}
    figure = plot_cluster_effects(effects.replace({"cluster": names}), title="of $\\frac{1}$")
    figure.savefig(io.BytesIO())
    shown = [label.get_text() for label in panels(figure)[0].get_yticklabels()]
    assert shown[0] == "$x^{$"
    assert len(set(shown)) == 3
    assert all(len(name) <= 40 and "\n" not in name for name in shown)
