"""What joint thresholds say of themselves: tables of rates and of thresholds, and warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.data.attributes import Attribute
from pyfairme.estimators.refine_and_adapt import FairnessWarning
from pyfairme.notices import warn
from pyfairme.postprocessing.isotonic_calibration import IsotonicCalibration
from pyfairme.postprocessing.joint_rule import Joint, Members, expected_rates
from pyfairme.postprocessing.limit_support import Limit, inequality
from pyfairme.postprocessing.rate_intervals import ObservedRates
from pyfairme.postprocessing.threshold_rules import cut_text

MISSED = 0.002  # excess over a limit that is worth a warning
MOST = 0.5  # share of coins that is
MEASURED = {"sd": "SD", "difference": "largest difference", "ratio": "least ratio"}


def threshold(reward: np.ndarray | float, charge: np.ndarray | float) -> np.ndarray:
    """Return t such that p reward > (1 - p) charge where p > t, in [0, 1]; NaN for p < t."""
    reward, charge = np.asarray(reward, float), np.asarray(charge, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        cut = np.clip(charge / (reward + charge), 0.0, 1.0)
    always, never = (reward >= 0) & (charge <= 0), (reward <= 0) & (charge >= 0)
    turned = np.where(reward + charge > 0, cut, np.nan)
    return np.where(always, 0.0, np.where(never, 1.0, turned))


def above(cut: float) -> str:
    """Say which probabilities are decided positively."""
    return f"p > {cut_text(cut)}" if np.isfinite(cut) else "low p"


def thresholds_table(
    rule: Joint,
    groups: Mapping[str, Attribute],
    members: Mapping[str, Members],
    codes: Mapping[str, np.ndarray],
    calibration: IsotonicCalibration | None = None,
) -> pd.DataFrame:
    """Return what each group adds, and the threshold where nothing else does.

    Rows are counted by their ``codes`` (n,), those that have none by their chances. Thresholds are
    of probabilities before ``calibration``.
    """
    lines = []
    for name, attribute in groups.items():
        if name in codes:
            known = codes[name][codes[name] >= 0]
            rows = np.bincount(known, minlength=len(attribute.levels))
        else:
            rows = np.round((members[name].positive + members[name].negative).sum(0) / 2)
        for level, n, (reward, charge) in zip(
            attribute.levels, rows, rule.parts[name], strict=True
        ):
            added = (reward / rule.reward, charge / rule.charge)
            alone = threshold(rule.reward + reward, rule.charge + charge)
            alone = alone if calibration is None else calibration.given_at(alone)
            lines.append((name, level, int(n), *added, float(alone)))
    columns = ("attribute", "group", "n", "reward", "charge", "threshold")
    return pd.DataFrame(lines, columns=list(columns))


def rates_table(
    limits: tuple[Limit, ...],
    before: np.ndarray,
    after: np.ndarray,
    sources: Mapping[str, tuple[np.ndarray, Mapping[str, Members]]],
    mass: np.ndarray,
) -> pd.DataFrame:
    """Return how unequal rates are of both decisions, by each source of outcomes and groups.

    Rows count by their weight ``mass`` (n,).
    """
    lines = []
    for name, rate, limit, measure in limits:
        line: dict[str, Any] = {"attribute": name, "rate": rate, "limit": limit}
        for prefix, (outcome, members) in sources.items():
            for when, decision in (("before", before), ("after", after)):
                rates = expected_rates(decision, outcome, members[name], rate, mass)
                line[prefix + when] = inequality(rates, measure)
        lines.append(line)
    return pd.DataFrame(lines)


def with_intervals(
    rates: pd.DataFrame, observed: Sequence[ObservedRates], measure: str
) -> pd.DataFrame:
    """Return the table with the 90 % interval of what was observed after the thresholds."""
    if not observed:
        return rates
    low, high = zip(*(one.interval(measure) for one in observed), strict=True)
    return rates.assign(observed_low=low, observed_high=high)


def warn_of_decisions(rates: pd.DataFrame, coins: float, measure: str = "sd") -> None:
    """Warn of limits that are not kept, and of decisions that coins make."""
    sign = -1 if measure == "ratio" else 1
    said = [
        f"The expected {MEASURED[measure]} of {line['rate']} over {line['attribute']!r} is "
        f"{line['after']:.4f}, {'below' if sign < 0 else 'above'} its limit {line['limit']:.4g}: "
        "the search for thresholds failed. Give wider limits or fewer of them. [limit-not-kept]"
        for line in rates.to_dict("records")
        if sign * (line["after"] - line["limit"]) > MISSED
    ]
    said += [
        f"The {MEASURED[measure]} of {line['rate']} over {line['attribute']!r} is not defined: in "
        "a group no row of the outcome is expected, as its probabilities are all 0 or all 1. "
        "[group-without-outcome]"
        for line in rates.to_dict("records")
        if np.isnan(line["after"])
    ]
    if coins > MOST:
        said.append(
            f"{coins:.0%} of the rows are decided at random, because the limits are "
            f"so strict. Give wider limits "
            "or fewer of them. [random-decisions]"
        )
    for text in said:
        warn(text, FairnessWarning)
