"""A proportion with its interval, of independent rows or of rows in groups."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pyfairme.metrics.array_inputs import Codes, Floats, as_binary, as_groups, check_share


class Proportion(NamedTuple):
    """A share of rows and its interval."""

    value: float
    low: float
    high: float


def proportion_interval(
    hits: ArrayLike, *, groups: ArrayLike | None = None, level: float = 0.9
) -> Proportion:
    """Compute the share of hits with its Wilson interval.

    With ``groups`` the number of rows is replaced by the effective one, ``p (1 - p) / v`` with v
    the cluster-robust variance of the share (sum over groups of squared summed residuals), and the
    Normal quantile by that of a t with ``groups - 1`` degrees of freedom (Korn & Graubard 1998). Of
    all hits, or none, the variance says nothing: then each group counts as one row.

    Parameters
    ----------
    hits
        Shape ``(n,)``: 0 or 1.
    groups
        Shape ``(n,)``: labels of groups whose rows may hang together; ``None``: rows are
        independent.
    level
        Coverage of the interval.

    Raises
    ------
    ValueError
        When a value is neither 0 nor 1, ``level`` is not between 0 and 1, or there is one group.

    Examples
    --------
    >>> found = proportion_interval([0, 1, 1, 1], level=0.95)
    >>> found.value, round(found.low, 3), round(found.high, 3)
    (0.75, 0.301, 0.954)
    """
    from scipy.special import ndtri, stdtrit

    level = check_share(level)
    hit = as_binary(hits, "hits")
    share = float(hit.mean())
    if groups is None:
        size, quantile = float(len(hit)), float(ndtri((1 + level) / 2))
    else:
        codes = as_groups(groups, "groups", len(hit)).codes
        number = len(np.unique(codes))
        if number < 2:
            raise ValueError(
                "groups has 1 group: between how many groups the share varies cannot be told from "
                "one. Leave groups out, or pass the labels of the clusters. [one-group]"
            )
        size = _effective_size(hit, codes, number)
        quantile = float(stdtrit(number - 1, (1 + level) / 2))
    return Proportion(share, *_wilson(share, size, quantile))


def _effective_size(hit: Floats, codes: Codes, number: int) -> float:
    share = hit.mean()
    if share in (0, 1):
        return float(number)
    totals = np.bincount(codes, hit - share)
    variance = (totals**2).sum() / len(hit) ** 2 * number / (number - 1)
    size = share * (1 - share) / variance if variance > 0 else np.inf
    return float(min(size, len(hit)))


def _wilson(share: float, size: float, quantile: float) -> tuple[float, float]:
    """Solve ``|share - p| = quantile sqrt(p (1 - p) / size)`` for p (Wilson 1927)."""
    extra = quantile**2 / size
    middle = (share + extra / 2) / (1 + extra)
    half = quantile / (1 + extra) * np.sqrt(share * (1 - share) / size + extra / (4 * size))
    return float(max(0.0, middle - half)), float(min(1.0, middle + half))
