"""Likelihoods of a standardised real target: Normal, with known errors or not, and Student t."""

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
    """Real target, standardised, with residual SD ``residual_sd`` ~ HalfNormal(1).

    Examples
    --------
    >>> [latent.name for latent, prior in Normal().latents()]
    ['residual_sd']
    """

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

    def residual(self, eta: Any, y: Any) -> Array:
        return (eta - jnp.asarray(y)[..., None]) / self.unit

    def strata(self, y: Any) -> Array | None:
        return None

    def precision(self, values: Mapping[str, Any]) -> Any:
        return values["residual_sd"] ** -2

    def residual_variance(self, values: Mapping[str, Any], mean: float) -> Any:
        return values["residual_sd"] ** 2

    def start(self, mean_y: Any) -> Array:
        return mean_y[None]


@dataclass(frozen=True)
class KnownErrors:
    """Estimates whose standard errors are known, such as those of studies in a meta-analysis.

    y_i ~ Normal(eta_i, sd^2 / w_i): weights do not count rows here but state how precise each is.
    Give ``sample_weight=(sd / error) ** 2``. As the SD is no parameter, a weighted log density is
    that of the row's own standard error up to a constant, and every guide, `refine` and `adapt`
    take it as it is. A new outcome, and the log density of one, are of a row of weight 1.

    Parameters
    ----------
    sd
        Standard error of a row of weight 1, in the units of y.
    value_scale
        By what the target was divided when it was standardised; `likelihood_of` fills it in.

    Raises
    ------
    ValueError
        When ``sd`` is not a positive finite number.

    Examples
    --------
    Eight schools (Rubin 1981), each the cluster of its own estimate:

    >>> import numpy as np, pandas as pd, pyfairme as pf
    >>> schools = pd.DataFrame({"school": list("ABCDEFGH")})
    >>> effect = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
    >>> error = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
    >>> model = pf.FairMixedEffectsRegressor(
    ...     "school",
    ...     likelihood=pf.KnownErrors(10.0),
    ...     hidden=(),
    ...     guide="block",
    ...     network_posterior="last_layer",
    ...     validation_fraction=0,
    ...     unseen="population",
    ...     random_state=0,
    ... ).fit(schools, effect, sample_weight=(10.0 / error) ** 2)
    >>> bool((model.predict(schools) < effect.max()).all())
    True
    """

    sd: float
    value_scale: float = 1.0
    outputs: int = 1
    effect_scale: float = 1.0
    target: str = "real"
    quadratic: bool = True

    def __post_init__(self) -> None:
        if not (np.isfinite(self.sd) and self.sd > 0):
            raise ValueError(
                f"Expected a positive standard error of a row of weight 1, got sd={self.sd}: give "
                "a typical one, and sample_weight=(sd / error) ** 2. [bad-standard-error]"
            )

    @property
    def residual_sd(self) -> float:
        """The standard error of a row of weight 1 on the standardised target."""
        return self.sd / self.value_scale

    def latents(self) -> tuple[tuple[Latent, dist.Distribution], ...]:
        return ()

    def distribution(self, eta: Any, values: Mapping[str, Any]) -> Any:
        return dist.Normal(eta[..., 0], self.residual_sd)

    def mean(self, eta: Any, values: Mapping[str, Any]) -> Array:
        return eta[..., 0]

    def bounded(self, eta: Any) -> Array:
        return saturate(eta, 1.0)

    def outcome(self, y: Any) -> Array:
        return saturate(jnp.asarray(y)[..., None], 1.0)

    def residual(self, eta: Any, y: Any) -> Array:
        return jnp.asarray(eta - jnp.asarray(y)[..., None])

    def strata(self, y: Any) -> Array | None:
        return None

    def precision(self, values: Mapping[str, Any]) -> Any:
        return self.residual_sd**-2

    def residual_variance(self, values: Mapping[str, Any], mean: float) -> Any:
        return self.residual_sd**2

    def start(self, mean_y: Any) -> Array:
        return mean_y[None]


@dataclass(frozen=True)
class StudentT:
    """Real target with heavy tails, standardised: y = eta + residual_scale t_df.

    ``residual_scale`` ~ HalfNormal(1); ``df`` ~ Gamma(2, 0.1) (Juarez & Steel 2010), which reaches
    from Cauchy-like tails to nearly Normal ones. The prediction is the location eta, which is the
    mean for df > 1.

    Examples
    --------
    >>> import pyfairme as pf
    >>> reg = pf.FairMixedEffectsRegressor("school", likelihood=StudentT())  # or "student_t"
    >>> [latent.name for latent, prior in reg.likelihood.latents()]
    ['residual_scale', 'df']
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
