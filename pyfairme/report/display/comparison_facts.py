"""Two fairness reports side by side: what gets better, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.data.columns import label_of
from pyfairme.estimators.report_comparison import ReportComparison
from pyfairme.metrics.metric import metric_label
from pyfairme.metrics.names import ALL, listed, listed_name
from pyfairme.report.display.facts import Amount, Facts, Finding, Findings, Grid
from pyfairme.report.display.fairness_facts import BLOCKS, SPREADS
from pyfairme.report.display.short_number import short_number

PAIRED = (
    "The two models are judged on the same rows, so the change is surer than their two intervals "
    "suggest; pyfairme.study.compare tests it over several fits."
)


def report_comparison_facts(comparison: ReportComparison) -> Facts:
    """Gather what changes from one report to another.

    Parameters
    ----------
    comparison
        Of `FairnessReport.compare`.
    """
    frame = comparison.frame
    known = list(dict.fromkeys(frame["effects"]))
    effects = "mixed" if "mixed" in known else known[0]
    lines = frame.loc[(frame["effects"] == effects) & (frame["group"] == ALL)]
    one, two = listed(comparison.names)
    blocks = list(dict.fromkeys(lines["clusters"]))
    parts: list[Any] = []
    for name in blocks:
        mine = lines.loc[lines["clusters"] == name]
        where = f": {BLOCKS.get(name, listed_name(name))}" if len(blocks) > 1 else ""
        verdicts = tuple(_verdicts(mine, (one, two))) if len(blocks) <= len(BLOCKS) else ()
        parts += [Findings(f"Verdict{where}", verdicts)]
        parts += [_table(mine, (one, two), f"Values{where}", folded=name != blocks[0])]
    return Facts(
        f"Fairness reports: {one} and {two}",
        f"{effects.capitalize()} effects. {PAIRED}",
        tuple(parts),
    )


def _verdicts(lines: pd.DataFrame, names: tuple[str, str]) -> Iterator[Finding]:
    classes = len(set(lines["class"])) > 1
    for line in lines.to_dict("records"):
        metric, attribute = str(line["metric"]), str(line["attribute"])
        if metric not in (*SPREADS, "balanced_accuracy", "r2"):
            continue
        if np.isnan(line["change"]):
            continue
        what = f"SD of {SPREADS[metric][0]}" if metric in SPREADS else metric_label(metric)
        subject = "accuracy" if attribute == ALL else listed_name(attribute)
        subject += f", class {listed_name(label_of(line['class']))}" if classes else ""
        before, after = (
            f"{short_number(float(line[key]))} ({name})"
            for key, name in zip(("value", "value_other"), names, strict=True)
        )
        tone: Any = {1.0: "good", -1.0: "warn"}.get(line["better"], "plain")
        said = f"{what} {before}, {after}"
        if _within_chance(line):
            tone, said = "plain", f"{said}; neither more than chance"
        yield Finding(subject, said, tone)


def _within_chance(line: dict[str, Any]) -> bool:
    """Whether both values are such as groups that are treated alike show; False if not known."""
    return line["value"] <= line["null_high"] and line["value_other"] <= line["null_high_other"]


def _table(lines: pd.DataFrame, names: tuple[str, str], heading: str, *, folded: bool) -> Grid:
    several = len(set(lines["class"])) > 1
    better = {1.0: "better", -1.0: "worse"}
    rows = tuple(
        (
            "" if line["attribute"] == ALL else str(line["attribute"]),
            *([label_of(line["class"])] if several else []),
            metric_label(str(line["metric"])),
            Amount(float(line["value"])),
            Amount(float(line["value_other"])),
            Amount(float(line["change"])),
            "neither more than chance" if _within_chance(line) else better.get(line["better"], ""),
        )
        for line in lines.to_dict("records")
    )
    head = ("attribute", *(["class"] if several else []), "measure")
    return Grid(heading, (*head, *names, "change", ""), rows, folded=folded)
