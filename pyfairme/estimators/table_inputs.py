"""Convert what users pass to a frame, or raise an error that says what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils.validation import _check_feature_names, _check_sample_weight, validate_data

from pyfairme.data import Design, as_frame
from pyfairme.data.checks import check_unique_columns
from pyfairme.data.columns import MISSING, natural_order, pick, read_numbers
from pyfairme.data.grouping_factors import Factor, Grouping, read_clusters
from pyfairme.data.input_types import Table
from pyfairme.data.one_per_row import one_per_row, refuse_lossy
from pyfairme.data.parquet_rows import is_parquet
from pyfairme.data.standardising import check_offset
from pyfairme.estimators.estimator_keywords import as_tuple
from pyfairme.estimators.number_checks import SINGLE
from pyfairme.metrics.row_order import warn_of_order
from pyfairme.notices import DataWarning, shown, warn

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects

FAR_ORIGIN = 10.0  # standard deviations


def _is_frame(X: object) -> bool:
    return isinstance(X, pd.DataFrame) or isinstance(
        nw.from_native(X, pass_through=True), nw.DataFrame | nw.LazyFrame
    )


def training_frame(
    estimator: FairMixedEffects, X: Table, y: ArrayLike, *, allow_nan: bool
) -> tuple[pd.DataFrame, Any]:
    """Return the training table as a frame, and y; remember the columns on the estimator.

    An array gets the column names x0, x1, ..., and so does a frame whose columns are all numbered;
    these cannot be used with ``cluster`` or ``sensitive``, which are names.
    """
    check_target(estimator, y)
    refuse_lossy(y, "y")
    _refuse_one_row(X)
    if np.asarray(y).ndim == 0:
        raise ValueError(
            f"y must hold one target per row of X, (n,); got {shown(y)}. Give a column or an "
            "array, for instance frame['target']. [y-not-rows]"
        )
    warn_of_order(X, "X", y=y)
    if not _is_frame(X):
        _refuse_names(estimator)
        finite: Any = "allow-nan" if allow_nan else True
        X, y = _validated(
            estimator, X, y, ensure_all_finite=finite, multi_output=False, ensure_min_samples=2
        )
        return _numbered(X), y
    frame = as_frame(X)
    if len(frame) < 2:
        raise ValueError(
            f"Found array with {len(frame)} sample(s) while a minimum of 2 is required. [no-rows]"
        )
    values = one_per_row(y, "y")
    if values.ndim > 2 or (values.ndim == 2 and values.shape[1] != 1):
        raise ValueError(
            f"y should be a 1d array, got an array of shape {values.shape} instead. [y-not-rows]"
        )
    if len(values) != len(frame):
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X has {len(frame)} rows, "
            f"y has {len(values)}. Give one target per row. [other-length]"
        )
    check_unique_columns(frame)
    _check_names(estimator, frame)
    estimator.n_features_in_ = frame.shape[1]
    if not (hasattr(estimator, "feature_names_in_") or _uses_names(estimator)):
        estimator._column_labels = frame.columns.tolist()
        frame = _numbered(frame)
    return frame.reset_index(drop=True), values.reshape(-1)


def new_frame(estimator: FairMixedEffects, X: Table, *, allow_nan: bool) -> pd.DataFrame:
    """Return rows to predict as a frame with the columns of training."""
    _refuse_one_row(X)
    if not _is_frame(X):
        if hasattr(estimator, "feature_names_in_"):
            _refuse_names(estimator)
        finite: Any = "allow-nan" if allow_nan else True
        frame = _numbered(_validated(estimator, X, reset=False, ensure_all_finite=finite))
        if hasattr(estimator, "feature_names_in_"):
            frame.columns = estimator.feature_names_in_
        return frame
    frame = as_frame(X)
    if len(frame) == 0:
        raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required. [no-rows]")
    if not hasattr(estimator, "feature_names_in_"):
        _validated(estimator, X, reset=False, skip_check_array=True)
        frame = _numbered(_as_in_training(estimator, frame))
    return frame


def _validated(estimator: FairMixedEffects, X: Any, *y: Any, **options: Any) -> Any:
    """Return what scikit-learn makes of an array, its refusals with a code."""
    values = np.asarray(X)
    if values.ndim == 1 and len(values):
        raise ValueError(
            f"Expected 2D array, got 1D array instead, of {len(values)} values. Reshape your data: "
            "X.reshape(-1, 1) for one column, X.reshape(1, -1) for one row. [array]"
        )
    try:
        return validate_data(estimator, X, *y, **options)
    except (TypeError, ValueError) as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{error} [array]") from error


def _check_names(estimator: FairMixedEffects, frame: pd.DataFrame) -> None:
    try:
        _check_feature_names(estimator, frame, reset=True)
    except TypeError as error:
        odd = [name for name in frame.columns if not isinstance(name, str)]
        raise TypeError(
            f"Feature names are only supported if all input features have string names, but "
            f"{shown(odd[0])} is a {type(odd[0]).__name__}: rename it, for example frame.columns = "
            "frame.columns.astype(str). [column-names]"
        ) from error


def _as_in_training(estimator: FairMixedEffects, frame: pd.DataFrame) -> pd.DataFrame:
    """Put columns whose names are numbers in the order of training; others go by position."""
    known = getattr(estimator, "_column_labels", None)
    if known is None or not frame.columns.is_unique or set(known) != set(frame.columns):
        return frame
    return frame.loc[:, known]


def _numbered(X: Any) -> pd.DataFrame:
    return pd.DataFrame(X).set_axis([f"x{i}" for i in range(X.shape[1])], axis=1)


def _uses_names(estimator: FairMixedEffects) -> bool:
    return any(as_tuple(given) for given in _named(estimator).values())


def _named(estimator: FairMixedEffects) -> dict[str, Any]:
    names = ("cluster", "sensitive", "categorical", "drop")
    return {name: getattr(estimator, name) for name in names}


def _refuse_names(estimator: FairMixedEffects) -> None:
    if _uses_names(estimator):
        roles = as_tuple(estimator.cluster) or as_tuple(estimator.sensitive)
        which = "cluster and sensitive" if roles else "categorical and drop"
        raise ValueError(
            f"{which} are names of columns, so X must be a pandas or polars frame; "
            "got an array. In a Pipeline, let earlier steps return frames that keep the names: "
            "pipeline.set_output(transform='pandas'), and in a ColumnTransformer "
            "verbose_feature_names_out=False. [array-without-names]"
        )


def _refuse_one_row(X: Table) -> None:
    """Refuse one row given as a series or a dictionary, rows of dictionaries, and text."""
    if not isinstance(X, pd.DataFrame):
        refuse_lossy(X, "X")
    if is_parquet(X):
        raise TypeError(
            f"X must be a frame or an array here, got {shown(X)}: fit, predict and predict_proba "
            "read Parquet files themselves. Read the rows first, for example with "
            "pandas.read_parquet. [x-not-rows]"
        )
    if isinstance(X, str | bytes):
        raise TypeError(f"X must be a frame or an array, got the text {shown(X)}. [x-not-rows]")
    if isinstance(X, Mapping):
        raise TypeError(
            f"X must be a frame with one line per row, got a {type(X).__name__}: for one row give "
            "pandas.DataFrame([row]), for columns pandas.DataFrame(columns). [x-not-rows]"
        )
    if isinstance(X, list | tuple) and X and isinstance(X[0], Mapping):
        raise TypeError(
            "X must be a frame with one line per row, got a list of dictionaries: give "
            "pandas.DataFrame(rows). [x-not-rows]"
        )
    if isinstance(X, pd.DataFrame):
        return
    if isinstance(nw.from_native(X, pass_through=True, allow_series=True), nw.Series):
        raise TypeError(
            "X must be a frame with one line per row, got a series: for one row of a frame give "
            "frame.iloc[[0]], for one column frame[['column']]. [x-not-rows]"
        )


def check_target(estimator: FairMixedEffects, y: ArrayLike) -> None:
    """Refuse None as target."""
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None. "
            "[no-target]"
        )


def check_length(X: Table, y: ArrayLike) -> None:
    """Refuse a y that has not one value per row of X."""
    if isinstance(X, Sized) and isinstance(y, Sized) and len(X) != len(y):
        raise ValueError(
            f"X has {len(X)} rows, y has {len(y)}: give one target per row. [other-length]"
        )


def sample_weights(sample_weight: ArrayLike | None, rows: int) -> np.ndarray | None:
    """Return checked weights, (n,), or None."""
    if sample_weight is None:
        return None
    refuse_lossy(sample_weight, "sample_weight")
    given = sample_weight.to_numpy() if isinstance(sample_weight, pd.DataFrame) else sample_weight
    try:
        weight = _check_sample_weight(given, np.empty((rows, 1)), ensure_non_negative=True)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{error} Expected one finite number of at least 0 per row, not all 0; got "
            f"{shown(sample_weight)}. [weights]"
        ) from error
    there = weight[weight > 0]
    most = SINGLE.max / max(len(there), 1)
    if len(there) and not (there.min() >= SINGLE.tiny and there.max() <= most):
        raise ValueError(
            f"sample_weight holds weights from {there.min():.0e} to {there.max():.0e}, and "
            f"training computes in single precision, {SINGLE.tiny:.0e} to {SINGLE.max:.0e}: divide "
            "all by their mean. [single-precision]"
        )
    return weight


def counted_rows(weight: np.ndarray | None, rows: int) -> np.ndarray:
    """Return the numbers of the rows that weigh something: one of weight 0 is as good as absent."""
    there = np.arange(rows) if weight is None else np.flatnonzero(weight > 0)
    if len(there) == 0:
        raise ValueError(
            "Every row has weight 0: give at least one row a positive sample_weight (and its class "
            "a positive class_weight). [no-weight]"
        )
    return there


def offsets(frame: pd.DataFrame, column: str | None) -> np.ndarray:
    """Return the offset of each row, (n,), zero without an offset column."""
    if column is None or column not in frame:
        return np.zeros(len(frame))
    values = read_numbers(pick(frame, column))
    check_offset(values, frame.index, column)
    return values


def warn_of_far_origins(design: Design) -> None:
    """Warn of slopes that start far from most values of their column, such as years with a 0.

    The slope starts at 0 where 0 is among the values; if that is a code for something else,
    intercept and slope of a cluster are almost one quantity and training does not get far.
    """
    far = [c.name for c in design.slope_columns if abs(c.mean - c.origin) > FAR_ORIGIN * c.scale]
    if far:
        warn(
            f"Random slopes on {', '.join(map(repr, far))} start at 0, which lies more than "
            f"{FAR_ORIGIN:g} standard deviations from the mean of the values: training will not "
            "get far. Make zeros that stand for something else missing, shift the column "
            "(year - 2010), or leave it out of random_slopes. [far-origin]",
            DataWarning,
        )


def new_clusters(design: Design, frame: pd.DataFrame, column: str) -> list[str]:
    """Labels of a factor's clusters that training never saw, in natural order; gaps have none."""
    labels = design.factor(column).read(frame)
    return natural_order(set(labels.names) - set(design.clusters[column]))


def cluster_labels(
    frame: pd.DataFrame, factor: Grouping | Factor, doubled: Sequence[Sequence[str]] | None = None
) -> np.ndarray:
    """Return each row's cluster label as text, "(missing)" where there is none.

    ``factor`` is that of a model, or a column, or the path of columns down to a nested factor;
    ``doubled`` is for the latter two, see `read_clusters`.
    """
    known = isinstance(factor, Factor)
    labels = factor.read(frame) if known else read_clusters(frame, factor, doubled)
    return np.array([*labels.names, MISSING], dtype=object)[labels.codes]
