"""CSV and TSV files to frames: what is found out of a file, what is refused, and what is said."""

import csv
import gzip
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from pyfairme.cli.plain_numbers import PlainNumbers
from pyfairme.cli.problems import say_note
from pyfairme.cli.reading import Reading
from pyfairme.cli.text_cells import Cells, Decimals, Numbers, choose_decimals
from pyfairme.cli.text_files import Written, cells_of, find_encoding, find_separator, shown_mark
from pyfairme.data.columns import pick

EXCEL = re.compile(r"sep=(.)\s*")  # a first line that tells Excel the separator
MANY_ROWS = 1000  # from here on, columns of plain numbers are read at once
SHOWN = 5


class Columns(NamedTuple):
    """What is known of columns by their names.

    Attributes
    ----------
    text
        Those that are text, whatever they hold.
    numbers
        Those that are numbers, if they can be.
    used
        Whether a column counts for anything.
    """

    text: frozenset[str]
    numbers: frozenset[str]
    used: Callable[[str], bool]

    @classmethod
    def of(
        cls, text: Iterable[str], numbers: Iterable[str], used: Callable[[str], bool] | None
    ) -> "Columns":
        """Take names and a rule; None: all columns are used."""
        return cls(frozenset(text), frozenset(numbers), used or (lambda name: True))


def read_text(
    path: Path, usual: str, columns: Columns, reading: Reading
) -> tuple[pd.DataFrame, Reading]:
    """Read a text file; see `pyfairme.cli.table_files.read_table_as`.

    Parameters
    ----------
    path
        The file.
    usual
        The separator that its suffix stands for.
    columns
        What is known of its columns.
    reading
        What is known of the file.
    """
    try:
        written = find_encoding(path, reading.encoding)
        frame, separator, short = _cells(path, written.encoding, usual, reading.separator)
    except pd.errors.EmptyDataError as error:
        raise ValueError(f"{path.name} is empty. [no-rows]") from error
    except pd.errors.ParserError as error:
        why = str(error).strip()
        raise ValueError(f"{path.name} is not a regular table: {why} [ragged-table]") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path.name} is a damaged gzip file: {error} [damaged-file]") from error
    _check_short_rows(path, len(frame), short, written)
    frame = _without_blank_rows(path, frame)
    frame = _without_nameless(path, frame)
    decimals, values = _values(path, frame, columns, reading)
    _say(path, written, separator if separator != usual else "", reading, decimals)
    found = pd.DataFrame(values, index=frame.index)
    return found, replace(
        reading, encoding=written.encoding, separator=separator, decimal=decimals.mark
    )


def _cells(
    path: Path, encoding: str, usual: str, given: str | None
) -> tuple[pd.DataFrame, str, list[int]]:
    """Return the cells as text, the separator, and the numbers of rows with too few cells."""
    options: dict[str, Any] = {
        "encoding": encoding, "index_col": False, "dtype": str, "keep_default_na": False,
        "skipinitialspace": True,
    }  # fmt: skip
    first = pd.read_csv(path, sep="\0", header=None, nrows=1, quoting=csv.QUOTE_NONE, **options)
    skipped = 0
    if line := EXCEL.fullmatch(str(first.iloc[0, 0])):
        skipped, given = 1, given or line[1]
    separator = given or find_separator(path, encoding, usual, skipped)
    options |= {"sep": separator, "skiprows": skipped}
    # The header is read as a row: with one, pandas takes a first row that is longer for its own
    # kind of index, and some versions cut it without a word.
    frame = pd.read_csv(path, header=None, **options)
    header, frame = frame.iloc[0], frame.iloc[1:].reset_index(drop=True)
    names = [str(name).strip() for name in header]
    repeated = sorted(name for name, times in Counter(names).items() if name and times > 1)
    if repeated:
        same = sum(header == repeated[0]) > 1
        blanks = "" if same else " (blanks around a name do not count)"
        raise ValueError(
            f"{path.name} has several columns called {repeated[0]!r}{blanks}: rename them. "
            "[column-twice]"
        )
    frame.columns = names
    short: list[int] = []
    if len(names) > 1 and (frame.iloc[:, -1] == "").any():  # pandas fills up short rows with these
        rows = islice(cells_of(path, encoding, separator, skipped), 1, None)
        short = [number for number, row in enumerate(rows, 1) if len(row) < len(names)]
    return frame, separator, short


def _check_short_rows(path: Path, rows: int, short: list[int], written: Written) -> None:
    if not short:
        return
    if short[-1] >= rows and not written.ended:
        raise ValueError(
            f"{path.name} ends within a row, without an end of line: it seems cut off. Copy or "
            "download it again, or delete its last line. [truncated-table]"
        )
    are = "is" if len(short) == 1 else "are"
    say_note(
        f"{path.name}: {_count(len(short), 'row')} {are} shorter than the header, first row "
        f"{short[0]:,}: the cells at the end are taken for blank ones. [short-rows]"
    )


def _without_blank_rows(path: Path, frame: pd.DataFrame) -> pd.DataFrame:
    """Leave out rows at the end that hold nothing: spreadsheets write some."""
    last = len(frame)
    while last and not any(str(cell).strip() for cell in frame.iloc[last - 1]):
        last -= 1
    left_out = len(frame) - last
    if left_out and last:
        say_note(f"{path.name}: left out {_count(left_out, 'blank row')} at its end. [blank-rows]")
    return frame.iloc[:last]


def _without_nameless(path: Path, frame: pd.DataFrame) -> pd.DataFrame:
    """Leave out columns without a name: row numbers, or what follows a separator at the end."""
    named = [bool(name) for name in frame.columns]
    filled = [
        place + 1 for place, there in enumerate(named)
        if not there and frame.iloc[:, place].str.strip().any()
    ]  # fmt: skip
    if filled:
        places = ", ".join(map(str, filled[:SHOWN]))
        say_note(
            f"{path.name}: left out {_count(len(filled), 'column')} without a name (row "
            f"numbers?): column {places}. [nameless-column]"
        )
    return frame.loc[:, named]


def _values(
    path: Path, frame: pd.DataFrame, columns: Columns, reading: Reading
) -> tuple[Decimals, dict[str, pd.Series]]:
    """Return the decimal mark, and every column as numbers, booleans or text; say what is odd."""
    missing = frozenset(reading.missing)
    series = {str(name): pick(frame, name) for name in frame.columns}
    free = [name for name in series if name not in columns.text]
    quick = free if len(frame) >= MANY_ROWS else []
    plain = {n: p for n in quick if (p := PlainNumbers.of(series[n], missing)) is not None}
    cells = {n: Cells.of(column, missing) for n, column in series.items() if n not in plain}
    shapes = {name: found.shape for name, found in plain.items()}
    for name in (n for n in free if n in cells):
        shape = Numbers.of(cells[name].values)
        if name in columns.numbers or not shape.loses:
            shapes[name] = shape
    decimals = choose_decimals(
        shapes, reading.decimal, reading.usual_decimal, columns.used, path.name
    )
    values, names, gaps = {}, {}, {}
    for name, column in series.items():
        fits = name in shapes and shapes[name].fits[decimals.mark]
        if fits and name in plain:
            values[name] = plain[name].column
            continue
        one = cells.get(name) or Cells.of(column, missing)
        found = None
        if fits and (one.values or not one.texts or name in columns.numbers):
            found = one.as_numbers(decimals.mark)
        elif name not in columns.text:
            found = one.as_booleans()
        values[name] = one.as_text() if found is None else found
        if one.words and columns.used(name):
            (names if found is None else gaps)[name] = one.words
    _say_words(path, names, gaps)
    return decimals, values


def _say_words(path: Path, names: dict[str, list[str]], gaps: dict[str, list[str]]) -> None:
    if names:
        word = _words(names)[0]
        say_note(
            f"{path.name}: {_listed(_words(names))} in {_listed(names)}, read as a name. If it "
            f"means missing, give --missing {word!r}. [name-or-gap]"
        )
    if gaps:
        say_note(
            f"{path.name}: {_listed(_words(gaps))} among the numbers of {_listed(gaps)}, read as "
            "a gap. [gap-among-numbers]"
        )


def _words(found: Mapping[str, list[str]]) -> list[str]:
    return list(dict.fromkeys(word for words in found.values() for word in words))


def _say(
    path: Path, written: Written, separator: str, reading: Reading, decimals: Decimals
) -> None:
    """Say in one note what of the file is not plain, and was not asked for."""
    parts = [written.shown] if written.shown else []
    if separator and reading.separator is None:
        parts.append(f"separated by {shown_mark(separator)}")
    if decimals.mark == "," and reading.decimal is None:
        parts.append("with decimal commas")
    if decimals.grouped:
        parts.append(f"with marks between thousands in {_listed(decimals.grouped)}")
    if parts:
        say_note(f"{path.name}: read as {', '.join(parts)}. [read-as]")
    if decimals.unlike:
        name, cell = next(iter(decimals.unlike.items()))
        other = "," if decimals.mark == "." else "."
        kind = {",": "comma", ".": "point"}
        more = f", and {len(decimals.unlike) - 1} more" if len(decimals.unlike) > 1 else ""
        say_note(
            f"{path.name}: {cell!r} of {name!r}{more} is text here, as other cells of the table "
            f"have a decimal {kind[decimals.mark]}. If it is a number, write all with one mark; "
            f"--decimal {other} makes it the mark of all. [decimal-mark]"
        )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(repr(name) for name in names[:SHOWN]) + more
