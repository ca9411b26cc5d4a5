"""Check what callers pass in, once, at the border of the package."""

import numbers
import re
from types import UnionType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyfairme.metrics.names import distinct_names, join_names
from pyfairme.notices import shown

NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
BRACKET = re.compile(
    rf"<=(?P<upper>{NUMBER})|\((?P<lower>{NUMBER}), {NUMBER}\]|>(?P<above>{NUMBER})"
)
MOST_COUNTED = 1_000_000  # replicates, draws or bins
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


def as_real(values: object, name: str, n: int | None = None) -> Floats:
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
    vector = as_numbers(values, name)
    if vector.ndim != 1:
        raise ValueError(
            f"{name} must be one-dimensional, got shape {vector.shape}. [metric-shape]"
        )
    _check_length(len(vector), name, n)
    _check_finite(vector, name)
    return vector


def as_binary(values: object, name: str, n: int | None = None) -> Floats:
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
            "apply a decision threshold, or say which label is positive: pos_label=. [not-binary]"
        )
    return vector


def as_positive(values: object, pos_label: object, name: str) -> Any:
    """Return labels as 1 for the positive class and 0 for the other one.

    Without ``pos_label`` the values come back as they are: 0 and 1 are checked by `as_binary`.

    Raises
    ------
    ValueError
        When there are more than two labels, or two others than the positive one.

    Examples
    --------
    >>> as_positive(["denied", "approved"], "approved", "y_true")
    array([0., 1.])
    """
    if pos_label is None:
        return values
    labels = list(dict.fromkeys(_series(values).tolist()))
    others = [label for label in labels if label != pos_label]
    if len(others) > 1 or any(pd.isna(label) for label in labels):
        raise ValueError(
            f"{name} has the labels {labels[:5]}, and pos_label={pos_label!r} leaves "
            f"{len(others)} others: give the label of the positive class of two, and rows without "
            "gaps. [pos-label]"
        )
    return np.array([label == pos_label for label in _series(values).tolist()], np.float64)


def as_decisions(y_true: object, y_pred: object, pos_label: object) -> tuple[Any, Any]:
    """Return outcomes and decisions given as labels as 0 and 1; see `as_positive`.

    Raises
    ------
    ValueError
        When both together have two labels other than the positive one.
    """
    if pos_label is None:
        return y_true, y_pred
    found = as_positive(y_true, pos_label, "y_true"), as_positive(y_pred, pos_label, "y_pred")
    labels = dict.fromkeys([*_series(y_true).tolist(), *_series(y_pred).tolist()])
    if len([label for label in labels if label != pos_label]) > 1 or pos_label not in labels:
        raise ValueError(
            f"y_true and y_pred together have the labels {list(labels)[:5]}, and pos_label is "
            f"{pos_label!r}: give both the same two labels, one of them the positive. [pos-label]"
        )
    return found


def as_probability(values: object, name: str, n: int | None = None) -> Floats:
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
            "pass probabilities, not logits or percentages. [not-probability]"
        )
    return vector


def as_weight(values: object, n: int) -> Floats | None:
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
            f"got minimum {weight.min():g} and sum {weight.sum():g}. [metric-weights]"
        )
    return weight


def as_flipped(values: object, name: str, n: int) -> Floats:
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
    matrix = as_numbers(values, name)
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise ValueError(
            f"{name} must have shape (n, number of levels - 1), got shape {matrix.shape}. "
            "[metric-shape]"
        )
    _check_length(len(matrix), name, n)
    _check_finite(matrix, name, "a level that a row cannot take must be dropped beforehand")
    return matrix


def as_groups(labels: object, name: str = "sensitive_features", n: int | None = None) -> Groups:
    """Turn labels into integer codes.

    Parameters
    ----------
    labels
        Shape ``(n,)`` of any labels, or a frame ``(n, A)`` whose columns are intersected: a group
        is then an observed combination, named ``"Black & Female"``; a label that itself contains
        `` & `` is put in quotes there. Labels of several types that print alike stay apart: of 1
        and ``"1"`` the text is shown in quotes.
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
                'of their own such as "unknown". [missing-label]'
            )
    parts = [_factorise(column) for column in columns]
    return parts[0] if len(parts) == 1 else _intersect(parts)


def as_clusters(labels: object, n: int | None = None) -> Codes:
    """Turn cluster labels into integer codes, -1 for rows without a cluster.

    Parameters
    ----------
    labels
        Shape ``(n,)`` of any labels; a missing one is no cluster.
    n
        The length it must have; ``None`` accepts any but 0.

    Examples
    --------
    >>> as_clusters(["b", None, "a"]).tolist()
    [1, -1, 0]
    """
    columns = _columns(labels, "cluster")
    if len(columns) > 1:
        return as_groups(labels, "cluster", n).codes
    column = columns[0]
    _check_length(len(column), "cluster", n)
    there = column.notna().to_numpy()
    codes = np.full(len(column), -1, np.intp)
    codes[there] = _factorise(column.dropna()).codes
    return codes


def as_numbers(values: object, name: str) -> Floats:
    """Return ``values`` as floats of any shape; what is missing becomes NaN.

    Parameters
    ----------
    values
        Numbers, or text of numbers, in a list, array, or series.
    name
        What the caller calls it; used in messages.

    Raises
    ------
    ValueError
        For text, complex numbers, dates and durations, and masked arrays that hide a value.

    Examples
    --------
    >>> as_numbers(np.ma.array([1.0, 2.0], mask=[False, False]), "y_pred")
    array([1., 2.])
    """
    if np.ma.isMaskedArray(values) and np.ma.getmaskarray(values).any():
        hidden = int(np.ma.getmaskarray(values).sum())
        raise ValueError(
            f"{name} is a masked array with {hidden} hidden value(s), and metrics have no place "
            "for gaps: leave these rows out, here and in all other arguments. [masked-values]"
        )
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:  # lists of unequal length
        raise _no_numbers(values, name) from error
    if array.dtype.kind == "c" or _holds(array, complex | np.complexfloating):
        raise ValueError(
            f"{name} must hold real numbers, got complex ones (dtype {array.dtype}): pass the "
            "real part or the modulus. [complex-values]"
        )
    if array.dtype.kind in "mM" or _holds(array, np.datetime64 | np.timedelta64):
        raise ValueError(
            f"{name} must hold numbers, got dates or durations (dtype {array.dtype}): count days, "
            "or another unit, from a start. [dates-as-numbers]"
        )
    try:
        return np.asarray(values, dtype=np.float64)  # a nullable column knows its gaps
    except (TypeError, ValueError) as error:
        raise _no_numbers(values, name) from error


def _holds(array: np.ndarray, kind: UnionType) -> bool:
    return array.dtype == object and any(isinstance(value, kind) for value in array.flat)


def _no_numbers(values: object, name: str) -> ValueError:
    return ValueError(
        f"{name} must hold numbers only, got {_brief(values)}.{_positive(values)} [not-numeric]"
    )


def _positive(values: object) -> str:
    """Return what to do about two labels that are text, as of decisions; else nothing."""
    if np.ndim(np.asarray(values, dtype=object)) != 1:
        return ""
    known = _series(values).dropna().tolist()
    if not all(isinstance(label, str) for label in known) or len(labels := {*known}) != 2:
        return ""
    return f" Of two labels name the positive one, such as pos_label={max(labels)!r}."


def check_count(value: object, name: str, least: int = 0) -> int:
    """Return a whole number of at least ``least``; raise ValueError for anything else.

    Examples
    --------
    >>> check_count(3, "bins", 1)
    3
    """
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or int(value) < least:
        raise ValueError(
            f"{name} must be a whole number of at least {least}, got {shown(value)}. [not-a-count]"
        )
    if int(value) > MOST_COUNTED:
        raise ValueError(
            f"{name} must be at most {MOST_COUNTED:,}, got {value}: more would fill the memory; "
            "thousands are precise enough. [count-too-large]"
        )
    return int(value)


def check_share(level: object) -> float:
    """Return a number between 0 and 1, ends excluded; raise ValueError for anything else."""
    share = float(level) if isinstance(level, numbers.Real) and level is not True else -1.0
    if not 0 < share < 1:  # NaN is refused as well
        raise ValueError(f"level must lie between 0 and 1, got {level!r}; 0.9 means 90 %. [level]")
    return share


def as_rng(rng: object, name: str = "rng") -> np.random.Generator:
    """Return a generator: the one given, or that of a seed.

    Raises
    ------
    ValueError
        For anything but a `numpy.random.Generator` and a whole number of at least 0. ``None``
        would make results that cannot be repeated.
    """
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, numbers.Integral) and not isinstance(rng, bool) and int(rng) >= 0:
        return np.random.default_rng(int(rng))
    raise ValueError(
        f"{name} must be a numpy.random.Generator or a seed (0, 1, ...), got {rng!r}: give "
        "numpy.random.default_rng(0), for example. [no-generator]"
    )


def _columns(labels: Any, name: str) -> list[pd.Series]:
    if hasattr(labels, "columns"):
        columns = [labels[column] for column in labels.columns]
    elif np.ma.isMaskedArray(labels) and labels.ndim == 2:
        columns = [labels[:, column] for column in range(labels.shape[1])]
    elif np.ndim(labels) == 2 and not isinstance(labels, pd.Series):
        columns = list(np.asarray(labels, dtype=object).T)
    else:
        columns = [labels]
    if not columns or np.ndim(columns[0]) != 1:
        raise ValueError(
            f"{name} must be one column of labels or a frame, got {_brief(labels)}. [groups-shape]"
        )
    return [_series(column) for column in columns]


def _series(column: object) -> pd.Series:
    if isinstance(column, pd.Series):
        return column.reset_index(drop=True)
    if isinstance(column, pd.Categorical):
        return pd.Series(column)
    if isinstance(column, list | tuple):  # np.asarray would turn None next to strings into "None"
        return pd.Series(column, dtype=object)
    if np.ma.isMaskedArray(column):  # a hidden label is a missing one
        shown = np.array(column, dtype=object)
        shown[np.ma.getmaskarray(column)] = None
        return pd.Series(shown, dtype=object)
    return pd.Series(np.asarray(column))


def _factorise(column: pd.Series) -> Groups:
    if isinstance(column.dtype, pd.CategoricalDtype):
        levels = distinct_names(column.cat.categories)
        return Groups(column.cat.codes.to_numpy(dtype=np.intp), levels)
    codes, labels = pd.factorize(column)
    order = _sorted_positions(list(labels))
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.arange(len(order))
    return Groups(rank[codes], distinct_names([labels[position] for position in order]))


def _sorted_positions(labels: list[Any]) -> list[int]:
    if by_bracket := _bracket_order(labels):
        return sorted(range(len(labels)), key=by_bracket.__getitem__)
    try:
        return sorted(range(len(labels)), key=labels.__getitem__)
    except TypeError:  # labels of several types have no order of their own
        return sorted(range(len(labels)), key=lambda position: str(labels[position]))


def _bracket_order(labels: list[Any]) -> list[tuple[Any, ...]]:
    """Return by what labels with brackets among them are sorted: <=30, (30, 45], >45, (missing).

    Of intersections, "woman & <=30", each part counts on its own. No keys where nothing is a
    bracket, or labels are not all text.
    """
    if not all(isinstance(label, str) for label in labels):
        return []
    parts = [[(_start(part), part) for part in label.split(" & ")] for label in labels]
    if sum(any(start is not None for start, _ in row) for row in parts) < 2:
        return []
    return [tuple((s is None, s or 0.0, part) for s, part in row) for row in parts]


def _start(label: object) -> float | None:
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
        join_names([part.levels[at] for part, at in zip(parts, where, strict=True)], " & ")
        for where in positions
    )
    return Groups(codes.astype(np.intp), levels)


def _check_length(length: int, name: str, n: int | None) -> None:
    if length == 0:
        raise ValueError(f"{name} is empty; at least one row is needed. [no-rows]")
    if n is not None and length != n:
        raise ValueError(
            f"{name} has {length} rows, expected {n}: one for each row of y_true. [other-length]"
        )


def _check_finite(array: Floats, name: str, advice: str = "drop or fill those rows first") -> None:
    if bad := int((~np.isfinite(array)).sum()):
        raise ValueError(f"{name} has {bad} missing or infinite value(s); {advice}. [not-finite]")


def _brief(values: object) -> str:
    return f"{type(values).__name__} {str(values)[:60]!r}"
