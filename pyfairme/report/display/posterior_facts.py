"""Tables of the posterior: cluster effects, scales, fixed effects, ICC, diagnostics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.estimators.posterior_table import PosteriorTable
from pyfairme.inference.posterior_tables import RESIDUAL
from pyfairme.metrics.names import listed
from pyfairme.report.display.facts import Amount, Cell, Facts, Finding, Findings, Grid, Span, Tally

MOST = 24  # clusters of a term that are shown: of more the extremes
MOST_TERMS = 6  # effects of a cluster that are shown one by one; of more the first alone
WITHIN = "within clusters"
TOGETHER = (
    "Pareto's k of the hyper-parameters and the share of effective proposals are judged together: "
    "where one misses its limit, the other makes up for it."
)
NO_CLUSTERS = f"{WITHIN.capitalize()}: how single rows scatter, which is no effect of a cluster."
CLEARLY = "differ clearly from the average, as their interval leaves 0 out"
READ_AS = {
    "cluster effects": "What a cluster adds, beside what holds for all.",
    "variance components": "How much clusters differ: standard deviations of their effects.",
    "fixed effects": "What holds for all clusters, in the units of the columns.",
    "intraclass correlation": "Share of the variance that lies between clusters, on the link "
    "scale.",
    "diagnostics": "What the posterior draws are worth.",
}


def posterior_facts(table: PosteriorTable) -> Facts:
    """Gather what a table of the posterior says.

    Parameters
    ----------
    table
        One of those of a fitted estimator.
    """
    frame = table.frame
    lead = READ_AS.get(table.what, "") + (f" In {table.unit}." if table.unit else "")
    title = table.what[:1].upper() + table.what[1:]
    if table.what == "diagnostics":
        return Facts(title, lead, tuple(_diagnostics(frame)))
    if table.what == "cluster effects":
        return Facts(title, lead, tuple(_effects(frame, table.level)))
    notes = [str(note) for note in dict.fromkeys(frame["note"])] if "note" in frame else []
    said = Findings("To know", tuple(Finding("", note) for note in notes if note))
    note = ""
    if table.what == "variance components" and RESIDUAL in set(frame["factor"]):
        names = [component_names(line) for line in frame.to_dict("records")]
        factors, terms = zip(*names, strict=True)
        frame, note = frame.assign(factor=factors, term=terms), NO_CLUSTERS
    return Facts(title, lead, (said, _lines(frame, "", table.level, note)))


def component_names(line: Any) -> tuple[str, str]:
    """Return what a variance component is of, and its name, for people.

    The likelihood's own parameters, such as the residual's SD, are no effects of clusters.

    Examples
    --------
    >>> component_names({"factor": "residual", "term": "residual_sd"})
    ('within clusters', 'residual SD')
    """
    factor, term = str(line["factor"]), str(line["term"])
    if factor != RESIDUAL:
        return factor, term
    return WITHIN, term.replace("_sd", " SD").replace("_", " ")


def _lines(frame: pd.DataFrame, heading: str, level: float, note: str = "") -> Grid:
    """Return a line each: names, mean and interval."""
    names = [c for c in ("factor", "term", "cluster", "class") if c in frame]
    more = ["origin"] if "origin" in frame and set(frame["origin"]) - {""} else []
    rows = [
        (*(str(line[name]) for name in names), Amount(float(line["mean"])),
         Span(float(line["low"]), float(line["high"])), *(str(line[name]) for name in more))
        for line in frame.to_dict("records")
    ]  # fmt: skip
    columns = (*names, "mean", f"{100 * level:g} % interval", *("holds where" for _ in more))
    folded = len(rows) > 2 * MOST
    heading = heading or ("Every line" if folded else "")
    return Grid(heading, columns, tuple(rows), note, folded)


def _effects(frame: pd.DataFrame, level: float) -> Iterator[Findings | Grid]:
    keys = [name for name in ("factor", "term", "class") if name in frame]
    every: list[Any] = [lines for _, lines in frame.groupby(keys, sort=False)]
    named = [(", ".join(listed(str(part[key].iloc[0]) for key in keys)), part) for part in every]
    clear = {
        name: int(np.count_nonzero((part["low"] > 0) | (part["high"] < 0))) for name, part in named
    }
    if len(named) <= MOST_TERMS:
        yield Findings(
            "",
            tuple(
                Finding(name, f"{clear[name]:,} of {len(part):,} clusters {CLEARLY}.")
                for name, part in named
            ),
        )
    else:
        rows = [
            (name, Tally(len(part)), Tally(clear[name]),
             Span(float(part["mean"].min()), float(part["mean"].max())))
            for name, part in named
        ]  # fmt: skip
        rows.sort(key=lambda row: -row[2].value)
        columns = ("effect", "clusters", "differ clearly", "lowest to highest mean")
        note = f"Differ clearly: {CLEARLY}."
        folded = len(rows) > 2 * MOST
        yield Grid("Of every effect", columns, tuple(rows), note, folded=folded)
    for name, lines in named if len(named) <= MOST_TERMS else named[:1]:
        ordered = lines.sort_values("mean", ascending=False, kind="stable")
        note = ""
        if len(ordered) > MOST:
            ordered = pd.concat([ordered.head(MOST // 2), ordered.tail(MOST // 2)])
            note = f"The {MOST} most extreme of {len(lines):,}."
        yield _lines(ordered.drop(columns=keys), name, level, note)


def _diagnostics(frame: pd.DataFrame) -> Iterator[Findings | Grid]:
    judged = frame.loc[frame["measure"] != "none"]
    bad = judged.loc[~judged["ok"].astype(bool)]
    notes = [str(n) for n in dict.fromkeys(frame["note"]) if n] if "note" in frame else []
    beyond = (judged["value"] - judged["limit"]).astype(float)
    missed = (judged["measure"] == "pareto_k") & (beyond > 0)
    missed |= (judged["measure"] == "relative_ess") & (beyond < 0)
    if (missed & judged["ok"].astype(bool)).any():
        notes.append(TOGETHER)
    if len(judged):
        many = f"{len(bad)} of {len(judged)} measures miss their limit."
        text, tone = (many, "warn") if len(bad) else ("every measure is within its limit.", "good")
        yield Findings("", (Finding("", text, tone), *(Finding("", n) for n in notes)))
    else:
        yield Findings("", tuple(Finding("", note, "warn") for note in notes))
    rows: list[tuple[Cell, ...]] = []
    for (measure, parameter), lines in judged.groupby(["measure", "parameter"], sort=False):
        worst = _worst(lines)
        rows.append(
            (str(measure).replace("_", " "), str(parameter), Tally(len(lines)),
             Amount(float(worst["value"])), Amount(float(worst["limit"])),
             Tally(int((~lines["ok"].astype(bool)).sum())))
        )  # fmt: skip
    columns = ("measure", "of", "values", "worst", "limit", "beyond it")
    yield Grid("By measure", columns, tuple(rows), folded=len(rows) > 2 * MOST)


def _worst(lines: pd.DataFrame) -> Any:
    small = lines["measure"].iloc[0] in ("ess_bulk", "ess_tail", "relative_ess")
    values = lines["value"].fillna(float("-inf") if small else float("inf"))
    return lines.loc[values.idxmin() if small else values.idxmax()]
