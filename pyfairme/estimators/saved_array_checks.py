"""The arrays of a saved fit: they have the shapes that its structure asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pyfairme.data import Design
from pyfairme.inference.cluster_similarity import GRID, site_name
from pyfairme.inference.predictions import Fit
from pyfairme.model.networks import Layer
from pyfairme.model.program import ModelSpec
from pyfairme.notices import StateError, shown


def check_arrays(fit: Fit, design: Design) -> None:
    """Raise StateError for arrays that are absent, too many, of another shape, or not finite.

    Quality may say NaN or infinity: that nothing is known, or nothing good.
    """
    spec = fit.spec
    checked("centre", fit.centre, (None, spec.likelihood.outputs))
    members = len(fit.centre)
    if not members:
        raise StateError("expected at least one member")
    _network("network", fit.network, _sizes(spec), (members,), latent=spec.last_layer)
    _draws(fit, members)
    _membership(fit, design)
    terms = {site_name(factor, term) for factor in spec.factors for term in factor.sites}
    _names("likeness", fit.likeness, terms)
    for name, value in fit.likeness.items():
        checked(name, value, GRID.shape)
    if fit.gains is not None:
        checked("gains", fit.gains, (members, 2))
    for name, value in fit.quality.items():
        _quality(name, value, members)


def checked(name: str, value: object, shape: tuple[int | None, ...]) -> np.ndarray:
    """Return an array of finite real numbers of a shape, None in which stands for any length."""
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        raise StateError(f"{name}: expected an array of real numbers, got {type(value).__name__}")
    fits = len(value.shape) == len(shape)
    if not fits or any(w not in (None, n) for n, w in zip(value.shape, shape, strict=True)):
        raise StateError(f"{name}: expected the shape {shape}, got {value.shape}")
    if not np.isfinite(value).all():
        raise StateError(f"{name}: expected finite numbers")
    return value


def line(name: str, value: object) -> np.ndarray:
    """Return an array (n,) of numbers, which may be NaN or infinite."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub" or value.ndim != 1:
        raise StateError(f"{name}: expected a row of numbers, got {shown(value)}")
    return value


def _sizes(spec: ModelSpec) -> tuple[int, ...]:
    return (spec.covariates, *spec.hidden, spec.likelihood.outputs)


def _network(
    name: str,
    layers: tuple[Layer, ...],
    sizes: tuple[int, ...],
    lead: tuple[int, ...],
    *,
    latent: bool = False,
) -> None:
    """Check a perceptron's layers; a latent last layer has an empty place in it."""
    if len(layers) != len(sizes) - 1:
        raise StateError(f"{name}: expected {len(sizes) - 1} layers, got {len(layers)}")
    for index, layer in enumerate(layers):
        inputs, outputs = sizes[index : index + 2]
        if latent and index == len(layers) - 1:
            inputs, outputs = 0, 0
        checked(f"{name}, weights {index}", layer.weight, (*lead, inputs, outputs))
        checked(f"{name}, biases {index}", layer.bias, (*lead, outputs))


def _draws(fit: Fit, members: int) -> None:
    latents = {latent.name: latent.shape for latent in fit.spec.latents}
    _names("draws", fit.draws, latents)
    if set(fit.draws) != set(latents):
        raise StateError(f"draws: expected {sorted(latents)}, got {sorted(fit.draws)}")
    lengths = {np.shape(value)[1:2] for value in fit.draws.values()}
    if len(lengths) > 1 or (0,) in lengths:
        raise StateError("draws: expected as many of one latent variable as of another")
    for name, shape in latents.items():
        checked(f"draws of {name}", fit.draws[name], (members, None, *shape))


def _membership(fit: Fit, design: Design) -> None:
    if not fit.membership:
        return
    factors = fit.spec.factors
    if len(fit.membership) != len(factors):
        raise StateError(f"membership: expected {len(factors)} networks or none")
    for factor, network in zip(factors, fit.membership, strict=True):
        if not network:
            continue
        widths = tuple(np.shape(layer.bias)[-1] for layer in network)
        _network("membership", network, (fit.spec.covariates, *widths), ())
        if widths[-1] > len(design.clusters[factor.name]):  # those of `adapt` come after it
            raise StateError("membership: expected at most as many classes as clusters")


def _quality(name: str, value: Any, members: int) -> None:
    axes = np.ndim(value)
    if axes not in (1, 2) or not 1 <= len(value) <= members or members % len(value):
        raise StateError(f"{name}: expected a number or a row of numbers for each member")
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        raise StateError(f"{name}: expected an array of numbers, got {type(value).__name__}")


def _names(what: str, found: Mapping[str, Any], known: Any) -> None:
    more = sorted(set(found) - set(known))
    if more:
        raise StateError(f"{what}: there is no {more[0]!r} in this model")
