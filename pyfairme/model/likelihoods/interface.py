"""What a likelihood is; see the description at the top of this folder's `__init__`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array
from numpyro.distributions import transforms

BOUND = 3.0  # units beyond which a real prediction saturates for an adversary


class Latent(NamedTuple):
    """A latent variable: its site, shape, whether it is positive, and where its guide starts.

    ``in_units`` says that it is in the units in which the target was standardised,
    ``correlations`` that it is a Cholesky factor (..., d, d) of correlations. ``plate`` is that of
    its clusters, the first axis; the others belong to one value.

    Examples
    --------
    >>> Latent("residual_sd", shape=(), positive=True, start=0.7, in_units=True).name
    'residual_sd'
    """

    name: str
    shape: tuple[int, ...]
    positive: bool
    start: float
    in_units: bool = False
    correlations: bool = False
    plate: str | None = None

    @property
    def event_dim(self) -> int:
        """Number of axes of one value."""
        return len(self.shape) - (self.plate is not None)

    def in_plate(self) -> AbstractContextManager[Any]:
        """Enter the plate in which the latent is drawn, or nothing."""
        return numpyro.plate(self.plate, self.shape[0], dim=-1) if self.plate else nullcontext()

    @property
    def transform(self) -> Any:
        """The bijection from real numbers of ``free_shape`` to the latent's values."""
        if self.correlations:
            return transforms.CorrCholeskyTransform()
        return transforms.ExpTransform() if self.positive else transforms.IdentityTransform()

    @property
    def free_shape(self) -> tuple[int, ...]:
        """Shape of the real numbers that ``transform`` maps to the latent."""
        if not self.correlations:
            return self.shape
        *outer, _, terms = self.shape
        return (*outer, terms * (terms - 1) // 2)

    @property
    def free_start(self) -> float:
        """Where its guide starts, as a real number."""
        if self.correlations:
            return 0.0
        return float(np.log(self.start)) if self.positive else self.start


@runtime_checkable
class Likelihood(Protocol):
    """The interface described at the top of this folder.

    Examples
    --------
    >>> from pyfairme.model.likelihoods import Normal
    >>> own: Likelihood = Normal()  # or a class of your own with these attributes
    >>> own.target, own.outputs
    ('real', 1)
    """

    @property
    def outputs(self) -> int: ...
    @property
    def effect_scale(self) -> float: ...
    @property
    def target(self) -> str: ...
    @property
    def quadratic(self) -> bool: ...
    def latents(self) -> tuple[tuple[Latent, dist.Distribution], ...]: ...
    def distribution(self, eta: Any, values: Mapping[str, Any]) -> Any: ...
    def mean(self, eta: Any, values: Mapping[str, Any]) -> Array: ...
    def bounded(self, eta: Any) -> Array: ...
    def outcome(self, y: Any) -> Array: ...
    def strata(self, y: Any) -> Array | None: ...
    def precision(self, values: Mapping[str, Any]) -> Any: ...
    def residual_variance(self, values: Mapping[str, Any], mean: float) -> Any: ...
    def start(self, mean_y: Any) -> Array: ...


def saturate(value: Any, unit: float) -> Array:
    """Return value / unit where that is small against ``BOUND``, which it never exceeds.

    Examples
    --------
    >>> saturate(jnp.array([0.0, 1000.0]), unit=1.0)
    Array([0., 3.], dtype=float32)
    """
    return BOUND * jnp.tanh(value / (BOUND * unit))


def residual_of(likelihood: Likelihood, eta: Any, y: Any) -> Array | None:
    """Return link minus outcome, (n, V), not saturated; None of a likelihood that does not say it.

    Examples
    --------
    >>> from pyfairme.model.likelihoods import Bernoulli, Normal
    >>> residual_of(Normal(), jnp.array([[0.5]]), jnp.array([10.0]))
    Array([[-9.5]], dtype=float32)
    >>> residual_of(Bernoulli(), jnp.array([[0.5]]), jnp.array([1])) is None
    True
    """
    own = getattr(likelihood, "residual", None)
    return None if own is None else own(eta, y)


def noise_is_known(likelihood: Likelihood) -> bool:
    """Tell whether a real target's noise has no parameter: it is given, row by row, by weights.

    Examples
    --------
    >>> from pyfairme.model.likelihoods import KnownErrors, Normal
    >>> noise_is_known(Normal()), noise_is_known(KnownErrors(1.0))
    (False, True)
    """
    return likelihood.target == "real" and not likelihood.latents()
