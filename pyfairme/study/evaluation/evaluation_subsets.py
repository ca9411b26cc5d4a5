"""Subsets of a study's evaluated rows on which metrics are computed."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from pyfairme.estimators.fairness_report import BLOCKS
from pyfairme.metrics.array_inputs import Codes, Floats, as_clusters, as_groups
from pyfairme.metrics.bootstrap import ResamplingDesign, Weights, draw_weights, resampling_design
from pyfairme.metrics.group_sums import PredictedRows, unequal
from pyfairme.metrics.metric import Task
from pyfairme.metrics.names import ALL, apart
from pyfairme.study.evaluation.pooled_predictions import Pooled, Runs, common_labels


class StudySection(NamedTuple):
    """Some rows, grouped by one attribute (or not at all), and the draws of these rows.

    Attributes
    ----------
    task
        "classification" or "regression".
    clusters
        "seen" or "unseen".
    attribute
        Its name, as reports have it; "all" does not group.
    key
        Its name among the judged rows; "" of none.
    rows
        Shape (n,): positions of the block's rows among those of a run.
    group, levels
        Shape (n,): code of each row's group, and the names of the groups.
    design
        What is resampled.
    weights
        Shape (n, n_boot): how often each row is drawn.
    entropy
        Seeds the null draws, alike for every model.
    """

    task: Task
    clusters: str
    attribute: str
    key: str
    rows: Codes
    group: Codes
    levels: tuple[str, ...]
    design: ResamplingDesign
    weights: Weights
    entropy: tuple[int, ...]


def sections(runs: Runs, n_boot: int, seed: int) -> Iterator[StudySection]:
    """Yield the groupings of the rows of each block of clusters, with their draws.

    Parameters
    ----------
    runs
        Checked, see `pyfairme.study.evaluation.pooled_predictions.check_runs`.
    n_boot
        Number of draws.
    seed
        Seeds them.
    """
    judged = next(iter(runs.values())).judged
    task: Task = "classification" if judged.decision else "regression"
    attributes = [("", None), *common_labels(runs).items()]
    for block, clusters in enumerate(BLOCKS):
        rows = np.flatnonzero(judged.seen == (clusters == "seen"))
        if not len(rows):
            continue
        cluster = as_clusters(judged.units(rows))
        for number, (key, labels) in enumerate(attributes):
            name, group, levels = ALL, np.zeros(len(rows), np.intp), (ALL,)
            if labels is not None:
                group, levels = as_groups(labels[rows], f"sensitive[{key!r}]")
                name, *levels = (apart(text, (ALL,)) for text in (key, *levels))
            entropy = (seed, block, number)
            design = resampling_design(cluster, group)
            weights = draw_weights(design, np.random.default_rng(entropy), n_boot)
            at = (task, clusters, name, key, rows)
            yield StudySection(*at, group, tuple(levels), design, weights, entropy)


def problems(run: Pooled) -> list[tuple[int | None, Any]]:
    """List the problems: each of more than two classes against the rest, or the one there is."""
    classes = run.judged.classes
    if len(classes) > 2:
        return list(enumerate(classes))
    return [(None, classes[-1] if classes else "")]


def rows_of(
    section: StudySection, runs: list[Pooled], effects: str, code: int | None
) -> list[PredictedRows]:
    """Return the rows of each run as the metrics take them.

    Parameters
    ----------
    section
        Which rows.
    runs
        Those of one model, by seed.
    effects
        "fixed", "random" or "mixed".
    code
        Of the class to judge against the rest; None for two classes and for regression.
    """
    return _with_gap_of_all([_rows(section, run, effects, code) for run in runs])


def _rows(section: StudySection, run: Pooled, effects: str, code: int | None) -> PredictedRows:
    judged, at = run.judged, section.rows

    def column(values: np.ndarray) -> Floats:
        return np.asarray(values[at] if code is None else values[at, code], np.float64)

    def chosen(codes: np.ndarray) -> Floats:
        return np.asarray(codes[at] if code is None else codes[at] == code, np.float64)

    gap = judged.gap[effects].get(section.key)
    density = judged.log_density.get(effects)
    grouped: dict[str, Any] = {"group": section.group, "levels": section.levels}
    grouped["gap"] = None if gap is None else column(gap)
    grouped["weight"] = None if judged.weight is None else unequal(judged.weight[at])
    prediction = column(judged.prediction[effects])
    if section.task == "regression":
        outcome = np.asarray(judged.y[at], np.float64)
        grouped["log_density"] = None if density is None else np.asarray(density[at], np.float64)
        return PredictedRows(outcome, prediction, **grouped)
    return PredictedRows(
        chosen(judged.y), chosen(judged.decision[effects]), y_prob=prediction, **grouped
    )


def _with_gap_of_all(per_seed: list[PredictedRows]) -> list[PredictedRows]:
    """Leave out gaps that are not known in every row and seed (a level new to some fit)."""
    known = all(rows.gap is not None and np.isfinite(rows.gap).all() for rows in per_seed)
    return per_seed if known else [rows._replace(gap=None) for rows in per_seed]
