"""Tables: read CSV, TSV and Parquet files, write them, and refuse what cannot be one."""

import tempfile
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path

import pandas as pd
import typer

from pyfairme.atomic import replacing, target_of
from pyfairme.cli.parquet_files import read_parquet
from pyfairme.cli.reading import PLAIN, Reading
from pyfairme.cli.text_tables import Columns, read_text
from pyfairme.report.writing import write_csv

SEPARATORS = {".csv": ",", ".tsv": "\t"}
ZIPPED = (".gz",)
PARQUET = (".parquet", ".pq")
MOST_NAMES = 30
KNOWN = ".csv, .csv.gz, .tsv, .tsv.gz, .parquet"


def read_table(
    path: Path,
    text: Iterable[str] = (),
    *,
    numbers: Iterable[str] = (),
    used: Callable[[str], bool] | None = None,
    reading: Reading = PLAIN,
) -> pd.DataFrame:
    """Read a table, see `read_table_as`, which also returns how it was read."""
    return read_table_as(path, text, numbers=numbers, used=used, reading=reading)[0]


def read_table_as(
    path: Path,
    text: Iterable[str] = (),
    *,
    numbers: Iterable[str] = (),
    used: Callable[[str], bool] | None = None,
    reading: Reading = PLAIN,
) -> tuple[pd.DataFrame, Reading]:
    """Read a table, with the kind of file told by its suffix.

    Parameters
    ----------
    path
        A CSV or TSV file with a header, also zipped with gzip, or a Parquet file.
    text
        Columns of a text file that are read as they are written: clusters, groups and codes.
    numbers
        Columns of a text file that a model takes as numbers, also with leading zeros.
    used
        Whether a column counts for anything; None: all do. Nothing is said of others.
    reading
        Encoding, separator, decimal mark and gaps, as far as they are known.

    Returns
    -------
    DataFrame
        Rows in the order of the file, numbered from 0. Only blank cells and the words of
        ``reading.missing`` are gaps; among numbers words such as NA are gaps too. A column without
        a role holds numbers if all its cells are some and nothing is lost, or booleans, or text.
    Reading
        How it was read.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        When the suffix is not known, or the file is empty, damaged, cut off, no text, without rows,
        not regular, can be read in two ways, or has two columns of one name.
    """
    kind = _kind(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}: check the path. [no-file]")
    if kind in PARQUET:
        frame, found = read_parquet(path, reading.missing), reading
    else:
        frame, found = read_text(path, SEPARATORS[kind], Columns.of(text, numbers, used), reading)
    if len(frame) == 0:
        raise ValueError(f"{path.name} has a header and no rows. [no-rows]")
    return frame, found


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table without row numbers, with the kind of file told by its suffix.

    The file appears whole or not at all, see `pyfairme.atomic.replacing`.
    """
    kind = _kind(path)
    if kind in PARQUET:
        with replacing(path) as file:
            frame.to_parquet(file, index=False, write_page_checksum=True)
    else:
        write_csv(frame, path, sep=SEPARATORS[kind])


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
    OSError
        When it is a device, a pipe or write-protected.
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
    target_of(path)


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
