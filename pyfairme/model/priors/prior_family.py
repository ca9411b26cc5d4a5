"""What a family of priors is; see the description at the top of this folder's `__init__`."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpyro.distributions as dist


@runtime_checkable
class PriorFamily(Protocol):
    """The interface described at the top of this folder; hashable, as programs are compiled for it.

    The distribution has no batch shape: ``shape`` is that of one event.

    Examples
    --------
    >>> from pyfairme.model.priors import PRIORS
    >>> family: PriorFamily = PRIORS["half_normal"]  # or an object of your own
    >>> family.support, family.values
    ('positive', ('scale',))
    """

    @property
    def support(self) -> str: ...
    @property
    def values(self) -> tuple[str, ...]: ...
    def distribution(self, shape: tuple[int, ...], *values: Any) -> dist.Distribution: ...
