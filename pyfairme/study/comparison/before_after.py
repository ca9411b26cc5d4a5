"""Two fairness reports of the same rows side by side: before and after."""

from typing import Any

import numpy as np
import pandas as pd

KEYS = ["clusters", "effects", "attribute", "metric"]
COLUMNS = [
    *KEYS,
    *("before", "before_low", "before_high", "after", "after_low", "after_high"),
    *("change_percent", "null", "null_low", "null_high", "n", "note"),
]
SMALLEST = 1e-3  # a percentage of less than this says nothing
NOT_RESOLVABLE = "not resolvable: inside the null band"
AFTER_IN_BAND = "after: inside its null band"


def before_after(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Put the overall accuracy and the disparities of two models side by side.

    Parameters
    ----------
    before, after
        Fairness reports (``FairMixedEffectsClassifier.fairness_report``) of the same rows.

    Returns
    -------
    DataFrame
        One row per clusters, effects, attribute and metric: before, before_low, before_high,
        after, after_low, after_high, change_percent = 100 (after - before) / before (NaN where
        before is below .001), null, null_low, null_high (of the model before: what equal rates
        would show by chance), n, note. Rates of single groups are left out. The note says "not
        resolvable" where the value before does not exceed its null band, and "after: inside its
        null band" where the value after does not exceed its own.

    Raises
    ------
    ValueError
        When the two reports do not cover the same clusters, effects, attributes and metrics.

    Examples
    --------
    >>> import pandas as pd
    >>> from pyfairme.study import before_after
    >>> line = {"clusters": "seen", "effects": "mixed", "attribute": "sex", "group": "all"}
    >>> line |= {"metric": "tpr_sd", "value": 0.08, "low": 0.05, "high": 0.11, "note": "", "n": 900}
    >>> line |= {"null": 0.01, "null_low": 0.0, "null_high": 0.03}
    >>> before, after = pd.DataFrame([line]), pd.DataFrame([{**line, "value": 0.02}])
    >>> before_after(before, after)[["metric", "before", "after", "change_percent", "note"]]
       metric  before  after  change_percent                          note
    0  tpr_sd    0.08   0.02           -75.0  after: inside its null band
    """
    first, second = _overall(before), _overall(after)
    if set(first.index) != set(second.index):
        differing = sorted(map(str, set(first.index) ^ set(second.index)))
        raise ValueError(
            f"The two reports must be of the same rows; {len(differing)} lines are in one of them "
            f"only, such as {differing[0]}. [other-rows]"
        )
    second = second.reindex(first.index)
    joined = pd.DataFrame(
        {
            "before": first["value"],
            "before_low": first["low"],
            "before_high": first["high"],
            "after": second["value"],
            "after_low": second["low"],
            "after_high": second["high"],
            "change_percent": _change(first["value"], second["value"]),
            **{name: first[name] for name in ("null", "null_low", "null_high", "n")},
            "note": _notes(first, second),
        }
    )
    return joined.reset_index().reindex(columns=COLUMNS)


def _overall(report: pd.DataFrame) -> pd.DataFrame:
    """Lines about all rows or all groups of an attribute, by their keys."""
    return pd.DataFrame(report.loc[report["group"] == "all"].set_index(KEYS))


def _change(before: Any, after: Any) -> pd.Series:
    base = before.where(before.abs() >= SMALLEST)
    return 100 * (after - base) / base


def _within(lines: pd.DataFrame) -> np.ndarray:
    """Lines whose value is what equal groups would show by chance (NaN compares as False)."""
    return (lines["value"] <= lines["null_high"]).to_numpy()


def _notes(first: pd.DataFrame, second: pd.DataFrame) -> list[str]:
    """Join the note before (said for every metric with a null value) and what holds after."""
    found = []
    for note, unclear, equal in zip(first["note"], _within(first), _within(second), strict=True):
        parts = [note] if note else []
        if unclear and "not resolvable" not in note:
            parts.append(NOT_RESOLVABLE)
        if equal:
            parts.append(AFTER_IN_BAND)
        found.append("; ".join(parts))
    return found
