"""Names and units in which a fitted estimator's posterior is reported, and what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pyfairme.estimators import estimator_keywords
from pyfairme.estimators.check_fitted import check_fitted
from pyfairme.inference.posterior_draws import AxisLabels, term_name

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects


def posterior_labels(estimator: FairMixedEffects) -> AxisLabels:
    """Return the names and units of clusters, terms and columns."""
    check_fitted(estimator)
    terms, origins, scales, means = {}, {}, {}, {}
    design, target = estimator.design_, estimator.target_
    columns, slope_means = design.slope_columns, np.asarray(estimator._slope_means)
    for factor in estimator.fit_.spec.factors:
        if factor.hidden:
            terms[factor.name] = tuple(f"hidden[{i}]" for i in range(factor.hidden))
            origins[factor.name] = np.zeros(factor.hidden)
            scales[factor.name] = np.ones(factor.hidden)
            means[factor.name] = np.full(factor.hidden, np.nan)  # activations have no fixed unit
        else:
            terms[factor.name] = tuple(term_name(columns[i].name) for i in factor.slopes)
            origins[factor.name] = np.array([columns[i].origin for i in factor.slopes])
            scales[factor.name] = np.array([columns[i].scale for i in factor.slopes])
            means[factor.name] = slope_means[list(factor.slopes)]
    return AxisLabels(
        clusters=dict(design.clusters),
        terms=terms,
        slope_origin=origins,
        slope_scale=scales,
        slope_mean=means,
        columns=tuple(term_name(column.name) for column in design.columns),
        column_mean=np.array([column.mean for column in design.columns]),
        column_scale=np.array([column.scale for column in design.columns]),
        target_mean=target.link_origin,
        target_scale=target.link_scale,
        mean_count=target.mean_count,
        classes=tuple(map(str, getattr(estimator, "classes_", ()))),
    )


def posterior_attrs(estimator: FairMixedEffects) -> dict[str, Any]:
    """Say what the draws are draws of."""
    spec = estimator.fit_.spec
    touched = estimator_keywords.penalised_views(estimator.get_params(deep=False), spec) - {"fixed"}
    usual = "Laplace posterior" if spec.tangent else "variational posterior"
    kind = "penalised (generalised) posterior" if touched else usual
    given = "the network's point estimate"
    if spec.last_layer:
        given = "the hidden layers' point estimate" if spec.hidden else "nothing else"
    if spec.tangent:
        given = "the tangent features of the trained network" if spec.hidden else "nothing else"
    if "divergences" in estimator.fit_.quality:
        kind, guide = "posterior, or with a fairness term a generalised one", "none"
        note = "Draws come from NUTS: diagnostics_ has R-hat, effective sample sizes, divergences."
    else:
        guide = "laplace" if spec.tangent else estimator.guide_
        made = "Laplace's approximation" if spec.tangent else "a variational guide"
        note = f"Draws come from {made}: R-hat and ESS say nothing about them."
    attrs = {"kind": kind, "conditional_on": given, "guide": guide, "note": note}
    moved = [f"{c.name} = {c.origin!r}" for c in estimator.design_.slope_columns if c.origin]
    if moved:  # in full, for who computes with the effects
        attrs["origin"] = f"Intercepts hold where {', '.join(moved)}; other slopes' columns = 0."
    return attrs
