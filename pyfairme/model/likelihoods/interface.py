"""What a likelihood is; see the description at the top of this folder's `__init__`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array

__all__ = ["BOUND", "Latent", "Likelihood", "saturate"]

BOUND = 3.0  # units beyond which a real prediction saturates for an adversary


class Latent(NamedTuple):
    """A latent variable: its site, shape, whether it is positive, and where its guide starts.

    ``in_units`` says that it is in the units in which the target was standardised.
    """

    name: str
    shape: tuple[int, ...]
    positive: bool
    start: float
    in_units: bool = False


@runtime_checkable
class Likelihood(Protocol):
    """The interface described at the top of this folder."""

    @property
    def outputs(self) -> int: ...
    @property
    def effect_scale(self) -> float: ...
    @property
    def target(self) -> str: ...
    def latents(self) -> tuple[tuple[Latent, dist.Distribution], ...]: ...
    def distribution(self, eta: Any, values: Mapping[str, Array]) -> Any: ...
    def mean(self, eta: Any, values: Mapping[str, Array]) -> Array: ...
    def bounded(self, eta: Any) -> Array: ...
    def outcome(self, y: Any) -> Array: ...
    def strata(self, y: Any) -> Array | None: ...
    def residual_variance(self, values: Mapping[str, Any], mean: float) -> Any: ...
    def start(self, mean_y: Any) -> Array: ...


def saturate(value: Any, unit: float) -> Array:
    """Return value / unit where that is small against ``BOUND``, which it never exceeds."""
    return BOUND * jnp.tanh(value / (BOUND * unit))
