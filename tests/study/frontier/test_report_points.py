"""Fairness reports laid out as points: the reports' own numbers, costs, and peers of a frontier."""

import numpy as np
import pytest

from pyfairme.estimators.fairness_report import report
from pyfairme.metrics import non_dominated
from pyfairme.plots import plot_frontier
from pyfairme.study import report_points
from tests.study.conftest import base, judge

MODELS = {"plain": {"bias": 1.2, "noise": 0.7}, "fair": {"noise": 2.5}, "policy": {"bias": 0.3}}
SPREADS = ["tpr_sd_sex", "fpr_sd_sex", "tpr_sd_race", "fpr_sd_race"]


@pytest.fixture(scope="module")
def reports():
    data = base(1500, np.random.default_rng(3))
    judged = {
        name: judge(data, np.random.default_rng(k), k, **how)
        for k, (name, how) in enumerate(MODELS.items())
    }
    options = {"by_cluster": False, "n_boot": 10, "level": 0.9}
    return {name: report(one, **options) for name, one in judged.items()}


def value(frame, clusters, metric, attribute="all", column="value"):
    lines = frame[(frame["effects"] == "mixed") & (frame["clusters"] == clusters)]
    lines = lines[(lines["metric"] == metric) & (lines["attribute"] == attribute)]
    return lines.loc[lines["group"] == "all", column].item()


def test_points_are_the_numbers_of_the_reports(reports):
    points = report_points(reports, needs_sensitive=["policy"])
    assert points[["variant", "clusters"]].to_numpy().tolist() == [
        [name, clusters] for clusters in ("seen", "unseen") for name in MODELS
    ]
    for clusters, block in points.groupby("clusters"):
        for name, line in block.set_index("variant").iterrows():
            own = reports[name]
            assert line["balanced_accuracy"] == value(own, clusters, "balanced_accuracy")
            low = value(own, clusters, "balanced_accuracy", column="low")
            assert line["balanced_accuracy_low"] == low
            plain = value(reports["plain"], clusters, "balanced_accuracy")
            assert line["cost"] == plain - line["balanced_accuracy"]
            for spread in SPREADS:
                metric, attribute = spread.rsplit("_", 1)
                assert line[spread] == value(own, clusters, metric, attribute)
                null = value(own, clusters, metric, attribute, "null_high")
                assert line[f"{spread}_null_high"] == null
            assert line["worst_sd"] == line[SPREADS].max()
            assert line[line["worst_sd_of"].replace(" ", "_")] == line["worst_sd"]
        assert block["unfair"].tolist() == [True, False, False]
        assert block["needs_sensitive"].tolist() == [False, False, True]
        marked = non_dominated(block["balanced_accuracy"], block["worst_sd"])
        assert block["non_dominated"].tolist() == marked.tolist()


def test_they_are_drawn_as_points_and_as_peers(reports):
    points = report_points(reports, needs_sensitive=["policy"])
    peers = points[points["variant"] == "policy"]
    own = points[points["variant"] != "policy"]
    axes = plot_frontier(own, peers=peers, clusters="unseen").axes[0]
    drawn = {one.get_label(): np.asarray(one.get_offsets()) for one in axes.collections}
    unseen = peers[peers["clusters"] == "unseen"]
    expected = unseen[["worst_sd", "balanced_accuracy"]].to_numpy()
    assert drawn["policy (needs S to predict)"] == pytest.approx(expected)


def test_what_cannot_be_compared_is_refused(reports):
    with pytest.raises(ValueError, match=r"reports is empty"):
        report_points({})
    with pytest.raises(ValueError, match=r"must name some of the reports, plain, .*; got other"):
        report_points(reports, needs_sensitive=["other"])
    with pytest.raises(ValueError, match=r"'plain' has no fixed predictions; it has mixed"):
        report_points(reports, effects="fixed")
    bare = {"plain": reports["plain"].query("metric != 'tpr_sd'")}
    with pytest.raises(ValueError, match=r"no accuracy and spread of groups.*\[no-cost\]"):
        report_points(bare)


def test_a_table_of_points_prints_what_one_chooses_by(reports):
    points = report_points(reports)
    rows = points.query("clusters == 'seen'")
    for text in (repr(rows), rows._repr_html_()):
        assert "worst_sd_of" in text
        assert "balanced_accuracy_low" not in text
        assert "..." not in text
        assert f"{len(points.columns) - 10} more columns" in text
    assert list(rows.frame.columns) == list(points.columns)
    assert "more columns" not in repr(rows.frame)
    picked = points[["variant", "tpr_sd_sex"]]
    assert "tpr_sd_sex" in repr(picked)
    assert "tpr_sd_sex" in picked._repr_html_()
