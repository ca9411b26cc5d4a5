"""The effects of one factor's clusters given everything else: independent, one Gaussian each.

Exact for a Normal likelihood; otherwise Laplace's approximation at each cluster's own mode,
corrected by importance sampling within the cluster: from that Gaussian where the weights of many
clusters multiply (`importance_sampling`), from a wider mixture where a cluster stands alone
(`adaptation`). Effects u = T v are whitened by the prior.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jax.scipy.special import gammaln
from jaxtyping import Array

from pyfairme.inference.laplace.conditional import quadratic
from pyfairme.inference.laplace.linear_predictor import DesignRows, link, sum_by_cluster
from pyfairme.model.likelihoods import Likelihood

NODES = 7  # of a quadrature over each of a cluster's effects
INNER = 16  # draws of each cluster's effects, of which one is kept in proportion to its weight
HALVINGS = 12  # of a step that leads downhill; then the cluster stays where it is
SLACK, RELATIVE_SLACK = 1e-3, 1e-5  # fall of the log posterior that single precision explains
NEAR = 0.02  # posterior SDs from the mode at which a climb ends
DF = 4  # of the Student t in the wide mixture
SHARES = (0.5, 0.25, 0.25)  # of the Gaussian, the Student t and the prior


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


def mode(given: Given, own: Own) -> Array:
    """Return the mean of the effects, (G, a)."""
    return _solve(own.factor, own.shift) @ given.scale.T


def climb(given: Given, rows: DesignRows, own: Own, steps: int) -> Own:
    """Move every cluster's Gaussian to its mode, by Newton's method.

    A step is halved until the log posterior does not fall: a full one may lead away for good where
    the curvature changes fast (counts, classes) or is not that of a Gaussian (Student t).
    """
    a, scale = given.scale.shape[0], given.scale
    clusters = own.shift.shape[0]

    def newton(white: Array) -> Own:
        eta = link(rows, jnp.zeros(0), white @ scale.T)
        g, w = quadratic(given.likelihood, eta, rows.y, given.hypers)
        g, w = g * rows.weight[:, None], w * rows.weight[:, None, None]
        pull = jnp.einsum("nkl,nl->nk", w, eta - rows.base) + g
        square, pull = _sums(rows, w, pull, clusters, a)
        pull = (pull + given.tilt) @ scale
        factor = jnp.linalg.cholesky(scale.T @ square @ scale + jnp.eye(a))
        return Own(factor, solve_triangular(factor, pull[..., None], lower=True)[..., 0])

    def step(carry: Any) -> Any:
        index, white, _, _ = carry
        aim = newton(white)
        move = _solve(aim.factor, aim.shift) - white
        here = _height(given, rows, white)
        least = here - SLACK - RELATIVE_SLACK * jnp.abs(here)

        def halve(carry: Any) -> Any:
            share, fell, tries = carry
            share = jnp.where(fell, share / 2, share)
            found = _height(given, rows, white + share[:, None] * move)
            return share, ~(found >= least), tries + 1  # not a number: fell

        tries = jnp.where(index == steps, HALVINGS, -1)  # the last step is for its curvature alone
        share, fell, _ = jax.lax.while_loop(
            lambda carry: (carry[2] < HALVINGS) & carry[1].any(),
            halve,
            (jnp.full(clusters, 2.0), jnp.full(clusters, True), tries),
        )
        move = jnp.where(fell[:, None], 0.0, share[:, None] * move)
        moving = (_transposed(aim.factor, move) ** 2).sum(axis=-1).max() > NEAR**2
        return index + 1, white + move, aim.factor, moving

    white = _solve(own.factor, own.shift)
    if given.likelihood.quadratic:
        return newton(white)  # exact, wherever it starts
    _, white, factor, _ = jax.lax.while_loop(
        lambda carry: (carry[0] <= steps) & carry[3], step, (0, white, own.factor, True)
    )
    return Own(factor, _transposed(factor, white))


def _sums(rows: DesignRows, w: Array, pull: Array, clusters: int, a: int) -> tuple[Array, Array]:
    """Return sum r r' W (G, a, a) and sum r pull (G, a) over the rows of each cluster."""
    if clusters == 1:  # products of matrices; a scatter is many times slower
        square = jnp.einsum("ndkl,ne->dkel", rows.r[:, :, None, None] * w[:, None], rows.r)
        return square.reshape(1, a, a), (rows.r.T @ pull).reshape(1, a)
    square = jnp.einsum("nd,nkl,ne->ndkel", rows.r, w, rows.r).reshape(-1, a, a)
    each = (rows.r[:, :, None] * pull[:, None, :]).reshape(-1, a)
    return sum_by_cluster(rows, square, clusters), sum_by_cluster(rows, each, clusters)


class ClusterNoise(NamedTuple):
    """Standard Normal numbers (inner, G, a) and Gumbel ones (inner, G) behind a draw of effects."""

    normal: Array
    gumbel: Array


def draw_noise(likelihood: Likelihood, key: Array, shape: tuple[int, ...]) -> ClusterNoise:
    """Draw the noise of effects of shape (..., G, a), all at once: compiled once, however many."""
    inner = 1 if likelihood.quadratic else INNER
    normal_key, gumbel_key = jax.random.split(key)
    *outer, clusters, width = shape
    return ClusterNoise(
        jax.random.normal(normal_key, (*outer, inner, clusters, width)),
        jax.random.gumbel(gumbel_key, (*outer, inner, clusters)),
    )


def draw_effects(
    given: Given, rows: DesignRows, own: Own, noise: ClusterNoise
) -> tuple[Array, Array, Array]:
    """Draw every cluster's effects (G, a) from its posterior.

    Returns them with an unbiased estimate of log p(y_g | everything else) (G,), and the log weight
    of one of the draws behind it (G,), by which the Gaussian is judged.
    """

    def one(noise: Array) -> tuple[Array, Array]:
        white = _solve(own.factor, own.shift + noise)
        found = _height(given, rows, white) - log_normal(noise, -1)
        return found - _log_volume(own), white @ given.scale.T

    log_weight, effects = jax.vmap(one)(noise.normal)
    total = jax.nn.logsumexp(log_weight, axis=0) - jnp.log(log_weight.shape[0])
    chosen = jnp.argmax(log_weight + noise.gumbel, axis=0)  # in proportion to the weights
    return effects[chosen, jnp.arange(chosen.size)], total, log_weight[0] - total


def integrate(
    given: Given, rows: DesignRows, own: Own, noise: ClusterNoise
) -> tuple[Array, Array, Array]:
    """Do as `draw_effects` where clusters have one effect each, by Gauss-Hermite quadrature.

    Rows are looked at in NODES places (Naylor & Smith 1982). In between, the log of the posterior
    over the Gaussian is the polynomial through these, by which a draw is chosen.
    """
    each, total = quadrature(given, rows, own)
    nodes, _ = np.polynomial.hermite_e.hermegauss(NODES)
    inverse = jnp.asarray(np.linalg.inv(np.vander(nodes, increasing=True)), jnp.float32)
    coefficients = inverse @ (each - total)  # (NODES, G)
    inside = jnp.clip(noise.normal[..., 0], nodes[0], nodes[-1])  # (inner, G)
    log_weight = jnp.zeros_like(inside)
    for coefficient in coefficients[::-1]:  # Horner's rule
        log_weight = log_weight * inside + coefficient
    at = jnp.argmax(log_weight + noise.gumbel, axis=0)  # in proportion to the weights
    chosen = noise.normal[at, jnp.arange(at.size)]
    effects = _solve(own.factor, own.shift + chosen) @ given.scale.T
    return effects, total, log_weight[0]


def quadrature(given: Given, rows: DesignRows, own: Own) -> tuple[Array, Array]:
    """Return log weights at the nodes (s, G), and log p(y_g | everything else) (G,).

    There are NODES of each effect, s = NODES^a.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    width = own.shift.shape[1]
    places = np.stack(np.meshgrid(*[nodes] * width, indexing="ij"), axis=-1).reshape(-1, width)
    shares = np.stack(np.meshgrid(*[weights / weights.sum()] * width, indexing="ij"), axis=-1)
    share = jnp.asarray(shares.prod(axis=-1).ravel(), jnp.float32)
    volume = _log_volume(own)

    def one(place: Array) -> Array:
        white = _solve(own.factor, own.shift + place)
        return _height(given, rows, white) - log_normal(place) - volume

    each = jax.lax.map(one, jnp.asarray(places, jnp.float32))
    total = jax.nn.logsumexp(each, axis=0, b=share[:, None])
    return each, total


def laplace(given: Given, rows: DesignRows, own: Own) -> Array:
    """Return log p(y_g | everything else) (G,) by Laplace's method, at the mean of ``own``."""
    return _height(given, rows, _solve(own.factor, own.shift)) - _log_volume(own)


class WideNoise(NamedTuple):
    """As `ClusterNoise`, and what widens a Normal to a Student t (inner, G), for `draw_widely`."""

    normal: Array
    stretch: Array
    gumbel: Array


class Drawn(NamedTuple):
    """Effects (G, a), the effective share of the draws behind each (G,), one's log weight (G,)."""

    effects: Array
    share: Array
    log_weight: Array


def draw_exactly(given: Given, own: Own, normal: Array) -> Drawn:
    """Draw effects (draws, G, a) by their noise, where the Gaussian is the posterior."""
    white = jax.vmap(lambda some: _solve(own.factor, own.shift + some))(normal)
    share = jnp.ones(normal.shape[:-1])
    return Drawn(white @ given.scale.T, share, jnp.zeros_like(share))


def draw_wide_noise(key: Array, shape: tuple[int, ...], inner: int) -> WideNoise:
    """Draw the noise of ``inner`` candidates for effects of shape (..., G, a)."""
    *outer, clusters, width = shape
    normal_key, gumbel_key, mixing_key = jax.random.split(key, 3)
    first, last = _ends(inner)
    mixing = jax.random.exponential(mixing_key, (*outer, last - first, clusters, DF // 2))
    around = [(0, 0)] * len(outer) + [(first, inner - last), (0, 0)]
    return WideNoise(
        jax.random.normal(normal_key, (*outer, inner, clusters, width)),
        jnp.pad(1 / jnp.sqrt(mixing.mean(axis=-1)), around, constant_values=1.0),
        jax.random.gumbel(gumbel_key, (*outer, inner, clusters)),
    )


def _ends(inner: int) -> tuple[int, int]:
    """Return where the candidates of the Student t begin and end; those of the prior follow."""
    return round(inner * SHARES[0]), round(inner * (SHARES[0] + SHARES[1]))


def draw_widely(given: Given, rows: DesignRows, own: Own, noise: WideNoise) -> Drawn:
    """Draw every cluster's effects (G, a) from its posterior, which may be far from Gaussian.

    The candidates come from a mixture (Owen & Zhou 2000) of Laplace's Gaussian, a Student t around
    the same mode, and the prior, which bounds the weights; one is kept in proportion to its weight.
    """
    inner, clusters, a = noise.normal.shape
    first, last = _ends(inner)
    shares = jnp.array([first, last - first, inner - last]) / inner
    volume = _log_volume(own)
    heavy = gammaln((DF + a) / 2) - gammaln(DF / 2) - a / 2 * jnp.log(DF / 2)

    def one(prior: Array, normal: Array, stretch: Array) -> tuple[Array, Array]:
        near = _solve(own.factor, own.shift + stretch[:, None] * normal)
        white = jnp.where(prior, normal, near)
        away = _transposed(own.factor, white) - own.shift
        tail = heavy - (DF + a) / 2 * jnp.log1p((away**2).sum(axis=-1) / DF)
        each = [volume + log_normal(away, -1), volume + tail, log_normal(white, -1)]
        density = jax.nn.logsumexp(jnp.stack(each), axis=0, b=shares[:, None])
        return _height(given, rows, white) - density, white @ given.scale.T

    log_weight, effects = jax.vmap(one)(jnp.arange(inner) >= last, noise.normal, noise.stretch)
    log_weight = jnp.where(jnp.isfinite(log_weight), log_weight, -jnp.inf)
    total = jax.nn.logsumexp(log_weight, axis=0)
    chosen = jnp.argmax(log_weight + noise.gumbel, axis=0)  # in proportion to the weights
    share = jnp.exp(2 * total - jax.nn.logsumexp(2 * log_weight, axis=0)) / inner
    at = jnp.arange(clusters)
    judged = log_weight[jnp.argmax(noise.gumbel, axis=0), at]  # one at random
    return Drawn(effects[chosen, at], share, judged - total + jnp.log(inner))


def _log_volume(own: Own) -> Array:
    return jnp.log(jnp.diagonal(own.factor, axis1=-2, axis2=-1)).sum(axis=-1)


def log_posterior(given: Given, rows: DesignRows, effects: Array) -> Array:
    """Log p(y_g, u_g | everything else) of every cluster (G,), up to a constant."""
    white = solve_triangular(given.scale, effects.T, lower=True).T
    return _log_likelihood(given, rows, effects) + log_normal(white, -1)


def _height(given: Given, rows: DesignRows, white: Array) -> Array:
    """Log posterior with its tilt (G,), up to a constant, of whitened effects (G, a)."""
    effects = white @ given.scale.T
    found = _log_likelihood(given, rows, effects) + log_normal(white, -1)
    return found + (given.tilt * effects).sum(axis=-1)


def _log_likelihood(given: Given, rows: DesignRows, effects: Array) -> Array:
    eta = link(rows, jnp.zeros(0), effects)
    density = given.likelihood.distribution(eta, given.hypers).log_prob(rows.y)
    return sum_by_cluster(rows, density * rows.weight, effects.shape[0])


def log_normal(values: Array, axis: int | None = None) -> Array:
    """Log density of a standard Normal, without the constant that cancels."""
    return -0.5 * (values**2).sum(axis=axis)


def _solve(factor: Array, values: Array) -> Array:
    return solve_triangular(factor, values[..., None], lower=True, trans=1)[..., 0]


def _transposed(factor: Array, values: Array) -> Array:
    """Return factor' values: the inverse of `_solve`."""
    return jnp.einsum("gba,gb->ga", factor, values)
