"""Rows by group: a column's values, a sensitive attribute's levels, the clusters, or pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.data.checks import check_present
from pyfairme.data.columns import MISSING, column_kind, natural_order, pick, read_labels
from pyfairme.data.grouping_factors import factor_name
from pyfairme.data.schema import check_sensitive
from pyfairme.estimators import fairness_report, table_inputs
from pyfairme.estimators.base import FairMixedEffects
from pyfairme.estimators.estimator_keywords import as_tuple
from pyfairme.explain.estimates import OWN_COLUMNS
from pyfairme.metrics.names import apart

By = Any  # str | Binned | tuple, or a list of these


@dataclass(frozen=True)
class RowGroups:
    """Groups of rows.

    Attributes
    ----------
    keys
        A line per group: what the rows of a group have in common, () for all rows.
    codes
        int[n], the group of each row; -1 for a row that is left out.
    counts
        int[groups], rows of each.
    """

    keys: pd.DataFrame
    codes: np.ndarray
    counts: np.ndarray

    @classmethod
    def everyone(cls, rows: int) -> RowGroups:
        """Return one group of all rows."""
        return cls(pd.DataFrame(index=[0]), np.zeros(rows, int), np.array([rows]))

    @classmethod
    def each(cls, rows: int) -> RowGroups:
        """Return a group per row."""
        return cls(pd.DataFrame(index=range(rows)), np.arange(rows), np.ones(rows, int))

    @classmethod
    def read(cls, estimator: FairMixedEffects, frame: pd.DataFrame, by: By) -> RowGroups:
        """Return the groups that rows of a frame form by some columns, in natural order."""
        entries = [by] if isinstance(by, tuple) else list(as_tuple(by))
        if not entries:
            return cls.everyone(len(frame))
        columns = [_column(estimator, frame, entry) for entry in entries]
        sizes = [len(values) for _, values, _ in columns]
        joint = np.ravel_multi_index([codes for *_, codes in columns], sizes)
        cells, codes = np.unique(joint, return_inverse=True)
        picks = np.unravel_index(cells, sizes)
        keys = {
            name: np.asarray(values)[pick]
            for (name, values, _), pick in zip(columns, picks, strict=True)
        }
        return cls(pd.DataFrame(keys), codes, np.bincount(codes))

    def only(self, rows: np.ndarray) -> RowGroups:
        """Leave out all rows but some, bool[n], and groups that have none of these."""
        if rows.all():
            return self
        codes = np.where(rows, self.codes, -1)
        counts = np.bincount(codes[codes >= 0], minlength=len(self.counts))
        there = counts > 0
        place = np.append(np.where(there, np.cumsum(there) - 1, -1), -1)
        keys = self.keys.iloc[np.flatnonzero(there)].reset_index(drop=True)
        return RowGroups(keys, place[codes], counts[there])


def _column(
    estimator: FairMixedEffects, frame: pd.DataFrame, entry: Any
) -> tuple[str, Sequence[Any], np.ndarray]:
    """Return the name, the values in order and the code of each row, of one thing to group by."""
    design = estimator.design_
    for factor in design.factors:
        if entry in (factor.column, factor.entry):
            check_present(factor.columns, frame.columns, "cluster")
            labels = table_inputs.cluster_labels(frame, factor)
            return _named(factor_name(factor.entry), natural_order(labels), labels)
    known = {attribute.name: item for attribute, item in
             zip(design.attributes, design.schema.sensitive, strict=True)}  # fmt: skip
    if isinstance(entry, str) and entry not in known:
        check_present([entry], frame.columns, "by")
        return _values(frame, entry)
    check_sensitive([entry])
    chosen = [known.get(entry, entry) if isinstance(entry, str) else entry]
    (attribute,) = fairness_report.attributes_to_judge(estimator, frame, chosen)
    labels = fairness_report.groups_of(attribute, frame)
    others = [*dict.fromkeys(label for label in labels if label not in attribute.levels)]
    return _named(attribute.name, [*attribute.levels, *others], labels)


def _named(
    name: str, levels: Sequence[Any], labels: np.ndarray
) -> tuple[str, Sequence[Any], np.ndarray]:
    return apart(name, OWN_COLUMNS), levels, pd.Index(levels).get_indexer(pd.Index(labels))


def _values(frame: pd.DataFrame, column: str) -> tuple[str, Sequence[Any], np.ndarray]:
    """Group by a column: numbers stay numbers, all else is text."""
    series = pick(frame, column)
    name = apart(column, OWN_COLUMNS)
    if column_kind(series) == "numeric" and series.notna().all():
        values, codes = np.unique(series.to_numpy(), return_inverse=True)
        return name, list(values), codes
    labels = read_labels(series)
    names = np.array([*labels.names, MISSING], dtype=object)[labels.codes]
    return _named(column, natural_order(names), names)
