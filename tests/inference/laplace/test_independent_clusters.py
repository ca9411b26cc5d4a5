"""Effects of independent clusters, given everything else, against numerical integration."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pyfairme.inference.laplace.independent_clusters import (
    Given,
    Own,
    climb,
    draw_effects,
    draw_noise,
    draw_wide_noise,
    draw_widely,
    log_posterior,
    mode,
)
from pyfairme.inference.laplace.linear_predictor import DesignRows
from pyfairme.model.likelihoods import Bernoulli, Normal, Poisson

TAU = 1.3
SIZES = (0, 1, 4, 12)  # rows of the four clusters


def make_rows(likelihood):
    rng = np.random.default_rng(0)
    code = np.repeat(np.arange(len(SIZES)), SIZES)
    n = len(code)
    y = rng.integers(0, 2, n) if likelihood.target == "class" else rng.normal(size=n)
    return DesignRows(
        base=jnp.asarray(rng.normal(0, 0.5, (n, 1)), jnp.float32),
        x=jnp.zeros((n, 0)),
        r=jnp.ones((n, 1)),
        code=jnp.asarray(code),
        y=jnp.asarray(y, jnp.float32),
        weight=jnp.asarray(rng.uniform(0.5, 1.5, n), jnp.float32),
    )


def make_given(likelihood, tilt=0.0):
    values = {"residual_sd": jnp.float32(0.6)}
    return Given(likelihood, values, TAU * jnp.eye(1), jnp.full((len(SIZES), 1), tilt))


def quadrature(likelihood, rows, tilt=0.0):
    """Return log p(y_g), mean and SD of every cluster's effect on a fine grid."""
    grid = np.linspace(-8, 8, 4001)
    found = []
    for g in range(len(SIZES)):
        own = np.asarray(rows.code) == g
        eta = np.asarray(rows.base)[own] + grid  # (n, points)
        y, weight = np.asarray(rows.y)[own, None], np.asarray(rows.weight)[own, None]
        if isinstance(likelihood, Normal):
            density = -(((y - eta) / 0.6) ** 2) / 2 - np.log(0.6 * np.sqrt(2 * np.pi))
        else:
            density = y * eta - np.logaddexp(0, eta)
        log = (weight * density).sum(axis=0) + tilt * grid
        log += -((grid / TAU) ** 2) / 2 - np.log(TAU * np.sqrt(2 * np.pi))
        weights = np.exp(log)
        total = weights.sum() * (grid[1] - grid[0])
        share = weights / weights.sum()
        mean = share @ grid
        found.append((np.log(total), mean, np.sqrt(share @ (grid - mean) ** 2)))
    return np.array(found).T


@pytest.mark.parametrize(("likelihood", "tilt"), [(Normal(), 0.0), (Bernoulli(), 0.0),
                                                  (Bernoulli(), 0.8)])  # fmt: skip
def test_draws_and_evidence_are_those_of_numerical_integration(likelihood, tilt):
    rows, given = make_rows(likelihood), make_given(likelihood, tilt)

    @jax.jit
    def run(key):
        start = Own(jnp.ones((len(SIZES), 1, 1)), jnp.zeros((len(SIZES), 1)))
        own = climb(given, rows, start, 10)
        noise = draw_noise(likelihood, key, (4000, len(SIZES), 1))
        return own, jax.vmap(lambda some: draw_effects(given, rows, own, some))(noise)

    own, (effects, total, log_weight) = run(jax.random.key(1))
    evidence, mean, sd = quadrature(likelihood, rows, tilt)
    # unbiased on the scale of the evidence itself, which is what pseudo-marginal weights need
    np.testing.assert_allclose(np.log(np.exp(total).mean(axis=0)), evidence, atol=0.02)
    np.testing.assert_allclose(effects[:, :, 0].mean(axis=0), mean, atol=4 * TAU / 4000**0.5)
    np.testing.assert_allclose(effects[:, :, 0].std(axis=0), sd, rtol=0.06)
    if likelihood.quadratic:
        np.testing.assert_allclose(mode(given, own)[:, 0], mean, atol=1e-3)
        assert np.ptp(log_weight, axis=0).max() < 1e-3  # exact: every draw weighs the same
    else:
        gradient = jax.grad(
            lambda u: (log_posterior(given, rows, u) + (given.tilt * u).sum(axis=1)).sum()
        )
        np.testing.assert_allclose(gradient(mode(given, own)), 0, atol=1e-3)


def make_counts(codes, y):
    """Rows of counts without a fixed part."""
    n = len(y)
    return DesignRows(
        jnp.zeros((n, 1)), jnp.zeros((n, 0)), jnp.ones((n, 1)),
        jnp.asarray(codes), jnp.asarray(y), jnp.ones(n),
    )  # fmt: skip


@pytest.mark.parametrize("start", [-15.0, -2.0, 0.0, 9.0])
def test_a_climb_ends_at_the_mode_wherever_it_starts(start):
    """An undamped step from 0 towards counts of 900 leads to an effect of about 900."""
    rows = make_counts([0, 0, 1, 1, 2], [900, 1000, 0, 0, 30])
    given = Given(Poisson(), {}, TAU * jnp.eye(1), jnp.zeros((3, 1)))
    own = Own(jnp.ones((3, 1, 1)), jnp.full((3, 1), start / TAU))
    found = jax.jit(lambda own: climb(given, rows, own, 20))(own)
    effect = np.asarray(mode(given, found), np.float64)[:, 0]
    total, count = np.array([1900.0, 0.0, 30.0]), np.array([2, 2, 1])
    gradient = total - count * np.exp(effect) - effect / TAU**2
    precision = count * np.exp(effect) + TAU**-2
    assert np.abs(gradient / np.sqrt(precision)).max() < 0.03  # posterior SDs
    np.testing.assert_allclose(found.factor[:, 0, 0], TAU * np.sqrt(precision), rtol=0.03)


@pytest.mark.parametrize("width", [1, 6])
def test_wide_draws_correct_a_gaussian_beside_the_posterior(width):
    """The target is known: without rows it is the prior, moved by the tilt."""
    tilt = jnp.linspace(0.5, 1.0, width)[None]
    given = Given(Poisson(), {}, jnp.eye(width), tilt)
    empty = DesignRows(
        jnp.zeros((1, 1)), jnp.zeros((1, 0)), jnp.zeros((1, width)),
        jnp.zeros(1, jnp.int32), jnp.zeros(1, jnp.int32), jnp.zeros(1),
    )  # fmt: skip
    own = Own(1.25 * jnp.eye(width)[None], 0.8 * tilt)  # its SD is .8, its mean .64 tilt

    @jax.jit
    def run(key):
        noise = draw_wide_noise(key, (4000, 1, width), 64)
        return jax.vmap(lambda some: draw_widely(given, empty, own, some))(noise)

    found = run(jax.random.key(0))
    np.testing.assert_allclose(found.effects[:, 0].mean(axis=0), tilt[0], atol=0.07)
    np.testing.assert_allclose(found.effects[:, 0].std(axis=0), 1.0, rtol=0.05)
    assert np.exp(found.log_weight).mean() == pytest.approx(1.0, abs=0.1)  # of one at random
    assert (found.share > 0).all()
    assert (found.share <= 1 + 1e-5).all()
