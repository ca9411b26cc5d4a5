"""From one grouping of rows to the lines of the report about it."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pyfairme.metrics.bootstrap import Design, percentile_interval, resample
from pyfairme.metrics.inputs import Floats
from pyfairme.metrics.notes import note
from pyfairme.metrics.null import NullValue, summarise_null
from pyfairme.metrics.registry import Metric, Scope, Task, registered
from pyfairme.metrics.table import Rows, counted, tabulated, totals

NULL_LEVEL = 0.9  # the 5-95 % band, whatever the level of the intervals
NULL_DRAWS = {"classification": 1000, "regression": 200}  # a shuffle costs more than a count


class Sampling(NamedTuple):
    """How intervals are made: source of randomness, number of replicates, coverage."""

    rng: np.random.Generator
    n_boot: int
    level: float


class Section(NamedTuple):
    """One block of the report: the metrics of one task and some scopes on one grouping of rows."""

    attribute: str
    rows: Rows
    task: Task
    scopes: tuple[Scope, ...]
    design: Design


def section_lines(section: Section, sampling: Sampling) -> Iterator[tuple]:
    """Yield the lines of a section, each in the order of the report's columns."""
    metrics = [
        metric
        for scope in section.scopes
        for metric in registered()
        if (metric.task, metric.scope) == (section.task, scope)
        and all(getattr(section.rows, field) is not None for field in metric.needs)
    ]
    tables = {metric.tabulate: tabulated(metric.tabulate, section.rows) for metric in metrics}
    sums = {tabulate: (totals(table), counted(table)) for tabulate, table in tables.items()}
    replicates = _replicates(metrics, tables, section.design, sampling)
    nulls = _nulls(metrics, tables, sampling.rng)
    for metric in metrics:
        mine = sums[metric.tabulate]
        yield from _lines(section, metric, *mine, replicates, nulls, sampling.level)


def _replicates(
    metrics: list[Metric], tables: dict, design: Design, sampling: Sampling
) -> dict[Metric, Floats]:
    parts: dict[Metric, list[Floats]] = {metric: [] for metric in metrics}
    blocks = resample(list(tables.values()), design, sampling.rng, sampling.n_boot)
    for block in blocks:
        drawn = dict(zip(tables, block, strict=True))
        for metric in metrics:
            parts[metric].append(metric.reduce(drawn[metric.tabulate]))
    return {metric: np.concatenate(found) for metric, found in parts.items() if found}


def _nulls(
    metrics: list[Metric], tables: dict, rng: np.random.Generator
) -> dict[Metric, NullValue]:
    drawn, nulls = {}, {}
    for metric in metrics:
        if metric.null is None:
            continue
        key = (metric.null, metric.tabulate)
        if key not in drawn:  # metrics of one table share their draws
            drawn[key] = metric.null(tables[metric.tabulate], rng, NULL_DRAWS[metric.task])
        nulls[metric] = summarise_null(metric.reduce(drawn[key]), NULL_LEVEL)
    return nulls


def _lines(
    section: Section,
    metric: Metric,
    sums: Floats,
    counts: Floats,
    replicates: dict[Metric, Floats],
    nulls: dict[Metric, NullValue],
    level: float,
) -> Iterator[tuple]:
    grouped = metric.scope == "group"
    levels = section.rows.levels
    sizes = metric.group_size(counts)
    n = sizes if grouped else [sizes.sum()]
    values = metric.reduce(sums) if metric.value is None else metric.value(sums)
    draws = replicates.get(metric, np.empty((0, len(levels)) if grouped else 0))
    by_group = draws.T if grouped else [draws]
    null = nulls.get(metric, NullValue(np.nan, np.nan, np.nan))
    for group, value, drawn, size in zip(
        levels if grouped else ("all",), np.atleast_1d(values), by_group, n, strict=True
    ):
        known = not np.isnan(value)
        low, high = percentile_interval(drawn, level) if known else (np.nan, np.nan)
        remarks = note(metric, float(value), null, levels, sizes, int(size))
        head = (section.attribute, group, metric.name, float(value), low, high)
        yield (*head, *(null if known else (np.nan,) * 3), int(size), remarks)
