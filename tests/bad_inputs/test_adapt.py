"""Odd rows given to `adapt`."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.bad_inputs import table, tiny

AREA = "adapt"
SLOW = ["one row"]  # compiles a program of its own


def new(**changes):
    """Forty labelled rows of a new cluster."""
    return tiny.rows()[:40].assign(**({"cluster": "new"} | changes))


def outcomes():
    return tiny.target()[:40]


def adapting(X=new, y=outcomes, model=tiny.clean, **keywords):
    def program():
        return model().adapt(X() if callable(X) else X, y() if callable(y) else y, **keywords)

    return program


def knows(label, **arguments):
    """The new estimator knows the cluster; the known ones stay as they were."""

    def program():
        before, after = tiny.clean(), adapting(**arguments)()
        assert label in after.design_.clusters["cluster"]
        effects = after.cluster_effects_.set_index("cluster")[["mean", "sd"]]
        assert np.isfinite(effects.loc[label].to_numpy(float)).all()
        old = before.cluster_effects_.set_index("cluster")[["mean", "sd"]]
        return effects.loc[old.index], old

    return program


def known():
    return tiny.rows()[:40]


def both():
    return pd.concat([new()[:20], tiny.rows()[20:40]])


def adapted():
    return tiny.clean().adapt(new(), outcomes())


PROGRAMS: dict[str, Any] = {
    "known clusters": adapting(known),
    "known and new": adapting(both),
    "empty": adapting(lambda: new()[:0], []),
    "y wrong length": adapting(y=lambda: outcomes()[:-1]),
    "y new class": adapting(y=np.full(40, 6)),
    "y NaN": adapting(y=np.full(40, np.nan)),
    "y None": adapting(y=None),
    "weight negative": adapting(sample_weight=np.full(40, -1.0)),
    "weight NaN": adapting(sample_weight=np.full(40, np.nan)),
    "weight all zero": adapting(sample_weight=np.zeros(40)),
    "weight wrong length": adapting(sample_weight=np.ones(3)),
    "fairness_weight -1": adapting(fairness_weight=-1),
    "fairness_weight text": adapting(fairness_weight="x"),
    "fairness_weight unknown": adapting(fairness_weight={"nope": 1}),
    "no cluster in model": adapting(model=lambda: tiny.fit(cluster=None)),
    "missing column": adapting(lambda: new().drop(columns="x1")),
    "X None": adapting(lambda: None),
    "new level": knows("new", X=lambda: new(group2="zz")),
    "inf": adapting(lambda: new(x1=np.inf)),
    "cluster NaN (missing)": adapting(lambda: new(cluster=None)),
    "one row": knows("new", X=lambda: new()[:1], y=lambda: outcomes()[:1]),
    "adapt twice same name": adapting(model=adapted),
}


@pytest.mark.parametrize("line", table.cases(AREA, SLOW))
def test_adapt(line):
    table.check(line, PROGRAMS)


def test_every_input_of_the_list_is_in_the_table(needs_data):
    assert table.missing_lines(AREA, needs_data("bad_inputs/bad_inputs.csv")) == []
