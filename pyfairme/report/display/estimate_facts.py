"""Answers of `pyfairme.explain`: what they come to, and a line each with its interval."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pyfairme.explain.estimates import MEASURES, Estimates, line_names
from pyfairme.metrics.names import ALL
from pyfairme.report.display.facts import Amount, Cell, Facts, Finding, Findings, Grid, Span, Tally
from pyfairme.report.display.short_number import short_number

FEW = 6  # lines that are said one by one
MOST = 48  # lines that are shown at once
EFFECTS = {
    "mixed": "Fixed and random effects together",
    "fixed": "Random effects at zero",
    "integrated": "Averaged over unseen clusters",
    "random": "Random effects alone",
}
OF_CLUSTERS = (
    "Each against the mean of all. Of clusters: by how much the average prediction changes when "
    "the same rows are put there. cluster_effects_ answers another question: how a cluster differs "
    "from the average one with the covariates held equal, on the link scale. Both have 90 % "
    "intervals by default, and a cluster can stand out in one answer and not in the other."
)


def estimate_facts(found: Estimates) -> Facts:
    """Gather what an answer says.

    Parameters
    ----------
    found
        What a function of `pyfairme.explain` returned.
    """
    kind = str(found.frame.columns.name or "interval")
    lead = f"{EFFECTS.get(found.effects, found.effects)}; {100 * found.level:g} % {kind}s."
    if np.isnan(found.frame["low"].to_numpy(float)).all():
        lead = f"{EFFECTS.get(found.effects, found.effects)}; no intervals: the model has no draws."
    parts = (Findings("", tuple(_said(found))), _table(found))
    return Facts(found.title, lead, parts)


def _said(found: Estimates) -> Iterator[Finding]:
    frame: Any = found.frame
    if {"component", "cluster"} <= set(frame.columns):
        frame = frame.loc[frame["cluster"] == ALL].drop(columns="cluster")
    if frame.empty:
        return
    names = line_names(frame)
    value = frame["estimate"].to_numpy(float)
    low, high = (frame[end].to_numpy(float) for end in ("low", "high"))
    shown = [
        short_number(value[at])
        + ("" if np.isnan(low[at]) else f" ({short_number(low[at])} to {short_number(high[at])})")
        for at in range(len(frame))
    ]
    least, most = int(np.nanargmin(value)), int(np.nanargmax(value))
    ends = f"from {names[least]} {shown[least]} to {names[most]} {shown[most]}"
    if found.no_difference is None:
        if len(frame) == 1:
            yield Finding(names[0], shown[0])
        else:
            yield Finding("", f"{ends}.")
        return
    clear = (low > found.no_difference) | (high < found.no_difference)
    if len(frame) <= FEW:
        for at, name in enumerate(names):
            way = "above" if value[at] > found.no_difference else "below"
            known = f"clearly {way} {found.no_difference:g}" if clear[at] else (
                f"not told apart from {found.no_difference:g}")  # fmt: skip
            known = "without an interval" if np.isnan(low[at]) else known
            yield Finding(name, f"{shown[at]}, {known}.")
        return
    yield Finding(
        "",
        f"{int(clear.sum()):,} of {len(frame):,} differ clearly from {found.no_difference:g}, as "
        f"their interval leaves it out; {ends}.",
    )


def _table(found: Estimates) -> Grid:
    frame = found.frame
    keys = [name for name in frame.columns if name not in MEASURES]
    index = not frame.index.equals(np.arange(len(frame))) and not _counted(frame.index)
    rows = []
    for at, line in zip(frame.index, frame.to_dict("records"), strict=True):
        cells: list[Cell] = [*([str(at)] if index else []), *(_key(line[name]) for name in keys)]
        cells += [Amount(float(line["estimate"])), Span(float(line["low"]), float(line["high"]))]
        cells += [Tally(int(line["n"]))] if "n" in line else []
        rows.append(tuple(cells))
    head = (*(["row"] if index else []), *map(str, keys))
    columns = (*head, found.what, "interval", *(["rows"] if "n" in frame else []))
    against = "contrast" in frame and frame["contrast"].astype(str).str.endswith(" - mean").any()
    note = OF_CLUSTERS if against else ""
    return Grid("", columns, tuple(rows), note) if len(rows) <= MOST else (
        Grid("Every line", columns, tuple(rows), note, folded=True))  # fmt: skip


def _counted(index: object) -> bool:
    return list(index) == list(range(len(index)))  # type: ignore[arg-type,call-overload]


def _key(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
