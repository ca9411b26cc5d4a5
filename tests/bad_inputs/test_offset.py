"""Odd offsets at fit."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.bad_inputs import table, tiny

AREA = "offset"
N = tiny.ROWS
HALF = np.arange(N) % 2


def fitting(values):
    return lambda: tiny.fit(tiny.rows().assign(o=values), offset="o")


def regressing(values):
    X = tiny.rows("normal").assign(o=values)
    return lambda: tiny.regressor(offset="o").fit(X, tiny.target("normal"))


def as_numbers():
    found, right = (tiny.rows().assign(o=v) for v in (HALF == 1, HALF.astype(float)))
    return (
        tiny.chances(tiny.fit(found, offset="o"), found),
        tiny.chances(tiny.fit(right, offset="o"), right),
    )


def exposed():
    """One exposure for all rows is what the intercept takes off, even where exp(1e3) overflows."""
    usual, large = (
        tiny.regressor(offset="o", likelihood="poisson").fit(X, tiny.target("poisson")).predict(X)
        for X in (tiny.rows("poisson").assign(o=o) for o in (0.0, 1e3))
    )
    return np.round(np.log(large / usual), 2), np.zeros(N)  # single precision: 1e3 +- 1e-4


PROGRAMS: dict[str, Any] = {
    "NaN": fitting(np.where(np.arange(N) == 3, np.nan, 0)),
    "inf": fitting(np.where(np.arange(N) == 3, np.inf, 0)),
    "text": fitting("a"),
    "1e30": fitting(1e30),
    "1e39 (over float32)": fitting(1e39),
    "bool": as_numbers,
    "datetime": fitting(pd.Timestamp("2020-01-01")),
    "reg 1e39": regressing(1e39),
    "reg text": regressing("a"),
    "poisson 1e3 (exp overflow)": exposed,
}


@pytest.mark.parametrize("line", table.cases(AREA))
def test_offset(line):
    table.check(line, PROGRAMS)


def test_every_input_of_the_list_is_in_the_table(needs_data):
    assert table.missing_lines(AREA, needs_data("bad_inputs/bad_inputs.csv")) == []
