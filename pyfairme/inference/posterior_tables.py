"""Tidy tables of the posterior: cluster effects, variance components, ICC, fixed effects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pyfairme.data.standardising import power_of_two
from pyfairme.inference.posterior_draws import (
    INTERCEPT,
    AxisLabels,
    effect_names,
    fixed_terms,
    linear_effects,
    variables,
)
from pyfairme.inference.predictions import Fit
from pyfairme.metrics.names import apart, join_names, listed_name
from pyfairme.model.effects import RandomEffects

RESIDUAL = "residual"  # the factor of a likelihood's own parameters
BLOCK = 1 << 22  # draws of clusters' effects that are summarised at a time: 32 MB and copies


def _summary(values: np.ndarray, level: float) -> dict[str, Any]:
    """Summarise draws along the first axis."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)
    unit = power_of_two(values)  # squares of a target's own units may overflow, or vanish
    sd = (values / unit).std(axis=0) * unit
    return {"mean": values.mean(axis=0), "sd": sd, "low": low, "high": high}


def _flat(values: np.ndarray) -> np.ndarray:
    draws = values.shape[0] * values.shape[1]  # -1 has no meaning where there are no covariates
    return np.asarray(values, np.float64).reshape(draws, *values.shape[2:])


def cluster_effects(fit: Fit, labels: AxisLabels, level: float = 0.9) -> pd.DataFrame:
    """One row per factor, cluster and term: mean, sd and equal-tailed interval of its effect.

    A cluster's intercept is its effect where all its slopes' columns are at their origin, which
    `variance_components` tells: the slopes multiply distances from there.
    """
    parts = []
    for variable in variables(fit, labels):
        owner = _owner(fit, variable.name)
        if owner is None or not variable.name.endswith(owner.sites):
            continue
        slopes = variable.name == f"{owner.name}_slopes"
        terms = labels.terms[owner.name] if slopes else (INTERCEPT,)
        index = {"cluster": labels.clusters[owner.name], "term": terms}
        if fit.spec.likelihood.outputs > 1:
            index["class"] = labels.classes
        grid = pd.MultiIndex.from_product(list(index.values()), names=list(index)).to_frame(
            index=False
        )
        grid.insert(0, "factor", owner.name)
        clusters = variable.draws.shape[2]
        size = max(1, BLOCK * clusters // max(variable.draws.size, 1))
        blocks = [
            _summary(_flat(variable.draws[:, :, start : start + size] * variable.unit), level)
            for start in range(0, clusters, size)
        ]
        summary = {k: np.concatenate([np.ravel(one[k]) for one in blocks]) for k in blocks[0]}
        parts.append(grid.assign(**summary))
    columns = ["factor", "cluster", "term", "mean", "sd", "low", "high"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _owner(fit: Fit, name: str) -> RandomEffects | None:
    """Return the factor that a variable of the posterior belongs to."""
    for factor in fit.spec.factors:
        own = {f"{factor.name}_{term}" for term in factor.sites}
        if name in own | {f"{term}_sd" for term in own} | {f"{factor.name}_correlation"}:
            return factor
    return None


def _correlations(
    fit: Fit, factor: RandomEffects, labels: AxisLabels, values: np.ndarray, level: float
) -> list[dict[str, Any]]:
    """Return a line for every pair of a cluster's effects, and class."""
    names, classes = effect_names(factor, labels), fit.spec.likelihood.outputs
    flat = _flat(values).reshape(-1, len(names), len(names), classes)
    lines = []
    for second in range(len(names)):
        for first in range(second):
            for output in range(classes):
                draws = flat[:, second, first, output]
                line: dict[str, Any] = {"factor": _factor_name(factor), "origin": ""}
                line["term"] = f"cor({join_names([names[first], names[second]], ', ')})"
                if classes > 1:
                    line["class"] = labels.classes[output]
                lines.append(line | _summary(draws, level) | {"median": np.median(draws)})
    return lines


def variance_components(fit: Fit, labels: AxisLabels, level: float = 0.9) -> pd.DataFrame:
    """Summarise the standard deviations of every random-effects term and of the residual.

    Correlated effects have a line "cor(first, second)" for each pair of a cluster's terms. A column
    called "Intercept" or "cor(...)", and a cluster column called "residual", is in quotation marks.

    The factor "residual" holds all of a likelihood's own parameters: ``residual_sd``;
    ``residual_scale`` and ``df`` of a Student t; ``concentration`` of a negative binomial.
    ``origin`` says at which x a standard deviation holds: an intercept's is the one between
    clusters where its slopes' columns are 0 or, if 0 lies outside of their training values, at the
    mean of these.
    """
    rows = []
    for variable in variables(fit, labels):
        owner = _owner(fit, variable.name)
        if owner is not None and variable.name.endswith(owner.sites):
            continue
        if variable.name == "fixed_effects":
            continue
        if owner is not None and variable.name == f"{owner.name}_correlation":
            rows += _correlations(fit, owner, labels, variable.values, level)
            continue
        if owner is None:
            keys = [{"factor": RESIDUAL, "term": variable.name, "origin": ""}]
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


def _component_keys(
    fit: Fit, factor: RandomEffects, labels: AxisLabels, name: str
) -> list[dict[str, str]]:
    slopes = name == f"{factor.name}_slopes_sd"
    terms = labels.terms[factor.name] if slopes else (INTERCEPT,)
    origin = "" if slopes else _origin(labels, factor)
    name = _factor_name(factor)
    keys = [{"factor": name, "term": term, "origin": origin} for term in terms]
    if fit.spec.likelihood.outputs > 1:
        return [key | {"class": label} for key in keys for label in labels.classes]
    return keys


def _factor_name(factor: RandomEffects) -> str:
    return apart(factor.name, {RESIDUAL})


def _origin(labels: AxisLabels, factor: RandomEffects) -> str:
    """Say at which values of its slopes' columns a factor's intercepts hold."""
    at = list(zip(labels.terms[factor.name], labels.slope_origin[factor.name], strict=True))
    if len(at) <= 3:
        return ", ".join(f"{listed_name(term)} = {value:.7g}" for term, value in at)
    moved = "".join(f"{listed_name(term)} = {value:.7g}, " for term, value in at if value)
    return f"{moved}all other slopes' columns = 0" if moved else "slopes' columns = 0"


def icc(fit: Fit, labels: AxisLabels, level: float = 0.9) -> pd.DataFrame:
    """Return each factor's intraclass correlation, on the link scale at the training mean of x.

    var_f / (sum of var over factors + residual variance), where var_f = tau_0^2 + sum_j rbar_j^2
    tau_j^2 with rbar the mean distance of the slopes' columns from their origins (plus the
    covariances of correlated effects); the residual variance is pi^2 / 3 for a logit link, pi^2 / 6
    for each link of a softmax (Gumbel errors), ln(1 + 1/m) for a Poisson and
    ln(1 + 1/m + 1/concentration) for a negative binomial with m the mean count of the training
    rows (Nakagawa, Johnson & Schielzeth 2017), residual_sd^2 for a Normal, residual_scale^2 df /
    (df - 2) for a Student t.
    """
    spec = fit.spec
    if not spec.factors:
        return pd.DataFrame(columns=["factor", "mean", "sd", "low", "high"])
    variances = {}
    for factor in spec.factors:
        parts = []  # scale times the mean of what the effect multiplies: (draws, d, K)
        if factor.intercept:
            parts.append(_flat(fit.draws[f"{factor.name}_intercept_sd"])[:, None])
        if factor.terms:
            at = labels.slope_mean[factor.name][:, None]
            parts.append(_flat(fit.draws[f"{factor.name}_slopes_sd"]) * at)
        whole = np.concatenate(parts, axis=1)
        if factor.correlated:
            whole = np.einsum("skab,sak->sbk", _flat(fit.draws[f"{factor.name}_cholesky"]), whole)
        variances[factor.name] = (whole**2).sum(axis=1)
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


def fixed_effects(fit: Fit, labels: AxisLabels, level: float = 0.9) -> pd.DataFrame:
    """Linear fixed effects: term, mean, sd, low, high in original units.

    The spread is NaN where the fixed effects are point estimates (``network_posterior="none"``);
    a column "note" then says how to get it.
    """
    if fit.spec.hidden:
        raise AttributeError(
            "fixed_effects_ exists for a linear fixed part only: fit with hidden=(), or read the "
            "network through predict(effects='fixed'). [not-linear]"
        )
    values = _flat(linear_effects(fit, labels))
    summary = _summary(values, level)
    rows = []
    for index, term in enumerate(fixed_terms(labels)):
        for output in range(fit.spec.likelihood.outputs):
            key = {"term": term}
            if fit.spec.likelihood.outputs > 1:
                key["class"] = labels.classes[output]
            rows.append(key | {k: float(v[index, output]) for k, v in summary.items()})
    frame = pd.DataFrame(rows)
    if not fit.spec.linear_latent:
        frame[["sd", "low", "high"]] = np.nan
        frame["note"] = "point estimate: network_posterior='laplace' gives its spread"
    return frame
