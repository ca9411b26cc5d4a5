"""Rows as `fit` was given them: table, target, weights, and which rows belong together."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pyfairme.data.one_per_row import refuse_lossy, refuse_text_of_gaps
from pyfairme.notices import DataWarning, shown, warn

FEW_HELD_OUT = 5  # groups held out, below which what is chosen on them hangs on single ones


class GivenRows(NamedTuple):
    """The rows of a fit.

    Attributes
    ----------
    frame
        Columns (n, columns).
    y
        Target (n,).
    weight
        Weights (n,), or None where rows count alike.
    groups
        Numbers (n,) that rows which belong together share, or None.
    """

    frame: pd.DataFrame
    y: np.ndarray
    weight: np.ndarray | None = None
    groups: np.ndarray | None = None

    def some(self, kept: np.ndarray) -> GivenRows:
        """Return some of the rows, by their numbers (m,), numbered anew."""
        if len(kept) == len(self.frame):
            return self
        weight, groups = (None if one is None else one[kept] for one in (self.weight, self.groups))
        return GivenRows(self.frame.iloc[kept].reset_index(drop=True), self.y[kept], weight, groups)


def read_groups(groups: Any, rows: int) -> np.ndarray | None:
    """Return a number (n,) per row that rows which belong together share; None for None.

    Parameters
    ----------
    groups
        Labels (n,): numbers or text in a list, an array or a series.
    rows
        How many there must be.

    Raises
    ------
    ValueError
        When it is no column of labels, has another length or gaps, or all labels are alike.

    Examples
    --------
    >>> read_groups(["b", "a", "b"], 3)
    array([0, 1, 0])
    """
    if groups is None:
        return None
    column = _column(groups)
    if len(column) != rows:
        raise ValueError(
            f"groups has {len(column):,} labels, and X has {rows:,} rows: give the group of every "
            "row, in the same order. [other-length]"
        )
    if gaps := int(column.isna().sum()):
        raise ValueError(
            f"groups is missing in {gaps:,} of {rows:,} rows, so that nothing says which rows "
            "these belong to: give each a label of its own, or leave them out. [missing-label]"
        )
    codes, labels = pd.factorize(column)
    if len(labels) < 2:
        raise ValueError(
            f"All {rows:,} rows are of one group, {str(labels[0])[:60]}: groups= says which rows "
            "belong together and are held out together, so that none could be. Leave groups= out, "
            "or give finer ones. [few-groups]"
        )
    return codes.astype(np.int64)


def check_held_out(
    groups: np.ndarray | None, training: np.ndarray, held: np.ndarray, fraction: float
) -> None:
    """Refuse groups of which none can be held out; warn where it is a few.

    Parameters
    ----------
    groups
        As of `read_groups`, (n,).
    training, held
        Numbers of the rows on either side.
    fraction
        What share of the rows should be held out.

    Raises
    ------
    ValueError
        When no row is held out, and some would be without groups.

    Warns
    -----
    DataWarning
        When fewer than 5 groups are held out.
    """
    if groups is None or round(fraction * len(groups)) < 2:
        return
    if not len(held):
        sizes = np.bincount(groups)
        least = sizes[sizes > 0].min() / len(groups)
        raise ValueError(
            f"groups= holds out whole groups, and none of the {np.count_nonzero(sizes):,} can be: "
            f"the smallest has {least:.0%} of the rows, validation_fraction={fraction:g}, or at "
            "most a third, are held out, and training needs a row of each class and two clusters. "
            "Give a larger validation_fraction (0 holds out no rows), or finer groups. [few-groups]"
        )
    number = len(np.unique(groups[held]))
    if number < FEW_HELD_OUT:
        every = number + len(np.unique(groups[training]))
        warn(
            f"Only {number} of {every:,} groups {'is' if number == 1 else 'are'} held out "
            f"({len(held):,} rows): when to stop, how "
            "strongly weights decay and which threshold decides are chosen on so few. Give a "
            "larger validation_fraction, or finer groups. [few-groups-held-out]",
            DataWarning,
        )


def _column(groups: Any) -> pd.Series:
    """Return labels as a series; a list keeps its None beside text and numbers."""
    refuse_lossy(groups, "groups")
    if isinstance(groups, str | bytes):
        raise ValueError(
            f"groups={shown(groups)} is one text: give the label of every row, for example "
            f"X[{shown(groups)}]. The name of a column is taken where X is a Parquet file. "
            "[groups-shape]"
        )
    if isinstance(groups, pd.Series | pd.Index | pd.Categorical):
        return pd.Series(groups).reset_index(drop=True)
    if isinstance(groups, list | tuple):
        values = np.empty(len(groups), object)
        values[:] = [None if np.ndim(one) else one for one in groups]
        bad = next((one for one in groups if np.ndim(one)), None)
    else:
        values = np.asarray(groups)
        refuse_text_of_gaps(values, "groups")
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        bad = groups if values.ndim != 1 else None
    if bad is not None:
        raise ValueError(
            f"groups must hold one label per row, (n,); got {shown(bad)}. Give a column or an "
            "array; where two columns name a group together, join them: "
            "X['a'].astype(str) + ':' + X['b'].astype(str). [groups-shape]"
        )
    return pd.Series(values)
