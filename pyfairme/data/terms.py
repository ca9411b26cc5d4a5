"""All covariates together: fit their encoders, lay out the columns of x, fill them."""

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from pyfairme.data.columns import pick
from pyfairme.data.encoders import CategoricalTerm, Column, NumericTerm
from pyfairme.data.knots import most_knots
from pyfairme.data.schema import Schema
from pyfairme.data.standardising import check_single
from pyfairme.notices import warn

Term = NumericTerm | CategoricalTerm


def fit_terms(
    frame: pd.DataFrame,
    schema: Schema,
    hidden: Collection[str | None],
    *,
    drop_first: bool,
    numeric_encoding: str,
    shrunk: bool,
    move_origins: bool,
) -> tuple[Term, ...]:
    """Fit an encoder for each covariate that is not hidden: numbers first, then levels."""
    numbers = [name for name in schema.numeric if name not in hidden]
    bent = numeric_encoding == "piecewise"
    most = most_knots(len(numbers), len(frame), shrunk) if bent else 0
    numeric = [NumericTerm.fit(pick(frame, v), most, move_origin=move_origins) for v in numbers]
    levels = [name for name in schema.categorical if name not in hidden]
    return (*numeric, *(CategoricalTerm.fit(pick(frame, v), reference=drop_first) for v in levels))


def columns_of(terms: Sequence[Term]) -> tuple[Column, ...]:
    """Return the columns of x; raise ValueError when two would have one name."""
    columns = tuple(column for term in terms for column in term.columns)
    names = [column.name for column in columns]
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(
            f"Two encoded columns would both be called {repeated!r}: rename one of the columns. "
            "[same-column-name]"
        )
    return columns


def encode_terms(
    terms: Sequence[Term],
    frame: pd.DataFrame,
    slope_positions: Sequence[int],
    quiet: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Return x, float32[n, p], and its slope columns, float32[n, q], from their origins."""
    widths = [len(term.columns) for term in terms]
    ends = np.cumsum(widths, dtype=int)
    x = np.zeros((len(frame), sum(widths)), np.float32)
    raw = np.zeros_like(x) if slope_positions else x  # without slopes nobody reads raw
    notes = []
    for term, width, end in zip(terms, widths, ends, strict=True):
        room = slice(end - width, end)
        with np.errstate(over="ignore", invalid="ignore"):  # checked in a moment
            notes.append(term.encode(pick(frame, term.column), x[:, room], raw[:, room]))
        limits = "standardised by the training rows, numbers must stay below 3.4e38"
        if isinstance(term, CategoricalTerm):
            continue  # zeros and ones
        check_single(x[:, room], frame.index, term.column, limits)
        if raw is not x:
            check_single(raw[:, room], frame.index, term.column, limits)
    found = [note for note in notes if note]
    if found and not quiet:
        warn(f"Unlike the training rows: {'; '.join(found)}. [unlike-training]")
    return x, raw[:, list(slope_positions)]


def encode_changed(
    terms: Sequence[Term],
    changed: pd.DataFrame,
    x: np.ndarray,
    slopes: np.ndarray,
    slope_positions: Sequence[int],
) -> tuple[np.ndarray, np.ndarray]:
    """Return x and its slope columns with the terms of some columns encoded anew.

    Nothing is said of values that are unlike the training rows.
    """
    x, slopes, start = x.copy(), slopes.copy(), 0
    for term in terms:
        room = range(start, start + len(term.columns))
        start = room.stop
        if term.column not in changed:
            continue
        own = np.zeros((len(changed), len(room)), np.float32)
        raw = np.zeros_like(own)
        with np.errstate(over="ignore", invalid="ignore"):
            term.encode(pick(changed, term.column), own, raw)
        x[:, room.start : room.stop] = own
        for place, position in enumerate(slope_positions):
            if position in room:
                slopes[:, place] = raw[:, position - room.start]
    return x, slopes


def column_inputs(columns: Sequence[Column]) -> np.ndarray:
    """Return for every column of x the position of the column that is its input, int[p].

    Itself, but for the hat functions of a number, whose input is the number.
    """
    place = {column.name: i for i, column in enumerate(columns)}
    return np.array([place[c.term] if c.knot else place[c.name] for c in columns], int)


def column_rates(terms: Sequence[Term], frame: pd.DataFrame) -> np.ndarray:
    """Return how the columns of x move with their input, (n, p), in its standard deviations.

    1 for a column that is the standardised number itself or marks a level; the derivative of the
    hat functions of a number.
    """
    found = [term.rates(pick(frame, term.column)) for term in terms]
    return np.concatenate(found, axis=1) if found else np.ones((len(frame), 0))
