"""Conformal intervals and sets: what their calibration rows allow, group by group."""

from __future__ import annotations

import pandas as pd

from pyfairme.data.columns import label_of
from pyfairme.metrics.names import ALL, listed
from pyfairme.postprocessing.conformal_intervals import ConformalIntervals
from pyfairme.postprocessing.conformal_sets import ConformalSets
from pyfairme.report.display.estimator_facts import message_finding
from pyfairme.report.display.facts import (
    Amount,
    Facts,
    Fields,
    Finding,
    Findings,
    Grid,
    Span,
    Tally,
)

LEVEL = 0.9
BLOCKS = {"seen": "seen", "unseen": "unseen"}
ASKED = "Level asked of the model: what its own intervals must claim in order to hold so many."
COVERAGE = (
    "Coverage: the least probability that a new row of the group is covered; given these rows it "
    "lies in the span."
)
MOST_NAMED = 8
MOST_LINES = 40


def conformal_facts(predictor: ConformalIntervals | ConformalSets) -> Facts:
    """Gather what a calibrated predictor rests on, at the level .9.

    Parameters
    ----------
    predictor
        Conformal intervals or sets, calibrated.

    Raises
    ------
    NotFittedError
        Before ``fit``.
    """
    model = f"{type(predictor.estimator).__name__}, {predictor.effects} effects"
    lead = f"Calibrated on {predictor.n_rows_:,} held-out rows."
    try:
        table = predictor.calibration(LEVEL)
    except ValueError as error:  # too few rows for the level
        said = Findings("To know", (message_finding(str(error)),))
        return Facts(type(predictor).__name__, lead, (Fields("", (("model", model),)), said))
    names = [name for name in dict.fromkeys(map(str, table["attribute"])) if name != ALL]
    by = ", ".join(listed(names)) or "nothing: one size for all groups"
    few = table.loc[(table["calibrated_on"] == ALL) & (table["attribute"] != ALL)]
    groups = ", ".join(listed(dict.fromkeys(map(str, few["group"])))[:MOST_NAMED])
    text = f"too few rows of their own for {LEVEL:.0%}: the size of all rows is used there."
    findings = (Finding(groups, text, "warn"),) if groups else ()
    fields = Fields("", (("model", model), ("calibrated by", by)))
    parts = (fields, Findings("To know", findings), _grid(table))
    return Facts(type(predictor).__name__, lead, parts)


def _grid(table: pd.DataFrame) -> Grid:
    of_sets = "class" in set(table)
    several = of_sets and len(set(table["class"])) > 1
    rows = [
        (BLOCKS.get(str(line["clusters"]), ""), str(line["attribute"]), str(line["group"]),
         *([label_of(line["class"])] if several else []), Tally(int(line["n"])),
         "all rows" if line["calibrated_on"] == ALL else "own rows",
         Amount(float(line["quantile"])), Amount(float(line["coverage"])),
         Span(float(line["low"]), float(line["high"])))
        for line in table.to_dict("records")
    ]  # fmt: skip
    head = ("clusters", "attribute", "group", *(["class"] if several else []), "rows")
    size = "largest score in a set" if of_sets else "level asked of the model"
    columns = (*head, "calibrated on", size, "coverage", "given these rows")
    heading = f"What the rows allow at {LEVEL:.0%}"
    note = COVERAGE if of_sets else f"{ASKED} {COVERAGE}"
    return Grid(heading, columns, tuple(rows), note, folded=len(rows) > MOST_LINES)
