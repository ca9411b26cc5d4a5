"""The block guide's q: its coordinates, its density, and where it ends."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pyfairme.inference.laplace.block_guide import (
    BlockNoise,
    fit_block,
    guide_for,
    sizes,
    transport,
)
from pyfairme.inference.laplace.hyper_parameters import from_free, to_free, typical
from pyfairme.inference.laplace.importance_sampling import weigh
from pyfairme.inference.laplace.laplace_evidence import Layout
from pyfairme.inference.laplace.linear_predictor import LinearPredictor
from pyfairme.inference.laplace.second_stage import check_size, second_stage_inputs
from pyfairme.model.effects import RandomEffects
from pyfairme.model.likelihoods import Bernoulli, Normal
from pyfairme.model.program import LAST_LAYER_SCALE, ModelSpec
from tests.inference import one_way
from tests.inference.laplace.test_linear_predictor import CASES

KEPT = ("residual_sd", "g_intercept_sd", "g_intercept")


LAYOUT = one_way.LAYOUT.effects


@pytest.fixture(scope="module")
def fitted():
    return guide_for(one_way.fit_one_way(one_way.make_rows()))


@pytest.fixture(scope="module")
def draws(fitted):
    shapes = sizes(LAYOUT)
    keys = jax.random.split(jax.random.key(1), 3)
    pairs = zip(keys, shapes, strict=True)
    noise = BlockNoise(*(jax.random.normal(key, (4000, *shape)) for key, shape in pairs))
    run = jax.jit(jax.vmap(lambda one: transport(LAYOUT, fitted, one)))
    return jax.tree.map(np.asarray, run(noise))


def test_free_numbers_go_to_latents_and_back():
    hypers = LinearPredictor(CASES["crossed"]).hypers
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
    layout = LAYOUT
    noise = BlockNoise(*(0.3 * jnp.ones(shape) for shape in sizes(layout)))

    def flat(vector):
        at, parts = 0, []
        for shape in sizes(layout):
            size = int(np.prod(shape))
            parts.append(vector[at : at + size].reshape(shape))
            at += size
        latents, _ = transport(layout, fitted, BlockNoise(*parts))
        return jnp.concatenate([latents[v.name].ravel() for v in one_way.SPEC.latents])

    vector = jnp.concatenate([part.ravel() for part in noise])
    expected = np.linalg.slogdet(np.asarray(jax.jit(jax.jacobian(flat))(vector), np.float64))[1]
    assert float(transport(layout, fitted, noise)[1]) == pytest.approx(expected, abs=2e-3)


def test_fitted_q_is_the_exact_posterior(draws):
    """Before any weighing: means within .2 SD, SDs of effects within 12 %.

    A Normal of logarithms at the mode lacks the skewness of scales: their SDs within a quarter.
    """
    exact = one_way.exact(one_way.make_rows())
    found = one_way.found(draws[0])
    distance = np.abs(found.mean - exact.mean) / exact.sd
    assert distance.max() < 0.2
    np.testing.assert_allclose(found.sd[2:], exact.sd[2:], rtol=0.12)
    np.testing.assert_allclose(found.sd[:2], exact.sd[:2], rtol=0.25)


def test_q_lies_at_the_maximum_with_the_curvature_there():
    fitted = one_way.fit_one_way(one_way.make_rows())
    evidence, free = fitted.evidence, fitted.found.free
    assert fitted.evaluations < 40
    assert np.abs(evidence.value_and_gradient(free)[1]).max() < 0.1
    at = evidence.value_and_gradient(free)[0]
    step = 0.3 * fitted.scale_tril[:, 0]
    around = [evidence.value_and_gradient(free + sign * step)[0] for sign in (1, -1)]
    assert np.mean(around) - at == pytest.approx(-0.5 * 0.3**2, rel=0.1)


def test_a_linear_network_without_penalty_goes_to_the_maximum_of_the_likelihood():
    """Generalised least squares at the scales that were found."""
    spec = replace(one_way.SPEC, last_layer=False)
    batch, first = one_way.make_rows(), {k: one_way.START[k] for k in KEPT}
    scaled, bare = second_stage_inputs(batch, one_way.OBJECTIVE)
    layout = Layout(spec, spec, given=True)
    fitted = fit_block(layout, first, one_way.NETWORK, scaled, bare)
    residual_sd, sd = np.exp(fitted.found.free)
    x = np.column_stack([batch.x[:, 0], np.ones(one_way.ROWS)])
    code = np.eye(one_way.CLUSTERS)[batch.cluster[:, 0]]
    inverse = np.linalg.inv(residual_sd**2 * np.eye(one_way.ROWS) + sd**2 * code @ code.T)
    kept = LAST_LAYER_SCALE**-2 * np.eye(2)  # where the first stage was, at 0
    expected = np.linalg.solve(x.T @ inverse @ x + kept, x.T @ inverse @ batch.y)
    found = [fitted.network[0].weight[0, 0], fitted.network[0].bias[0]]
    np.testing.assert_allclose(found, expected, atol=2e-3)
    # ML of the scales under their priors: no derivative at fixed coefficients
    value = marginal(inverse_of=lambda s, t: s**2 * np.eye(len(x)) + t**2 * code @ code.T,
                     residual=batch.y - x @ expected)  # fmt: skip
    for step in 0.02 * np.eye(2):
        up, down = (value(*np.exp(fitted.found.free + s * step)) for s in (1, -1))
        assert up - down == pytest.approx(0, abs=0.006)


def marginal(inverse_of, residual):
    """Return log p(y | scales) + log p(logarithms of scales), with HalfNormal(1) priors."""

    def value(s, t):
        covariance = inverse_of(s, t)
        fit = residual @ np.linalg.solve(covariance, residual)
        prior = -(s**2 + t**2) / 2 + np.log(s) + np.log(t)
        return -0.5 * (fit + np.linalg.slogdet(covariance)[1]) + prior

    return value


def test_what_is_given_goes_to_the_maximum_of_laplaces_evidence():
    """Bernoulli: the joint mode of everything is elsewhere; evidence by brute force."""
    spec = ModelSpec(Bernoulli(), 1, factors=(RandomEffects("g", 8),), fixed_loss=False)
    rng = np.random.default_rng(3)
    batch = one_way.make_rows()
    y = (rng.random(one_way.ROWS) < 1 / (1 + np.exp(-2 * batch.y))).astype(np.int32)
    batch = batch._replace(y=y)
    first = {k: one_way.START[k] for k in ("g_intercept_sd", "g_intercept")}
    scaled, bare = second_stage_inputs(batch, one_way.OBJECTIVE)
    fitted = fit_block(Layout(spec, spec, given=True), first, one_way.NETWORK, scaled, bare)
    sd = float(np.exp(fitted.found.free[0]))
    weight, bias = float(fitted.network[0].weight[0, 0]), float(fitted.network[0].bias[0])

    def evidence(weight, bias):
        fixed, total = weight * batch.x[:, 0] + bias, 0.0
        for g in range(8):
            own = batch.cluster[:, 0] == g
            u = 0.0
            for _ in range(50):
                p = 1 / (1 + np.exp(-fixed[own] - u))
                bend = (p * (1 - p)).sum() + sd**-2
                u += ((y[own] - p).sum() - u / sd**2) / bend
            eta = fixed[own] + u
            total += (y[own] * eta - np.log1p(np.exp(eta))).sum() - u**2 / (2 * sd**2)
            total -= 0.5 * np.log(bend)
        return total - (weight**2 + bias**2) / (2 * LAST_LAYER_SCALE**2)  # little, from the start

    step = 0.05
    for one, other in ((step, 0.0), (0.0, step)):
        up = evidence(weight + one, bias + other)
        down = evidence(weight - one, bias - other)
        assert (up - down) / (2 * step) == pytest.approx(0, abs=0.1)  # the joint mode: 0.5


@pytest.mark.long
def test_the_pull_of_penalties_moves_the_effects_and_stays():
    """A pull of P is an observation more: the mode moves by covariance times P."""
    batch, (scaled, bare) = (
        one_way.make_rows(),
        second_stage_inputs(one_way.make_rows(), one_way.OBJECTIVE),
    )
    pull = np.zeros(2), np.zeros((one_way.CLUSTERS, 1))
    pull[1][2] = 4.0
    arguments = (one_way.LAYOUT, one_way.START, one_way.NETWORK, scaled, bare)
    plain, pulled = fit_block(*arguments), fit_block(*arguments, pull)
    free = plain.found.free
    before, after = (one.evidence.at_mode(free).gaussian for one in (plain, pulled))
    dense, local = before.times(*pull)
    np.testing.assert_allclose(after.local - before.local, local, atol=1e-6)
    np.testing.assert_allclose(after.dense - before.dense, dense, atol=1e-6)
    found = weigh(pulled, 500, 0).draws["g_intercept"][:, :, 0].mean(axis=0)
    moved = found - weigh(plain, 500, 0).draws["g_intercept"][:, :, 0].mean(axis=0)
    assert moved[2] > 0.3 * local[2]
    assert len(batch.y) == one_way.ROWS


def test_what_is_not_finite_is_refused():
    rows = one_way.make_rows()
    with pytest.raises(FloatingPointError):
        one_way.fit_one_way(rows._replace(y=np.full_like(rows.y, np.nan)))


def test_too_many_effects_per_cluster_are_refused():
    factor = RandomEffects("school", 5, slopes=tuple(range(200)))
    expected = (
        r"every cluster of 'school', and it has 201 effects per cluster; at most 128\. Use gu"
    )
    with pytest.raises(ValueError, match=expected):
        check_size(ModelSpec(Bernoulli(), 200, factors=(factor,)))
    check_size(ModelSpec(Bernoulli(), 200, factors=(replace(factor, slopes=(0, 1)),)))


def test_a_normal_likelihood_has_many_effects_beside_the_largest_factor():
    factors = (RandomEffects("id", 300_000), RandomEffects("item", 2900))
    spec = ModelSpec(Normal(), 2, factors=factors)
    check_size(spec)
    with pytest.raises(ValueError, match=r"2900 numbers, at most 600"):
        check_size(spec, sampled=True)  # by NUTS
    with pytest.raises(ValueError, match=r"3001 numbers, at most 3000"):
        check_size(replace(spec, factors=(factors[0], RandomEffects("item", 3001))))


@pytest.mark.parametrize(("clusters", "other"), [(2000, 700), (300_000, 500)])
def test_too_many_effects_beside_the_largest_factor_are_refused(clusters, other):
    factors = (RandomEffects("id", clusters, slopes=(0, 1)), RandomEffects("item", other))
    expected = rf"for all other effects together: {other} numbers, at most 600 .*guide='mean_field'"
    with pytest.raises(ValueError, match=expected):
        check_size(ModelSpec(Bernoulli(), 2, factors=factors))
    check_size(ModelSpec(Bernoulli(), 2, factors=(factors[0], RandomEffects("item", 30))))
