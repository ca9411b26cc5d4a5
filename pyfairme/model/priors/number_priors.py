"""Priors of numbers, independent of each other: positive ones (scales) and real ones (weights).

Numbers stand in the order and the parametrisation of NumPyro and Stan: a Gamma has a concentration
and a rate, a LogNormal the mean and the SD of the logarithm. Half-Cauchy and half-Student-t of
scales are Gelman's (2006), the Exponential is the penalised-complexity prior of Simpson, Rue,
Riebler, Martins & Sorbye (2017).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array


@dataclass(frozen=True)
class NumberPrior:
    """Independent numbers of one distribution: ``scalar(*values)`` is that of one number.

    Examples
    --------
    >>> POSITIVE["half_cauchy"].distribution((3,), 1.0).event_shape
    (3,)
    """

    support: str
    values: tuple[str, ...]
    scalar: Callable[..., dist.Distribution]

    def distribution(self, shape: tuple[int, ...], *values: Any) -> dist.Distribution:
        """Return the distribution of an array of ``shape``."""
        return self.scalar(*values).expand(shape).to_event(len(shape))


class _Uniform(dist.Uniform):
    """Uniform whose density beyond its bounds is 0, not that inside of them."""

    def log_prob(self, value: Any) -> Array:
        inside = (value >= self.low) & (value <= self.high)
        return jnp.where(inside, super().log_prob(value), -jnp.inf)


def _uniform(high: Any) -> dist.Distribution:
    return _Uniform(0.0, high)


def _half_student_t(df: Any, scale: Any) -> dist.Distribution:
    return dist.FoldedDistribution(dist.StudentT(df, 0.0, scale))


def _normal(scale: Any) -> dist.Distribution:
    return dist.Normal(0.0, scale)


def _positive(scalar: Callable[..., dist.Distribution], *values: str) -> NumberPrior:
    return NumberPrior("positive", values, scalar)


POSITIVE: Mapping[str, NumberPrior] = {
    "half_normal": _positive(dist.HalfNormal, "scale"),
    "half_cauchy": _positive(dist.HalfCauchy, "scale"),
    "half_student_t": _positive(_half_student_t, "df", "scale"),
    "exponential": _positive(dist.Exponential, "rate"),
    "gamma": _positive(dist.Gamma, "concentration", "rate"),
    "inverse_gamma": _positive(dist.InverseGamma, "concentration", "rate"),
    "log_normal": _positive(dist.LogNormal, "loc", "scale"),
    "uniform": _positive(_uniform, "high"),
}

REAL: Mapping[str, NumberPrior] = {"normal": NumberPrior("real", ("scale",), _normal)}
