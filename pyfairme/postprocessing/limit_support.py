r"""What limits of rates are in the dual problem: support functions of the sets of allowed rates.

A limit allows the rates r of an attribute's groups a convex set R, and enters the dual as

    h(w) = max { w . r : r in R },

with w the prices of the rates. With c = w - mean(w), s, d and rho the limits, and n groups:

    SD(r) <= s                    h = sqrt(n) s ||c||_2              (w sums to 0: a shift is free)
    max r - min r <= d            h = d / 2 ||c||_1                  (likewise)
    min r >= rho max r, 0 <= r <= 1
                                  h = max(0, sum_g max(w_g, 0) - rho sum_g max(-w_g, 0))

of which the last is the most that t (sum of positive prices - rho sum of negative ones) is for a
highest rate t from 0 to 1. Kinks are rounded, |x| to sqrt(x^2 + e^2): at the optimum the rates are
the gradient of the rounded h, which lies inside of R.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np

RATES = ("tpr", "fpr", "selection_rate")
MEASURES = ("sd", "difference", "ratio")


class Limit(NamedTuple):
    """How unequal one rate of `RATES` may be over the groups of an attribute.

    ``bound`` is the largest SD, the largest difference of two groups, or the least ratio of two.
    """

    attribute: str
    rate: str
    bound: float
    measure: str = "sd"

    @property
    def binds_nothing(self) -> bool:
        """Whether any rates keep it."""
        return self.bound <= 0 if self.measure == "ratio" else bool(np.isinf(self.bound))

    def excess(self, rates: np.ndarray) -> float:
        """Return by how much rates (groups,) break it, negative where they keep it."""
        found = inequality(rates, self.measure)
        return self.bound - found if self.measure == "ratio" else found - self.bound


def inequality(rates: np.ndarray, measure: str) -> float:
    """Return how unequal rates (groups,) are: their SD, range, or least over largest.

    NaN where a rate is; rates that are all 0 have the ratio 1.

    Examples
    --------
    >>> rates = np.array([0.4, 0.5])
    >>> [round(inequality(rates, measure), 3) for measure in MEASURES]
    [0.05, 0.1, 0.8]
    """
    if measure == "sd":
        return float(np.std(rates))
    least, largest = float(np.min(rates)), float(np.max(rates))
    if measure == "difference":
        return largest - least
    return 1.0 if largest == 0 else least / largest


class Support(NamedTuple):
    """A support function rounded by ``e`` at a price w: value, gradient, second derivatives."""

    value: float
    slope: np.ndarray
    curvature: np.ndarray | None


def support(w: np.ndarray, limit: Limit, e: float, *, curved: bool = False) -> Support:
    """Return that of a limit at prices ``w`` (groups,); exact where ``e`` is 0."""
    if limit.measure == "ratio":
        return _ratio(w, limit.bound, e, curved)
    centred = w - w.sum() / len(w)
    found = (_sd if limit.measure == "sd" else _difference)(centred, limit.bound, e, curved)
    if found.curvature is None:
        return found
    away = np.eye(len(w)) - 1 / len(w)
    return found._replace(curvature=away @ found.curvature @ away)


def _sd(c: np.ndarray, bound: float, e: float, curved: bool) -> Support:
    margin, norm = sqrt(len(c)) * bound, max(sqrt(float(c @ c) + e**2), 1e-300)
    bent = margin / norm * (np.eye(len(c)) - np.outer(c, c) / norm**2) if curved else None
    return Support(margin * norm, margin * c / norm, bent)


def _difference(c: np.ndarray, bound: float, e: float, curved: bool) -> Support:
    size = np.maximum(np.hypot(c, e), 1e-300)
    slope = bound / 2 * c / size
    bent = np.diag(bound / 2 * e**2 / size**3) if curved else None
    return Support(bound / 2 * float(size.sum()), slope - slope.mean(), bent)


def _ratio(w: np.ndarray, bound: float, e: float, curved: bool) -> Support:
    size = np.maximum(np.hypot(w, e), 1e-300)
    each = (1 + bound) / 2 * w + (1 - bound) / 2 * size
    z = float(each.sum())
    far = max(float(np.hypot(z, e)), 1e-300)
    top = (1 + z / far) / 2  # the highest rate
    slope = (1 + bound) / 2 + (1 - bound) / 2 * w / size
    bent = None
    if curved:
        bent = e**2 / far**3 / 2 * np.outer(slope, slope)
        bent += np.diag(top * (1 - bound) / 2 * e**2 / size**3)
    return Support((z + far) / 2 if e else max(z, 0.0), top * slope, bent)
