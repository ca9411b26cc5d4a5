"""Hyper-parameters (scales, correlations, the likelihood's own), and real numbers behind them."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpyro import handlers

from pyfairme.inference.guides import split
from pyfairme.model.likelihoods import Latent
from pyfairme.model.program import SUMS, ModelSpec, Objective, draw_latents


def from_free(latents: tuple[Latent, ...], free: Array) -> tuple[dict[str, Array], Array]:
    """Return latents by name for one vector of real numbers, and log |d latents / d numbers|."""
    values, volume = {}, jnp.zeros(())
    for latent, own in split(latents, free).items():
        values[latent.name] = latent.transform(own)
        volume += latent.transform.log_abs_det_jacobian(own, values[latent.name]).sum()
    return values, volume


def to_free(latents: tuple[Latent, ...], values: Mapping[str, Array]) -> Array:
    """Return the real numbers behind latents: the inverse of `from_free`."""
    parts = [latent.transform.inv(jnp.asarray(values[latent.name])).ravel() for latent in latents]
    return jnp.concatenate([jnp.zeros(0), *parts])


def typical(latents: tuple[Latent, ...], draws: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the draw (first axis) whose ``latents`` are nearest to their medians."""
    if not draws:
        return {}
    number = len(next(iter(draws.values())))
    distance = np.zeros(number)
    for latent in latents:
        free = np.asarray(latent.transform.inv(jnp.asarray(draws[latent.name])))
        free = free.reshape(number, -1)
        scale = np.maximum(free.std(axis=0), 1e-12)
        distance += (((free - np.median(free, axis=0)) / scale) ** 2).sum(axis=1)
    return {name: np.asarray(value[distance.argmin()]) for name, value in draws.items()}


def log_priors(
    spec: ModelSpec, hypers: Mapping[str, Array], objective: Objective
) -> dict[str, Array]:
    """Log prior density of every hyper-parameter, by its site.

    ``hypers`` holds latents of ``spec`` that are no effects given others.
    """
    seeded = handlers.seed(draw_latents, jax.random.key(0))
    drawn = handlers.trace(handlers.substitute(seeded, data=dict(hypers)))
    sites = drawn.get_trace(spec, objective._replace(kl=1.0), SUMS)
    return {name: sites[name]["fn"].log_prob(value).sum() for name, value in hypers.items()}


def log_prior(spec: ModelSpec, hypers: Mapping[str, Array], objective: Objective) -> Array:
    """Log prior density of the hyper-parameters together."""
    return sum(log_priors(spec, hypers, objective).values(), start=jnp.zeros(()))
