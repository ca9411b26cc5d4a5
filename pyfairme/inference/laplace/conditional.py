"""The effects given the hyper-parameters: one Gaussian, exact for a Normal likelihood.

In the layout of `linear_predictor`, around a point eta0 the log-likelihood is quadratic with
gradient g and curvature W. Given the hyper-parameters (scales, correlations, the likelihood's own
parameters) D and u are then Gaussian with precision

    prior + [ sum x x' W   sum x r' W ]
            [ sum r x' W   sum r r' W ]

whose lower right part is block-diagonal over clusters: eliminating it costs O(G). lme4 (Bates et
al. 2015) and INLA (Rue, Martino & Chopin 2009) use this Gaussian. Effects are whitened, u = T v
with v ~ Normal(0, 1) a priori, so that nothing is divided by a scale that goes to 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array

from pyfairme.inference.laplace.linear_predictor import (
    DesignRows,
    LinearPredictor,
    link,
    sum_by_cluster,
    whitening,
)
from pyfairme.model.likelihoods import Likelihood

CHUNK_NUMBERS = 4e6  # numbers held at once while rows are summed


class Curvature(NamedTuple):
    """Sums over rows of the quadratic log-likelihood around one point.

    ``local`` (G, a, a), ``cross`` (G, M, a), ``dense`` (M, M); ``pull_local`` (G, a) and
    ``pull_dense`` (M,): design times (W (eta0 - base) + g). They scale with the likelihood's
    precision, which was ``precision`` there. ``tilt_local`` and ``tilt_dense`` are added as they
    are: the pull of a penalty on the effects.
    """

    local: Array
    cross: Array
    dense: Array
    pull_local: Array
    pull_dense: Array
    precision: Array
    tilt_local: Array
    tilt_dense: Array


class Conditional(NamedTuple):
    """q(D, u | hyper-parameters): Cholesky factors, means and whitening; see `place`."""

    factor: Array  # (G, a, a) of a cluster's precision
    shift: Array  # (G, a)
    lean: Array  # (G, a, M') how a cluster leans on D
    dense_factor: Array  # (M', M')
    dense_mean: Array  # (M',)
    scale: Array  # (a, a) T of a cluster
    dense_scale: Array  # (M', M') T of D
    given: Array  # (known,) numbers of D that are given


def quadratic(likelihood: Likelihood, eta: Array, y: Array, values: Any) -> tuple[Array, Array]:
    """Return gradient (n, K) and curvature W (n, K, K), at least 0, of log p(y) in the link."""

    def one(e: Array, target: Array) -> Array:
        return likelihood.distribution(e, values).log_prob(target)

    gradient = jax.vmap(jax.grad(one))(eta, y)
    w = -jax.vmap(jax.hessian(one))(eta, y)
    return gradient, jnp.maximum(w, 0.0) if eta.shape[1] == 1 else w


def curvature(
    layout: LinearPredictor, rows: DesignRows, values: Any, dense: Array, local: Array
) -> Curvature:
    """Sum the quadratic log-likelihood around D, u over all rows, a chunk of rows at a time."""
    likelihood, clusters = layout.spec.likelihood, layout.clusters
    a, m = layout.width, layout.dense
    n, outputs = rows.base.shape
    chunk = min(n, max(1, int(CHUNK_NUMBERS // (a * a + a * m + m * outputs + 1))))
    steps = -(-n // chunk)
    extra = steps * chunk - n
    padded = jax.tree.map(lambda v: jnp.pad(v, [(0, extra)] + [(0, 0)] * (v.ndim - 1)), rows)
    padded = padded._replace(y=jnp.pad(rows.y, (0, extra), "edge"))  # 0 may be impossible
    padded = jax.tree.map(lambda v: v.reshape(steps, chunk, *v.shape[1:]), padded)

    def add(total: Any, some: DesignRows) -> tuple[Any, None]:
        eta = link(some, dense, local)
        g, w = quadratic(likelihood, eta, some.y, values)
        g, w = g * some.weight[:, None], w * some.weight[:, None, None]
        pull = jnp.einsum("nkl,nl->nk", w, eta - some.base) + g
        rw = (some.r[:, :, None, None] * w[:, None]).reshape(chunk, -1, outputs)  # (n, d K, K)
        rrw = jnp.einsum("nal,ne->nael", rw, some.r).reshape(chunk, a, a)
        xrw = jnp.einsum("nm,nal->nmla", some.x, rw).reshape(chunk, m, a)
        xw = jnp.einsum("nm,nkl,np->mkpl", some.x, w, some.x).reshape(m, m)
        rp = (some.r[:, :, None] * pull[:, None, :]).reshape(chunk, a)
        xp = (some.x.T @ pull).ravel()
        rrw, xrw, rp = (sum_by_cluster(some, v, clusters) for v in (rrw, xrw, rp))
        sums = (rrw, xrw, xw, rp, xp)
        return jax.tree.map(jnp.add, total, sums), None

    shapes = ((clusters, a, a), (clusters, m, a), (m, m), (clusters, a), (m,))
    sums, _ = jax.lax.scan(add, tuple(jnp.zeros(shape) for shape in shapes), padded)
    local, cross, both, pull_local, pull_dense = sums
    return Curvature(
        local, cross, both, pull_local, pull_dense,
        precision=jnp.asarray(likelihood.precision(values), jnp.float32),
        tilt_local=jnp.zeros((clusters, a)),
        tilt_dense=jnp.zeros(m),
    )  # fmt: skip


def condition(
    layout: LinearPredictor, sums: Curvature, hypers: Mapping[str, Array], given: Array
) -> Conditional:
    """Return the Gaussian of the effects given hyper-parameters and the known part of D."""
    known = layout.known
    ratio = layout.spec.likelihood.precision(hypers) / sums.precision
    dense_scale, scale = whitening(layout, hypers)
    pull = ratio * (sums.pull_local - jnp.einsum("gma,m->ga", sums.cross[:, :known], given))
    pull = (pull + sums.tilt_local) @ scale
    inner = ratio * scale.T @ sums.local @ scale + jnp.eye(layout.width)
    factor = jnp.linalg.cholesky(inner)
    shift = solve_triangular(factor, pull[..., None], lower=True)[..., 0]
    cross = ratio * scale.T @ jnp.swapaxes(sums.cross[:, known:], 1, 2) @ dense_scale
    lean = solve_triangular(factor, cross, lower=True)
    dense_pull = ratio * (sums.pull_dense[known:] - sums.dense[known:, :known] @ given)
    dense_pull = dense_scale.T @ (dense_pull + sums.tilt_dense[known:])
    inner = ratio * dense_scale.T @ sums.dense[known:, known:] @ dense_scale
    inner = inner + jnp.eye(inner.shape[0]) - jnp.einsum("gam,gap->mp", lean, lean)
    dense_factor = jnp.linalg.cholesky(inner) if inner.size else inner
    rest = dense_pull - jnp.einsum("gam,ga->m", lean, shift)
    mean = jax.scipy.linalg.cho_solve((dense_factor, True), rest) if inner.size else rest
    return Conditional(factor, shift, lean, dense_factor, mean, scale, dense_scale, given)


def place_dense(found: Conditional, noise: Array) -> tuple[Array, Array]:
    """Return whitened D (M',) for standard Normal noise (M',), and D (M,) itself."""
    white = found.dense_mean
    if noise.size:
        white = white + solve_triangular(found.dense_factor, noise, lower=True, trans=1)
    return white, jnp.concatenate([found.given, found.dense_scale @ white])


def place(found: Conditional, noise_dense: Array, noise: Array) -> tuple[Array, Array, Array]:
    """Return D (M,), u (G, a) and log |d (D, u) / d noise| for standard Normal noise."""
    white, dense = place_dense(found, noise_dense)
    inner = found.shift - jnp.einsum("gam,m->ga", found.lean, white) + noise
    local = solve_triangular(found.factor, inner[..., None], lower=True, trans=1)[..., 0]
    volume = _log_diagonal(found.scale) * local.shape[0] - _log_diagonal(found.factor)
    volume = volume + _log_diagonal(found.dense_scale) - _log_diagonal(found.dense_factor)
    return dense, local @ found.scale.T, volume


def _log_diagonal(factor: Array) -> Array:
    """Sum the logarithms of all diagonals of triangular matrices (..., a, a)."""
    return jnp.log(jnp.diagonal(factor, axis1=-2, axis2=-1)).sum()
