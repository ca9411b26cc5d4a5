"""Piecewise-linear encoding of a number: hat functions over knots (a linear B-spline basis).

With knots ``t_1 < ... < t_K`` a value in ``[t_k, t_k+1]`` becomes ``1 - f`` in column k and ``f``
in column k + 1, ``f = (value - t_k) / (t_k+1 - t_k)``, zero elsewhere; values outside the knots are
moved to the nearest one. A network can then bend at every knot, and a value that many rows share
has a column of its own (Gorishniy, Rubachev & Babenko 2022 use the same functions, summed up).
"""

from __future__ import annotations

from bisect import bisect

import numpy as np

QUANTILES = 32
ATOMS = 96
ATOM_ROWS = 10  # rows that share a value, for it to be a knot
COLUMNS = 640  # of all numbers together, at most
ROWS_PER_COLUMN = 100  # with fewer, thousands of steps learn small tables by heart
ROWS_PER_SHRUNK_COLUMN = 20
FEW = 5  # knots of a number by which intervals hold what a smooth curve misses (docs/decisions.md)
LEAST = 4  # fewer knots say nothing that the number itself does not
GAP = 1 / 500  # least distance of knots, in units of the spread of what was to be chosen


def most_knots(numbers: int, rows: int, shrunk: bool = False) -> int:
    """Return how many knots each of so many numeric covariates of so many rows may have.

    ``shrunk`` says that a scale learned from the rows shrinks what the columns do: a few knots then
    need fewer rows.
    """
    each = max(numbers, 1)
    most = min(COLUMNS, rows // ROWS_PER_COLUMN) // each
    few = min(COLUMNS, rows // ROWS_PER_SHRUNK_COLUMN) // each
    return max(most, min(few, FEW)) if shrunk else most


def choose_knots(values: np.ndarray, most: int) -> tuple[float, ...]:
    """Choose knots at quantiles of the rows and at the values that most rows share.

    No two are closer than `GAP` times the distance between the 10 % and 90 % quantiles of all that
    could be chosen: between knots that nearly touch a prediction could jump, for a change that
    means nothing. Of values that close the most frequent ones stay.

    Parameters
    ----------
    values
        Training values that are there, (n,).
    most
        Largest number of knots.

    Returns
    -------
    tuple of float
        Increasing; empty where fewer than four would be chosen.
    """
    distinct, counts = np.unique(values, return_counts=True)
    often = np.argsort(-counts, kind="stable")
    atoms = often[counts[often] >= ATOM_ROWS][: max(min(ATOMS, most - max(most // 4, 2)), 0)]
    left = min(QUANTILES, most - len(atoms))
    if left < 2:
        return ()
    quantiles = np.quantile(values, np.linspace(0, 1, left), method="nearest")
    chosen = _apart(np.concatenate([quantiles[[0, -1]], distinct[atoms], quantiles]))
    return tuple(float(knot) for knot in chosen) if len(chosen) >= LEAST else ()


def _apart(candidates: np.ndarray) -> np.ndarray:
    """Return, in order, those that keep their distance from all candidates kept before them."""
    low, high = np.quantile(np.unique(candidates), (0.1, 0.9), method="nearest")
    least = GAP * (high - low)
    kept: list[float] = []
    for value in candidates.tolist():
        place = bisect(kept, value)
        if all(abs(value - near) > least for near in kept[max(place - 1, 0) : place + 1]):
            kept.insert(place, value)
    return np.array(kept)


def _place(values: np.ndarray, knots: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the knot at or before each value, (n,), and the gap to the next one."""
    at = np.asarray(knots)
    before = np.clip(np.searchsorted(at, values, side="right") - 1, 0, len(at) - 2)
    return before, at[before + 1] - at[before]


def hats(values: np.ndarray, knots: tuple[float, ...], out: np.ndarray) -> None:
    """Write the hat functions at ``values`` (n,) into ``out``, zeros of shape (n, K)."""
    inside = np.clip(values, knots[0], knots[-1])
    before, gap = _place(inside, knots)
    share = (inside - np.asarray(knots)[before]) / gap
    rows = np.arange(len(values))
    out[rows, before] = 1.0 - share
    out[rows, before + 1] = share


def hat_slopes(values: np.ndarray, knots: tuple[float, ...]) -> np.ndarray:
    """Return the hat functions' derivatives by the number, (n, K); 0 outside the knots."""
    before, gap = _place(values, knots)
    inside = (values >= knots[0]) & (values < knots[-1])
    found = np.zeros((len(values), len(knots)))
    rows = np.arange(len(values))
    found[rows, before] = -1.0 / gap * inside
    found[rows, before + 1] = 1.0 / gap * inside
    return found
