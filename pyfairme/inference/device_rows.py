"""Training on several devices: each computes a part of the rows of every step.

The table, the parameters and the guide's noise are the same on all; XLA adds up what the devices
found (jax.sharding, "data parallel"). The program is the same function as on one device, so that
results differ by rounding only.
"""

from __future__ import annotations

from math import gcd
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec


def device_count(devices: int | str) -> int:
    """Return how many devices train; "all" is every device of JAX's default platform.

    Raises
    ------
    ValueError
        When the process has fewer.

    Examples
    --------
    >>> device_count(1)
    1
    """
    there = jax.local_device_count()
    asked = there if isinstance(devices, str) else int(devices)
    if asked > there:
        raise ValueError(
            f"devices={asked}, and JAX sees {there} ({jax.default_backend()}). Expected at most so "
            "many; a processor counts as several only where XLA_FLAGS had "
            f"--xla_force_host_platform_device_count={asked} before JAX started. [devices]"
        )
    return asked


class DeviceRows:
    """Where arrays lie while `fit_members` trains.

    Parameters
    ----------
    devices
        How many of the process's devices train, the first ones; 1 leaves everything to JAX.
    size
        Rows of a step. Where they cannot be dealt out evenly, fewer devices train.

    Examples
    --------
    >>> import numpy as np
    >>> rows = DeviceRows(1, 3).split(np.arange(6).reshape(2, 3))
    >>> rows.shape
    (2, 3)
    """

    def __init__(self, devices: int, size: int) -> None:
        self._mesh = None
        devices = gcd(devices, size)
        if devices > 1:
            self._mesh = Mesh(np.array(jax.devices()[:devices]), ("devices",))

    def whole(self, tree: Any) -> Any:
        """Put the whole of every array on each device."""
        if self._mesh is None:
            return jax.device_put(tree)
        return jax.device_put(tree, NamedSharding(self._mesh, PartitionSpec()))

    def split(self, rows: np.ndarray) -> Any:
        """Deal numbers of rows (..., b) out to the devices, along the last axis."""
        if self._mesh is None:
            return rows
        parts = PartitionSpec(*[None] * (rows.ndim - 1), "devices")
        return jax.device_put(rows, NamedSharding(self._mesh, parts))
