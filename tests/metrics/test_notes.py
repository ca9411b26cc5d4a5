import numpy as np
import pytest

from pyfairme.metrics.notes import note
from pyfairme.metrics.null import NullValue
from pyfairme.metrics.registry import find, registered

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
    assert note(metric, value, BAND, ["a", "b"], np.array([50.0, 40.0]), 90) == expected


def test_reasons_are_joined():
    metric = find("tpr_sd", "classification")
    found = note(metric, 0.05, BAND, list("abcd"), np.array([50.0, 0, 40, 0]), 90)
    assert found == "left out (no positives): b, d; not resolvable: inside the null band"


@pytest.mark.parametrize("metric", [m for m in registered() if m.scope != "group"])
def test_what_is_not_defined_has_a_reason(metric):
    found = note(metric, np.nan, BAND, ["a", "b"], np.array([50.0, 40.0]), 90)
    assert found.startswith("not defined: ")
    assert found.removeprefix("not defined: ")
