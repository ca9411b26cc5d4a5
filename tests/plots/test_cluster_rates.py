"""Rates of groups in every cluster as they are drawn."""

import numpy as np
import pytest

from pyfairme.estimators.report_table import FairnessReport
from pyfairme.plots import plot_cluster_rates
from tests.made_reports import line, report

RATES = {  # of a cluster: women and men, with the rows behind each
    "south": {"tpr": [(0.5, 40), (0.8, 90)], "fpr": [(0.1, 300), (0.3, 200)]},
    "north": {"tpr": [(0.6, 9), (0.7, 50)], "fpr": [(0.2, 400), (0.2, 500)]},
    "islands": {"tpr": [(0.0, 2), (1.0, 3)], "fpr": [(0.5, 4), (0.5, 6)]},
}


@pytest.fixture
def by_cluster():
    lines = []
    for cluster, rates in RATES.items():
        for metric, cells in rates.items():
            (women, few), (men, many) = cells
            apart = abs(women - men) / 2
            lines += [
                line(f"{metric}_sd", apart, n=few + many, null=(0.01, 0, 0.04), clusters=cluster),
                line(metric, women, group="Female", n=few, clusters=cluster),
                line(metric, men, group="Male", n=many, clusters=cluster),
            ]
    return FairnessReport.of(report(lines))


def drawn(axes):
    found = {}
    for one in axes.collections:
        if one.get_label() in ("Female", "Male"):
            found[one.get_label()] = np.ma.filled(one.get_offsets(), np.nan)
    return found


def test_points_are_the_rates_of_large_enough_groups(by_cluster):
    figure = by_cluster.plot()  # a report by cluster draws itself so
    tpr, fpr = figure.axes
    assert [text.get_text() for text in tpr.get_yticklabels()] == ["north", "south"]
    assert drawn(fpr)["Male"][:, 0].tolist() == [0.2, 0.3]
    assert drawn(fpr)["Female"][:, 0].tolist() == [0.2, 0.1]
    assert (drawn(fpr)["Female"][:, 1] < drawn(fpr)["Male"][:, 1]).all()  # beside each other
    assert np.isnan(drawn(tpr)["Female"][0, 0])  # nine positives
    assert [text.get_text() for text in tpr.texts] == ["- / 50", "40 / 90"]
    segments = fpr.collections[0].get_segments()
    assert np.array(segments[1])[:, 0] == pytest.approx([0.09, 0.12])


def test_clusters_that_differ_by_more_than_chance_are_marked(by_cluster):
    tpr, fpr = plot_cluster_rates(by_cluster, fewest=5).axes
    marked = [[round(patch.get_y() + 0.46) for patch in axes.patches] for axes in (tpr, fpr)]
    assert marked == [[1, 0], [1]] or marked == [[0, 1], [1]]
    legend = [text.get_text() for text in tpr.figure.legends[0].get_texts()]
    assert legend == ["Female", "Male", "groups differ by more than chance"]


def test_other_reports_are_refused(by_cluster, before):
    with pytest.raises(ValueError, match=r"not by cluster: .*\[other-table\]"):
        plot_cluster_rates(before)
    with pytest.raises(ValueError, match=r"attribute='race'.* It has attributes \['sex'\]"):
        plot_cluster_rates(by_cluster, "race")
    with pytest.raises(ValueError, match=r"No cluster has two groups with 2000 rows"):
        plot_cluster_rates(by_cluster, fewest=2000)
    assert by_cluster.plot(clusters="south").get_suptitle() == "Rates by group"
