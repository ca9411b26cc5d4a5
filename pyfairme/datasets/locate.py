"""Find the files of a data set that the package may not ship, or say where to get them."""

import os
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

VARIABLE = "PYFAIRME_DATA"
Paths = str | Path | Sequence[str | Path]


class Origin(NamedTuple):
    """Where a data set comes from.

    Attributes
    ----------
    name
        Its name in messages.
    folder
        Its folder below the one that the environment variable names.
    files
        The names of the files that the loader reads.
    source
        How and where they are obtained.
    terms
        Under which terms.
    """

    name: str
    folder: str
    files: str
    source: str
    terms: str


def data_folder(origin: Origin) -> Path:
    """Return the folder of a data set below the one that PYFAIRME_DATA names.

    Raises
    ------
    FileNotFoundError
        When the variable is not set or there is no such folder.
    """
    root = os.environ.get(VARIABLE)
    if not root:
        raise missing_file(origin, f"no path was given and {VARIABLE} is not set")
    folder = Path(root).expanduser() / origin.folder
    if not folder.is_dir():
        raise missing_file(origin, f"{VARIABLE} names {root!r}, which has no {origin.folder!r}")
    return folder


def files_of(origin: Origin, path: Paths | None) -> list[Path]:
    """Return the files or folders that the argument of a loader names.

    Parameters
    ----------
    origin
        The data set.
    path
        A file, a folder, several of them, or None for the folder below PYFAIRME_DATA.

    Raises
    ------
    FileNotFoundError
        When one of them does not exist, or none is given.
    ValueError
        When it is no path.
    """
    if path is None:
        return [data_folder(origin)]
    given: list[Any] = [path] if isinstance(path, str | Path) else []
    if not given and isinstance(path, Sequence):
        given = list(path)
    elif not given:
        raise _no_path(path)
    for item in given:
        if not isinstance(item, str | Path):
            raise _no_path(item)
    paths = [Path(item).expanduser() for item in given]
    if not paths:
        raise missing_file(origin, "the list of files is empty")
    for item in paths:
        if not item.exists():
            raise missing_file(origin, f"there is no {str(item)!r}")
    return paths


def _no_path(given: object) -> ValueError:
    return ValueError(
        f"path must be a file, a folder or a list of these, as text or pathlib.Path; got "
        f"{type(given).__name__} {str(given)[:60]!r}. [data-path]"
    )


@contextmanager
def readable(file: Path) -> Iterator[None]:
    """Say of a file that cannot be read which one it is, and what to do."""
    from pyarrow.lib import ArrowException

    try:
        yield
    except pd.errors.EmptyDataError as error:
        raise ValueError(
            f"The file {str(file)!r} is empty: get it again. [damaged-file]"
        ) from error
    except (
        pd.errors.ParserError,
        UnicodeDecodeError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        ArrowException,
    ) as error:
        raise ValueError(
            f"The file {str(file)!r} cannot be read ({error}): it is damaged or of another kind; "
            "get it again. [damaged-file]"
        ) from error


def missing_file(origin: Origin, found: str) -> FileNotFoundError:
    """Return the error that says what is missing, where to get it and where to put it."""
    return FileNotFoundError(
        f"Expected the files of {origin.name} ({origin.files}), but {found}. They do not come "
        f"with pyfairme. Where to get them: {origin.source} Terms: {origin.terms} Where to put "
        f"them: anywhere, and pass the file or folder as path; or in a folder {origin.folder!r}, "
        f"and set the environment variable {VARIABLE} to the folder above it. [data-files]"
    )
