"""Two reports side by side."""

import numpy as np
import pandas as pd
import pytest

from pyfairme.study.comparison.before_after import before_after

COLUMNS = [
    "clusters", "effects", "attribute", "metric", "before", "before_low", "before_high", "after",
    "after_low", "after_high", "change_percent", "null", "null_low", "null_high", "n", "note",
]  # fmt: skip


def report(**values):
    return pd.DataFrame(
        [
            {
                "clusters": "seen", "effects": "mixed", "attribute": "sex", "metric": metric,
                "group": "all", "value": value, "low": value / 2, "high": value * 2,
                "null": 0.02, "null_low": 0.01, "null_high": 0.05, "n": 10, "note": note,
            }
            for metric, (value, note) in values.items()
        ]
    )  # fmt: skip


def test_values_are_matched_by_their_keys_not_by_their_order():
    first = report(tpr_sd=(0.2, ""), fpr_sd=(0.1, ""))
    second = report(fpr_sd=(0.06, ""), tpr_sd=(0.3, ""))
    found = before_after(first, second).set_index("metric")
    assert found.loc["tpr_sd", ["before", "after"]].tolist() == [0.2, 0.3]
    assert found.loc["fpr_sd", "change_percent"] == pytest.approx(-40)
    assert found.loc["fpr_sd", ["after_low", "after_high"]].tolist() == [0.03, 0.12]


def test_the_columns_are_the_documented_ones():
    one = report(tpr_sd=(0.2, ""))
    assert list(before_after(one, one).columns) == COLUMNS


def test_rates_of_groups_are_left_out():
    one = report(tpr_sd=(0.2, ""), tpr=(0.5, "")).assign(group=["all", "Male"])
    assert before_after(one, one)["metric"].tolist() == ["tpr_sd"]


def test_no_percentage_of_next_to_nothing():
    change = before_after(report(a=(0.0009, "")), report(a=(0.5, "")))["change_percent"]
    assert np.isnan(change[0])


@pytest.mark.parametrize(
    ("first", "second", "note"),
    [
        ((0.2, ""), (0.1, ""), ""),
        ((0.2, "small"), (0.1, ""), "small"),
        ((0.05, ""), (0.1, ""), "not resolvable: inside the null band"),
        ((0.03, "not resolvable: mine"), (0.1, ""), "not resolvable: mine"),
        ((0.2, ""), (0.04, "ignored"), "after: inside its null band"),
    ],
)
def test_notes(first, second, note):
    assert before_after(report(a=first), report(a=second))["note"].tolist() == [note]


def test_reports_of_different_lines_are_refused():
    with pytest.raises(ValueError, match=r"1 lines are in one of them only, such as .*fpr_sd"):
        before_after(report(a=(0.1, "")), report(a=(0.1, ""), fpr_sd=(0.1, "")))
