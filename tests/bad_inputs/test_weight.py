"""Odd weights at fit, of rows and of classes."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.bad_inputs import table, tiny

AREA = "weight"
SLOW = [
    "zero for all but 2 rows",
    "3 classes class_weight={0:0,..}",
]  # compile programs of their own
N = tiny.ROWS
ONES = np.ones(N)
FIRST = np.arange(N) == 0
GROUPS, CLUSTERS = tiny.rows()["group1"].to_numpy(), tiny.rows()["cluster"].to_numpy()
THREE = np.arange(N) % 3


def fitting(weight, **keywords):
    return lambda: tiny.fit(weight=weight() if callable(weight) else weight, **keywords)


def alike(weight, plain):
    """The fit with odd weights is that with plain ones."""
    return lambda: (
        tiny.chances(tiny.fit(weight=weight() if callable(weight) else weight)),
        tiny.chances(tiny.fit(weight=plain)),
    )


def as_absent(there, fit=tiny.fit):
    """Rows of weight 0 are as good as absent."""

    def program():
        kept = np.asarray(there)
        found = tiny.fit(weight=kept.astype(float))
        right = fit(tiny.rows()[kept], tiny.target()[kept])
        return tiny.chances(found), tiny.chances(right)

    return program


def two_rows():
    kept = np.zeros(N, bool)
    kept[[np.flatnonzero(tiny.target() == k)[0] for k in (0, 1)]] = True
    X = tiny.rows().assign(cluster="a")
    X.loc[np.flatnonzero(kept)[0], "cluster"] = "b"
    groups = np.where(np.arange(N) == np.flatnonzero(kept)[0], "g0", "g1")
    X = X.assign(group1=groups)
    found = tiny.fit(X, weight=kept.astype(float))
    right = tiny.fit(X[kept], tiny.target()[kept])
    return tiny.chances(found, X), tiny.chances(right, X)


def class_left_out():
    model = tiny.fit(y=THREE, class_weight={0: 0, 1: 1, 2: 1})
    kept = THREE != 0
    right = tiny.fit(tiny.rows()[kept], THREE[kept])
    assert list(model.classes_) == [1, 2]
    return tiny.chances(model), tiny.chances(right)


def of_classes(y, class_weight):
    return lambda: tiny.fit(y=y, class_weight=class_weight)


PROGRAMS: dict[str, Any] = {
    "ones = none": alike(ONES, None),
    "negative": fitting(-ONES),
    "NaN": fitting(np.where(FIRST, np.nan, 1)),
    "inf": fitting(np.where(FIRST, np.inf, 1)),
    "wrong length": fitting(ONES[:-1]),
    "2-D": fitting(np.ones((N, 2))),
    "column vector": fitting(ONES[:, None]),
    "text": fitting(np.full(N, "a")),
    "text numbers": alike(np.full(N, "1.5"), 1.5 * ONES),
    "all zero": fitting(0 * ONES),
    "bool": alike(np.arange(N) % 4 > 0, (np.arange(N) % 4 > 0).astype(float)),
    "Int64 NA": fitting(lambda: pd.array([pd.NA, *[1] * (N - 1)], dtype="Int64")),
    "masked": fitting(np.ma.masked_array(ONES, FIRST)),
    "complex": fitting(ONES + 0j),
    "1e308": fitting(1e308 * ONES),
    "1e-308": fitting(1e-308 * ONES),
    "1e-320": fitting(1e-320 * ONES),
    "one row 1e39": fitting(np.where(FIRST, 1e39, 1)),
    "zero for a whole cluster": as_absent(CLUSTERS != "c1"),
    "zero for a class": fitting(tiny.target().astype(float)),
    "zero for a group": fitting((GROUPS == "g1").astype(float)),
    "zero for all but 2 rows": two_rows,
    "one row positive": fitting(FIRST.astype(float)),
    "zero for all but one cluster": fitting((CLUSTERS == "c0").astype(float)),
    "Series other index": alike(lambda: pd.Series(1.5 * ONES, index=np.arange(N) + 9), 1.5 * ONES),
    "list": alike((1.5 * ONES).tolist(), 1.5 * ONES),
    "string 'balanced'": fitting("balanced"),
    "float16 sum overflow": alike(np.full(N, 60000, np.float16), np.full(N, 60000.0)),
    "3 classes class_weight={0:-1,1:1,2:1}": of_classes(THREE, {0: -1, 1: 1, 2: 1}),
    "3 classes class_weight={0:nan,..}": of_classes(THREE, {0: np.nan, 1: 1, 2: 1}),
    "3 classes class_weight={0:0,..}": class_left_out,
    "2 classes, class_weight -1 on both": of_classes(tiny.target(), {0: -1, 1: -1}),
}


@pytest.mark.parametrize("line", table.cases(AREA, SLOW))
def test_weight(line):
    table.check(line, PROGRAMS)


def test_every_input_of_the_list_is_in_the_table(needs_data):
    assert table.missing_lines(AREA, needs_data("bad_inputs/bad_inputs.csv")) == []
