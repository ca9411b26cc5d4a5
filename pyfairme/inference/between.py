"""How much a row's random part varies over the clusters that it may belong to."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pyfairme.data import Batch
from pyfairme.model.effects import by_cluster
from pyfairme.model.program import ModelSpec, predictor

__all__ = ["sd_between"]

DRAWS = 20


def sd_between(spec: ModelSpec, network: Any, draws: Any, batch: Batch, membership: Any) -> Array:
    """Return the SD of the random part over a row's possible clusters: (draws, n, K).

    Its variance is averaged over a few draws: a mean over draws, which that many settle.
    """
    number = next(iter(draws.values())).shape[1]
    few = np.linspace(0, number - 1, min(number, DRAWS)).round().astype(int)

    def member(layers: Any, latents: Any) -> Array:
        def one(values: Any) -> Array:
            found = predictor(spec, layers, values, batch, membership)
            variance = jnp.zeros_like(found.fixed)
            for factor, weight in zip(spec.factors, membership, strict=True):
                r = found.hidden[-1] if factor.hidden else batch.slopes
                every = by_cluster(factor, values, r)
                mean = (weight[:, :, None] * every).sum(axis=1, keepdims=True)
                variance = variance + (weight[:, :, None] * (every - mean) ** 2).sum(axis=1)
            return variance

        spread = jnp.sqrt(jax.lax.map(one, latents).mean(axis=0))
        return jnp.broadcast_to(spread, (number, *spread.shape))

    chosen = {name: value[:, few] for name, value in draws.items()}
    found = jax.vmap(member)(network, chosen)
    return found.reshape(-1, *found.shape[2:])
