"""Groups of a number: brackets that a user cuts, and those that training rows are cut into."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.data.columns import label_of, read_numbers
from pyfairme.notices import shown

MOST_GROUPS = 50


@dataclass(frozen=True)
class Binned:
    """Derive a sensitive attribute from a numeric column by right-closed brackets.

    Parameters
    ----------
    column
        Name of the numeric column.
    edges
        Strictly increasing cut points, in the column's units; k edges make k + 1 brackets.
    name
        Name of the attribute; by default the column's with "_bin" appended.

    Raises
    ------
    ValueError
        When edges are empty, not finite or not strictly increasing.

    Examples
    --------
    >>> bracket = Binned("age", (30, 45), name="age_bracket")
    >>> bracket.levels
    ('<=30', '(30, 45]', '>45')
    >>> list(bracket.apply([30, 31, 70]))
    ['<=30', '(30, 45]', '>45']
    """

    column: str
    edges: tuple[float, ...]
    name: str | None = None

    def __post_init__(self) -> None:
        edges = _edges(self)
        increasing = all(a < b for a, b in pairwise(edges))
        if not edges or not np.isfinite(edges).all() or not increasing:
            raise ValueError(
                f"Binned({self.column!r}) expected at least one finite edge in strictly increasing "
                f"order, got {shown(self.edges)}. [binned-edges]"
            )
        object.__setattr__(self, "edges", edges)

    @property
    def label(self) -> str:
        """Name of the attribute."""
        return self.name or f"{self.column}_bin"

    @property
    def levels(self) -> tuple[str, ...]:
        """Labels of all brackets, from low to high."""
        cuts = [label_of(edge) for edge in self.edges]
        inner = [f"({low}, {high}]" for low, high in pairwise(cuts)]
        return (f"<={cuts[0]}", *inner, f">{cuts[-1]}")

    def codes(self, values: np.ndarray) -> np.ndarray:
        """Return int64[n] bracket numbers of float[n] values, -1 where NaN."""
        position = np.searchsorted(np.asarray(self.edges), values, side="left")
        return np.where(np.isnan(values), -1, position)

    def apply(self, series: Any) -> pd.Series:
        """Return the bracket label of every value of a column, None where it is missing."""
        column = series if isinstance(series, pd.Series) else pd.Series(series, name=self.column)
        table = np.array([*self.levels, None], dtype=object)
        labels = table[self.codes(read_numbers(column))]
        return pd.Series(labels, index=column.index, name=self.label, dtype=object)


def _edges(binned: Binned) -> tuple[float, ...]:
    given: Any = binned.edges
    try:
        if isinstance(given, str):
            raise TypeError
        return tuple(float(edge) for edge in given)
    except (TypeError, ValueError):
        raise ValueError(
            f"Binned({binned.column!r}) expected cut points, a tuple of numbers such as (30, 45), "
            f"got {shown(given)}. One cut at 40 is (40,); for three groups of equal size take "
            f"quantiles, tuple(frame[{binned.column!r}].quantile([1/3, 2/3])). [binned-edges]"
        ) from None


@dataclass(frozen=True)
class Continuous:
    """A number as a sensitive attribute, without brackets of a user's choice.

    Reports, tests and plots compare groups of equal size, cut at quantiles of the training rows.
    Penalties and adversaries see no cuts: a row between the medians of two neighbouring groups
    belongs to both, the more to the one the nearer (linear interpolation, a B-spline of degree 1),
    so that two people of nearly one age count as nearly alike. Rows without the number take part in
    the fit, and in no penalty; these stay as strong as with all numbers. Where the column is a
    covariate too, as it is without ``drop_sensitive=True``, its gaps are filled there.

    Parameters
    ----------
    column
        Name of the numeric column.
    groups
        How many groups the training rows are cut into, 2 to 50; fewer where values repeat.
    name
        Name of the attribute; by default the column's.

    Raises
    ------
    ValueError
        For another number of groups.

    Examples
    --------
    >>> Continuous("age", groups=4).brackets(np.arange(20.0, 61.0)).levels
    ('<=30', '(30, 40]', '(40, 50]', '>50')
    """

    column: str
    groups: int = 8
    name: str | None = None

    def __post_init__(self) -> None:
        given: Any = self.groups
        whole = isinstance(given, int | np.integer) and not isinstance(given, bool)
        if not whole or not 2 <= given <= MOST_GROUPS:
            raise ValueError(
                f"Continuous({self.column!r}) expected groups, a whole number from 2 to "
                f"{MOST_GROUPS}, got {shown(given)}. [continuous-groups]"
            )
        object.__setattr__(self, "groups", int(given))

    @property
    def label(self) -> str:
        """Name of the attribute."""
        return self.name or self.column

    def brackets(self, values: np.ndarray) -> Binned:
        """Return the brackets of training rows, values (n,), NaN where missing.

        Raises
        ------
        ValueError
            Where the values are one, or none.
        """
        there = values[~np.isnan(values)]
        if len(there) == 0 or there.min() == there.max():
            found = "no value" if len(there) == 0 else f"the one value {there[0]:g}"
            raise ValueError(
                f"Continuous({self.column!r}) found {found} in {len(values)} training rows: "
                "nothing can be compared. Leave the attribute out of sensitive. [one-group]"
            )
        shares = np.arange(1, self.groups) / self.groups
        values = np.unique(there)
        low = np.quantile(there, shares, method="lower")
        places = np.unique(np.minimum(np.searchsorted(values, low), len(values) - 2))
        edges = [_between(float(values[at]), float(values[at + 1])) for at in places.tolist()]
        return Binned(self.column, tuple(edges), self.label)


def _between(low: float, high: float) -> float:
    """Return the number of the fewest digits from ``low`` on, below ``high``.

    So an edge is short to read, and not the number of one row to its last digit.
    """
    for digits in range(1, 18):
        step = 10.0 ** (np.floor(np.log10(max(abs(low), abs(high)))) + 1 - digits)
        found = float(f"{np.ceil(low / step) * step:.{digits + 2}g}")
        if low <= found < high:
            return found
    return float(low)


Brackets = Binned | Continuous
"""What groups of a number are named by: for ``isinstance``."""


def mass_of_groups(positions: np.ndarray, weight: np.ndarray, groups: int) -> np.ndarray:
    """Return the weight (groups,) of rows (n,): sums of `shares_of_groups`, without its array.

    Examples
    --------
    >>> mass_of_groups(np.array([2.0, 0.25, -1.0]), np.array([1.0, 4.0, 9.0]), 3)
    array([3., 1., 1.])
    """
    there = np.flatnonzero(positions >= 0)
    place, weight = np.asarray(positions)[there], np.asarray(weight, np.float64)[there]
    below = np.floor(place).astype(np.intp)
    above = place - below
    found = np.bincount(below, weight * (1 - above), groups)
    return found + np.bincount(np.minimum(below + 1, groups - 1), weight * above, groups)


def shares_of_groups(positions: np.ndarray, groups: int) -> np.ndarray:
    """Return how much of each row belongs to each group, (n, groups).

    Parameters
    ----------
    positions
        Number of the group, (n,), in between for rows of a `Continuous` attribute; -1 for none.

    Examples
    --------
    >>> shares_of_groups(np.array([2.0, 0.25, -1.0]), 3)
    array([[0.  , 0.  , 1.  ],
           [0.75, 0.25, 0.  ],
           [0.  , 0.  , 0.  ]])
    """
    away = np.abs(np.asarray(positions, np.float64)[:, None] - np.arange(groups))
    return np.maximum(1.0 - away, 0.0)
