"""What the report says beside a value."""

from collections.abc import Mapping, Sequence

import numpy as np

from pyfairme.metrics.array_inputs import Floats
from pyfairme.metrics.metric import Metric
from pyfairme.metrics.null_value import NullValue

TINY = 5  # people, whose rate says next to nothing of their group
MOST_TINY = 8  # such groups that are named
SHIFT = 0.1  # of a standard deviation over groups, which a tiny group may not move in silence
SMALL = 30  # rows below which a group's rate has a standard error up to .09


def note(
    metric: Metric,
    value: float,
    null: NullValue,
    levels: Sequence[str],
    sizes: Mapping[str, Floats],
    size: int,
    parts: Floats | None = None,
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
        By what they are called, shape ``(G,)``: rows that each group's value rests on, see
        `Metric.group_sizes`.
    size
        Rows that this line rests on.
    parts
        Shape ``(*P)``: what a disparity is put together from.
    """
    if metric.scope == "group":
        return _about_cell(metric, size)
    about = [_undefined(metric, value), _resolvable(metric, value, null), metric.remark]
    if metric.scope == "attribute":
        about = [*(_left_out(word, levels, each) for word, each in sizes.items()), *about]
        about.append(_decided_by_few(metric, levels, sizes, parts))
        about.append(_moved_by_tiny(metric, levels, sizes, parts))
    return joined(*about)


def joined(*parts: str) -> str:
    """Join remarks, leaving out the empty ones.

    Examples
    --------
    >>> joined("small cell", "", "no interval")
    'small cell; no interval'
    """
    return "; ".join(part for part in parts if part)


def _about_cell(metric: Metric, size: int) -> str:
    if size == 0:
        return f"empty cell (no {metric.counted})"
    return f"small cell ({size} {metric.counted}, fewer than {SMALL})" if size < SMALL else ""


def _left_out(word: str, levels: Sequence[str], sizes: Floats) -> str:
    empty = [level for level, size in zip(levels, sizes, strict=True) if size == 0]
    return f"left out (no {word}): {', '.join(empty)}" if empty else ""


def _decided_by_few(
    metric: Metric, levels: Sequence[str], sizes: Mapping[str, Floats], parts: Floats | None
) -> str:
    """Name the small groups without which an extreme would be another one."""
    if metric.parts is None or parts is None or not metric.parts.few:
        return ""
    whole, found = metric.parts.combine(parts), []
    for row, (word, each) in enumerate(sizes.items()):
        for group, size in enumerate(each):
            if not 0 < size < SMALL:
                continue
            without = parts.copy()
            without[(row, group) if len(sizes) > 1 else group] = np.nan
            if not np.isclose(metric.parts.combine(without), whole, atol=1e-12):
                found.append(f"{levels[group]} ({size:.0f} {word})")
    return f"decided by a small group: {', '.join(found)}" if found else ""


def _moved_by_tiny(
    metric: Metric, levels: Sequence[str], sizes: Mapping[str, Floats], parts: Floats | None
) -> str:
    """Say what a standard deviation would be without groups of fewer than 5, where it matters."""
    if not metric.is_sd or metric.parts is None or parts is None:
        return ""
    (word, each), *others = sizes.items()
    tiny = (each > 0) & (each < TINY)
    if others or not tiny.any():
        return ""
    whole = float(metric.parts.combine(parts))
    rest = float(metric.parts.combine(np.where(tiny, np.nan, parts)))
    if not abs(rest - whole) <= SHIFT * whole:  # NaN: one group or none is left
        names = [f"{level} ({n:.0f} {word})" for level, n in zip(levels, each, strict=True)
                 if 0 < n < TINY]  # fmt: skip
        more = f" and {len(names) - MOST_TINY} more" if len(names) > MOST_TINY else ""
        without = f"{rest:.3g} without" if np.isfinite(rest) else "not defined without"
        return f"moved by tiny groups: {', '.join(names[:MOST_TINY])}{more}: {without}"
    return ""


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
