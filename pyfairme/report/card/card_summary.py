"""The first screen of a card: the verdict in plain words, base rates, and the gravest cautions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.data.columns import label_of
from pyfairme.metrics.names import listed_name
from pyfairme.report.card.cautions import cautions
from pyfairme.report.card.evidence import CardEvidence
from pyfairme.report.card.section import Section
from pyfairme.report.display.facts import Finding, Findings
from pyfairme.report.display.fairness_facts import (
    BLOCKS,
    MORE,
    NOT_MORE,
    base_rates,
    ends_of,
    verdict_of,
    verdicts,
)

SUMMARY = "Summary"
JUDGED_ON = "evaluation data"  # what spoils every other number comes first
MOST_CAUTIONS = 4  # above the fold; the rest stands under its own heading


def card_summary(evidence: CardEvidence) -> Section:
    """Return what a reader sees first.

    Parameters
    ----------
    evidence
        What the card rests on.
    """
    report = evidence.report.frame
    lines = report.loc[report["effects"] == "mixed"]
    blocks = list(dict.fromkeys(lines["clusters"]))
    parts = []
    for name in blocks:
        block = lines.loc[lines["clusters"] == name]
        where = f": {BLOCKS[str(name)]}" if len(blocks) > 1 else ""
        parts.append(Findings(f"Verdict{where}", tuple(verdicts(block, _in_plain_words))))
        rates = base_rates(block, first=name == blocks[0])
        parts.append(Findings(f"Base rates{where}", tuple(rates)))
    model: tuple[Finding, ...] = evidence.part("To know").items  # type: ignore[union-attr]
    every = sorted((*model, *cautions(evidence)), key=lambda one: one.subject != JUDGED_ON)
    grave = [one for one in every if one.tone == "warn"]
    more = len(grave) - MOST_CAUTIONS
    rest = [Finding("", f"{more} more: see Caveats and recommendations.", "warn")] * (more > 0)
    parts.append(Findings("Cautions", (*grave[:MOST_CAUTIONS], *rest)))
    return Section(SUMMARY, tuple(parts))


def judged_by(evidence: CardEvidence, y: object) -> str:
    """Say in a sentence or two what a model is, and on what it was judged.

    Parameters
    ----------
    evidence
        What the card rests on.
    y
        The outcomes that were given: a column has a name.
    """
    model: dict[str, str] = dict(evidence.part("Model").items)  # type: ignore[union-attr]
    name = getattr(y, "name", None)
    what = listed_name(str(name)) if name is not None else "the outcome"
    classes = evidence.judged.classes
    if len(classes) == 2:
        what += f" (positive: {listed_name(label_of(classes[-1]))})"
    factors = [
        f"{len(f.levels):,} clusters ({listed_name(f.column)})"
        for f in evidence.estimator.design_.factors
    ]
    by = "a network" if model["fixed part"].startswith("network") else "a linear model"
    by += f" with random effects of {' and '.join(factors)}" if factors else ""
    penalty = "without a fairness penalty" if "no penalty" in model["fairness"] else (
        "with a fairness penalty")  # fmt: skip
    groups = [
        f"{listed_name(attribute)} ({pd.Series(labels).nunique()} groups)"
        for attribute, labels in evidence.groups.items()
    ]
    judged = f" by {' and '.join(groups)}" if groups else ""
    return (
        f"Predicts {what} by {by}, trained {penalty}. "
        f"Judged on {len(evidence.judged.y):,} rows{judged}."
    )


def _in_plain_words(subject: str, lines: pd.DataFrame) -> Iterator[Finding]:
    """Say which groups are decided how often, and whether they differ by more than chance."""
    spread = lines.loc[lines["group"] == "all"].set_index("metric")
    if not {"tpr_sd", "fpr_sd"} & set(spread.index):
        yield from verdict_of(subject, lines)
        return
    label = listed_name(label_of(lines["class"].iloc[0]))
    said, unequal = [], False
    for metric, own, of in (
        ("tpr_sd", "tpr", f"Of those whose outcome is {label}"),
        ("fpr_sd", "fpr", "Of all others"),
    ):
        if metric not in spread.index:
            continue
        line: Any = spread.loc[metric]
        value, chance = float(line["value"]), float(line["null_high"])
        name = {"tpr": "true positive rate", "fpr": "false positive rate"}[own]
        if np.isnan(value):
            said.append(f"{of}, groups cannot be compared ({name})")
            continue
        more = value > chance
        unequal |= more
        known = f": {MORE if more else NOT_MORE}" if np.isfinite(chance) else ""
        ends = ends_of(lines.loc[lines["metric"] == own])
        said.append(f"{of}, the model decides {label} for {ends} ({name}){known}")
    head = "error rates differ by more than chance" if unequal else (
        "no difference of error rates beyond chance")  # fmt: skip
    yield Finding(subject, f"{head}. {'. '.join(said)}.", "warn" if unequal else "plain")
