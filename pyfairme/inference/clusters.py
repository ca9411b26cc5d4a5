"""The effects of one factor's clusters given everything else: independent, one Gaussian each.

Exact for a Normal likelihood; otherwise Laplace's approximation at each cluster's own mode,
corrected by importance sampling within the cluster. Effects u = T v are whitened by the prior.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array

from pyfairme.inference.conditional import quadratic
from pyfairme.inference.layout import Rows, link
from pyfairme.model.likelihoods import Likelihood

__all__ = [
    "INNER",
    "Given",
    "Noise",
    "Own",
    "climb",
    "draw_effects",
    "draw_noise",
    "log_normal",
    "log_posterior",
    "mode",
    "without_dense",
]

INNER = 16  # draws of each cluster's effects, of which one is kept in proportion to its weight


class Given(NamedTuple):
    """What the effects are conditional on; ``scale`` T (a, a), ``tilt`` a penalty's pull (G, a)."""

    likelihood: Likelihood
    hypers: Any
    scale: Array
    tilt: Array


class Own(NamedTuple):
    """Every cluster's Gaussian of v: mean factor^-T shift, covariance factor^-T factor^-1."""

    factor: Array  # (G, a, a)
    shift: Array  # (G, a)


def without_dense(rows: Rows, dense: Array) -> Rows:
    """Move x . D into the base: what is left depends on the clusters' effects alone."""
    base = rows.base + rows.x @ dense.reshape(-1, rows.base.shape[1])
    return rows._replace(base=base, x=rows.x[:, :0])


def mode(given: Given, own: Own) -> Array:
    """Return the mean of the effects, (G, a)."""
    return _solve(own.factor, own.shift) @ given.scale.T


def climb(given: Given, rows: Rows, own: Own, steps: int) -> Own:
    """Move every cluster's Gaussian towards its mode, by Newton's method."""
    a, scale = given.scale.shape[0], given.scale
    clusters = own.shift.shape[0]

    def newton(_: Any, own: Own) -> Own:
        eta = link(rows, jnp.zeros(0), mode(given, own))
        g, w = quadratic(given.likelihood, eta, rows.y, given.hypers)
        g, w = g * rows.weight[:, None], w * rows.weight[:, None, None]
        pull = jnp.einsum("nkl,nl->nk", w, eta - rows.base) + g
        square, pull = _sums(rows, w, pull, clusters, a)
        pull = (pull + given.tilt) @ scale
        factor = jnp.linalg.cholesky(scale.T @ square @ scale + jnp.eye(a))
        return Own(factor, solve_triangular(factor, pull[..., None], lower=True)[..., 0])

    return jax.lax.fori_loop(0, steps, newton, own)


def _sums(rows: Rows, w: Array, pull: Array, clusters: int, a: int) -> tuple[Array, Array]:
    """Return sum r r' W (G, a, a) and sum r pull (G, a) over the rows of each cluster."""
    if clusters == 1:  # products of matrices; a scatter is many times slower
        square = jnp.einsum("ndkl,ne->dkel", rows.r[:, :, None, None] * w[:, None], rows.r)
        return square.reshape(1, a, a), (rows.r.T @ pull).reshape(1, a)
    square = jnp.einsum("nd,nkl,ne->ndkel", rows.r, w, rows.r).reshape(-1, a, a)
    each = (rows.r[:, :, None] * pull[:, None, :]).reshape(-1, a)
    total = jnp.zeros((clusters, a, a)).at[rows.code].add(square)
    return total, jnp.zeros((clusters, a)).at[rows.code].add(each)


def _total(values: Array, rows: Rows, clusters: int) -> Array:
    """Sum values (n,) over the rows of each cluster."""
    if clusters == 1:
        return values.sum()[None]
    return jnp.zeros(clusters).at[rows.code].add(values)


class Noise(NamedTuple):
    """Standard Normal numbers (inner, G, a) and Gumbel ones (inner, G) behind a draw of effects."""

    normal: Array
    gumbel: Array


def draw_noise(likelihood: Likelihood, key: Array, shape: tuple[int, ...]) -> Noise:
    """Draw the noise of effects of shape (..., G, a), all at once: compiled once, however many."""
    inner = 1 if likelihood.quadratic else INNER
    normal_key, gumbel_key = jax.random.split(key)
    *outer, clusters, width = shape
    return Noise(
        jax.random.normal(normal_key, (*outer, inner, clusters, width)),
        jax.random.gumbel(gumbel_key, (*outer, inner, clusters)),
    )


def draw_effects(given: Given, rows: Rows, own: Own, noise: Noise) -> tuple[Array, Array, Array]:
    """Draw every cluster's effects (G, a) from its posterior.

    Returns them with an unbiased estimate of log p(y_g | everything else) (G,), and the log weight
    of one of the draws behind it (G,), by which the Gaussian is judged.
    """

    def one(noise: Array) -> tuple[Array, Array]:
        white = _solve(own.factor, own.shift + noise)
        local = white @ given.scale.T
        eta = link(rows, jnp.zeros(0), local)
        density = given.likelihood.distribution(eta, given.hypers).log_prob(rows.y) * rows.weight
        found = _total(density, rows, local.shape[0])
        found = found + log_normal(white, -1) - log_normal(noise, -1)
        found = found - jnp.log(jnp.diagonal(own.factor, axis1=-2, axis2=-1)).sum(axis=-1)
        return found + (given.tilt * local).sum(axis=-1), local

    log_weight, effects = jax.vmap(one)(noise.normal)
    total = jax.nn.logsumexp(log_weight, axis=0) - jnp.log(log_weight.shape[0])
    chosen = jnp.argmax(log_weight + noise.gumbel, axis=0)  # in proportion to the weights
    return effects[chosen, jnp.arange(chosen.size)], total, log_weight[0] - total


def log_posterior(given: Given, rows: Rows, effects: Array) -> Array:
    """Log p(y_g, u_g | everything else) of every cluster (G,), up to a constant."""
    eta = link(rows, jnp.zeros(0), effects)
    density = given.likelihood.distribution(eta, given.hypers).log_prob(rows.y) * rows.weight
    found = _total(density, rows, effects.shape[0])
    white = solve_triangular(given.scale, effects.T, lower=True).T
    return found + log_normal(white, -1)


def log_normal(values: Array, axis: int | None = None) -> Array:
    """Log density of a standard Normal, without the constant that cancels."""
    return -0.5 * (values**2).sum(axis=axis)


def _solve(factor: Array, values: Array) -> Array:
    return solve_triangular(factor, values[..., None], lower=True, trans=1)[..., 0]
