"""Refuse what cannot be meant: each check says what was expected, what came, what to do."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

import pandas as pd

from pyfairme.data.columns import first_rows

MISSING_POLICIES = ("category", "raise")
MOST_LISTED = 30  # columns that a message names


def check_any_row(frame: pd.DataFrame) -> None:
    """Refuse an empty frame."""
    if len(frame) == 0:
        raise ValueError(
            "Expected a frame with at least one row, got 0 rows (0 samples). [no-rows]"
        )


def check_missing(frame: pd.DataFrame, columns: Iterable[str], advice: str) -> None:
    """Refuse missing values in the named columns, naming column, count and first rows."""
    for column in columns:
        gaps = frame[column].isna().to_numpy()
        if gaps.any():
            raise ValueError(
                f"Column {column!r} has {gaps.sum()} missing values (NaN or null), first at rows "
                f"{first_rows(frame.index, gaps)}: {advice} [missing-values]"
            )


def check_present(wanted: Iterable[str], available: Iterable[Any], role: str) -> None:
    """Refuse names that are not among the columns, with near matches."""
    names = [str(name) for name in available]
    for name in wanted:
        if name not in names:
            raise ValueError(
                f"The {role} column {name!r} is not in the frame.{near_names(str(name), names)} "
                f"Available columns: {listed_names(names)}. [absent-column]"
            )


def near_names(name: str, names: list[str]) -> str:
    """Return a sentence that names what a misspelt name may stand for, or nothing."""
    renamed = [other for other in names if other.endswith(f"__{name}")]
    if renamed:
        return (
            f" A ColumnTransformer has renamed it {renamed[0]!r}: give that "
            "verbose_feature_names_out=False."
        )
    near = get_close_matches(name, names)
    return f" Did you mean {', '.join(map(repr, near))}?" if near else ""


def listed_names(names: list[str]) -> str:
    """Return the names of columns as a list in words, the first thirty of them."""
    more = f", ... ({len(names)} in all)" if len(names) > MOST_LISTED else ""
    return ", ".join(map(repr, names[:MOST_LISTED])) + more or "none"


def check_unique_columns(frame: pd.DataFrame) -> None:
    """Refuse a frame in which a column name occurs twice."""
    repeated = frame.columns[frame.columns.duplicated()].unique()
    if len(repeated):
        raise ValueError(
            f"Expected unique column names, got duplicated ones: {', '.join(map(repr, repeated))}. "
            "Rename or drop them. [column-twice]"
        )


def check_options(missing: str, offset: str | None, roles: Iterable[str]) -> None:
    """Refuse an unknown policy, and an offset that is a cluster or sensitive column (`roles`)."""
    if missing not in MISSING_POLICIES:
        raise ValueError(
            f"Expected missing to be one of {MISSING_POLICIES}, got {missing!r}. [unknown-choice]"
        )
    if offset is not None and offset in set(roles):
        raise ValueError(
            f"The offset {offset!r} is a cluster or sensitive column too: copy the column."
            " [two-roles]"
        )


def check_rows(frame: pd.DataFrame, used: Sequence[str], missing: str, offset: str | None) -> None:
    """Refuse a frame without rows, with a column absent or twice, or with gaps not allowed."""
    check_any_row(frame)
    check_unique_columns(frame)
    check_present(used, frame.columns, "required")
    if offset is not None:
        check_missing(frame, [offset], "an offset cannot be guessed; fill or drop these rows.")
    if missing == "raise":
        check_missing(frame, used, 'fill or drop them, or use missing="category".')
