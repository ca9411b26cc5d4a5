"""Read one column: what kind it is, its numbers, its labels, its gaps."""

import math
import numbers
import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd

from pyfairme.metrics.names import apart
from pyfairme.notices import shown

MISSING = "(missing)"
NEW_LEVEL = "(new level)"  # of an attribute, for rows of a level that training never saw
RESERVED = (MISSING, NEW_LEVEL)
TEXT_CODES = "text, held as codes"  # name of categories that nobody chose, see `is_category`
_SURROGATE = re.compile(r"[\ud800-\udfff]")
MOST_DIGITS = 100  # of a label that is read as a number
_NUMERIC_CONTENT = {"boolean", "integer", "floating", "mixed-integer-float", "decimal"}
_TIME_CONTENT = {"date", "datetime", "datetime64", "time", "timedelta", "timedelta64", "period"}


class Labels(NamedTuple):
    """A column as codes into its distinct values.

    Attributes
    ----------
    codes
        int[n], -1 where the value is missing.
    names
        The label of each distinct value.
    values
        The distinct values themselves.
    """

    codes: np.ndarray
    names: list[str]
    values: list[Any]


def pick(frame: pd.DataFrame, column: str) -> pd.Series:
    """Return one column of a frame whose column names are unique."""
    return cast(pd.Series, frame[column])


def is_category(series: pd.Series) -> bool:
    """Tell whether somebody made a column a category: levels are meant, whatever they look like.

    Text of large files is held as codes too, and is text all the same.
    """
    dtype = series.dtype
    return isinstance(dtype, pd.CategoricalDtype) and dtype.categories.name != TEXT_CODES


def column_kind(series: pd.Series, role: str = "covariate") -> str:
    """Tell whether a column holds numbers, levels or nothing.

    Parameters
    ----------
    series
        One column, shape (n,).
    role
        What the column is to be, for the messages.

    Returns
    -------
    str
        "numeric" (booleans included, as 0 and 1), "categorical" (everything that is not numeric) or
        "empty" (every value is missing and the dtype does not say).

    Raises
    ------
    ValueError
        For complex numbers and for dates, times, periods and intervals.
    TypeError
        For nested values (lists, dicts, arrays).
    """
    dtype, types = series.dtype, pd.api.types
    if isinstance(dtype, pd.CategoricalDtype | pd.StringDtype):
        return "categorical"
    if types.is_complex_dtype(dtype):
        raise ValueError(_complex_message(series))
    if types.is_numeric_dtype(dtype):
        return "numeric"
    if dtype.kind in "mM" or isinstance(dtype, pd.PeriodDtype | pd.IntervalDtype):
        raise ValueError(_time_message(series, role))
    return _content_kind(series, role)


def _content_kind(series: pd.Series, role: str) -> str:
    content = pd.api.types.infer_dtype(series, skipna=True)
    if content in ("string", "empty"):
        return "categorical" if content == "string" else "empty"
    if content in _NUMERIC_CONTENT:
        return "numeric"
    if content in _TIME_CONTENT:
        raise ValueError(_time_message(series, role))
    return _mixed_kind(series)


def _mixed_kind(series: pd.Series) -> str:
    found = {type(value) for value in series[series.notna()]}
    if any(issubclass(kind, complex | np.complexfloating) for kind in found):
        raise ValueError(_complex_message(series))
    strange = sorted(k.__name__ for k in found if not issubclass(k, str | numbers.Number | np.bool))
    if strange:
        raise TypeError(
            f"Column {series.name!r} holds values of type {', '.join(strange)}; the argument must "
            "be a table in which each value is a string, a number or a boolean: unpack it into "
            "columns of its own, or drop it. [nested-values]"
        )
    text = any(issubclass(kind, str) for kind in found)
    return "categorical" if text else "numeric"


def _complex_message(series: pd.Series) -> str:
    return (
        f"Complex data not supported: column {series.name!r} has dtype {series.dtype}; use its "
        "real and imaginary parts, or modulus and angle, as columns. [complex-values]"
    )


def _time_message(series: pd.Series, role: str) -> str:
    return (
        f"Column {series.name!r} holds dates, times or intervals (dtype {series.dtype}), which "
        f"have no one meaning as a {role}: turn it into a number (days since a start, hour of "
        "day) or into text (month, weekday), or drop it. [dates]"
    )


def times_as_text(series: pd.Series) -> pd.Series:
    """Return a column of dates, times, periods or intervals as text, and any other as it is.

    A time at midnight is its date, whatever the other rows hold: "2024-05-01".
    """
    dtype = series.dtype
    timed = dtype.kind in "mM" or isinstance(dtype, pd.PeriodDtype | pd.IntervalDtype)
    if not timed and pd.api.types.is_object_dtype(dtype):
        timed = pd.api.types.infer_dtype(series, skipna=True) in _TIME_CONTENT
    if not timed:
        return series
    text = [None if pd.isna(value) else str(value) for value in series]
    text = [t and t.removesuffix(" 00:00:00") for t in text]
    return pd.Series(text, index=series.index, name=series.name, dtype=object)


def _cure_of_text(series: pd.Series) -> str:
    """Return how text reads as numbers: decimal commas are none for pandas.to_numeric."""
    from pyfairme.data.text_numbers import text_numbers  # which needs labels from here

    found = text_numbers(read_labels(series.dropna().drop_duplicates()))
    return "pandas.to_numeric" if found is None or "to_numeric" in found.cure else found.cure


def read_numbers(series: pd.Series) -> np.ndarray:
    """Return a numeric column as float64[n], NaN where missing.

    Raises
    ------
    ValueError
        When the column holds text, or an infinite number.
    """
    if column_kind(series) == "categorical" and series.notna().any():
        first = series.to_numpy(dtype=object)[series.notna().to_numpy()][0]
        raise ValueError(
            f"Expected numbers in column {series.name!r}, got text (dtype {series.dtype}, first "
            f"value {first!r}): convert it, for example with {_cure_of_text(series)}, as in "
            "training. [text-for-numbers]"
        )
    if isinstance(series.dtype, pd.CategoricalDtype | pd.StringDtype):
        return np.full(len(series), np.nan)
    values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    _check_finite(series, values)
    return values


def _check_finite(series: pd.Series, values: np.ndarray) -> None:
    infinite = np.isinf(values)
    if infinite.any():
        raise ValueError(
            f"Column {series.name!r} has {infinite.sum()} infinite (inf) values, first at rows "
            f"{first_rows(series.index, infinite)}: correct them or make them missing. "
            "[infinite-values]"
        )


def read_labels(series: pd.Series, doubled: Collection[str] | None = None) -> Labels:
    """Return a column as labels.

    A label is `str(value)`; whole numbers lose their ".0", so that a column of ids that became
    float through missing values keeps its labels, and 7, 7.0 and "7" are the same level. A text
    "(missing)" or "(new level)" is put in quotation marks: without them these words stand for
    gaps and for levels that training never saw.

    A column may hold both 7 and "7": these are two levels, and the text is the one in quotation
    marks. What such labels are is said by ``doubled``: those of training, when a model reads other
    rows, so that a row has the same name whatever rows are beside it; None: the column's own.

    Raises
    ------
    ValueError
        When a number in it is infinite.
    """
    if column_kind(series) == "numeric" and series.dtype.kind in "fO":
        _check_finite(series, series.to_numpy(dtype=np.float64, na_value=np.nan))
    codes, distinct = pd.factorize(series, use_na_sentinel=True)
    values = list(distinct)
    words = {*RESERVED, *(_doubled(values) if doubled is None else doubled)}
    names = [apart(label_of(v), words if isinstance(v, str) else RESERVED) for v in values]
    _check_text(series, names)
    return Labels(codes, names, values)


def doubled_labels(series: pd.Series) -> tuple[str, ...]:
    """Return the labels that both a text and another value of a column have.

    Examples
    --------
    >>> doubled_labels(pd.Series([1, "1", 2, "b"], dtype=object))
    ('1',)
    """
    return _doubled(pd.unique(series.dropna()))


def _doubled(values: Iterable[Any]) -> tuple[str, ...]:
    values = list(values)
    text = {value for value in values if isinstance(value, str)}
    if len(text) in (0, len(values)):
        return ()
    return tuple(sorted(text & {label_of(v) for v in values if not isinstance(v, str)}))


def _check_text(series: pd.Series, names: list[str]) -> None:
    """Refuse halves of surrogate pairs: no file and no frame of strings can hold them."""
    broken = next((name for name in names if _SURROGATE.search(name)), None)
    if broken is not None:
        raise ValueError(
            f"Column {series.name!r} has the level {shown(broken)} with half of a character (a "
            "lone surrogate): the text was decoded wrongly. Read the file with its own encoding, "
            "or replace these characters. [broken-text]"
        )


def label_of(value: object) -> str:
    """Return the label of one value.

    Examples
    --------
    >>> label_of(7.0), label_of("7"), label_of(True), label_of(2.5)
    ('7', '7', 'True', '2.5')
    """
    if isinstance(value, bool | np.bool):
        return str(bool(value))
    if isinstance(value, int | float | np.integer | np.floating | Decimal) and value % 1 == 0:
        return str(int(value))
    if isinstance(value, float | np.floating):
        return repr(float(value))
    return str(value)


def sameness(label: str) -> tuple[str, Any]:
    """Return what labels have in common that people take for the same.

    Case, spaces around and the way of writing a number do not count; fractions are compared as
    float32, which a table may have gone through.

    Examples
    --------
    >>> sameness("Oslo ") == sameness("OSLO"), sameness("07") == sameness("7.0")
    (True, True)
    >>> sameness("0.10000000149011612") == sameness("0.1"), sameness("7") == sameness("8")
    (True, False)
    """
    text = unicodedata.normalize("NFKC", label).strip().casefold()
    try:
        number = Decimal(text)
    except InvalidOperation:
        return "text", text
    if not number.is_finite() or number.adjusted() > MOST_DIGITS:
        return "text", text
    if number == number.to_integral_value():
        return "number", int(number)
    return "number", float(np.float32(float(number)))


def lookup(labels: Labels, levels: Sequence[str]) -> np.ndarray:
    """Return int64[n] positions in `levels`; -1 for a label that is not among them.

    A missing value is at "(missing)" when that is a level. So is a text "(missing)" where training
    had no such text, as somebody may have written it for gaps.
    """
    position = {level: i for i, level in enumerate(levels)}
    for word in RESERVED:  # also of models saved before these words were quoted
        if word in position:
            position.setdefault(apart(word, RESERVED), position[word])
    table = [position.get(name, -1) for name in labels.names] + [position.get(MISSING, -1)]
    return np.asarray(table, dtype=np.int64)[labels.codes]


def natural_order(labels: Iterable[str]) -> list[str]:
    """Sort labels: numbers by value, then text, then "(missing)".

    Examples
    --------
    >>> natural_order(["10", "b", "9", "(missing)", "a"])
    ['9', '10', 'a', 'b', '(missing)']
    """
    return sorted(set(labels), key=_natural_key)


def _natural_key(label: str) -> tuple[int, float, str]:
    if label == MISSING:
        return 2, 0.0, label
    try:
        number = float(label)
    except ValueError:
        return 1, 0.0, label
    return (0, number, label) if math.isfinite(number) else (1, 0.0, label)


def first_rows(index: pd.Index, mask: np.ndarray) -> str:
    """Return the labels of the first three marked rows, for error messages."""
    shown = ", ".join(str(row) for row in index[mask][:3])
    return shown + (", ..." if mask.sum() > 3 else "")
