"""The tidy fairness report: every registered metric with interval, null value, n and note."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pyfairme.metrics.array_inputs import (
    Codes,
    Floats,
    as_binary,
    as_clusters,
    as_decisions,
    as_flipped,
    as_groups,
    as_probability,
    as_real,
    as_rng,
    as_weight,
    check_count,
    check_share,
)
from pyfairme.metrics.bootstrap import resampling_design
from pyfairme.metrics.counterfactual import row_gap
from pyfairme.metrics.group_sums import PredictedRows, unequal, ungrouped
from pyfairme.metrics.metric import Metric, Task, chosen_metrics
from pyfairme.metrics.names import ALL, apart, distinct_names
from pyfairme.metrics.report_lines import ReportSection, Sampling, section_lines
from pyfairme.metrics.row_order import warn_of_order
from pyfairme.metrics.small_groups import merge_small_groups

COLUMNS = (
    "attribute",
    "group",
    "metric",
    "value",
    "low",
    "high",
    "null",
    "null_low",
    "null_high",
    "n",
    "note",
)


def classification_report_frame(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    y_pred: ArrayLike,
    *,
    sensitive: Mapping[str, Any],
    cluster: ArrayLike | None = None,
    flipped: Mapping[str, Any] | None = None,
    gap: Mapping[str, Any] | None = None,
    sample_weight: ArrayLike | None = None,
    pos_label: object = None,
    rng: np.random.Generator | int,
    n_boot: int = 200,
    level: float = 0.9,
    min_group_size: int = 0,
    metrics: Any = None,
    covered: ArrayLike | None = None,
    width: ArrayLike | None = None,
    left_out: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Compute all metrics of a binary classifier as one tidy table.

    Parameters
    ----------
    y_true
        Shape ``(n,)``: outcomes in {0, 1}.
    y_prob
        Shape ``(n,)``: predicted probabilities of the outcome 1.
    y_pred
        Shape ``(n,)``: decisions in {0, 1}.
    sensitive
        For each attribute its labels, shape ``(n,)``; an intersection is one more entry.
    cluster
        Shape ``(n,)``: labels of clusters, for the bootstrap; ``None`` treats rows as one cluster.
        A row whose label is missing is a cluster of its own.
    flipped
        For each attribute ``y_prob`` under its other levels, shape ``(n, |S| - 1)``; attributes
        with neither this entry nor one in ``gap`` have no counterfactual gap.
    gap
        Instead of ``flipped``: for each attribute the mean over its other levels of the absolute
        change of ``y_prob``, shape ``(n,)``.
    sample_weight
        Shape ``(n,)``: weights of rows, such as those of a survey. Values, intervals and null bands
        are weighted; ``n`` still counts rows.
    pos_label
        The positive class of labels: outcomes and decisions then need not be 0 and 1.
    rng
        Source of randomness of bootstrap and null values, or its seed.
    n_boot
        Bootstrap replicates; 0 leaves the intervals empty.
    level
        Coverage of the intervals.
    min_group_size
        Groups with fewer rows, or fewer rows of one of the outcomes, are put together as
        "(small groups)", with more where the rest of the report would show them by subtraction
        (`pyfairme.metrics.small_groups`); 0 reports every group.
    metrics
        Names to choose some metrics, `Metric` objects to add some, or both; None: all that come
        with the package.
    covered
        Shape ``(n,)``: whether the prediction set of the row holds its outcome; ``None`` leaves the
        coverage out.
    width
        Shape ``(n,)``: number of outcomes in the set; ``None`` leaves its lines out.
    left_out
        For some attributes a bool per row, shape ``(n,)``: rows that the attribute's groups are
        compared without, such as those of "Unknown". They count for all else.

    Returns
    -------
    pd.DataFrame
        Columns attribute, group, metric, value, low, high, null, null_low, null_high, n, note.
        Overall accuracy has attribute and group ``"all"``; disparities have group ``"all"``; the
        rates of each level follow. An attribute or level that is itself called "all" is ``'"all"'``
        here. ``n`` counts the rows that the value rests on. A metric that is
        not defined on these rows is NaN, and its note says why. The null band is always 5-95 %.

    Raises
    ------
    ValueError
        When lengths differ, values are out of range, or a label is missing.

    Notes
    -----
    Below 30 clusters rows are resampled within cluster x group, and intervals are about these
    clusters; from 30 up whole clusters are resampled, and intervals are about all clusters like
    them. Outcomes are as random as all else. Which method makes which interval, and how often each
    held the truth in simulations, is in docs/intervals.md; `pyfairme.metrics.interval` has the
    definitions. Intervals of spreads and other disparities are about the groups' true rates, free
    of the noise that lifts the value: those of ``tpr_sd`` and ``tpr_sd_corrected`` are the same but
    for holding their own value.
    """
    sampling, chosen = _check_sampling(rng, n_boot, level), chosen_metrics(metrics)
    warn_of_order(y_true, "y_true", y_prob=y_prob, y_pred=y_pred, sample_weight=sample_weight)
    warn_of_order(y_true, "y_true", **{str(name): labels for name, labels in sensitive.items()})
    y_true, y_pred = as_decisions(y_true, y_pred, pos_label)
    outcome = as_binary(y_true, "y_true")
    n = len(outcome)
    probability = as_probability(y_prob, "y_prob", n)
    rows = ungrouped(outcome, as_binary(y_pred, "y_pred", n), probability)
    rows = rows._replace(weight=unequal(as_weight(sample_weight, n)))
    rows = _with_intervals(rows, covered, width)
    sensitive = _of_size(sensitive, outcome, min_group_size)
    clusters = _cluster_codes(cluster, n)
    gaps = _gaps(probability, sensitive, flipped, gap)
    sections = _sections(
        "classification", rows, (sensitive, left_out or {}), gaps, clusters, chosen
    )
    return _frame(sections, sampling)


def regression_report_frame(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sensitive: Mapping[str, Any],
    cluster: ArrayLike | None = None,
    flipped: Mapping[str, Any] | None = None,
    gap: Mapping[str, Any] | None = None,
    sample_weight: ArrayLike | None = None,
    rng: np.random.Generator | int,
    n_boot: int = 200,
    level: float = 0.9,
    log_density: ArrayLike | None = None,
    min_group_size: int = 0,
    metrics: Any = None,
    covered: ArrayLike | None = None,
    width: ArrayLike | None = None,
    left_out: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Compute all metrics of a regression as one tidy table.

    Intervals are made as for `classification_report_frame`.

    Parameters
    ----------
    y_true
        Shape ``(n,)``: real outcomes.
    y_pred
        Shape ``(n,)``: predictions, in the unit of the outcome.
    sensitive
        For each attribute its labels, shape ``(n,)``; an intersection is one more entry.
    cluster
        Shape ``(n,)``: labels of clusters, for the bootstrap; ``None`` treats rows as one cluster.
        A row whose label is missing is a cluster of its own.
    flipped
        For each attribute ``y_pred`` under its other levels, shape ``(n, |S| - 1)``; attributes
        with neither this entry nor one in ``gap`` have no counterfactual gap.
    gap
        Instead of ``flipped``: for each attribute the mean over its other levels of the absolute
        change of ``y_pred``, shape ``(n,)``.
    sample_weight
        Shape ``(n,)``: weights of rows, such as those of a survey. Values, intervals and null bands
        are weighted; ``n`` still counts rows.
    rng
        Source of randomness of bootstrap and null values, or its seed.
    n_boot
        Bootstrap replicates; 0 leaves the intervals empty.
    level
        Coverage of the intervals.
    log_density
        Shape ``(n,)``: log predictive density of ``y_true``; ``None`` leaves that line out.
    min_group_size
        Groups with fewer rows are put together, as by `classification_report_frame`.
    metrics
        As of `classification_report_frame`.
    covered
        Shape ``(n,)``: whether the prediction interval of the row holds its outcome; ``None``
        leaves the coverage out.
    width
        Shape ``(n,)``: width of the interval; ``None`` leaves its lines out.
    left_out
        As of `classification_report_frame`.

    Returns
    -------
    pd.DataFrame
        Columns as of `classification_report_frame`.

    Raises
    ------
    ValueError
        When lengths differ, values are not finite, or a label is missing.

    Examples
    --------
    >>> sex = {"sex": ["m", "m", "w", "w"]}
    >>> frame = regression_report_frame([1, 2, 3, 4], [1, 2, 3, 6], sensitive=sex, rng=0, n_boot=0)
    >>> lines = frame.query("metric == 'mse'")
    >>> dict(zip(lines["group"], lines["value"], strict=True))
    {'all': 1.0, 'm': 0.0, 'w': 2.0}
    """
    sampling, chosen = _check_sampling(rng, n_boot, level), chosen_metrics(metrics)
    warn_of_order(y_true, "y_true", y_pred=y_pred, sample_weight=sample_weight)
    warn_of_order(y_true, "y_true", **{str(name): labels for name, labels in sensitive.items()})
    outcome = as_real(y_true, "y_true")
    n = len(outcome)
    rows = ungrouped(outcome, as_real(y_pred, "y_pred", n))
    rows = rows._replace(weight=unequal(as_weight(sample_weight, n)))
    if log_density is not None:
        rows = rows._replace(log_density=as_real(log_density, "log_density", n))
    rows = _with_intervals(rows, covered, width)
    sensitive = _of_size(sensitive, None, min_group_size)
    clusters = _cluster_codes(cluster, n)
    gaps = _gaps(rows.y_pred, sensitive, flipped, gap)
    return _frame(
        _sections("regression", rows, (sensitive, left_out or {}), gaps, clusters, chosen), sampling
    )


def _check_sampling(rng: object, n_boot: object, level: object) -> Sampling:
    return Sampling(as_rng(rng), check_count(n_boot, "n_boot"), check_share(level))


def _with_intervals(
    rows: PredictedRows, covered: ArrayLike | None, width: ArrayLike | None
) -> PredictedRows:
    n = len(rows.y_true)
    if covered is not None:
        rows = rows._replace(covered=as_binary(covered, "covered", n).astype(np.float64))
    if width is not None:
        rows = rows._replace(width=as_real(width, "width", n))
    return rows


def _of_size(
    sensitive: Mapping[str, Any], outcome: Floats | None, min_group_size: object
) -> Mapping[str, Any]:
    least = check_count(min_group_size, "min_group_size")
    return merge_small_groups(sensitive, outcome, least) if least > 1 and sensitive else sensitive


def _cluster_codes(cluster: ArrayLike | None, n: int) -> Codes:
    return np.zeros(n, dtype=np.intp) if cluster is None else as_clusters(cluster, n)


def _sections(
    task: Task,
    rows: PredictedRows,
    labelled: tuple[Mapping[str, Any], Mapping[str, Any]],
    gaps: Mapping[Any, Floats],
    cluster: Codes,
    metrics: tuple[Metric, ...],
) -> list[ReportSection]:
    overall = ReportSection(ALL, rows, task, False, resampling_design(cluster), metrics)
    sections, (sensitive, left_out) = [overall], labelled
    names = distinct_names(sensitive)
    for name, (key, labels) in zip(names, sensitive.items(), strict=True):
        part, gap, units = rows, gaps.get(key), cluster
        if key in left_out:
            kept = ~np.asarray(left_out[key], bool)
            part, units, gap = _of(rows, kept), cluster[kept], None if gap is None else gap[kept]
            labels = _used(pd.Series(labels).reset_index(drop=True).loc[kept])
        grouped = _group(part, name, labels, gap)
        design = resampling_design(units, grouped.group)
        sections.append(ReportSection(apart(name, (ALL,)), grouped, task, True, design, metrics))
    return sections


def _used(labels: pd.Series) -> pd.Series:
    """Return labels without the categories that no row has."""
    ordered = isinstance(labels.dtype, pd.CategoricalDtype)
    return labels.cat.remove_unused_categories() if ordered else labels


def _of(rows: PredictedRows, kept: np.ndarray) -> PredictedRows:
    """Return some of the rows, before they are grouped."""
    every = {
        name: value[kept] for name, value in rows._asdict().items() if isinstance(value, np.ndarray)
    }
    return rows._replace(**every)


def _gaps(
    base: Floats,
    sensitive: Mapping[str, Any],
    flipped: Mapping[str, Any] | None,
    gap: Mapping[str, Any] | None,
) -> dict[Any, Floats]:
    """Return the gap of each row, (n,), of every attribute that has flips or gaps."""
    n, flips, gaps = len(base), dict(flipped or {}), dict(gap or {})
    for name, given in (("flipped", flips), ("gap", gaps)):
        if unknown := sorted(str(key) for key in given if key not in sensitive):
            raise ValueError(
                f"{name} has attributes that sensitive does not: {', '.join(unknown)}. "
                f"Expected some of {', '.join(map(str, sensitive))}. [unknown-attribute]"
            )
    if both := sorted(str(key) for key in flips if key in gaps):
        raise ValueError(
            f"flipped and gap both have {', '.join(both)}: give one of the two for an attribute. "
            "[flipped-and-gap]"
        )
    found = {key: as_real(values, f"gap[{str(key)!r}]", n) for key, values in gaps.items()}
    for key, values in flips.items():
        found[key] = row_gap(base, as_flipped(values, f"flipped[{str(key)!r}]", n))
    return found


def _group(rows: PredictedRows, name: str, labels: ArrayLike, gap: Floats | None) -> PredictedRows:
    groups = as_groups(labels, f"sensitive[{name!r}]", len(rows.y_true))
    levels = tuple(apart(level, (ALL,)) for level in groups.levels)
    return rows._replace(group=groups.codes, levels=levels, gap=gap)


def _frame(sections: list[ReportSection], sampling: Sampling) -> pd.DataFrame:
    records = [record for section in sections for record in section_lines(section, sampling)]
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))
