"""Odd targets at fit."""

import datetime
import decimal
import fractions
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from tests.bad_inputs import table, tiny

AREA = "y"
SLOW = ["300 classes"]  # compiles a model of that many outputs
N = tiny.ROWS
Y = tiny.target()
REAL = tiny.target("normal")


def changed(place, value, values=Y):
    found = np.array(values, dtype=object)
    found[place] = value
    return found


def fitting(y):
    return lambda: tiny.fit(y=y() if callable(y) else y) if y is not None else none()


def none():
    return tiny.classifier().fit(tiny.rows(), None)


def classes(y, first, second):
    """Labels of another kind are the same two classes: probabilities and decisions agree."""

    def program():
        model = tiny.fit(y=y() if callable(y) else y)
        decided = model.predict(tiny.rows())
        assert all(label in (first, second) for label in decided.tolist())
        right = tiny.clean().predict(tiny.rows()) == 1
        assert ((decided == second) == right).all()
        return tiny.chances(model), tiny.chances(tiny.clean())

    return program


def two(first, second, **options):
    """The labels as an array."""
    return np.array([first, second], **options)[Y]


def objects(first, second):
    found = np.empty(N, dtype=object)
    for i, v in enumerate(Y):
        found[i] = second if v else first
    return found


def many_classes():
    y = np.arange(N) % 60
    model = tiny.fit(y=y)
    p = tiny.chances(model)
    return (list(model.classes_), np.round(p.sum(axis=1), 4).tolist()), (
        list(range(60)),
        [1.0] * N,
    )


def lonely_class():
    y = Y.astype(int).copy()
    y[0] = 2
    model = tiny.fit(y=y)
    assert list(model.classes_) == [0, 1, 2]
    p = tiny.chances(model)
    return np.round(p.sum(axis=1), 4), np.ones(N)


# Regression -------------------------------------------------------------------------------------


def regressing(y, **keywords):
    return lambda: tiny.regressor(**keywords).fit(tiny.rows("normal"), y() if callable(y) else y)


def predicted(y, **keywords):
    X = tiny.rows("normal")
    return tiny.regressor(**keywords).fit(X, y).predict(X)


def real(y, plain, factor=1.0, **keywords):
    """The prediction is that of plain numbers, times a factor."""
    return lambda: (
        predicted(y() if callable(y) else y, **keywords) / factor,
        predicted(plain, **keywords),
    )


def constant():
    found = predicted(np.full(N, 3.0))
    return bool(np.abs(found - 3).max() < 0.5), True


def far():
    """At 1e15 doubles lie 1/8 apart."""
    found = predicted(1e15 + REAL) - 1e15
    return bool(np.abs(found - predicted(REAL)).max() < 1.0), True


COUNTS = np.arange(N) % 4
POISSON = {"likelihood": "poisson"}


def counting(y):
    return regressing(y, **POISSON)


PROGRAMS: dict[str, Any] = {
    "None": fitting(None),
    "constant": fitting(np.zeros(N)),
    "wrong length": fitting(Y[:-1]),
    "empty": fitting(Y[:0]),
    "2-D two columns": fitting(np.stack([Y, Y], axis=1)),
    "frame with a name twice": fitting(pd.DataFrame(np.stack([Y, Y], axis=1), columns=["y", "y"])),
    "column vector": classes(Y[:, None], 0, 1),
    "3-D": fitting(Y[:, None, None]),
    "list": classes(Y.tolist(), 0, 1),
    "tuple": classes(tuple(Y.tolist()), 0, 1),
    "DataFrame one column": classes(lambda: pd.DataFrame({"y": Y}), 0, 1),
    "DataFrame two": fitting(lambda: pd.DataFrame({"y": Y, "z": Y})),
    "Categorical": classes(lambda: pd.Categorical(two("a", "b")), "a", "b"),
    "Categorical reversed order": classes(
        lambda: pd.Categorical(two("b", "a"), ["b", "a"], ordered=True), "b", "a"
    ),
    "Int64": classes(lambda: pd.array(Y, dtype="Int64"), 0, 1),
    "Int64 NA": fitting(lambda: pd.array(changed(0, pd.NA), dtype="Int64")),
    "boolean": classes(lambda: pd.array(Y == 1, dtype="boolean"), False, True),
    "boolean NA": fitting(lambda: pd.array(changed(0, pd.NA, Y == 1), dtype="boolean")),
    "text True/False": classes(two("False", "True"), "False", "True"),
    "text with spaces": classes(two("a b", "c d"), "a b", "c d"),
    "text 'a' and 'a '": classes(two("a", "a "), "a", "a "),
    "string[pyarrow]": classes(lambda: pd.array(two("a", "b"), dtype="string[pyarrow]"), "a", "b"),
    "text NaN": fitting(objects(np.nan, "a")),
    "object None": fitting(objects(None, "a")),
    "NaN floats": fitting(np.where(np.arange(N) == 0, np.nan, Y)),
    "inf": fitting(np.where(np.arange(N) == 0, np.inf, Y)),
    "continuous": fitting(REAL),
    "timedelta": classes(
        lambda: two(0, 1).astype("timedelta64[D]"), np.timedelta64(0, "D"), np.timedelta64(1, "D")
    ),
    "bytes": fitting(two(b"a", b"b")),
    "object bytes": fitting(objects(b"a", b"b")),
    "complex": fitting(Y + 0j),
    "mixed 1 and '1'": fitting(objects(1, "1")),
    "tuples": fitting(objects((0,), (1,))),
    "lists": classes(lambda: [[int(v)] for v in Y], 0, 1),
    "sets": fitting(objects({0}, {1})),
    "object mixed bool and int": fitting(objects(True, 2)),
    "300 classes": many_classes,
    "class of one row": lonely_class,
    "int64 extreme labels": classes(two(-(2**63), 2**63 - 1), -(2**63), 2**63 - 1),
    "uint64 max": classes(two(0, 2**64 - 1, dtype=np.uint64), 0, 2**64 - 1),
    "float labels 0.0/1.0": classes(Y.astype(float), 0.0, 1.0),
    "float labels 0.5/1.5": fitting(Y + 0.5),
    "object ints 2**70": fitting(objects(0, 2**70)),
    "emoji": classes(two("😀", "😂"), "😀", "😂"),
    "trailing NUL": fitting(two("a", "a\0")),
    "trailing NUL as U": fitting(two("a", "a\0", dtype="U2")),
    "longdouble": classes(Y.astype(np.longdouble), 0.0, 1.0),
    "Series other index": classes(lambda: pd.Series(Y, index=np.arange(N) + 1000), 0, 1),
    "dict": fitting(lambda: {"y": Y}),
    "1 MB labels": classes(two("a" * 10**6, "b", dtype=object), "a" * 10**6, "b"),
    "Decimal": fitting(objects(decimal.Decimal(0), decimal.Decimal(1))),
    "scipy sparse": fitting(lambda: sparse.csr_array(Y[:, None])),
    "period": fitting(lambda: pd.PeriodIndex(two("2020", "2021"), freq="Y")),
    "date objects": fitting(objects(datetime.date(2020, 1, 1), datetime.date(2021, 1, 1))),
    "string": fitting("target"),
    "reg text numbers": real(REAL.astype(str), REAL),
    "reg text": regressing(two("a", "b")),
    "reg NaN": regressing(np.where(np.arange(N) == 0, np.nan, REAL)),
    "reg inf": regressing(np.where(np.arange(N) == 0, np.inf, REAL)),
    "reg bool": real(Y == 1, Y.astype(float)),
    "reg timedelta": regressing((1000 * REAL).astype("timedelta64[D]")),
    "reg complex": regressing(REAL + 1j),
    "reg object complex": regressing((REAL + 1j).astype(object)),
    "reg int64 near max": real(2**62 + (Y << 60), 2.0**62 + Y * 2.0**60),
    "reg constant": constant,
    "reg float16": real(REAL.astype(np.float16), REAL.astype(np.float16).astype(float)),
    "reg Decimal": real(lambda: np.array([decimal.Decimal(float(v)) for v in REAL]), REAL),
    "reg Fraction": real(lambda: np.array([fractions.Fraction(float(v)) for v in REAL]), REAL),
    "reg masked array": regressing(np.ma.masked_less(REAL, 0)),
    "reg Float64 NA": regressing(lambda: pd.array(changed(0, pd.NA, REAL), dtype="Float64")),
    **{
        f"reg scaled {size:g}": real(REAL * size, REAL, size)
        for size in (1e30, 1e100, 1e150, 1e160, 1e-160, 1e-170, 1e-300)
    },
    "reg 1e15 + r": far,
    "poisson negative": counting(COUNTS - 1),
    "poisson fraction": counting(COUNTS + 0.5),
    "poisson all zero": counting(np.zeros(N)),
    "poisson 2^31": counting(np.full(N, 2.0**31)),
    "poisson 1e30": counting(np.full(N, 1e30)),
    "poisson inf": counting(np.where(Y, np.inf, 1.0)),
    "poisson NaN": counting(np.where(np.arange(N) == 0, np.nan, 1.0)),
    "poisson bool": real(Y == 1, Y, **POISSON),
    "poisson -0.0": real(np.where(COUNTS == 0, -0.0, COUNTS), COUNTS.astype(float), **POISSON),
}


@pytest.mark.parametrize("line", table.cases(AREA, SLOW))
def test_y(line):
    table.check(line, PROGRAMS)


def test_every_input_of_the_list_is_in_the_table(needs_data):
    assert table.missing_lines(AREA, needs_data("bad_inputs/bad_inputs.csv")) == []
