"""Rows to fit and to predict that lie in Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from pyfairme.data.checks import check_present
from pyfairme.data.grouping_factors import factor_columns
from pyfairme.data.input_types import Rows
from pyfairme.data.parquet_rows import ParquetRows, is_parquet
from pyfairme.data.schema import check_sensitive, components, source
from pyfairme.estimators.estimator_keywords import as_tuple

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects


class ReadRows(NamedTuple):
    """A training table, and what is given beside it: target, weights, groups."""

    X: Any
    y: Any
    sample_weight: Any
    groups: Any


def rows_of_files(estimator: FairMixedEffects, given: ReadRows) -> ReadRows:
    """Return a training table with what is given beside it, read from files where X names some.

    Parameters
    ----------
    estimator
        Its keywords say which columns have a role; those of ``drop`` are not read.
    given
        A table, which is returned as it is, or the path or dataset of one; target, weights and
        groups one per row, or, of files, the names of their columns, which are then no covariates.
        A column of groups that has another role too, such as that of the cluster, keeps it.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        For files without rows or that cannot be read, and columns that are not there.
    """
    if not is_parquet(given.X):
        return given
    rows = ParquetRows.open(given.X)
    beside = given._asdict()
    del beside["X"]
    named = {name: column for name, column in beside.items() if isinstance(column, str)}
    for name, called in (("y", "target"), ("sample_weight", "weight"), ("groups", "groups")):
        check_present([named[name]] if name in named else [], rows.columns, called)
    target = [named["y"]] if "y" in named else []
    unread = {*as_tuple(estimator.drop)} - {*named.values()}
    frame = rows.read(as_they_are=target, unread=unread)
    found = {name: frame[column] for name, column in named.items()}
    kept = _with_roles(estimator) if "groups" in named else set()
    for column in dict.fromkeys(named.values()):
        if named.get("groups") != column or column not in kept:
            del frame[column]
    return ReadRows(**({"X": frame} | beside | found))


def _with_roles(estimator: FairMixedEffects) -> set[str]:
    """Return the columns that the keywords name, which have to be there."""
    entries = as_tuple(estimator.sensitive)
    check_sensitive(entries)
    found = {name for entry in as_tuple(estimator.cluster) for name in factor_columns(entry)}
    found |= {source(part) for entry in entries for part in components(entry)}
    others = (estimator.categorical, estimator.drop, estimator.offset)
    return found.union(*map(as_tuple, others))


def blocks_of_files(estimator: FairMixedEffects, X: Rows) -> Iterator[pd.DataFrame]:
    """Yield the rows of files to predict, some tens of thousands at a time.

    Only columns that a fitted estimator looks at are read.
    """
    rows = ParquetRows.open(X)
    yield from rows.blocks(estimator.design_.used_columns)
