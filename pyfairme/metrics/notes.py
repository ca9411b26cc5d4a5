"""What the report says beside a value."""

from collections.abc import Sequence

import numpy as np

from pyfairme.metrics.inputs import Floats
from pyfairme.metrics.null import NullValue
from pyfairme.metrics.registry import Metric

SMALL = 30  # rows below which a group's rate has a standard error up to .09


def note(
    metric: Metric,
    value: float,
    null: NullValue,
    levels: Sequence[str],
    sizes: Floats,
    size: int,
) -> str:
    """Return what a reader must know about one line of the report; empty when nothing.

    Parameters
    ----------
    metric
        The line's metric.
    value
        Its value.
    null
        The null value of a disparity.
    levels
        Names of the G groups.
    sizes
        Shape ``(G,)``: rows that each group's value rests on.
    size
        Rows that this line rests on.
    """
    if metric.scope == "group":
        return _about_cell(metric, size)
    parts = [_left_out(metric, levels, sizes)] if metric.scope == "attribute" else []
    parts += [_undefined(metric, value), _resolvable(metric, value, null), metric.remark]
    return "; ".join(part for part in parts if part)


def _about_cell(metric: Metric, size: int) -> str:
    if size == 0:
        return f"empty cell (no {metric.counted})"
    return f"small cell ({size} {metric.counted}, fewer than {SMALL})" if size < SMALL else ""


def _left_out(metric: Metric, levels: Sequence[str], sizes: Floats) -> str:
    empty = [level for level, size in zip(levels, sizes, strict=True) if size == 0]
    return f"left out (no {metric.counted}): {', '.join(empty)}" if empty else ""


def _undefined(metric: Metric, value: float) -> str:
    if not np.isnan(value):
        return ""
    few = "fewer than two groups have rows" if metric.scope == "attribute" else "no rows"
    return f"not defined: {metric.undefined or few}"


def _resolvable(metric: Metric, value: float, null: NullValue) -> str:
    if not metric.is_sd or np.isnan(value) or value > null.high:
        return ""
    where = "inside" if value >= null.low else "below"
    return f"not resolvable: {where} the null band"
