"""Pareto-smoothed importance sampling (Vehtari, Simpson, Gelman, Yao & Gabry 2024).

The numbers are those of ArviZ 0.23, with any version installed (1.x cuts the tail at another draw);
tests hold both beside ours. Importing ArviZ takes as long as half a fit of a small table, and
nothing else of a fit needs it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import logsumexp

RELIABLE = 0.7  # above this Pareto k the weights are ruled by a few draws
ENOUGH = 0.25  # share of effective draws from which on a few large weights do no harm
FEWEST_TAIL = 5  # draws that a tail is fitted to
LEAST_LOG = float(np.log(np.finfo(float).tiny))
EPSILON = float(np.finfo(float).eps)
LEAST = 0.02  # share of effective draws below which k itself is an estimate from too few


def smooth(log_weights: np.ndarray) -> tuple[np.ndarray, Any]:
    """Smooth the largest weights of each row.

    Parameters
    ----------
    log_weights
        Unnormalised logarithms, (draws,) or (problems, draws).

    Returns
    -------
    tuple of ndarray
        Smoothed, normalised log weights of the same shape, and Pareto's k: () or (problems,). Equal
        weights, of an exact approximation, have k = -inf.
    """
    rows = np.atleast_2d(np.asarray(log_weights, np.float64))
    found, k = np.empty_like(rows), np.full(len(rows), -np.inf)
    for index, row in enumerate(rows):
        if np.ptp(row) < 1e-3:  # within the noise of single precision: nothing to smooth
            found[index] = -np.log(len(row))
        else:
            found[index], shape = _smooth(row)
            k[index] = np.inf if np.isnan(shape) else shape  # a tail of one draw has no fit
    return (found, k) if np.ndim(log_weights) > 1 else (found[0], np.asarray(k[0]))


def _smooth(row: np.ndarray) -> tuple[np.ndarray, float]:
    """Replace the largest weights by quantiles of the generalised Pareto fitted to them.

    They are a fifth of the draws, or 3 √draws if that is less; no weight ends above the largest.
    """
    x = row - row.max()
    order = np.argsort(x)
    tail = math.ceil(min(len(x) / 5, 3 * math.sqrt(len(x))))
    cut = max(x[order[-tail - 1]], LEAST_LOG)
    above = order[x[order] > cut]
    k = np.inf
    if len(above) >= FEWEST_TAIL:
        k, scale = fit_pareto(np.exp(x[above]) - np.exp(cut))
        if np.isfinite(k) and scale > 0:
            at = np.log1p(-(np.arange(len(above)) + 0.5) / len(above))
            excess = -at if abs(k) < EPSILON else np.expm1(-k * at) / k
            x[above] = np.minimum(np.log(scale * excess + np.exp(cut)), 0.0)
    return x - logsumexp(x), float(k)


def fit_pareto(excess: np.ndarray) -> tuple[float, float]:
    """Return shape and scale of a generalised Pareto distribution, as Zhang & Stephens (2009) do.

    With b = -shape / scale the likelihood has one parameter; its mean under a weak prior is a sum
    over a grid. The shape is pulled to .5 as by ten more draws (Vehtari et al. 2024, appendix G).

    Parameters
    ----------
    excess
        What draws are above the cut, increasing, (n,).

    Examples
    --------
    >>> u = (np.arange(4000) + 0.5) / 4000  # quantiles of shape 0.4 and scale 2
    >>> shape, scale = fit_pareto(2.0 * np.expm1(-0.4 * np.log1p(-u)) / 0.4)
    >>> round(shape, 2), round(scale, 2)
    (0.4, 2.0)
    """
    n = len(excess)
    points = 30 + math.isqrt(n)
    grid = np.arange(points) + 0.5
    quartile = excess[int(n / 4 + 0.5) - 1]
    b = 1 / excess[-1] + (1 - np.sqrt(points / grid)) / (3 * quartile)
    shape = np.log1p(-b[:, None] * excess).mean(axis=1)
    profile = n * (np.log(-b / shape) - shape - 1)
    weight = np.exp(profile - logsumexp(profile))
    weight[weight < 10 * EPSILON] = 0.0
    mean = float(b @ weight / weight.sum())
    found = float(np.log1p(-mean * excess).mean())
    return (n * found + 10 * 0.5) / (n + 10), -found / mean


def relative_ess(log_weights: np.ndarray) -> float:
    """Return Kong's (1992) effective sample size, 1 / sum w², of normalised weights over n."""
    weights = np.exp(log_weights - np.max(log_weights))
    return float(weights.sum() ** 2 / (weights**2).sum() / len(weights))


def trusted(k: Any, share: Any) -> Any:
    """Say whether weights with this Pareto k and share of effective draws stand for the target.

    k judges the tail alone. Where most draws count alike, a heavy tail holds little of the target;
    where nearly none counts, a light tail says nothing.
    """
    k, share = np.asarray(k), np.asarray(share)
    return ((k <= RELIABLE) & (share >= LEAST)) | (share >= ENOUGH)


def resample(log_weights: np.ndarray, number: int, generator: np.random.Generator) -> np.ndarray:
    """Return indices of draws, by systematic resampling: little noise, in random order."""
    weights = np.exp(log_weights - log_weights.max())
    ends = np.cumsum(weights / weights.sum())
    at = (np.arange(number) + generator.random()) / number
    return generator.permutation(np.minimum(np.searchsorted(ends, at), len(weights) - 1))
