"""What a text file is written in: its encoding, and the mark between cells.

Both are taken from the file only where its bytes leave no other sensible reading.
"""

import codecs
import csv
import gzip
import io
import re
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, NamedTuple

CHUNK = 1 << 20
SAMPLE_ROWS = 100
MARKS = (",", ";", "\t", "|")
BYTE_ORDER = (  # longest first: the mark of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF8, "utf-8-sig", ""),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
OTHER_FILES = {
    b"\x1f\x8b": "a gzip file: name it .csv.gz",
    b"PK\x03\x04": "a zip file or an Excel sheet: save the sheet as CSV",
    b"PAR1": "a Parquet file: name it .parquet",
    b"\x89PNG": "a picture",
    b"%PDF": "a PDF file",
}
NULS = 0.1  # share of NUL bytes above which a file is UTF-16, or no text
CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1f]")
NOT_WESTERN = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")  # that Windows-1252 leaves undefined
# Three letters with accents in a row are no Western word: another alphabet, most likely.
FOREIGN = re.compile(rb"[\x80-\xff]{3,}")
SIGNS = frozenset(b"\x80\x82\x84\x85\x8b\x91\x92\x93\x94\x95\x96\x97\x9b\xa0\xa7\xab\xb0\xb7\xbb")
TWO_BYTES = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}")  # of UTF-8
WORD = re.compile(r"\w*[^\W\x00-\x7f]\w*")


class Written(NamedTuple):
    """How a text file is written.

    Attributes
    ----------
    encoding
        As Python names it.
    shown
        What to say of it; "" for UTF-8.
    ended
        Whether the last line has its end.
    """

    encoding: str
    shown: str
    ended: bool


def find_encoding(path: Path, given: str | None) -> Written:
    """Find the encoding of a file, or check the one that is given.

    Byte order marks say it. Without one, UTF-8 is tried on the whole file, and UTF-16 where every
    other byte is NUL. What is left is Windows-1252 (with Latin-1 in it), unless letters follow each
    other as they do in other alphabets.

    Raises
    ------
    ValueError
        When the file is no text, is cut within a character, has not the given encoding, or may
        have several.
    """
    with _opened(path) as file:
        head = file.read(4096)
    if given is not None:
        return Written(given, "", _decoded(path, given, given))
    for start, what in OTHER_FILES.items():
        if head.startswith(start):
            raise ValueError(f"{path.name} is not text but {what}. [not-text]")
    for mark, encoding, shown in BYTE_ORDER:
        if head.startswith(mark):
            return Written(encoding, shown, _decoded(path, encoding, shown or "UTF-8"))
    if head.count(0) > NULS * len(head):
        encoding = _without_mark(path, head)
        return Written(encoding, "UTF-16", _decoded(path, encoding, "UTF-16"))
    try:
        return Written("utf-8", "", _ended(path, "utf-8"))
    except UnicodeDecodeError as error:
        return _western(path, error)


def _opened(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore


def _chunks(path: Path) -> Iterator[bytes]:
    with _opened(path) as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _ended(path: Path, encoding: str) -> bool:
    """Decode the whole file; return whether its last line has an end."""
    decoder, last, line = codecs.getincrementaldecoder(encoding)(), "", 1
    for chunk in _chunks(path):
        text = decoder.decode(chunk)
        if "\0" in text:  # where some versions of pandas cut a cell
            line += text.count("\n", 0, text.index("\0"))
            raise ValueError(
                f"{path.name} is not text: it has a NUL character in line {line:,}. Write it anew, "
                "delete the character, or name its encoding with --encoding. [not-text]"
            )
        last, line = text[-1:] or last, line + text.count("\n")
    decoder.decode(b"", final=True)
    return last in ("\n", "\r")


def _decoded(path: Path, encoding: str, shown: str) -> bool:
    """Return whether the last line has an end; raise ValueError for another encoding."""
    try:
        return _ended(path, encoding)
    except UnicodeError as error:
        if _is_cut(error):
            raise _cut(path) from error
        raise ValueError(
            f"{path.name} is not {shown} text ({getattr(error, 'reason', error)}): name its "
            "encoding with --encoding, or leave the option out. [encoding]"
        ) from error


def _is_cut(error: UnicodeError) -> bool:
    reason = str(getattr(error, "reason", ""))
    return "unexpected end" in reason or "truncated data" in reason


def _cut(path: Path) -> ValueError:
    return ValueError(
        f"{path.name} ends within a character: it seems cut off. Copy or download it again; if it "
        "is whole, name its encoding with --encoding. [truncated-table]"
    )


def _without_mark(path: Path, head: bytes) -> str:
    """Tell the two UTF-16 by the place of the NUL bytes, which the letters of English have."""
    first, second = head[::2].count(0), head[1::2].count(0)
    if second > 4 * first:
        return "utf-16-le"
    if first > 4 * second:
        return "utf-16-be"
    raise ValueError(f"{path.name} is not text: it is full of NUL bytes. [not-text]")


def _western(path: Path, error: UnicodeDecodeError) -> Written:
    """Return Windows-1252 where a file that is not UTF-8 can be nothing else."""
    data = b"".join(_chunks(path))
    if CONTROLS.search(data):
        raise ValueError(f"{path.name} is not text: it has control characters. [not-text]")
    if _is_cut(error):
        raise _cut(path) from error
    foreign = NOT_WESTERN.search(data) or any(
        not SIGNS.issuperset(run[0]) for run in FOREIGN.finditer(data)
    )
    if foreign or TWO_BYTES.search(data):
        why = "its letters are none of Western Europe" if foreign else "some of its lines are UTF-8"
        place = _first_line(data)
        raise ValueError(
            f"{path.name} is not UTF-8 text (line {place}), and {why}: save it as UTF-8, or name "
            "its encoding with --encoding (cp1250, cp1251, shift_jis, gb18030, ...). [not-utf-8]"
        )
    text = data.decode("cp1252")
    word = WORD.search(text)
    such = f" (such as {word[0]!r}; --encoding names another)" if word else ""
    return Written("cp1252", f"Windows-1252{such}", text.endswith(("\n", "\r")))


def _first_line(data: bytes) -> int:
    """Return the number of the first line that is not UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return data.count(b"\n", 0, error.start) + 1
    return 1


def find_separator(path: Path, encoding: str, usual: str, skipped: int = 0) -> str:
    """Find the mark between cells: the usual one, unless only another one makes a table.

    Parameters
    ----------
    path
        The file.
    encoding
        Its encoding.
    usual
        The mark that its suffix stands for.
    skipped
        Lines before the header.

    Raises
    ------
    ValueError
        When two marks give a table in which all rows have as many cells as the header.
    """
    widths, regular = {}, []
    for mark in dict.fromkeys((usual, *MARKS)):
        rows = [len(r) for r in islice(cells_of(path, encoding, mark, skipped), SAMPLE_ROWS)]
        widths[mark] = rows[0] if rows else 0
        if widths[mark] > 1 and len(set(rows)) == 1:
            regular.append(mark)
    if usual in regular and len(regular) > 1:
        raise ValueError(
            f"{path.name} is a table whether {' or '.join(map(shown_mark, regular))} separate its "
            "cells: say which with --separator. [separator]"
        )
    if not regular and widths[usual] > 1:
        return usual
    return max(regular or widths, key=lambda mark: widths[mark])


def cells_of(path: Path, encoding: str, mark: str, skipped: int = 0) -> Iterator[list[str]]:
    """Yield the cells of each row that is not empty, the header first."""
    limit = csv.field_size_limit(sys.maxsize)  # a cell may hold a text of any length
    try:
        with _opened(path) as file, io.TextIOWrapper(file, encoding, newline="") as lines:
            rows = csv.reader(islice(lines, skipped, None), delimiter=mark, skipinitialspace=True)
            yield from filter(None, rows)
    finally:
        csv.field_size_limit(limit)


def shown_mark(mark: str) -> str:
    """Return a mark as it is said.

    Examples
    --------
    >>> shown_mark(";"), shown_mark(chr(9))
    ("';'", 'tabs')
    """
    return "tabs" if mark == "\t" else repr(mark)
