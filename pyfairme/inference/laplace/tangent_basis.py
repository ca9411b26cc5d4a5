"""A basis for the tangent features: few directions of weights that the rows can tell apart.

The kernel of n rows, J J' of the trained network plus that of the untrained one, each divided by
its mean variance, has far fewer directions of any size than the networks have weights. A randomly
pivoted Cholesky factorisation (Chen, Epperly, Tropp & Webber 2023) takes rows, with probability in
proportion to what is left of their own variance, until hardly anything is; of what they span the
directions of the largest variance are kept. With the rows S taken and L the factor of their kernel,
L^-1 J_S are orthonormal directions of weights, scaled so that both networks count alike.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array
from scipy.linalg import blas, solve_triangular

from pyfairme.compilation import jitted, per_structure
from pyfairme.inference.svi import table_bucket
from pyfairme.model import tangent

LEFT = 1e-3  # share of the kernel's trace that may be left out
MOST_TAKEN, MOST_KEPT = 1200, 600
BLOCK = 64  # rows taken at a time
ROUNDS = 3  # of subspace iteration
ROUNDING = 1e-4  # variance, relative to the largest, below which single precision holds no more


class TangentBasis(NamedTuple):
    """Features (n, K, r) of the rows, weights (r, P), and the share of the trace left out.

    ``gains`` are by what the weights of the two networks are multiplied for unit mean variance.
    """

    features: np.ndarray
    weights: np.ndarray
    left: float
    gains: tuple[float, float]

    def unscaled(self, weights: np.ndarray) -> np.ndarray:
        """Return weights (draws, P) of the networks from scaled ones; these are overwritten."""
        half = weights.shape[1] // 2
        weights[:, :half] *= self.gains[0]
        weights[:, half:] *= self.gains[1]
        return weights


class Tangents(NamedTuple):
    """Inputs (n, width) and sensitivities (n, K, width) of every layer of both networks."""

    inputs: tuple[np.ndarray, ...]
    slopes: tuple[np.ndarray, ...]


class KernelFactor(NamedTuple):
    """Columns (n K, r) whose squares sum to the kernel's diagonal less what is left, ``rows`` (r,).

    Row i output k is number i K + k.
    """

    columns: np.ndarray
    rows: np.ndarray


def find_basis(network: Any, x: Array | np.ndarray, seed: int) -> TangentBasis:
    """Choose the directions for a network at rows ``x`` (n, p)."""
    found, gains = tangents(network, x)
    n, outputs = found.slopes[-1].shape[:2]
    whole = float(variances(found).sum())
    generator = np.random.default_rng(seed)
    factor = pivoted(found, generator)
    columns, turn = factor.columns, None
    if columns.shape[1] > MOST_KEPT:
        turn = _largest(columns, generator)
        columns = columns @ turn
    weights = _orthonormal(factor, found, turn)
    left = 1.0 - float(np.square(columns, dtype=np.float64).sum()) / whole if whole > 0 else 0.0
    return TangentBasis(columns.reshape(n, outputs, -1), weights, max(left, 0.0), gains)


def tangents(network: Any, x: Array | np.ndarray) -> tuple[Tangents, tuple[float, float]]:
    """Return the tangents of both networks, of unit mean variance each, and their gains."""
    both, gains, n = [], [], len(x)
    extra = table_bucket(n) - n  # sizes that share compiled code
    filled = np.pad(np.asarray(x), ((0, extra), (0, 0)))
    for layers in (network, tangent.untrained(tangent.widths(network))):
        found = _sensitivities()(layers, filled)
        own = Tangents(*jax.tree.map(lambda value: np.asarray(value)[:n], found))
        mean = float(variances(own).mean())
        gain = mean**-0.5 if mean > 0 else 0.0
        gains.append(gain)
        scaled = tuple((gain * one).astype(np.float32) for one in own.slopes)
        both.append(own._replace(slopes=scaled))
    first, second = both
    joined = Tangents(first.inputs + second.inputs, first.slopes + second.slopes)
    return joined, (gains[0], gains[1])


def variances(found: Tangents) -> np.ndarray:
    """Return the kernel's diagonal (n K,)."""
    each = [
        ((inputs**2).sum(axis=1) + 1)[:, None] * (slope**2).sum(axis=2)
        for inputs, slope in zip(*found, strict=True)
    ]
    return np.asarray(np.sum(each, axis=0, dtype=np.float64)).ravel()


def kernel(found: Tangents, rows: np.ndarray) -> np.ndarray:
    """Return columns of the kernel (n K, rows): a layer's is one of inputs times one of slopes."""
    outputs = found.slopes[-1].shape[1]
    total: np.ndarray = np.zeros((len(found.slopes[-1]) * outputs, len(rows)), np.float32)
    for inputs, slope in zip(*found, strict=True):
        flat = slope.reshape(len(total), -1)
        alike = inputs @ inputs[rows // outputs].T + 1
        total += np.repeat(alike, outputs, axis=0) * (flat @ flat[rows].T)
    return total


def jacobian(found: Tangents, rows: np.ndarray) -> np.ndarray:
    """Return rows of the Jacobian (rows, P), in the order of `tangent.features`, both networks."""
    outputs, parts = found.slopes[-1].shape[1], []
    for inputs, slope in zip(*found, strict=True):
        own = slope[rows // outputs, rows % outputs]
        pairs = inputs[rows // outputs][:, :, None] * own[:, None, :]
        parts += [pairs.reshape(len(rows), -1), own]
    return np.concatenate(parts, axis=1)


def pivoted(found: Tangents, generator: np.random.Generator) -> KernelFactor:
    """Factorise the kernel, a block of rows at a time."""
    left = variances(found)
    whole, least = left.sum(), ROUNDING * left.max(initial=0.0)
    most = min(MOST_TAKEN, len(left))
    columns: np.ndarray = np.zeros((len(left), most), np.float32)
    taken: np.ndarray = np.zeros(most, int)
    filled = 0
    while filled < most and left.sum() > LEFT * whole:
        chance = np.where(left > least, left, 0.0)
        count = min(BLOCK, most - filled, int((chance > 0).sum()))
        if not count:
            break
        rows = generator.choice(len(left), count, replace=False, p=chance / chance.sum())
        new = kernel(found, rows) - columns[:, :filled] @ columns[rows, :filled].T
        kept = _independent(new[rows].astype(np.float64), least)
        left[rows] = 0.0
        if not len(kept):
            continue
        rows, new = rows[kept], new[:, kept]
        own = new[rows].astype(np.float64) + 0.01 * least * np.eye(len(rows))
        new = solve_triangular(np.linalg.cholesky(own), new.T, lower=True).T
        columns[:, filled : filled + len(rows)] = new
        taken[filled : filled + len(rows)] = rows
        filled += len(rows)
        left = np.maximum(left - (new**2).sum(axis=1), 0.0)
    return KernelFactor(columns[:, :filled], taken[:filled])


def _independent(own: np.ndarray, least: float) -> np.ndarray:
    """Return which rows of a small kernel are not determined by those before, by pivoting."""
    left, kept = np.diagonal(own).copy(), []
    factor = np.zeros((len(own), 0))
    while len(kept) < len(own):
        best = int(left.argmax())
        if left[best] <= least:
            break
        column = (own[:, best] - factor @ factor[best]) / np.sqrt(left[best])
        factor = np.column_stack([factor, column])
        left = np.maximum(left - column**2, 0.0)
        left[best] = 0.0
        kept.append(best)
    return np.asarray(kept, int)


def _orthonormal(factor: KernelFactor, found: Tangents, turn: np.ndarray | None) -> np.ndarray:
    """Return turn' L^-1 J_S (r, P); without a turn it is the identity."""
    lower = np.tril(factor.columns[factor.rows]).astype(np.float64)
    own = jacobian(found, factor.rows)
    turn = np.eye(len(lower)) if turn is None else turn.astype(np.float64)
    # Solved for in double precision is what is small: directions, and not their many weights.
    solved = solve_triangular(lower, turn, lower=True, trans=1) if len(lower) else lower
    return solved.T.astype(np.float32) @ own


def _largest(columns: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return combinations of columns with nearly the largest sums of squares, (r, MOST_KEPT).

    By subspace iteration from a random start (Halko, Martinsson & Tropp 2011).
    """
    gram = blas.ssyrk(1.0, columns.T, lower=True).astype(np.float64)  # type: ignore[attr-defined]
    gram = np.tril(gram) + np.tril(gram, -1).T
    turn = generator.normal(size=(len(gram), MOST_KEPT))
    for _ in range(ROUNDS):
        turn, _ = np.linalg.qr(gram @ turn)
    return turn.astype(np.float32)


@per_structure()
def _sensitivities() -> Any:
    return jitted(tangent.sensitivities, "rows")
