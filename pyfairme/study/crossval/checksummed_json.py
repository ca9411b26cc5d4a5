"""JSON files that show when one byte of them has changed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyfairme.persistence.regular_files import opened

CHECKSUM = "sha256"  # the last entry: of the text without it


class Untrusted(Exception):
    """A file is not as it was written; the text says why."""


def with_checksum(content: Mapping[str, Any]) -> str:
    """Return the text of a file that holds some plain values and their SHA-256."""
    text = _json(content)
    return _json({**content, CHECKSUM: hashlib.sha256(text.encode()).hexdigest()})


def read_checked(path: Path) -> dict[str, Any]:
    """Return the values of a file of `with_checksum`.

    Raises
    ------
    Untrusted
        When the file cannot be read, has no checksum, or one byte differs from what was written.
    """
    try:
        text = bytes_of(path).decode("utf-8")
        found = json.loads(text)
        checksum = found.pop(CHECKSUM)
    except (ValueError, RecursionError) as error:  # of decoding as well
        raise Untrusted(f"{path.name} is damaged") from error
    except (KeyError, AttributeError, TypeError, IndexError) as error:  # a list, a number
        raise Untrusted(f"{path.name} has no checksum (of an older version, or altered)") from error
    if with_checksum(found) != text or not isinstance(checksum, str):
        raise Untrusted(f"{path.name} is not as it was written")
    return found


def bytes_of(path: Path) -> bytes:
    """Return what a regular file holds.

    Raises
    ------
    Untrusted
        When it cannot be read.
    """
    try:
        with opened(path) as file:
            return file.read()
    except FileNotFoundError as error:
        raise Untrusted(f"{path.name} is missing") from error
    except (IsADirectoryError, ValueError) as error:
        raise Untrusted(f"{path.name} is no file") from error
    except OSError as error:
        reason = os.strerror(error.errno or errno.EIO).lower()
        raise Untrusted(f"{path.name} cannot be read: {reason}") from error


def _json(value: object) -> str:
    return json.dumps(value, indent=1) + "\n"  # ASCII: every text can be written
