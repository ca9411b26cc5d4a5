"""Every metric of every model of a study, on the same bootstrap draws.

Rows of the data set are drawn once per block of clusters and grouping of rows. The same draws
weight the rows of every model, kind of effects and seed, so that differences between models are
paired; a replicate is a mean over seeds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pyfairme.metrics.array_inputs import Floats, as_clusters, check_count
from pyfairme.metrics.bootstrap import reweighted
from pyfairme.metrics.constant_baseline import (
    AGAINST_CONSTANT,
    BY_DECISION,
    AgainstConstant,
    against_constant,
    alike_note,
)
from pyfairme.metrics.group_sums import PredictedRows, Table, counted, tabulated, totals
from pyfairme.metrics.metric import ChosenMetrics, Metric, chosen_metrics
from pyfairme.metrics.null_value import NullValue, permuted_groups, summarise_null
from pyfairme.metrics.report_lines import NULL_DRAWS, NULL_LEVEL, gather, measured_metrics
from pyfairme.metrics.report_notes import joined, note
from pyfairme.metrics.sampling_noise import Evidence
from pyfairme.study.evaluation.evaluation_subsets import (
    ALL,
    BLOCKS,
    StudySection,
    problems,
    rows_of,
    sections,
)
from pyfairme.study.evaluation.pooled_predictions import Pooled, Runs, check_runs


@dataclass(frozen=True)
class Line:
    """One metric of one model, over all seeds.

    Parameters
    ----------
    variant, effects, clusters, attribute, group
        As in the results.
    label
        The class that is judged against the others; "" for regression.
    metric
        Its declaration.
    values
        Shape (S,): one per seed.
    draws
        Shape (n_boot,): bootstrap replicates of the mean over seeds.
    evidence
        What the interval is made from, for all groups of the line's attribute.
    place, levels
        Position of the line's group (None for "all") among the names of the groups.
    by_fold
        Shape (J,): of every fold of every seed, NaN where the fold's rows do not define it; empty
        for single groups.
    null
        What equal groups would show by chance, mean over seeds.
    n
        Rows that the value rests on.
    note
        What a reader must know about the value.
    """

    variant: str
    effects: str
    clusters: str
    attribute: str
    group: str
    label: Any
    metric: Metric
    values: Floats
    draws: Floats
    evidence: Evidence
    place: int | None
    levels: tuple[str, ...]
    by_fold: Floats
    null: NullValue
    n: int
    note: str


@dataclass(frozen=True)
class Replicates:
    """What `replicate` found.

    Parameters
    ----------
    lines
        By variant, effects, clusters and attribute, as they are reported.
    variants
        Names of the models.
    seeds
        By variant: its seeds, in the order of a line's values.
    """

    lines: tuple[Line, ...]
    variants: tuple[str, ...]
    seeds: dict[str, tuple[int, ...]]


class _One(NamedTuple):
    """One metric on the rows of one seed; a group metric has a last axis of groups."""

    value: Floats
    draws: Floats
    evidence: Evidence
    by_fold: Floats
    null: NullValue
    sizes: Floats
    needed: dict[str, Floats]


def replicate(
    runs: Runs, *, n_boot: int = 200, seed: int = 0, metrics: ChosenMetrics = None
) -> Replicates:
    """Compute every metric of every run, with paired bootstrap replicates.

    Below 30 clusters rows are drawn within cluster x group, from 30 up whole clusters
    (`pyfairme.metrics.bootstrap.resampling_design`), seen and unseen clusters apart.

    Parameters
    ----------
    runs
        By model and seed: judged rows, the same in each.
    n_boot
        Bootstrap replicates; 0 makes none.
    seed
        Seeds bootstrap and null draws.
    metrics
        As of `pyfairme.study.cross_validate`.

    Returns
    -------
    Replicates
        One line per variant, effects, clusters, attribute, group, class and metric.

    Raises
    ------
    ValueError
        When the runs do not cover the same rows, or ``n_boot`` is negative.
    """
    check_count(n_boot, "n_boot")
    chosen = chosen_metrics(metrics)
    check_runs(runs)
    seeds: dict[str, tuple[int, ...]] = {}
    for variant, number in runs:
        seeds[variant] = tuple(sorted((*seeds.get(variant, ()), number)))
    found: dict[tuple[str, str, str], list[Line]] = {
        (variant, effects, clusters): []
        for variant in seeds
        for effects in next(iter(runs.values())).judged.prediction
        for clusters in BLOCKS
    }
    for section in sections(runs, n_boot, seed):
        for variant, numbers in seeds.items():
            mine = [runs[variant, number] for number in numbers]
            for line in _lines(section, variant, mine, chosen):
                found[variant, line.effects, line.clusters].append(line)
    lines = tuple(line for some in found.values() for line in some)
    return Replicates(lines, tuple(seeds), seeds)


def _lines(
    section: StudySection, variant: str, runs: list[Pooled], chosen: tuple[Metric, ...]
) -> Iterator[Line]:
    """Yield the lines of one model in one section."""
    asked = [
        (effects, code, label)
        for effects in runs[0].judged.prediction
        for code, label in problems(runs[0])
    ]
    rows = [rows_of(section, runs, effects, code) for effects, code, _ in asked]
    grouped = section.attribute != ALL
    metrics = [measured_metrics(chosen, section.task, one[0], grouped=grouped) for one in rows]
    if not any(metrics):  # others were chosen
        return
    tables = [[_tables(some, one) for one in per] for some, per in zip(metrics, rows, strict=True)]
    nulls = _nulls(section, metrics, tables)
    for (effects, code, label), some, per_seed, null in zip(
        asked, metrics, tables, nulls, strict=True
    ):
        found = [
            _judge(some, one, section, run.fold[section.rows], drawn)
            for one, run, drawn in zip(per_seed, runs, null, strict=True)
        ]
        for metric in some:
            ones = [one[metric] for one in found]
            for group, line in _over_seeds(section, metric, ones):
                if metric.name in AGAINST_CONSTANT and not grouped:
                    said = _beside_constant(section, runs, effects, code)
                    line["note"] = joined(said, line["note"])
                if metric.name in BY_DECISION and grouped and section.task == "classification":
                    said = _decided_alike(section, runs, effects, code, label)
                    line["note"] = joined(said, line["note"])
                yield Line(
                    variant, effects, section.clusters, section.attribute, group, label, **line
                )


def _beside_constant(
    section: StudySection, runs: list[Pooled], effects: str, code: int | None
) -> str:
    """Return what to say where the loss, mean over seeds, is not below a constant's."""
    found = []
    for run in runs:
        judged, at = run.judged, section.rows
        y = np.asarray(judged.y[at] if code is None else judged.y[at] == code, np.float64)
        given = judged.prediction[effects][at]
        base = judged.base
        if base is not None:
            base = base[at] if code is None else base[at, code]
        found.append(
            against_constant(
                y,
                given if code is None else given[:, code],
                base,
                None if judged.weight is None else judged.weight[at],
                as_clusters(judged.units(at)),
                classes=section.task == "classification",
            )
        )
    means = [float(np.mean(each)) for each in list(zip(*found, strict=True))[1:]]
    return AgainstConstant(found[0].name, *means).note  # seeds share the rows: so does their error


def _decided_alike(
    section: StudySection, runs: list[Pooled], effects: str, code: int | None, label: object
) -> str:
    """Return what to say where (nearly) all rows of every seed are decided alike."""
    every = np.concatenate([run.judged.decision[effects][section.rows] for run in runs])
    other = f"another class than {label}" if code is not None else runs[0].judged.classes[0]
    return alike_note(every == (1 if code is None else code), other, label)


def _tables(metrics: list[Metric], rows: PredictedRows) -> dict[Any, Table]:
    return {
        tabulate: tabulated(tabulate, rows)
        for tabulate in dict.fromkeys(m.tabulate for m in metrics)
    }


def _judge(
    metrics: list[Metric],
    tables: dict[Any, Table],
    section: StudySection,
    fold: np.ndarray,
    nulls: dict[Metric, NullValue],
) -> dict[Metric, _One]:
    """Compute the metrics of one seed: values, replicates, values by fold."""
    sums = {tabulate: totals(table) for tabulate, table in tables.items()}
    counts = {tabulate: counted(table) for tabulate, table in tables.items()}
    drawn = _drawn_values(metrics, tables, section)
    folds = {m.tabulate: _by_fold(tables[m.tabulate], fold) for m in metrics if m.scope != "group"}
    found = {}
    for metric in metrics:
        mine = sums[metric.tabulate]
        value = np.asarray(metric.reduce(mine))
        values, parts = drawn[metric]
        evidence = gather(metric, tables[metric.tabulate], mine, section.design, parts)
        by_fold = np.empty(0) if metric.scope == "group" else metric.reduce(folds[metric.tabulate])
        null = nulls.get(metric, NullValue(np.nan, np.nan, np.nan))
        rows = counts[metric.tabulate]
        sizes, needed = metric.group_size(rows), metric.group_sizes(rows)
        found[metric] = _One(value, values, evidence, by_fold, null, sizes, needed)
    return found


def _drawn_values(
    metrics: list[Metric], tables: dict[Any, Table], section: StudySection
) -> dict[Metric, tuple[Floats, Floats]]:
    """Return replicates of the metrics, and of what they are put together from."""
    parts: dict[Metric, list[tuple[Floats, Floats]]] = {metric: [] for metric in metrics}
    for block in reweighted(list(tables.values()), section.weights, section.design):
        drawn = dict(zip(tables, block, strict=True))
        for metric in metrics:
            sums = drawn[metric.tabulate]
            parts[metric].append((metric.reduce(sums), metric.measure(sums)))
    found = {}
    for metric, some in parts.items():
        values, measured = zip(*some, strict=True) if some else ([np.empty(0)], [np.empty(0)])
        found[metric] = np.concatenate(values), np.concatenate(measured)
    return found


def _by_fold(table: Table, fold: np.ndarray) -> Floats:
    """Add up a table fold by fold: (folds, *shape, k)."""
    numbers, code = np.unique(fold, return_inverse=True)
    cell = code * int(np.prod(table.shape)) + table.cell
    return totals(table._replace(cell=cell, shape=(len(numbers), *table.shape)))


def _nulls(
    section: StudySection, metrics: list[list[Metric]], tables: list[list[dict[Any, Table]]]
) -> list[list[dict[Metric, NullValue]]]:
    """Return the null values of every metric, by problem and seed."""
    found: list[list[dict[Metric, NullValue]]] = [[{} for _ in per_seed] for per_seed in tables]
    places = [(i, j) for i, per_seed in enumerate(tables) for j in range(len(per_seed))]
    for null, tabulate in dict.fromkeys((m.null, m.tabulate) for some in metrics for m in some):
        if null is None:
            continue
        every = [tables[i][j][tabulate] for i, j in places]
        for (i, j), drawn in zip(places, _drawn(null, every, section), strict=True):
            for metric in metrics[i]:
                if (metric.null, metric.tabulate) == (null, tabulate):
                    found[i][j][metric] = summarise_null(metric.reduce(drawn), NULL_LEVEL)
    return found


def _drawn(
    null: Callable[[Table, np.random.Generator, int], Floats],
    tables: list[Table],
    section: StudySection,
) -> Iterator[Floats]:
    """Yield the null draws of each table; one shuffle of the groups serves all models alike."""
    draws, first = NULL_DRAWS[section.task], tables[0]

    def rng() -> np.random.Generator:
        return np.random.default_rng((*section.entropy, 1))

    unweighted = all(table.weight is None for table in tables)
    if (
        null is permuted_groups
        and unweighted
        and all(np.array_equal(t.cell, first.cell) for t in tables[1:])
    ):
        joint = first._replace(columns=np.hstack([table.columns for table in tables]))
        yield from np.split(null(joint, rng(), draws), len(tables), axis=-1)
        return
    for table in tables:
        yield null(table, rng(), draws)


def _over_seeds(
    section: StudySection, metric: Metric, ones: list[_One]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield group and numbers of each line of a metric: means over seeds."""
    grouped = metric.scope == "group"
    values = np.stack([np.atleast_1d(one.value) for one in ones])  # (S, 1 or G)
    draws = np.mean([one.draws for one in ones], axis=0).reshape(-1, values.shape[1])
    null = NullValue(*np.mean([one.null for one in ones], axis=0))
    sizes = ones[0].sizes
    first = ones[0].evidence
    evidence = first._replace(
        parts=np.concatenate([one.evidence.parts for one in ones]),
        draws=np.concatenate([one.evidence.draws for one in ones]),
    )
    for number, group in enumerate(section.levels if grouped else ("all",)):
        value = float(values[:, number].mean())
        n = int(sizes[number] if grouped else sizes.sum())
        yield (
            group,
            {
                "metric": metric,
                "values": values[:, number],
                "draws": np.ascontiguousarray(draws[:, number]),
                "evidence": evidence,
                "place": number if grouped else None,
                "levels": section.levels,
                "by_fold": np.concatenate([one.by_fold for one in ones]),
                "null": null if not np.isnan(value) else NullValue(np.nan, np.nan, np.nan),
                "n": n,
                "note": note(
                    metric, value, null, section.levels, ones[0].needed, n, first.parts[0]
                ),
            },
        )
