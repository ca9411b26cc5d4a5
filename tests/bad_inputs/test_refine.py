"""Odd arguments of `refine`."""

from typing import Any

import numpy as np
import pytest

from tests.bad_inputs import table, tiny

AREA = "refine"


def refining(model=tiny.clean, **keywords):
    def program():
        given = {k: v() if callable(v) else v for k, v in keywords.items()}
        return model().refine(**{"progress": False} | given)

    return program


PROGRAMS: dict[str, Any] = {
    "0 draws=0": refining(draws=0),
    "1 draws=1.5": refining(draws=1.5),
    "2 chains=0": refining(chains=0),
    "3 warmup=0": refining(warmup=0),
    "4 draws=2": refining(draws=2),
    "5 X: DataFrame 300": refining(X=tiny.rows),
    "6 y: Series 300": refining(y=tiny.target),
    "7 X: DataFrame 300, y: Series 299": refining(X=tiny.rows, y=lambda: tiny.target()[:-1]),
    "8 X: DataFrame 40, y: Series 40": refining(
        X=lambda: tiny.rows()[:40].assign(cluster="new"), y=lambda: tiny.target()[:40]
    ),
    "9 fairness_weight=-1": refining(fairness_weight=-1),
    "10 fairness_weight='x'": refining(fairness_weight="x"),
    "12 chains=-1": refining(chains=-1),
    "13 draws='x'": refining(draws="x"),
    "14 X: DataFrame 300, y: Series 300": refining(X=tiny.rows, y=np.full(tiny.ROWS, 8)),
    "15 sample_weight: ndarray 300": refining(sample_weight=np.ones(tiny.ROWS)),
    "no latents": refining(model=lambda: tiny.fit(cluster=None)),
}


@pytest.mark.parametrize("line", table.cases(AREA))
def test_refine(line):
    table.check(line, PROGRAMS)


def test_every_input_of_the_list_is_in_the_table(needs_data):
    assert table.missing_lines(AREA, needs_data("bad_inputs/bad_inputs.csv")) == []
