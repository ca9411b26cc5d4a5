"""Rates nearest to the observed ones that have a given disparity: constrained estimates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pyfairme.metrics.array_inputs import Floats

_STEP = 1e-6  # of central differences
_BLOCK = 50_000  # numbers held at a time: what the caches of a core hold


def nearest(
    parts: Floats,
    combine: Callable[[Floats], Floats],
    variance: Callable[[Floats], Floats],
    distances: Floats,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Floats:
    """Return parts with given distances, as near to the observed ones as their noise says.

    A group of 20 rows may well have another rate than the one observed, one of 2,000 may not: to
    change the distance between them the first moves. Near is in units of the noise, as for the
    constrained estimates of a profile likelihood; the way to them is followed by steps along
    ``variance x gradient``, from the observed distance down and up.

    Parameters
    ----------
    parts
        Shape ``(S, P)``: observed, by seed.
    combine
        From ``(..., P)`` to distances ``(...)``.
    variance
        From parts ``(S, P)`` to the variance of their noise, of the same shape.
    distances
        Shape ``(T,)``, growing: means over seeds to go to.
    bounds
        Least and largest value of a part: one that gets there stays, and the others go on.

    Returns
    -------
    ndarray
        Shape ``(T, S, P)``. Where a distance cannot be reached, the last parts on the way.

    Examples
    --------
    Of two rates .2 apart, the one with four times the variance makes four fifths of the way:

    >>> gap = lambda parts: abs(parts[..., 0] - parts[..., 1])
    >>> found = nearest(
    ...     np.array([[0.4, 0.6]]), gap, lambda _: np.array([[4.0, 1.0]]), np.array([0.1])
    ... )
    >>> found.round(3).tolist()
    [[[0.48, 0.58]]]
    """
    own = combine(parts)  # (S,)
    goals = np.multiply.outer(distances / own.mean(), own)  # (T, S)
    above = int(np.searchsorted(distances, own.mean()))
    found = np.empty((len(distances), *parts.shape))
    for way in (range(above, len(distances)), range(above - 1, -1, -1)):
        place = parts
        for at in way:
            move = _step(place, goals[at] - combine(place), combine, variance, bounds)
            found[at] = place = np.clip(place + move, *bounds)
    return found


def _step(
    place: Floats,
    change: Floats,
    combine: Callable[[Floats], Floats],
    variance: Callable[[Floats], Floats],
    bounds: tuple[float, float],
) -> Floats:
    """Return the move of least length, in units of the noise, that changes distances so far."""
    slope = _gradient(place, combine)
    up = slope * change[:, None] > 0
    slope = np.where(np.where(up, place < bounds[1], place > bounds[0]), slope, 0)
    spread = variance(place)
    spread = np.where(spread.any(1, keepdims=True), spread, 1)  # nothing varies: all move alike
    move = spread * slope
    gain = (move * slope).sum(1, keepdims=True)
    return np.where(gain > 0, move / np.where(gain > 0, gain, 1), 0) * change[:, None]


def _gradient(place: Floats, combine: Callable[[Floats], Floats]) -> Floats:
    """Return slopes of the distances by each part, (S, P); a few parts are moved at a time."""
    size = place.shape[1]
    step = _STEP * max(1.0, float(np.nanmax(np.abs(place))))
    each = max(1, _BLOCK // (2 * place.size))
    found = np.empty(place.shape)
    for start in range(0, size, each):
        some = np.arange(start, min(start + each, size))
        moves = np.zeros((len(some), 1, size))
        moves[np.arange(len(some)), 0, some] = step
        found[:, some] = (combine(place + moves) - combine(place - moves)).T / (2 * step)
    return np.nan_to_num(found)
