"""Rows whose own cluster is not known: what they may share with known clusters, and what not.

A row's ``soft`` memberships (n, G) per factor are zero where its cluster is known. The effects of
the known clusters count by the factor's likeness to them (see `cluster_similarity`), where the
draws hold it; without it they count in full.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from pyfairme.data import Batch
from pyfairme.inference.cluster_similarity import own_name, site_name
from pyfairme.model.effects import RandomEffects, contribution, slope_columns
from pyfairme.model.program import ModelSpec, Prediction, predictor


def soft_predictor(
    spec: ModelSpec, network: Any, latents: Any, batch: Batch, hard: Any, soft: Any
) -> Prediction:
    """Add what rows share with the clusters that they may belong to, on average over these.

    ``hard`` may hold the one-hot memberships of known clusters, as in `predictor`.
    """
    found = predictor(spec, network, latents, batch, hard)
    if soft is None:
        return found
    total = jnp.zeros_like(found.fixed)
    for factor, weight in zip(spec.factors, soft, strict=True):
        r = found.hidden[-1] if factor.hidden else batch.slopes
        total = total + contribution(factor, _shared(factor, latents), weight, r)
    return found._replace(random=found.random + total, mixed=found.mixed + total)


def between(spec: ModelSpec, network: Any, draws: Any, batch: Batch, soft: Any) -> Array:
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
    noise = [  # clusters lead: how many follow does not change a cluster's
        jnp.moveaxis(jax.random.normal(key, (factor.clusters, *shape)), 0, -1)
        for key, factor in zip(keys, spec.factors, strict=True)
    ]

    def member(layers: Any, latents: Any, noise: Any) -> Array:
        def one(values: Any, noise: Any) -> Array:
            found = predictor(spec, layers, values, batch)
            total = jnp.zeros_like(found.fixed)
            for factor, weight, z in zip(spec.factors, soft, noise, strict=True):
                r = found.hidden[-1] if factor.hidden else batch.slopes
                root, shared = jnp.sqrt(weight), _shared(factor, values)
                moved = contribution(factor, _scaled(factor, shared, z), root, r)
                mean = contribution(factor, shared, weight, r)
                known = weight.max(axis=1, keepdims=True) >= 1.0  # exactly zero: no rounding
                total = total + jnp.where(known, 0.0, moved - (root @ z)[:, None] * mean)
            return total

        return jax.vmap(one)(latents, noise)

    found = jax.vmap(member)(network, draws, noise)
    return found.reshape(-1, *found.shape[2:])


def alone(spec: ModelSpec, network: Any, draws: Any, batch: Batch, rows: Array, z: Array) -> Array:
    """Draw the own effect of rows that are each a cluster of their own.

    Only one row has the effect, so that of intercept and slopes only their sum is needed: a Normal
    number with the prior's variance at this row, less what likeness has explained. The draws hold
    how much of a scale that leaves (`unseen_effects`).

    Parameters
    ----------
    rows
        (n, factors): 1 for a row without a cluster, else 0.
    z
        Standard Normal numbers (members * draws, 1 or n, K, factors).

    Returns
    -------
    Array
        (members * draws, n, K); zero for all other rows.
    """

    def one(layers: Any, values: Any) -> Array:
        found = predictor(spec, layers, values, batch)
        each = [
            rows[:, index, None]
            * _own_sd(factor, values, found.hidden[-1] if factor.hidden else batch.slopes)
            if own_name(factor, factor.sites[0]) in values
            else jnp.zeros_like(found.fixed)  # a factor of which every row's cluster is known
            for index, factor in enumerate(spec.factors)
        ]
        return jnp.stack(each, axis=-1)

    sd = jax.vmap(lambda layers, own: jax.vmap(lambda v: one(layers, v))(own))(network, draws)
    return (sd.reshape(-1, *sd.shape[2:]) * z).sum(axis=-1)


def own_sd(spec: ModelSpec, network: Any, draws: Any, batch: Batch, rows: Array) -> Array:
    """SD of the own effect of rows that are each a cluster of their own, over all factors.

    ``rows`` (n, factors) and the draws are those of `alone`; (members * draws, n, K).
    """
    variance = 0.0
    for index in range(len(spec.factors)):
        # the square of what one standard Normal number of this factor adds
        one = jnp.zeros(len(spec.factors)).at[index].set(1.0)
        size = next(iter(draws.values())).shape
        z = jnp.broadcast_to(one, (size[0] * size[1], 1, spec.likelihood.outputs, len(one)))
        variance = variance + alone(spec, network, draws, batch, rows, z) ** 2
    return jnp.sqrt(variance)


def _own_sd(factor: RandomEffects, latents: Mapping[str, Array], r: Array) -> Array:
    """SD (n, K) of intercept + r . slope of a new cluster, the part that it shares left out."""
    columns, scales = [], []
    for term in factor.sites:
        own = latents[own_name(factor, term)]
        at = jnp.ones((r.shape[0], 1)) if term == "intercept" else slope_columns(factor, r)
        scale = latents[f"{factor.name}_{term}_sd"]
        columns.append(own * at)
        scales.append(scale[None] if term == "intercept" else scale)
    each = jnp.concatenate(columns, axis=1)[:, :, None] * jnp.concatenate(scales)[None]  # (n, d, K)
    if factor.correlated:
        each = jnp.einsum("ndk,kde->nek", each, latents[f"{factor.name}_cholesky"])
    return jnp.sqrt((each**2).sum(axis=1))


def _shared(factor: RandomEffects, latents: Mapping[str, Array]) -> dict[str, Array]:
    """Return a factor's effects, scaled by its likeness where there is one."""
    found = {}
    for term in factor.sites:
        name = f"{factor.name}_{term}"
        found[name] = latents[name] * latents.get(site_name(factor, term), 1.0)
    return found


def _scaled(factor: RandomEffects, latents: Any, z: Array) -> dict[str, Array]:
    """Return a factor's effects, each cluster's multiplied by its z (G,)."""
    names = [f"{factor.name}_{term}" for term in factor.sites]
    return {k: latents[k] * z.reshape(-1, *[1] * (latents[k].ndim - 1)) for k in names}
