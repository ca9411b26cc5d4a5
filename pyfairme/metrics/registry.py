"""The declaration of a metric, and how the report finds all declarations.

To add a metric, write one module in this package: a public function, and a tuple ``METRICS`` of
`Metric` declarations. The report scans the package, so no other file is touched.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

import numpy as np

from pyfairme.metrics.inputs import Floats
from pyfairme.metrics.table import Rows, Table

Task = Literal["classification", "regression"]
Scope = Literal["overall", "attribute", "group"]


def count_rows(sums: Floats) -> Floats:
    """Return the rows of each group (first axis of the cells): shape ``(G,)``."""
    counts = sums[..., 0]
    return counts.reshape(len(counts), -1).sum(-1)


@dataclass(frozen=True)
class Metric:
    """One line of the fairness report: what it is computed from, and how.

    Attributes
    ----------
    name
        Name in the report's ``metric`` column.
    task
        ``"classification"`` or ``"regression"``.
    scope
        ``"overall"``: once, over all rows; ``"attribute"``: once per sensitive attribute;
        ``"group"``: once per level of an attribute.
    tabulate
        Rows to `Table`. Metrics that share it share bootstrap and null draws.
    reduce
        Sums ``(..., *shape, k)`` to values ``(...)``, for scope ``"group"`` ``(..., G)``.
    group_size
        Sums ``(*shape, k)`` to the number of rows that each group's value rests on, ``(G,)``.
    counted
        What ``group_size`` counts, in words: ``"rows"``, ``"positives"``, ``"negatives"``.
    null
        Draws sums under the absence of disparity, see `pyfairme.metrics.null`; or ``None``.
    is_sd
        Whether it is a standard deviation over groups, to be read against its null band.
    needs
        Optional fields of `Rows` without which the metric is left out of the report.
    undefined
        Why the value can be NaN; becomes the note.
    remark
        A note that every value of this metric carries.
    value
        Computes the point value from sums instead of ``reduce``; ``None`` uses ``reduce``.
    """

    name: str
    task: Task
    scope: Scope
    tabulate: Callable[[Rows], Table]
    reduce: Callable[[Floats], Floats]
    group_size: Callable[[Floats], Floats] = count_rows
    counted: str = "rows"
    null: Callable[[Table, np.random.Generator, int], Floats] | None = None
    is_sd: bool = False
    needs: tuple[str, ...] = ()
    undefined: str = ""
    remark: str = ""
    value: Callable[[Floats], float] | None = None


@cache
def registered() -> tuple[Metric, ...]:
    """Return every metric declared in the package, in the order of module names.

    Raises
    ------
    ValueError
        When two metrics of one task and scope have the same name.
    """
    import pyfairme.metrics as package

    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    modules = [importlib.import_module(f"{package.__name__}.{name}") for name in names]
    metrics = tuple(m for module in modules for m in getattr(module, "METRICS", ()))
    _check_distinct(metrics)
    return metrics


def find(name: str, task: Task) -> Metric:
    """Return the metric of that name that has one value per attribute.

    Raises
    ------
    ValueError
        When there is none.
    """
    if task not in get_args(Task):
        raise ValueError(f"task must be one of {get_args(Task)}, got {task!r}. [unknown-choice]")
    known = {m.name: m for m in registered() if m.task == task and m.scope == "attribute"}
    if name not in known:
        raise ValueError(
            f"Unknown {task} metric {name!r}. Known ones: {', '.join(known)}. [unknown-metric]"
        )
    return known[name]


def _check_distinct(metrics: tuple[Metric, ...]) -> None:
    seen = set()
    for metric in metrics:
        key = (metric.name, metric.task, metric.scope)
        if key in seen:
            raise ValueError(
                f"Two metrics are declared as {key}; give one of them another name."
                " [metric-declared-twice]"
            )
        seen.add(key)
