"""Draws of the linear model: against a known posterior, and where penalties act."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pyfairme.inference.laplace import tangent_posterior
from pyfairme.inference.laplace.laplace_evidence import Layout
from pyfairme.inference.laplace.scale_proposals import Proposed
from pyfairme.inference.laplace.tangent_posterior import (
    check_tangent,
    draw_tangent,
    finish_tangent,
    number_of_draws,
)
from pyfairme.model import tangent
from pyfairme.model.effects import RandomEffects
from pyfairme.model.likelihoods import Bernoulli, Normal
from pyfairme.model.networks import mlp_init
from pyfairme.model.program import ModelSpec, Objective, predictor
from tests.inference.one_way import CLUSTERS, NETWORK, ROWS, exact, make_rows

BARE = ModelSpec(Normal(), 1, factors=(RandomEffects("g", CLUSTERS),), fixed_loss=False)
FIRST = {
    "residual_sd": jnp.float32(0.7),
    "g_intercept_sd": jnp.full(1, 0.3),
    "g_intercept": jnp.zeros((CLUSTERS, 1)),
}


def layout_of(bare):
    return Layout(replace(bare, tangent=True), bare, 0)


def make_network(bare):
    return jax.tree.map(lambda leaf: 3 * leaf, mlp_init(jax.random.key(0), bare.sizes))


def test_moments_are_those_of_a_known_posterior():
    # the oracle has Normal(0, 2.5) for the slope, here its scale is found: it shrinks a little
    rows = jax.tree.map(jnp.asarray, make_rows())
    found = draw_tangent(layout_of(BARE), NETWORK, rows, Objective(), FIRST, 4000, 0).draws
    numbers = np.column_stack(
        [
            found["residual_sd"],
            found["g_intercept_sd"],
            found[tangent.LINEAR].reshape(4000, 2),
            found["g_intercept"].reshape(4000, CLUSTERS),
        ]
    )
    known = exact(rows)
    away = np.abs(numbers.mean(axis=0) - known.mean) / known.sd
    assert away.max() < 0.35
    assert away[[0, 1, *range(3, 12)]].max() < 0.15
    np.testing.assert_allclose(numbers.std(axis=0) / known.sd, 1.0, atol=0.12)


def test_draws_of_weights_give_the_links_of_the_gaussian(monkeypatch):
    """With all scales given, the links' mean and variance are a Gaussian process's."""
    bare = replace(BARE, hidden=(6,))
    rows, network, layout = make_rows(), make_network(bare), layout_of(bare)
    batch = jax.tree.map(jnp.asarray, rows)
    given = {}

    def propose(evidence, found, seed):
        given.update(evidence=evidence, found=found)
        return Proposed(found.free[None], np.zeros(1), [None])

    monkeypatch.setattr(tangent_posterior, "propose", propose)
    number = 4000
    drawn = draw_tangent(layout, network, rows, Objective(), FIRST, number, 0).draws
    one = jax.jit(jax.vmap(lambda values: predictor(layout.spec, network, values, batch).mixed))
    links = np.asarray(one(drawn))[..., 0]
    features = np.asarray(tangent.features(network, jnp.asarray(rows.x)), np.float64)[:, 0]
    other = np.asarray(
        tangent.features(tangent.untrained(bare.sizes), jnp.asarray(rows.x)), np.float64
    )[:, 0]
    scales = {k: np.asarray(v[0], np.float64) for k, v in drawn.items() if k.endswith("_sd")}
    weights, untrained, linear = scales[tangent.SCALES]
    same = rows.cluster == rows.cluster.T
    covariance = weights**2 * features @ features.T + untrained**2 * other @ other.T
    covariance += linear**2 * rows.x @ rows.x.T + tangent.CONSTANT_SD**2
    covariance += scales["g_intercept_sd"] ** 2 * same
    gain = covariance @ np.linalg.inv(covariance + scales["residual_sd"] ** 2 * np.eye(ROWS))
    variance = np.diag(covariance - gain @ covariance)
    error = 5 / np.sqrt(number)
    assert np.all(np.abs(links.mean(axis=0) - gain @ rows.y) < (error + 0.02) * np.sqrt(variance))
    np.testing.assert_allclose(links.var(axis=0), variance, rtol=error * np.sqrt(2) + 0.02)


@pytest.mark.parametrize("hidden", [(6,), ()])
def test_where_penalties_act_the_mean_is_the_trained_network(hidden):
    bare = replace(BARE, hidden=hidden)
    rows, network, layout = make_rows(), make_network(bare), layout_of(bare)
    if not hidden:
        network = (network[0]._replace(weight=jnp.full((1, 1), 0.8), bias=jnp.full(1, -2.0)),)
    rows = jax.tree.map(jnp.asarray, rows)
    pull = jnp.zeros(0), jnp.zeros((CLUSTERS, 1))
    found = draw_tangent(layout, network, rows, Objective(), FIRST, 4000, 0, pull).draws
    one = jax.jit(jax.vmap(lambda values: predictor(layout.spec, network, values, rows).fixed))
    links = np.asarray(one(found))[..., 0]
    expected = np.asarray(predictor(bare, network, FIRST, rows).fixed)[:, 0]
    sd = links.std(axis=0)
    assert np.all(np.abs(links.mean(axis=0) - expected) < 0.15 * sd)
    assert sd.mean() > 0.05
    pushed = pull[0], pull[1] + 5.0
    moved = draw_tangent(layout, network, rows, Objective(), FIRST, 4000, 0, pushed).draws
    assert moved["g_intercept"].mean() > found["g_intercept"].mean() + 0.1


def test_finish_counts_weights_by_kl():
    rows, spec = make_rows(), replace(BARE, tangent=True)
    params = {f"{name}_loc": np.log(v) if name.endswith("sd") else v for name, v in FIRST.items()}
    params["network"] = NETWORK

    def sd(kl):
        objective = Objective(kl=kl)
        found = finish_tangent(spec, "mean_field", params, rows, objective, 1000, 0, 40)
        assert set(found.quality) == {"pareto_k", "relative_ess"}
        return found.draws[tangent.LINEAR].std(axis=0)[0, 0]

    assert sd(4.0) > 1.5 * sd(1.0)


def test_number_of_draws_is_bounded():
    small, large = ModelSpec(Bernoulli(), 3, (4,)), ModelSpec(Bernoulli(), 700, (64, 32))
    assert number_of_draws(small, 1000) == 1000
    assert number_of_draws(large, 1000) == tangent_posterior.FEWEST_DRAWS


@pytest.mark.parametrize(
    ("spec", "rows", "what"),
    [
        (ModelSpec(Bernoulli(), 3, (4,)), 50_001, "rows times outputs"),
        (ModelSpec(Bernoulli(), 3000, (64,)), 100, "weights of the network"),
        (ModelSpec(Bernoulli(), 2000), 100, "columns and effects of smaller factors"),
        (
            ModelSpec(Bernoulli(), 3, factors=(RandomEffects("g", 60_000),)),
            100,
            "effects of all clusters",
        ),
    ],
)
def test_too_large_is_refused(spec, rows, what):
    with pytest.raises(ValueError, match=rf"{what}.*\[network-too-large\]"):
        check_tangent(replace(spec, tangent=True), rows)
