"""Likelihoods of counts with a log link: Poisson and negative binomial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array

from pyfairme.model.likelihoods.interface import Latent, saturate
from pyfairme.model.likelihoods.poisson_quantile import poisson_quantile

LARGEST_LOG_MEAN = 20.0  # exp of it is a count that int32 and float32 still hold


@dataclass(frozen=True)
class Poisson:
    """Counts: y ~ Poisson(exp(eta)), with the log of the exposure as an offset in eta.

    Examples
    --------
    >>> Poisson().distribution(jnp.array([[0.0]]), {}).mean
    Array([1.], dtype=float32)
    """

    unit: float = 1.0
    outputs: int = 1
    effect_scale: float = 1.0
    target: str = "count"
    quadratic: bool = False

    def latents(self) -> tuple[tuple[Latent, dist.Distribution], ...]:
        return ()

    def distribution(self, eta: Any, values: Mapping[str, Any]) -> Any:
        return PoissonByQuantile(_mean_count(eta))

    def mean(self, eta: Any, values: Mapping[str, Any]) -> Array:
        return _mean_count(eta)

    def bounded(self, eta: Any) -> Array:
        return saturate(_mean_count(eta)[..., None], self.unit)

    def outcome(self, y: Any) -> Array:
        return saturate(jnp.asarray(y, jnp.float32)[..., None], self.unit)

    def strata(self, y: Any) -> Array | None:
        return None

    def precision(self, values: Mapping[str, Any]) -> Any:
        return 1.0

    def residual_variance(self, values: Mapping[str, Any], mean: float) -> Any:
        return np.log1p(1 / mean)

    def start(self, mean_y: Any) -> Array:
        return jnp.log(jnp.maximum(mean_y, 1e-3))[None]


@dataclass(frozen=True)
class NegativeBinomial:
    """Overdispersed counts, log link: mean mu = exp(eta), variance mu + mu^2 / concentration.

    ``concentration`` has the prior 1 / sqrt(concentration) ~ HalfNormal(1): its mode is the Poisson
    limit, so that overdispersion is found only where the counts show it.

    Examples
    --------
    >>> counts = NegativeBinomial().distribution(jnp.array([[0.0]]), {"concentration": 2.0})
    >>> counts.mean, counts.variance
    (Array([1.], dtype=float32), Array([1.5], dtype=float32))
    """

    unit: float = 1.0
    outputs: int = 1
    effect_scale: float = 1.0
    target: str = "count"
    quadratic: bool = False

    def latents(self) -> tuple[tuple[Latent, dist.Distribution], ...]:
        prior = dist.TransformedDistribution(
            dist.HalfNormal(1.0), dist.transforms.PowerTransform(-2.0)
        )
        return ((Latent("concentration", (), True, 2.0), prior),)

    def distribution(self, eta: Any, values: Mapping[str, Any]) -> Any:
        return NegativeBinomialByQuantile(_mean_count(eta), values["concentration"])

    def mean(self, eta: Any, values: Mapping[str, Any]) -> Array:
        return _mean_count(eta)

    def bounded(self, eta: Any) -> Array:
        return saturate(_mean_count(eta)[..., None], self.unit)

    def outcome(self, y: Any) -> Array:
        return saturate(jnp.asarray(y, jnp.float32)[..., None], self.unit)

    def strata(self, y: Any) -> Array | None:
        return None

    def precision(self, values: Mapping[str, Any]) -> Any:
        return 1.0

    def residual_variance(self, values: Mapping[str, Any], mean: float) -> Any:
        return np.log1p(1 / mean + 1 / values["concentration"])

    def start(self, mean_y: Any) -> Array:
        return jnp.log(jnp.maximum(mean_y, 1e-3))[None]


class PoissonByQuantile(dist.Poisson):
    """NumPyro's Poisson, whose draws are quantiles of uniform noise: see `poisson_quantile`.

    Examples
    --------
    >>> drawn = PoissonByQuantile(jnp.full(2000, 4.0)).sample(jax.random.key(0))
    >>> bool(abs(drawn.mean() - 4) < 4 * (4 / 2000) ** 0.5)
    True
    """

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw counts, (*sample_shape, *batch_shape)."""
        return _counts(key, self.rate, (*sample_shape, *self.batch_shape))


class NegativeBinomialByQuantile(dist.NegativeBinomial2):
    """NumPyro's negative binomial, whose draws are Poisson quantiles around a drawn mean.

    Examples
    --------
    >>> drawn = NegativeBinomialByQuantile(jnp.full(2000, 4.0), 2.0).sample(jax.random.key(0))
    >>> bool(abs(drawn.mean() - 4) < 4 * (12 / 2000) ** 0.5)
    True
    """

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw counts, (*sample_shape, *batch_shape)."""
        means, counts = jax.random.split(key)
        mean = self._gamma.sample(means, sample_shape)
        return _counts(counts, mean, jnp.shape(mean))


def _counts(key: Any, mean: Any, shape: tuple[int, ...]) -> Array:
    u = jax.random.uniform(key, shape, minval=jnp.finfo(jnp.float32).tiny)
    return poisson_quantile(u, jnp.broadcast_to(mean, shape))


def _mean_count(eta: Any) -> Array:
    """Return exp(eta) (n,) of links (n, 1), kept where nothing overflows."""
    return jnp.exp(jnp.clip(eta[..., 0], -LARGEST_LOG_MEAN, LARGEST_LOG_MEAN))
