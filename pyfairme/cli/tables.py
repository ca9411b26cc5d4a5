"""Tables: read CSV, TSV and Parquet files, write them, and refuse what cannot be one."""

import tempfile
import warnings
import zlib
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd
import typer

from pyfairme.cli.problems import say_note

__all__ = ["check_columns", "check_folder", "check_output", "read_table", "write_table"]

SEPARATORS = {".csv": ",", ".tsv": "\t"}
ZIPPED = (".gz",)
PARQUET = (".parquet", ".pq")
MOST_NAMES = 30
KNOWN = ".csv, .csv.gz, .tsv, .tsv.gz, .parquet"


def read_table(path: Path) -> pd.DataFrame:
    """Read a table, with the kind of file told by its suffix.

    Parameters
    ----------
    path
        A CSV or TSV file in UTF-8 with a header, also zipped with gzip, or a Parquet file.

    Returns
    -------
    DataFrame
        Rows in the order of the file, numbered from 0. Columns of CSV files without a name in the
        header, which are row numbers, are left out, and a note says so.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        When the suffix is not known, or the file is empty, not UTF-8, without rows, not
        separated as its suffix says, or has two columns of one name.
    """
    kind = _kind(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}: check the path.")
    frame = _read_parquet(path) if kind in PARQUET else _read_text(path, SEPARATORS[kind])
    if len(frame) == 0:
        raise ValueError(f"{path.name} has a header and no rows.")
    return frame


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table without row numbers, with the kind of file told by its suffix."""
    kind = _kind(path)
    if kind in PARQUET:
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, sep=SEPARATORS[kind], index=False)


def check_output(path: Path, option: str, *, table: bool = True, inputs: Iterable[Path]) -> None:
    """Refuse a file that cannot be written, before any work is done.

    Parameters
    ----------
    path
        The file to write. Its folder is made.
    option
        Name of the option that it comes from.
    table
        Whether a table is to be written: the suffix must then be known.
    inputs
        Files that must not be overwritten.

    Raises
    ------
    ValueError
        When the suffix is not known, the file is one of the inputs or a folder.
    BadParameter
        When its folder cannot be written to.
    """
    if table:
        _kind(path)
    if path.is_dir():
        raise ValueError(f"{option} {str(path)!r} is a folder: give the name of a file in it.")
    if any(path.resolve() == other.resolve() for other in inputs):
        raise ValueError(f"{option} {str(path)!r} is a file that is read: choose another name.")
    check_folder(path.parent, option)


def check_folder(folder: Path, option: str = "--out") -> None:
    """Make the folder and try to write, before a minute is spent; raise BadParameter."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise typer.BadParameter(
            f"cannot write to {folder}: {error.strerror}. Choose another folder with {option}.",
            param_hint=option,
        ) from error


def check_columns(wanted: Iterable[str], frame: pd.DataFrame, option: str) -> None:
    """Refuse names that are not columns, with the nearest name.

    Raises
    ------
    ValueError
        For the first name that is not there.
    """
    names = [str(name) for name in frame.columns]
    for name in wanted:
        if name not in names:
            raise ValueError(f"{option}: there is no column {name!r}. {_advice(name, names)}")


def _advice(name: str, names: list[str]) -> str:
    lower = {known.lower(): known for known in names}  # "Income" for income is the usual slip
    near = get_close_matches(name.lower(), lower, n=1)
    hint = f"Did you mean {lower[near[0]]!r}? " if near else ""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{hint}Columns are {', '.join(names[:MOST_NAMES])}{more}."


def _kind(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = suffixes[-1] if suffixes else ""
    if kind in ZIPPED and len(suffixes) > 1 and suffixes[-2] in SEPARATORS:
        return suffixes[-2]
    if kind in SEPARATORS or kind in PARQUET:
        return kind
    found = f"the suffix {kind!r}" if kind else "no suffix"
    raise ValueError(
        f"{path.name!r} has {found}: tables are {KNOWN}. Save it as one of these (an Excel sheet "
        "as CSV UTF-8)."
    )


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path.name} is no Parquet file that can be read: {error}") from error
    frame.columns = [str(name) for name in frame.columns]
    return frame.reset_index(drop=True)


def _read_text(path: Path, separator: str) -> pd.DataFrame:
    options: dict[str, Any] = {"sep": separator, "encoding": "utf-8-sig", "index_col": False}
    try:
        header = pd.read_csv(
            path, nrows=1, header=None, dtype=str, keep_default_na=False, **options
        )
        names = [str(name).strip() for name in header.iloc[0]]
        _check_header(path, names, separator)
        with warnings.catch_warnings():
            # rows longer than the header would be cut with a warning: a table must be regular
            warnings.simplefilter("error", pd.errors.ParserWarning)
            # low_memory=False: the type of a column is that of all its rows
            frame = pd.read_csv(path, low_memory=False, skipinitialspace=True, **options)
    except pd.errors.EmptyDataError as error:
        raise ValueError(f"{path.name} is empty.") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is not UTF-8 text: save it as UTF-8.") from error
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise ValueError(f"{path.name} is not a regular table: {error}") from error
    except (EOFError, zlib.error) as error:
        raise ValueError(f"{path.name} is a damaged gzip file: {error}") from error
    frame.columns = names
    nameless = [i for i, name in enumerate(names) if not name]
    if nameless:
        say_note(f"{path.name}: left out {len(nameless)} column without a name (row numbers).")
        frame = frame.drop(columns="")
    return frame


def _check_header(path: Path, names: list[str], separator: str) -> None:
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        raise ValueError(f"{path.name} has several columns called {repeated[0]!r}: rename them.")
    others = [mark for mark in (",", ";", "\t") if mark != separator and mark in names[0]]
    if len(names) == 1 and others:
        shown = "a tab" if others[0] == "\t" else repr(others[0])
        raise ValueError(
            f"{path.name} seems to be separated by {shown}, not by "
            f"{'a tab' if separator == chr(9) else repr(separator)}: save it as .csv with commas, "
            "or as .tsv with tabs."
        )
