"""Coverage and width by group as they are drawn."""

import numpy as np
import pytest

from pyfairme.metrics import classification_report_frame, regression_report_frame
from pyfairme.plots import plot_group_coverage


def report(seed, task="regression", **changed):
    rng = np.random.default_rng(seed)
    sensitive = {"sex": rng.choice(["f", "m"], 400), "age": rng.choice(["<30", "30+", "60+"], 400)}
    y = np.arange(400) % 2
    given = {"sensitive": sensitive, "rng": 0, "n_boot": 50, "covered": rng.random(400) < 0.85,
             "width": rng.integers(1, 3, 400)} | changed  # fmt: skip
    frame = (
        regression_report_frame(y, y, **given)
        if task == "regression"
        else classification_report_frame(y, y, y, **given)
    )
    return frame.assign(effects="mixed", clusters="seen", **{"class": ""})


def drawn(axes):
    points = [np.asarray(c.get_offsets()) for c in axes.collections if len(c.get_offsets()) > 1]
    lines = [np.array(c.get_segments()) for c in axes.collections if hasattr(c, "get_segments")]
    return points, lines


def test_points_and_lines_are_those_of_the_reports():
    reports = {"marginal": report(0), "by group": report(1)}
    figure = plot_group_coverage(reports, level=0.8, title="Held")
    axes = np.array(figure.axes).reshape(2, 2)
    for row, attribute in zip(axes, ("sex", "age"), strict=True):
        for panel, metric in zip(row, ("coverage", "interval_width"), strict=True):
            points, segments = drawn(panel)
            for number, frame in enumerate(reports.values()):
                lines = frame[(frame["attribute"] == attribute) & (frame["metric"] == metric)]
                lines = lines[lines["group"] != "all"]
                assert points[number][:, 0] == pytest.approx(lines["value"])
                assert segments[number][:, :, 0] == pytest.approx(lines[["low", "high"]].to_numpy())
            assert (points[0][:, 1] < points[1][:, 1]).all()  # beside each other
        assert row[0].lines[0].get_xdata() == [0.8, 0.8]
        assert row[1].texts[0].get_text().startswith("n = ")
    assert figure.get_suptitle() == "Held"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["marginal", "by group"]


def test_one_report_of_sets_needs_no_legend():
    figure = plot_group_coverage(report(2, "classification"))
    assert figure.axes[1].get_title() == "mean number of classes"
    assert figure.legends == []
    for axes in figure.axes:  # no point lies on the frame
        bottom, top = axes.get_ylim()
        assert bottom == len(axes.get_yticks()) - 0.5
        assert top == -0.5


def test_reports_without_coverage_are_refused():
    with pytest.raises(ValueError, match=r"no coverage of groups for .*\[not-in-table\]"):
        plot_group_coverage(report(3, covered=None, width=None))
    with pytest.raises(ValueError, match=r"It has effects \['mixed'\]"):
        plot_group_coverage(report(3), effects="fixed")
    with pytest.raises(ValueError, match="reports is empty"):
        plot_group_coverage({})
