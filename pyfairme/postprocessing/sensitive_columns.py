"""Sensitive attributes that are given apart from X, as fairlearn takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from pyfairme.data.checks import check_unique_columns
from pyfairme.data.frame import as_frame
from pyfairme.data.one_per_row import refuse_text_of_gaps
from pyfairme.metrics.row_order import warn_of_order
from pyfairme.notices import shown


def sensitive_frame(
    given: Any, rows: int, wanted: Sequence[str] = (), X: Any = None
) -> pd.DataFrame:
    """Return sensitive features as a frame of named columns, one line per row of X.

    Parameters
    ----------
    given
        A frame, a dictionary of columns, or, with one row of it per row of X, a series, a list or
        an array of one or two dimensions.
    rows
        Rows of X.
    wanted
        The columns that groups are read from: they name what has no names. Without them, or where
        their number is another, such columns are "sensitive_feature_0", and so on.
    X
        The rows themselves: labels in another order are warned of, as rows go by position.

    Raises
    ------
    TypeError
        For anything else.
    ValueError
        When there is not one line per row.

    Examples
    --------
    >>> sensitive_frame(["a", "b"], 2, ["sex"])
      sex
    0   a
    1   b
    """
    warn_of_order(X, "X", sensitive_features=given)
    frame = _columns(given, list(wanted))
    if len(frame) != rows:
        raise ValueError(
            f"X has {rows} rows, sensitive_features has {len(frame)}: give one line per row. "
            "[other-length]"
        )
    check_unique_columns(frame)
    return frame.reset_index(drop=True)


def _columns(given: Any, wanted: list[str]) -> pd.DataFrame:
    if isinstance(given, str | bytes) or (np.ndim(given) == 0 and not isinstance(given, Mapping)):
        raise TypeError(
            "sensitive_features must be a frame, a series, a dictionary of columns or an array "
            f"with one line per row of X, got {shown(given)}. To name columns of X, name them in "
            "limits, or as the attribute. [sensitive-features]"
        )
    if isinstance(given, Mapping):
        return pd.DataFrame({str(name): _listed(column) for name, column in given.items()})
    if isinstance(given, pd.DataFrame):
        check_unique_columns(given)  # on which narwhals would choke
    native = nw.from_native(given, pass_through=True, allow_series=True)
    if isinstance(native, nw.Series):
        name = native.name
        values = given.to_numpy() if not isinstance(given, pd.Series) else given.array
        return pd.DataFrame({_names(1, wanted)[0] if name in (None, "") else str(name): values})
    if isinstance(native, nw.DataFrame | nw.LazyFrame):
        frame = as_frame(given)
        return frame.set_axis([str(name) for name in frame.columns], axis=1)
    values = np.asarray(given, dtype=object) if isinstance(given, list | tuple) else given
    values = np.asarray(values)
    refuse_text_of_gaps(values, "sensitive_features")
    if values.ndim > 2:
        raise TypeError(
            "sensitive_features must have one or two dimensions, got an array of shape "
            f"{values.shape}. [sensitive-features]"
        )
    values = values.reshape(len(values), -1)
    names = _names(values.shape[1], wanted)
    return pd.DataFrame(values, columns=names).infer_objects()


def _listed(column: Any) -> Any:
    refuse_text_of_gaps(column, "A column of sensitive_features")
    return column.to_numpy() if hasattr(column, "to_numpy") else list(column)


def _names(number: int, wanted: list[str]) -> list[str]:
    if len(wanted) == number:
        return wanted
    return [f"sensitive_feature_{i}" for i in range(number)]
