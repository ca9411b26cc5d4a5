"""Columns of plain numbers, a million cells at once: what most columns of most files are.

`pyfairme.cli.text_cells` reads any column, one distinct text after the other, which takes seconds
for a million measurements. Here Arrow does it, for numbers with a decimal point or none.
"""

from typing import Any, NamedTuple, cast

import pandas as pd
import pyarrow as pa
import pyarrow.compute

from pyfairme.cli.text_cells import LOSES, Numbers

pc = cast(Any, pyarrow.compute)  # its functions are made at import, unseen by type checkers

NUMBER = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"
NOT_WHOLE = r"[.eE]"
THOUSANDS = r"^[+-]?[1-9][0-9]{0,2}(\.[0-9]{3})+$"  # 1.234, where the point may be either


class PlainNumbers(NamedTuple):
    """A column of numbers.

    Attributes
    ----------
    column
        The values: integers if all are whole and none is a gap.
    shape
        What the cells are by either decimal mark.
    """

    column: pd.Series
    shape: Numbers

    @classmethod
    def of(cls, column: pd.Series, missing: frozenset[str]) -> "PlainNumbers | None":
        """Return None for a column with any other cell; blank ones and `missing` are gaps."""
        cells = _trimmed(column, missing)
        there = cells.drop_null() if cells.null_count else cells
        if not len(there) or not _all(there, NUMBER) or _any(there, LOSES):
            return None
        pointed = there.filter(pc.match_substring(there, "."))
        decisive = pointed.filter(pc.invert(pc.match_substring_regex(pointed, THOUSANDS)))
        if len(pointed) and not len(decisive):
            return None  # other columns say what the point is
        point = decisive[0].as_py() if len(decisive) else None
        shape = Numbers(
            fits={".": True, ",": point is None},
            only={".": point, ",": None},
            either=None,
            grouped={".": False, ",": False},
            loses=False,
        )
        whole = not cells.null_count and not _any(there, NOT_WHOLE)
        try:
            numbers = cells.cast(pa.int64() if whole else pa.float64())
        except pa.ArrowInvalid:  # a spelling that Arrow does not know
            return None
        values = numbers.to_numpy(zero_copy_only=False)
        return cls(pd.Series(values, index=column.index, name=column.name), shape)


def _trimmed(column: pd.Series, missing: frozenset[str]) -> Any:
    """Return the cells without blanks around them, null for gaps."""
    found = pa.array(column, pa.large_string(), from_pandas=True)
    cells = pc.utf8_trim_whitespace(
        found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
    )
    gaps = pc.is_in(cells, value_set=pa.array(["", *missing], cells.type))
    return pc.if_else(gaps, pa.scalar(None, cells.type), cells)


def _all(cells: pa.Array, pattern: str) -> bool:
    return pc.all(pc.match_substring_regex(cells, pattern)).as_py()


def _any(cells: pa.Array, pattern: str) -> bool:
    return pc.any(pc.match_substring_regex(cells, pattern)).as_py()
