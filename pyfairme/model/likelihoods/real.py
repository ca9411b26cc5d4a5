"""Likelihoods of a standardised real target: Normal and Student t."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array

from pyfairme.model.likelihoods.interface import Latent, saturate


@dataclass(frozen=True)
class Normal:
    """Real target, standardised, with residual SD ``residual_sd`` ~ HalfNormal(1)."""

    unit: float = 1.0
    outputs: int = 1
    effect_scale: float = 1.0
    target: str = "real"
    quadratic: bool = True

    def latents(self) -> tuple[tuple[Latent, dist.Distribution], ...]:
        return ((Latent("residual_sd", (), True, 0.7, in_units=True), dist.HalfNormal(1.0)),)

    def distribution(self, eta: Any, values: Mapping[str, Any]) -> Any:
        return dist.Normal(eta[..., 0], values["residual_sd"])

    def mean(self, eta: Any, values: Mapping[str, Any]) -> Array:
        return eta[..., 0]

    def bounded(self, eta: Any) -> Array:
        return saturate(eta, self.unit)

    def outcome(self, y: Any) -> Array:
        return saturate(jnp.asarray(y)[..., None], self.unit)

    def strata(self, y: Any) -> Array | None:
        return None

    def precision(self, values: Mapping[str, Any]) -> Any:
        return values["residual_sd"] ** -2

    def residual_variance(self, values: Mapping[str, Any], mean: float) -> Any:
        return values["residual_sd"] ** 2

    def start(self, mean_y: Any) -> Array:
        return mean_y[None]


@dataclass(frozen=True)
class StudentT:
    """Real target with heavy tails, standardised: y = eta + residual_scale t_df.

    ``residual_scale`` ~ HalfNormal(1); ``df`` ~ Gamma(2, 0.1) (Juarez & Steel 2010), which reaches
    from Cauchy-like tails to nearly Normal ones. The prediction is the location eta, which is the
    mean for df > 1.
    """

    unit: float = 1.0
    outputs: int = 1
    effect_scale: float = 1.0
    target: str = "real"
    quadratic: bool = False

    def latents(self) -> tuple[tuple[Latent, dist.Distribution], ...]:
        return (
            (Latent("residual_scale", (), True, 0.5, in_units=True), dist.HalfNormal(1.0)),
            (Latent("df", (), True, 8.0), dist.Gamma(2.0, 0.1)),
        )

    def distribution(self, eta: Any, values: Mapping[str, Any]) -> Any:
        return dist.StudentT(values["df"], eta[..., 0], values["residual_scale"])

    def mean(self, eta: Any, values: Mapping[str, Any]) -> Array:
        return eta[..., 0]

    def bounded(self, eta: Any) -> Array:
        return saturate(eta, self.unit)

    def outcome(self, y: Any) -> Array:
        return saturate(jnp.asarray(y)[..., None], self.unit)

    def strata(self, y: Any) -> Array | None:
        return None

    def precision(self, values: Mapping[str, Any]) -> Any:
        df = values["df"]  # Fisher information of the location
        return (df + 1) / ((df + 3) * values["residual_scale"] ** 2)

    def residual_variance(self, values: Mapping[str, Any], mean: float) -> Any:
        df = values["df"]  # the variance is infinite up to df = 2
        spread = np.where(df > 2, df / np.maximum(df - 2, 1e-12), np.inf)
        return values["residual_scale"] ** 2 * spread

    def start(self, mean_y: Any) -> Array:
        return mean_y[None]
