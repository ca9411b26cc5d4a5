"""Variational guides q(U): each makes a NumPyro guide from the list of a program's latents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Key
from numpyro import handlers
from numpyro.distributions import constraints

from pyfairme.data import Batch
from pyfairme.model.likelihoods import Latent
from pyfairme.model.program import Weights

__all__ = ["GUIDES", "Guide", "draw"]

START_SCALE = 0.1


class Guide(NamedTuple):
    """``sample(batch, weights)`` is the guide; ``median(params)`` its latents' medians by name.

    ``analytic`` says that every site of the model is drawn on its own, so that the KL term of the
    effects given their scales can be computed in closed form.
    """

    sample: Callable[[Batch, Weights], None]
    median: Callable[[Mapping[str, Any]], dict[str, Array]]
    analytic: bool


def mean_field(latents: tuple[Latent, ...]) -> Guide:
    """Independent Normals, LogNormals for positive latents: the approximation of the paper."""

    def sample(batch: Batch, weights: Weights) -> None:
        del batch
        with handlers.scale(scale=weights.kl / weights.rows):
            for latent in latents:
                start = jnp.log(latent.start) if latent.positive else latent.start
                loc = numpyro.param(f"{latent.name}_loc", jnp.full(latent.shape, start))
                scale = numpyro.param(
                    f"{latent.name}_scale",
                    jnp.full(latent.shape, START_SCALE),
                    constraint=constraints.positive,
                )
                family = dist.LogNormal if latent.positive else dist.Normal
                numpyro.sample(latent.name, family(loc, scale).to_event(len(latent.shape)))

    def median(params: Mapping[str, Any]) -> dict[str, Array]:
        return {
            latent.name: (jnp.exp if latent.positive else jnp.asarray)(params[f"{latent.name}_loc"])
            for latent in latents
        }

    return Guide(sample, median, analytic=True)


def _joint(latents: tuple[Latent, ...], joint: Callable[[Array], dist.Distribution]) -> Guide:
    """Draw all unconstrained latents from one multivariate Normal made by ``joint(start)``."""
    sizes = [max(1, int(jnp.prod(jnp.array(latent.shape)))) for latent in latents]

    def split(flat: Array) -> dict[str, Array]:
        parts, at = {}, 0
        for latent, size in zip(latents, sizes, strict=True):
            part = flat[..., at : at + size].reshape(*flat.shape[:-1], *latent.shape)
            parts[latent.name], at = part, at + size
        return parts

    def start() -> Array:
        values = [jnp.log(v.start) if v.positive else jnp.asarray(v.start) for v in latents]
        return jnp.concatenate([jnp.full(s, v) for s, v in zip(sizes, values, strict=True)])

    def sample(batch: Batch, weights: Weights) -> None:
        del batch
        if not latents:
            return
        with handlers.scale(scale=weights.kl / weights.rows):
            flat: Any = numpyro.sample("joint", joint(start()), infer={"is_auxiliary": True})
            for latent, part in zip(latents, split(flat).values(), strict=True):
                value = jnp.exp(part) if latent.positive else part
                # density of the value = density of its logarithm / value
                axes = tuple(range(-len(latent.shape), 0))
                jacobian = -part.sum(axis=axes) if latent.positive else 0.0
                delta = dist.Delta(value, log_density=jacobian, event_dim=len(latent.shape))
                numpyro.sample(latent.name, delta)

    def median(params: Mapping[str, Any]) -> dict[str, Array]:
        if not latents:
            return {}
        parts = split(params["joint_loc"])
        return {v.name: jnp.exp(parts[v.name]) if v.positive else parts[v.name] for v in latents}

    return Guide(sample, median, analytic=False)


def full_rank(latents: tuple[Latent, ...]) -> Guide:
    """One multivariate Normal with a dense covariance over all unconstrained latents."""

    def joint(start: Array) -> dist.Distribution:
        loc = numpyro.param("joint_loc", start)
        scale_tril = numpyro.param(
            "joint_scale_tril",
            START_SCALE * jnp.eye(start.shape[0]),
            constraint=constraints.scaled_unit_lower_cholesky,
        )
        return dist.MultivariateNormal(loc, scale_tril=scale_tril)

    return _joint(latents, joint)


def low_rank(latents: tuple[Latent, ...]) -> Guide:
    """One multivariate Normal whose covariance is diagonal plus rank sqrt(dimension)."""

    def joint(start: Array) -> dist.Distribution:
        size = start.shape[0]
        rank = max(1, round(size**0.5))
        loc = numpyro.param("joint_loc", start)
        factor = numpyro.param(
            "joint_factor", lambda key: 0.01 * jax.random.normal(key, (size, rank))
        )
        diagonal: Any = numpyro.param(
            "joint_scale",
            jnp.full(size, START_SCALE),
            constraint=constraints.positive,
        )
        return dist.LowRankMultivariateNormal(loc, factor, diagonal**2)

    return _joint(latents, joint)


GUIDES: Mapping[str, Callable[[tuple[Latent, ...]], Guide]] = {
    "mean_field": lru_cache(mean_field),
    "low_rank": lru_cache(low_rank),
    "full_rank": lru_cache(full_rank),
}
"""Guides by the name a user gives."""


def draw(
    guide: Guide,
    key: Key[Array, ""],
    params: Mapping[str, Any],
    draws: int,
    batch: Batch,
    weights: Weights,
) -> dict[str, Array]:
    """Draw latents from a fitted guide: name -> (draws, *shape).

    A plate around the guide draws each site at once; one trace per draw takes seconds to compile.
    """
    fitted = handlers.substitute(handlers.seed(guide.sample, key), data=dict(params))
    with numpyro.plate("draws", draws):
        sites = handlers.trace(fitted).get_trace(batch, weights)
    return {
        name: site["value"]
        for name, site in sites.items()
        if site["type"] == "sample" and not site["infer"].get("is_auxiliary")
    }
