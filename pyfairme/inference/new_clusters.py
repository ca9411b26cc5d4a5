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
    scales = [fit.draws[f"{old.name}_{term}_sd"] for term in old.sites]
    parts = [
        _normals(scale.shape, seeds, room, term)
        for scale, term in zip(scales, old.sites, strict=True)
    ]
    if old.correlated:
        parts = _correlated(fit.draws[f"{old.name}_cholesky"], parts, bool(old.intercept))
    for term, scale, normal in zip(old.sites, scales, parts, strict=True):
        name = f"{old.name}_{term}"
        draws[name] = np.concatenate([draws[name], scale[:, :, None] * normal], axis=2)
    grown = replace(old, clusters=old.clusters + room)
    factors = (*fit.spec.factors[:factor], grown, *fit.spec.factors[factor + 1 :])
    return replace(fit.spec, factors=factors), draws


def _normals(shape: tuple[int, ...], seeds: list[int], room: int, term: str) -> np.ndarray:
    """Return standard Normal numbers (members, draws, room, ...) of every new cluster's term."""
    fresh = np.zeros((*shape[:2], room, *shape[2:]), np.float32)
    for index, seed in enumerate(seeds):
        fresh[:, :, index] = np.random.default_rng([seed, len(term)]).standard_normal(shape)
    return fresh


def _correlated(cholesky: np.ndarray, parts: list[np.ndarray], intercept: bool) -> list[np.ndarray]:
    """Give a cluster's numbers the correlations of L (members, draws, K, d, d)."""
    parts = [parts[0][:, :, :, None], parts[1]] if intercept else parts
    mixed = np.einsum("mskab,msgbk->msgak", cholesky, np.concatenate(parts, axis=3))
    mixed = mixed.astype(np.float32)
    return [mixed[:, :, :, 0], mixed[:, :, :, 1:]] if intercept else [mixed]
