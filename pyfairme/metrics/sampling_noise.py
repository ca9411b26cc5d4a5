"""Sampling error of statistics, estimated from bootstrap replicates.

A group of one row, one whose rows all fared alike, and one that some replicates lose do not vary as
much as they should. Their noise is that of as many rows with a chance a little off 0 or 1, or with
the variance that rows of the other groups have.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pyfairme.metrics.array_inputs import Floats
from pyfairme.metrics.metric import Kind

PULL = 30  # as so many rows counts that rows are independent
FEWEST_CLUSTERS = 5  # that must hold a group, where clusters are drawn
_MOST_LOST = 0.05  # share of replicates without a value that can be passed over
_ROUNDING = 1e-12


class Evidence(NamedTuple):
    """What is known about a value, or about the parts of one.

    Attributes
    ----------
    parts
        Shape ``(S, *P)``: by seed of the model.
    draws
        Shape ``(S, B, *P)``: their replicates.
    rows
        Shape ``(*P)``: effective number of rows that each rests on.
    clusters
        Shape ``(G,)``, or one number: in how many clusters each group has the rows it needs;
        infinite where rows are drawn.
    effective
        Shape ``(*P)``: as many clusters with equally many of these rows are worth as much.
    """

    parts: Floats
    draws: Floats
    rows: Floats
    clusters: Floats
    effective: Floats


def quantile(level: float, degrees: float) -> float:
    """Return the two-sided quantile of a t distribution, Normal for infinite ``degrees``."""
    from scipy.special import ndtri, stdtrit

    upper = (1 + level) / 2
    return float(ndtri(upper) if np.isinf(degrees) else stdtrit(max(degrees, 1.0), upper))


def design_effect(value: float, variance: float, rows: float) -> float:
    """Return how much a rate varies, relative to one of as many independent rows.

    Few rows do not tell that they vary less than independent ones.
    """
    found = variance * rows / (value * (1 - value)) if variance > 0 else 1.0
    return max(found, (found * rows + PULL) / (rows + PULL))


def deviations(evidence: Evidence, kind: Kind, level: float) -> Floats:
    """Return deviations of replicates, ``(S, B, *P)``, mended where they say too little.

    Parameters
    ----------
    evidence
        With at least one replicate.
    kind
        Of the parts.
    level
        Coverage wanted: where clusters are drawn, deviations grow as the t quantile does.
    """
    shape = evidence.draws.shape
    parts = evidence.parts.reshape(shape[0], -1)
    found = evidence.draws.reshape(*shape[:2], -1) - parts[:, None]
    rows, clusters = evidence.rows.ravel(), evidence.effective.ravel()
    rng = np.random.default_rng(0)  # the noise of mended parts, alike for every model
    variance = _variance(found)
    told = (variance > _ROUNDING) & (np.isnan(found).mean((0, 1)) <= _MOST_LOST)
    usual = _usual(variance, rows, parts, kind, told)
    for part in np.flatnonzero((rows > 0) & ~np.isnan(parts).all(0)):
        mine = found[..., part]
        if not told[part]:
            drawn = _mended(parts[:, part].mean(), rows[part], usual, kind, rng, shape[1])
            found[..., part] = drawn
            continue
        if np.isnan(mine).any():
            lost = np.isnan(mine)
            mine[lost] = rng.choice(mine[~lost], lost.sum())
        if kind == "rate":
            value = float(parts[:, part].mean())
            design = design_effect(value, float(variance[part]), float(rows[part]))
            found[..., part] *= np.sqrt(design * value * (1 - value) / rows[part] / variance[part])
        units = clusters[part] if kind == "rate" else min(clusters[part], rows[part])
        found[..., part] *= quantile(level, units - 1) / quantile(level, np.inf)
    return found.reshape(shape)


def _variance(found: Floats) -> Floats:
    known = ~np.isnan(found)
    count = np.maximum(known.sum(1), 1)
    mean = np.where(known, found, 0).sum(1) / count
    square = np.where(known, found - mean[:, None], 0) ** 2
    return (square.sum(1) / count).mean(0)


def _usual(variance: Floats, rows: Floats, parts: Floats, kind: Kind, told: Floats) -> float:
    """Return the variance per row of the parts that vary; of rates, relative to the binomial."""
    value = np.nan_to_num(parts.mean(0))
    unit = value * (1 - value) if kind == "rate" else np.ones_like(value)
    usable = told & (unit > 0) & (rows > 0)
    if not usable.any():
        return 1.0 if kind == "rate" else 0.0
    ratio = float(np.median(variance[usable] * rows[usable] / unit[usable]))
    return max(ratio, 1.0) if kind == "rate" else ratio


def _mended(
    value: float, rows: float, usual: float, kind: Kind, rng: np.random.Generator, size: int
) -> Floats:
    if kind != "rate":
        return rng.normal(0, np.sqrt(usual / rows), size)
    worth = max(round(rows / usual), 1)
    chance = (value * worth + 1) / (worth + 2)
    return rng.binomial(worth, chance, size) / worth - chance
