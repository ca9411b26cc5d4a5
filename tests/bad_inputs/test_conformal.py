"""Odd arguments of conformal intervals and sets."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from tests.bad_inputs import table, tiny

AREA = "conformal"
Sets, Intervals = pf.ConformalSets, pf.ConformalIntervals


def rows():
    return tiny.rows("normal")


def target():
    return tiny.target("normal")


def regressor():
    return tiny.regressor().fit(rows(), target())


def spoilt(value):
    """The target, its fourth row something else."""
    y = target().astype(object)
    y[3] = value
    return y


def by(value):
    return lambda: Sets(tiny.clean(), value).fit(tiny.rows(), tiny.target())


def keywords(**given):
    return lambda: Sets(tiny.clean(), **given).fit(tiny.rows(), tiny.target())


def fitting(X=rows, y=target, estimator=regressor):
    return lambda: Intervals(estimator()).fit(X(), y())


def predicting(X=rows, level: Any = 0.9, of=None):
    return lambda: Intervals(regressor(), of).fit(rows(), target()).predict_interval(X(), level)


def judging(**changed):
    def run():
        model = regressor()
        intervals = model.predict_interval(rows(), kind="observation").assign(**changed)
        return model.fairness_report(rows(), target(), intervals=intervals)

    return run


def sets_judged():
    sets = pd.DataFrame({"size": 1}, index=tiny.rows().index)
    return tiny.clean().fairness_report(tiny.rows(), tiny.target(), intervals=sets)


def without(*columns):
    return lambda: rows().drop(columns=[*columns])


def none_of_a_class():
    zeros = np.zeros(tiny.ROWS, int)
    return Sets(tiny.clean(), class_conditional=True).fit(tiny.rows(), zeros).predict_set(rows())


def no_groups():
    """An empty list of attributes calibrates all rows together."""
    fits = [Sets(tiny.clean(), given).fit(tiny.rows(), tiny.target()) for given in ([], None)]
    found = [one.predict_set(tiny.rows()).to_numpy() for one in fits]
    return found[0], found[1]


PROGRAMS: dict[str, Any] = {
    "by []": no_groups,
    "by ()": by(()),
    "by nope": by("nope"),
    "by [[group1]]": by([["group1"]]),
    "by ([group1],)": by((["group1"],)),
    "by 1.5": by(1.5),
    "by dict": by({"group1": 1}),
    "by array": by(np.array(["group1"])),
    "by x1": by("x1"),
    "by twice": by(["group1", "group1"]),
    "score raps": keywords(conformity_score="raps"),
    "class_conditional None": keywords(class_conditional=None),
    "effects x": keywords(effects="x"),
    "random_state a": keywords(random_state="a"),
    "level 0": predicting(level=0),
    "level 1": predicting(level=1),
    "level 90": predicting(level=90),
    "level list": predicting(level=[0.5, 0.9]),
    "level .9999": predicting(level=0.9999),
    "y nan": fitting(y=lambda: spoilt(np.nan)),
    "y text": fitting(y=lambda: spoilt("a")),
    "y inf": fitting(y=lambda: spoilt(np.inf)),
    "y two columns": fitting(y=lambda: np.c_[target(), target()]),
    "y short": fitting(y=lambda: target()[:-1]),
    "y None": fitting(y=lambda: None),
    "no row": fitting(X=lambda: rows()[:0], y=lambda: target()[:0]),
    "X array": fitting(X=lambda: rows().to_numpy()),
    "X no cluster": fitting(X=without("cluster")),
    "X no covariate": predicting(X=without("x1")),
    "X no group": predicting(X=without("group1"), of="group1"),
    "estimator None": fitting(estimator=lambda: None),
    "estimator not fitted": fitting(estimator=tiny.regressor),
    "estimator classifier": fitting(estimator=tiny.clean),
    "predict unfitted": lambda: Intervals(regressor()).predict_interval(rows()),
    "calibration unfitted": lambda: Sets(tiny.clean()).calibration(),
    "class without rows": none_of_a_class,
    "report text": lambda: regressor().fairness_report(rows(), target(), intervals="a"),
    "report nan": judging(low=np.nan),
    "report low text": judging(low="a"),
    "report low above high": judging(low=1e9),
    "report sets without columns": sets_judged,
    "report sets 2.5": lambda: tiny.clean().fairness_report(
        tiny.rows(), tiny.target(), intervals=pd.DataFrame({0: [2.5] * tiny.ROWS, 1: True})
    ),
}


@pytest.mark.parametrize("line", table.cases(AREA))
def test_conformal(line):
    table.check(line, PROGRAMS)


def test_every_program_is_in_the_table():
    assert {line.input for line in table.lines(AREA)} == set(PROGRAMS)
