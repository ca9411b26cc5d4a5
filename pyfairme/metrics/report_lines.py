"""From one grouping of rows to the lines of the report about it."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pyfairme.metrics.array_inputs import Floats
from pyfairme.metrics.bootstrap import ResamplingDesign, resample
from pyfairme.metrics.group_sums import PredictedRows, Table, counted, tabulated, totals
from pyfairme.metrics.metric import Metric, Scope, Task
from pyfairme.metrics.null_value import NullValue, summarise_null
from pyfairme.metrics.report_limits import limits
from pyfairme.metrics.report_notes import joined, note
from pyfairme.metrics.sampling_noise import Evidence

NULL_LEVEL = 0.9  # the 5-95 % band, whatever the level of the intervals
NULL_DRAWS = {"classification": 1000, "regression": 200}  # a shuffle costs more than a count


class Sampling(NamedTuple):
    """How intervals are made: source of randomness, number of replicates, coverage."""

    rng: np.random.Generator
    n_boot: int
    level: float


class ReportSection(NamedTuple):
    """One block of the report: the metrics of one task and some scopes on one grouping of rows."""

    attribute: str
    rows: PredictedRows
    task: Task
    grouped: bool
    design: ResamplingDesign
    metrics: tuple[Metric, ...]


def measured_metrics(
    metrics: tuple[Metric, ...], task: Task, rows: PredictedRows, *, grouped: bool
) -> list[Metric]:
    """Return those of the metrics that some rows have: overall ones, or those about groups."""
    scopes: tuple[Scope, ...] = ("attribute", "group") if grouped else ("overall",)
    return [
        metric
        for scope in scopes
        for metric in metrics
        if (metric.task, metric.scope) == (task, scope)
        and all(getattr(rows, field) is not None for field in metric.needs)
    ]


def section_lines(section: ReportSection, sampling: Sampling) -> Iterator[tuple]:
    """Yield the lines of a section, each in the order of the report's columns."""
    metrics = measured_metrics(section.metrics, section.task, section.rows, grouped=section.grouped)
    if not metrics:  # others were chosen
        return
    tables = {metric.tabulate: tabulated(metric.tabulate, section.rows) for metric in metrics}
    replicates = _replicates(metrics, tables, section.design, sampling)
    nulls = _nulls(metrics, tables, sampling.rng)
    sums = {tabulate: (totals(table), counted(table)) for tabulate, table in tables.items()}
    for metric in metrics:
        table, mine = tables[metric.tabulate], sums[metric.tabulate]
        evidence = gather(metric, table, mine[0], section.design, replicates[metric])
        null = nulls.get(metric, NullValue(np.nan, np.nan, np.nan))
        yield from _lines(section, metric, table, mine, evidence, null, sampling.level)


def gather(
    metric: Metric, table: Table, sums: Floats, design: ResamplingDesign, draws: Floats
) -> Evidence:
    """Say what is known about a metric of one model on some rows.

    Parameters
    ----------
    metric
        Its declaration.
    table
        Its table of the rows.
    sums
        Totals of the table.
    design
        What was resampled.
    draws
        Shape ``(B, *P)``: replicates of what the metric measures.
    """
    measured = np.asarray(metric.measure(sums))
    rows = _effective(metric, sums, weighted=table.weight is not None)
    rows = np.broadcast_to(rows, measured.shape)
    clusters, effective = _clusters(metric, table, design, measured.shape)
    return Evidence(
        measured[None],
        draws[None],
        rows,
        clusters,
        effective,
    )


def _effective(metric: Metric, sums: Floats, *, weighted: bool) -> Floats:
    """Return (sum w)² / sum w² of the rows of each part."""
    rows = np.asarray(metric.behind(sums))
    if not weighted:
        return rows
    squares = np.concatenate([sums[..., -1:], sums[..., 1:]], axis=-1)
    below = np.asarray(metric.behind(squares))
    return np.divide(rows**2, below, out=np.zeros_like(rows), where=below > 0)


def _clusters(
    metric: Metric, table: Table, design: ResamplingDesign, shape: tuple[int, ...]
) -> tuple[Floats, Floats]:
    """Return in how many clusters groups have their rows, and how many each part has in effect."""
    if not design.whole:
        return np.full(1, np.inf), np.full(shape, np.inf)
    units = int(design.unit.max()) + 1
    if metric.scope == "overall":  # cells are no groups
        rows = np.bincount(design.unit, table.weight).astype(np.float64)
        groups = np.full(1, float(units))
    else:
        cell = design.unit * int(np.prod(table.shape)) + table.cell
        each = totals(table._replace(cell=cell, shape=(units, *table.shape)))
        rows = np.stack([metric.behind(sums) for sums in each])
        needs = np.array([list(metric.group_sizes(sums).values()) for sums in each])  # (C, K, G)
        found = (needs > 0).sum(0).astype(np.float64)
        groups = np.where(found > 0, found, np.inf).min(0)
    squares = (rows**2).sum(0)
    effective = np.divide(rows.sum(0) ** 2, squares, out=np.zeros_like(squares), where=squares > 0)
    return groups, np.broadcast_to(effective, shape)


def _replicates(
    metrics: list[Metric], tables: dict, design: ResamplingDesign, sampling: Sampling
) -> dict[Metric, Floats]:
    parts: dict[Metric, list[Floats]] = {metric: [] for metric in metrics}
    blocks = resample(list(tables.values()), design, sampling.rng, sampling.n_boot)
    for block in blocks:
        drawn = dict(zip(tables, block, strict=True))
        for metric in metrics:
            parts[metric].append(metric.measure(drawn[metric.tabulate]))
    return {m: np.concatenate(found) if found else np.empty(0) for m, found in parts.items()}


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
    section: ReportSection,
    metric: Metric,
    table: Table,
    sums: tuple[Floats, Floats],
    evidence: Evidence,
    null: NullValue,
    level: float,
) -> Iterator[tuple]:
    """Yield a metric's lines; ``sums`` are the totals of its table, weighted and counted."""
    grouped = metric.scope == "group"
    levels = section.rows.levels
    weighted, counts = sums
    sizes, needed = metric.group_size(counts), metric.group_sizes(counts)
    values = metric.reduce(weighted)
    for number, (group, value, size) in enumerate(
        zip(
            levels if grouped else ("all",),
            np.atleast_1d(values).astype(float),
            sizes if grouped else [sizes.sum()],
            strict=True,
        )
    ):
        known = not np.isnan(value)
        place = number if grouped else None
        low, high, why = limits(metric, float(value), evidence, place, levels, level)
        remarks = note(metric, float(value), null, levels, needed, int(size), evidence.parts[0])
        head = (section.attribute, group, metric.name, float(value), low, high)
        yield (
            *head,
            *(null if known else (np.nan,) * 3),
            int(size),
            joined(remarks, why, _worth(metric, table, evidence, place)),
        )


def _worth(metric: Metric, table: Table, evidence: Evidence, place: int | None) -> str:
    """Say how many equally weighted rows a mean of weighted rows is worth."""
    if table.weight is None or metric.parts is not None:
        return ""
    rows = float(np.ravel(evidence.rows)[place or 0])
    return f"weighted, worth {rows:.0f} {metric.counted} of equal weight" if rows else ""
