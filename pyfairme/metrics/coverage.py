"""How often central predictive intervals hold the outcome, and how often they could."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pyfairme.metrics.array_inputs import Floats, as_numbers, as_real
from pyfairme.metrics.predictive_draws import as_draws, row_slices
from pyfairme.metrics.proportion import proportion_interval


class _Rows(NamedTuple):
    """Per level and row ``(levels, n)``: whether the interval covers, its width and its mass."""

    covered: np.ndarray
    width: Floats
    mass: Floats


def coverage_table(
    y: ArrayLike,
    draws: ArrayLike,
    levels: Iterable[float] = (0.5, 0.8, 0.9, 0.95),
    *,
    groups: ArrayLike | None = None,
    confidence: float = 0.9,
) -> pd.DataFrame:
    """Tabulate the coverage of central predictive intervals.

    The interval of level a is ``[F^-1((1 - a) / 2), F^-1((1 + a) / 2)]`` of a row's draws, ends
    included. Of counts and classes it holds more than a even under the right model, so coverage
    is read against ``attainable``: the mean over rows of the mass that the predictive distribution
    itself gives to its interval.

    Parameters
    ----------
    y
        Shape ``(n,)``: outcomes; classes as 0, 1, ...
    draws
        Shape ``(draws, n)`` or ``(chain, draw, n)``: predictive draws of each outcome.
    levels
        Levels of the intervals, between 0 and 1.
    groups
        Shape ``(n,)``: labels of clusters. Rows of a cluster share its effect, so they are not
        independent: the interval of the coverage is then cluster-robust
        (`pyfairme.metrics.proportion`).
    confidence
        Level of the interval of the coverage.

    Returns
    -------
    pd.DataFrame
        level, attainable, covered, low, high (of covered), width (mean of the intervals), n.

    Raises
    ------
    ValueError
        When shapes differ, values are not finite, or a level is not between 0 and 1.

    Examples
    --------
    >>> draws = [[0, 0], [0, 1], [1, 1], [1, 2]]
    >>> table = coverage_table([1, 2], draws, levels=[0.5])
    >>> table[["level", "attainable", "covered", "width"]].to_numpy().tolist()
    [[0.5, 0.875, 0.5, 1.0]]
    """
    outcome = as_real(y, "y")
    matrix = as_draws(draws, len(outcome))
    wanted = as_numbers(list(levels), "levels")
    if wanted.size == 0 or not ((wanted > 0) & (wanted < 1)).all():
        raise ValueError(
            f"levels must lie between 0 and 1, got {wanted.tolist()}; 0.9 means 90 %. [level]"
        )
    found = _intervals(outcome, matrix, wanted)
    shares = [proportion_interval(hit, groups=groups, level=confidence) for hit in found.covered]
    return pd.DataFrame(
        {
            "level": wanted,
            "attainable": found.mass.mean(axis=1),
            "covered": [share.value for share in shares],
            "low": [share.low for share in shares],
            "high": [share.high for share in shares],
            "width": found.width.mean(axis=1),
            "n": len(outcome),
        }
    )


def _intervals(y: Floats, draws: np.ndarray, levels: Floats) -> _Rows:
    shape = (len(levels), len(y))
    found = _Rows(np.empty(shape, bool), np.empty(shape), np.empty(shape))
    # the smallest draw with F >= p, so that an end is a value that can occur; the slack is for
    # products such as 0.05 * 1000 that come out a little above a whole number
    at = np.stack([(1 - levels) / 2, (1 + levels) / 2]) * len(draws)
    places = np.maximum(np.ceil(at - 1e-9).astype(int) - 1, 0)
    for rows in row_slices(draws):
        ordered = np.sort(draws[:, rows], axis=0)
        for level, (low, high) in enumerate(zip(*ordered[places], strict=True)):
            found.covered[level, rows] = (low <= y[rows]) & (y[rows] <= high)
            found.width[level, rows] = high.astype(np.float64) - low
            found.mass[level, rows] = ((ordered >= low) & (ordered <= high)).mean(axis=0)
    return found
