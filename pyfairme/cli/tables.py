"""Tables: read CSV, TSV and Parquet files, write them, and refuse what cannot be one."""

import gzip
import math
import re
import tempfile
import warnings
import zlib
from collections import Counter
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

# Texts that pandas takes for gaps and that may be names: Namibia, a religion, a street.
NAMES_OR_GAPS = frozenset(
    {"NA", "N/A", "n/a", "None", "NULL", "null", "NaN", "nan", "-NaN", "-nan"}
)
# Texts that nobody gives as a name: of spreadsheets, databases and C.
NEVER_NAMES = frozenset(
    {"", "#N/A", "#N/A N/A", "#NA", "<NA>", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"}
)
WHOLE = 2**53  # above this, floating-point numbers skip whole ones


def read_table(path: Path, roles: Iterable[str] = ()) -> pd.DataFrame:
    """Read a table, with the kind of file told by its suffix.

    Parameters
    ----------
    path
        A CSV or TSV file in UTF-8 with a header, also zipped with gzip, or a Parquet file.
    roles
        Columns of clusters and groups. Those of a text file hold names: "None" and "NA" are names
        there, and "01" is not "1". Numbers without leading zeros stay numbers.

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
        raise FileNotFoundError(f"there is no file {str(path)!r}: check the path. [no-file]")
    frame = _read_parquet(path) if kind in PARQUET else _read_text(path, SEPARATORS[kind], roles)
    if len(frame) == 0:
        raise ValueError(f"{path.name} has a header and no rows. [no-rows]")
    return frame


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table without row numbers, with the kind of file told by its suffix."""
    kind = _kind(path)
    try:
        if kind in PARQUET:
            frame.to_parquet(path, index=False, write_page_checksum=True)
        else:
            frame.to_csv(path, sep=SEPARATORS[kind], index=False)
    except OSError as error:  # a full disk
        raise ValueError(f"cannot write {path}: {error.strerror}. [cannot-write]") from error


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
    if _is_folder(path, option):
        raise ValueError(
            f"{option} {str(path)!r} is a folder: give the name of a file in it. [output-file]"
        )
    if any(path.resolve() == other.resolve() for other in inputs):
        raise ValueError(
            f"{option} {str(path)!r} is a file that is read: choose another name. [output-file]"
        )
    check_folder(path.parent, option)


def _is_folder(path: Path, option: str) -> bool:
    try:
        return path.is_dir()
    except OSError as error:  # a name of 300 letters
        raise ValueError(
            f"{option}: cannot write to {str(path)[:40]!r}: {error.strerror}. [cannot-write]"
        ) from error


def check_folder(folder: Path, option: str = "--out") -> None:
    """Make the folder and try to write, before a minute is spent; raise BadParameter."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise typer.BadParameter(
            f"cannot write to {folder}: {error.strerror}. Choose another folder with {option}. "
            "[cannot-write]",
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
            advice = _advice(name, names)
            raise ValueError(f"{option}: there is no column {name!r}. {advice} [absent-column]")


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
        "as CSV UTF-8). [file-suffix]"
    )


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        # of files without checksums, which is most, a flipped bit may give another number
        frame = pd.read_parquet(path, page_checksum_verification=True)
    except (ValueError, OSError) as error:
        raise ValueError(
            f"{path.name} is no Parquet file that can be read: {error} [damaged-file]"
        ) from error
    frame.columns = [str(name) for name in frame.columns]
    return frame.reset_index(drop=True)


def _read_text(path: Path, separator: str, roles: Iterable[str] = ()) -> pd.DataFrame:
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
        frame.columns = names
        named = [name for name in dict.fromkeys(roles) if name and name in names]
        if named:
            found = pd.read_csv(
                path, usecols=[names.index(name) for name in named], dtype=str,
                keep_default_na=False, skipinitialspace=True, **options,
            )  # fmt: skip
            found.columns = [name for name in names if name in named]
            frame = frame.assign(**{n: _names_of(frame[n], found[n].fillna("")) for n in named})
    except pd.errors.EmptyDataError as error:
        raise ValueError(f"{path.name} is empty. [no-rows]") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is not UTF-8 text: save it as UTF-8. [not-utf-8]") from error
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        why = str(error).strip()
        raise ValueError(f"{path.name} is not a regular table: {why} [ragged-table]") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path.name} is a damaged gzip file: {error} [damaged-file]") from error
    nameless = [i for i, name in enumerate(names) if not name]
    if nameless:
        say_note(f"{path.name}: left out {len(nameless)} column without a name (row numbers).")
        frame = frame.drop(columns="")
    return frame


def _names_of(usual: pd.Series, text: pd.Series) -> pd.Series:
    """Return a column of clusters or groups: ``usual`` if it holds numbers, else all its names.

    Parameters
    ----------
    usual
        As pandas reads it.
    text
        As it is written, (n,).
    """
    texts = {label: str(label).strip() for label in pd.unique(text)}
    gaps = [label for label, bare in texts.items() if bare in NEVER_NAMES]
    names = [bare for bare in texts.values() if bare not in NEVER_NAMES | NAMES_OR_GAPS]
    if not names or usual.dtype.kind == "b" or (_are_exact(usual) and all(map(_is_number, names))):
        return usual
    if unclear := sorted(set(texts.values()) & NAMES_OR_GAPS):
        say_note(
            f"{usual.name!r} has {', '.join(map(repr, unclear))}, read as a name; leave cells "
            "empty where the value is missing. [name-or-gap]"
        )
    return text.astype(object).mask(text.isin(gaps), None)


def _are_exact(usual: pd.Series) -> bool:
    """Tell whether a column was read as numbers of which none lost a digit."""
    if usual.dtype.kind == "f":
        return bool((usual.abs().fillna(0) < WHOLE).all())
    return usual.dtype.kind in "iu"


def _is_number(text: str) -> bool:
    """Tell whether a text is a number and no code: codes have leading zeros."""
    try:
        return math.isfinite(float(text)) and not re.match(r"[+-]?0\d", text)
    except ValueError:
        return False


def _check_header(path: Path, names: list[str], separator: str) -> None:
    repeated = sorted(name for name, times in Counter(names).items() if name and times > 1)
    if repeated:
        raise ValueError(
            f"{path.name} has several columns called {repeated[0]!r}: rename them. [column-twice]"
        )
    others = [mark for mark in (",", ";", "\t", "|") if mark != separator and mark in names[0]]
    if len(names) == 1 and others:
        shown = "a tab" if others[0] == "\t" else repr(others[0])
        raise ValueError(
            f"{path.name} seems to be separated by {shown}, not by "
            f"{'a tab' if separator == chr(9) else repr(separator)}: save it as .csv with commas, "
            "or as .tsv with tabs. [separator]"
        )
