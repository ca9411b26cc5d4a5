"""The parts nearest to the observed ones under which a distance between them is another."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pyfairme.metrics.inputs import Floats

__all__ = ["nearest"]

_STEP = 1e-6  # of central differences


def nearest(
    parts: Floats,
    combine: Callable[[Floats], Floats],
    variance: Callable[[Floats], Floats],
    distances: Floats,
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
            place = place + _step(place, goals[at] - combine(place), combine, variance)
            found[at] = place
    return found


def _step(
    place: Floats,
    change: Floats,
    combine: Callable[[Floats], Floats],
    variance: Callable[[Floats], Floats],
) -> Floats:
    """Return the move of least length, in units of the noise, that changes distances so far."""
    slope = _gradient(place, combine)
    spread = variance(place)
    spread = np.where(spread.any(1, keepdims=True), spread, 1)  # nothing varies: all move alike
    move = spread * slope
    gain = (move * slope).sum(1, keepdims=True)
    return np.where(gain > 0, move / np.where(gain > 0, gain, 1), 0) * change[:, None]


def _gradient(place: Floats, combine: Callable[[Floats], Floats]) -> Floats:
    size = place.shape[1]
    step = _STEP * max(1.0, float(np.nanmax(np.abs(place))))
    moved = place + step * np.stack([np.eye(size), -np.eye(size)])[:, :, None]  # (2, P, S, P)
    up, down = combine(moved)
    return np.nan_to_num((up - down).T / (2 * step))
