"""Models by accuracy and disparity: which of them no other one beats, and how much they cover."""

import numpy as np
from numpy.typing import ArrayLike

from pyfairme.metrics.array_inputs import Floats, as_numbers


def non_dominated(accuracy: ArrayLike, disparity: ArrayLike) -> np.ndarray:
    """Tell which models are not dominated by another one.

    Model j dominates i when

        a_j >= a_i  and  d_j <= d_i,  and one of the two holds strictly;

    equal models do not dominate each other.

    Parameters
    ----------
    accuracy
        Shape ``(n,)``: a, higher is better.
    disparity
        Shape ``(n,)``: d, lower is better.

    Returns
    -------
    np.ndarray
        bool[n]; False where a value is NaN.

    Raises
    ------
    ValueError
        When the two are not vectors of one length.

    Examples
    --------
    >>> non_dominated([0.8, 0.7, 0.6], [0.2, 0.1, 0.1]).tolist()
    [True, True, False]
    """
    a, d = _points(accuracy, disparity)
    known = ~(np.isnan(a) | np.isnan(d))
    found = np.zeros(len(a), bool)
    best = np.inf  # lowest disparity of the models that are strictly more accurate
    for level in np.unique(a[known])[::-1]:
        equal = known & (a == level)
        lowest = d[equal].min()
        found |= equal & (d == lowest) & (lowest < best)
        best = min(best, lowest)
    return found


def on_hull(accuracy: ArrayLike, disparity: ArrayLike) -> np.ndarray:
    """Tell which models are corners of the convex frontier.

    The convex frontier is the greatest convex function of accuracy that lies nowhere above the
    non-dominated models, from the least disparate to the most accurate one. A model above it is
    beaten by a mixture of two others: who answers with model 1 with chance t, else with model 2,
    has the rates t r_1 + (1 - t) r_2 in every group, so its balanced accuracy lies on the straight
    line between the two, and its spread of rates on that line or below, for a standard deviation
    is convex.

    Parameters
    ----------
    accuracy, disparity
        As of `non_dominated`.

    Returns
    -------
    np.ndarray
        bool[n]; of equal models the first one.

    Examples
    --------
    >>> on_hull([0.6, 0.7, 0.8], [0.0, 0.15, 0.2]).tolist()
    [True, False, True]
    """
    a, d = _points(accuracy, disparity)
    corners: list[int] = []
    for k in _staircase(a, d):
        while len(corners) > 1 and not _turns_up(a, d, corners[-2], corners[-1], k):
            corners.pop()
        corners.append(k)
    found = np.zeros(len(a), bool)
    found[corners] = True
    return found


def hypervolume(
    accuracy: ArrayLike,
    disparity: ArrayLike,
    reference: tuple[float, float],
    *,
    convex: bool = False,
) -> float:
    """Compute the area that models dominate, up to a reference point.

    With the models that beat the reference ``(a_0, d_0)`` in both, in order of accuracy and without
    dominated ones,

        HV = Σ_i (a_i - a_{i-1}) (d_0 - d_i)

    (Zitzler and Thiele 1999, for two objectives); d_1 < d_2 < ... since none is dominated. With
    ``convex`` the area of the region's convex hull,

        HV = (a_1 - a_0) (d_0 - d_1) + Σ_{i>1} (a_i - a_{i-1}) (d_0 - (d_i + d_{i-1}) / 2)

    over the corners of the hull (`on_hull`): what mixtures of two models reach as well.

    Parameters
    ----------
    accuracy, disparity
        As of `non_dominated`; a model with a NaN covers nothing.
    reference
        Accuracy and disparity of the point to beat.
    convex
        Whether mixtures count.

    Returns
    -------
    float
        0 when no model beats the reference, NaN when there are models and all have a NaN.

    Raises
    ------
    ValueError
        When the lengths differ, or the reference is not two finite numbers.

    Examples
    --------
    >>> round(hypervolume([0.8, 0.7], [0.2, 0.1], (0.6, 0.3)), 6)
    0.03
    >>> round(hypervolume([0.8, 0.7], [0.2, 0.1], (0.6, 0.3), convex=True), 6)
    0.035
    """
    a, d = _points(accuracy, disparity)
    start, ceiling = _reference(reference)
    if len(a) and (np.isnan(a) | np.isnan(d)).all():
        return float("nan")
    better = (a > start) & (d < ceiling)
    a, d = a[better], d[better]
    chosen = np.flatnonzero(on_hull(a, d)) if convex else _staircase(a, d)
    chosen = chosen[np.argsort(a[chosen])]
    if not len(chosen):
        return 0.0
    width = np.diff(a[chosen], prepend=start)
    height = ceiling - d[chosen]
    if convex:
        height = (height + np.concatenate([height[:1], height[:-1]])) / 2
    return float(width @ height)


def _points(accuracy: ArrayLike, disparity: ArrayLike) -> tuple[Floats, Floats]:
    a, d = as_numbers(accuracy, "accuracy"), as_numbers(disparity, "disparity")
    if a.ndim != 1 or a.shape != d.shape:
        raise ValueError(
            "accuracy and disparity must be vectors of one length, one value per model; got shapes "
            f"{a.shape} and {d.shape}. [other-length]"
        )
    return a, d


def _reference(reference: object) -> tuple[float, float]:
    pair = as_numbers(reference, "reference")
    if pair.shape != (2,) or not np.isfinite(pair).all():
        raise ValueError(
            "reference must be two finite numbers, accuracy and disparity, "
            f"got {reference!r}. [reference-point]"
        )
    return float(pair[0]), float(pair[1])


def _staircase(a: Floats, d: Floats) -> np.ndarray:
    """Return the positions of the non-dominated models by accuracy, the first of equal ones."""
    positions = np.flatnonzero(non_dominated(a, d))
    _, first = np.unique(a[positions], return_index=True)
    return positions[first]


def _turns_up(a: Floats, d: Floats, i: int, j: int, k: int) -> bool:
    """Tell whether j lies strictly below the line from i to k."""
    return bool((a[j] - a[i]) * (d[k] - d[i]) > (d[j] - d[i]) * (a[k] - a[i]))
