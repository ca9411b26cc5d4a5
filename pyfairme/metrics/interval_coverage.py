"""How often prediction intervals and sets hold the outcome, over all rows and by group."""

import numpy as np
from numpy.typing import ArrayLike

from pyfairme.metrics.aggregate import group_range, group_sd, ratio
from pyfairme.metrics.array_inputs import Floats, as_groups, as_real, as_weight
from pyfairme.metrics.group_sums import PredictedRows, Table, make_table, totals
from pyfairme.metrics.metric import Metric, MetricParts, Task
from pyfairme.metrics.null_value import equal_selection
from pyfairme.metrics.row_order import warn_of_order

TOO_FEW = "fewer than two groups have rows"


def interval_coverage(
    y_true: ArrayLike, low: ArrayLike, high: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Compute the share of outcomes that lie in their intervals, ends included.

    Parameters
    ----------
    y_true
        Shape ``(n,)``: outcomes.
    low, high
        Shape ``(n,)``: ends of the intervals.
    sample_weight
        Shape ``(n,)``: weights of rows.

    Raises
    ------
    ValueError
        When lengths differ or values are not finite.

    Examples
    --------
    >>> interval_coverage([1, 2, 3, 4], [0, 0, 0, 0], [3, 3, 3, 3])
    0.75
    """
    warn_of_order(y_true, "y_true", low=low, high=high, sample_weight=sample_weight)
    covered = _covered(y_true, low, high)
    return float(np.average(covered, weights=as_weight(sample_weight, len(covered))))


def coverage_sd(
    y_true: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    *,
    sensitive_features: ArrayLike,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the standard deviation over groups (ddof = 0) of the coverage of intervals.

    0 means equalized coverage (Romano, Barber, Sabatti & Candes 2020).

    Parameters
    ----------
    y_true
        Shape ``(n,)``: outcomes.
    low, high
        Shape ``(n,)``: ends of the intervals.
    sensitive_features
        Shape ``(n,)`` of labels, or a frame ``(n, A)`` whose intersections are the groups.
    sample_weight
        Shape ``(n,)``: weights of rows within their group.

    Returns
    -------
    float
        In [0, .5]; NaN with fewer than two groups.

    Raises
    ------
    ValueError
        When lengths differ, values are not finite, or a label is missing.

    Examples
    --------
    >>> coverage_sd([1, 2], [0, 0], [1, 1], sensitive_features=["a", "b"])
    0.5
    """
    columns = {"sensitive_features": sensitive_features, "sample_weight": sample_weight}
    warn_of_order(y_true, "y_true", low=low, high=high, **columns)
    covered = _covered(y_true, low, high)
    groups = as_groups(sensitive_features, n=len(covered))
    table = make_table(groups.codes, (len(groups.levels),), covered)
    return float(group_sd(_share(totals(table, as_weight(sample_weight, len(covered))))))


def _covered(y_true: ArrayLike, low: ArrayLike, high: ArrayLike) -> Floats:
    outcome = as_real(y_true, "y_true")
    n = len(outcome)
    inside = (as_real(low, "low", n) <= outcome) & (outcome <= as_real(high, "high", n))
    return inside.astype(np.float64)


def coverage_rows(rows: PredictedRows) -> Table:
    """Add up the rows that are covered: cells ``(G,)``, k = 2 with the count."""
    assert rows.covered is not None
    return make_table(rows.group, (len(rows.levels),), rows.covered)


def _share(sums: Floats) -> Floats:
    return ratio(sums[..., 1], sums[..., 0])


def _overall(sums: Floats) -> Floats:
    return _share(sums)[..., 0]


def _smallest(values: Floats) -> Floats:
    return np.fmin.reduce(values, axis=-1)  # fmin passes over NaN


def _of_task(task: Task) -> tuple[Metric, ...]:
    needs = ("covered",)
    better = {"kind": "rate", "higher_is_better": True, "needs": needs}
    return (
        Metric("coverage", task, "overall", coverage_rows, _overall, **better),
        Metric(
            "coverage_sd",
            task,
            "attribute",
            coverage_rows,
            lambda sums: group_sd(_share(sums)),
            null=equal_selection,
            is_sd=True,
            needs=needs,
            undefined=TOO_FEW,
            kind="rate",
            parts=MetricParts(_share, group_sd),
            label="coverage SD",
        ),
        Metric(
            "coverage_difference",
            task,
            "attribute",
            coverage_rows,
            lambda sums: group_range(_share(sums)),
            null=equal_selection,
            needs=needs,
            undefined=TOO_FEW,
            kind="rate",
            parts=MetricParts(_share, group_range, few=True),
        ),
        Metric(
            "worst_group_coverage",
            task,
            "attribute",
            coverage_rows,
            lambda sums: _smallest(_share(sums)),
            parts=MetricParts(_share, _smallest, extreme="smallest", few=True),
            label="worst-group coverage",
            **better,
        ),
        Metric("coverage", task, "group", coverage_rows, _share, **better),
    )


METRICS = (*_of_task("classification"), *_of_task("regression"))
