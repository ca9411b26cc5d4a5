"""How well single columns tell a label: the outcome, or the group of a protected attribute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from pyfairme.data.columns import column_kind, pick, read_numbers

MOST_ROWS = 20_000  # looked at
FEW_VALUES = 50  # of a number, up to which each is a level
PARTS = 20  # of other numbers, by rank


class Telling(NamedTuple):
    """A column, and the share of rows whose label the others of the same value tell.

    ``common`` is the share of the commonest label, which a guess without the column tells.
    """

    column: str
    share: float
    common: float

    def nearly(self, wrong: float = 1.0, left: float = 0.2) -> bool:
        """Whether few rows are told wrongly: of all, and of those that the bare guess has wrong."""
        missed, before = 1 - self.share, 1 - self.common
        return missed <= wrong and missed <= left * before


def telling_columns(
    frame: pd.DataFrame, columns: Sequence[str], labels: Sequence[np.ndarray]
) -> Iterator[list[Telling]]:
    """Yield for each of several labels how well each column tells it.

    A row is told by the commonest label among the *other* rows with its value, so that a column of
    values of their own, such as an identifier, tells nothing. Numbers of many values are cut into
    twenty parts by rank. Of large tables 20,000 rows are looked at, evenly spaced.

    Parameters
    ----------
    frame
        Rows, (n, columns).
    columns
        Names of the columns to look at.
    labels
        Codes (n,) from 0 each; -1: the row is left out.

    Examples
    --------
    >>> frame = pd.DataFrame({"name": ["Ann", "Ann", "Bob", "Bob"], "id": [1, 2, 3, 4]})
    >>> [(found,)] = [
    ...     [one for one in each if one.share]
    ...     for each in telling_columns(frame, ["name", "id"], [np.array([0, 0, 1, 1])])
    ... ]
    >>> found
    Telling(column='name', share=1.0, common=0.5)
    """
    rows = np.unique(np.linspace(0, len(frame) - 1, min(len(frame), MOST_ROWS)).astype(int))
    some = frame.iloc[rows]
    coded = {name: _codes(pick(some, name)) for name in columns}
    for each in labels:
        own = np.asarray(each)[rows].astype(int)
        there = own >= 0
        common = np.bincount(own[there]).max() / max(there.sum(), 1) if there.any() else 1.0
        yield [
            Telling(name, _told(codes[there], own[there]), float(common))
            for name, codes in coded.items()
        ]


def _codes(series: pd.Series) -> np.ndarray:
    """Return codes (n,) from 0 of the values; missing ones are one of them."""
    if column_kind(series) == "numeric":
        values = read_numbers(series)
        there = np.unique(values[~np.isnan(values)])
        if len(there) > FEW_VALUES:
            cuts = np.unique(np.nanquantile(values, np.linspace(0, 1, PARTS + 1)[1:-1]))
            return np.where(np.isnan(values), len(cuts) + 1, np.searchsorted(cuts, values, "right"))
        return np.where(np.isnan(values), len(there), np.searchsorted(there, values))
    return pd.factorize(series)[0] + 1


def _told(codes: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of rows whose label is the commonest among others of their value."""
    if len(labels) == 0:
        return 0.0
    kinds = int(labels.max()) + 1
    counts = np.bincount(codes * kinds + labels).astype(np.int64)
    table = np.append(counts, np.zeros(-len(counts) % kinds, np.int64)).reshape(-1, kinds)
    first = table.argmax(axis=1)
    most = table[np.arange(len(table)), first]
    if kinds > 1:
        table[np.arange(len(table)), first] = -1
        second = table.max(axis=1)
    else:
        second = np.zeros(len(table), np.int64)
    return float(most[most - 1 > second].sum() / len(labels))
