"""Pareto-smoothed importance sampling (Vehtari, Simpson, Gelman, Yao & Gabry 2024)."""

from __future__ import annotations

from typing import Any

import numpy as np

RELIABLE = 0.7  # above this Pareto k the weights are ruled by a few draws
ENOUGH = 0.25  # share of effective draws from which on a few large weights do no harm
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
    """Call the installed ArviZ: in 1.x `psislw` takes log likelihoods, the negative weights."""
    try:
        from arviz_stats.base import array_stats  # type: ignore[import-not-found]
    except ImportError:
        from arviz import psislw

        smoothed, k = psislw(row)
    else:
        smoothed, k = array_stats.psislw(-row)
    return np.asarray(smoothed), float(k)


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
