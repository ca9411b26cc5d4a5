"""The dual problem of joint thresholds, and the search for its optimum.

Rows whose groups are read and equal, a cell, differ in p alone: what all rows of a cell share is
computed once, and their sums are taken row by row of the sorted table. Where only chances of groups
are known every row is its own.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from pyfairme.postprocessing.limit_support import Limit, support

SMOOTHING = (0.3, 0.1, 0.03, 0.01, 0.003)  # scales in units of an average row's gain
PRECISE = 2e-5  # error of the rates at the optimum
NARROW = 1e-3  # kinks of norms of prices, rounded
SHARP = 3e-3  # kinks of single prices, rounded, in units of the scale's smoothing
MOST_STEPS = 200  # of a scale
FEW = 2000  # rows that need no coarser table to start with
BINS = 64  # of p in a cell of that
FAR = 36.0  # scores so many scales away are decided for sure in double precision


class RowSums(Protocol):
    """Rows of a table, by what sums over them are needed."""

    def taken(self, v: np.ndarray, scale: float) -> tuple[float, np.ndarray, Any]:
        """Return what decided rows gain, and its slope in prices ``v`` (2, groups)."""
        ...

    def curvature(self, state: Any, scale: float) -> np.ndarray:
        """Return the second derivatives at a state that `taken` returned, (2 groups, 2 groups)."""
        ...

    def coarse(self) -> RowSums:
        """Return fewer rows that are much like these."""
        ...


class EachRow(NamedTuple):
    """Rows of ``gain`` and weight ``mass`` (n,), and what prices take of it, (n, 2 groups)."""

    gain: np.ndarray
    mass: np.ndarray
    parts: np.ndarray

    def taken(self, v: np.ndarray, scale: float) -> tuple[float, np.ndarray, Any]:
        """See `RowSums`."""
        value, chance = _decided(self.gain - self.parts @ v, scale)
        return float(self.mass @ value), -(self.parts.T @ (self.mass * chance)), chance

    def curvature(self, state: Any, scale: float) -> np.ndarray:
        """See `RowSums`."""
        bent = state * (1 - state)
        near = np.flatnonzero(bent > 1e-12)
        parts = self.parts[near]
        return (parts.T * (self.mass[near] * bent[near] / scale)) @ parts

    def coarse(self) -> EachRow:
        """Return every so manieth row."""
        stride = len(self.mass) // FEW + 1
        mass = self.mass[::stride]
        mass = mass * (self.mass.sum() / max(mass.sum(), 1e-300))
        return EachRow(self.gain[::stride], mass, self.parts[::stride])


class CellRows(NamedTuple):
    """Rows sorted by ``cell``: ``p`` and ``mass`` (n,), and where cells start.

    ``member`` (cells, groups) says which groups a cell is of.
    """

    p: np.ndarray
    mass: np.ndarray
    cell: np.ndarray
    starts: np.ndarray
    member: np.ndarray
    reward: float
    charge: float

    def taken(self, v: np.ndarray, scale: float) -> tuple[float, np.ndarray, Any]:
        """See `RowSums`."""
        half = self.member.shape[1]
        reward = self.reward - self.member @ v[:half]
        charge = self.charge + self.member @ v[half:]
        score = (reward + charge)[self.cell]
        score *= self.p
        score -= charge[self.cell]
        value, chance = _decided(score, scale)
        heavy = self.mass * chance
        every = np.add.reduceat(heavy, self.starts)
        positive = np.add.reduceat(heavy * self.p, self.starts)
        slope = np.concatenate([positive @ self.member, (every - positive) @ self.member])
        return float(self.mass @ value), -slope, chance

    def curvature(self, state: Any, scale: float) -> np.ndarray:
        """See `RowSums`."""
        near = np.flatnonzero((state > 1e-12) & (state < 1 - 1e-12))
        chance, p = state[near], self.p[near]
        bent = self.mass[near] * chance * (1 - chance) / scale
        cell, number = self.cell[near], len(self.starts)
        once = np.bincount(cell, bent, number)
        linear = np.bincount(cell, bent * p, number)
        square = np.bincount(cell, bent * p * p, number)
        member = self.member
        both = (member.T * square) @ member
        mixed = (member.T * (linear - square)) @ member
        other = (member.T * (once - 2 * linear + square)) @ member
        return np.block([[both, mixed], [mixed.T, other]])

    def coarse(self) -> CellRows:
        """Return rows of a cell with much the same p as one row."""
        if len(self.p) <= FEW:
            return self
        at = self.cell * BINS + np.minimum((self.p * BINS).astype(int), BINS - 1)
        mass = np.bincount(at, self.mass, len(self.starts) * BINS)
        there = np.flatnonzero(mass > 0)
        p = np.bincount(at, self.mass * self.p, len(mass))[there] / mass[there]
        cell, starts = np.unique(there // BINS, return_index=True)
        sorted_ = np.searchsorted(cell, there // BINS)
        return self._replace(
            p=p, mass=mass[there], cell=sorted_, starts=starts, member=self.member[cell]
        )


def _decided(score: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return what rows gain, rounded by ``scale``, and their chance of a positive decision."""
    if not scale:
        return np.maximum(score, 0), (score > 0).astype(float)
    score = score / scale
    small = np.exp(-np.minimum(np.abs(score), FAR))
    chance = 1 / (1 + small)
    value = np.maximum(score, 0) + np.log1p(small)
    return scale * value, np.where(score > 0, chance, small * chance)


class Dual(NamedTuple):
    """Minus the dual value as a function of the prices w of all limits, one after the other.

    ``prices`` (2 groups, prices) says what they are to the rows' parts: divided by the rate's
    denominator, and for positive, negative or all rows.
    """

    rows: RowSums
    limits: tuple[Limit, ...]
    prices: np.ndarray
    sizes: tuple[int, ...]

    def value(self, w: np.ndarray, scale: float, e: float) -> tuple[float, np.ndarray, Any]:
        """Return value, slope and the state of rows; exact where ``scale`` and ``e`` are 0."""
        value, slope, state = self.rows.taken(self.prices @ w, scale)
        slope = self.prices.T @ slope
        for place, limit in self._blocks():
            found = support(w[place], limit, _rounding(limit, e))
            value += found.value
            slope[place] += found.slope
        return value, slope, state

    def curvature(self, w: np.ndarray, state: Any, scale: float, e: float) -> np.ndarray:
        """Return the second derivatives at a state that `value` returned."""
        found = self.prices.T @ self.rows.curvature(state, scale) @ self.prices
        for place, limit in self._blocks():
            bent = support(w[place], limit, _rounding(limit, e), curved=True).curvature
            found[place, place] += bent
        return found

    def _blocks(self) -> list[tuple[slice, Limit]]:
        ends = np.cumsum(self.sizes)
        return [
            (slice(end - size, end), limit)
            for end, size, limit in zip(ends, self.sizes, self.limits, strict=True)
        ]


def _rounding(limit: Limit, e: float) -> float:
    """Norms keep their rounding: they have one kink, single prices have many."""
    return NARROW if limit.measure == "sd" and e else e


def search(dual: Dual, average: float) -> tuple[np.ndarray, float]:
    """Return the prices of the least value, and the last scale of rounding.

    ``average`` is an average row's gain. Scale by scale Newton's method with a damping that grows
    where a step does not help (Levenberg and Marquardt's); all but the last two scales on a coarser
    table, which is where most steps are made.
    """
    w, scale = np.zeros(dual.prices.shape[1]), 0.0
    path: list[tuple[float, np.ndarray]] = []
    coarse = dual._replace(rows=dual.rows.coarse())
    for number, smoothing in enumerate(SMOOTHING, 1):
        scale, e = smoothing * average, SHARP * smoothing
        here = coarse if number < len(SMOOTHING) - 1 else dual
        if len(path) > 1:  # prices of groups that coins decide are nearly linear in the scale
            (t, before), (u, last) = path[-2:]
            further = last + (smoothing - u) / (u - t) * (last - before)
            if here.value(further, scale, e)[0] < here.value(w, scale, e)[0]:
                w = further
        w = _newton(here, w, scale, e)
        path.append((smoothing, w))
    return w, scale


def _newton(dual: Dual, w: np.ndarray, scale: float, e: float) -> np.ndarray:
    value, slope, state = dual.value(w, scale, e)
    bent = dual.curvature(w, state, scale, e)
    damping = 1e-9
    for _ in range(MOST_STEPS):
        if np.linalg.norm(slope) <= PRECISE:
            break
        size = max(float(np.trace(bent)) / len(w), 1e-12)
        step = np.linalg.solve(bent + damping * size * np.eye(len(w)), -slope)
        promised = -(slope @ step + step @ bent @ step / 2)
        tried = dual.value(w + step, scale, e)
        kept = (value - tried[0]) / max(promised, 1e-300)
        if kept < 1e-3:
            if damping > 1e12:
                break  # no step helps any more: rounding errors
            damping = max(damping * 10, 1e-6)
            continue
        w, (value, slope, state) = w + step, tried
        bent = dual.curvature(w, state, scale, e)
        damping = damping / 10 if kept > 0.25 else damping * 3
        damping = max(damping, 1e-12)
    return w
