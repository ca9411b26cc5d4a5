"""What every metric is computed from: sums over rows, cell by cell.

A metric is a function of a few sums: how many rows of a group were positive, how many of them were
accepted, the squared error they add up to. A `Table` says which cell a row falls into and what it
adds there. Point values, bootstrap replicates and null draws are then the same function applied to
differently weighted or drawn sums, with any number of leading axes.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import sparse

from pyfairme.metrics.array_inputs import Codes, Floats

_STRIP = 250_000  # entries of a sparse matrix at a time: what caches hold


class PredictedRows(NamedTuple):
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
    weight
        Shape ``(n,)``: sample weights, or ``None`` where every row counts once.
    covered
        Shape ``(n,)``: 1 where the row's prediction interval or set holds its outcome, else 0; or
        ``None``.
    width
        Shape ``(n,)``: width of the interval, or number of classes in the set; or ``None``.

    Examples
    --------
    >>> rows = PredictedRows(
    ...     np.array([1.0, 0.0]), np.array([1.0, 1.0]), np.array([0, 1]), levels=("a", "b")
    ... )
    >>> rows.levels[rows.group[1]]
    'b'
    """

    y_true: Floats
    y_pred: Floats
    group: Codes
    levels: tuple[str, ...] = ("all",)
    y_prob: Floats | None = None
    gap: Floats | None = None
    log_density: Floats | None = None
    weight: Floats | None = None
    covered: Floats | None = None
    width: Floats | None = None


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
    weight
        Shape ``(n,)``: sample weights, or ``None``. The sums of a weighted table have one column
        more, the last one: the squared weights, from which `effective_rows` tells how many equally
        weighted rows are as informative.

    Examples
    --------
    >>> Table(np.array([0, 1, 1]), np.ones((3, 1)), shape=(2,)).shape
    (2,)
    """

    cell: Codes
    columns: Floats
    shape: tuple[int, ...]
    weight: Floats | None = None


def ungrouped(y_true: Floats, y_pred: Floats, y_prob: Floats | None = None) -> PredictedRows:
    """Return rows that form one single group."""
    return PredictedRows(y_true, y_pred, np.zeros(len(y_true), dtype=np.intp), y_prob=y_prob)


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

    Examples
    --------
    >>> table = make_table(np.array([0, 1, 1]), (2,), np.array([5.0, 1.0, 2.0]))
    >>> totals(table)
    array([[1., 5.],
           [2., 3.]])
    """
    return Table(cell, np.column_stack([np.ones(len(cell)), *values]), shape)


def unequal(weight: Floats | None) -> Floats | None:
    """Return weights, or ``None`` where all are equal: such rows need none."""
    return None if weight is None or np.ptp(weight) == 0 else weight


def tabulated(tabulate: Callable[[PredictedRows], Table], rows: PredictedRows) -> Table:
    """Return the table of some rows, weighted as they are."""
    return tabulate(rows)._replace(weight=rows.weight)


def effective_rows(sums: Floats, columns: int) -> Floats:
    """Return how many equally weighted rows a cell is worth: ``(sum w)² / sum w²`` (Kish 1965).

    Parameters
    ----------
    sums
        Shape ``(..., k)`` with the rows first, and of a weighted table the squared weights last.
    columns
        Number of columns of the table; sums with no more are unweighted.

    Returns
    -------
    Floats
        Shape ``(...)``: the number of rows where there are no weights.
    """
    rows = sums[..., 0]
    if sums.shape[-1] == columns:
        return rows
    squares = sums[..., -1]
    return np.divide(rows**2, squares, out=np.zeros_like(rows), where=squares > 0)


def summing_matrix(table: Table) -> sparse.csr_array:
    """Return the sparse matrix ``(cells * k, n)`` that maps how often rows count to sums."""
    columns = _weighted_columns(table)
    n, k = columns.shape
    target = table.cell[:, None] * k + np.arange(k)
    source = np.repeat(np.arange(n), k)
    size = (int(np.prod(table.shape)) * k, n)
    entries = (columns.ravel(), (target.ravel(), source))
    return sparse.csr_array(sparse.coo_array(entries, shape=size))


def totals(table: Table, weight: Floats | None = None) -> Floats:
    """Add up the columns in each cell.

    Parameters
    ----------
    table
        Cells and columns of n rows.
    weight
        Shape ``(n,)``: multiplies what rows add; ``None`` counts every row once.

    Returns
    -------
    Floats
        Shape ``(*table.shape, k)``; of a weighted table k + 1, see `Table`.
    """
    cells = int(np.prod(table.shape))
    columns = _weighted_columns(table)
    columns = columns if weight is None else columns * weight[:, None]
    sums = [np.bincount(table.cell, column, minlength=cells) for column in columns.T]
    return np.stack(sums, axis=-1, dtype=np.float64).reshape(*table.shape, -1)


def totals_of_labels(table: Table, cells: np.ndarray) -> Floats:
    """Add up the columns of an unweighted table, whose rows are in other cells at every draw.

    Parameters
    ----------
    table
        Columns of n rows; its own cells do not matter.
    cells
        Shape ``(draws, n)``: the cell of each row, by draw.

    Returns
    -------
    Floats
        Shape ``(draws, *table.shape, k)``: `totals` of each draw.

    Examples
    --------
    >>> table = make_table(np.array([0, 1]), (2,), np.array([5.0, 1.0]))
    >>> totals_of_labels(table, np.array([[0, 1], [1, 0]]))[..., 1].tolist()
    [[5.0, 1.0], [1.0, 5.0]]
    """
    n, size = len(table.columns), int(np.prod(table.shape))

    def matrix(some: np.ndarray) -> sparse.csc_array:
        """Return the map from rows to sums: a row is a column, with an entry for every draw."""
        m = len(some)
        target = np.add(some.T, np.arange(m) * size, dtype=np.intp).ravel()
        return sparse.csc_array((np.ones(n * m), target, np.arange(n + 1) * m), (m * size, n))

    return _sums_of_draws(table, cells, matrix)


def totals_of_exchanges(table: Table, rows: np.ndarray) -> Floats:
    """Add up what rows hold that stand in each other's places, which keep cell and weight.

    Parameters
    ----------
    table
        A weighted one, of n rows.
    rows
        Shape ``(draws, n)``: the row that stands in each place, by draw.

    Returns
    -------
    Floats
        Shape ``(draws, *table.shape, k + 1)``: `totals` of each draw.
    """
    assert table.weight is not None
    n, size = len(table.columns), int(np.prod(table.shape))
    order = np.argsort(table.cell, kind="stable")
    weight = table.weight[order]
    ends = np.cumsum(np.bincount(table.cell, minlength=size))

    def matrix(some: np.ndarray) -> sparse.csr_array:
        """Return the map from rows to sums: a cell of a draw has an entry for every place."""
        m = len(some)
        last = np.concatenate([[0], (np.arange(m)[:, None] * n + ends).ravel()])
        entries = (np.tile(weight, m), some[:, order].ravel(), last)
        return sparse.csr_array(entries, (m * size, n))

    squares = np.bincount(table.cell, table.weight**2, minlength=size)
    found = _sums_of_draws(table, rows, matrix)
    squares = np.broadcast_to(squares.reshape(*table.shape, 1), (*found.shape[:-1], 1))
    return np.concatenate([found, squares], axis=-1, dtype=np.float64)


def _sums_of_draws(
    table: Table,
    draws: np.ndarray,
    matrix: Callable[[np.ndarray], sparse.csr_array | sparse.csc_array],
) -> Floats:
    columns = np.ascontiguousarray(table.columns)
    n, k = columns.shape
    strip = max(1, _STRIP // n)
    parts = [matrix(draws[at : at + strip]) @ columns for at in range(0, len(draws), strip)]
    return np.concatenate(parts).reshape(len(draws), *table.shape, k)


def counted(table: Table) -> Floats:
    """Add up the columns of rows with a weight above 0, each counted once."""
    used = None if table.weight is None else (table.weight > 0).astype(np.float64)
    return totals(table._replace(weight=None), used)


def _weighted_columns(table: Table) -> Floats:
    if table.weight is None:
        return table.columns
    return np.column_stack([table.columns, table.weight]) * table.weight[:, None]
