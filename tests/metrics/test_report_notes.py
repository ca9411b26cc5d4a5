import numpy as np
import pytest

from pyfairme.metrics.metric import find, registered
from pyfairme.metrics.null_value import NullValue
from pyfairme.metrics.report_notes import note

BAND = NullValue(mean=0.04, low=0.02, high=0.07)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.01, "not resolvable: below the null band"),
        (0.02, "not resolvable: inside the null band"),
        (0.07, "not resolvable: inside the null band"),
        (0.08, ""),
        (np.nan, "not defined: fewer than two groups have positives"),
    ],
)
def test_a_spread_is_read_against_its_band(value, expected):
    metric = find("tpr_sd", "classification")
    assert (
        note(metric, value, BAND, ["a", "b"], {"positives": np.array([50.0, 40.0])}, 90) == expected
    )


def test_reasons_are_joined():
    metric = find("tpr_sd", "classification")
    found = note(metric, 0.05, BAND, list("abcd"), {"positives": np.array([50.0, 0, 40, 0])}, 90)
    assert found == "left out (no positives): b, d; not resolvable: inside the null band"


@pytest.mark.parametrize("metric", [m for m in registered() if m.scope != "group"])
def test_what_is_not_defined_has_a_reason(metric):
    found = note(metric, np.nan, BAND, ["a", "b"], {"rows": np.array([50.0, 40.0])}, 90)
    assert found.startswith("not defined: ")
    assert found.removeprefix("not defined: ")


def test_a_small_group_that_decides_an_extreme_is_named():
    rates = np.array([[0.2, 0.3, 0.9], [0.7, 0.8, 0.75]])  # FPR, TPR of three groups
    sizes = {"negatives": np.array([50.0, 40, 1]), "positives": np.array([50.0, 9, 40])}
    metric = find("equalized_odds_difference", "classification")
    found = note(metric, 0.7, BAND, list("abc"), sizes, 190, rates)
    assert found == "decided by a small group: c (1 negatives)"
    sizes["negatives"][2] = 30
    assert note(metric, 0.7, BAND, list("abc"), sizes, 190, rates) == ""
    worst = find("worst_group_accuracy", "classification")
    found = note(
        worst, 0.0, BAND, ["a", "b"], {"rows": np.array([90.0, 1])}, 91, np.array([0.9, 0])
    )
    assert found == "decided by a small group: b (1 rows)"


def test_groups_without_a_rate_are_left_out_by_name():
    metric = find("equalized_odds_difference", "classification")
    sizes = {"negatives": np.array([50.0, 40]), "positives": np.array([0.0, 40])}
    found = note(metric, 0.1, BAND, ["a", "b"], sizes, 90, np.array([[0.2, 0.3], [np.nan, 0.5]]))
    assert found == "left out (no positives): a"
