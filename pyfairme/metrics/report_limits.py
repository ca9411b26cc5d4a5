"""The interval of one line of a report, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyfairme.metrics.aggregate import mean_of_groups
from pyfairme.metrics.array_inputs import Floats
from pyfairme.metrics.interval import Interval, distance, extreme, standard, wilson
from pyfairme.metrics.metric import Kind, Metric, MetricParts
from pyfairme.metrics.sampling_noise import FEWEST_CLUSTERS, Evidence, deviations, quantile

NONE = Interval(np.nan, np.nan)
TOO_FEW = "no interval: too few rows to tell how much they vary"
ROUNDING = 1e-12
MOST_LOST = 0.05  # share of replicates without a value


def limits(
    metric: Metric,
    value: float,
    evidence: Evidence,
    group: int | None,
    levels: Sequence[str],
    level: float,
) -> Interval:
    """Return the interval of a value.

    Parameters
    ----------
    metric
        Its declaration.
    value
        Mean over seeds.
    evidence
        About the value, or its parts; of all groups.
    group
        Position of the line's group; ``None`` for a line about all of them.
    levels
        Names of the groups.
    level
        Coverage.
    """
    if np.isnan(value) or evidence.draws.shape[1] == 0:
        return NONE
    found = _found(metric, value, evidence, group, levels, level)
    certain = found.high - found.low <= ROUNDING * abs(value)
    return found._replace(note="no row differs from the others") if certain else found


def _found(
    metric: Metric,
    value: float,
    evidence: Evidence,
    group: int | None,
    levels: Sequence[str],
    level: float,
) -> Interval:
    mine = evidence if group is None else _of_group(evidence, group)
    if scarce := _scarce(metric, evidence.clusters, group, levels):
        return NONE._replace(note=scarce)
    if metric.parts is None:
        return _of_value(metric, value, mine, level)
    if group is not None and mine.rows.sum() < 2:
        return NONE._replace(note=TOO_FEW)
    noise = deviations(mine, metric.kind, level)
    if metric.parts.extreme == "smallest":
        equal = mean_of_groups(mine.parts)
        return extreme(value, mine.parts, equal, noise, metric.parts.combine, level)
    tail = (1 - level) / 2
    shared = metric.parts.combine, (tail, tail), mine.rows, metric.kind
    found = distance(value, mine.parts, noise, *shared)
    if metric.parts.extreme == "largest":
        found = _largest(found, value, metric.parts, metric.kind, mine, noise, level)
    if metric.kind == "rate":
        found = found._replace(high=max(min(found.high, 1.0), value))
    return found


def _largest(
    found: Interval,
    value: float,
    parts: MetricParts,
    kind: Kind,
    evidence: Evidence,
    noise: Floats,
    level: float,
) -> Interval:
    """Let the limits of the largest of several distances agree with those of each.

    The largest may be any of them, so its high limit is the highest; and it is no smaller than any,
    so its low limit is the highest of theirs, each with its share of the tail (Bonferroni).
    """
    each = [k for k, rows in enumerate(evidence.rows) if (rows > 0).any()]
    tail = (1 - level) / 2
    lows, highs = [0.0], [found.high]
    for k in each:
        one = slice(k, k + 1)
        mine = evidence.parts[:, one]
        own = float(parts.combine(mine).mean())
        if np.isnan(own):  # such as a range of TPR where one group alone has positives
            continue
        tails, rows = (tail / len(each), tail), evidence.rows[one]
        limit = distance(own, mine, noise[:, :, one], parts.combine, tails, rows, kind)
        lows.append(limit.low)
        highs.append(limit.high)
    return Interval(min(max(lows), value), max(highs))


def _of_group(evidence: Evidence, group: int) -> Evidence:
    return Evidence(
        evidence.parts[:, group],
        evidence.draws[:, :, group],
        evidence.rows[group],
        evidence.clusters,
        evidence.effective[group],
    )


def _scarce(metric: Metric, clusters: Floats, group: int | None, levels: Sequence[str]) -> str:
    """Say which groups too few clusters hold to tell how much clusters differ."""
    if (group is None and metric.parts is None) or np.isinf(clusters).all():
        return ""  # a mean over all rows needs no group
    few = clusters < FEWEST_CLUSTERS
    if group is not None and few[group]:
        return f"no interval: in {clusters[group]:.0f} cluster(s), {FEWEST_CLUSTERS} are needed"
    if group is not None or not few.any():
        return ""
    names = [level for level, flag in zip(levels, few, strict=True) if flag]
    return f"no interval: in fewer than {FEWEST_CLUSTERS} clusters: {', '.join(names)}"


def _of_value(metric: Metric, value: float, evidence: Evidence, level: float) -> Interval:
    draws = evidence.draws.mean(0)
    rows, clusters = float(np.max(evidence.rows)), float(np.max(evidence.effective))
    lost = float(np.isnan(draws).mean())
    known = draws[~np.isnan(draws)]
    variance = float(known.var(ddof=1)) if known.size > 1 else 0.0
    if metric.kind == "rate":
        told = variance if lost <= MOST_LOST else 0.0
        return wilson(value, told, rows, quantile(level, clusters - 1))
    if rows < 2 or lost > MOST_LOST:
        return NONE._replace(note=TOO_FEW)
    degrees = min(clusters, rows) - 1
    error = float(np.sqrt(variance))
    return standard(value, error, quantile(level, degrees), positive=metric.kind == "positive")
