"""Sums of rows whose first numbers share one prior scale, for many values of the scales.

Turned by the eigenvectors of their block, these numbers are independent given the others whatever
the scale is, so they are eliminated as a diagonal; what is left is as small as the coefficients and
effects. A Gaussian then takes a hundredth of the work of `mixed_rows.solve`, and is the same.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import block_diag, cho_solve, eigh, solve_triangular

from pyfairme.inference.laplace.mixed_rows import Sums

Array = np.ndarray

TURNED_ONCE = 10.0  # what the eigenvectors cost, in Cholesky factors of the same size
FEWEST = 20  # Gaussians that are made of the same sums


class RotatedGaussian(NamedTuple):
    """Means of D (m,) and u (G, a), half the log determinant of their precision, and draws.

    ``local_factor`` (G, a, a) is that of a cluster's precision given D.
    """

    dense: Array
    local: Array
    local_factor: Array
    half_log_det: float
    rotated: RotatedSums
    ratio: float
    diagonal: Array  # (r,): precisions of the first numbers, turned, given the rest
    factor: Array  # (k, k): lower Cholesky factor of the rest's precision

    @property
    def held(self) -> int:
        """How many numbers it holds that others do not."""
        return self.dense.size + self.local_factor.size + self.diagonal.size + self.factor.size

    def draw(self, dense: Array, local: Array) -> tuple[Array, Array]:
        """Turn standard Normal numbers (s, m) and (s, G, a) into draws of D (s, m) and u."""
        r, m = len(self.diagonal), len(self.dense)
        rest = np.concatenate([dense[:, r:], local.reshape(len(local), -1)], axis=1)
        moved = solve_triangular(self.factor.T, rest.T, lower=False, check_finite=False)
        first = dense[:, :r].T / np.sqrt(self.diagonal)[:, None]
        first -= self.ratio / self.diagonal[:, None] * (self.rotated.beside @ moved)
        away = np.concatenate([self.rotated.vectors @ first, moved[: m - r]])
        return self.dense + away.T, self.local + moved[m - r :].T.reshape(local.shape)


class RotatedSums(NamedTuple):
    """Sums (`mixed_rows.Sums`) in which the first r numbers of D are turned by ``vectors`` (r, r).

    ``values`` (r,) are the eigenvalues of their block; ``beside`` (r, k) is what they share with
    the k others, the rest of D and all effects, whose own block is ``rest`` (k, k).
    """

    vectors: Array
    values: Array
    beside: Array
    rest: Array
    pull_first: Array
    pull_rest: Array
    local: Array

    def solve(
        self, ratio: float, precision: float, dense_prior: Array, local_prior: Array
    ) -> RotatedGaussian:
        """Return the Gaussian of ``ratio`` times the sums, under prior precisions.

        ``precision`` is that of each of the first numbers, ``dense_prior`` (m - r, m - r) of the
        rest of D and ``local_prior`` (a, a) of every cluster.
        """
        own, clusters = len(dense_prior), len(self.local)
        diagonal = ratio * self.values + precision
        white = (ratio / np.sqrt(diagonal))[:, None] * self.beside
        inner = ratio * self.rest - white.T @ white
        inner[:own, :own] += dense_prior
        blocks = inner[own:, own:].reshape(clusters, len(local_prior), clusters, -1)
        each = np.arange(clusters)
        blocks[each, :, each] += local_prior
        factor = np.linalg.cholesky(inner)
        pull = ratio * self.pull_first / diagonal
        rest = cho_solve(
            (factor, True), ratio * (self.pull_rest - self.beside.T @ pull), check_finite=False
        )
        first = pull - ratio * (self.beside @ rest) / diagonal
        local_factor = np.linalg.cholesky(ratio * self.local + local_prior)
        half = 0.5 * np.log(diagonal).sum() + np.log(np.diagonal(factor)).sum()
        dense = np.concatenate([self.vectors @ first, rest[:own]])
        local = rest[own:].reshape(self.local.shape[:2])
        more = (self, ratio, diagonal, factor)
        return RotatedGaussian(dense, local, local_factor, float(half), *more)


def rotation_pays(sums: Sums, first: int) -> bool:
    """Whether turning the ``first`` numbers of D makes `FEWEST` Gaussians cheaper."""
    if not first or sums.cross.crossed.shape[1]:
        return False
    clusters, a, m = sums.cross.full.shape
    k = m - first + clusters * a
    cost = TURNED_ONCE * first**3 / 3 + FEWEST * (first * k**2 + k**3 / 3)
    return cost < FEWEST * (m**3 / 3 + m**2 * clusters * a)


def rotate(sums: Sums, first: int) -> RotatedSums:
    """Turn the ``first`` numbers of D; no factor may be sparse."""
    values, vectors = eigh(sums.dense[:first, :first], check_finite=False)
    effects = sums.cross.full.reshape(-1, sums.cross.full.shape[2])
    beside = np.concatenate([sums.dense[:first, first:], effects[:, :first].T], axis=1)
    rest = np.block([
        [sums.dense[first:, first:], effects[:, first:].T],
        [effects[:, first:], block_diag(*sums.local)],
    ])  # fmt: skip
    pull = np.concatenate([sums.pull_dense[first:], sums.pull_local.ravel()])
    turned = vectors.T @ np.column_stack([beside, sums.pull_dense[:first]])
    return RotatedSums(
        vectors, np.maximum(values, 0.0), turned[:, :-1], rest, turned[:, -1], pull, sums.local
    )
