"""Pareto-smoothed importance sampling (Vehtari, Simpson, Gelman, Yao & Gabry 2024)."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["RELIABLE", "resample", "smooth"]

RELIABLE = 0.7  # above this Pareto k the weights are ruled by a few draws


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
            found[index], k[index] = _smooth(row)
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


def resample(log_weights: np.ndarray, number: int, generator: np.random.Generator) -> np.ndarray:
    """Return indices of draws, by systematic resampling: little noise, in random order."""
    weights = np.exp(log_weights - log_weights.max())
    ends = np.cumsum(weights / weights.sum())
    at = (np.arange(number) + generator.random()) / number
    return generator.permutation(np.minimum(np.searchsorted(ends, at), len(weights) - 1))
