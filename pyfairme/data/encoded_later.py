"""Encoded columns of a large table, made for the rows that are asked for.

A row of a hundred one-hot columns takes 400 bytes as x and as much as slopes; as it stands in its
table it takes tens. Training, predictions and tables of the posterior look at some rows at a time,
so of a large table only these are encoded, as often as they are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.data.batch import Batch, some_rows
from pyfairme.data.columns import pick
from pyfairme.data.terms import Term, encode_terms

LARGEST_HELD = 3 * 2**28  # bytes of x and slopes; more are encoded anew whenever they are asked for
BLOCK = 2**16  # rows that are encoded at a time where all are looked at


@dataclass
class RowSource:
    """A table's covariates as they stand in it, and the encoders that make arrays of its rows.

    Parameters
    ----------
    terms
        Fitted encoders.
    slope_positions
        Positions in x of the slope columns.
    columns
        The covariates of the terms, each a pandas array (n,).
    rows
        Number of rows.
    """

    terms: Sequence[Term]
    slope_positions: Sequence[int]
    columns: dict[str, Any]
    rows: int
    _last: tuple[Any, Any] = field(default=(None, None), repr=False)

    @classmethod
    def of(
        cls, terms: Sequence[Term], slope_positions: Sequence[int], frame: pd.DataFrame
    ) -> RowSource:
        """Take the covariates of a frame: they are not copied."""
        columns = {term.column: pick(frame, term.column).array for term in terms}
        return cls(terms, slope_positions, columns, len(frame))

    def encoded(self, rows: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
        """Return x (b, p) and slopes (b, q) of some rows.

        Those asked for last are kept, since both parts of a batch are taken one after the other.
        """
        last, found = self._last
        same = isinstance(rows, slice) and isinstance(last, slice) and rows == last
        if rows is not last and not same:
            taken = {name: values[rows] for name, values in self.columns.items()}
            some = pd.DataFrame(taken, copy=False)
            if not taken:
                some = pd.DataFrame(index=range(len(np.arange(self.rows)[rows])))
            found = encode_terms(self.terms, some, self.slope_positions, quiet=True)
            self._last = rows, found
        return found


class EncodedLater:
    """x or the slopes of a large table: an array (n, p) of which rows can be taken, and no more.

    Examples
    --------
    >>> from pyfairme.data import Design, Schema
    >>> frame = pd.DataFrame({"school": ["a", "b"], "score": [1.0, 3.0]})
    >>> design = Design.fit(frame, Schema.infer(frame, cluster="school"))
    >>> design.encode(frame, later=True).x[np.array([1])]
    array([[1.]], dtype=float32)
    """

    ndim = 2
    dtype = np.dtype(np.float32)

    def __init__(self, source: RowSource, part: int, width: int) -> None:
        self._source, self._part = source, part
        self.shape = (source.rows, width)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def size(self) -> int:
        """How many numbers it would have."""
        return self.shape[0] * self.shape[1]

    def __getitem__(self, rows: Any) -> Any:
        """Return some rows, float32[b, p]; of all rows, ``[:, :0]``, an array without a column."""
        if isinstance(rows, tuple):
            at, columns = rows
            if at == slice(None) and columns == slice(None, 0):
                return np.empty((self.shape[0], 0), np.float32)
            return self[at][:, columns]
        if isinstance(rows, np.ndarray) and rows.dtype == bool:
            rows = np.flatnonzero(rows)
        return self._source.encoded(rows)[self._part]

    def __array__(self, *args: Any, **keywords: Any) -> np.ndarray:
        raise TypeError(
            "Rows of a large table are encoded when they are taken: take some of them, as in "
            "x[:1000], never all at once. [large-table]"
        )


def encoded_later(
    terms: Sequence[Term], slope_positions: Sequence[int], frame: pd.DataFrame
) -> tuple[EncodedLater, EncodedLater]:
    """Return x (n, p) and slopes (n, q) whose rows are encoded when they are taken."""
    source = RowSource.of(terms, slope_positions, frame)
    width = sum(len(term.columns) for term in terms)
    return EncodedLater(source, 0, width), EncodedLater(source, 1, len(slope_positions))


def is_later(batch: Batch) -> bool:
    """Tell whether x and slopes of a batch are yet to be encoded."""
    return isinstance(batch.x, EncodedLater)


def held(batch: Batch) -> Batch:
    """Return the batch with all its rows encoded."""
    if not is_later(batch):
        return batch
    x, slopes = (np.empty(part.shape, np.float32) for part in (batch.x, batch.slopes))
    for at in blocks(len(x)):
        x[at], slopes[at] = batch.x[at], batch.slopes[at]
    return batch._replace(x=x, slopes=slopes)


def blocks(rows: int) -> Iterator[slice]:
    """Yield slices of up to `BLOCK` rows that together are all rows."""
    for start in range(0, rows, BLOCK):
        yield slice(start, min(start + BLOCK, rows))


def spread_rows(batch: Batch, most: int) -> Batch:
    """Return so many evenly spread rows of a batch; all of them where it has no more."""
    if len(batch.weight) <= most:
        return batch
    return some_rows(batch, spread_numbers(len(batch.weight), most))


def spread_numbers(rows: int, most: int) -> np.ndarray:
    """Return the numbers of so many evenly spread rows of ``rows``; of all where there are no more.

    Examples
    --------
    >>> spread_numbers(9, 3)
    array([0, 4, 8])
    """
    return np.linspace(0, rows - 1, min(rows, most)).round().astype(int)


def input_moments(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Return the SD (ddof = 0) of the columns of x, (p,), and the weighted mean of slopes, (q,)."""
    total = np.zeros((2, batch.x.shape[1]))
    slopes = np.zeros(batch.slopes.shape[1])
    for at in blocks(len(batch.weight)):
        x = batch.x[at].astype(np.float64)
        total += x.sum(axis=0), np.square(x).sum(axis=0)
        slopes += batch.weight[at].astype(np.float64) @ batch.slopes[at]
    mean, square = total / len(batch.weight)
    sd = np.sqrt(np.maximum(square - mean**2, 0.0))
    return sd.astype(np.float32), (slopes / batch.weight.sum(dtype=float)).astype(np.float32)
