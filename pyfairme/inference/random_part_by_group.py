"""Mean contribution of the random effects per group of rows, for each posterior draw.

For row i and draw s two numbers are added up: the random part itself, u_i, on the link scale, and
its effect on the prediction, mu(fixed_i + u_i) - mu(fixed_i), with mu the likelihood's mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pyfairme.compilation import jitted, per_structure
from pyfairme.data import Batch
from pyfairme.inference.jax_runtime import with_jax
from pyfairme.inference.predictions import CHUNK, Query, padded, ready
from pyfairme.inference.soft_memberships import soft_predictor
from pyfairme.inference.svi import pad
from pyfairme.model.program import ModelSpec

MEASURES = ("random_mean", "tilt")
MOST_DRAWS = 500  # their quantiles at 90 % err by a tenth of the posterior SD


class CellSums(NamedTuple):
    """Sums over the rows of every cell and, of squares, of every place; S draws, K outputs.

    Attributes
    ----------
    sums
        (cells, 2, S, K), the measures in the order of ``MEASURES``.
    squares
        (places, 2, S, K).
    """

    sums: np.ndarray
    squares: np.ndarray


@with_jax
def cell_sums(query: Query, cells: np.ndarray, places: np.ndarray) -> CellSums:
    """Add up the random part over cells, its square over places.

    Parameters
    ----------
    query
        Rows to judge. Rows of clusters that are inferred have the mean over their membership.
    cells, places
        (n, B) numbers 0, 1, ... of the cells and places that each row lies in: one per column.
    """
    query = ready(query._replace(draws=_spread(query.draws)))
    function = _compiled(query.spec)
    # places add up everything, cells are their parts: both as sparse products, not loops over rows
    total = _RunningSums(cells), _RunningSums(places)
    rows = len(cells)
    for start in range(0, rows, CHUNK):
        part = slice(start, min(start + CHUNK, rows))
        batch = Batch(*(None if a is None else a[part] for a in query.batch))
        soft = query.membership
        if soft is not None:
            soft = tuple(padded(m[part]) for m in soft)
        found = function(query.network, query.draws, pad(batch, CHUNK), soft)
        values = np.asarray(found, np.float64)[: part.stop - part.start]
        total[0].add(part, values)
        total[1].add(part, values**2)
    return CellSums(total[0].sums, total[1].sums)


def _spread(draws: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Take at most about ``MOST_DRAWS`` over all members, evenly spread."""
    members, have = next(iter(draws.values())).shape[:2]
    wanted = min(have, -(-MOST_DRAWS // members))
    index = np.linspace(0, have - 1, wanted).round().astype(int)
    return {name: np.asarray(value)[:, index] for name, value in draws.items()}


class _RunningSums:
    """Sums of rows' values by number."""

    def __init__(self, numbers: np.ndarray) -> None:
        self.numbers, self.size = numbers, int(numbers.max()) + 1
        self.sums: Any = 0.0

    def add(self, part: slice, values: np.ndarray) -> None:
        """Add the values (rows, ...) of a slice of the rows."""
        from scipy.sparse import csr_matrix

        here = self.numbers[part]
        rows = np.repeat(np.arange(len(here)), here.shape[1])
        ones = np.ones(here.size)
        indicator = csr_matrix((ones, (here.ravel(), rows)), shape=(self.size, len(here)))
        flat = indicator @ values.reshape(len(here), -1)
        self.sums = self.sums + flat.reshape(self.size, *values.shape[1:])


@per_structure(maxsize=32)
def _compiled(spec: ModelSpec) -> Callable[..., Array]:
    """Compile the two measures of one chunk: (CHUNK, 2, members * draws, K)."""

    def response(eta: Array, latents: Mapping[str, Array]) -> Array:
        mean = spec.likelihood.mean(eta, latents)
        if mean.ndim == 1:
            return mean[:, None]
        return mean[:, 1:] if mean.shape[1] > spec.likelihood.outputs else mean  # P(second of two)

    def run(network: Any, draws: Any, batch: Batch, membership: Any) -> Array:
        def one(layers: Any, latents: Any) -> Array:
            found = soft_predictor(spec, layers, latents, batch, None, membership)
            tilt = response(found.mixed, latents) - response(found.fixed, latents)
            return jnp.stack([found.random, tilt], axis=1)  # (n, 2, K)

        every = jax.vmap(lambda layers, own: jax.vmap(lambda v: one(layers, v))(own))(
            network, draws
        )
        return jnp.moveaxis(every.reshape(-1, *every.shape[2:]), 0, 2)

    return jitted(run, "rows")
