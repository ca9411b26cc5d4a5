"""Clusters filled up to few numbers, so that tables with one cluster more or less share programs.

Clusters that fill up have no rows and no effect, and no part in the objective: results are those of
the clusters there are, to rounding. A model's files, tables and programs never show them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from pyfairme.model.effects import DENSE_CLUSTERS, RandomEffects
from pyfairme.model.penalties import adversary_classes, adversary_site
from pyfairme.model.program import ModelSpec

FEWEST = 8
FILLED_GUIDES = ("mean_field", "block")  # of which every effect has parameters of its own


def cluster_bucket(clusters: int) -> int:
    """Round up to a power of two while clusters are few, then by at most one eighth.

    Examples
    --------
    >>> [cluster_bucket(clusters) for clusters in (2, 9, 60, 64, 65, 500)]
    [8, 16, 64, 64, 72, 512]
    """
    if clusters <= DENSE_CLUSTERS:
        return max(FEWEST, 1 << (clusters - 1).bit_length())
    unit = 1 << (clusters.bit_length() - 4)
    return -(-clusters // unit) * unit


def filled_factor(factor: RandomEffects) -> RandomEffects:
    """Return the factor with clusters up to the bucket's."""
    return replace(factor, clusters=cluster_bucket(factor.clusters))


def filled_spec(spec: ModelSpec) -> ModelSpec:
    """Return the structure with the clusters of every factor filled up, and of the adversaries."""
    factors = tuple(filled_factor(factor) for factor in spec.factors)
    adversaries = tuple((name, cluster_bucket(size)) for name, size in spec.adversaries)
    return replace(spec, factors=factors, adversaries=adversaries)


def one_cluster(spec: ModelSpec) -> ModelSpec:
    """Return the structure with one cluster a factor: what their number does not matter to."""
    factors = tuple(replace(factor, clusters=1) for factor in spec.factors)
    return replace(spec, factors=factors, adversaries=())


def filled_effects(
    spec: ModelSpec, draws: Mapping[str, np.ndarray], axis: int
) -> dict[str, np.ndarray]:
    """Let effects of 0 follow those of every factor; ``axis`` is that of the clusters.

    Parameters
    ----------
    spec
        With the clusters that there are.
    draws
        Arrays by the names of latents; those that are no effects of clusters stay.
    """
    found = dict(draws)
    for name, extra in extra_clusters(spec).items():
        if name in found and extra:
            value = np.asarray(found[name])
            pads = [(0, 0)] * axis + [(0, extra)] + [(0, 0)] * (value.ndim - axis - 1)
            found[name] = np.pad(value, pads)
    return found


def can_be_filled(guide: object) -> bool:
    """Tell whether what a guide knows of the effects can be cut and filled, cluster by cluster."""
    return isinstance(guide, str) and guide in FILLED_GUIDES


def levels_of(spec: ModelSpec) -> dict[str, float]:
    """Return how many clusters there are, by the names of factors and of those of adversaries."""
    return {f.name: float(f.clusters) for f in spec.factors} | {
        name: float(size) for name, size in spec.adversaries
    }


def resized_params(params: Mapping[str, Any], have: ModelSpec, want: ModelSpec) -> dict[str, Any]:
    """Return parameters (constrained, NumPy) of one structure as those of the other.

    They differ in how many clusters they have room for: clusters are cut off, or the last one's
    parameters are repeated. What is not that of ``have`` stays as it is.
    """
    found = dict(params)
    for old, new in zip(have.factors, want.factors, strict=True):
        for term in old.sites:
            for kind in ("loc", "scale"):
                name = f"{old.name}_{term}_{kind}"
                if name in found:
                    found[name] = _resized(found[name], old.clusters, new.clusters)
    for (name, old), (_, new) in zip(have.adversaries, want.adversaries, strict=True):
        site = adversary_site(name)
        if site in found:
            *first, last = found[site]
            sizes = adversary_classes(old), adversary_classes(new)
            weight = _resized(last.weight.T, *sizes).T
            found[site] = (*first, last._replace(weight=weight, bias=_resized(last.bias, *sizes)))
    return found


def _resized(values: np.ndarray, have: int, want: int) -> np.ndarray:
    """Cut the first axis, or repeat its last entry, if it has as many as it should."""
    if len(values) != have:
        return values
    kept = np.asarray(values)[:want]
    extra = [(0, want - len(kept))] + [(0, 0)] * (kept.ndim - 1)
    return np.pad(kept, extra, mode="edge")


def extra_clusters(spec: ModelSpec) -> dict[str, int]:
    """Return by how many clusters every factor's effects are filled up, by their names."""
    return {
        f"{factor.name}_{term}": cluster_bucket(factor.clusters) - factor.clusters
        for factor in spec.factors
        for term in factor.sites
    }


def filled_columns(values: Any, factor: RandomEffects) -> np.ndarray:
    """Let columns of 0 follow those (n, G) of a factor's clusters."""
    return np.pad(values, [(0, 0), (0, cluster_bucket(factor.clusters) - values.shape[1])])
