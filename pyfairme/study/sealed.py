"""JSON files that show when one byte of them has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["Untrusted", "bytes_of", "read_sealed", "sealed"]

SEAL = "sha256"  # the last entry: of the text without it


class Untrusted(Exception):
    """A file is not as it was written; the text says why."""


def sealed(content: Mapping[str, Any]) -> str:
    """Return the text of a file that holds some plain values and their SHA-256."""
    text = _json(content)
    return _json({**content, SEAL: hashlib.sha256(text.encode()).hexdigest()})


def read_sealed(path: Path) -> dict[str, Any]:
    """Return the values of a file of `sealed`.

    Raises
    ------
    Untrusted
        When the file cannot be read, has no checksum, or one byte differs from what was written.
    """
    try:
        text = bytes_of(path).decode("utf-8")
        found = json.loads(text)
        seal = found.pop(SEAL)
    except (ValueError, RecursionError) as error:  # of decoding as well
        raise Untrusted(f"{path.name} is damaged") from error
    except (KeyError, AttributeError, TypeError, IndexError) as error:  # a list, a number
        raise Untrusted(f"{path.name} has no checksum (of an older version, or altered)") from error
    if sealed(found) != text or not isinstance(seal, str):
        raise Untrusted(f"{path.name} is not as it was written")
    return found


def bytes_of(path: Path) -> bytes:
    """Return what a regular file holds; a pipe may wait forever.

    Raises
    ------
    Untrusted
        When it cannot be read.
    """
    try:
        if not path.exists():
            raise Untrusted(f"{path.name} is missing")
        if not path.is_file():
            raise Untrusted(f"{path.name} is no file")
        return path.read_bytes()
    except OSError as error:
        raise Untrusted(f"{path.name} cannot be read: {error.strerror}") from error


def _json(value: Any) -> str:
    return json.dumps(value, indent=1) + "\n"  # ASCII: every text can be written
