"""Odd offsets at fit."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.bad_inputs import table, tiny

AREA = "offset"
LATER: dict[str, str] = {}
N = tiny.ROWS
HALF = np.arange(N) % 2


def fitting(values):
    return lambda: tiny.fit(tiny.rows().assign(o=values), offset="o")


def regressing(values, likelihood="normal"):
    kind = likelihood if likelihood == "poisson" else "normal"
    X = tiny.rows(kind).assign(o=values)
    return lambda: tiny.regressor(offset="o", likelihood=likelihood).fit(X, tiny.target(kind))


def as_numbers():
    found, right = (tiny.rows().assign(o=v) for v in (HALF == 1, HALF.astype(float)))
    return (
        tiny.chances(tiny.fit(found, offset="o"), found),
        tiny.chances(tiny.fit(right, offset="o"), right),
    )


def certain():
    """An offset of 1e30 makes the outcome certain, and nothing is not a number."""
    X = tiny.rows().assign(o=1e30)
    return tiny.chances(tiny.fit(X, offset="o"), X)[:, 1], np.ones(N)


def exposed():
    """A constant log exposure of 1e3 is taken up by the intercept: means are those of counts."""
    X, y = tiny.rows().assign(o=1e3), tiny.target("poisson")
    mean = tiny.regressor(offset="o", likelihood="poisson").fit(X, y).predict(X).mean()
    return bool(y.mean() / 3 < mean < 3 * y.mean()), True


PROGRAMS: dict[str, Any] = {
    "NaN": fitting(np.where(np.arange(N) == 3, np.nan, 0)),
    "inf": fitting(np.where(np.arange(N) == 3, np.inf, 0)),
    "text": fitting("a"),
    "1e30": certain,
    "1e39 (over float32)": fitting(1e39),
    "bool": as_numbers,
    "datetime": fitting(pd.Timestamp("2020-01-01")),
    "reg 1e39": regressing(1e39),
    "reg text": regressing("a"),
    "poisson 1e3 (exp overflow)": exposed,
}


@pytest.mark.parametrize("line", table.cases(AREA, later=LATER))
def test_offset(line):
    table.check(line, PROGRAMS)


def test_every_input_of_the_list_is_in_the_table(needs_data):
    assert table.missing_lines(AREA, needs_data("bad_inputs/bad_inputs.csv")) == []
