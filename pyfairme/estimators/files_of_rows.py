"""Rows to fit and to predict that lie in Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from pyfairme.data.checks import check_present
from pyfairme.data.input_types import Rows
from pyfairme.data.parquet_rows import ParquetRows, is_parquet

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects


def rows_of_files(X: Rows, y: Any, sample_weight: Any, drop: Sequence[str]) -> tuple[Any, Any, Any]:
    """Return a training table with its target and weights, read from files where X names some.

    Parameters
    ----------
    X
        A table, which is returned as it is, or the path or dataset of one.
    y, sample_weight
        One per row, or, of files, the names of their columns, which are then no covariates.
    drop
        Columns without a role: they are not read.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        For files without rows or that cannot be read, and columns that are not there.
    """
    if not is_parquet(X):
        return X, y, sample_weight
    rows = ParquetRows.open(X)
    target = [y] if isinstance(y, str) else []
    weight = [sample_weight] if isinstance(sample_weight, str) else []
    check_present(target, rows.columns, "target")
    check_present(weight, rows.columns, "weight")
    frame = rows.read(as_they_are=target, unread={*drop} - {*target, *weight})
    for name in target:
        y = frame.pop(name)
    for name in weight:
        sample_weight = frame.pop(name) if name in frame else y
    return frame, y, sample_weight


def blocks_of_files(estimator: FairMixedEffects, X: Rows) -> Iterator[pd.DataFrame]:
    """Yield the rows of files to predict, some tens of thousands at a time.

    Only columns that a fitted estimator looks at are read.
    """
    rows = ParquetRows.open(X)
    yield from rows.blocks(estimator.design_.used_columns)
