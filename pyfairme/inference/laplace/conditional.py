"""The effects given the hyper-parameters, for compiled code that is differentiated (NUTS).

In the layout of `linear_predictor`, around a point eta0 the log-likelihood is quadratic with
gradient g and curvature W. Given the hyper-parameters (scales, correlations, the likelihood's own
parameters) D and u are then Gaussian with precision

    prior + [ sum x x' W   sum x r' W ]
            [ sum r x' W   sum r r' W ]

whose lower right part is block-diagonal over clusters: eliminating it costs O(G). `mixed_rows` has
the sums, and the same Gaussian in double precision. Effects are whitened here, u = T v with
v ~ Normal(0, 1) a priori, so that nothing is divided by a scale that goes to 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array

from pyfairme.inference.laplace.linear_predictor import LinearPredictor, whitening
from pyfairme.inference.laplace.mixed_rows import Sums
from pyfairme.model.likelihoods import Likelihood


class Curvature(NamedTuple):
    """Sums over rows of the quadratic log-likelihood around one point.

    ``local`` (G, a, a), ``cross`` (G, M, a), ``dense`` (M, M); ``pull_local`` (G, a) and
    ``pull_dense`` (M,): design times (W (eta0 - base) + g). They scale with the likelihood's
    precision, which was ``precision`` there. ``tilt_local`` and ``tilt_dense`` are added as they
    are: the pull of a penalty on the effects. ``layer_scale`` is the SD of the prior of a latent
    last layer, a part of D.
    """

    local: Array
    cross: Array
    dense: Array
    pull_local: Array
    pull_dense: Array
    precision: Array
    tilt_local: Array
    tilt_dense: Array
    layer_scale: Array


class Conditional(NamedTuple):
    """q(D, u | hyper-parameters): Cholesky factors, means and whitening; see `place`."""

    factor: Array  # (G, a, a) of a cluster's precision
    shift: Array  # (G, a)
    lean: Array  # (G, a, M) how a cluster leans on D
    dense_factor: Array  # (M, M)
    dense_mean: Array  # (M,)
    scale: Array  # (a, a) T of a cluster
    dense_scale: Array  # (M, M) T of D


def quadratic(likelihood: Likelihood, eta: Array, y: Array, values: Any) -> tuple[Array, Array]:
    """Return gradient (n, K) and curvature W (n, K, K), at least 0, of log p(y) in the link."""

    def one(e: Array, target: Array) -> Array:
        return likelihood.distribution(e, values).log_prob(target)

    gradient = jax.vmap(jax.grad(one))(eta, y)
    w = -jax.vmap(jax.hessian(one))(eta, y)
    return gradient, jnp.maximum(w, 0.0) if eta.shape[1] == 1 else w


def compiled(
    sums: Sums, precision: float, pull: tuple[np.ndarray, np.ndarray], layer_scale: float
) -> Curvature:
    """Return sums of `mixed_rows` for compiled code, with the pull of penalties."""
    cross = np.concatenate([
        sums.cross.full,
        sums.cross.crossed.toarray().reshape(*sums.cross.full.shape[:2], -1),
    ], axis=2)  # fmt: skip
    each = (sums.local, cross.swapaxes(1, 2), sums.dense, sums.pull_local, sums.pull_dense)
    found = (*each, precision, pull[1], pull[0], layer_scale)
    return Curvature(*(jnp.asarray(value, jnp.float32) for value in found))


def condition(layout: LinearPredictor, sums: Curvature, hypers: Mapping[str, Array]) -> Conditional:
    """Return the Gaussian of the effects given hyper-parameters."""
    ratio = layout.spec.likelihood.precision(hypers) / sums.precision
    dense_scale, scale = whitening(layout, hypers, sums.layer_scale)
    pull = (ratio * sums.pull_local + sums.tilt_local) @ scale
    inner = ratio * scale.T @ sums.local @ scale + jnp.eye(layout.width)
    factor = jnp.linalg.cholesky(inner)
    shift = solve_triangular(factor, pull[..., None], lower=True)[..., 0]
    cross = ratio * scale.T @ jnp.swapaxes(sums.cross, 1, 2) @ dense_scale
    lean = solve_triangular(factor, cross, lower=True)
    dense_pull = dense_scale.T @ (ratio * sums.pull_dense + sums.tilt_dense)
    inner = ratio * dense_scale.T @ sums.dense @ dense_scale
    inner = inner + jnp.eye(inner.shape[0]) - jnp.einsum("gam,gap->mp", lean, lean)
    dense_factor = jnp.linalg.cholesky(inner) if inner.size else inner
    rest = dense_pull - jnp.einsum("gam,ga->m", lean, shift)
    mean = jax.scipy.linalg.cho_solve((dense_factor, True), rest) if inner.size else rest
    return Conditional(factor, shift, lean, dense_factor, mean, scale, dense_scale)


def place_dense(found: Conditional, noise: Array) -> tuple[Array, Array]:
    """Return whitened D (M,) for standard Normal noise (M,), and D (M,) itself."""
    white = found.dense_mean
    if noise.size:
        white = white + solve_triangular(found.dense_factor, noise, lower=True, trans=1)
    return white, found.dense_scale @ white


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
