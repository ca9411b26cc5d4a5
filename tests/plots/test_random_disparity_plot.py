import numpy as np
import pandas as pd
import pytest

from pyfairme.plots.random_disparity_plot import plot_random_disparity


def frame(shift=0.0, groups=("Female", "Male")):
    lines = []
    for factor, cluster, part in (
        ("all", "all", 1.0),
        ("job", "Sales", 0.4),
        ("job", "Craft", 0.6),
    ):
        for attribute, names in (("sex", groups), ("age_bracket", ("<=30", "(30, 45]", ">45"))):
            value = part * (np.linspace(-0.05, 0.05, len(names)) + shift)
            for name, v in zip(names, value, strict=True):
                for measure, unit in (("random_mean", 5), ("tilt", 1), ("excess", 1)):
                    lines.append((factor, cluster, attribute, name, 1, measure, unit * v,
                                  unit * v - 0.01, unit * v + 0.02, np.nan, 1200))  # fmt: skip
            for measure in ("random_mean_sd", "tilt_sd"):
                lines.append((factor, cluster, attribute, "all", 1, measure, 0.04, 0.03, 0.05,
                              0.017, 2400))  # fmt: skip
    columns = [
        "factor",
        "cluster",
        "attribute",
        "group",
        "class",
        "measure",
        "value",
        "low",
        "high",
    ]
    return pd.DataFrame(lines, columns=[*columns, "null_high", "n"])


def drawn(figure, index=0):
    """Means, ends of intervals and labels of a model's groups."""
    axes = figure.axes[0]
    lines, points = axes.collections[2 * index : 2 * index + 2]
    ends = np.array(lines.get_segments())[:, :, 0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    return np.asarray(points.get_offsets()), ends, labels, points.get_facecolors()


@pytest.mark.parametrize("measure", ["excess", "tilt", "random_mean"])
def test_every_group_stands_with_its_interval(measure):
    lines = frame()
    expected = lines[(lines["cluster"] == "all") & (lines["measure"] == measure)]
    offsets, ends, labels, _ = drawn(plot_random_disparity(lines, measure))
    assert labels == ["Female", "Male", "<=30", "(30, 45]", ">45"]
    assert offsets[:, 0].tolist() == expected["value"].tolist()
    assert ends == pytest.approx(expected[["low", "high"]].to_numpy())
    assert (np.diff(offsets[:, 1]) > 0).all()
    assert np.diff(offsets[:, 1])[1] > 1.5  # room for the heading of the next attribute


def test_intervals_with_zero_are_open():
    faces = drawn(plot_random_disparity(frame()))[3]
    white = (faces == 1).all(axis=1)
    assert white.tolist() == [False, False, False, True, False]


def test_headings_tell_the_spread_and_its_null():
    texts = [text.get_text() for text in plot_random_disparity(frame()).axes[0].texts]
    assert "age bracket" in texts
    assert "SD 0.040 (0.030 to 0.050), by chance up to 0.017" in texts
    assert texts.count("n 1,200") == 5


def test_two_models_stand_side_by_side():
    figure = plot_random_disparity({"fixed only": frame(), "all three": frame(0.03)})
    first, second = drawn(figure)[0], drawn(figure, 1)[0]
    assert second[:, 0] - first[:, 0] == pytest.approx(0.03)
    assert (second[:, 1] > first[:, 1]).all()
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["fixed only", "all three"]
    assert any(t.get_text().startswith("all three: SD") or "\nall three: SD" in t.get_text()
               for t in figure.axes[0].texts)  # fmt: skip


def test_one_cluster():
    lines = frame()
    figure = plot_random_disparity(lines, cluster="Sales")
    expected = lines[(lines["cluster"] == "Sales") & (lines["measure"] == "excess")]["value"]
    assert drawn(figure)[0][:, 0].tolist() == expected.tolist()
    assert "cluster Sales" in figure.get_suptitle()


def test_what_to_draw_must_be_clear():
    lines = frame()
    with pytest.raises(ValueError, match="Expected measure to be one of"):
        plot_random_disparity(lines, "tilt_sd")
    with pytest.raises(ValueError, match="no cluster 'Farm'; it has"):
        plot_random_disparity(lines, cluster="Farm")
    both = pd.concat([lines, lines[lines["factor"] == "job"].assign(factor="town")])
    with pytest.raises(ValueError, match=r"'Sales' is a cluster of \['job', 'town'\]"):
        plot_random_disparity(both, cluster="Sales")
    assert plot_random_disparity(both, cluster="Sales", factor="town").axes
    with pytest.raises(ValueError, match=r"lines of each class, \[1, 2\]"):
        plot_random_disparity(pd.concat([lines, lines.assign(**{"class": 2})]))
    with pytest.raises(ValueError, match="'b' judged other groups than 'a'"):
        plot_random_disparity({"a": lines, "b": frame(groups=("F", "M"))})
