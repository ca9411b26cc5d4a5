"""The linear model of a network: its features are derivatives, the network one of its functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from numpyro import handlers
from scipy import stats

from pyfairme.model import tangent
from pyfairme.model.likelihoods import Bernoulli
from pyfairme.model.networks import Layer, mlp_apply, mlp_init
from pyfairme.model.priors import PRIORS
from pyfairme.model.program import SUMS, ModelSpec, Objective, draw_latents

SIZES = (3, 5, 4, 2)


def make_network(sizes=SIZES):
    layers = mlp_init(jax.random.key(0), sizes)
    return tuple(Layer(8 * one.weight, one.bias + 0.1) for one in layers)


def make_x(rows=7):
    return jnp.asarray(np.random.default_rng(0).normal(size=(rows, 3)), jnp.float32)


@pytest.mark.long
def test_features_are_the_jacobian():
    layers, x = make_network(), make_x()
    flat, back = ravel_pytree(layers)
    expected = jax.jacrev(lambda w: mlp_apply(back(w), x)[0])(flat)
    np.testing.assert_allclose(tangent.features(layers, x), expected, rtol=1e-5, atol=1e-6)


def test_features_against_finite_differences():
    layers, x = make_network(), make_x()
    flat, back = ravel_pytree(layers)
    found = tangent.features(layers, x)
    for index in (0, 14, 20, 41, flat.size - 1):
        step = 1e-2 * jnp.zeros_like(flat).at[index].set(1.0)
        up, down = (mlp_apply(back(flat + sign * step), x)[0] for sign in (1, -1))
        np.testing.assert_allclose(found[..., index], (up - down) / 2e-2, atol=2e-3)


def test_network_is_one_of_the_functions():
    layers, x = make_network(), make_x()
    half = tangent.weight_count(SIZES) // 2
    last, _ = ravel_pytree(layers[-1])
    weights = jnp.zeros(2 * half).at[half - last.size : half].set(last)
    values = {tangent.WEIGHTS: weights, tangent.LINEAR: jnp.zeros((4, 2))}
    found = tangent.link(layers, values, x)
    np.testing.assert_allclose(found, mlp_apply(layers, x)[0], rtol=1e-5, atol=1e-6)


def test_blocks_of_rows_give_what_all_at_once_do(monkeypatch):
    layers, x = make_network(), make_x(11)
    keys = jax.random.split(jax.random.key(1))
    values = {
        tangent.WEIGHTS: jax.random.normal(keys[0], (tangent.weight_count(SIZES),)),
        tangent.LINEAR: jax.random.normal(keys[1], (4, 2)),
    }
    whole = tangent.link(layers, values, x)
    monkeypatch.setattr(tangent, "BLOCK_ROWS", 4)
    np.testing.assert_allclose(tangent.link(layers, values, x), whole, rtol=1e-5, atol=1e-5)


def test_without_hidden_layer_only_the_linear_part():
    layers, x = make_network((3, 2)), make_x()
    linear = jnp.arange(8.0).reshape(4, 2)
    found = tangent.link(layers, {tangent.LINEAR: linear}, x)
    np.testing.assert_allclose(found, x @ linear[:3] + linear[3], rtol=1e-5)
    assert [latent.name for latent in tangent.latents((3, 2))] == [tangent.SCALES, tangent.LINEAR]


def test_untrained_network_never_changes():
    first = tangent.untrained(SIZES)[0].weight
    assert first[0, 0] == pytest.approx(1.764052345967664 * (2 / 3) ** 0.5, rel=1e-6)
    assert tangent.untrained(SIZES) is tangent.untrained(SIZES)


def test_scales_have_the_priors_of_the_evidence_times_their_gains():
    """What a network adds at the mean row has the SD that the prior is of."""
    spec = ModelSpec(Bernoulli(), 3, (5, 4), tangent=True)
    seeded = handlers.seed(draw_latents, jax.random.key(0))
    objective = Objective(gains=(0.2, 4.0))
    site = handlers.trace(seeded).get_trace(spec, objective, SUMS)[tangent.SCALES]
    at = np.array([0.3, 2.5, 0.7])
    known = stats.halfnorm(scale=np.array([2 * 1.5 * 0.2, 2 * 1.5 * 4.0, 1.5]))
    assert float(site["fn"].log_prob(jnp.asarray(at))) == pytest.approx(
        known.logpdf(at).sum(), abs=1e-4
    )
    drawn = np.asarray(site["fn"].sample(jax.random.key(1), (2000,)))
    assert drawn.shape == (2000, 3)
    for index in range(3):
        one = stats.halfnorm(scale=known.kwds["scale"][index])
        assert stats.kstest(drawn[:, index], one.cdf).pvalue > 1e-3


def test_scales_take_priors_of_ones_own():
    priors = ((tangent.WEIGHT_SD, PRIORS["exponential"]), (tangent.LINEAR_SD, PRIORS["gamma"]))
    spec = ModelSpec(Bernoulli(), 3, (5, 4), tangent=True, priors=priors)
    numbers = {tangent.WEIGHT_SD: (2.0,), tangent.LINEAR_SD: (2.0, 3.0)}
    objective = Objective(gains=(0.2, 4.0), priors=numbers)
    seeded = handlers.seed(draw_latents, jax.random.key(0))
    site = handlers.trace(seeded).get_trace(spec, objective, SUMS)[tangent.SCALES]
    expected = stats.expon(scale=np.array([0.1, 2.0])).logpdf([0.3, 2.5]).sum()
    expected += stats.gamma(2.0, scale=1 / 3).logpdf(0.7)
    assert float(site["fn"].log_prob(jnp.array([0.3, 2.5, 0.7]))) == pytest.approx(
        expected, abs=1e-4
    )
