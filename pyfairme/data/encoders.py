"""How each covariate becomes columns of x: numbers are standardised, levels are one-hot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pyfairme.data.columns import (
    MISSING,
    Labels,
    column_kind,
    doubled_labels,
    is_category,
    lookup,
    natural_order,
    read_labels,
    read_numbers,
)
from pyfairme.data.knots import choose_knots, hat_slopes, hats
from pyfairme.data.standardising import mean_and_sd
from pyfairme.data.text_dates import CURE as DATES
from pyfairme.data.text_dates import text_date
from pyfairme.data.text_numbers import text_numbers
from pyfairme.notices import DataWarning, warn

FAR = 5.0  # standard deviations that a number must lie beyond the training range, and its width
FAR_ROWS = 0.01  # share of such rows that is worth a word: long tails have some
VERY_FAR = 10.0  # times that distance, where a single row is
MANY_LEVELS = 50
MOST_WHOLE = 20  # labels that are whole numbers: more are hardly codes
MOST_SPOILT = 20  # levels of whole numbers with a word among them that pass for codes
FEW_ROWS = 20  # a level, in the median: with fewer, many levels cost more than they tell


@dataclass(frozen=True)
class Column:
    """One column of x.

    Parameters
    ----------
    name
        Unique name, such as "age" or "workclass[Private]".
    term
        The covariate it was made from.
    level
        The level it marks; None for a number.
    mean, scale
        x = (value - mean) / scale; 0 and 1 for a level.
    knot
        Whether it is one of the hat functions of a number: an input of the network only.
    origin
        The value at which a random slope on it adds nothing: (value - origin) / scale.
    """

    name: str
    term: str
    level: str | None = None
    mean: float = 0.0
    scale: float = 1.0
    knot: bool = False
    origin: float = 0.0


@dataclass(frozen=True)
class NumericTerm:
    """Standardise a number by the mean and SD (ddof = 0) of the training rows; bend it at knots.

    Parameters
    ----------
    column
        Name of the covariate, also the name of its column.
    mean, scale, median
        Of the training values that are there; the median replaces missing values.
    varies
        False when all training values are equal: the number itself is then left out.
    indicator
        Whether training rows had missing values; a column "<name> missing" then marks them.
    knots
        Of the hat functions that follow (`pyfairme.data.knots`); none by default.
    origin
        Where a random slope on the number starts: the mean, if 0 lies outside of the training
        values; else 0, as in lme4. A slope that starts far from all values cannot be told from an
        intercept, and no optimiser gets there.
    low, high
        Least and largest training value; None where they are not known.
    """

    column: str
    mean: float
    scale: float
    median: float
    varies: bool
    indicator: bool
    knots: tuple[float, ...] = ()
    origin: float = 0.0
    low: float | None = None
    high: float | None = None

    @classmethod
    def fit(
        cls, series: pd.Series, most_knots: int = 0, *, move_origin: bool = True
    ) -> NumericTerm:
        """Learn from the training rows of one column."""
        values = read_numbers(series)
        there = values[~np.isnan(values)]
        if not there.size:
            raise ValueError(_all_missing(series.name))
        mean, scale = mean_and_sd(there)
        varies = bool(there.max() > there.min()) and scale > 0
        outside = bool(there.min() > 0 or there.max() < 0)
        return cls(
            column=str(series.name),
            mean=mean,
            scale=scale if varies else 1.0,
            median=float(np.median(there)),
            varies=varies,
            indicator=bool(there.size < values.size),
            knots=choose_knots(there, most_knots) if most_knots else (),
            origin=mean if outside and move_origin else 0.0,
            low=float(there.min()),
            high=float(there.max()),
        )

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of x that it makes."""
        number = Column(self.column, self.column, None, self.mean, self.scale, origin=self.origin)
        marker = Column(f"{self.column} missing", self.column, MISSING)
        bends = (
            Column(f"{self.column} knot {k + 1}", self.column, knot=True)
            for k in range(len(self.knots))
        )
        return (*(number,) * self.varies, *(marker,) * self.indicator, *bends)

    def encode(self, series: pd.Series, x: np.ndarray, slopes: np.ndarray) -> str | None:
        """Write its columns into float32[n, width] views; return a warning or None.

        `slopes` gets the scaled distance from the origin; it may be the same memory as `x`, which
        is written last.
        """
        values = read_numbers(series)
        gaps = np.isnan(values)
        values = np.where(gaps, self.median, values)
        if self.varies:
            slopes[:, 0] = (values - self.origin) / self.scale
            x[:, 0] = (values - self.mean) / self.scale
        plain = int(self.varies) + int(self.indicator)
        if self.knots:
            hats(values, self.knots, x[:, plain:])
        if self.indicator:
            x[:, plain - 1] = slopes[:, plain - 1] = gaps
        count = int(gaps.sum()) * (not self.indicator)
        said = [f"{self.column!r}: {count} missing, replaced by the median"] if count else []
        return "; ".join(said + self._far(values)) or None

    def _far(self, values: np.ndarray) -> list[str]:
        """Return a note on values far outside of the training range, if there are such."""
        if self.low is None or self.high is None or not self.varies:
            return []
        beyond = np.maximum(values - self.high, self.low - values)
        room = max(self.high - self.low, FAR * self.scale)
        outside = beyond > room
        if outside.mean() < FAR_ROWS and not (beyond > VERY_FAR * room).any():
            return []
        most = values[beyond.argmax()]
        return [
            f"{self.column!r}: {outside.sum()} of {len(values)} rows lie far outside the training "
            f"range {self.low:.6g} to {self.high:.6g}, such as {most:.6g}: check the "
            "unit, and codes such as 999"
        ]

    def rates(self, series: pd.Series) -> np.ndarray:
        """Return how its columns move with the number, per unit of the standardised number."""
        values = read_numbers(series)
        values = np.where(np.isnan(values), self.median, values)
        found = np.ones((len(values), len(self.columns)))
        if self.knots:
            found[:, -len(self.knots) :] = hat_slopes(values, self.knots) * self.scale
        return found


@dataclass(frozen=True)
class CategoricalTerm:
    """Mark each level of the training rows by a column of its own.

    Parameters
    ----------
    column
        Name of the covariate.
    levels
        Training levels in natural order; "(missing)" is last when training rows had missing values.
    reference
        True leaves out the first level's column (treatment coding).
    numbers
        Whether the training values were numbers (codes of levels).
    doubled
        Labels that training rows had both as text and as another value.
    """

    column: str
    levels: tuple[str, ...]
    reference: bool
    numbers: bool
    doubled: tuple[str, ...] = ()

    @classmethod
    def fit(cls, series: pd.Series, *, reference: bool) -> CategoricalTerm:
        """Learn from the training rows of one column."""
        labels = read_labels(series)
        if not labels.names:
            raise ValueError(_all_missing(series.name))
        gaps = [MISSING] if (labels.codes < 0).any() else []
        levels = tuple(natural_order(labels.names + gaps))
        if len(levels) > 50 and len(levels) > len(series) / 2:
            raise ValueError(
                f"Column {series.name!r} has {len(levels)} levels in {len(series)} training rows: "
                "it looks like an identifier; drop it or make it a cluster."
                f"{_if_otherwise(labels)} [identifier]"
            )
        _warn_of_levels(series, labels)
        numbers = _holds_numbers(series, labels)
        return cls(str(series.name), levels, reference, numbers, doubled_labels(series))

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of x that it makes; none when there is only one level."""
        shown = self.levels[int(self.reference) :] if len(self.levels) > 1 else ()
        return tuple(Column(f"{self.column}[{v}]", self.column, v) for v in shown)

    def rates(self, series: pd.Series) -> np.ndarray:
        """Return ones: every level is a feature of its own."""
        return np.ones((len(series), len(self.columns)))

    def encode(self, series: pd.Series, x: np.ndarray, slopes: np.ndarray) -> str | None:
        """Write its columns into float32[n, width] views; return a warning or None."""
        labels = read_labels(series, self.doubled)
        both = self.numbers or self.doubled
        if labels.names and not both and _holds_numbers(series, labels):
            raise ValueError(
                f"Expected text in column {self.column!r}, as in training, got numbers (dtype "
                f"{series.dtype}): convert it, for example with .astype(str). [numbers-for-text]"
            )
        codes = lookup(labels, self.levels)
        shown = codes - int(self.reference)
        rows = np.flatnonzero(shown >= 0)
        x[rows, shown[rows]] = slopes[rows, shown[rows]] = 1.0
        return self._new_levels(labels, codes)

    def _new_levels(self, labels: Labels, codes: np.ndarray) -> str | None:
        new = natural_order(set(labels.names) - set(self.levels))
        gaps = MISSING not in self.levels and bool((labels.codes < 0).any())
        new += [MISSING] * gaps
        if not (codes < 0).any():
            return None
        more = ", ..." if len(new) > 5 else ""
        return f"{self.column!r}: levels unknown in training: {', '.join(new[:5])}{more}"


def _warn_of_levels(series: pd.Series, labels: Labels) -> None:
    """Warn of many levels with few rows each, and of numbers that were read as text."""
    rows = np.median(np.bincount(labels.codes[labels.codes >= 0]))
    if len(labels.names) > MANY_LEVELS and rows <= FEW_ROWS:
        warn(
            f"The covariate {series.name!r} has {len(labels.names)} levels, half of them with "
            f"{rows:.0f} training rows or fewer: the network learns noise from them. Make it a "
            f"cluster (cluster=[..., {series.name!r}]), whose effects are held back where rows are "
            f"few, join levels, or drop it.{_if_otherwise(labels)} [many-levels]",
            DataWarning,
        )
        return
    if is_category(series):
        return  # whoever makes a category wants levels
    if day := text_date(labels):
        warn(
            f"The covariate {series.name!r} is text that reads as dates, such as {day!r}: each of "
            f"its {len(labels.names)} values is a level of its own, without order, and later ones "
            f"are unknown. Make a number or a few levels of it ({DATES}), or drop it. If levels "
            f"are meant, make it a category: frame[{series.name!r}].astype('category'). "
            "[dates-as-text]",
            DataWarning,
        )
    found = text_numbers(labels)
    if found is None:
        return
    spoilt = found.words > 0 and len(labels.names) > MOST_SPOILT
    if found.fraction or spoilt or len(labels.names) > MOST_WHOLE:
        warn(
            f"The covariate {series.name!r} is text that reads as numbers, such as "
            f"{found.example!r}: each of its {len(labels.names)} values is a level of its own, "
            f"without order. Read it as numbers: {found.cure}. If levels are meant, make it a "
            f"category: frame[{series.name!r}].astype('category'). [numbers-as-text]",
            DataWarning,
        )


def _if_otherwise(labels: Labels) -> str:
    """Return what to do where most labels are text that reads as a number or date, or nothing."""
    found = text_numbers(labels)
    if found is None:
        day = text_date(labels)
        return "" if day is None else f" If it holds dates, such as {day!r}: {DATES}."
    return f" If it holds numbers, such as {found.example!r}, read it as such: {found.cure}."


def _holds_numbers(series: pd.Series, labels: Labels) -> bool:
    if isinstance(series.dtype, pd.CategoricalDtype):
        return all(not isinstance(value, str) for value in labels.values)
    return column_kind(series) == "numeric"


def _all_missing(column: object) -> str:
    return f"Column {column!r} has no value at all in the training rows: drop it. [no-value]"
