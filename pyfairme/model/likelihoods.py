"""Likelihoods: how a target follows from the link scale. One small class each.

A likelihood is a frozen dataclass with

``outputs``              number of columns K of the link
``effect_scale``         scale of the HalfNormal priors on the random effects' scales
``latents()``            its own scale parameters, latent variables with priors
``distribution(eta, v)`` the NumPyro distribution of y given the link (n, K) and its latents
``mean(eta, v)``         the mean: probabilities (n, classes) or a real prediction (n,)
``bounded(eta)``         a bounded view of the prediction for adversaries and penalties (n, V)
``outcome(y)``           the same for the target (n, V)
``strata(y)``            one-hot (n, C) of the outcome classes, or None when y is not categorical
``start(mean_y)``        link at which the output bias starts, from the mean of the encoded target
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array

__all__ = ["LIKELIHOODS", "Bernoulli", "Categorical", "Latent", "Likelihood", "Normal"]

BOUND = 3.0  # standard deviations beyond which a real prediction saturates for an adversary


class Latent(NamedTuple):
    """A latent variable: its site, shape, whether it is positive, and where its guide starts."""

    name: str
    shape: tuple[int, ...]
    positive: bool
    start: float


@runtime_checkable
class Likelihood(Protocol):
    """The interface described at the top of this module."""

    @property
    def outputs(self) -> int: ...
    @property
    def effect_scale(self) -> float: ...
    @property
    def standardised(self) -> bool: ...
    def latents(self) -> tuple[tuple[Latent, dist.Distribution], ...]: ...
    def distribution(self, eta: Any, values: Mapping[str, Array]) -> Any: ...
    def mean(self, eta: Any, values: Mapping[str, Array]) -> Array: ...
    def bounded(self, eta: Any) -> Array: ...
    def outcome(self, y: Any) -> Array: ...
    def strata(self, y: Any) -> Array | None: ...
    def start(self, mean_y: Any) -> Array: ...


@dataclass(frozen=True)
class Bernoulli:
    """Binary target in {0, 1} with a logit link: P(y = 1) = 1 / (1 + exp(-eta))."""

    outputs: int = 1
    effect_scale: float = 1.5
    standardised: bool = False

    def latents(self) -> tuple[tuple[Latent, dist.Distribution], ...]:
        return ()

    def distribution(self, eta: Any, values: Mapping[str, Array]) -> Any:
        return dist.Bernoulli(logits=eta[..., 0])

    def mean(self, eta: Any, values: Mapping[str, Array]) -> Array:
        positive = jax.nn.sigmoid(eta[..., 0])
        return jnp.stack([1.0 - positive, positive], axis=-1)

    def bounded(self, eta: Any) -> Array:
        return jax.nn.sigmoid(eta)

    def outcome(self, y: Any) -> Array:
        return jnp.asarray(y, jnp.float32)[..., None]

    def strata(self, y: Any) -> Array | None:
        return jax.nn.one_hot(jnp.asarray(y, jnp.int32), 2)

    def start(self, mean_y: Any) -> Array:
        rate = jnp.clip(mean_y, 1e-3, 1 - 1e-3)
        return (jnp.log(rate) - jnp.log1p(-rate))[None]


@dataclass(frozen=True)
class Categorical:
    """Target with ``outputs`` classes 0..K-1 and a softmax link."""

    outputs: int
    effect_scale: float = 1.5
    standardised: bool = False

    def latents(self) -> tuple[tuple[Latent, dist.Distribution], ...]:
        return ()

    def distribution(self, eta: Any, values: Mapping[str, Array]) -> Any:
        return dist.Categorical(logits=eta)

    def mean(self, eta: Any, values: Mapping[str, Array]) -> Array:
        return jax.nn.softmax(eta, axis=-1)

    def bounded(self, eta: Any) -> Array:
        return jax.nn.softmax(eta, axis=-1)

    def outcome(self, y: Any) -> Array:
        return jax.nn.one_hot(jnp.asarray(y, jnp.int32), self.outputs)

    def strata(self, y: Any) -> Array | None:
        return jax.nn.one_hot(jnp.asarray(y, jnp.int32), self.outputs)

    def start(self, mean_y: Any) -> Array:
        return jnp.zeros(self.outputs)


@dataclass(frozen=True)
class Normal:
    """Real target, standardised, with residual SD ``residual_sd`` ~ HalfNormal(1)."""

    outputs: int = 1
    effect_scale: float = 1.0
    standardised: bool = True

    def latents(self) -> tuple[tuple[Latent, dist.Distribution], ...]:
        return ((Latent("residual_sd", (), True, 0.7), dist.HalfNormal(1.0)),)

    def distribution(self, eta: Any, values: Mapping[str, Array]) -> Any:
        return dist.Normal(eta[..., 0], values["residual_sd"])

    def mean(self, eta: Any, values: Mapping[str, Array]) -> Array:
        return eta[..., 0]

    def bounded(self, eta: Any) -> Array:
        return BOUND * jnp.tanh(eta / BOUND)

    def outcome(self, y: Any) -> Array:
        return BOUND * jnp.tanh(jnp.asarray(y)[..., None] / BOUND)

    def strata(self, y: Any) -> Array | None:
        return None

    def start(self, mean_y: Any) -> Array:
        return mean_y[None]


LIKELIHOODS: Mapping[str, type[Normal]] = {"normal": Normal}
"""Likelihoods of the regressor by name; a classifier's follows from its number of classes."""
