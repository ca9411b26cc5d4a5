"""Odd arguments of threshold policies."""

from typing import Any

import numpy as np
import pytest

import pyfairme as pf
from tests.bad_inputs import table, tiny

AREA = "policies"
Group, Joint = pf.GroupThresholds, pf.JointThresholds


def fitting(kind, *arguments, estimator=tiny.clean, X=tiny.rows, y=tiny.target, **keywords):
    return lambda: kind(estimator(), *arguments, **keywords).fit(X(), y())


def predicting(kind, X, *arguments):
    return lambda: kind(tiny.clean(), *arguments).fit(tiny.rows(), tiny.target()).predict(X())


def one_class():
    return np.where(tiny.rows()["group1"] == "g0", 0, tiny.target())


def limits(value):
    return fitting(Joint, value)


def regressor():
    return tiny.regressor().fit(tiny.rows("normal"), tiny.target("normal"))


def new_group():
    return tiny.rows().assign(group1="zz")


def group_absent():
    return tiny.rows().drop(columns="group1")


PROGRAMS: dict[str, Any] = {
    "GT not fitted est": fitting(Group, "group1", estimator=tiny.classifier),
    "GT estimator None": fitting(Group, "group1", estimator=lambda: None),
    "GT regressor": fitting(Group, "group1", estimator=regressor),
    "GT attribute nope": fitting(Group, "nope"),
    "GT attribute list": fitting(Group, ["group1"]),
    "GT attribute None": fitting(Group, None),
    "GT criterion x": fitting(Group, "group1", "x"),
    "GT grid 0": fitting(Group, "group1", grid_size=0),
    "GT y one class": fitting(Group, "group1", y=one_class),
    "GT y wrong length": fitting(Group, "group1", y=lambda: tiny.target()[:-1]),
    "GT y None": fitting(Group, "group1", y=lambda: None),
    "GT predict unfitted": lambda: Group(tiny.clean(), "group1").predict(tiny.rows()),
    "GT new level at predict": predicting(Group, new_group, "group1"),
    "GT missing group at predict": predicting(Group, group_absent, "group1"),
    "GT attribute x1": fitting(Group, "x1"),
    "JT limits -1": limits({"group1": -1}),
    "JT limits nan": limits({"group1": np.nan}),
    "JT limits text": limits({"group1": "a"}),
    "JT limits {}": limits({}),
    "JT limits unknown": limits({"nope": 0.1}),
    "JT rate unknown": limits({"group1": {"x": 0.1}}),
    "JT limit .9": limits({"group1": 0.9}),
    "JT inferred without y": lambda: Joint(tiny.clean(), {"group1": 0.1}, sensitive="inferred").fit(
        tiny.rows()
    ),
    "JT inferred with S read": fitting(Joint, {"group1": 0.1}, sensitive="inferred"),
    "JT predict new level": predicting(Joint, new_group, {"group1": 0.1}),
}


@pytest.mark.parametrize("line", table.cases(AREA))
def test_policies(line):
    table.check(line, PROGRAMS)


def test_every_input_of_the_list_is_in_the_table(needs_data):
    assert table.missing_lines(AREA, needs_data("bad_inputs/bad_inputs.csv")) == []
