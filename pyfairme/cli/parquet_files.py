"""Parquet files to frames in which no value has become another one."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pyfairme.data.columns import label_of

LONG = {pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype()}
EXACT = 2**53  # above this, floats skip whole numbers
NUMBERED = "__index_level_"  # pandas' name for row numbers that it stored


def read_parquet(path: Path, missing: Iterable[str] = ()) -> pd.DataFrame:
    """Read a Parquet file.

    Parameters
    ----------
    path
        The file.
    missing
        Values that stand for gaps, as text.

    Returns
    -------
    DataFrame
        Columns with the types of the file; whole numbers with gaps are floats unless digits would
        be lost. Blank text is a gap, as in text files. A stored index is a column, if it has a
        name.

    Raises
    ------
    ValueError
        When it is no Parquet file or damaged, or two columns have one name.
    """
    try:
        # of files without checksums, which is most, a flipped bit may give another number
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
        names = [str(name) for name in table.column_names]
        if repeated := [name for name, times in Counter(names).items() if times > 1]:
            raise ValueError(
                f"{path.name} has several columns called {repeated[0]!r}: rename them. "
                "[column-twice]"
            )
        frame = table.to_pandas(ignore_metadata=True, types_mapper=LONG.get)
    except pa.ArrowException as error:
        raise ValueError(
            f"{path.name} is not a readable Parquet file: {error} [damaged-file]"
        ) from error
    except OSError as error:
        raise ValueError(
            f"{path.name} is not a readable Parquet file: {error} [damaged-file]"
        ) from error
    frame = frame.drop(columns=[name for name in names if name.startswith(NUMBERED)])
    gaps = frozenset(missing)
    return pd.DataFrame({str(name): _column(frame[name], gaps) for name in frame})


def _column(column: pd.Series, gaps: frozenset[str]) -> pd.Series:
    found = _short(column)
    if isinstance(found.dtype, pd.CategoricalDtype):
        return found.mask(found.isin(_gaps(found.cat.categories, gaps)))
    if not gaps and pd.api.types.is_numeric_dtype(found.dtype):
        return found
    try:
        unwanted = _gaps(pd.unique(found.dropna()), gaps)
    except TypeError:  # lists, which are refused with the column's role
        return found
    return found.mask(found.isin(unwanted), None) if unwanted else found


def _gaps(values: Iterable, gaps: frozenset[str]) -> list:
    return [v for v in values if (isinstance(v, str) and not v.strip()) or label_of(v) in gaps]


def _short(column: pd.Series) -> pd.Series:
    """Return whole numbers as NumPy has them, where it can hold them."""
    if not isinstance(column.dtype, pd.Int64Dtype | pd.UInt64Dtype):
        return column
    if not column.isna().any():
        return column.astype(column.dtype.numpy_dtype)
    there = column.dropna()
    exact = there.empty or (there.max() <= EXACT and there.min() >= -EXACT)
    return column.astype(np.float64) if exact else column
