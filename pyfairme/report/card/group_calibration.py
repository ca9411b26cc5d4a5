"""Predicted probabilities beside what happened, group by group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.estimators.fairness_report import EvaluatedRows
from pyfairme.metrics.names import ALL, apart
from pyfairme.metrics.reliability import reliability_table

BINS = 5
COLUMNS = [
    "attribute", "group", "class", "bin", "n", "mean_predicted", "observed", "low", "high",
]  # fmt: skip


def group_calibration(
    judged: EvaluatedRows, groups: Mapping[str, np.ndarray], level: float
) -> pd.DataFrame:
    """Tabulate probabilities against frequencies for every group of every attribute.

    Parameters
    ----------
    judged
        Rows of a classifier with their mixed predictions.
    groups
        By attribute the group of each row, (n,); None for rows of no group.
    level
        Coverage of the intervals of the observed frequency.

    Returns
    -------
    pd.DataFrame
        attribute and group ("all": every row), class, bin ("all", then 0 to 4 with equally many
        rows each), n, mean_predicted, observed, low, high: see `reliability_table`, whose intervals
        know that rows share clusters. Rows count alike. Empty for a regressor.
    """
    if not judged.classes:
        return pd.DataFrame(columns=COLUMNS)
    every = [_lines(judged, np.ones(len(judged.y), bool), ALL, ALL, level)]
    for attribute, labels in groups.items():
        for group in pd.unique(labels[labels != None]):  # noqa: E711 (element by element)
            name, of = apart(attribute, (ALL,)), apart(str(group), (ALL,))
            every.append(_lines(judged, labels == group, name, of, level))
    return pd.concat(every, ignore_index=True).reindex(columns=COLUMNS)


def _lines(
    judged: EvaluatedRows, rows: np.ndarray, attribute: str, group: str, level: float
) -> pd.DataFrame:
    found = []
    clusters = judged.cluster[rows] if len(np.unique(judged.cluster)) > 1 else None
    for label, outcome, probability in _problems(judged):
        hit, chance = outcome[rows], np.clip(probability[rows], 0, 1)
        for bins in (1, BINS):
            table = reliability_table(hit, chance, bins, groups=clusters, level=level)
            names = [ALL] if bins == 1 else [str(code) for code in table["bin"]]
            found.append(table.assign(bin=names, **{"class": label}))
    return pd.concat(found, ignore_index=True).assign(attribute=attribute, group=group)


def _problems(judged: EvaluatedRows) -> Iterator[tuple[Any, np.ndarray, np.ndarray]]:
    """Yield the class, its outcome (n,) and its probability (n,): of two classes the second."""
    mixed = judged.prediction["mixed"]
    if len(judged.classes) == 2:
        yield judged.classes[1], (judged.y == 1).astype(int), mixed
        return
    for code, label in enumerate(judged.classes):
        yield label, (judged.y == code).astype(int), mixed[:, code]
