"""Accept regular files only: pipes and devices may never end."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from pyfairme.notices import shown


def as_path(path: Any) -> Path:
    """Return the path that a user gave; refuse what is no name of a file."""
    try:
        text = os.fspath(path)
    except TypeError:
        text = None
    if not isinstance(text, str) or not text or "\0" in text:
        kind = TypeError if not isinstance(text, str) else ValueError
        raise kind(
            f"path must be the name of a file, as text or a pathlib.Path; got {shown(path)} [path]"
        )
    return Path(text)


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error).lower()


@contextmanager
def opened_archive(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file that begins as an archive does."""
    with opened(path) as file:
        with _reading(path):
            start = file.read(2)
        if start != b"PK":
            raise ValueError(
                f"expected a file written by pyfairme's save, got {str(path)!r}, which is no zip "
                "archive: check the path [no-model-file]"
            )
        yield file


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file; refuse all else before it can make us wait."""
    with _reading(path):
        mode = path.stat().st_mode
    _check_regular(path, mode)
    with _reading(path):
        file = open(path, "rb", opener=_at_once)  # noqa: SIM115 (closed below)
    with file:
        _check_regular(path, os.fstat(file.fileno()).st_mode)  # it may be another one by now
        yield file


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe makes us wait otherwise


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"there is no file {str(path)!r}: check the path [no-file]"
        ) from error
    except OSError as error:
        raise cannot_read(path, error) from error


def cannot_read(path: str | os.PathLike[str], error: OSError) -> OSError:
    """Return an error of the same class and number that names the file."""
    found = type(error)(f"cannot read {str(path)!r}: {_reason(error)} [cannot-read]")
    found.errno = error.errno
    return found


def _check_regular(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(
            f"expected a file written by pyfairme's save, got the folder {str(path)!r}: name the "
            "file in it [not-a-file]"
        )
    if not stat.S_ISREG(mode):
        raise ValueError(
            f"expected a file written by pyfairme's save, got {str(path)!r}, which is a device, a "
            "pipe or a socket: copy it to a file first [not-a-file]"
        )
