"""NUTS in the coordinates of the block guide against the exact posterior."""

import jax
import numpy as np
import pytest

from pyfairme.inference import nuts
from pyfairme.inference.laplace.second_stage import second_stage_inputs
from tests.inference import one_way

DRAWS, CHAINS, WARMUP = 1000, 2, 301  # no number of equal chunks
COMPILED = []


def note_compilation(event, duration, **_):
    if "backend_compile" in event:
        COMPILED.append(event)


def run(rows, seed=0, **keywords):
    scaled, bare = second_stage_inputs(rows, one_way.OBJECTIVE)
    return nuts.sample(
        one_way.SPEC, one_way.NETWORK, one_way.START, scaled, bare,
        draws=DRAWS, chains=CHAINS, warmup=WARMUP, strength=np.zeros(0), seed=seed, **keywords,
    )  # fmt: skip


@pytest.fixture(scope="module")
def result():
    return run(one_way.make_rows())


@pytest.mark.long
def test_draws_are_those_of_the_exact_posterior(result):
    exact = one_way.exact(one_way.make_rows())
    flat = {name: value.reshape(-1, *value.shape[2:]) for name, value in result.draws.items()}
    found = one_way.found(flat)
    # ESS of at least 1,000: four standard errors of a mean are .13 SD, of an SD 9 %
    assert (np.abs(found.mean - exact.mean) / exact.sd).max() < 0.13
    np.testing.assert_allclose(found.sd, exact.sd, rtol=0.1)


def test_every_latent_has_chains_draws_and_diagnostics(result):
    for latent in one_way.SPEC.latents:
        assert result.draws[latent.name].shape == (CHAINS, DRAWS, *latent.shape)
        assert result.worth[latent.name].rhat < 1.01
        assert min(result.worth[latent.name][1:]) > 800
    assert result.divergences == 0


def test_a_second_run_of_other_rows_compiles_nothing(result):
    rows = one_way.make_rows()
    jax.monitoring.register_event_duration_secs_listener(note_compilation)
    jax.jit(lambda: 1)()
    assert COMPILED  # the event has this name
    COMPILED.clear()
    seen = []
    later = rows._replace(y=rows.y + np.float32(0.5))
    other = run(later, seed=1, report=seen.append, turn=1, turns=2)
    assert not COMPILED
    assert list(dict.fromkeys(one.stage for one in seen)) == ["guide", "compiling", "sampling"]
    steps = [one for one in seen if one.stage == "sampling"]
    each = -(-(WARMUP + DRAWS) // nuts.CHUNK)
    assert [one.done for one in steps][:2] == [1301, 1301 + -(-1301 // each)]
    assert steps[-1][1:3] == (2602, 2602)
    assert all((one.note == "warm-up") == (one.done - 1301 < WARMUP) for one in steps)
    # they moved with the rows: the bias by all of .5, less what the prior and the effects take
    moved = other.draws["output_bias"].mean() - result.draws["output_bias"].mean()
    assert 0.3 < moved < 0.6


def test_rows_without_a_posterior_are_refused(result):
    rows = one_way.make_rows()
    with pytest.raises(FloatingPointError, match=r"NUTS found no place to start .*prior_scale"):
        run(rows._replace(y=np.full_like(rows.y, np.nan)))


def test_correlations_are_the_lower_triangle():
    root = np.array([[1.0, 0, 0], [0.6, 0.8, 0], [0.0, 0.5, 0.75**0.5]])
    expected = (root @ root.T)[np.tril_indices(3, -1)]
    np.testing.assert_allclose(nuts._correlations(root[None, None])[0, 0], expected)
