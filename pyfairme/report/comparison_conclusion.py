"""What a comparison of two models comes to, in two sentences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pyfairme.metrics.metric import metric_label
from pyfairme.metrics.names import ALL, listed_name, words
from pyfairme.report.display.short_number import short_number

SPREADS = ("tpr_sd", "fpr_sd")
PRICE = "balanced_accuracy"
CLUSTERS = {"seen": "seen clusters", "unseen": "unseen ones"}


def comparison_conclusion(table: pd.DataFrame, names: tuple[str, str]) -> tuple[str, str]:
    """Say what fairness gained and what it cost, by mixed effects.

    Parameters
    ----------
    table
        Frame of `pyfairme.study.comparison.before_after.before_after` of classifiers.
    names
        Names of the two models.

    Returns
    -------
    tuple
        A sentence on the spreads of error rates over groups in seen clusters, and one on the
        accuracy in seen and in unseen ones.

    Examples
    --------
    >>> line = {"clusters": "seen", "effects": "mixed", "attribute": "sex", "metric": "tpr_sd"}
    >>> line |= {"before": 0.09, "after": 0.01, "note": ""}
    >>> price = {**line, "attribute": "all", "metric": "balanced_accuracy"}
    >>> price |= {"before": 0.8, "after": 0.79}
    >>> gain, cost = comparison_conclusion(pd.DataFrame([line, price]), ("plain", "fair"))
    >>> gain.split("; ")[1]
    'TPR SD of sex, the widest, from .090 to .010.'
    >>> cost
    'The price: balanced accuracy goes from .800 to .790 in seen clusters.'
    """
    mixed = table.loc[table["effects"] == "mixed"]
    return _gain(mixed.loc[mixed["clusters"] == "seen"], names), _cost(mixed)


def _gain(lines: pd.DataFrame, names: tuple[str, str]) -> str:
    known = np.isfinite(lines["before"]) & np.isfinite(lines["after"])
    spreads = lines.loc[lines["metric"].isin(SPREADS) & known]
    clear = spreads.loc[~spreads["note"].str.contains("not resolvable", regex=False)]
    if clear.empty:
        return f"No gap in error rates of {names[0]} exceeds chance: these rows can show no gain."
    better = np.count_nonzero(clear["after"] < clear["before"])
    widest: Any = clear.loc[clear["before"].idxmax()]
    name = f"{metric_label(str(widest['metric']))} of {listed_name(words(widest['attribute']))}"
    ends = " to ".join(short_number(float(widest[end])) for end in ("before", "after"))
    return (
        f"{names[1]} narrows {better} of the {len(clear)} gaps in error rates that exceed chance; "
        f"{name}, the widest, from {ends}."
    )


def _cost(mixed: pd.DataFrame) -> str:
    lines = mixed.loc[(mixed["attribute"] == ALL) & (mixed["metric"] == PRICE)]
    found = {str(line["clusters"]): line for line in lines.to_dict("records")}
    parts = [
        f"from {short_number(float(found[key]['before']))} to "
        f"{short_number(float(found[key]['after']))} in {name}"
        for key, name in CLUSTERS.items()
        if key in found
    ]
    costs = any(line["after"] < line["before"] for line in found.values())
    start = "The price" if costs else "Without a price in accuracy"
    return f"{start}: {words(PRICE)} goes {', and '.join(parts)}."
