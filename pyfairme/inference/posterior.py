"""Posterior draws in the units of the data: to ArviZ and to tidy tables.

The only module that knows which ArviZ is installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pyfairme.inference.predict import Fit
from pyfairme.model.effects import Factor
from pyfairme.model.program import LAST_LAYER

__all__ = ["Labels", "cluster_effects", "fixed_effects", "icc", "to_arviz", "variance_components"]


@dataclass(frozen=True)
class Labels:
    """Names and units that turn draws on the model's scale into draws in the data's units.

    ``clusters`` and ``terms`` hold, per factor, the labels of its clusters and of its slope terms;
    ``slope_scale`` the standard deviation by which each slope's column was divided, and
    ``slope_mean`` its mean over training rows after that. ``columns``, ``column_mean`` and
    ``column_scale`` describe the columns of x; ``target_mean`` and ``target_scale`` a standardised
    target, ``mean_count`` one of counts.
    """

    clusters: dict[str, tuple[str, ...]]
    terms: dict[str, tuple[str, ...]]
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
    """One posterior variable in the data's units: draws (members, draws, *shape), named dims."""

    name: str
    values: np.ndarray
    dims: tuple[str, ...]


def variables(fit: Fit, labels: Labels) -> Iterator[Variable]:
    """Yield every variable of the posterior, in the data's units, without singleton outputs."""
    many = fit.spec.likelihood.outputs > 1
    last = ("class",) if many else ()
    for latent, _ in fit.spec.likelihood.latents():
        scale = labels.target_scale if latent.in_units else 1.0
        yield Variable(latent.name, fit.draws[latent.name] * scale, ())
    if fit.spec.last_layer and not fit.spec.hidden:
        values = _linear(fit, labels)
        yield Variable("fixed_effects", values if many else values[..., 0], ("fixed_term", *last))
    for factor in fit.spec.factors:
        for term in factor.sites:
            unit = labels.target_scale
            dims: tuple[str, ...] = ()
            if term == "slopes":
                dims = (f"{factor.name}_term",)
                unit = (labels.target_scale / labels.slope_scale[factor.name])[:, None]
            for name, leading in ((term, (factor.name,)), (f"{term}_sd", ())):
                values = fit.draws[f"{factor.name}_{name}"] * unit
                values = values if many else values[..., 0]
                yield Variable(f"{factor.name}_{name}", values, (*leading, *dims, *last))


def to_arviz(fit: Fit, labels: Labels, attrs: dict[str, Any]) -> Any:
    """Return the posterior as the ArviZ object of the installed ArviZ.

    InferenceData for ArviZ 0.x, xarray.DataTree from 1.0 on. Dims: chain (members of an ensemble),
    draw, then the cluster column's name and ``<cluster>_term`` for slopes.
    """
    import arviz as az

    data, dims = {}, {}
    for variable in variables(fit, labels):
        data[variable.name] = np.asarray(variable.values, dtype=np.float64)
        dims[variable.name] = list(variable.dims)
    used = {dim for names in dims.values() for dim in names}
    coords = {name: list(values) for name, values in _coords(fit, labels).items() if name in used}
    if int(az.__version__.split(".")[0]) >= 1:
        tree = az.from_dict({"posterior": data}, coords=coords, dims=dims)
        tree["posterior"].attrs.update(attrs)
        return tree
    found = az.from_dict(posterior=data, coords=coords, dims=dims)
    found.posterior.attrs.update(attrs)  # type: ignore[attr-defined]
    return found


def _coords(fit: Fit, labels: Labels) -> dict[str, tuple[str, ...]]:
    coords: dict[str, tuple[str, ...]] = {
        "class": labels.classes,
        "fixed_term": fixed_terms(labels),
    }
    for factor in fit.spec.factors:
        coords[factor.name] = labels.clusters[factor.name]
        coords[f"{factor.name}_term"] = labels.terms[factor.name]
    return coords


def fixed_terms(labels: Labels) -> tuple[str, ...]:
    """Names of the linear fixed effects: the intercept, then the columns of x."""
    return ("Intercept", *labels.columns)


def _summary(values: np.ndarray, level: float) -> dict[str, Any]:
    """Summarise draws along the first axis."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return {"mean": values.mean(axis=0), "sd": values.std(axis=0), "low": low, "high": high}


def _flat(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, np.float64).reshape(-1, *values.shape[2:])


def cluster_effects(fit: Fit, labels: Labels, level: float = 0.9) -> pd.DataFrame:
    """One row per factor, cluster and term: mean, sd and equal-tailed interval of its effect."""
    parts = []
    for variable in variables(fit, labels):
        owner = _owner(fit, variable.name)
        if owner is None or variable.name.endswith("_sd"):
            continue
        values = _flat(variable.values)
        slopes = variable.name == f"{owner.name}_slopes"
        terms = labels.terms[owner.name] if slopes else ("Intercept",)
        index = {"cluster": labels.clusters[owner.name], "term": terms}
        if fit.spec.likelihood.outputs > 1:
            index["class"] = labels.classes
        grid = pd.MultiIndex.from_product(list(index.values()), names=list(index)).to_frame(
            index=False
        )
        grid.insert(0, "factor", owner.name)
        summary = {k: np.ravel(v) for k, v in _summary(values, level).items()}
        parts.append(grid.assign(**summary))
    columns = ["factor", "cluster", "term", "mean", "sd", "low", "high"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _owner(fit: Fit, name: str) -> Factor | None:
    return next(
        (f for f in fit.spec.factors for term in f.sites if name.startswith(f"{f.name}_{term}")),
        None,
    )


def variance_components(fit: Fit, labels: Labels, level: float = 0.9) -> pd.DataFrame:
    """Summarise the standard deviations of every random-effects term and of the residual.

    The factor "residual" holds all of a likelihood's own parameters: ``residual_sd``;
    ``residual_scale`` and ``df`` of a Student t; ``concentration`` of a negative binomial.
    ``origin`` says at which x a standard deviation holds: slopes' columns are not centred, so an
    intercept's is the one between clusters where all of them are 0.
    """
    rows = []
    for variable in variables(fit, labels):
        owner = _owner(fit, variable.name)
        if owner is not None and not variable.name.endswith("_sd"):
            continue
        if variable.name == "fixed_effects":
            continue
        if owner is None:
            keys = [{"factor": "residual", "term": variable.name, "origin": ""}]
        else:
            keys = _component_keys(fit, owner, labels, variable.name)
        values = _flat(variable.values)
        summary = _summary(values, level) | {"median": np.median(values, axis=0)}
        for index, key in enumerate(keys):
            rows.append(key | {k: float(np.ravel(v)[index]) for k, v in summary.items()})
    columns = ["factor", "term", "mean", "median", "sd", "low", "high", "origin"]
    if fit.spec.likelihood.outputs > 1:
        columns.insert(2, "class")
    return pd.DataFrame(rows, columns=columns)


def _component_keys(fit: Fit, factor: Factor, labels: Labels, name: str) -> list[dict[str, str]]:
    slopes = name == f"{factor.name}_slopes_sd"
    terms = labels.terms[factor.name] if slopes else ("Intercept",)
    origin = "slopes' columns = 0" if factor.terms and not slopes else ""
    if not slopes and 0 < factor.terms <= 3:
        origin = ", ".join(f"{term} = 0" for term in labels.terms[factor.name])
    keys = [{"factor": factor.name, "term": term, "origin": origin} for term in terms]
    if fit.spec.likelihood.outputs > 1:
        return [key | {"class": label} for key in keys for label in labels.classes]
    return keys


def icc(fit: Fit, labels: Labels, level: float = 0.9) -> pd.DataFrame:
    """Return each factor's intraclass correlation, on the link scale at the training mean of x.

    var_f / (sum of var over factors + residual variance), where var_f = tau_0^2 + sum_j rbar_j^2
    tau_j^2 with rbar the mean of the slopes' columns; the residual variance is pi^2 / 3 for a
    logit link, pi^2 / 6 for each link of a softmax (Gumbel errors), ln(1 + 1/m) for a Poisson and
    ln(1 + 1/m + 1/concentration) for a negative binomial with m the mean count of the training
    rows (Nakagawa, Johnson & Schielzeth 2017), residual_sd^2 for a Normal, residual_scale^2 df /
    (df - 2) for a Student t.
    """
    spec = fit.spec
    if not spec.factors:
        return pd.DataFrame(columns=["factor", "mean", "sd", "low", "high"])
    variances = {}
    for factor in spec.factors:
        total: Any = 0.0
        if factor.intercept:
            total = total + _flat(fit.draws[f"{factor.name}_intercept_sd"]) ** 2
        if factor.terms:
            at = labels.slope_mean[factor.name][:, None]
            total = total + ((_flat(fit.draws[f"{factor.name}_slopes_sd"]) * at) ** 2).sum(axis=1)
        variances[factor.name] = total
    own = {latent.name: _flat(fit.draws[latent.name])[:, None] for latent, _ in
           spec.likelihood.latents()}  # fmt: skip
    noise = spec.likelihood.residual_variance(own, labels.mean_count)
    whole = sum(variances.values()) + noise
    rows = []
    for name, variance in variances.items():
        summary = _summary(np.atleast_1d(variance / whole), level)
        for index in range(spec.likelihood.outputs):
            key = {"factor": name}
            if spec.likelihood.outputs > 1:
                key["class"] = labels.classes[index]
            rows.append(key | {k: float(v[index]) for k, v in summary.items()})
    return pd.DataFrame(rows)


def _linear(fit: Fit, labels: Labels) -> np.ndarray:
    """Linear fixed effects in the data's units: (members, draws, 1 + p, K)."""
    if fit.spec.last_layer:
        weight, bias = fit.draws[LAST_LAYER[0]], fit.draws[LAST_LAYER[1]]
    else:
        weight, bias = (leaf[:, None] for leaf in fit.network[-1])
    slopes = weight / labels.column_scale[:, None] * labels.target_scale
    shift = (slopes * labels.column_mean[:, None]).sum(axis=-2)
    intercept = bias * labels.target_scale + labels.target_mean - shift
    return np.concatenate([intercept[..., None, :], slopes], axis=-2)


def fixed_effects(fit: Fit, labels: Labels, level: float = 0.9) -> pd.DataFrame:
    """Linear fixed effects: term, mean, sd, low, high in original units.

    The spread is NaN where the fixed effects are point estimates (``network_posterior="none"``).
    """
    if fit.spec.hidden:
        raise AttributeError(
            "fixed_effects_ exists for a linear fixed part only: fit with hidden=(), or read the "
            "network through predict(effects='fixed')."
        )
    values = _flat(_linear(fit, labels))
    summary = _summary(values, level)
    rows = []
    for index, term in enumerate(fixed_terms(labels)):
        for output in range(fit.spec.likelihood.outputs):
            key = {"term": term}
            if fit.spec.likelihood.outputs > 1:
                key["class"] = labels.classes[output]
            rows.append(key | {k: float(v[index, output]) for k, v in summary.items()})
    frame = pd.DataFrame(rows)
    if not fit.spec.last_layer:
        frame[["sd", "low", "high"]] = np.nan
    return frame
