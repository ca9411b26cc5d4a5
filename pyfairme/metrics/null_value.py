"""What a disparity looks like when there is none: its null value.

A standard deviation or a gap over groups is above 0 even for equal groups, because every group is a
sample. Each function here draws the sums of a table as they would be without disparity, group sizes
kept; a metric reduces the draws as it reduces the data. A disparity inside the band of its draws is
not resolvable with these rows.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pyfairme.metrics.aggregate import ratio
from pyfairme.metrics.array_inputs import (
    Codes,
    Floats,
    as_rng,
    as_weight,
    check_count,
    check_share,
)
from pyfairme.metrics.confusion import decision_rows, effective_decisions
from pyfairme.metrics.group_moments import real_rows
from pyfairme.metrics.group_sums import (
    Table,
    tabulated,
    totals,
    totals_of_exchanges,
    totals_of_labels,
    unequal,
)
from pyfairme.metrics.metric import Task, find
from pyfairme.metrics.shared_draws import drawn_once

_BLOCK = 20_000_000  # labels held at a time


class NullValue(NamedTuple):
    """Mean and band of a metric under the absence of disparity.

    Attributes
    ----------
    mean
        Mean over the draws.
    low, high
        Quantiles that leave ``(1 - level) / 2`` of the draws outside on each side.

    Examples
    --------
    >>> null = NullValue(mean=0.02, low=0.0, high=0.05)
    >>> tpr_sd = 0.04
    >>> tpr_sd > null.high  # equal groups would show as much by chance
    False
    """

    mean: float
    low: float
    high: float


def null_value(
    metric: str,
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sensitive_features: ArrayLike,
    rng: np.random.Generator | int,
    task: Task = "classification",
    draws: int = 1000,
    level: float = 0.9,
    sample_weight: ArrayLike | None = None,
) -> NullValue:
    """Simulate a metric for groups that differ by sampling noise only.

    Parameters
    ----------
    metric
        Name of a disparity metric that has a null, such as ``"tpr_sd"``.
    y_true
        Shape ``(n,)``: outcomes, in {0, 1} for classification.
    y_pred
        Shape ``(n,)``: decisions in {0, 1}, for regression predictions.
    sensitive_features
        Shape ``(n,)`` of labels, or a frame ``(n, A)`` whose intersections are the groups.
    rng
        Source of randomness, or its seed.
    task
        ``"classification"`` or ``"regression"``.
    draws
        Number of simulated data sets.
    level
        Share of the draws between ``low`` and ``high``.
    sample_weight
        Shape ``(n,)``: weights of rows.

    Raises
    ------
    ValueError
        When the metric is unknown or has no null, and for wrong inputs.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y_true, y_pred = np.ones(200), np.tile([1, 1, 1, 0], 50)
    >>> groups = np.repeat(["a", "b"], 100)
    >>> null = null_value("tpr_sd", y_true, y_pred, sensitive_features=groups, rng=rng)
    >>> 0.01 < null.mean < 0.03
    True
    """
    found = find(metric, task)
    if found.null is None:
        raise ValueError(
            f"{metric} has no null value: it is not a spread of counts or means. [no-null-value]"
        )
    rng, draws, level = as_rng(rng), check_count(draws, "draws", 1), check_share(level)
    check_rows = decision_rows if task == "classification" else real_rows
    rows = check_rows(y_true, y_pred, sensitive_features, sample_weight)
    weight = as_weight(sample_weight, len(rows.y_true))
    table = tabulated(found.tabulate, rows._replace(weight=unequal(weight)))
    return summarise_null(found.reduce(found.null(table, rng, draws)), level)


def summarise_null(values: Floats, level: float) -> NullValue:
    """Return mean and band of draws of shape ``(draws,)``; all NaN when no draw has a value."""
    known = values[~np.isnan(values)]
    if not known.size:
        return NullValue(np.nan, np.nan, np.nan)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return NullValue(float(known.mean()), float(low), float(high))


def equal_rates(table: Table, rng: np.random.Generator, draws: int) -> Floats:
    """Draw confusion counts with the pooled TPR and FPR in every group.

    Positive decisions of group g with outcome y are Binomial(n_gy, pooled rate of outcome y); of
    weighted rows n_gy is their effective number, ``(sum w)² / sum w²``.

    Parameters
    ----------
    table
        Of cells ``(G, 2)``: group and outcome, with the decision as second column.
    rng
        Source of randomness.
    draws
        Number of draws.

    Returns
    -------
    Floats
        Shape ``(draws, G, 2, 2)``; ``(draws, G, 2, 3)`` of a weighted table.
    """
    sums = totals(table)
    pooled = ratio(sums[..., 1].sum(0), sums[..., 0].sum(0))
    return _binomial_decisions(sums, np.nan_to_num(pooled), rng, draws)


def equal_selection(table: Table, rng: np.random.Generator, draws: int) -> Floats:
    """Draw confusion counts with the pooled rate of positive decisions in every group.

    As `equal_rates`, with one rate for both outcomes: the null of demographic parity.

    Parameters
    ----------
    table
        Of cells ``(G, 2)``: group and outcome, with the decision as second column.
    rng
        Source of randomness.
    draws
        Number of draws.

    Returns
    -------
    Floats
        Shape ``(draws, G, 2, 2)``.
    """
    sums = totals(table)
    return _binomial_decisions(sums, sums[..., 1].sum() / sums[..., 0].sum(), rng, draws)


def permuted_groups(table: Table, rng: np.random.Generator, draws: int) -> Floats:
    """Draw sums after shuffling the groups' labels over rows, for real outcomes.

    Errors and predictions of a regression have no binomial law, and their spread differs from row
    to row. But when groups do not matter, labels are exchangeable: any assignment of the same
    labels to the same rows, group sizes kept, was as likely. Shuffling labels over the intact rows
    therefore samples the exact null, conditional on the rows and free of assumptions on their
    distribution. Where cells have further axes (bins of the outcome), labels are shuffled within
    them, so that the null is independence *given* the outcome. Sample weights stay with the labels.

    Parameters
    ----------
    table
        Of cells ``(G, ...)``: the first axis is the group.
    rng
        Source of randomness.
    draws
        Number of shuffles.

    Returns
    -------
    Floats
        Shape ``(draws, *table.shape, k)``.
    """
    if table.weight is not None:
        return _permuted_rows(table, rng, draws)
    inner = int(np.prod(table.shape[1:]))
    order = np.argsort(table.cell % inner, kind="stable")
    cell = table.cell[order]
    ends = np.cumsum(np.bincount(cell % inner))
    ordered = Table(cell, table.columns[order], table.shape)
    sums = []
    for size in _draws_at_a_time(len(cell), draws):
        labels = drawn_once(_shuffled, rng, cell, ends, size)
        cell = labels[-1].astype(np.intp)  # from where the next ones are shuffled on
        sums.append(totals_of_labels(ordered, labels))
    return np.concatenate(sums)


def _shuffled(rng: np.random.Generator, cell: Codes, ends: Codes, draws: int) -> np.ndarray:
    """Shuffle cells within blocks again and again: ``(draws, n)``, in as few bytes as hold them."""
    cell = cell.copy()
    blocks = np.split(cell, ends[:-1])  # views: rows of one place, which differ by their group
    found = np.empty((draws, len(cell)), np.min_scalar_type(int(cell.max())))
    for draw in found:
        for block in blocks:
            rng.shuffle(block)
        draw[:] = cell
    return found


def _draws_at_a_time(rows: int, draws: int) -> Iterator[int]:
    most = max(1, _BLOCK // rows)
    for start in range(0, draws, most):
        yield min(most, draws - start)


def _binomial_decisions(sums: Floats, rate: Floats, rng: np.random.Generator, draws: int) -> Floats:
    """Draw decisions of as many rows as the cells are worth, and scale them to their weight."""
    size = np.ceil(np.round(effective_decisions(sums), 6)).astype(int)
    accepted = rng.binomial(size, np.clip(rate, 0, 1), size=(draws, *size.shape))
    weight = sums[..., 0]
    drawn = accepted * np.nan_to_num(ratio(weight, size))
    columns = [weight, drawn, *np.moveaxis(sums[..., 2:], -1, 0)]
    return np.stack(np.broadcast_arrays(*columns), axis=-1).astype(np.float64)


def _permuted_rows(table: Table, rng: np.random.Generator, draws: int) -> Floats:
    """Shuffle what rows hold, while weights stay with the groups, as their sizes do."""
    inner = int(np.prod(table.shape[1:]))
    place = table.cell % inner
    sums = []
    for size in _draws_at_a_time(len(place), draws):
        taken = drawn_once(_exchanged, rng, place, size)
        sums.append(totals_of_exchanges(table, taken))
    return np.concatenate(sums)


def _exchanged(rng: np.random.Generator, place: Codes, draws: int) -> np.ndarray:
    """Return, draw by draw, the row that is put where each row is: ``(draws, n)``."""
    blocks = np.split(np.argsort(place, kind="stable"), np.cumsum(np.bincount(place))[:-1])
    found = np.empty((draws, len(place)), np.int32)
    for taken in found:
        for block in blocks:
            taken[block] = rng.permutation(block)
    return found
