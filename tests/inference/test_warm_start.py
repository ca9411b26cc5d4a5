"""Fits that begin with given parameters."""

import jax
import numpy as np
import pytest

from pyfairme.inference.cluster_buckets import filled_spec
from pyfairme.inference.compiled_steps import engine
from pyfairme.inference.fit_program import train
from pyfairme.inference.svi import Schedule, fit_members
from tests.inference.test_svi import FAIR, PLAIN, SHORT, make_objective, make_rows

NO_STEPS = Schedule(epochs=0, min_steps=0, batch_size=64)
SHORTEST = Schedule(epochs=1, min_steps=100, batch_size=64, learning_rate=3e-3)


@pytest.fixture(scope="module")
def rows():
    return make_rows()


def fitted(spec, rows, schedule, seeds=(3,), guide="mean_field", start=None):
    objective = make_objective(spec)
    return fit_members(spec, guide, rows, None, objective, schedule, seeds, start=start)


def params_of(members):
    return [member.params for member in members]


def assert_same(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("spec", "guide", "seeds"),
    [(FAIR, "mean_field", (3,)), (FAIR, "mean_field", (3, 4)), (PLAIN, "full_rank", (3,))],
)
def test_without_steps_a_fit_is_where_it_began(rows, spec, guide, seeds):
    learned = params_of(fitted(spec, rows, SHORTEST, seeds, guide))
    again = params_of(fitted(spec, rows, NO_STEPS, (8, 9)[: len(seeds)], guide, learned))
    assert_same(learned, again)
    assert any("adversary" in site for site in again[0]) == (spec is FAIR)  # they are carried too
    new = params_of(fitted(spec, rows, NO_STEPS, seeds, guide))
    assert np.abs(new[0]["network"][0].weight - learned[0]["network"][0].weight).max() > 1e-2


def test_a_fit_goes_on_where_the_other_ended(rows):
    first = fitted(FAIR, rows, SHORT)[0]
    machine = engine(filled_spec(FAIR), "mean_field")
    compiled = machine.run._cache_size()
    second = fitted(FAIR, rows, SHORTEST, start=[first.params])[0]
    assert machine.run._cache_size() == compiled
    began, ended = first.history[0]["mixed"], first.history[-1]["mixed"]
    assert second.history[0]["mixed"] < ended + 0.2 * (began - ended)


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_parameters_of_another_program_are_refused(rows, seeds):
    other = params_of(fitted(PLAIN, rows, NO_STEPS, seeds))
    with pytest.raises(ValueError, match="start must hold the parameters of this program"):
        fitted(FAIR, rows, NO_STEPS, seeds, start=other)
    with pytest.raises(ValueError, match=r"start must hold .* for every seed"):
        fitted(PLAIN, rows, NO_STEPS, seeds, start=[*other, other[0]])


@pytest.mark.filterwarnings("ignore:Collapsed")  # so few steps are no training
def test_carried_adversaries_need_no_warm_up(rows):
    """A warm-up so long that λ would stay at 0: a strong one moves the network all the same."""
    schedule = Schedule(epochs=1, min_steps=100, batch_size=64, warm_up=1e6)
    first = fitted(FAIR, rows, SHORT)[0].params

    def network(strength, start):
        objective = make_objective(FAIR, strength=strength, cluster=0.0)
        found = train(
            FAIR, "mean_field", rows, None, objective, schedule, seed=0, infer=False, start=start
        )
        return found.fit.network[0].weight

    assert np.abs(network(3.0, [first]) - network(0.0, [first])).max() > 1e-2
    assert np.abs(network(3.0, None) - network(0.0, None)).max() < 1e-3
