"""Integrals over the clusters' own effects, given hyper-parameters and everything else (D).

Clusters are independent there, so each integral has few dimensions. Laplace's method is off where a
cluster has few rows of a class or of small counts: with five binary rows per cluster and a scale of
1, scales come out some 5 % too small. Quadrature around each cluster's mode says by how much.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array

from pyfairme.compilation import jitted, per_structure
from pyfairme.inference.cluster_buckets import cluster_bucket, one_cluster
from pyfairme.inference.laplace.hyper_parameters import from_free
from pyfairme.inference.laplace.independent_clusters import (
    NODES,
    Given,
    Own,
    climb,
    laplace,
    quadrature,
)
from pyfairme.inference.laplace.laplace_evidence import (
    AnyGaussian,
    Found,
    LaplaceEvidence,
    Layout,
)
from pyfairme.inference.laplace.linear_predictor import DesignRows, cluster_scale
from pyfairme.inference.laplace.mixed_rows import Gaussian, MixedRows
from pyfairme.inference.svi import bucket, table_bucket
from pyfairme.model.effects import RandomEffects

UNEVEN = 2.5  # rows when all clusters are filled up to the largest, over rows
MOST_EFFECTS = 2  # of a cluster: the quadrature has NODES to this power
ENOUGH = 8.0  # information (sum of curvatures) per effect of the median cluster: 32 binary rows
MOST_LOOKS = 3e8  # at rows
MOST_TOGETHER = 16
NUMBERS = 1e5  # of rows that are worked on at once
CLIMB = 4


class Together(NamedTuple):
    """Proposals whose clusters' effects are integrated: (s, h), (s, n, K), (s, G, a, ...)."""

    free: Any
    base: Any
    mean: Any
    factor: Any


def links_without(rows: MixedRows, known: int, dense: np.ndarray) -> np.ndarray:
    """Return what of the links does not depend on the clusters' effects, (s, n, K), given D (s, m).

    The first ``known`` columns of X are left out: they are in the base.
    """
    columns = rows.x.shape[2] - known
    flat = rows.x[:, :, known:].reshape(rows.base.size, columns)
    fixed = flat @ dense[:, :columns].T + rows.crossed @ dense[:, columns:].T
    return (rows.base.ravel()[:, None] + fixed).T.reshape(len(dense), *rows.base.shape)


def conditional_means(gaussian: Gaussian, dense: np.ndarray) -> np.ndarray:
    """Return the clusters' means (s, G, a) given D (s, m)."""
    if not dense.shape[1]:
        return np.broadcast_to(gaussian.local, (len(dense), *gaussian.local.shape))
    return gaussian.local - np.moveaxis(gaussian.lean.of((dense - gaussian.dense).T), 2, 0)


def filled_rows(
    rows: MixedRows, known: np.ndarray, room: int | None = None
) -> tuple[MixedRows, DesignRows]:
    """Fill every cluster up to the rows of the largest, if that makes few more rows.

    What is given goes into the base. Rows that fill up weigh nothing; they are so many that tables
    of nearly the same size share compiled code. With ``room`` there are so many clusters, the last
    ones without rows.
    """
    largest, n = int(np.diff(rows.starts).max(initial=1)), len(rows.y)
    few = rows.clusters == 1 or rows.clusters * largest <= UNEVEN * n
    largest = bucket(largest)
    if room is not None:
        starts = np.pad(rows.starts, (0, room - rows.clusters), mode="edge")
        rows = rows._replace(starts=starts)
    base = rows.base + (rows.x[:, :, : len(known)] @ known[: rows.x.shape[2]])
    outputs = base.shape[1]
    order = np.minimum(np.arange(table_bucket(n)), n - 1)
    weight, code = np.pad(rows.weight, (0, len(order) - n)), rows.code[order]
    if few:
        place = rows.starts[:-1, None] + np.arange(largest)
        there = place < rows.starts[1:, None]
        order = np.where(there, place, np.minimum(rows.starts[:-1, None], n - 1)).ravel()
        weight, code = rows.weight[order] * there.ravel(), None
    every = (order[:, None] * outputs + np.arange(outputs)).ravel()
    found = rows._replace(
        base=base[order], x=rows.x[order], crossed=rows.crossed[every], y=rows.y[order]
    )
    r = rows.z[order, 0, ::outputs]  # the same for every output
    single: Any = [np.asarray(v, np.float32) for v in (found.base, np.zeros((len(order), 0)), r)]
    rest: Any = (code, found.y, np.asarray(weight, np.float32))
    return found, jax.device_put(DesignRows(*single, *rest))


def conditional_on(
    layout: Layout, local: RandomEffects | None, some: Together, still: DesignRows, tilt: Array
) -> tuple[Given, DesignRows, Own]:
    """Return what clusters' effects are conditional on, their rows and the Gaussian of each.

    ``local`` is their factor.
    """
    hypers, _ = from_free(layout.hypers, some.free)
    outputs = layout.spec.likelihood.outputs
    scale = jnp.eye(outputs) if local is None else cluster_scale(local, hypers)
    half = jnp.swapaxes(some.factor, 1, 2) @ scale  # of the precision of whitened effects
    own = jnp.linalg.cholesky(jnp.swapaxes(half, 1, 2) @ half)
    white = solve_triangular(scale, some.mean.T, lower=True).T
    given = Given(layout.spec.likelihood, hypers, scale, tilt)
    start = Own(own, jnp.einsum("gba,gb->ga", own, white))
    return given, still._replace(base=some.base), start


class LaplaceError:
    """What Laplace's method lacks in the log of the clusters' integrals, by quadrature.

    It is 0 where it is not needed (Normal outcomes, clusters that know their effects well), or
    where ``number`` looks at all rows, each from every node of the quadrature, are too many. The
    layout must have a tangent or a latent last layer: no number of D that is given.
    """

    def __init__(self, evidence: LaplaceEvidence, found: Found, number: int) -> None:
        self.layout, rows = evidence.layout, evidence.rows
        effects = self.layout.effects
        information = np.trace(found.mode.sums.local, axis1=1, axis2=2) / effects.width
        few = effects.local is not None and effects.width <= MOST_EFFECTS
        looks = number * rows.base.size * float(NODES) ** effects.width
        exact = self.layout.spec.likelihood.quadratic or np.median(information) > ENOUGH
        self.needed = few and not exact and looks <= MOST_LOOKS
        if self.needed:
            assert effects.local is not None
            room = cluster_bucket(effects.clusters)
            self.rows, self.still = filled_rows(rows, np.zeros(0), room)
            self.tilt = np.zeros((room, effects.width), np.float32)
            self._extra = room - effects.clusters
            self._together = int(np.clip(NUMBERS / self.rows.base.size, 1, MOST_TOGETHER))
            shared = Layout(one_cluster(self.layout.spec), one_cluster(self.layout.bare))
            self._run = _errors(shared, replace(effects.local, clusters=1))

    def __call__(self, free: np.ndarray, given: Sequence[AnyGaussian]) -> np.ndarray:
        """Return it (s,) of hyper-parameters (s, h), where D and the effects have those Gaussians.

        D is at its mean.
        """
        if not self.needed:
            return np.zeros(len(free))
        count, effects = self._together, self.layout.effects
        parts = []
        for first in range(0, len(free), count):
            index = np.minimum(np.arange(first, first + count), len(free) - 1)
            some = [given[i] for i in index]
            dense, local, factor = (
                np.stack([getattr(one, name) for one in some])
                for name in ("dense", "local", "local_factor")
            )
            local = np.pad(local, [(0, 0), (0, self._extra), (0, 0)])
            size = effects.width
            unit = np.broadcast_to(np.eye(size), (count, self._extra, size, size))
            factor = np.concatenate([factor, unit], axis=1)
            each = (free[index], links_without(self.rows, 0, dense), local, factor)
            together = Together(*(np.asarray(value, np.float32) for value in each))
            found = np.asarray(self._run(together, self.still, self.tilt), np.float64)
            parts.append(found[:, : effects.clusters].sum(axis=1))
        return np.concatenate(parts)[: len(free)]


@per_structure()
def _errors(layout: Layout, local: RandomEffects) -> Callable[..., Array]:
    """Return a function that compares both integrals of every cluster, (s, G).

    It does not depend on how many clusters the structures have.
    """

    def one(each: Together, still: DesignRows, tilt: Array) -> Array:
        given, rows, start = conditional_on(layout, local, each, still, tilt)
        own = climb(given, rows, start, steps=CLIMB)
        return quadrature(given, rows, own)[1] - laplace(given, rows, own)

    return jitted(jax.vmap(one, (0, None, None)), "once")
