"""A table together with the roles of its columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.data.attributes import Attribute
from pyfairme.data.columns import (
    MISSING,
    Labels,
    column_kind,
    lookup,
    natural_order,
    pick,
    read_labels,
    read_numbers,
)
from pyfairme.data.grouping_factors import Grouping, factor_name, read_clusters
from pyfairme.data.schema import Schema, Sensitive

__all__ = ["Dataset"]

# Of classifiers in `tuned`, over the keywords of VARIANTS: encoding and decay measured best on
# Adult, ACSIncome and Heritage; the rest was chosen on Adult.
NETWORK: Mapping[str, Any] = {
    "numeric_encoding": "auto",
    "weight_decay": 3.0,
    "cluster_weight": 0.1,
    "fixed_weight": 0.1,
    "early_stopping": False,
    "threshold": "smoothed_balanced_accuracy",
}
DESCRIPTION = ["role", "feature", "category", "count", "percent", "mean", "sd", "low", "high"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A table, its target and the roles of its columns.

    Parameters
    ----------
    frame
        Covariates, cluster and sensitive columns, shape (n, columns).
    target
        The target, shape (n,), indexed like the frame.
    schema
        Roles of the columns, as `Schema.infer` makes them with its ``categorical`` and ``drop``.
        Studies fit by these: columns of the frame without a role are not used.
    tuned
        For a variant's name, keyword arguments that were tuned for this data set.
    name
        Short name.
    truth
        What a synthetic data set was made with; None for real data.
    licence, attribution
        Under which terms the data may be used, and whom to credit.
    probes
        Names of made-up columns, see `pyfairme.study.add_probes`.
    weight
        Weight of each row, shape (n,), such as a survey's: training and every metric of a study
        count rows by it. None: alike. It is no column of the frame, or it would be a covariate.
    """

    frame: pd.DataFrame
    target: pd.Series
    schema: Schema
    tuned: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    name: str = ""
    truth: Any = None
    licence: str = ""
    attribution: str = ""
    probes: tuple[str, ...] = ()
    weight: pd.Series | None = None

    @property
    def codes(self) -> tuple[str, ...]:
        """Covariates whose numbers are codes of levels: ``categorical`` of an estimator."""
        groups, columns = self.schema.sensitive_columns, self.frame.columns
        names = [n for n in self.schema.categorical if n in columns and n not in groups]
        return tuple(n for n in names if column_kind(pick(self.frame, n)) == "numeric")

    @property
    def unused(self) -> tuple[str, ...]:
        """Columns of the frame that have no role: ``drop`` of an estimator."""
        schema = self.schema
        used = {*schema.numeric, *schema.categorical}
        used |= {*schema.cluster_columns, *schema.sensitive_columns}
        return tuple(name for name in self.frame.columns if name not in used)

    def weights(self, rows: np.ndarray) -> np.ndarray | None:
        """Return the weights of some rows by their position, or None where rows count alike."""
        return None if self.weight is None else np.asarray(self.weight, np.float64)[rows]

    def summary(self) -> Any:
        """Return roles, rows of levels and ranges of numbers: text, or HTML in a notebook."""
        from pyfairme.report.display.shown import facts_of

        return facts_of(self)

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    def describe(self) -> pd.DataFrame:
        """Summarise the columns, as tables 1 and 2 of the paper do.

        Rows per level of each cluster, sensitive attribute and, if classes, the target; mean and
        spread of each numeric covariate and of a real target.

        Returns
        -------
        DataFrame
            Columns role ("cluster", "sensitive", "covariate", "target"), feature, category ("" for
            a number), count (rows of the level, or with a number), percent (of all rows), mean, sd
            (ddof = 1), low and high (smallest and largest value); NaN where there is no number.
            Clusters from large to small, the rest in the order of their levels.
        """
        tables = [_by_size(_cluster_counts(self.frame, entry)) for entry in self.schema.cluster]
        tables += [_group_counts(self.frame, entry) for entry in self.schema.sensitive]
        numbers = [pick(self.frame, name) for name in self.schema.numeric]
        tables += [_number_summary(series, "covariate") for series in numbers]
        classes = self.schema.task == "classification"
        tables.append((_level_counts if classes else _number_summary)(self.target, "target"))
        counts = pd.concat(tables, ignore_index=True)
        percent = 100 * counts["count"] / len(self.frame)
        return counts.assign(percent=percent).reindex(columns=DESCRIPTION)


def _cluster_counts(frame: pd.DataFrame, entry: Grouping) -> pd.DataFrame:
    return _counts(read_clusters(frame, entry), "cluster", factor_name(entry))


def _level_counts(series: pd.Series, role: str) -> pd.DataFrame:
    return _counts(read_labels(series), role, str(series.name))


def _counts(labels: Labels, role: str, feature: str) -> pd.DataFrame:
    levels = natural_order([*labels.names, *[MISSING] * bool((labels.codes < 0).any())])
    counts = np.bincount(lookup(labels, levels), minlength=len(levels))
    return _table(role, feature, levels, counts)


def _by_size(table: pd.DataFrame) -> pd.DataFrame:
    return table.sort_values("count", ascending=False, kind="stable")


def _group_counts(frame: pd.DataFrame, entry: Sensitive) -> pd.DataFrame:
    attribute = Attribute.fit(frame, entry)
    counts = np.array(attribute.counts, dtype=np.int64)
    return _table("sensitive", attribute.name, attribute.levels, counts)


def _table(role: str, feature: str, levels: Sequence[str], counts: np.ndarray) -> pd.DataFrame:
    columns = {"role": role, "feature": feature, "category": list(levels), "count": counts}
    empty = dict.fromkeys(("mean", "sd", "low", "high"), np.nan)
    return pd.DataFrame({**columns, **empty})


def _number_summary(series: pd.Series, role: str) -> pd.DataFrame:
    values = read_numbers(series)
    there = values[~np.isnan(values)]
    summary = {
        "mean": there.mean() if there.size else np.nan,
        "sd": there.std(ddof=1) if there.size > 1 else np.nan,
        "low": there.min() if there.size else np.nan,
        "high": there.max() if there.size else np.nan,
    }
    table = _table(role, str(series.name), [""], np.array([there.size]))
    return table.assign(**summary)
