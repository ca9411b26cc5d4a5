"""A model's own predictive intervals, from narrow to wide, and how wide one must be to hold y.

The interval of size t is the central one to which the model gives probability t, [Q((1 - t) / 2),
Q((1 + t) / 2)] with Q the row's predictive quantiles; beyond the largest of `SIZES`, where draws
end, it grows at both ends by t - max(SIZES) times its own width. The score of an outcome is the
least t whose interval holds it, as in distributional conformal prediction (Chernozhukov, Wuthrich &
Zhu 2021); any such family can be calibrated (nested conformal prediction: Gupta, Kuchibhotla &
Ramdas 2022).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pyfairme.metrics.array_inputs import Floats

SIZES = np.array([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 0.99])
PROBABILITIES = tuple(float(p) for p in np.r_[(1 - SIZES[::-1]) / 2, (1 + SIZES[1:]) / 2])
ROUNDING = 1e-9
_TINY = 1e-300


class NestedIntervals(NamedTuple):
    """Intervals of rows, one inside the other.

    Attributes
    ----------
    low, high
        Shape ``(len(SIZES), n)``: ends, from narrow to wide.
    whole
        Whether outcomes are whole numbers.
    """

    low: Floats
    high: Floats
    whole: bool = False

    @classmethod
    def of(cls, quantiles: Floats, *, whole: bool = False) -> NestedIntervals:
        """Make them of quantiles at `PROBABILITIES`, ``(len, n)``."""
        middle = len(SIZES) - 1
        low, high = quantiles[middle::-1], quantiles[middle:]
        return cls(np.minimum.accumulate(low), np.maximum.accumulate(high), whole)

    def score(self, y: Floats) -> Floats:
        """Return the least size of an interval that holds each outcome: (n,) to (n,), from 0."""
        return np.maximum(self._side(y, self.high, 1.0), self._side(y, self.low, -1.0))

    def at(self, size: Floats) -> tuple[Floats, Floats]:
        """Return low and high (n,) of the intervals of sizes (n,); whole numbers where y is."""
        size = np.maximum(size, 0.0)
        step = np.clip(np.searchsorted(SIZES, size, side="right") - 1, 0, len(SIZES) - 2)
        rows = np.arange(len(size))
        part = (np.minimum(size, SIZES[-1]) - SIZES[step]) / (SIZES[step + 1] - SIZES[step])
        more = np.maximum(size - SIZES[-1], 0) * self._unit
        low = (1 - part) * self.low[step, rows] + part * self.low[step + 1, rows] - more
        high = (1 - part) * self.high[step, rows] + part * self.high[step + 1, rows] + more
        if not self.whole:
            return low, high
        slack = ROUNDING * (1 + np.abs(high))
        low, high = np.ceil(low - slack), np.floor(high + slack)
        return np.minimum(low, high), np.maximum(low, high)  # none between two whole numbers: both

    @property
    def _unit(self) -> Floats:
        """Width of the widest interval, of which a count has at least 1."""
        return np.maximum(self.high[-1] - self.low[-1], 1.0 if self.whole else _TINY)

    def _side(self, y: Floats, ends: Floats, sign: float) -> Floats:
        beyond = sign * (y - ends[0])  # the median
        reach = sign * (ends - ends[0])
        step = np.maximum((reach < beyond).sum(axis=0), 1)  # the first interval that holds y
        last = len(SIZES) - 1
        at, rows = np.minimum(step, last), np.arange(len(y))
        inner, outer = reach[at - 1, rows], reach[at, rows]
        width = outer - inner
        part = np.divide(beyond - inner, width, out=np.ones_like(width), where=width > 0)
        found = SIZES[at - 1] + np.clip(part, 0, 1) * (SIZES[at] - SIZES[at - 1])
        outside = SIZES[-1] + (beyond - reach[-1]) / self._unit
        return np.where(beyond <= 0, 0.0, np.where(step > last, outside, found))
