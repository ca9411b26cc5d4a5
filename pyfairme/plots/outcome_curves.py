"""Distributions of observed and of replicated outcomes on one grid."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

POINTS = 200
MARGIN = 0.15  # of the observed range, shown beyond both its ends
MOST_DRAWS = 300  # behind a band
TAIL = 0.995  # quantile of the outcomes from which whole numbers are drawn as one bar
MOST_BARS = 40


class OutcomeCurve(NamedTuple):
    """Observed height at each x, and median and band of the draws' heights, all ``(points,)``.

    ``tail``: the last point stands for all larger outcomes too.
    """

    x: np.ndarray
    observed: np.ndarray
    low: np.ndarray
    middle: np.ndarray
    high: np.ndarray
    tail: bool = False


def is_whole(values: np.ndarray) -> bool:
    """Tell whether every value is a whole number."""
    return bool((values == np.round(values)).all())


def density_curve(
    y: np.ndarray, draws: np.ndarray, every: np.ndarray, level: float
) -> OutcomeCurve:
    """Return Gaussian kernel densities, all with the bandwidth of the observed outcomes.

    Parameters
    ----------
    y
        Shape ``(n,)``: observed outcomes.
    draws
        Shape ``(draws, n)``.
    every
        Observed outcomes of all panels, which decide the range.
    level
        Part of the draws inside the band.
    """
    x = _grid(every)
    spread = min(y.std(), (np.quantile(y, 0.75) - np.quantile(y, 0.25)) / 1.349 or y.std())
    width = max(0.9 * spread * len(y) ** -0.2, x[1] - x[0])  # Silverman 1986
    chosen = _some(draws)
    heights = np.stack([_density(values, x, width) for values in chosen])
    return OutcomeCurve(x, _density(y, x, width), *_band(heights, level))


def ecdf_curve(y: np.ndarray, draws: np.ndarray, every: np.ndarray, level: float) -> OutcomeCurve:
    """Return empirical distribution functions; see `density_curve`."""
    x = _whole_grid(every) if is_whole(every) else _grid(every)
    heights = np.stack([_ecdf(values, x) for values in _some(draws)])
    return OutcomeCurve(x, _ecdf(y, x), *_band(heights, level))


def bar_curve(y: np.ndarray, draws: np.ndarray, every: np.ndarray, level: float) -> OutcomeCurve:
    """Return shares of whole outcomes, a long tail as one; see `density_curve`."""
    chosen = _some(draws)
    start = int(min(every.min(), chosen.min()))
    end = int(max(every.max(), chosen.max()))
    last = end
    if end - start >= MOST_BARS // 2:
        last = int(np.clip(np.quantile(every, TAIL) + 1, start + 1, start + MOST_BARS))
    last = min(last, end)
    x = np.arange(start, last + 1)
    heights = np.stack([_shares(values, start, last) for values in chosen])
    return OutcomeCurve(x, _shares(y, start, last), *_band(heights, level), tail=last < end)


def _grid(every: np.ndarray) -> np.ndarray:
    reach = MARGIN * (np.ptp(every) or 1.0)
    return np.linspace(every.min() - reach, every.max() + reach, POINTS)


def _whole_grid(every: np.ndarray) -> np.ndarray:
    """Return whole numbers from a little below the outcomes on, ever further apart."""
    start, reach = every.min(), max(float(np.ptp(every)), 1.0)
    return np.unique(start + np.concatenate([[0.0], np.geomspace(1, reach, POINTS).round()]))


def _some(draws: np.ndarray) -> np.ndarray:
    """Take evenly spread draws: a band needs no more."""
    return draws[np.linspace(0, len(draws) - 1, min(len(draws), MOST_DRAWS)).round().astype(int)]


def _band(heights: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}; 0.9 means 90 %. [level]")
    low, middle, high = np.quantile(heights, [(1 - level) / 2, 0.5, (1 + level) / 2], axis=0)
    return low, middle, high


def _density(values: np.ndarray, x: np.ndarray, width: float) -> np.ndarray:
    """Return the kernel density of values at x, from counts on a fine grid: O(n)."""
    step = x[1] - x[0]
    edges = np.concatenate([x - step / 2, [x[-1] + step / 2]])
    reach = int(np.ceil(4 * width / step))  # values beyond the grid reach into it
    edges = np.concatenate([edges[0] - step * np.arange(reach, 0, -1), edges,
                            edges[-1] + step * np.arange(1, reach + 1)])  # fmt: skip
    counts = np.histogram(values, edges)[0] / (len(values) * step)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / width) ** 2)
    return np.convolve(counts, kernel / kernel.sum(), mode="valid")


def _ecdf(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.searchsorted(np.sort(values), x, side="right") / len(values)


def _shares(values: np.ndarray, start: int, last: int) -> np.ndarray:
    places = np.clip(values, start, last).astype(np.int64) - start
    return np.bincount(places, minlength=last - start + 1) / len(values)
