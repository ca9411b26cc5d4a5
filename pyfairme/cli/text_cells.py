"""Cells of a text file to values: numbers where nothing is lost, booleans, else the text itself.

A column holds numbers if all of its cells that are not blank are numbers, and if they can be
written back: codes with leading zeros, and whole numbers of more than 15 digits, stay text.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

# Words that programs write for missing numbers: R, pandas, SQL, spreadsheets, C. Among numbers
# they can be nothing else; in text they may be names (Namibia, a religion, a surname).
GAP_WORDS = frozenset(
    ("NA", "N/A", "n/a", "None", "NULL", "null", "NaN", "nan", "-NaN", "-nan", "<NA>", "#N/A",
     "#NA", "#N/A N/A", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN")
)  # fmt: skip
BOOLEANS = {"true": True, "True": True, "TRUE": True}
BOOLEANS |= {"false": False, "False": False, "FALSE": False}
MOST_DIGITS = 15  # that a float holds, whatever the digits are
OTHER = {".": ",", ",": "."}

_SPACES = " \u00a0\u2009\u202f'\u2019"  # between thousands, besides the other of point and comma
_WHOLE = re.compile(r"[+-]?[0-9]+")
_CODE = re.compile(r"[+-]?0[0-9]")
LOSES = rf"^[+-]?(?:0[0-9]|[0-9]{{{MOST_DIGITS + 1},}}$)"
_LOSES = re.compile(LOSES)


def _number(decimal: str) -> re.Pattern[str]:
    point, thousands = re.escape(decimal), f"[{_SPACES}{OTHER[decimal]}]"
    plain = rf"(?:[0-9]+(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?"
    grouped = rf"[1-9][0-9]{{0,2}}(?P<mark>{thousands})[0-9]{{3}}(?:(?P=mark)[0-9]{{3}})*"
    return re.compile(
        rf"[+-]?(?:{plain}|{grouped}(?:{point}[0-9]*)?|inf|infinity)", re.IGNORECASE | re.ASCII
    )


_NUMBER = {mark: _number(mark) for mark in OTHER}


class Numbers(NamedTuple):
    """Whether distinct cells are numbers, by either decimal mark.

    Attributes
    ----------
    fits
        Whether all are, by decimal mark.
    only
        A cell that is one by this mark and none by the other, or None.
    either
        A cell that is another number by the other mark, or None; one with a comma if there is one.
    grouped
        Whether a cell has marks between thousands, by decimal mark.
    loses
        Whether a code or a long whole number is among them.
    """

    fits: dict[str, bool]
    only: dict[str, str | None]
    either: str | None
    grouped: dict[str, bool]
    loses: bool

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Numbers":
        """Look at the cells once, as there may be a million of them."""
        fits = dict.fromkeys(OTHER, True)
        only: dict[str, str | None] = dict.fromkeys(OTHER)
        grouped, either, loses = dict.fromkeys(OTHER, False), None, False
        for text in texts:
            for mark in [mark for mark in OTHER if fits[mark]]:
                found = _NUMBER[mark].fullmatch(text)
                fits[mark] = found is not None
                grouped[mark] |= found is not None and found["mark"] is not None
                if found is None:
                    only[OTHER[mark]] = text
            if not any(fits.values()):
                break
            loses = loses or _LOSES.match(text) is not None
            if "," in text or (either is None and "." in text):
                either = text
        only = {mark: text if fits[mark] else None for mark, text in only.items()}
        return cls(fits, only, either if all(fits.values()) else None, grouped, loses)


class Cells(NamedTuple):
    """A column as it is written.

    Attributes
    ----------
    column
        Its cells, text.
    codes
        int[n] positions in `texts`, -1 for gaps.
    texts
        The distinct cells without blanks around them, those that are gaps left out.
    """

    column: pd.Series
    codes: np.ndarray
    texts: list[str]

    @classmethod
    def of(cls, column: pd.Series, missing: frozenset[str]) -> "Cells":
        """Split a column of text; blank cells, cells that are not there and `missing` are gaps."""
        codes, distinct = pd.factorize(column.to_numpy(dtype=object))
        bare = [str(text).strip() for text in distinct]
        kept = [i for i, text in enumerate(bare) if text and text not in missing]
        place = np.full(len(bare) + 1, -1)  # the last one: of cells that are not there
        place[kept] = np.arange(len(kept))
        return cls(column, place[codes], [bare[i] for i in kept])

    @property
    def values(self) -> list[str]:
        """The distinct cells that are no words for gaps."""
        return [text for text in self.texts if text not in GAP_WORDS]

    @property
    def words(self) -> list[str]:
        """The distinct cells that are words for gaps."""
        return [text for text in self.texts if text in GAP_WORDS]

    def as_text(self) -> pd.Series:
        """Return the cells as they are written."""
        gaps = self.codes < 0
        return self.column.mask(gaps, None) if gaps.any() else self.column

    def as_booleans(self) -> pd.Series | None:
        """Return True and False, or None if other cells are there."""
        values = self.values
        if not values or not all(text in BOOLEANS for text in values):
            return None
        distinct = [BOOLEANS.get(text) for text in self.texts]
        whole = (self.codes >= 0).all() and None not in distinct
        return self._of(distinct, bool if whole else object, None)

    def as_numbers(self, decimal: str) -> pd.Series:
        """Return numbers, where all cells are some: integers if all are whole and none is a gap."""
        bare = [None if text in GAP_WORDS else _plain(text, decimal) for text in self.texts]
        if (self.codes >= 0).all() and all(text and _WHOLE.fullmatch(text) for text in bare):
            whole = [int(text or 0) for text in bare]
            if all(-(2**63) <= number < 2**63 for number in whole):
                return self._of(whole, np.int64, 0)
        numbers = [np.nan if text is None else float(text) for text in bare]
        return self._of(numbers, np.float64, np.nan)

    def _of(self, distinct: list[Any], dtype: type, gap: float | None) -> pd.Series:
        """Return a value for each cell."""
        found = np.array([*distinct, gap], dtype=dtype)  # the last one is that of code -1
        return pd.Series(found[self.codes], index=self.column.index, name=self.column.name)


def _plain(text: str, decimal: str) -> str:
    """Return a number as Python writes it."""
    before, point, after = text.partition(decimal)
    if not before.isalnum():
        before = "".join(mark for mark in before if mark not in _SPACES + OTHER[decimal])
    return f"{before}.{after}" if point else before


def why_text(column: pd.Series) -> str:
    """Say why a column whose cells look like numbers is text; "" for one that does not.

    Examples
    --------
    >>> why_text(pd.Series(["01", "2"])), why_text(pd.Series(["1", "2", "old"]))
    ('leading zeros', "'old' among numbers")
    >>> why_text(pd.Series(["a", "b", "3"]))
    ''
    """
    texts = [str(text).strip() for text in pd.unique(column.dropna())]
    others = [text for text in texts if not _NUMBER["."].fullmatch(text)]
    if not texts or len(others) > len(texts) / 3:
        return ""
    if others:
        return f"{others[0][:20]!r} among numbers"
    return "leading zeros" if any(map(_CODE.match, texts)) else f"more than {MOST_DIGITS} digits"


class Decimals(NamedTuple):
    """Which mark divides a number, and what a person should know of it.

    Attributes
    ----------
    mark
        "." or ",".
    unlike
        Columns whose cells are numbers by the other mark only, with one of their cells: text.
    grouped
        Columns with marks between thousands.
    """

    mark: str
    unlike: dict[str, str]
    grouped: list[str]


def choose_decimals(
    columns: Mapping[str, Numbers],
    given: str | None,
    usual: str | None,
    used: Callable[[str], bool],
    file: str,
) -> Decimals:
    """Choose the decimal mark that the cells of a table leave as the only one.

    A column such as 1,5 and 0,25 shows a decimal comma, 1,234.5 shows a point; 1,234 alone may be
    either, and the other columns say which it is.

    Parameters
    ----------
    columns
        The columns that may hold numbers.
    given
        The mark that a person named, or None.
    usual
        The mark of the table of the fit, for cells that can be read either way.
    used
        Whether a column counts for anything.
    file
        Name of the file, for the error.

    Raises
    ------
    ValueError
        When cells can be read either way, and nothing says how.
    """
    shown = {mark: [n for n, found in columns.items() if found.only[mark]] for mark in OTHER}
    if given is not None:
        mark = given
    elif shown["."] or shown[","]:
        mark = "." if shown["."] else ","
    else:
        mark = _undecided({n: f.either for n, f in columns.items() if f.either and used(n)},
                          usual, file)  # fmt: skip
    unlike = {name: columns[name].only[OTHER[mark]] or "" for name in shown[OTHER[mark]]}
    return Decimals(
        mark,
        {name: cell for name, cell in unlike.items() if used(name)},
        [n for n, found in columns.items() if used(n) and found.fits[mark] and found.grouped[mark]],
    )


def _undecided(either: Mapping[str, str], usual: str | None, file: str) -> str:
    """Choose where no cell shows the mark: 1.234 has a decimal point, 1,234 nobody knows."""
    commas = {name: cell for name, cell in either.items() if "," in cell}
    points = {name: cell for name, cell in either.items() if "," not in cell}
    doubtful = points if usual == "," else commas
    if doubtful:
        name, cell = next(iter(doubtful.items()))
        raise ValueError(
            f"{file}: column {name!r} has {cell!r}, in which the mark is a decimal one or one "
            "between thousands, and no other cell tells which: say --decimal . or --decimal , "
            "[decimal-mark]"
        )
    return "," if commas else "."
