"""Threshold policies: the rules of the groups, and what they were chosen for."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pyfairme.metrics.metric import metric_label
from pyfairme.postprocessing.group_thresholds import GroupThresholds
from pyfairme.postprocessing.joint_threshold_tables import MEASURED
from pyfairme.postprocessing.joint_thresholds import JointThresholds
from pyfairme.report.display.facts import Amount, Cell, Facts, Finding, Findings, Grid, Tally


def policy_facts(policy: GroupThresholds | JointThresholds) -> Facts:
    """Gather the rules of a fitted policy.

    Parameters
    ----------
    policy
        With thresholds by group, or jointly for several attributes.
    """
    said = [line.removeprefix("- ") for line in policy.describe().splitlines() if line.strip()]
    parts: list[Any] = [Findings("", tuple(Finding("", " ".join(s.split())) for s in said))]
    if isinstance(policy, JointThresholds) and hasattr(policy, "rates_"):
        rates = policy.rates_.assign(rate=policy.rates_["rate"].map(metric_label))
        measured = MEASURED[policy.measure_]
        parts.append(_grid(f"Differences before and after ({measured} over groups)", rates))
    if hasattr(policy, "thresholds_"):
        parts.append(_grid("Thresholds", policy.thresholds_))
    return Facts(type(policy).__name__, "", tuple(parts))


def _grid(heading: str, table: pd.DataFrame) -> Grid:
    """Return a table of text, counts and numbers as it is."""

    def cell(value: Any) -> Cell:
        if isinstance(value, str) or value is None:
            return value or ""
        whole = isinstance(value, int) and not isinstance(value, bool)
        return Tally(value) if whole else Amount(float(value))

    rows = tuple(tuple(map(cell, line.values())) for line in table.to_dict("records"))
    return Grid(heading, tuple(str(c).replace("_", " ") for c in table.columns), rows)
