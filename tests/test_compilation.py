"""Compiled programs are counted, bounded and given back, and answers do not change by it."""

import gc
import weakref

import jax
import numpy as np
import pytest

import pyfairme as pf
from pyfairme.compilation import HELD, OPTIONS, Compiled, jitted
from tests.bad_inputs import tiny


def compile_for(held: Compiled, rows: int) -> None:
    """Compile one program, of as many rows."""
    held.make_room("a sum", np.zeros(rows))
    with held.counted():
        jax.jit(lambda x: x.sum() * rows)(np.zeros(rows)).block_until_ready()


def test_programs_are_counted_and_given_back_at_the_limit() -> None:
    held = Compiled(limit=3)
    for rows in (2, 3, 4):
        compile_for(held, rows)
    assert held.programs == 3
    compile_for(held, 5)
    assert held.programs == 1


def test_programs_of_a_users_own_do_not_count() -> None:
    held = Compiled()
    compile_for(held, 2)
    jax.jit(lambda x: 3 * x)(np.zeros(3)).block_until_ready()
    assert held.programs == 1


def test_a_shape_that_is_known_makes_no_room() -> None:
    held = Compiled(limit=1)
    compile_for(held, 2)
    compile_for(held, 2)  # another function of the same shape: the shape counts as compiled
    assert held.programs == 2


@pytest.mark.long
def test_going_round_among_shapes_raises_the_limit_until_they_fit() -> None:
    held = Compiled(limit=4)
    for _ in range(6):
        for rows in range(2, 9):
            compile_for(held, rows)
    assert held.limit == 8


@pytest.mark.long
def test_new_shapes_leave_the_limit_though_one_comes_again_and_again() -> None:
    held = Compiled(limit=4)
    for rows in range(2, 60):
        compile_for(held, rows)
        compile_for(held, 100 if rows % 5 == 0 else rows)
        assert held.programs <= 8
    assert held.limit == 4


@pytest.mark.long
def test_who_clears_the_caches_begins_anew() -> None:
    held = Compiled(limit=4)
    for _ in range(20):
        compile_for(held, 2)
        held.clear()
    assert (held.limit, held.programs) == (4, 0)


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
    pf.clear_caches()
    tiny.fit()
    first = HELD.programs
    tiny.fit()
    assert HELD.programs == first
    X, y = tiny.rows()[:61], tiny.target()[:61]
    tiny.fit(X, y)
    assert HELD.programs - first == 2  # start and training, whose steps take all rows


@pytest.mark.long
def test_a_default_fit_of_hardly_fewer_rows_compiles_nothing() -> None:
    data = pf.datasets.make_clustered(400, 5, random_state=0)
    model = pf.FairMixedEffectsClassifier("cluster", hidden=(4,), progress=False, random_state=0)
    model.fit(data.frame, data.target)
    before = HELD.programs
    model.fit(data.frame[:-3], data.target[:-3])
    assert HELD.programs - before <= 4  # zeros of the rows; else it were 12


@pytest.mark.long
def test_a_default_fit_of_one_cluster_fewer_compiles_hardly_anything() -> None:
    data = pf.datasets.make_clustered(400, 6, random_state=0)
    model = pf.FairMixedEffectsClassifier("cluster", hidden=(4,), progress=False, random_state=0)
    model.fit(data.frame, data.target).predict_proba(data.frame[:10])
    fewer = (data.frame["cluster"] != data.frame["cluster"].iloc[-1]).to_numpy()
    before = HELD.programs
    model.fit(data.frame[fewer], data.target[fewer]).predict_proba(data.frame[fewer][:10])
    assert HELD.programs - before <= 6  # of shapes of the posterior; else it were 22


@pytest.mark.long
def test_tables_on_either_side_of_a_power_of_two_share_programs() -> None:
    """540 and 486 rows to train on: a cluster less, as 512 rows lie between."""
    data = pf.datasets.make_clustered(600, 10, random_state=0)
    X, y = data.frame[["cluster", "x1", "x2"]], data.target  # few numbers: as many knots in both
    model = pf.FairMixedEffectsClassifier("cluster", hidden=(4,), progress=False, random_state=0)
    model.fit(X, y)
    before = HELD.programs
    fewer = (X["cluster"] != X["cluster"].iloc[0]).to_numpy()
    assert fewer.sum() * 0.9 < 512
    model.fit(X[fewer], y[fewer])
    assert HELD.programs - before <= 6


@pytest.mark.long
def test_fits_and_predictions_of_ever_new_shapes_hold_few_programs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pf.clear_caches()
    monkeypatch.setattr(HELD, "limit", 40)
    held = []
    for rows in range(64, 120, 4):
        model = tiny.fit(tiny.rows()[:rows], tiny.target()[:rows])
        model.sample_predictive(tiny.rows()[:5], draws=rows)
        held.append(HELD.programs)
    assert max(held) < 2 * HELD.limit
    assert min(held[8:]) < max(held)  # something was given back


@pytest.mark.parametrize("use", list(OPTIONS))
def test_the_effort_of_compiling_changes_answers_by_rounding_only(use: str) -> None:
    x = np.random.default_rng(0).normal(size=(300, 7)).astype(np.float32)
    function = lambda x: jax.nn.softmax(x @ x.T).sum(axis=0)  # noqa: E731
    np.testing.assert_allclose(jitted(function, use)(x), function(x), rtol=2e-5)


def test_options_that_this_jax_does_not_know_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"xla_no_such_option": True, "xla_cpu_use_fusion_emitters": False}
    monkeypatch.setitem(OPTIONS, "made up", own)
    assert jitted(lambda x: 2 * x, "made up")(3.0) == 6.0
