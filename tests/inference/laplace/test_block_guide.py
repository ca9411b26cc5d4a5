"""The block guide's q: its coordinates, its density, and where it ends."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pyfairme.inference.laplace.block_guide import (
    BlockNoise,
    at_mode,
    from_free,
    sizes,
    stage,
    to_free,
    transport,
    typical,
)
from pyfairme.inference.laplace.linear_predictor import LinearPredictor, design_rows, join, link
from pyfairme.inference.laplace.second_stage import check_size
from pyfairme.model.effects import RandomEffects
from pyfairme.model.likelihoods import Bernoulli
from pyfairme.model.networks import mlp_init
from pyfairme.model.program import ModelSpec
from tests.inference import one_way
from tests.inference.laplace.test_linear_predictor import CASES, make_latents, make_rows


@pytest.fixture(scope="module")
def fitted():
    return one_way.fit_block(one_way.make_rows())


@pytest.fixture(scope="module")
def draws(fitted):
    block, *_ = fitted
    shapes = sizes(one_way.LAYOUT)
    keys = jax.random.split(jax.random.key(1), 3)
    pairs = zip(keys, shapes, strict=True)
    noise = BlockNoise(*(jax.random.normal(key, (4000, *shape)) for key, shape in pairs))
    run = jax.jit(jax.vmap(lambda one: transport(one_way.LAYOUT, block, one)))
    return jax.tree.map(np.asarray, run(noise))


def test_free_numbers_go_to_latents_and_back():
    hypers = LinearPredictor(CASES["crossed"][0]).hypers
    assert {v.name for v in hypers} == {
        "residual_sd", "big_intercept_sd", "big_slopes_sd", "big_cholesky", "small_intercept_sd",
    }  # fmt: skip
    free = jnp.linspace(-0.8, 0.7, sum(int(np.prod(v.free_shape)) for v in hypers))
    values, _ = jax.jit(from_free, static_argnums=0)(hypers, free)
    np.testing.assert_allclose(to_free(hypers, values), free, atol=1e-5)
    np.testing.assert_allclose(values["residual_sd"], np.exp(-0.8), rtol=1e-5)


def test_no_latents_are_no_numbers():
    spec = ModelSpec(Bernoulli(), 1, last_layer=True)
    assert LinearPredictor(spec).hypers == ()
    assert to_free((), {}).shape == (0,)
    values, volume = from_free((), jnp.zeros(0))
    assert (values, float(volume)) == ({}, 0.0)
    assert sizes(LinearPredictor(spec)).hypers == (0,)


def test_volume_of_the_latents_is_the_jacobian_determinant():
    factor = RandomEffects("g", 2, slopes=(0,), correlated=True)
    hypers = LinearPredictor(ModelSpec(Bernoulli(), 1, factors=(factor,))).hypers
    free = jnp.array([-0.5, 0.2, 0.7])

    @jax.jit
    def flat(free):
        values, _ = from_free(hypers, free)
        correlation = values["g_cholesky"][0, 1, 0]  # one number moves both of the second row
        return jnp.stack([values["g_intercept_sd"][0], values["g_slopes_sd"][0, 0], correlation])

    expected = np.linalg.slogdet(jax.jacobian(flat)(free))[1]
    volume = jax.jit(from_free, static_argnums=0)(hypers, free)[1]
    assert float(volume) == pytest.approx(expected, abs=1e-5)


def test_typical_is_the_draw_nearest_to_the_medians():
    hypers = one_way.LAYOUT.hypers
    draws = {
        "residual_sd": np.array([0.1, 1.0, 1.1, 9.0, 1.05]),
        "g_intercept_sd": np.array([[2.0], [0.1], [2.1], [1.9], [8.0]]),
        "g_intercept": np.arange(40.0).reshape(5, 8, 1),
    }
    chosen = typical(hypers, draws)
    assert chosen["residual_sd"] == 1.1
    np.testing.assert_array_equal(chosen["g_intercept"], draws["g_intercept"][2])
    assert typical(hypers, {}) == {}


def test_density_of_a_draw_is_that_of_a_change_of_variables(fitted):
    block, *_ = fitted
    layout = one_way.LAYOUT
    noise = BlockNoise(*(0.3 * jnp.ones(shape) for shape in sizes(layout)))

    def flat(vector):
        at, parts = 0, []
        for shape in sizes(layout):
            size = int(np.prod(shape))
            parts.append(vector[at : at + size].reshape(shape))
            at += size
        latents, _ = transport(layout, block, BlockNoise(*parts))
        return jnp.concatenate([latents[v.name].ravel() for v in one_way.SPEC.latents])

    vector = jnp.concatenate([part.ravel() for part in noise])
    expected = np.linalg.slogdet(np.asarray(jax.jit(jax.jacobian(flat))(vector), np.float64))[1]
    assert float(transport(layout, block, noise)[1]) == pytest.approx(expected, abs=2e-3)


def test_fitted_q_is_the_exact_posterior(draws):
    """Before any weighing: means within .1 SD, SDs within 10 % (LogNormal scales: 15 %)."""
    exact = one_way.exact(one_way.make_rows())
    found = one_way.found(draws[0])
    distance = np.abs(found.mean - exact.mean) / exact.sd
    assert distance.max() < 0.1
    np.testing.assert_allclose(found.sd[2:], exact.sd[2:], rtol=0.10)
    np.testing.assert_allclose(found.sd[:2], exact.sd[:2], rtol=0.15)


def test_the_loss_falls_and_settles(fitted):
    losses = fitted[1]
    assert np.isfinite(losses).all()
    assert losses[-100:].mean() < losses[:10].mean()
    assert losses[-100:].mean() == pytest.approx(losses[-300:-200].mean(), abs=0.1)


def test_the_mode_has_no_gradient():
    spec, given = CASES["hidden slopes"]
    layout, batch, latents = LinearPredictor(spec, given), make_rows(spec), make_latents(spec)
    network = mlp_init(jax.random.key(3), (2, *spec.hidden, 1))
    rows = design_rows(layout, network, batch)
    silent = (jnp.zeros(layout.dense), jnp.zeros((layout.clusters, layout.width)))
    start = join(layout, latents, network)
    _, (dense, local) = jax.jit(at_mode, static_argnums=0)(
        layout, rows, latents, start, jnp.zeros(0), silent
    )

    def log_joint(dense, local):
        likelihood = spec.likelihood.distribution(link(rows, dense, local), latents)
        tau = jnp.concatenate([latents["big_intercept_sd"], latents["big_slopes_sd"][:, 0]])
        prior = (local / tau) ** 2
        return likelihood.log_prob(rows.y).sum() - prior.sum() / 2 - (dense**2).sum() / 2 / 2.5**2

    gradient = jax.jit(jax.grad(log_joint, argnums=(0, 1)))(dense, local)
    for part in gradient:  # in single precision; at the start it is 3
        np.testing.assert_allclose(part, 0, atol=0.02)


def test_a_stage_is_built_once():
    assert stage(one_way.SPEC, False) is stage(one_way.SPEC, False)


def test_too_many_effects_per_cluster_are_refused():
    factor = RandomEffects("school", 5, slopes=tuple(range(200)))
    expected = (
        r"every cluster of 'school', and it has 201 effects per cluster; at most 128\. Use gu"
    )
    with pytest.raises(ValueError, match=expected):
        check_size(ModelSpec(Bernoulli(), 200, factors=(factor,)))
    check_size(ModelSpec(Bernoulli(), 200, factors=(replace(factor, slopes=(0, 1)),)))


@pytest.mark.parametrize(("clusters", "other"), [(2000, 700), (300_000, 500)])
def test_too_many_effects_beside_the_largest_factor_are_refused(clusters, other):
    factors = (RandomEffects("id", clusters, slopes=(0, 1)), RandomEffects("item", other))
    expected = rf"for all other effects together: {other} numbers, at most 600 .*guide='mean_field'"
    with pytest.raises(ValueError, match=expected):
        check_size(ModelSpec(Bernoulli(), 2, factors=factors))
    check_size(ModelSpec(Bernoulli(), 2, factors=(factors[0], RandomEffects("item", 30))))
