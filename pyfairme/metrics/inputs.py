"""Check what callers pass in, once, at the border of the package."""

import re
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
BRACKET = re.compile(
    rf"<=(?P<upper>{NUMBER})|\((?P<lower>{NUMBER}), {NUMBER}\]|>(?P<above>{NUMBER})"
)
Floats = NDArray[np.float64]
Codes = NDArray[np.intp]


class Groups(NamedTuple):
    """Sensitive labels as integers.

    Attributes
    ----------
    codes
        Shape ``(n,)``: for each row the position of its label in ``levels``.
    levels
        The labels in sorted order (a pandas Categorical keeps its own order and its empty levels).
    """

    codes: Codes
    levels: tuple[str, ...]


def as_real(values: Any, name: str, n: int | None = None) -> Floats:
    """Return ``values`` as a finite vector of floats.

    Parameters
    ----------
    values
        Shape ``(n,)``: list, array, pandas or polars series.
    name
        What the caller calls it; used in messages.
    n
        The length it must have; ``None`` accepts any but 0.

    Raises
    ------
    ValueError
        When it is not numeric, one-dimensional, finite, and of length ``n``.
    """
    vector = _numbers(values, name)
    if vector.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, got shape {vector.shape}.")
    _check_length(len(vector), name, n)
    _check_finite(vector, name)
    return vector


def as_binary(values: Any, name: str, n: int | None = None) -> Floats:
    """Return ``values`` as a vector of zeros and ones; see `as_real`.

    Raises
    ------
    ValueError
        When a value is neither 0 nor 1, and for the reasons of `as_real`.
    """
    vector = as_real(values, name, n)
    odd = vector[(vector != 0) & (vector != 1)]
    if odd.size:
        raise ValueError(
            f"{name} must be 0 or 1 in every row, got {odd[0]:g} among others; "
            "apply a decision threshold or encode the positive class as 1 first."
        )
    return vector


def as_probability(values: Any, name: str, n: int | None = None) -> Floats:
    """Return ``values`` as a vector of numbers from 0 to 1; see `as_real`.

    Raises
    ------
    ValueError
        When a value lies outside [0, 1], and for the reasons of `as_real`.
    """
    vector = as_real(values, name, n)
    odd = vector[(vector < 0) | (vector > 1)]
    if odd.size:
        raise ValueError(
            f"{name} must lie between 0 and 1, got {odd[0]:g} among others; "
            "pass probabilities, not logits or percentages."
        )
    return vector


def as_weight(values: Any, n: int) -> Floats | None:
    """Return sample weights as a vector of non-negative numbers, or ``None`` when there are none.

    Raises
    ------
    ValueError
        When a weight is negative or all are zero, and for the reasons of `as_real`.
    """
    if values is None:
        return None
    weight = as_real(values, "sample_weight", n)
    if (weight < 0).any() or not weight.any():
        raise ValueError(
            "sample_weight must be non-negative with a positive sum, "
            f"got minimum {weight.min():g} and sum {weight.sum():g}."
        )
    return weight


def as_flipped(values: Any, name: str, n: int) -> Floats:
    """Return predictions under flipped levels as a finite matrix.

    Parameters
    ----------
    values
        Shape ``(n, |S| - 1)``: one column for each other level.
    name
        What the caller calls it; used in messages.
    n
        The number of rows it must have.

    Raises
    ------
    ValueError
        When the shape is wrong or a cell is not finite (a level a row cannot be given).
    """
    matrix = _numbers(values, name)
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise ValueError(
            f"{name} must have shape (n, number of levels - 1), got shape {matrix.shape}."
        )
    _check_length(len(matrix), name, n)
    _check_finite(matrix, name, "a level that a row cannot take must be dropped beforehand")
    return matrix


def as_groups(labels: Any, name: str = "sensitive_features", n: int | None = None) -> Groups:
    """Turn labels into integer codes.

    Parameters
    ----------
    labels
        Shape ``(n,)`` of any labels, or a frame ``(n, A)`` whose columns are intersected: a group
        is then an observed combination, named ``"Black & Female"``.
    name
        What the caller calls it; used in messages.
    n
        The length it must have; ``None`` accepts any but 0.

    Raises
    ------
    ValueError
        When a label is missing or the length is wrong.

    Examples
    --------
    >>> as_groups(["b", "a", "b"]).levels
    ('a', 'b')
    """
    columns = _columns(labels, name)
    for column in columns:
        _check_length(len(column), name, n)
        if missing := int(pd.isna(column).sum()):
            raise ValueError(
                f"{name} has {missing} missing label(s); drop those rows or give them a label "
                'of their own such as "unknown".'
            )
    parts = [_factorise(column) for column in columns]
    return parts[0] if len(parts) == 1 else _intersect(parts)


def _columns(labels: Any, name: str) -> list[pd.Series]:
    if hasattr(labels, "columns"):
        columns = [labels[column] for column in labels.columns]
    elif np.ndim(labels) == 2 and not isinstance(labels, pd.Series):
        columns = list(np.asarray(labels, dtype=object).T)
    else:
        columns = [labels]
    if not columns or np.ndim(columns[0]) != 1:
        raise ValueError(f"{name} must be one column of labels or a frame, got {_brief(labels)}.")
    return [_series(column) for column in columns]


def _series(column: Any) -> pd.Series:
    if isinstance(column, pd.Series):
        return column.reset_index(drop=True)
    if isinstance(column, pd.Categorical):
        return pd.Series(column)
    if isinstance(column, list | tuple):  # np.asarray would turn None next to strings into "None"
        return pd.Series(column, dtype=object)
    return pd.Series(np.asarray(column))


def _factorise(column: pd.Series) -> Groups:
    if isinstance(column.dtype, pd.CategoricalDtype):
        levels = tuple(str(level) for level in column.cat.categories)
        return Groups(column.cat.codes.to_numpy(dtype=np.intp), levels)
    codes, labels = pd.factorize(column)
    order = _sorted_positions(list(labels))
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.arange(len(order))
    return Groups(rank[codes], tuple(str(labels[position]) for position in order))


def _sorted_positions(labels: list[Any]) -> list[int]:
    starts = [start for start in map(_start, labels) if start is not None]
    if len(starts) == len(labels):  # brackets: <=30 before (30, 45] before >45
        return sorted(range(len(labels)), key=starts.__getitem__)
    try:
        return sorted(range(len(labels)), key=labels.__getitem__)
    except TypeError:  # labels of several types have no order of their own
        return sorted(range(len(labels)), key=lambda position: str(labels[position]))


def _start(label: Any) -> float | None:
    """Return where a bracket such as "<=30", "(30, 45]" or ">45" begins; None for other labels."""
    found = BRACKET.fullmatch(label) if isinstance(label, str) else None
    if found is None:
        return None
    return -np.inf if found["upper"] else float(found["lower"] or found["above"])


def _intersect(parts: list[Groups]) -> Groups:
    shape = tuple(len(part.levels) for part in parts)
    joint = np.ravel_multi_index(tuple(part.codes for part in parts), shape)
    observed, codes = np.unique(joint, return_inverse=True)
    positions = zip(*np.unravel_index(observed, shape), strict=True)
    levels = tuple(
        " & ".join(part.levels[at] for part, at in zip(parts, where, strict=True))
        for where in positions
    )
    return Groups(codes.astype(np.intp), levels)


def _numbers(values: Any, name: str) -> Floats:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold numbers only, got {_brief(values)}.") from error


def _check_length(length: int, name: str, n: int | None) -> None:
    if length == 0:
        raise ValueError(f"{name} is empty; at least one row is needed.")
    if n is not None and length != n:
        raise ValueError(f"{name} has {length} rows, expected {n}: one for each row of y_true.")


def _check_finite(array: Floats, name: str, advice: str = "drop or fill those rows first") -> None:
    if bad := int((~np.isfinite(array)).sum()):
        raise ValueError(f"{name} has {bad} missing or infinite value(s); {advice}.")


def _brief(values: Any) -> str:
    return f"{type(values).__name__} {str(values)[:60]!r}"
