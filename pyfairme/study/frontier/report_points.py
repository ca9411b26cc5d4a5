"""Fairness reports as points: what each model or threshold policy costs, on the same rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.metrics.names import ALL
from pyfairme.metrics.pareto import non_dominated
from pyfairme.study.frontier.frontier_points import GOALS, Goal
from pyfairme.study.frontier.points_table import PointsTable

ENDS = ("low", "high", "null_low", "null_high")


def report_points(
    reports: Mapping[str, pd.DataFrame],
    *,
    effects: str = "mixed",
    needs_sensitive: Collection[str] = (),
) -> PointsTable:
    """Lay fairness reports of the same rows out as the points of a frontier.

    Parameters
    ----------
    reports
        Fairness reports of models and threshold policies by name, of the same rows and attributes.
        Costs are measured from the first.
    effects
        Which predictions.
    needs_sensitive
        Names of those that read the sensitive attribute of every row they predict.

    Returns
    -------
    PointsTable
        A DataFrame: one line per name and clusters (seen and unseen), with the columns of
        `Frontier.points`: variant (the name), unfair (whether it is the first), effects, clusters,
        balanced_accuracy, auroc, cost (accuracy of the first minus that of this one), worst_sd
        (largest spread over the attributes), worst_sd_of, ``<metric>_<attribute>``, non_dominated;
        of a regression r2, mse and the spread of mean residuals. Accuracy and spreads have the
        report's intervals beside them (``_low``, ``_high``), costs and worst spreads none.
        needs_sensitive is added. It prints the columns that one chooses by, ``frame`` all.

    Raises
    ------
    ValueError
        When there is no report, one has no accuracy and spread of groups from these effects, or
        ``needs_sensitive`` names another.

    See Also
    --------
    pyfairme.plots.plot_frontier : draws them, as points or as ``peers``.

    Examples
    --------
    >>> import pyfairme as pf
    >>> y, sex = [1, 0, 1, 0, 1, 0, 1, 0], {"sex": list("ffffmmmm")}
    >>> reports = {
    ...     name: pf.metrics.classification_report_frame(
    ...         y, chance, decision, sensitive=sex, rng=0, n_boot=0
    ...     ).assign(effects="mixed", clusters="seen", **{"class": 1})
    ...     for name, chance, decision in [
    ...         ("plain", [0.9, 0.1, 0.4, 0.2, 0.8, 0.1, 0.7, 0.3], [1, 0, 0, 0, 1, 0, 1, 0]),
    ...         ("fair", [0.9, 0.1, 0.4, 0.2, 0.8, 0.1, 0.4, 0.2], [1, 0, 0, 0, 1, 0, 0, 0]),
    ...     ]
    ... }
    >>> report_points(reports)[["variant", "cost", "worst_sd", "worst_sd_of"]].values.tolist()
    [['plain', 0.0, 0.25, 'tpr_sd sex'], ['fair', 0.125, 0.0, 'tpr_sd sex']]
    """
    if not reports:
        raise ValueError("reports is empty: pass fairness reports by name. [nothing-to-draw]")
    if unknown := [name for name in needs_sensitive if name not in reports]:
        raise ValueError(
            f"needs_sensitive must name some of the reports, {', '.join(reports)}; got "
            f"{', '.join(map(str, unknown))}. [unknown-choice]"
        )
    lines = {name: _lines(name, report, effects) for name, report in reports.items()}
    first = next(iter(reports))
    goal = _goal(lines[first])
    records = []
    for clusters in dict.fromkeys(lines[first]["clusters"]):
        blocks = {name: one.loc[one["clusters"] == clusters] for name, one in lines.items()}
        found = [
            {"variant": name, "unfair": name == first, "effects": effects, "clusters": clusters}
            | {"needs_sensitive": name in needs_sensitive}
            | _record(block, goal)
            for name, block in blocks.items()
        ]
        for one in found:
            one["cost"] = found[0][goal.accuracy] - one[goal.accuracy]
        best = non_dominated([f[goal.accuracy] for f in found], [f["worst_sd"] for f in found])
        records += [f | {"non_dominated": bool(b)} for f, b in zip(found, best, strict=True)]
    return PointsTable(pd.DataFrame.from_records(records))


def _lines(name: str, report: pd.DataFrame, effects: str) -> Any:
    lines = pd.DataFrame(report).loc[report["effects"] == effects]
    if lines.empty:
        raise ValueError(
            f"The report {name!r} has no {effects} predictions; it has "
            f"{', '.join(dict.fromkeys(report['effects']))}. [not-in-table]"
        )
    return lines


def _goal(report: pd.DataFrame) -> Goal:
    metrics = set(report["metric"])
    found = [goal for goal in GOALS.values() if {goal.accuracy, *goal.spreads} <= metrics]
    if not found:
        raise ValueError(
            "The reports have no accuracy and spread of groups to compare: make them by "
            "fairness_report, with an attribute and all metrics. [no-cost]"
        )
    return found[0]


def _record(lines: pd.DataFrame, goal: Goal) -> dict[str, Any]:
    """Return accuracy and spreads of one model on one kind of clusters.

    Of more than two classes accuracy is the mean and a spread the largest over the classes.
    """
    whole: Any = lines.loc[lines["group"] == ALL]
    record: dict[str, Any] = {}
    for metric in (goal.accuracy, *goal.beside):
        of_all = whole[(whole["attribute"] == ALL) & (whole["metric"] == metric)]
        record[metric] = float(of_all["value"].mean())
        if metric == goal.accuracy:
            record |= {f"{metric}_{end}": float(of_all[end].mean()) for end in ("low", "high")}
    record |= dict.fromkeys(("cost", "worst_sd", "worst_sd_low", "worst_sd_high"), np.nan)
    spreads: dict[str, float] = {}
    for metric in (*goal.spreads, *goal.corrected):
        for attribute in dict.fromkeys(whole.loc[whole["metric"] == metric, "attribute"]):
            here = whole[(whole["metric"] == metric) & (whole["attribute"] == attribute)]
            known = here.loc[here["value"].notna()]
            line: Any = known.sort_values("value").iloc[-1] if len(known) else here.iloc[0]
            record[f"{metric}_{attribute}"] = float(line["value"])
            record |= {f"{metric}_{attribute}_{end}": float(line[end]) for end in ENDS}
            if metric in goal.spreads:
                spreads[f"{metric} {attribute}"] = float(line["value"])
    there = {key: value for key, value in spreads.items() if value == value}
    record["worst_sd_of"] = max(there, key=lambda key: there[key]) if there else ""
    record["worst_sd"] = there.get(record["worst_sd_of"], np.nan)
    return record
