"""Groups of an ArviZ object: xarray datasets with named dims, for ArviZ 0.x and 1.x.

It knows which ArviZ is installed, as `psis` does; no other module needs to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr


def group(
    data: Mapping[str, tuple[Any, ...]],
    coords: Mapping[str, Sequence[Any] | np.ndarray],
    attrs: Mapping[str, Any],
) -> xr.Dataset:
    """Return one group.

    Parameters
    ----------
    data
        Name -> (dims, values) or (dims, values, attributes).
    coords
        Labels of dims; only those that a variable has are used. ``chain`` and ``draw`` are
        numbered from 0.
    attrs
        Attributes beside those that say which libraries made the group.

    Notes
    -----
    A slash separates groups in a tree and in a netCDF file, so names have "_" instead; one more
    where "a_b" stands beside "a/b".
    """
    import xarray as xr

    safe = _without_slashes([*data, *coords, *(dim for dims, *_ in data.values() for dim in dims)])
    named = {
        safe[name]: (tuple(safe[dim] for dim in dims), *rest)
        for name, (dims, *rest) in data.items()
    }
    sizes = {dim: n for dims, v, *_ in named.values() for dim, n in zip(dims, v.shape, strict=True)}
    labels: dict[str, Any] = {safe[name]: np.asarray(values) for name, values in coords.items()}
    labels |= {dim: np.arange(sizes[dim]) for dim in ("chain", "draw") if dim in sizes}
    used = {dim: values for dim, values in labels.items() if dim in sizes}
    return xr.Dataset(named, coords=used, attrs={**_made_by(), **attrs})


def assemble(groups: Mapping[str, xr.Dataset]) -> Any:
    """Return the groups as InferenceData for ArviZ 0.x, as xarray.DataTree from 1.0 on."""
    import arviz as az

    named: dict[str, Any] = dict(groups)
    if int(az.__version__.split(".")[0]) >= 1:
        import xarray as xr

        return xr.DataTree.from_dict(named)
    return az.InferenceData(**named)


def power_scaling(data: Any) -> xr.Dataset:
    """Return how much the posterior changes as the groups ``log_prior`` are power-scaled.

    The gradient of the cumulative Jensen-Shannon distance of every variable of ``posterior``
    (Kallioinen, Paananen, Buerkner & Vehtari 2024), as ArviZ computes it.
    """
    try:
        from arviz_stats import psense  # type: ignore[import-not-found]
    except ImportError:
        from arviz import psens

        return psens(data)
    return psense(data)


def _without_slashes(names: Sequence[str]) -> dict[str, str]:
    """Return a name without slashes for each, all different."""
    found = {name: name for name in names if "/" not in name}
    for name in sorted({*names} - {*found}):
        text = name.replace("/", "_")
        while text in found.values():
            text += "_"
        found[name] = text
    return found


def _made_by() -> dict[str, str]:
    """Name the libraries behind a group, under the names of ArviZ's schema."""
    return {
        "created_at": datetime.now(UTC).isoformat(),
        "creation_library": "pyfairme",
        "creation_library_version": _version("pyfairme"),
        "inference_library": "numpyro",
        "inference_library_version": _version("numpyro"),
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # a checkout that was never installed
        return "unknown"
