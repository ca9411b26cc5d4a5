"""What every metric is computed from: sums over rows, cell by cell.

A metric is a function of a few sums: how many rows of a group were positive, how many of them were
accepted, the squared error they add up to. A `Table` says which cell a row falls into and what it
adds there. Point values, bootstrap replicates and null draws are then the same function applied to
differently weighted or drawn sums, with any number of leading axes.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from pyfairme.metrics.inputs import Codes, Floats


class Rows(NamedTuple):
    """The checked arrays of one table.

    Attributes
    ----------
    y_true
        Shape ``(n,)``: outcome.
    y_pred
        Shape ``(n,)``: decision in {0, 1}, or prediction of a real outcome.
    group
        Shape ``(n,)``: position of each row's label in ``levels``.
    levels
        Names of the groups.
    y_prob
        Shape ``(n,)``: predicted probability; ``None`` for regression.
    gap
        Shape ``(n,)``: mean absolute change of the prediction under a flip of the attribute, or
        ``None``.
    log_density
        Shape ``(n,)``: log predictive density of ``y_true``, or ``None``.
    """

    y_true: Floats
    y_pred: Floats
    group: Codes
    levels: tuple[str, ...] = ("all",)
    y_prob: Floats | None = None
    gap: Floats | None = None
    log_density: Floats | None = None


class Table(NamedTuple):
    """Where each row is counted, and with what.

    Attributes
    ----------
    cell
        Shape ``(n,)``: flat position in ``shape`` (C order).
    columns
        Shape ``(n, k)``: what the row adds to its cell; the first column is 1, the row itself.
    shape
        Axes of the cells; the first is the group, where there are groups.
    """

    cell: Codes
    columns: Floats
    shape: tuple[int, ...]


def ungrouped(y_true: Floats, y_pred: Floats, y_prob: Floats | None = None) -> Rows:
    """Return rows that form one single group."""
    return Rows(y_true, y_pred, np.zeros(len(y_true), dtype=np.intp), y_prob=y_prob)


def make_table(cell: Codes, shape: tuple[int, ...], *values: Floats) -> Table:
    """Build a table that counts rows and adds up ``values`` in each cell.

    Parameters
    ----------
    cell
        Shape ``(n,)``: flat cell of each row.
    shape
        Axes of the cells.
    *values
        Each of shape ``(n,)``.
    """
    return Table(cell, np.column_stack([np.ones(len(cell)), *values]), shape)


def summing_matrix(table: Table) -> sparse.csr_array:
    """Return the sparse matrix ``(cells * k, n)`` that maps row weights to sums of cells."""
    n, k = table.columns.shape
    target = table.cell[:, None] * k + np.arange(k)
    source = np.repeat(np.arange(n), k)
    size = (int(np.prod(table.shape)) * k, n)
    entries = (table.columns.ravel(), (target.ravel(), source))
    return sparse.csr_array(sparse.coo_array(entries, shape=size))


def totals(table: Table, weight: Floats | None = None) -> Floats:
    """Add up the columns in each cell.

    Parameters
    ----------
    table
        Cells and columns of n rows.
    weight
        Shape ``(n,)``; ``None`` counts every row once.

    Returns
    -------
    Floats
        Shape ``(*table.shape, k)``.
    """
    cells = int(np.prod(table.shape))
    columns = table.columns if weight is None else table.columns * weight[:, None]
    sums = [np.bincount(table.cell, column, minlength=cells) for column in columns.T]
    return np.stack(sums, axis=-1, dtype=np.float64).reshape(*table.shape, -1)
