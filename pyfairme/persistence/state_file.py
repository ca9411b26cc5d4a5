"""Plain state to one file and back, without pickle.

A file is a zip archive of two stored members: ``config.json`` (the structure of the state, who
wrote it, and the seals: SHA-256 digests, with a key an HMAC) and ``arrays.safetensors`` (every
array). Reading it runs no code of it, and takes no more memory than about three times the file:
whatever would take more is refused before it is read.
This module knows no estimator: whoever saves says what `kind` of thing the state describes.
"""

import errno
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import numpy as np
from safetensors.numpy import save as save_tensors

from pyfairme.atomic import replacing
from pyfairme.notices import StateError, shown
from pyfairme.persistence.archive import ARRAYS, CONFIG, check_room, members, pack
from pyfairme.persistence.limited_json import parse
from pyfairme.persistence.regular_files import as_path, cannot_read, opened_archive
from pyfairme.persistence.seals import check_seals, check_signature, sealed, secret_of
from pyfairme.persistence.tensors import read_tensors
from pyfairme.persistence.tree import decode, encode

FORMAT_VERSION = 1
LIBRARIES = ("jax", "numpy", "numpyro", "pandas", "scikit-learn")
MOST_LETTERS = 200  # of what is said of a damaged file


def save_state(
    path: str | os.PathLike[str],
    state: Mapping[str, Any],
    *,
    kind: str,
    key: str | bytes | None = None,
) -> None:
    """Write a plain state to one file.

    Equal states give equal bytes. The file appears whole or not at all: it is written under a
    temporary name in the same folder and then renamed.

    Parameters
    ----------
    path
        File to write; an existing one is replaced and keeps its permissions and, where the system
        lets us, its owner; of a symbolic link the file that it names.
    state
        Nested dictionaries (with string keys), lists, tuples, strings, numbers, booleans, None, and
        boolean, integer or real NumPy arrays and scalars. JAX arrays become NumPy arrays.
    kind
        What the state describes, such as the name of a class; `load_state` returns it.
    key
        Secret of at least 16 bytes with which the file is signed (HMAC-SHA256), so that a reader
        with the key knows that nobody without it wrote or altered the file.

    Raises
    ------
    TypeError
        If something in the state is none of these; the message names its place.
    ValueError
        If the key is too short, or the state has so many names that it could not be read again.
    FileNotFoundError
        If the folder of `path` does not exist.
    OSError
        If `path` is a folder, a device, a pipe, read-only, or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "model.pyfairme"
    >>> save_state(path, {"hidden": (64, 32), "scale": np.float32([0.5])}, kind="Example")
    >>> load_state(path)
    ('Example', {'hidden': (64, 32), 'scale': array([0.5], dtype=float32)})
    """
    path = as_path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"no folder {str(path.parent)!r} to save {path.name!r} in: create it [no-folder]"
        )
    secret = secret_of(key)
    arrays: dict[str, np.ndarray] = {}
    structure = encode(state, "state", arrays)
    tensors = save_tensors(cast(Any, arrays))
    config = {
        "format": "pyfairme",
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "pyfairme": _version("pyfairme"),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "structure": structure,
    }
    text = sealed(config, tensors, secret)
    try:
        check_room(text, len(tensors))
    except ValueError as error:
        raise ValueError(
            f"cannot save to {str(path)!r} what could not be read again: {error}. Fewer names of "
            "clusters and levels would do [too-many-names]"
        ) from error
    with replacing(path) as file:
        file.write(pack({CONFIG: text, ARRAYS: tensors}))


def load_state(
    path: str | os.PathLike[str], *, key: str | bytes | None = None
) -> tuple[str, dict[str, Any]]:
    """Read a file that `save_state` wrote.

    Parameters
    ----------
    path
        File to read.
    key
        The secret that the file was signed with: any other file is refused. Without it a signed
        file is read like one that is not, and nothing is known of who wrote it.

    Returns
    -------
    kind, state
        As they were saved: arrays with their dtype and shape (writable, in native byte order),
        tuples as tuples, floats to the last bit.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    OSError
        If it cannot be read, or is a folder.
    ValueError
        If it is no file of pyfairme, is truncated or altered, or was written in a newer format;
        also for a pipe or a device, which may never end, and where the key does not fit.
    """
    path = as_path(path)
    secret = secret_of(key)
    with opened_archive(path) as file, as_of_a_file(path):
        text, tensors = members(file)
        config = parse(text)
    with as_of_a_file(path):
        _check_origin(config)
    _check_version(path, config["format_version"], config.get("pyfairme"))
    with as_of_a_file(path):
        signed, code = check_seals(text, tensors, config)
    check_signature(path, secret, signed, code)
    with as_of_a_file(path):
        return config["kind"], _decoded(config["structure"], text, tensors)


@contextmanager
def as_of_a_file(path: str | os.PathLike[str]) -> Iterator[None]:
    """Say of whatever fails in its block that the file is damaged.

    What a file says is somebody's text: rebuilding a thing from it may fail in any way, and all
    ways are the same mistake. Lack of memory is not, nor a disk that fails.
    """
    try:
        yield
    except MemoryError:
        raise
    except OSError as error:
        if error.errno in (None, errno.EINVAL):  # sent to a place that no file has
            raise _damaged(path, error) from error
        raise cannot_read(path, error) from error
    except Exception as error:
        raise _damaged(path, error) from error


def _decoded(structure: object, text: bytes, tensors: bytes) -> dict[str, Any]:
    """Return the state; every array of the file has one place in it."""
    named = text.count(b'"array": "') + text.count(b'"scalar": "')  # quotes in names are escaped
    arrays = read_tensors(tensors, named)
    state = decode(structure, arrays)
    if arrays:
        raise StateError(f"nothing refers to {len(arrays)} of its arrays")
    if not isinstance(state, dict):
        raise StateError(f"expected a dict, got {type(state).__name__}")
    return state


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # run from a source tree
        return "unknown"


def _check_origin(config: object) -> None:
    if not isinstance(config, dict) or config.get("format") != "pyfairme":
        raise StateError(f"{CONFIG} does not say that pyfairme wrote it")
    version = config.get("format_version")
    if type(version) is not int or version < 1:
        raise StateError(f"expected a format version from 1 on, got {shown(version)}")
    if version <= FORMAT_VERSION and not isinstance(config["kind"], str):
        raise StateError(f"expected the name of a kind, got {shown(config['kind'])}")


def _check_version(path: Path, version: int, writer: object) -> None:
    if version > FORMAT_VERSION:
        raise ValueError(
            f"expected a file of format {FORMAT_VERSION} or older, got format {version} in "
            f"{str(path)!r}, written by pyfairme {str(writer)[:20]}: upgrade pyfairme (here: "
            f"{_version('pyfairme')}) [newer-format]"
        )


def _damaged(path: str | os.PathLike[str], error: Exception) -> ValueError:
    missing = isinstance(error, KeyError) and error.args
    what = f"it has no {error.args[0]!r}" if missing else str(error)
    what = re.sub(r"\s*\[[a-z0-9-]+\]$", "", what).rstrip(".")  # one message, one code
    what = what if len(what) <= MOST_LETTERS else f"{what[:MOST_LETTERS]}..."
    return ValueError(
        f"the file {str(path)!r} is truncated or altered: {what}. Restore it from a copy, or save "
        "the model again [damaged-file]"
    )
