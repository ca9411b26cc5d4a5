"""Which point of a frontier is taken, where points decide every row alike or hardly tell rows."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme.metrics.null_value import NullValue
from pyfairme.notices import DataWarning
from pyfairme.study.crossval.cross_validate import CrossValidation
from pyfairme.study.frontier.frontier_choice import cheapest_fair, choice_of
from pyfairme.study.frontier.frontier_points import GOALS, FrontierCurve, Point, Quantity
from pyfairme.study.frontier.frontier_result import Frontier

NO_NULL = NullValue(np.nan, np.nan, np.nan)


def quantity(value):
    return Quantity(value, np.empty(0), NO_NULL)


def curve(**points):
    made = {
        name: Point({"balanced_accuracy": quantity(a)}, {}, quantity(sd), None, ("tpr_sd", "s"))
        for name, (a, sd) in points.items()
    }
    return FrontierCurve(made, GOALS["classification"])


def test_a_point_that_decides_every_row_alike_is_the_last_to_be_taken():
    points = {"none": (0.7, 0.2), "fair": (0.65, 0.1), "alike": (0.5, 0.0)}
    assert cheapest_fair(curve(**points), "none", 0.3) == ("fair", pytest.approx(0.05))
    del points["fair"]
    assert cheapest_fair(curve(**points), "none", 0.3) == ("alike", pytest.approx(0.2))


def chosen(label, worst=0.0, low=None, **metric):
    ((name, (before, now)),) = metric.items()
    reported = pd.DataFrame(
        {
            "variant": ["none", "1"],
            name: [before, now],
            "cost": [0.0, 0.1],
            "worst_sd": [0.2, worst],
        }
    )
    if low is not None:
        reported[f"{name}_low"] = [before, low]
    estimator = pf.FairMixedEffectsClassifier("cluster", ["s"])
    weights = {"none": 0.0, "1": 1.0}
    runs: Any = {("none", 0): None, ("none", 1): None}
    study = CrossValidation("made", 5, (), runs, (), 5)
    return choice_of(Frontier(estimator, weights, "none", study, (0,)), label, 0.1, 0.2, reported)


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ({"auroc": (0.80, 0.536)}, r"AUROC 0\.536, the unfair point 0\.800"),
        ({"auroc": (0.60, 0.53)}, r"AUROC 0\.530, the unfair point 0\.600"),
        ({"r2": (0.4, 0.01)}, r"R2 0\.010, the unfair point 0\.400"),
    ],
)
def test_a_point_near_chance_is_told(metric, said):
    with pytest.warns(DataWarning, match=rf"hardly tells rows apart \({said}.*\[useless-point\]"):
        choice = chosen("1", **metric)
    assert "no sign of fairness" in choice.note


def test_a_point_that_still_ranks_rows_is_not():
    assert chosen("1", auroc=(0.8, 0.7)).note == "chosen on seed 0, the figures are of seed 1"
    assert "hardly" not in chosen("none", auroc=(0.55, 0.55)).note


def test_a_point_that_is_no_fairer_on_the_reported_seeds_is_told():
    note = chosen("1", worst=0.25, auroc=(0.8, 0.7)).note
    assert "its worst SD, 0.2500, is above that of the unfair point, 0.2000" in note
    assert "is above" not in chosen("1", worst=0.2, auroc=(0.8, 0.7)).note
    assert "is above" not in chosen("none", worst=0.25, auroc=(0.8, 0.7)).note


def test_a_point_whose_interval_reaches_chance_is_told():
    with pytest.warns(DataWarning, match=r"AUROC 0\.570, from 0\.490, the unfair point 0\.620"):
        choice = chosen("1", low=0.49, auroc=(0.62, 0.57))
    assert "hardly tells rows apart" in choice.note
    assert "hardly" not in chosen("1", low=0.51, auroc=(0.62, 0.57)).note
