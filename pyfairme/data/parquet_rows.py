"""Tables in Parquet files: read row group by row group, and held in the least width.

A column of a file takes many times its size as a pandas column of text or of 64-bit numbers. Held
are whole numbers and fractions in the least width that loses nothing, and text as codes; a row of a
dozen columns then takes some tens of bytes, and everything that is learned of the table (levels,
quantiles, means) is learned of all its rows.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pyfairme.data.columns import TEXT_CODES
from pyfairme.notices import shown

SUFFIXES = (".parquet", ".pq")
BATCH = 2**16  # rows that are read at a time
NUMBERED = "__index_level_"  # pandas' name for row numbers that it stored
SIGNED = (np.int8, np.int16, np.int32, np.int64)


def is_parquet(X: object) -> bool:
    """Tell a path of Parquet files, or a pyarrow dataset, from a table in memory.

    Text is a path where it ends as one does, or where there is such a file or folder.

    Examples
    --------
    >>> is_parquet("rows.parquet"), is_parquet(pd.DataFrame()), is_parquet([[1.0]])
    (True, False, False)
    """
    if isinstance(X, str):
        return X.endswith(SUFFIXES) or (0 < len(X) < 4096 and "\0" not in X and os.path.exists(X))
    return isinstance(X, os.PathLike) or _is_dataset(X)


def _is_dataset(X: object) -> bool:
    if not type(X).__module__.startswith("pyarrow."):  # who gives one has imported it
        return False
    import pyarrow.dataset as ds

    return isinstance(X, ds.Dataset)


@dataclass(frozen=True)
class ParquetRows:
    """Rows of a Parquet file, of a folder of such files, or of a pyarrow dataset.

    Parameters
    ----------
    dataset
        The dataset, with one type for each column.
    name
        How messages call it.
    """

    dataset: Any
    name: str

    @classmethod
    def open(cls, source: Any) -> ParquetRows:
        """Look at the files' columns and types; no row is read.

        Parameters
        ----------
        source
            Path of a file or folder, or a pyarrow dataset. Folders named ``key=value`` are columns,
            as pandas has them.

        Raises
        ------
        FileNotFoundError
            When there is no such file or folder.
        ValueError
            When it holds no readable Parquet file, two columns of one name, or files whose columns
            or types of columns differ.
        """
        import pyarrow.dataset as ds

        if _is_dataset(source):  # whoever made it chose its types
            _refuse_repeated(source.schema, "the dataset")
            return cls(source, "the dataset")
        path = Path(source)
        if not (path.is_file() or path.is_dir()):
            raise FileNotFoundError(f"there is no file {str(path)!r}: check the path. [no-file]")
        with _readable(path.name):
            checked = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
            form = ds.ParquetFileFormat(default_fragment_scan_options=checked)
            where: Any = {"format": form, "partitioning": "hive"}
            schema = _one_schema(ds.dataset(str(path), **where), path.name)
            return cls(ds.dataset(str(path), schema=schema, **where), path.name)

    @property
    def columns(self) -> list[str]:
        """Names of the columns, without row numbers that pandas stored."""
        return [name for name in self.dataset.schema.names if not name.startswith(NUMBERED)]

    def read(self, as_they_are: Collection[str] = (), unread: Collection[str] = ()) -> pd.DataFrame:
        """Read all rows.

        Parameters
        ----------
        as_they_are
            Columns whose type stays that of the file: a target's labels have it too.
        unread
            Columns that are there by name only, all zeros.

        Returns
        -------
        DataFrame
            Columns in the order of the file; text is held as codes (`pyfairme.data.columns`).

        Raises
        ------
        ValueError
            When there is no row, or a part of a file is damaged.
        """
        with _readable(self.name):
            rows = self.dataset.count_rows()
        if rows == 0:
            raise ValueError(f"{self.name} has no rows: give a table with some. [no-rows]")
        names = [name for name in self.columns if name not in unread]
        held = {name: _builder(self._type(name), rows, name in as_they_are) for name in names}
        start = 0
        for batch in self._batches(names):
            for name, column in zip(names, batch.columns, strict=True):
                held[name].add(column, start)
            start += batch.num_rows
        done = {name: held.pop(name).done() if name in held else np.zeros(rows, np.int8)
                for name in self.columns}  # fmt: skip
        return pd.DataFrame(done, copy=False)

    def blocks(self, columns: Collection[str]) -> Iterator[pd.DataFrame]:
        """Yield frames of up to `BATCH` rows with some of the columns, in the order of the file."""
        names, start = [name for name in self.columns if name in columns], 0
        for batch in self._batches(names):
            held = {name: _builder(self._type(name), batch.num_rows, False) for name in names}
            for name, column in zip(names, batch.columns, strict=True):
                held[name].add(column, 0)
            index = pd.RangeIndex(start, start + batch.num_rows)
            done = {name: builder.done() for name, builder in held.items()}
            yield pd.DataFrame(done, index=index, copy=False)
            start = index.stop

    def _type(self, name: str) -> Any:
        return self.dataset.schema.field(name).type

    def _batches(self, names: list[str]) -> Iterator[Any]:
        with _readable(self.name):
            scanner = self.dataset.scanner(
                columns=names,
                batch_size=BATCH,
                batch_readahead=1,
                fragment_readahead=1,
                use_threads=False,
            )
            yield from (batch for batch in scanner.to_batches() if batch.num_rows)
        pa.default_memory_pool().release_unused()


def _refuse_repeated(schema: Any, name: str) -> None:
    repeated = [n for n, times in Counter(schema.names).items() if times > 1]
    if repeated:
        raise ValueError(
            f"{name} has several columns called {repeated[0]!r}: rename them. [column-twice]"
        )


def _one_schema(dataset: Any, name: str) -> Any:
    """Return the schema of all files: types that hold what each of them holds."""
    _refuse_repeated(dataset.schema, name)
    found, first = dataset.schema, None
    for fragment in dataset.get_fragments():
        file, own = _file_name(fragment), fragment.physical_schema
        if first is None:
            first = file, own
            kept = [field for field in found if field.name not in own.names]  # names of folders
            found = pa.schema([*own, *kept])
            continue
        other, there = first
        odd = sorted(set(there.names) ^ set(own.names))
        if odd:
            has, lacks = (file, other) if odd[0] in own.names else (other, file)
            raise ValueError(
                f"{lacks} has no column {odd[0]!r}, and {has} has one: the files of a table have "
                "the same columns. Add it, or leave it out of all. [files-differ]"
            )
        for column in own.names:
            one, two = found.field(column).type, own.field(column).type
            try:
                both = pa.unify_schemas(
                    [pa.schema([(column, one)]), pa.schema([(column, two)])],
                    promote_options="permissive",
                ).field(0)
            except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
                raise ValueError(
                    f"The column {column!r} is {two} in {file} and {one} in {other}: a column has "
                    "one type in all files. Write it alike, text as text and numbers as numbers. "
                    "[files-differ]"
                ) from error
            found = found.set(found.get_field_index(column), both)
    return found


def _file_name(fragment: Any) -> str:
    return os.path.basename(getattr(fragment, "path", "")) or "one part"


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise ValueError(
            f"{name} is not a readable Parquet file: {shown(str(error))} [damaged-file]"
        ) from error


class _Numbers:
    """Whole numbers or booleans; those with gaps are pandas' nullable ones."""

    def __init__(self, rows: int, narrow: bool) -> None:
        self._rows, self._narrow = rows, narrow
        self._values: np.ndarray | None = None
        self._gaps: np.ndarray | None = None

    def add(self, column: Any, start: int) -> None:
        at = slice(start, start + len(column))
        if column.null_count:
            if self._gaps is None:
                self._gaps = np.zeros(self._rows, bool)
            self._gaps[at] = column.is_null().to_numpy(zero_copy_only=False)
            column = column.fill_null(False if _is_boolean(column) else 0)
        values = column.to_numpy(zero_copy_only=False)
        dtype = _least(values) if self._narrow and values.dtype.kind in "iu" else values.dtype
        self._values = _with_room(self._values, self._rows, dtype)
        self._values[at] = values

    def done(self) -> Any:
        assert self._values is not None
        if self._gaps is None:
            return self._values
        boolean = self._values.dtype == bool
        kind: Any = pd.arrays.BooleanArray if boolean else pd.arrays.IntegerArray
        return kind(self._values, self._gaps)


class _Fractions:
    """Real numbers, in single precision where that loses none of their digits."""

    def __init__(self, rows: int, narrow: bool) -> None:
        self._rows, self._narrow = rows, narrow
        self._values: np.ndarray | None = None

    def add(self, column: Any, start: int) -> None:
        values = column.to_numpy(zero_copy_only=False)
        dtype = values.dtype
        if self._narrow and dtype == np.float64:
            with np.errstate(over="ignore"):
                short = values.astype(np.float32)
            if np.array_equal(short, values, equal_nan=True):
                values, dtype = short, short.dtype
        self._values = _with_room(self._values, self._rows, dtype)
        self._values[start : start + len(column)] = values

    def done(self) -> Any:
        return self._values


class _Levels:
    """Text, or categories, as codes of the values met so far."""

    def __init__(self, rows: int, kind: Any) -> None:
        self._given = pa.types.is_dictionary(kind)
        self._ordered = self._given and bool(kind.ordered)
        self._codes = np.empty(rows, np.int8)
        self._place: dict[Any, int] = {}

    def add(self, column: Any, start: int) -> None:
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        own = [
            -1 if level is None else self._place.setdefault(level, len(self._place))
            for level in column.dictionary.to_pylist()
        ]
        table = np.array([*own, -1])
        codes = column.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
        self._codes = _with_room(self._codes, len(self._codes), _least(np.array(len(self._place))))
        self._codes[start : start + len(column)] = table[codes]

    def done(self) -> Any:
        levels = pd.Index(list(self._place), name=None if self._given else TEXT_CODES)
        if not len(levels) or isinstance(next(iter(self._place)), str):
            levels = levels.astype(object)
        dtype = pd.CategoricalDtype(levels, self._ordered)
        return pd.Categorical.from_codes(self._codes, dtype=dtype)  # type: ignore[arg-type]


class _Others:
    """Columns of any other type, as pandas has them."""

    def __init__(self, kind: Any) -> None:
        self._kind, self._parts = kind, []

    def add(self, column: Any, start: int) -> None:
        self._parts.append(column)

    def done(self) -> Any:
        return pa.chunked_array(self._parts, self._kind).to_pandas().array


def _builder(kind: Any, rows: int, as_it_is: bool) -> Any:
    types: Callable[..., Any] | Any = pa.types
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    if text or types.is_dictionary(kind):
        return _Levels(rows, kind)
    if types.is_boolean(kind) or (types.is_integer(kind) and kind != pa.uint64()):
        return _Numbers(rows, not as_it_is)
    if types.is_floating(kind):
        return _Fractions(rows, not as_it_is)
    return _Others(kind)


def _is_boolean(column: Any) -> bool:
    return pa.types.is_boolean(column.type)


def _least(values: np.ndarray) -> np.dtype:
    """Return the narrowest signed type that holds whole numbers."""
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    return next(np.dtype(d) for d in SIGNED if np.iinfo(d).min <= low and high <= np.iinfo(d).max)


def _with_room(values: np.ndarray | None, rows: int, dtype: np.dtype) -> np.ndarray:
    """Return the values so far in a type that holds those to come too."""
    if values is None:
        return np.empty(rows, dtype)
    return values.astype(np.promote_types(values.dtype, dtype), copy=False)
