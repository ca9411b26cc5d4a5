"""Draws of the latent variables in the units of the data, by name and with named dims."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pyfairme.inference.arviz_groups import assemble, group
from pyfairme.inference.predictions import Fit
from pyfairme.metrics.names import apart
from pyfairme.model.effects import RandomEffects
from pyfairme.model.program import LAST_LAYER
from pyfairme.model.tangent import LINEAR

if TYPE_CHECKING:
    import xarray as xr

CLASS, FIXED_TERM = "class", "fixed_term"  # dims
INTERCEPT, CORRELATION = "Intercept", "cor("  # terms; the second with two terms behind it


@dataclass(frozen=True)
class AxisLabels:
    """Names and units that turn draws on the model's scale into draws in the data's units.

    ``clusters`` and ``terms`` hold, per factor, the labels of its clusters and of its slope terms;
    ``slope_origin`` the value of each slope's column at which the slope adds nothing,
    ``slope_scale`` the standard deviation by which the distance from it was divided, and
    ``slope_mean`` its mean over training rows after that. ``columns``, ``column_mean`` and
    ``column_scale`` describe the columns of x; ``target_mean`` and ``target_scale`` the link of
    an encoded target, ``mean_count`` one of counts.
    """

    clusters: dict[str, tuple[str, ...]]
    terms: dict[str, tuple[str, ...]]
    slope_origin: dict[str, np.ndarray]
    slope_scale: dict[str, np.ndarray]
    slope_mean: dict[str, np.ndarray]
    columns: tuple[str, ...]
    column_mean: np.ndarray
    column_scale: np.ndarray
    target_mean: float = 0.0
    target_scale: float = 1.0
    mean_count: float = np.nan
    classes: tuple[str, ...] = ()


class Variable(NamedTuple):
    """One posterior variable: draws (members, draws, *shape) in units of ``unit``, named dims."""

    name: str
    draws: np.ndarray
    dims: tuple[str, ...]
    unit: np.ndarray | np.float64 = np.float64(1.0)

    @property
    def values(self) -> np.ndarray:
        """Draws in the data's units, float64: twice the memory of those of the fit."""
        return self.draws * self.unit


def variables(fit: Fit, labels: AxisLabels) -> Iterator[Variable]:
    """Yield every variable of the posterior, in the data's units, without singleton outputs."""
    many = fit.spec.likelihood.outputs > 1
    last = (CLASS,) if many else ()
    unit_of_target = np.float64(labels.target_scale)  # it may be beyond the draws' precision
    for latent, _ in fit.spec.likelihood.latents():
        scale = unit_of_target if latent.in_units else np.float64(1.0)
        yield Variable(latent.name, fit.draws[latent.name], (), scale)
    dim = _dims(fit)
    if fit.spec.linear_latent:
        values = linear_effects(fit, labels)
        yield Variable("fixed_effects", values if many else values[..., 0], (FIXED_TERM, *last))
    for factor in fit.spec.factors:
        for term in factor.sites:
            unit: Any = unit_of_target
            dims: tuple[str, ...] = ()
            if term == "slopes":
                dims = (dim[factor.name, "term"],)
                unit = labels.target_scale / labels.slope_scale[factor.name]
                unit = unit[:, None] if many else unit
            for name, leading in ((term, (dim[factor.name, ""],)), (f"{term}_sd", ())):
                draws = fit.draws[f"{factor.name}_{name}"]
                draws = draws if many else draws[..., 0]
                yield Variable(f"{factor.name}_{name}", draws, (*leading, *dims, *last), unit)
        if factor.correlated:
            cholesky = fit.draws[f"{factor.name}_cholesky"]  # (members, draws, K, d, d)
            values = np.moveaxis(cholesky @ np.swapaxes(cholesky, -1, -2), 2, -1)
            values = values if many else values[..., 0]
            dims = (dim[factor.name, "effect"], dim[factor.name, "effect_2"])
            yield Variable(f"{factor.name}_correlation", values, (*dims, *last))


def _dims(fit: Fit) -> dict[tuple[str, str], str]:
    """Name the dims of every factor: by its name and "", "term", "effect" or "effect_2".

    A dim is called as the cluster column, or with these words behind it; "_" is added where the
    name is that of a variable or of another dim.
    """
    taken = {"chain", "draw"} | {latent.name for latent, _ in fit.spec.likelihood.latents()}
    if fit.spec.likelihood.outputs > 1:
        taken.add(CLASS)
    if fit.spec.linear_latent:
        taken |= {FIXED_TERM, "fixed_effects"}
    for factor in fit.spec.factors:
        sites = [f"{factor.name}_{term}" for term in factor.sites]
        taken |= {*sites, *(f"{site}_sd" for site in sites)}
        if factor.correlated:
            taken.add(f"{factor.name}_correlation")
    wanted = [("", ""), ("term", "_term"), ("effect", "_effect"), ("effect_2", "_effect_2")]
    found: dict[tuple[str, str], str] = {}
    for kind, ending in wanted:
        for factor in fit.spec.factors:
            name = factor.name + ending
            while name in taken:
                name += "_"
            taken.add(name)
            found[factor.name, kind] = name
    return found


def latent_group(fit: Fit, labels: AxisLabels, attrs: dict[str, Any]) -> xr.Dataset:
    """Return all draws of a fit as one group: chain, draw, then each variable's own dims."""
    data = {
        variable.name: (
            ("chain", "draw", *variable.dims),
            np.asarray(variable.values, dtype=np.float64),
        )
        for variable in variables(fit, labels)
    }
    return group(data, _coords(fit, labels), attrs)


def to_arviz(fit: Fit, labels: AxisLabels, attrs: dict[str, Any]) -> Any:
    """Return the posterior as the ArviZ object of the installed ArviZ.

    InferenceData for ArviZ 0.x, xarray.DataTree from 1.0 on. Dims: chain (members of an ensemble),
    draw, then the cluster column's name and ``<cluster>_term`` for slopes.
    """
    return assemble({"posterior": latent_group(fit, labels, attrs)})


def _coords(fit: Fit, labels: AxisLabels) -> dict[str, tuple[str, ...]]:
    coords: dict[str, tuple[str, ...]] = {
        CLASS: labels.classes,
        FIXED_TERM: fixed_terms(labels),
    }
    dim = _dims(fit)
    for factor in fit.spec.factors:
        coords[dim[factor.name, ""]] = labels.clusters[factor.name]
        coords[dim[factor.name, "term"]] = labels.terms[factor.name]
        for kind in ("effect", "effect_2"):
            coords[dim[factor.name, kind]] = effect_names(factor, labels)
    return coords


def term_name(column: str) -> str:
    """Return a column's name as a term, in quotation marks where it reads as a term of ours.

    Examples
    --------
    >>> term_name("x"), term_name("Intercept"), term_name("cor(a, b)")
    ('x', '"Intercept"', '"cor(a, b)"')
    """
    core = column.strip('"')
    return apart(column, {INTERCEPT, core} if core.startswith(CORRELATION) else {INTERCEPT})


def effect_names(factor: RandomEffects, labels: AxisLabels) -> tuple[str, ...]:
    """Names of a cluster's effects: the intercept, if there is one, then its slopes."""
    return (*((INTERCEPT,) if factor.intercept else ()), *labels.terms[factor.name])


def fixed_terms(labels: AxisLabels) -> tuple[str, ...]:
    """Names of the linear fixed effects: the intercept, then the columns of x."""
    return (INTERCEPT, *labels.columns)


def linear_effects(fit: Fit, labels: AxisLabels) -> np.ndarray:
    """Linear fixed effects in the data's units: (members, draws, 1 + p, K)."""
    if fit.spec.tangent:
        weight, bias = fit.draws[LINEAR][..., :-1, :], fit.draws[LINEAR][..., -1, :]
    elif fit.spec.last_layer:
        weight, bias = fit.draws[LAST_LAYER[0]], fit.draws[LAST_LAYER[1]]
    else:
        weight, bias = (leaf[:, None] for leaf in fit.network[-1])
    unit = np.float64(labels.target_scale)
    slopes = weight / labels.column_scale[:, None] * unit
    shift = (slopes * labels.column_mean[:, None]).sum(axis=-2)
    intercept = bias * unit + labels.target_mean - shift
    return np.concatenate([intercept[..., None, :], slopes], axis=-2)
