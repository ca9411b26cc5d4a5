"""Any classifier of two classes as a threshold policy sees it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from pyfairme.data.attributes import Attribute
from pyfairme.data.checks import check_present, check_unique_columns
from pyfairme.data.frame import as_frame
from pyfairme.data.input_types import Table
from pyfairme.data.one_per_row import one_per_row
from pyfairme.data.schema import Sensitive, components, source
from pyfairme.estimators import table_inputs
from pyfairme.estimators.estimator_keywords import as_tuple
from pyfairme.estimators.fairness_report import EvaluatedRows, groups_of
from pyfairme.metrics.row_order import warn_of_order
from pyfairme.notices import shown
from pyfairme.postprocessing.group_features import GroupFeatures
from pyfairme.postprocessing.isotonic_calibration import IsotonicCalibration
from pyfairme.postprocessing.policy_rows import PolicyRows
from pyfairme.postprocessing.sensitive_columns import sensitive_frame

ROUNDED = 1e-6  # of probabilities that end outside of [0, 1]


@dataclass(frozen=True)
class ForeignClassifier:
    """A fitted classifier with ``predict_proba`` and two ``classes_``, used as it is.

    Of a table it gets the columns of its ``feature_names_in_``; where it has none, the table as it
    is, or without the ``unread`` columns if it was fitted on so many fewer (``n_features_in_``).
    Of later tables it then gets the columns ``seen`` in the policy's `fit`, in their order. Its
    probabilities count as ``calibration`` makes them.
    """

    estimator: Any
    unread: tuple[str, ...] = ()
    seed: int = 0
    seen: tuple[str, ...] = ()
    calibration: IsotonicCalibration | None = None

    @property
    def classes(self) -> np.ndarray:
        """The two classes, the second one positive."""
        return np.asarray(self.estimator.classes_)

    @property
    def source(self) -> str:
        """What to say after "probabilities"."""
        return f" of {type(self.estimator).__name__}"

    @property
    def sensitive(self) -> tuple[Sensitive, ...]:
        """The attributes that it was fitted with: none that are known."""
        return ()

    @property
    def _names(self) -> list[str] | None:
        names = getattr(self.estimator, "feature_names_in_", None)
        return None if names is None else [str(name) for name in names]

    def rows(
        self, X: Table, apart: Any = None, wanted: Sequence[str] = (), hidden: Collection[str] = ()
    ) -> PolicyRows:
        """Read rows; ``apart`` are sensitive features of them, ``hidden`` what nothing may read."""
        table: Any = X if is_array(X) else as_frame(X)
        if sparse.issparse(table):
            table = table.tocsr()  # whose rows can be told apart
        elif not hasattr(table, "shape"):
            table = np.asarray(table)
        rows = row_count(table)
        if rows == 0:
            raise ValueError(
                "Found array with 0 sample(s) while a minimum of 1 is required. [no-rows]"
            )
        frame = pd.DataFrame(index=pd.RangeIndex(rows))
        if isinstance(table, pd.DataFrame):
            check_unique_columns(table)
            frame = table
        elif apart is None and wanted:
            raise ValueError(
                "X is an array, whose columns have no names, so groups cannot be read from it: "
                "give a frame, or sensitive_features= with one line per row of X. "
                "[array-without-names]"
            )
        named: tuple[str, ...] = ()
        if apart is not None:
            columns = sensitive_frame(apart, rows, wanted, X)
            named = tuple(columns)
            frame = frame.assign(**{name: columns[name].array for name in columns})
        return PolicyRows(*self._given(table, hidden, frame, named))

    def _given(
        self, table: Any, hidden: Collection[str], frame: pd.DataFrame, named: tuple[str, ...]
    ) -> tuple[Any, pd.DataFrame, tuple[str, ...], tuple[str, ...]]:
        """Return what the classifier gets of a table, and the parts of `PolicyRows` after it."""
        if not isinstance(table, pd.DataFrame):
            return table, frame, named, ()
        names = self._names
        if names is not None:
            check_present(names, table.columns, "covariate")
            return table[names], frame, named, tuple(names)
        number = getattr(self.estimator, "n_features_in_", None)
        if self.seen:
            table = self._as_seen(table, hidden)
        left = table.drop(columns=[c for c in table.columns if c in {*hidden, *self.unread}])
        if hidden or number not in (None, table.shape[1]):
            table = left
        given = tuple(map(str, table.columns))
        if number is None or not all(map(pd.api.types.is_numeric_dtype, table.dtypes)):
            return table, frame, named, given
        return table.to_numpy(), frame, named, given  # fitted on an array, it would warn of names

    def _as_seen(self, table: pd.DataFrame, hidden: Collection[str]) -> pd.DataFrame:
        """Return the columns that the policy's `fit` saw, in their order; groups may be absent."""
        there = [str(name) for name in table.columns]
        names = [c for c in self.seen if c in there or c not in {*hidden, *self.unread}]
        check_present(names, there, "covariate")
        return table.iloc[:, [there.index(name) for name in names]]

    def encode(self, y: ArrayLike, rows: PolicyRows) -> np.ndarray:
        """Return the class of each row, 0 or 1, (n,)."""
        warn_of_order(rows.frame, "X", y=y)
        return class_codes(self.classes, y, len(rows.frame))

    def probability(self, rows: PolicyRows) -> np.ndarray:
        """Return the probability of the positive class, calibrated if it is, (n,)."""
        p = self._given_probability(rows)
        return p if self.calibration is None else self.calibration.of(p)

    def _given_probability(self, rows: PolicyRows) -> np.ndarray:
        found = np.asarray(self.estimator.predict_proba(rows.X))
        return positive_column(found, len(rows.frame), self.estimator)

    def reads(self, column: str, rows: PolicyRows) -> bool:
        """Tell whether the classifier gets a column of the rows."""
        return column in rows.given

    def always_reads(self, column: str) -> bool:
        """Tell whether the classifier needs a column, where it knows their names."""
        return column in (self._names or ())

    def cure(self, column: str) -> str:
        """Say how it would not read the column."""
        return "fit it without that column, or "

    def contents(self, rows: PolicyRows, groups: Sequence[Attribute]) -> pd.DataFrame:
        """Return what the classifier and the groups see of rows, free of dtypes."""
        X = rows.X
        if sparse.issparse(X):
            X = X.toarray()
        table = X if isinstance(X, pd.DataFrame) else pd.DataFrame(np.asarray(X))
        whole: Any = table
        found = {f"x {name}": _plain(whole[name]) for name in table}
        columns = dict.fromkeys(column for one in groups for column in one.columns)
        frame: Any = rows.frame
        found |= {f"s {name}": _text(frame[name]) for name in columns}
        return pd.DataFrame(found)

    def learn_features(self, rows: PolicyRows, hidden: Collection[str]) -> GroupFeatures:
        """Learn what groups are inferred from."""
        return GroupFeatures.fit(rows.X, hidden)

    def features(self, learnt: Any, rows: PolicyRows, p: np.ndarray) -> np.ndarray:
        """Return what groups of rows of probability ``p`` (n,) are inferred from, (n, features)."""
        return learnt.read(rows.X, p)

    def doubts(self) -> list[str]:
        """Say what keeps the probabilities from being calibrated: of others nothing is known."""
        return []

    def judged(
        self,
        rows: PolicyRows,
        y: ArrayLike,
        attributes: Any,
        sample_weight: ArrayLike | None,
        decision: np.ndarray,
    ) -> EvaluatedRows:
        """Return rows for a report, with the policy's ``decision`` (n,).

        They have no clusters and no counterfactual gap: what the classifier is made of is unknown.
        """
        outcome, n = self.encode(y, rows), len(rows.frame)
        entries = as_tuple(attributes)
        new = [one for one in entries if not isinstance(one, Attribute)]
        wanted = [c for one in entries if isinstance(one, Attribute) for c in one.columns]
        wanted += [source(part) for one in new for part in components(one)]
        check_present(wanted, rows.frame.columns, "sensitive")
        groups = [
            one if isinstance(one, Attribute) else Attribute.fit(rows.frame, one) for one in entries
        ]
        return EvaluatedRows(
            y=outcome,
            prediction={"mixed": self._given_probability(rows)},
            decision={"mixed": decision},
            gap={"mixed": {}},
            log_density={},
            sensitive={one.name: groups_of(one, rows.frame) for one in groups},
            cluster=np.full(n, "all", dtype=object),
            seen=np.ones(n, bool),
            classes=tuple(self.classes.tolist()),
            seed=self.seed,
            weight=table_inputs.sample_weights(sample_weight, n),
        )


def is_array(X: Any) -> bool:
    """Tell whether X is rows without names: an array, a list of lists, a sparse matrix."""
    return (
        isinstance(X, np.ndarray | list | tuple) or sparse.issparse(X) or not hasattr(X, "columns")
    )


def row_count(X: Any) -> int:
    """Return the number of rows of anything that a classifier takes."""
    if hasattr(X, "shape"):
        return int(X.shape[0])
    return len(X) if hasattr(X, "__len__") else len(np.asarray(X))


def target_of(y: Any, rows: int) -> np.ndarray:
    """Return classes as one column, (n,); raise where there is not one class per row.

    Raises
    ------
    ValueError
        For no target, another length, missing classes, and numbers that are no classes.
    """
    if y is None:
        raise ValueError(
            "A threshold policy requires y to be passed, but the target y is None. [no-target]"
        )
    values = one_per_row(y, "y")
    if values.ndim != 1 and values.shape[1:] != (1,):
        raise ValueError(
            f"y should be a 1d array, got an array of shape {values.shape} instead. [y-not-rows]"
        )
    values = column_or_1d(values, warn=True)
    if len(values) != rows:
        raise ValueError(
            f"X has {rows} rows, y has {len(values)}: give one y per row. [other-length]"
        )
    gaps = pd.isna(values)
    if gaps.any():
        raise ValueError(
            f"y has {gaps.sum()} missing values (NaN or null): drop these rows. [missing-target]"
        )
    try:
        check_classification_targets(values)
    except ValueError as error:
        raise ValueError(f"{error} [y-no-classes]") from error
    return values


def class_codes(classes: np.ndarray, y: ArrayLike, rows: int) -> np.ndarray:
    """Return the position of each class of ``y`` (n,) among ``classes``; raise for others."""
    values = target_of(y, rows)
    codes = pd.Index(classes).get_indexer(pd.Index(values))
    if (codes < 0).any():
        raise ValueError(
            f"y holds {shown(values[codes < 0].tolist()[0])}, which is none of the classifier's "
            f"classes: {', '.join(map(repr, classes.tolist()))}. [unknown-class]"
        )
    return codes


def positive_column(found: np.ndarray, rows: int, estimator: Any) -> np.ndarray:
    """Return the second of the two columns that ``predict_proba`` gave, checked, (n,)."""
    what = f"{type(estimator).__name__}.predict_proba"
    if found.shape != (rows, 2):
        raise ValueError(
            f"{what} must give two columns for {rows} rows, got an array of shape {found.shape}. "
            "[odd-probabilities]"
        )
    p = found[:, 1].astype(np.float64)
    if not (np.isfinite(p).all() and p.min() >= -ROUNDED and p.max() <= 1 + ROUNDED):
        raise ValueError(
            f"{what} must give probabilities from 0 to 1, got values from {p.min():.3g} to "
            f"{p.max():.3g}. [odd-probabilities]"
        )
    return np.clip(p, 0.0, 1.0)


def _plain(column: pd.Series) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    return _text(column)


def _text(column: pd.Series) -> np.ndarray:
    """Return a column's values as text, whole numbers without ".0"; "" where there is none."""
    codes, values = pd.factorize(column)
    words = [str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in values]
    return np.array([*words, ""], dtype=object)[codes]
