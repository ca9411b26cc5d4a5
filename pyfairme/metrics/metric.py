"""The declaration of a metric, and how the report finds all declarations.

To add a metric to the package, write one module in it: a public function, and a tuple ``METRICS``
of `Metric` declarations. The report scans the package, so no other file is touched. A metric of a
user's own is given to a report as an object (docs/extending.md).
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

import numpy as np

from pyfairme.metrics.array_inputs import Floats
from pyfairme.metrics.group_sums import PredictedRows, Table
from pyfairme.metrics.names import words
from pyfairme.notices import shown

Task = Literal["classification", "regression"]
Scope = Literal["overall", "attribute", "group"]
Kind = Literal["rate", "positive", "real"]


def count_rows(sums: Floats) -> Floats:
    """Return the rows of each group (first axis of the cells): shape ``(G,)``."""
    counts = sums[..., 0]
    return counts.reshape(len(counts), -1).sum(-1)


@dataclass(frozen=True)
class MetricParts:
    """What a metric over groups is put together from, for its interval.

    Attributes
    ----------
    of
        Sums ``(..., *shape, k)`` to parts ``(..., *P)``, such as the rates of G groups.
    combine
        Parts to the metric, ``(...)``; of a metric with one value per group ``(..., G)``.
    rows
        Sums ``(*shape, k)`` to the rows that each part rests on, ``(*P)``.
    extreme
        ``"smallest"``: the metric is the smallest of its parts rather than a distance from
        equality; ``"largest"``: it is the largest of several distances, one for each place on
        the first axis of P, such as those of the groups, or of TPR and FPR.
    few
        Whether one or two groups decide alone, as on a range or a maximum.

    Examples
    --------
    >>> rate = lambda sums: sums[..., 1] / sums[..., 0]
    >>> parts = MetricParts(of=rate, combine=lambda rates: rates.std(-1))
    >>> round(float(parts.combine(np.array([0.5, 0.7]))), 2)
    0.1
    """

    of: Callable[[Floats], Floats]
    combine: Callable[[Floats], Floats]
    rows: Callable[[Floats], Floats] = count_rows
    extreme: Literal["", "smallest", "largest"] = ""
    few: bool = False


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
    needed
        Of a metric with parts ``(K, G)``: in words and as sums to ``(G,)``, the rows that each of
        the K needs; empty for the rows of ``group_size``.
    null
        Draws sums under the absence of disparity, see `pyfairme.metrics.null_value`; or ``None``.
    is_sd
        Whether it is a standard deviation over groups, to be read against its null band.
    needs
        Optional fields of `PredictedRows` without which the metric is left out of the report.
    undefined
        Why the value can be NaN; becomes the note.
    remark
        A note that every value of this metric carries.
    kind
        Of the value (of the parts, where there are any): ``"rate"``, from 0 to 1; ``"positive"``;
        ``"real"``. Decides on the interval, see `pyfairme.metrics.interval`.
    parts
        What a disparity is put together from; ``None`` where replicates of the value say enough.
    label
        Its name for people; empty: the name with blanks, see `metric_label`.
    higher_is_better
        Whether it improves as it grows, such as an accuracy; a disparity or a loss does not.
    restates
        Name of the metric that it says in another unit, as an RMSE does an MSE: a test of the two
        is one.
    """

    name: str
    task: Task
    scope: Scope
    tabulate: Callable[[PredictedRows], Table]
    reduce: Callable[[Floats], Floats]
    group_size: Callable[[Floats], Floats] = count_rows
    counted: str = "rows"
    needed: tuple[tuple[str, Callable[[Floats], Floats]], ...] = ()
    null: Callable[[Table, np.random.Generator, int], Floats] | None = None
    is_sd: bool = False
    needs: tuple[str, ...] = ()
    undefined: str = ""
    remark: str = ""
    kind: Kind = "real"
    parts: MetricParts | None = None
    label: str = ""
    higher_is_better: bool = False
    restates: str = ""

    def measure(self, sums: Floats) -> Floats:
        """Return the parts, or the value where it has none: what is replicated."""
        return (self.reduce if self.parts is None else self.parts.of)(sums)

    def group_sizes(self, sums: Floats) -> dict[str, Floats]:
        """Return the rows that each group needs, ``(G,)``, by what they are called."""
        return {word: size(sums) for word, size in self.needed or self._one_need()}

    def _one_need(self) -> tuple[tuple[str, Callable[[Floats], Floats]], ...]:
        return ((self.counted, self.group_size),)

    def behind(self, sums: Floats) -> Floats:
        """Return the rows behind what is measured."""
        if self.scope == "overall":
            return self.group_size(sums).sum()
        if self.parts is not None:
            return self.parts.rows(sums)
        sizes = self.group_size(sums)
        return sizes if self.scope == "group" else sizes.sum()


ChosenMetrics = str | Metric | Iterable[str | Metric] | None  # what a keyword metrics takes


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


def chosen_metrics(metrics: ChosenMetrics) -> tuple[Metric, ...]:
    """Return the metrics of a keyword ``metrics``.

    Parameters
    ----------
    metrics
        None: all that come with the package. Otherwise one or several names and `Metric` objects:
        names choose among those, and where there is no name all of them stay; objects are added.

    Raises
    ------
    ValueError
        For an unknown name, or an object that has the name of another metric.
    TypeError
        For what is neither a name nor a `Metric`.
    """
    known = registered()
    if metrics is None:
        return known
    given = (metrics,) if isinstance(metrics, str | Metric) else tuple(metrics)
    names = [one for one in given if isinstance(one, str)]
    every = dict.fromkeys(metric.name for metric in known)
    for one in given:
        if not isinstance(one, str | Metric):
            raise TypeError(
                f"metrics takes names and objects of pyfairme.metrics.Metric, got {shown(one)}. "
                "[not-a-metric]"
            )
        if isinstance(one, str) and one not in every:
            raise ValueError(
                f"Unknown metric {one!r}. Known ones: {', '.join(every)}. [unknown-metric]"
            )
    own = tuple(one for one in given if isinstance(one, Metric))
    _check_distinct((*known, *own))
    return (*(metric for metric in known if not names or metric.name in names), *own)


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


@cache
def _by_name() -> dict[str, Metric]:
    return {metric.name: metric for metric in registered()}


def metric_label(name: str) -> str:
    """Return a metric's name for people, in tables, plots and texts.

    Examples
    --------
    >>> metric_label("tpr_sd"), metric_label("brand_new")
    ('TPR SD', 'brand new')
    """
    known = _by_name().get(name)
    return known.label if known is not None and known.label else words(name)


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
