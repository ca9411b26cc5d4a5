"""Coverage and width of intervals: definitions by hand, and their lines in a report."""

import numpy as np
import pandas as pd
import pytest

from pyfairme.metrics import (
    classification_report_frame,
    coverage_sd,
    interval_coverage,
    interval_width,
    regression_report_frame,
)


def test_definitions():
    y, low, high = [1.0, 2.0, 3.0, 4.0], [0.0, 2.0, 3.5, 0.0], [1.0, 3.0, 4.0, 3.0]
    assert interval_coverage(y, low, high) == 0.5  # ends belong to the interval
    assert interval_coverage(y, low, high, sample_weight=[3, 1, 0, 1]) == 0.8
    groups = ["a", "a", "b", "b"]
    assert coverage_sd(y, low, high, sensitive_features=groups) == 0.5
    weighted = coverage_sd(y, low, high, sensitive_features=["a", "b", "a", "b"],
                           sample_weight=[1, 3, 1, 1])  # fmt: skip
    assert weighted == pytest.approx(0.125)  # 1/2 and 3/4
    assert np.isnan(coverage_sd(y, low, high, sensitive_features=["a"] * 4))
    assert interval_width(low, high) == pytest.approx((1 + 1 + 0.5 + 3) / 4)
    assert interval_width([0, 1], [1, 4], sample_weight=[1, 3]) == 2.5


def test_bad_intervals_are_refused():
    with pytest.raises(ValueError, match="high"):
        interval_coverage([1, 2], [0, 0], [1, 2, 3])
    with pytest.raises(ValueError, match="finite"):
        interval_width([0, 0], [1, np.inf])


@pytest.fixture
def made():
    rng = np.random.default_rng(0)
    group = np.repeat(["a", "b", "c"], [300, 500, 200])
    covered = rng.random(1000) < np.repeat([0.9, 0.8, 0.7], [300, 500, 200])
    return group, covered.astype(int), np.repeat([1.0, 2.0, 4.0], [300, 500, 200])


def report(task, made, **keywords):
    group, covered, width = made
    y = np.arange(1000) % 2
    given = {"sensitive": {"s": group}, "rng": 0, "covered": covered, "width": width} | keywords
    if task == "regression":
        return regression_report_frame(y, y / 2, **given)
    return classification_report_frame(y, y / 2, 1 - y, **given)


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_lines_are_the_shares_and_their_spread(made, task):
    group, covered, width = made
    frame = report(task, made)
    value = frame.set_index(["attribute", "group", "metric"])["value"]
    shares = pd.Series(covered).groupby(group).mean()
    name = "interval_width" if task == "regression" else "set_size"
    assert value["all", "all", "coverage"] == pytest.approx(covered.mean())
    assert [value["s", g, "coverage"] for g in "abc"] == pytest.approx(shares.tolist())
    assert value["s", "all", "coverage_sd"] == pytest.approx(np.std(shares))
    assert value["s", "all", "coverage_difference"] == pytest.approx(np.ptp(shares))
    assert value["s", "all", "worst_group_coverage"] == pytest.approx(shares.min())
    assert value["all", "all", name] == pytest.approx(width.mean())
    assert [value["s", g, name] for g in "abc"] == pytest.approx([1, 2, 4])
    assert value["s", "all", f"{name}_sd"] == pytest.approx(np.std([1, 2, 4]))
    lines = frame[frame["metric"].str.startswith("coverage") | (frame["metric"] == name)]
    held = (lines["low"] <= lines["value"]) & (lines["value"] <= lines["high"])
    assert (held | lines["note"].str.contains("no row differs")).all()
    spread = frame[frame["metric"] == "coverage_sd"].iloc[0]
    assert spread["low"] > 0.03  # groups are apart
    assert spread["null_high"] < spread["value"]


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_without_intervals_there_are_no_lines(made, task):
    names = set(report(task, made, covered=None, width=None)["metric"])
    assert not {name for name in names if "coverage" in name or "width" in name or "size" in name}
    assert len(set(report(task, made)["metric"]) - names) == 6


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_intervals_of_the_coverage_hold_the_truth_as_often_as_they_say(task):
    rng, hits = np.random.default_rng(1), []
    truth = {"a": 0.9, "b": 0.8}
    for _ in range(60):
        group = np.repeat(["a", "b"], 150)
        covered = (rng.random(300) < np.repeat([0.9, 0.8], 150)).astype(int)
        y = np.arange(300) % 2
        make = regression_report_frame if task == "regression" else None
        given = {"sensitive": {"s": group}, "rng": rng, "n_boot": 100, "covered": covered,
                 "metrics": ["coverage", "coverage_sd"]}  # fmt: skip
        frame = make(y, y, **given) if make else classification_report_frame(y, y, y, **given)
        for line in frame[frame["attribute"] == "s"].itertuples():
            true = 0.05 if line.metric == "coverage_sd" else truth[line.group]
            hits.append(line.low <= true <= line.high)
    assert abs(np.mean(hits) - 0.9) < 4 * np.sqrt(0.09 / len(hits)) + 0.02
