"""Conformal quantiles that hold in the groups of several attributes at once.

A row of the groups c gets phi(c) . beta, where phi marks its group of each attribute and beta is
the quantile regression of the calibration scores on phi with one row more: of the groups c, with an
infinite score. Then each group of each attribute is covered at the level or more, and by little
more, although groups overlap and combinations of them are small (Gibbs, Cherian & Candes 2025,
"Conformal prediction with conditional guarantees", JRSSB, section 2, for the least favourable score
of the new row). With one attribute it is the conformal quantile of the row's group.

The regression is a linear program, solved in its dual. Rows far from the fit have the sign that
they had in a fit without the row more, so that each program holds a few of them only; that the
signs are right is checked of all rows (Portnoy & Koenker 1997).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pyfairme.metrics.array_inputs import Codes, Floats

FEWEST = 1000  # rows in the first program
NEAR = 25  # rows per number that is fitted, in the others
SLACK = 1e-9


@dataclass(frozen=True)
class OverlappingQuantiles:
    """Calibration rows of one level.

    Parameters
    ----------
    score, share
        Shape ``(n,)``: as of `CalibrationScores`, in any order.
    codes
        Shape ``(attributes, n)``: groups.
    groups
        Number of groups of each attribute.
    level
        Coverage, between 0 and 1.
    """

    score: Floats
    share: Floats
    codes: Codes
    groups: tuple[int, ...]
    level: float

    def of(self, combinations: Codes) -> Floats:
        """Return the quantile of rows of some groups, ``(attributes, m)`` to (m,).

        Infinity where a group has too few units, or groups overlap so that they have together.
        """
        return np.array([self._quantile(point) for point in self._marks(combinations)])

    def _marks(self, codes: Codes) -> Floats:
        """Return phi: a constant, and all groups of each attribute but one, ``(m, d)``."""
        columns = [np.ones(codes.shape[1])]
        for mine, number in zip(codes, self.groups, strict=True):
            columns += [(mine == group).astype(np.float64) for group in range(number - 1)]
        return np.stack(columns, axis=1)

    @cached_property
    def _rows(self) -> Floats:
        return self._marks(self.codes)

    @cached_property
    def _start(self) -> Floats:
        """Return beta without the row more, or zeros where there is none."""
        rows, none = self._rows, np.zeros(self._rows.shape[1])
        some = np.arange(0, len(rows), max(1, len(rows) // (2 * FEWEST)))
        found = self._solve(some, none)
        found = self._fit(none, none if found is None else found, FEWEST)
        return none if found is None else found

    def _quantile(self, point: Floats) -> float:
        found = self._fit(self.level * point, self._start, NEAR * len(point))
        return np.inf if found is None else float(point @ found)

    def _fit(self, extra: Floats, beta: Floats, size: int) -> Floats | None:
        """Return beta of all rows and the pull ``extra`` (d,) of others, None where there is none.

        ``beta`` is close to it; a program begins with the ``size`` rows that are near its fit.
        """
        n = len(self.score)
        while True:
            size = min(n, size)
            residual = self.score - self._rows @ beta
            far = np.ones(n, bool)
            near = np.argpartition(np.abs(residual), size - 1)[:size]
            far[near] = False
            above = residual[far] > 0
            pull = np.where(above, self.level, self.level - 1) * self.share[far]
            found = self._solve(near, extra + pull @ self._rows[far])
            if found is not None:
                after = self.score[far] - self._rows[far] @ found
                slack = SLACK * (1 + np.abs(after))
                if np.where(above, after >= -slack, after <= slack).all():
                    return found
                beta = found
            if size == n:
                return None
            size *= 2

    def _solve(self, rows: np.ndarray, pull: Floats) -> Floats | None:
        """Return beta of some rows, and ``pull`` (d,) of others; None where there is no optimum."""
        from scipy.optimize import linprog  # slow to import

        share = self.share[rows]
        bounds = np.stack([(self.level - 1) * share, self.level * share], axis=1)
        found = linprog(
            -self.score[rows], A_eq=self._rows[rows].T, b_eq=-pull, bounds=bounds, method="highs"
        )
        return -np.asarray(found.eqlin.marginals) if found.status == 0 else None


def distinct_columns(codes: Sequence[Codes]) -> tuple[Codes, np.ndarray]:
    """Return the different combinations ``(attributes, m)`` of codes (n,), and each row's (n,)."""
    found, place = np.unique(np.stack(codes), axis=1, return_inverse=True)
    return found, place.reshape(-1)
