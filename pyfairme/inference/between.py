"""How a row's random part varies over the clusters that it may belong to."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from pyfairme.data import Batch
from pyfairme.model.effects import Factor, contribution
from pyfairme.model.program import ModelSpec, predictor

__all__ = ["between"]


def between(spec: ModelSpec, network: Any, draws: Any, batch: Batch, membership: Any) -> Array:
    """Draw the deviation of a row's own cluster from the mean of those it may belong to.

    With membership p, effects e_g (K,) of one posterior draw and their mean m = sum_g p_g e_g

        sum_g sqrt(p_g) z_g (e_g - m),  z_g ~ Normal(0, 1)

    has the covariance of e_g over the clusters, that between the K outputs too. z belongs to draw
    and cluster, not to the row: a row's deviation does not depend on its neighbours.

    Returns
    -------
    Array
        (members * draws, n, K); zero for rows whose cluster is known.
    """
    shape = next(iter(draws.values())).shape[:2]
    keys = jax.random.split(jax.random.key(0), len(spec.factors))
    noise = [
        jax.random.normal(key, (*shape, factor.clusters))
        for key, factor in zip(keys, spec.factors, strict=True)
    ]

    def member(layers: Any, latents: Any, noise: Any) -> Array:
        def one(values: Any, noise: Any) -> Array:
            found = predictor(spec, layers, values, batch, membership)
            total = jnp.zeros_like(found.fixed)
            for factor, weight, z in zip(spec.factors, membership, noise, strict=True):
                r = found.hidden[-1] if factor.hidden else batch.slopes
                root = jnp.sqrt(weight)
                moved = contribution(factor, _scaled(factor, values, z), root, r)
                mean = contribution(factor, values, weight, r)
                known = weight.max(axis=1, keepdims=True) >= 1.0  # exactly zero: no rounding
                total = total + jnp.where(known, 0.0, moved - (root @ z)[:, None] * mean)
            return total

        return jax.vmap(one)(latents, noise)

    found = jax.vmap(member)(network, draws, noise)
    return found.reshape(-1, *found.shape[2:])


def _scaled(factor: Factor, latents: Any, z: Array) -> dict[str, Array]:
    """Return a factor's effects, each cluster's multiplied by its z (G,)."""
    names = [f"{factor.name}_{term}" for term in factor.sites]
    return {k: latents[k] * z.reshape(-1, *[1] * (latents[k].ndim - 1)) for k in names}
