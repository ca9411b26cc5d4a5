"""Rates nearest to the observed ones that have a given disparity: constrained estimates."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

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
        From parts ``(2, S, P)`` to the variance of their noise, of the same shape.
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
    last = len(distances) - 1
    found = np.empty((len(distances), *parts.shape))
    place = np.stack([parts, parts])  # of the way up and of the way down
    for step in range(max(last + 1 - above, above)):
        up, down = above + step, above - 1 - step
        value, slopes = _value_and_slopes(place, combine)
        change = goals[[min(up, last), max(down, 0)]] - value
        place = _within(place + _move(place, slopes, change, variance(place), bounds), bounds)
        if up <= last:
            found[up] = place[0]
        if down >= 0:
            found[down] = place[1]
    return found


def _within(place: Floats, bounds: tuple[float, float]) -> Floats:
    return np.minimum(np.maximum(place, bounds[0]), bounds[1])


def _move(
    place: Floats, slopes: Floats, change: Floats, spread: Floats, bounds: tuple[float, float]
) -> Floats:
    """Return the move of least length, in units of the noise, that changes distances so far."""
    up = slopes * change[..., None] > 0
    slopes = slopes * np.where(up, place < bounds[1], place > bounds[0])
    spread = np.where(spread.any(-1, keepdims=True), spread, 1)  # nothing varies: all move alike
    move = spread * slopes
    gain = (move * slopes).sum(-1)
    rises = gain > 0
    return move * np.where(rises, change / np.where(rises, gain, 1), 0)[..., None]


def _value_and_slopes(place: Floats, combine: Callable[[Floats], Floats]) -> tuple[Floats, Floats]:
    """Return distances, (...), and their slopes by each part, (..., P).

    Central differences; a few parts are moved at a time.
    """
    size = place.shape[-1]
    step = _STEP * max(1.0, float(np.fmax.reduce(np.abs(place), axis=None)))
    each = max(1, _BLOCK // (2 * place.size))
    slopes, value = np.empty(place.shape), np.empty(place.shape[:-1])
    for start in range(0, size, each):
        stop = min(start + each, size)
        moves = step * _moves(size, start, stop)
        found = combine(place + moves.reshape(len(moves), *[1] * (place.ndim - 1), size))
        many = stop - start
        rise = (found[:many] - found[many:-1]) / (2 * step)
        slopes[..., start:stop] = np.moveaxis(rise, 0, -1)
        value = found[-1]
    slopes[np.isnan(slopes)] = 0
    return value, slopes


@lru_cache(maxsize=32)
def _moves(size: int, start: int, stop: int) -> Floats:
    """Return a step up of every part from start to stop, then a step down, then none: (., P)."""
    up = np.eye(size)[start:stop]
    return np.concatenate([up, -up, np.zeros((1, size))])
