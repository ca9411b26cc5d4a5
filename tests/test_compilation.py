"""Compiled programs are counted, bounded and given back, and answers do not change by it."""

import gc
import weakref

import jax
import numpy as np

import pyfairme as pf
from pyfairme.compilation import HELD, Compiled
from tests.bad_inputs import tiny


def compile_for(held: Compiled, rows: int) -> None:
    """Compile one program, of as many rows."""
    held.make_room("a sum", np.zeros(rows))
    jax.jit(lambda x: x.sum() * rows)(np.zeros(rows)).block_until_ready()


def test_programs_are_counted_and_given_back_at_the_limit() -> None:
    held = Compiled(limit=3)
    for rows in (2, 3, 4):
        compile_for(held, rows)
    assert held.programs == 3
    compile_for(held, 5)
    assert held.programs == 1


def test_a_shape_that_is_known_makes_no_room() -> None:
    held = Compiled(limit=1)
    compile_for(held, 2)
    compile_for(held, 2)  # another function of the same shape: the shape counts as compiled
    assert held.programs == 2


def test_going_round_among_shapes_raises_the_limit_until_they_fit() -> None:
    held = Compiled(limit=2)
    for _ in range(6):
        for rows in range(2, 9):
            held.make_room("a fold", np.zeros(rows))
            held.programs += 1
    assert held.limit >= 7


def test_new_shapes_alone_leave_the_limit() -> None:
    held = Compiled(limit=2)
    for rows in range(2, 40):
        held.make_room("a fold", np.zeros(rows))
        held.programs += 1
    assert held.limit == 2
    assert held.programs <= 2


def test_what_is_compiled_per_structure_is_dropped_with_all_it_holds() -> None:
    held = Compiled()

    @held.per_structure()
    def doubled(name: str) -> jax.stages.Wrapped:
        return jax.jit(lambda x: 2 * x)

    function = doubled("a")
    assert doubled("a") is function
    assert float(function(1.0)) == 2.0
    gone = weakref.ref(function)
    del function
    held.clear()
    gc.collect()
    assert gone() is None


def test_answers_stay_the_same_after_the_caches_are_cleared() -> None:
    model, X = tiny.clean(), tiny.rows()
    before = model.predict_proba(X), tiny.fit().predict_proba(X)
    pf.clear_caches()
    after = model.predict_proba(X), tiny.fit().predict_proba(X)
    np.testing.assert_array_equal(before, after)


def test_a_fit_of_other_rows_compiles_few_programs() -> None:
    # Putting a table on the device compiles nothing: it took 18 further programs for each shape.
    tiny.fit()
    HELD.programs = 0
    tiny.fit()
    assert HELD.programs == 0
    X, y = tiny.rows()[:61], tiny.target()[:61]
    tiny.fit(X, y)
    assert 0 < HELD.programs <= 8
