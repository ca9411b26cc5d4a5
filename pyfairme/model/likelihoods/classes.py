"""Likelihoods of classes: Bernoulli and Categorical."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array

from pyfairme.model.likelihoods.interface import Latent

LOGISTIC_VARIANCE = float(np.pi**2 / 3)  # of the latent logistic error behind a logit link
NOT_ZERO = 1e-30  # at logits of exactly 0 NumPyro's gradient is that of a clip: 0 or y, not y - 1/2
GUMBEL_VARIANCE = float(np.pi**2 / 6)  # of the latent error behind each link of a softmax


@dataclass(frozen=True)
class Bernoulli:
    """Binary target in {0, 1} with a logit link: P(y = 1) = 1 / (1 + exp(-eta)).

    Examples
    --------
    >>> Bernoulli().mean(jnp.zeros((1, 1)), {})
    Array([[0.5, 0.5]], dtype=float32)
    """

    outputs: int = 1
    effect_scale: float = 1.5
    target: str = "class"
    quadratic: bool = False

    def latents(self) -> tuple[tuple[Latent, dist.Distribution], ...]:
        return ()

    def distribution(self, eta: Any, values: Mapping[str, Any]) -> Any:
        return dist.Bernoulli(logits=eta[..., 0] + NOT_ZERO)

    def mean(self, eta: Any, values: Mapping[str, Any]) -> Array:
        positive = jax.nn.sigmoid(eta[..., 0])
        return jnp.stack([1.0 - positive, positive], axis=-1)

    def bounded(self, eta: Any) -> Array:
        return jax.nn.sigmoid(eta)

    def outcome(self, y: Any) -> Array:
        return jnp.asarray(y, jnp.float32)[..., None]

    def strata(self, y: Any) -> Array | None:
        return jax.nn.one_hot(jnp.asarray(y, jnp.int32), 2)

    def precision(self, values: Mapping[str, Any]) -> Any:
        return 1.0

    def residual_variance(self, values: Mapping[str, Any], mean: float) -> Any:
        return LOGISTIC_VARIANCE

    def start(self, mean_y: Any) -> Array:
        rate = jnp.clip(mean_y, 1e-3, 1 - 1e-3)
        return (jnp.log(rate) - jnp.log1p(-rate))[None]


@dataclass(frozen=True)
class Categorical:
    """Target with ``outputs`` classes and a softmax link: P(y = k) = exp(eta_k) / sum_j exp(eta_j).

    All K links are free: adding one number to all of them changes nothing, and the Normal priors of
    the effects (the initial values of a network) settle it. An effect is to be read against the
    other classes', not against 0.

    Examples
    --------
    >>> Categorical(3).mean(jnp.zeros((1, 3)), {}).shape
    (1, 3)
    """

    outputs: int
    effect_scale: float = 1.5
    target: str = "class"
    quadratic: bool = False

    def latents(self) -> tuple[tuple[Latent, dist.Distribution], ...]:
        return ()

    def distribution(self, eta: Any, values: Mapping[str, Any]) -> Any:
        return dist.Categorical(logits=eta)

    def mean(self, eta: Any, values: Mapping[str, Any]) -> Array:
        return jax.nn.softmax(eta, axis=-1)

    def bounded(self, eta: Any) -> Array:
        return jax.nn.softmax(eta, axis=-1)

    def outcome(self, y: Any) -> Array:
        return jax.nn.one_hot(jnp.asarray(y, jnp.int32), self.outputs)

    def strata(self, y: Any) -> Array | None:
        return jax.nn.one_hot(jnp.asarray(y, jnp.int32), self.outputs)

    def precision(self, values: Mapping[str, Any]) -> Any:
        return 1.0

    def residual_variance(self, values: Mapping[str, Any], mean: float) -> Any:
        return GUMBEL_VARIANCE

    def start(self, mean_y: Any) -> Array:
        return jnp.zeros(self.outputs)
