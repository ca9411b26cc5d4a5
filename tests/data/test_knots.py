"""Hat functions over knots."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyfairme.data import Design, Schema
from pyfairme.data.knots import (
    ATOM_ROWS,
    COLUMNS,
    GAP,
    choose_knots,
    hat_slopes,
    hats,
    most_knots,
)
from pyfairme.data.terms import column_inputs, column_rates

KNOTS = (0.0, 1.0, 4.0, 5.0)


def encoded(values, knots=KNOTS):
    values = np.asarray(values, float)
    out = np.zeros((len(values), len(knots)))
    hats(values, knots, out)
    return out


@settings(deadline=None)
@given(st.lists(st.floats(-3, 8), min_size=1, max_size=20))
def test_hats_are_a_partition_that_reproduces_the_number(values):
    found = encoded(values)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert ((found > 0).sum(axis=1) <= 2).all()
    np.testing.assert_allclose(found @ np.array(KNOTS), np.clip(values, 0, 5), atol=1e-12)


def test_any_piecewise_linear_function_is_linear_in_the_hats():
    at = np.linspace(0, 5, 101)
    height = np.array([2.0, -1.0, 3.0, 0.5])
    np.testing.assert_allclose(encoded(at) @ height, np.interp(at, KNOTS, height))


def test_slopes_are_derivatives_and_zero_outside():
    at = np.array([-1.0, 0.5, 2.5, 4.5, 6.0])
    step = 1e-6
    slope = (encoded(at + step) - encoded(at - step)) / (2 * step)
    np.testing.assert_allclose(hat_slopes(at, KNOTS), slope, atol=1e-6)
    assert not hat_slopes(at, KNOTS)[[0, -1]].any()


def test_values_that_many_rows_share_are_knots():
    rng = np.random.default_rng(0)
    values = np.concatenate([np.zeros(3000), rng.uniform(1, 2, 800), np.full(ATOM_ROWS, 77.7)])
    knots = choose_knots(values, 40)
    assert 0.0 in knots
    assert 77.7 in knots
    assert list(knots) == sorted(set(knots))
    assert knots[0] == values.min()
    assert knots[-1] == values.max()
    assert len(knots) <= 40


def test_knots_are_bounded_by_rows_and_by_the_number_of_covariates():
    values = np.random.default_rng(1).normal(size=90)
    assert len(choose_knots(values, 9)) <= 9
    assert choose_knots(values, 3) == ()
    assert choose_knots(np.repeat([0.0, 1.0], 500), 100) == ()  # two values: the number says it all
    assert most_knots(1, 10**6) == COLUMNS
    assert most_knots(4, 2000) == 5
    assert most_knots(5, 300) == 0


def test_knots_keep_their_distance():
    rng = np.random.default_rng(3)
    near = rng.choice([44.9, 44.95, 44.96, 45.0], 5000) + rng.choice([0, 1e-6, 2e-6], 5000)
    knots = choose_knots(near, 40)
    assert np.diff(knots).min() > GAP * 0.09  # 12 values: one per place, the most frequent of three
    assert len(knots) == 4
    # whole numbers, money with frequent amounts and a code far away keep theirs
    ages = rng.integers(17, 91, 5000).astype(float)
    assert set(choose_knots(ages, 128)) == set(np.unique(ages))
    grades = rng.choice([1.0, 2, 3, 4, 5, 999_999], 5000)
    assert choose_knots(grades, 40) == (1, 2, 3, 4, 5, 999_999)
    amounts = [0.0, 2000, 3103, 3137, 7298, 7688, 15024, 99_999]
    gains = rng.choice(amounts, 5000, p=[0.9, *[0.1 / 7] * 7])
    assert choose_knots(gains, 40) == tuple(amounts)
    mass = np.where(rng.random(5000) < 0.8, 1e-15 * rng.integers(0, 3, 5000), rng.random(5000))
    assert np.diff(choose_knots(mass, 40)).min() > 1e-4


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "age": rng.integers(20, 60, 1000),
            "pay": np.where(rng.random(1000) < 0.02, np.nan, rng.lognormal(size=1000)),
            "job": rng.choice(list("abc"), 1000),
        }
    )


def designed(table, **keywords):
    schema = Schema.infer(table, cluster=("job",), sensitive=(), task="classification")
    return Design.fit(table, schema, numeric_encoding="piecewise", **keywords)


def test_a_design_adds_the_hats_after_the_number_and_its_marker(table):
    design = designed(table)
    names = [column.name for column in design.columns]
    assert names[:2] == ["age", "age knot 1"]
    assert names[names.index("pay") + 1] == "pay missing"
    assert {column.term for column in design.columns} == {"age", "pay"}
    x = design.encode(table).x
    plain = Design.fit(table, design.schema).encode(table).x
    own = [i for i, column in enumerate(design.columns) if not column.knot]
    np.testing.assert_array_equal(x[:, own], plain)
    for term in design.terms:
        knots = [i for i, c in enumerate(design.columns) if c.term == term.column and c.knot]
        np.testing.assert_allclose(x[:, knots].sum(axis=1), 1.0, atol=1e-6)


def test_hats_carry_no_random_slopes(table):
    design = designed(table, slopes={"job": "all"})
    assert [c.name for c in design.slope_columns] == ["age", "pay", "pay missing"]
    named = designed(table, slopes={"job": ["age"]})
    assert [c.name for c in named.slope_columns] == ["age"]


def test_a_design_with_knots_survives_its_state(table):
    design = designed(table)
    again = Design.from_state(design.to_state())
    assert again == design
    np.testing.assert_array_equal(again.encode(table).x, design.encode(table).x)


def test_rates_are_finite_differences_of_the_columns(table):
    design = designed(table)
    age = next(term for term in design.terms if term.column == "age")
    moved = table.assign(age=table["age"] + 1e-3)
    change = (design.encode(moved).x.astype(float) - design.encode(table).x) / (1e-3 / age.scale)
    mine = [i for i, column in enumerate(design.columns) if column.term == "age"]
    inside = (table["age"] < table["age"].max()).to_numpy()
    found = column_rates(design.terms, table)
    own, expected = found[inside][:, mine], change[inside][:, mine]
    np.testing.assert_allclose(own, expected, atol=0.01, rtol=0.01)
    inputs = column_inputs(design.columns)
    assert set(inputs[mine]) == {mine[0]}


def test_shrunk_columns_may_bend_with_fewer_rows():
    assert [most_knots(5, rows) for rows in (500, 2000, 8000)] == [1, 4, 16]
    assert [most_knots(5, rows, shrunk=True) for rows in (200, 500, 2000, 8000)] == [2, 5, 5, 16]
    assert most_knots(200, 100_000, shrunk=True) == most_knots(200, 100_000)
