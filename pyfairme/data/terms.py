"""All covariates together: fit their encoders, lay out the columns of x, fill them."""

import warnings
from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from pyfairme.data.columns import pick
from pyfairme.data.encoders import CategoricalTerm, Column, NumericTerm
from pyfairme.data.schema import Schema

__all__ = ["Term", "columns_of", "encode_terms", "fit_terms"]

Term = NumericTerm | CategoricalTerm


def fit_terms(
    frame: pd.DataFrame, schema: Schema, hidden: Collection[str | None], *, drop_first: bool
) -> tuple[Term, ...]:
    """Fit an encoder for each covariate that is not hidden: numbers first, then levels."""
    numeric = [NumericTerm.fit(pick(frame, name)) for name in schema.numeric if name not in hidden]
    levels = [name for name in schema.categorical if name not in hidden]
    return (*numeric, *(CategoricalTerm.fit(pick(frame, v), reference=drop_first) for v in levels))


def columns_of(terms: Sequence[Term]) -> tuple[Column, ...]:
    """Return the columns of x; raise ValueError when two would have one name."""
    columns = tuple(column for term in terms for column in term.columns)
    names = [column.name for column in columns]
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(
            f"Two encoded columns would both be called {repeated!r}: rename one of the columns."
        )
    return columns


def encode_terms(
    terms: Sequence[Term], frame: pd.DataFrame, slope_positions: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return x, float32[n, p], and its slope columns, float32[n, q], not centred."""
    widths = [len(term.columns) for term in terms]
    ends = np.cumsum(widths, dtype=int)
    x = np.zeros((len(frame), sum(widths)), np.float32)
    raw = np.zeros_like(x) if slope_positions else x  # without slopes nobody reads raw
    notes = []
    for term, width, end in zip(terms, widths, ends, strict=True):
        room = slice(end - width, end)
        notes.append(term.encode(pick(frame, term.column), x[:, room], raw[:, room]))
    found = [note for note in notes if note]
    if found:
        warnings.warn(f"Unlike the training rows: {'; '.join(found)}.", stacklevel=3)
    return x, raw[:, list(slope_positions)]
