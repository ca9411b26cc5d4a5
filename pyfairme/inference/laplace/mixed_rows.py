"""Sums over rows for a Gaussian of many fixed numbers and of the effects of many clusters.

eta_i = base_i + X_i D + Z_i u_g(i), with X_i (K, m) and Z_i (K, a). Around a point the
log-likelihood is quadratic with curvature W_i (K, K); D and u are then Gaussian with precision

    prior + [ sum X' W X   sum X' W Z ]
            [ sum Z' W X   sum Z' W Z ]

whose lower right part is block-diagonal over clusters and is eliminated, as in lme4 (Bates et al.
2015) and INLA (Rue, Martino & Chopin 2009). What is left is dense, and sparse while it is made:
D holds columns that every row has a number in, and then those of crossed factors, of which a row
has one cluster's. In double precision: columns nearly determine each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import blas, cho_solve, cholesky, lapack, solve_triangular
from scipy.sparse import bsr_array, csr_array

Array = np.ndarray

CHUNK_NUMBERS = 2e7  # numbers held at once where clusters or rows meet all of D
SCATTERED = 2e7  # products of rows that are held to be summed; a loop over clusters beyond
PER_CLUSTER = 5e3  # of them, for which a loop is faster


class MixedRows(NamedTuple):
    """Rows in the order of their clusters; cluster g has rows ``starts[g]`` to ``starts[g + 1]``.

    ``base`` (n, K), ``z`` (n, K, a), ``code`` (n,), ``weight`` (n,). X has columns ``x`` (n, K, c)
    and then those of ``crossed`` (n K, m - c), sparse.
    """

    base: Array
    x: Array
    crossed: Any
    z: Array
    code: Array
    starts: Array
    y: Array
    weight: Array

    @property
    def clusters(self) -> int:
        """Number of clusters G."""
        return len(self.starts) - 1

    @property
    def size(self) -> int:
        """How many numbers D has."""
        return self.x.shape[2] + self.crossed.shape[1]


class Coupling(NamedTuple):
    """A matrix (G, a, m) of clusters and D: columns (G, a, c), and sparse ones (G a, m - c)."""

    full: Array
    crossed: Any

    def of(self, dense: Array) -> Array:
        """Return the product (G, a, s) with numbers of D (m, s)."""
        clusters, a, columns = self.full.shape
        found = _flat(self.full) @ dense[:columns]
        if self.crossed.shape[1]:
            found += self.crossed @ dense[columns:]
        return found.reshape(clusters, a, -1)

    def transposed(self, local: Array) -> Array:
        """Return the transpose times (G, a): (m,)."""
        flat = local.ravel()
        full = _flat(self.full).T @ flat
        return np.concatenate([full, self.crossed.T @ flat]) if self.crossed.shape[1] else full

    def some(self, first: int, last: int) -> Coupling:
        """Return the rows of some clusters."""
        a = self.full.shape[1]
        return Coupling(self.full[first:last], self.crossed[first * a : last * a])


class Sums(NamedTuple):
    """What rows say: ``dense`` (m, m), ``cross`` (G, a, m), ``local`` (G, a, a) and their pulls.

    Pulls are X' (W (eta0 - base) + g) and Z' (...).
    """

    dense: Array
    cross: Coupling
    local: Array
    pull_dense: Array
    pull_local: Array

    def times(self, precision: float) -> Sums:
        """Return the sums of a likelihood ``precision`` times as precise."""
        if precision == 1:
            return self
        cross = Coupling(*(precision * value for value in self.cross))
        rest = (precision * value for value in (self.local, self.pull_dense, self.pull_local))
        return Sums(precision * self.dense, cross, *rest)

    def without(self, given: int) -> Sums:
        """Return the sums of what is left where the first numbers of D are given, at their mean."""
        cross = self.cross._replace(full=self.cross.full[:, :, given:])
        dense, pull = self.dense[given:, given:], self.pull_dense[given:]
        return self._replace(dense=dense, cross=cross, pull_dense=pull)


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
    lean: Coupling
    half_log_det: float

    def root(self) -> Array:
        """Return R (m, m) with R R' = the covariance of D."""
        if not len(self.dense):
            return np.zeros((0, 0))
        inverse, _ = lapack.dtrtri(self.dense_factor, lower=1)  # type: ignore[attr-defined]
        return np.asarray(inverse).T

    def local_covariances(self, root: Array) -> Array:
        """Return the covariances of every cluster's effects (G, a, a)."""
        found = _inverses(self.local_factor)
        if not len(root):
            return found
        for first, last in _chunks(len(found), found.shape[1] * len(root)):
            leant = self.lean.some(first, last).of(root)
            found[first:last] += leant @ leant.swapaxes(1, 2)
        return found

    def times(self, dense: Array, local: Array) -> tuple[Array, Array]:
        """Return the joint covariance times a vector (m,), (G, a)."""
        pull = dense - self.lean.transposed(local)
        first = cho_solve((self.dense_factor, True), pull, check_finite=False)
        lower = np.linalg.solve(self.local_factor, local[..., None])
        own = np.linalg.solve(self.local_factor.swapaxes(1, 2), lower)[..., 0]
        return first, own - self.lean.of(first[:, None])[..., 0]

    @property
    def held(self) -> int:
        """How many numbers it holds, but for sparse ones."""
        return self.dense_factor.size + self.local_factor.size + self.lean.full.size

    def draw(self, dense: Array, local: Array) -> tuple[Array, Array]:
        """Turn standard Normal numbers (s, m) and (s, G, a) into draws of D (s, m) and u."""
        inverse = np.linalg.inv(self.local_factor)
        noise = np.einsum("gba,sgb->sga", inverse, local)
        if not dense.size:
            return self.dense + dense, self.local + noise
        moved = solve_triangular(self.dense_factor.T, dense.T, lower=False, check_finite=False)
        leaned = np.moveaxis(self.lean.of(moved), 2, 0)
        return self.dense + moved.T, self.local - leaned + noise


def order_rows(
    base: Array, x: Array, crossed: Any, z: Array, code: Array, y: Array, weight: Array, number: int
) -> MixedRows:
    """Return rows in the order of their ``number`` clusters; ``crossed`` may be None."""
    order = np.argsort(code, kind="stable")
    starts = np.searchsorted(code[order], np.arange(number + 1))
    outputs = base.shape[1]
    if crossed is None:
        crossed = csr_array((base.size, 0))
    every = (order[:, None] * outputs + np.arange(outputs)).ravel()
    own = (base, x, z, code, y, weight)
    base, x, z, code, y, weight = (np.ascontiguousarray(value[order]) for value in own)
    return MixedRows(base, x, csr_array(crossed)[every], z, code, starts, y, weight)


def link(rows: MixedRows, dense: Array, local: Array) -> Array:
    """Return eta (n, K)."""
    columns = rows.x.shape[2]
    fixed = _flat(rows.x) @ dense[:columns] + rows.crossed @ dense[columns:]
    random = np.einsum("nka,na->nk", rows.z, local[rows.code])
    return rows.base + fixed.reshape(rows.base.shape) + random


def times_rows(rows: MixedRows, values: Array) -> tuple[Array, Array]:
    """Return X' v (m,) and Z' v (G, a) of values (n, K)."""
    flat = values.ravel()
    fixed = _flat(rows.x).T @ flat
    own = _by_cluster(rows, np.einsum("nka,nk->na", rows.z, values))
    return np.concatenate([fixed, rows.crossed.T @ flat]), own


def sum_rows(rows: MixedRows, w: Array, pull: Array) -> Sums:
    """Sum the curvature ``w`` (n, K, K) and ``pull`` (n, K) over rows."""
    root = _root(w.astype(np.float64))
    x, z = (_whiten(root, value) for value in (rows.x, rows.z))
    crossed = _whiten_sparse(root, rows.crossed)
    flat = _flat(x)
    dense = np.block([
        [_square(flat), (crossed.T @ flat).T],
        [crossed.T @ flat, (crossed.T @ crossed).toarray()],
    ])  # fmt: skip
    cross = Coupling(_products(rows, z, x), _local_design(rows, z).T @ crossed)
    return Sums(dense, cross, _products(rows, z, z), *times_rows(rows, pull))


def solve(sums: Sums, dense_prior: Array, local_prior: Array) -> Gaussian:
    """Return the Gaussian under prior precisions of D (m, m) and of a cluster's effects (a, a)."""
    factor = np.linalg.cholesky(sums.local + local_prior)
    inverse = _inverses(factor)
    crossed = sums.cross.crossed
    if crossed.shape[1]:
        crossed = _block_diagonal(inverse) @ crossed
    lean = Coupling(inverse @ sums.cross.full, crossed)
    dense_factor = _factor(sums.dense + dense_prior - _against(sums.cross, lean))
    pull = sums.pull_dense - lean.transposed(sums.pull_local)
    dense = cho_solve((dense_factor, True), pull, check_finite=False) if len(pull) else pull
    local = (inverse @ sums.pull_local[..., None] - lean.of(dense[:, None]))[..., 0]
    diagonals = np.diagonal(dense_factor), np.diagonal(factor, axis1=1, axis2=2)
    half = sum(np.log(values).sum() for values in diagonals)
    return Gaussian(dense, local, dense_factor, factor, lean, float(half))


def row_covariances(rows: MixedRows, found: Gaussian, root: Array) -> Array:
    """Return the covariance of every row's link, (n, K, K); ``root`` is that of ``found``."""
    n, outputs, columns = rows.x.shape
    total = np.empty((n, outputs, outputs))
    root = root.astype(np.float32)
    own = np.linalg.inv(found.local_factor).astype(np.float32)
    a, crossed = own.shape[1], rows.crossed.shape[1] > 0
    widest = int(np.diff(rows.starts).mean()) + 1
    for low, high in _chunks(rows.clusters, widest * outputs * (len(root) + columns * a)):
        first, last = rows.starts[low], rows.starts[high]
        z, code = rows.z[first:last].astype(np.float32), rows.code[first:last]
        near = z @ own[code].swapaxes(1, 2)
        total[first:last] = near @ near.swapaxes(1, 2)
        if not len(root):
            continue
        lean = found.lean.some(low, high)
        each = _flat(_leaning(rows, lean.full, low, high))
        white = each @ root[:columns]
        if crossed:
            some = slice(first * outputs, last * outputs)
            design = _local_design(rows, rows.z, low, high)
            white += (rows.crossed[some] - design @ lean.crossed) @ root[columns:]
        white = white.reshape(last - first, outputs, len(root))
        total[first:last] += white @ white.swapaxes(1, 2)
    return total


def _leaning(rows: MixedRows, lean: Array, low: int, high: int) -> Array:
    """Return x - z lean (rows, K, c) of the rows of some clusters."""
    first, last = rows.starts[low], rows.starts[high]
    found = rows.x[first:last].astype(np.float32)
    if not found.shape[2]:
        return found
    for g in range(low, high):
        some = slice(rows.starts[g], rows.starts[g + 1])
        if some.start < some.stop:
            found[some.start - first : some.stop - first] -= rows.z[some] @ lean[g - low]
    return found


def _flat(values: Array) -> Array:
    """Put the first two axes into one, however few numbers there are."""
    return values.reshape(values.shape[0] * values.shape[1], values.shape[2])


def _chunks(clusters: int, numbers: int) -> Iterator[tuple[int, int]]:
    """Yield clusters first to last of which, at ``numbers`` each, some are held at once."""
    count = int(np.clip(CHUNK_NUMBERS / max(numbers, 1), 1, max(clusters, 1)))
    for first in range(0, clusters, count):
        yield first, min(first + count, clusters)


def _by_cluster(rows: MixedRows, values: Array) -> Array:
    """Sum values (n, ...) over the rows of each cluster (G, ...)."""
    found = np.zeros((rows.clusters, *values.shape[1:]))
    there = rows.starts[:-1] < rows.starts[1:]
    if there.any():
        found[there] = np.add.reduceat(values, rows.starts[:-1][there], axis=0)
    return found


def _products(rows: MixedRows, left: Array, right: Array) -> Array:
    """Return sum left' right (G, a, b) over the rows of each cluster."""
    (n, _, a), b = left.shape, right.shape[2]
    if n * a * b <= min(SCATTERED, PER_CLUSTER * rows.clusters):
        return _by_cluster(rows, left.swapaxes(1, 2) @ right)
    found = np.zeros((rows.clusters, a, b))
    for g, (first, last) in enumerate(zip(rows.starts[:-1], rows.starts[1:], strict=True)):
        found[g] = left[first:last].reshape(-1, a).T @ right[first:last].reshape(-1, b)
    return found


def _local_design(rows: MixedRows, z: Array, low: int = 0, high: int | None = None) -> Any:
    """Return the rows' design (rows K, clusters a) in the effects of some clusters, sparse."""
    high = rows.clusters if high is None else high
    first, last = rows.starts[low], rows.starts[high]
    some = z[first:last]
    count, outputs, a = some.shape
    columns = (rows.code[first:last] - low)[:, None, None] * a + np.arange(a)
    columns = np.broadcast_to(columns, some.shape).ravel()
    pointers = np.arange(count * outputs + 1) * a
    shape = (count * outputs, (high - low) * a)
    return csr_array((some.ravel(), columns, pointers), shape=shape)


def _against(cross: Coupling, lean: Coupling) -> Array:
    """Return cross' lean (m, m)."""
    full, leant = _flat(cross.full), _flat(lean.full)
    if not cross.crossed.shape[1]:
        return full.T @ leant
    corner = cross.crossed.T @ leant
    return np.block([
        [full.T @ leant, corner.T],
        [corner, (cross.crossed.T @ lean.crossed).toarray()],
    ])  # fmt: skip


def _block_diagonal(blocks: Array) -> Any:
    clusters, a = blocks.shape[:2]
    pointers = np.arange(clusters + 1)
    return bsr_array((blocks, pointers[:-1], pointers), shape=(clusters * a, clusters * a)).tocsr()


def _factor(precision: Array) -> Array:
    if not len(precision):
        return precision
    return np.asarray(cholesky(precision, lower=True, check_finite=False))


def _square(flat: Array) -> Array:
    """Return X' X; half the work of a product."""
    if not flat.size:
        return np.zeros((flat.shape[1], flat.shape[1]))
    empty = np.zeros((flat.shape[1],) * 2, order="F")  # its upper triangle stays 0
    lower = blas.dsyrk(1.0, flat.T, c=empty, lower=True, overwrite_c=True)  # type: ignore[attr-defined]
    full = lower + lower.T
    np.fill_diagonal(full, np.diagonal(lower))
    return full


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


def _whiten_sparse(root: Array, values: Any) -> Any:
    return csr_array(_block_diagonal(root) @ values)
