"""The comparison as text."""

import pandas as pd
import pytest

from pyfairme.report import comparison_text
from pyfairme.study.comparison.before_after import before_after


@pytest.fixture
def table(before, after):
    return before_after(before, after)


def row(text: str, label: str) -> list[str]:
    (found,) = [line for line in text.splitlines() if line.startswith(label)]
    return found.removeprefix(label).split()


def test_cells_show_before_after_change_and_null(table):
    assert row(comparison_text(table), "TPR SD") == [".100", ".030", "-70%", ".020="]


def test_an_unresolvable_cell_is_marked(table):
    assert row(comparison_text(table), "demographic parity") == [".040", ".060", "+50%", ".020~"]


def test_a_change_from_zero_has_no_percentage(table):
    assert row(comparison_text(table), "counterfactual gap") == [".000", ".010", "-"]


def test_accuracy_stands_above_the_disparities(table):
    wanted = "AUROC .900 -> .891 (-1.0 %)   balanced accuracy .800 -> .780 (-2.5 %)"
    assert wanted in comparison_text(table).splitlines()


def test_the_verdict_knows_which_metrics_should_grow(table):
    # tpr_sd fell, worst_group_accuracy rose; demographic parity is not resolvable, the gap was 0
    assert "2 of 2 resolvable fairness values improved" in comparison_text(table)
    worse = table.assign(change_percent=-table["change_percent"])
    assert "0 of 2 resolvable fairness values improved" in comparison_text(worse)


def test_one_block_per_clusters_and_effects(table):
    other = table.assign(clusters="unseen", effects="fixed")
    text = comparison_text(pd.concat([table, other]))
    heads = [line.rstrip("= ") for line in text.splitlines() if "CLUSTERS" in line]
    assert [h.split(" | ")[0].split(",")[0] for h in heads] == ["SEEN CLUSTERS", "UNSEEN CLUSTERS"]
    assert all(h.endswith("n = 100") for h in heads)


def test_names_and_marks_are_explained(table):
    legend = comparison_text(table, ("plain", "fair")).split("\n\n")[0]
    assert "from: plain   to: fair" in legend
    assert "~  not resolvable" in legend


def test_five_attributes_fit_into_the_width(table):
    disparities = table[table["attribute"] != "all"]
    wide = [disparities.assign(attribute=f"attribute_{'long' * i}_{i}") for i in range(5)]
    text = comparison_text(pd.concat([table, *wide]), ("medl (no fairness)", "medl_adb (fair)"))
    assert max(map(len, text.splitlines())) <= 118
    assert text.isascii()
    assert all(text.count(f"ng {i}") == 1 for i in range(2, 5))  # the ends of long names


def test_an_unknown_metric_is_listed_by_its_own_name(table):
    text = comparison_text(table.replace({"metric": {"tpr_sd": "brand_new"}}))
    assert row(text, "brand new") == [".100", ".030", "-70%", ".020="]
