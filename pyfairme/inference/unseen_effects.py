"""Clusters drawn from the fitted prior, appended to those that training saw.

The network is a point estimate, and with it the mean of the clusters and their spread: a new
cluster lies around the mean m of the G known ones, which is known but for tau^2 / G, and the spread
around that mean is short by G - 1 over G, as it is in maximum likelihood (REML puts that right).
Without likeness a new effect thus has variance tau^2 (G + 1) / (G - 1) around m.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pyfairme.inference.cluster_similarity import own_name, site_name
from pyfairme.inference.predictions import Fit
from pyfairme.model.program import ModelSpec

CENTRE = 0  # in place of a label's seed: the mean of the clusters has a stream of its own


def with_new_clusters(
    fit: Fit,
    factor: int,
    labels: list[str],
    seeds: list[int],
    likeness: Mapping[str, np.ndarray] | None = None,
) -> tuple[ModelSpec, dict[str, np.ndarray]]:
    """Append one cluster per label, drawn from the prior with each draw's fitted scales.

    ``seeds`` derive from the labels, so that a cluster's effects depend neither on batching nor on
    the other new clusters. The number of clusters grows to a power of two, to compile rarely; those
    without a label have the mean of all clusters and nothing of their own.

    ``likeness`` holds rho (members, draws) for the factor's terms, by `likeness.site_name`: what a
    cluster has in common with those that it looks like is added where its rows are known, and here
    the rest is drawn. None: they have nothing in common.
    """
    old = fit.spec.factors[factor]
    room = 1 << len(labels).bit_length()  # one more at least: that of rows without a label
    draws = dict(fit.draws)
    names = [f"{old.name}_{term}" for term in old.sites]
    widened = np.float32(np.sqrt(old.clusters / max(old.clusters - 1, 1)))
    parts = []
    for name, term in zip(names, old.sites, strict=True):
        shape = fit.draws[f"{name}_sd"].shape
        rho = (likeness or {}).get(site_name(old, term), np.zeros(shape[:2], np.float32))
        draws[site_name(old, term)] = rho
        draws[own_name(old, term)] = widened * np.sqrt(1 - rho**2)
        rho, own = (
            v.reshape(*v.shape, *[1] * (len(shape) - 1)) for v in (rho, draws[own_name(old, term)])
        )
        common = _normals(shape, [CENTRE], 1, term) * (1 - rho) * widened / np.sqrt(old.clusters)
        parts.append(common + own * _normals(shape, seeds, room, term))
    scales = [fit.draws[f"{name}_sd"] for name in names]
    if old.correlated:
        parts = _correlated(fit.draws[f"{old.name}_cholesky"], parts, bool(old.intercept))
    for name, term, scale, normal in zip(names, old.sites, scales, parts, strict=True):
        rho = draws[site_name(old, term)]
        mean = draws[name].mean(axis=2, keepdims=True)
        mean = mean * (1 - rho).reshape(*rho.shape, *[1] * (mean.ndim - 2))
        new = mean + scale[:, :, None] * normal
        draws[name] = np.concatenate([draws[name], new.astype(np.float32)], axis=2)
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
