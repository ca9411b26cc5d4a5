"""The paper's numbers: consistent with each other, and found where they are looked up."""

import math

import pytest

from pyfairme.paper.published_values import paper_cell, paper_dataset, paper_values
from pyfairme.variants import VARIANTS

CELL = ["dataset", "effects", "clusters", "attribute", "metric"]


@pytest.fixture
def known():
    return paper_values()


def cases(known, derived):
    """Change, value before, value after of every cell that has all three."""
    values = known[known["kind"] == "value"].set_index([*CELL, "variant"])["value"].to_dict()
    changes = known[known["kind"] == "change_percent"]
    changes = changes[changes["note"].str.startswith("derived") == derived]
    for row in changes.to_dict("records"):
        key = tuple(row[name] for name in CELL)
        if (*key, row["baseline"]) in values and (*key, row["variant"]) in values:
            yield row["value"], values[(*key, row["baseline"])], values[(*key, row["variant"])]


def test_printed_percentages_fit_the_printed_values(known):
    found = list(cases(known, derived=False))
    assert len(found) == 9
    for percent, before, after in found:  # values were rounded to three decimals
        slack = 100 * (0.0005 * after / before + 0.0005) / before + 0.051
        assert percent == pytest.approx(100 * (after / before - 1), abs=slack)


def test_derived_percentages_are_those_of_the_values(known):
    found = list(cases(known, derived=True))
    assert len(found) == 7
    for percent, before, after in found:
        assert percent == pytest.approx(100 * (after / before - 1), abs=0.05)


def test_every_row_is_named_as_our_results_are(known):
    assert set(known["variant"]) | set(known["baseline"]) <= {*VARIANTS, ""}
    assert set(known["dataset"]) == {"adult", "ipums", "heritage", "all"}
    assert set(known["kind"]) == {
        "value", "change_percent", "difference", "count", "p_value_below", "direction"
    }  # fmt: skip
    assert (known["source"] != "").all()
    assert known["value"].notna().all()


def test_no_cell_is_listed_twice(known):
    cells = known[known["metric"] != "probe_rank"]  # two probes have a rank
    assert not cells.duplicated([*CELL, "variant", "baseline", "kind"]).any()


def test_the_typing_error_is_mended_and_said(known):
    (line,) = known[known["note"].str.contains(".0061", regex=False)].to_dict("records")
    assert (line["variant"], line["attribute"], line["value"]) == ("medl_adb", "sex", 0.061)


def test_changing_the_returned_table_changes_no_later_one(known):
    known["value"] = 0.0
    assert paper_values()["value"].max() > 0


def cell(dataset, variant, attribute, metric, baseline):
    return paper_cell((dataset, variant, "mixed", "seen", attribute, metric), baseline)


def test_a_cell_has_value_and_change():
    found = cell("adult", "medl_adb", "age_bracket", "tpr_sd", "medl")
    assert found[:2] == (0.097, -44.3)
    assert not found.derived
    assert cell("adult", "medl_adb", "race", "counterfactual_gap", "medl").derived


def test_a_change_belongs_to_its_baseline():
    found = cell("adult", "medl_adb", "all", "balanced_accuracy", "da_adb")
    assert found.value == 0.811
    assert math.isnan(found.change_percent)
    assert found.difference == 0.013


def test_acs_is_read_beside_ipums():
    assert paper_dataset("acs_income") == "ipums"
    assert cell("acs_income", "medl", "race", "tpr_sd", "").value == 0.122


def test_what_the_paper_does_not_say_is_missing():
    assert math.isnan(cell("my_table", "medl", "race", "tpr_sd", "").value)
    assert cell("adult", "medl_adb", "sex", "tpr_sd", "medl").direction == -1
