"""Sums over rows for a Gaussian of many fixed numbers and of the effects of many clusters.

eta_i = base_i + X_i D + Z_i u_g(i), with X_i (K, m) and Z_i (K, a). Around a point the
log-likelihood is quadratic with curvature W_i (K, K); D and u are then Gaussian with precision

    prior + [ sum X' W X   sum X' W Z ]
            [ sum Z' W X   sum Z' W Z ]

whose lower right part is block-diagonal over clusters and is eliminated (`conditional` does the
same for few fixed numbers, compiled). In double precision: columns nearly determine each other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import blas, cho_solve, cholesky, solve_triangular

Array = np.ndarray


class MixedRows(NamedTuple):
    """Rows in the order of their clusters; cluster g has rows ``starts[g]`` to ``starts[g + 1]``.

    ``base`` (n, K), ``x`` (n, K, m), ``z`` (n, K, a), ``code`` (n,), ``weight`` (n,).
    """

    base: Array
    x: Array
    z: Array
    code: Array
    starts: Array
    y: Array
    weight: Array

    @property
    def clusters(self) -> int:
        """Number of clusters G."""
        return len(self.starts) - 1


class Sums(NamedTuple):
    """What rows say: ``dense`` (m, m), ``cross`` (G, a, m), ``local`` (G, a, a) and their pulls.

    Pulls are X' (W (eta0 - base) + g) and Z' (...).
    """

    dense: Array
    cross: Array
    local: Array
    pull_dense: Array
    pull_local: Array

    def times(self, precision: float) -> Sums:
        """Return the sums of a likelihood ``precision`` times as precise."""
        return Sums(*(precision * value for value in self))


class Gaussian(NamedTuple):
    """Means of D (m,) and u (G, a), and factors of their joint precision.

    ``dense_factor`` (m, m) is the lower Cholesky factor of D's precision, clusters eliminated,
    ``local_factor`` (G, a, a) that of a cluster's, ``lean`` (G, a, m) how it leans on D:
    u_g = mean - lean (D - mean) + noise. ``half_log_det`` is half the precision's log determinant.
    """

    dense: Array
    local: Array
    dense_factor: Array
    local_factor: Array
    lean: Array
    half_log_det: float

    def covariances(self) -> tuple[Array, Array]:
        """Return the covariances of D (m, m) and of every cluster's effects (G, a, a)."""
        inverse = cho_solve((self.dense_factor, True), np.eye(len(self.dense)), check_finite=False)
        own = _inverses(self.local_factor)
        return inverse, own + self.lean @ inverse @ self.lean.swapaxes(1, 2)


def order_rows(
    base: Array, x: Array, z: Array, code: Array, y: Array, weight: Array, clusters: int
) -> MixedRows:
    """Return rows in the order of their clusters."""
    order = np.argsort(code, kind="stable")
    starts = np.searchsorted(code[order], np.arange(clusters + 1))
    own = (base, x, z, code, y, weight)
    base, x, z, code, y, weight = (np.ascontiguousarray(value[order]) for value in own)
    return MixedRows(base, x, z, code, starts, y, weight)


def link(rows: MixedRows, dense: Array, local: Array) -> Array:
    """Return eta (n, K)."""
    fixed = rows.x.reshape(-1, rows.x.shape[2]) @ dense
    random = np.einsum("nka,na->nk", rows.z, local[rows.code])
    return rows.base + fixed.reshape(rows.base.shape) + random


def sum_rows(rows: MixedRows, w: Array, pull: Array) -> Sums:
    """Sum the curvature ``w`` (n, K, K) and ``pull`` (n, K) over rows."""
    root = _root(w.astype(np.float64))
    x, z = (_whiten(root, value) for value in (rows.x, rows.z))
    (_, outputs, m), a = x.shape, z.shape[2]
    flat = x.reshape(-1, m)
    cross = np.zeros((rows.clusters, a, m))
    local = np.zeros((rows.clusters, a, a))
    for g, (first, last) in enumerate(zip(rows.starts[:-1], rows.starts[1:], strict=True)):
        own = z[first:last].reshape(-1, a)
        cross[g], local[g] = own.T @ flat[first * outputs : last * outputs], own.T @ own
    pulled = np.einsum("nka,nk->na", rows.z, pull)
    by_cluster = np.zeros((rows.clusters, a))
    np.add.at(by_cluster, rows.code, pulled)
    # half the work of a product
    lower = blas.dsyrk(1.0, flat.T, lower=True)  # type: ignore[attr-defined]
    dense = np.tril(lower) + np.tril(lower, -1).T
    fixed = rows.x.reshape(-1, m).T @ pull.ravel()
    return Sums(dense, cross, local, fixed, by_cluster)


def solve(sums: Sums, dense_prior: Array, local_prior: Array) -> Gaussian:
    """Return the Gaussian under prior precisions of D (m, m) and of a cluster's effects (a, a)."""
    factor = np.linalg.cholesky(sums.local + local_prior)
    lean = _solve_each(factor, sums.cross)
    m = len(sums.dense)
    against = sums.cross.reshape(-1, m).T @ lean.reshape(-1, m)
    dense_factor = cholesky(sums.dense + dense_prior - against, lower=True, check_finite=False)
    pull = sums.pull_dense - lean.reshape(-1, m).T @ sums.pull_local.ravel()
    dense = cho_solve((dense_factor, True), pull, check_finite=False)
    local = _solve_each(factor, sums.pull_local[:, :, None])[..., 0] - lean @ dense
    diagonals = np.diagonal(dense_factor), np.diagonal(factor, axis1=1, axis2=2)
    half = sum(np.log(values).sum() for values in diagonals)
    return Gaussian(dense, local, dense_factor, factor, lean, float(half))


def row_covariances(rows: MixedRows, found: Gaussian) -> Array:
    """Return the covariance of every row's link, (n, K, K)."""
    n, outputs, m = rows.x.shape
    total = np.empty((n, outputs, outputs))
    factor = found.dense_factor.astype(np.float32)
    own = np.linalg.inv(found.local_factor).astype(np.float32)
    for g, (first, last) in enumerate(zip(rows.starts[:-1], rows.starts[1:], strict=True)):
        if first == last:
            continue
        z = rows.z[first:last]
        x = (rows.x[first:last] - z @ found.lean[g].astype(np.float32)).reshape(-1, m)
        white = solve_triangular(factor, x.T, lower=True, check_finite=False)
        white = white.T.reshape(last - first, outputs, m)
        near = z @ own[g].T
        total[first:last] = white @ white.swapaxes(1, 2) + near @ near.swapaxes(1, 2)
    return total


def draw(found: Gaussian, dense: Array, local: Array) -> tuple[Array, Array]:
    """Turn standard Normal numbers (s, m) and (s, G, a) into draws of D (s, m) and u (s, G, a)."""
    moved = solve_triangular(found.dense_factor.T, dense.T, lower=False, check_finite=False).T
    upper = found.local_factor.swapaxes(1, 2)
    noise = np.linalg.solve(upper[None], local[..., None])[..., 0]
    leaned = np.einsum("gam,sm->sga", found.lean, moved, optimize=True)
    return found.dense + moved, found.local - leaned + noise


def _solve_each(factor: Array, values: Array) -> Array:
    """Solve L L' out = values for every cluster."""
    return np.linalg.solve(factor.swapaxes(1, 2), np.linalg.solve(factor, values))


def _inverses(factor: Array) -> Array:
    inverse = np.linalg.inv(factor)
    return inverse.swapaxes(1, 2) @ inverse


def _root(w: Array) -> Array:
    """Return R with R' R = W for every row, (n, K, K)."""
    if w.shape[1] == 1:
        return np.sqrt(np.maximum(w, 0.0))
    values, vectors = np.linalg.eigh(w)
    return np.sqrt(np.maximum(values, 0.0))[:, :, None] * vectors.swapaxes(1, 2)


def _whiten(root: Array, values: Array) -> Array:
    return root * values if root.shape[1] == 1 else root @ values
