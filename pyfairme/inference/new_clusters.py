"""Clusters drawn from the fitted prior, appended to those that training saw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pyfairme.inference.predict import Fit
from pyfairme.model.program import ModelSpec

__all__ = ["with_new_clusters"]


def with_new_clusters(
    fit: Fit, factor: int, labels: list[str], seeds: list[int]
) -> tuple[ModelSpec, dict[str, np.ndarray]]:
    """Append one cluster per label, drawn from the prior with each draw's fitted scales.

    ``seeds`` derive from the labels, so that a cluster's effects depend neither on batching nor on
    the other new clusters. The number of clusters grows to a power of two, to compile rarely.
    """
    old = fit.spec.factors[factor]
    room = 1 << max(0, (len(labels) - 1).bit_length())
    draws = dict(fit.draws)
    for term in old.sites:
        scale = fit.draws[f"{old.name}_{term}_sd"]
        fresh = np.zeros((*scale.shape[:2], room, *scale.shape[2:]), np.float32)
        for index, seed in enumerate(seeds):
            normal = np.random.default_rng([seed, len(term)]).standard_normal(scale.shape)
            fresh[:, :, index] = scale * normal
        draws[f"{old.name}_{term}"] = np.concatenate([draws[f"{old.name}_{term}"], fresh], axis=2)
    grown = replace(old, clusters=old.clusters + room)
    factors = (*fit.spec.factors[:factor], grown, *fit.spec.factors[factor + 1 :])
    return replace(fit.spec, factors=factors), draws
