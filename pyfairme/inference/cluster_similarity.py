"""How well similarity to known clusters predicts the effect of a new one.

A new cluster whose rows may belong to the known cluster Z, with the probabilities p of the
cluster classifier,
has the effect

    u = rho (u_Z - m) + m + sqrt(1 - rho^2) tau z,   z ~ Normal(0, 1),

m the mean of the clusters: rho = 1 takes the effect of the cluster that it looks like, rho = 0
knows nothing but the prior. The spread between clusters is tau whatever rho. rho is the likeness.
Its posterior comes from leaving every known cluster out in turn: the classifier without the cluster
(its class struck out, the others' probabilities scaled to 1) says which others its rows look like,
and their effects are compared with its own. With few clusters that says little, and a likeness that
is not there costs more than one that is missed: the prior is Beta(1, 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pyfairme.data import Batch
from pyfairme.inference.cluster_classifier import left_out
from pyfairme.model.effects import RandomEffects
from pyfairme.model.program import ModelSpec

GRID = np.linspace(0.0, 1.0, 21)
PRIOR = 2.0 * np.log(1.0 - GRID + 0.02)  # a little is left at 1, where it is the truth
ROWS_OF_A_CLUSTER, ROWS = 100, 20_000  # rows that are asked which other cluster they look like
LEAST_CLUSTERS = 3  # two others to look like
KNOWN = 0.999  # share of the prior's variance above which the data say nothing about an effect


def site_name(factor: RandomEffects, term: str) -> str:
    """Return the name under which the likeness of a factor's intercepts or slopes is kept."""
    return f"{factor.name}_{term}_likeness"


def own_name(factor: RandomEffects, term: str) -> str:
    """Return the name of the part of a scale that a new cluster shares with none."""
    return f"{factor.name}_{term}_own"


def likeness(
    spec: ModelSpec, draws: Mapping[str, np.ndarray], networks: tuple[Any, ...], batch: Batch
) -> dict[str, np.ndarray]:
    """Return the posterior of rho on ``GRID`` for every factor's intercepts and slopes.

    Rows of a cluster count as one cluster, however many there are; outputs and slopes are looked at
    together. Factors without a cluster classifier are left out: nothing is known about their
    likeness.
    """
    found = {}
    for factor, network in zip(spec.factors, networks, strict=True):
        if not network:
            continue
        codes = batch.cluster[:, factor.column]
        rows = _some_rows(codes, factor.clusters)
        others = None
        if factor.clusters >= LEAST_CLUSTERS and len(rows):
            others = left_out(network, batch.x[rows], codes[rows])
        for term in factor.sites:
            name = f"{factor.name}_{term}"
            log_density = PRIOR
            if others is not None:
                log_density = PRIOR + _log_density(
                    draws[name], draws[f"{name}_sd"], others, codes[rows]
                )
            weight = np.exp(log_density - log_density.max())
            found[site_name(factor, term)] = weight / weight.sum()
    return found


def _some_rows(codes: np.ndarray, clusters: int) -> np.ndarray:
    """Return numbers of evenly spread rows of every cluster."""
    most = max(1, min(ROWS_OF_A_CLUSTER, ROWS // clusters))
    order = np.argsort(codes, kind="stable")
    order = order[codes[order] >= 0]
    count = np.bincount(codes[order], minlength=clusters)
    place = np.arange(len(order)) - np.repeat(np.cumsum(count) - count, count)
    step = np.repeat(np.maximum(count / most, 1.0), count)
    return order[np.floor(place / step) != np.floor((place - 1) / step)]


def _log_density(
    effects: np.ndarray, scales: np.ndarray, others: np.ndarray, codes: np.ndarray
) -> np.ndarray:
    """Return the log density of the clusters' effects given the others', for every rho.

    The posterior of an effect is read as prior times a Normal likelihood around ``own`` of variance
    ``noise``. The mean of the clusters is that of the others, known but for tau^2 / (G - 1).
    """
    flat = effects.reshape(-1, effects.shape[2], int(np.prod(effects.shape[3:])))  # (S, G, J)
    flat = flat.astype(np.float64)
    mean, variance = flat.mean(axis=0), flat.var(axis=0)
    tau = np.mean(scales.astype(np.float64) ** 2, axis=(0, 1)).reshape(-1)
    left = np.minimum(variance / tau, KNOWN)
    own, noise = mean / (1 - left), tau * left / (1 - left)
    clusters = len(mean)
    rest = (mean.sum(axis=0) - mean) / (clusters - 1)
    like = others @ mean
    between = others @ (mean**2 + variance) - like**2
    own, noise, rest = own[codes], noise[codes], rest[codes]
    share = 1.0 / np.bincount(codes, minlength=clusters)[codes]
    found = []
    for rho in GRID:
        centre = rest + rho * (like - rest)
        spread = (1 - rho**2 + (1 - rho) ** 2 / (clusters - 1)) * tau
        spread = spread + rho**2 * between + noise
        log_p = -0.5 * (np.log(spread) + (own - centre) ** 2 / spread)
        found.append(share @ log_p.sum(axis=1))
    return np.array(found)


def drawn(weights: np.ndarray, shape: tuple[int, int], seed: int) -> np.ndarray:
    """Draw rho for every member and draw, evenly over its posterior: (members, draws)."""
    generator = np.random.default_rng([seed, len(GRID)])
    at = (generator.permutation(int(np.prod(shape))) + 0.5) / np.prod(shape)
    place = np.searchsorted(np.cumsum(weights), at).clip(0, len(GRID) - 1)
    return GRID[place].reshape(shape).astype(np.float32)
