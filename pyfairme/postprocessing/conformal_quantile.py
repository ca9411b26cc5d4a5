"""The conformal quantile: how large a score may be so that a new row's is covered at a level.

Of n + 1 exchangeable units, each is as likely as any to have one of the k smallest scores, so the
k-th smallest of n calibration scores, k = ceil(level (n + 1)), is at least as large as the score of
a new unit with probability ``level`` or more (Vovk, Gammerman & Shafer 2005). Units are rows; where
a new row is of a new cluster they are clusters, each of whose m rows has 1 / m of its unit (Lee,
Barber & Willett 2023).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pyfairme.metrics.array_inputs import Floats

ROUNDING = 1e-9  # of 0.9 * 10 and the like


def fewest_units(level: float) -> int:
    """Return the least number of calibration units with which a level can be reached.

    Examples
    --------
    >>> fewest_units(0.9), fewest_units(0.95), fewest_units(0.5)
    (9, 19, 1)
    """
    return max(1, int(np.ceil(level / (1 - level) - ROUNDING)))


def shares(unit: np.ndarray) -> Floats:
    """Return each row's share of its unit, by whose number rows (n,) are marked.

    Examples
    --------
    >>> shares(np.array([7, 7, 2])).tolist()
    [0.5, 0.5, 1.0]
    """
    _, place, rows = np.unique(unit, return_inverse=True, return_counts=True)
    return 1.0 / rows[place]


class CalibrationScores(NamedTuple):
    """Scores of the calibration rows of one group.

    Attributes
    ----------
    value
        Shape ``(n,)``, rising.
    share
        Shape ``(n,)``: each row's share of its unit; 1 where rows are units.
    """

    value: Floats
    share: Floats

    @classmethod
    def of(cls, score: Floats, unit: np.ndarray | None = None) -> CalibrationScores:
        """Sort scores (n,); ``unit`` (n,) numbers the units of rows, None: each is its own."""
        share = np.ones(len(score)) if unit is None else shares(unit)
        order = np.argsort(score, kind="stable")
        return cls(np.asarray(score, np.float64)[order], share[order])

    @property
    def units(self) -> int:
        """Number of exchangeable units."""
        return int(np.rint(self.share.sum()))

    def quantile(self, level: float) -> float:
        """Return the conformal quantile; infinity where the units are fewer than it takes.

        Examples
        --------
        >>> scores = CalibrationScores.of(np.arange(1.0, 20.0))
        >>> scores.quantile(0.9), scores.quantile(0.95), scores.quantile(0.96)
        (18.0, 19.0, inf)
        """
        if self.units < fewest_units(level):
            return np.inf
        wanted = level * (self.units + 1) - ROUNDING
        place = int(np.searchsorted(np.cumsum(self.share), wanted))
        return float(self.value[min(place, len(self.value) - 1)])
