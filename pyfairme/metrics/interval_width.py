"""How wide prediction intervals are, and how large prediction sets, over all rows and by group."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pyfairme.metrics.aggregate import group_sd, ratio
from pyfairme.metrics.array_inputs import Floats, as_real, as_weight
from pyfairme.metrics.group_sums import PredictedRows, Table, make_table
from pyfairme.metrics.metric import Metric, MetricParts
from pyfairme.metrics.null_value import permuted_groups
from pyfairme.metrics.row_order import warn_of_order


def interval_width(
    low: ArrayLike, high: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Compute the mean width of intervals.

    Parameters
    ----------
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
    >>> interval_width([0, 1], [1, 4])
    2.0
    """
    warn_of_order(low, "low", high=high, sample_weight=sample_weight)
    ends = as_real(low, "low")
    width = as_real(high, "high", len(ends)) - ends
    return float(np.average(width, weights=as_weight(sample_weight, len(width))))


def width_rows(rows: PredictedRows) -> Table:
    """Add up widths, or sizes of sets: cells ``(G,)``, k = 2 with the count."""
    assert rows.width is not None
    return make_table(rows.group, (len(rows.levels),), rows.width)


def _mean(sums: Floats) -> Floats:
    return ratio(sums[..., 1], sums[..., 0])


def _overall(sums: Floats) -> Floats:
    return _mean(sums)[..., 0]


def _named(name: str, task: Any) -> tuple[Metric, ...]:
    given: Any = {"kind": "positive", "needs": ("width",)}
    return (
        Metric(name, task, "overall", width_rows, _overall, **given),
        Metric(
            f"{name}_sd",
            task,
            "attribute",
            width_rows,
            lambda sums: group_sd(_mean(sums)),
            null=permuted_groups,
            is_sd=True,
            undefined="fewer than two groups have rows",
            parts=MetricParts(_mean, group_sd),
            label=f"SD of {name.replace('_', ' ')}",
            **given,
        ),
        Metric(name, task, "group", width_rows, _mean, **given),
    )


METRICS = (*_named("interval_width", "regression"), *_named("set_size", "classification"))
