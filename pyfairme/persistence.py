"""Plain state to one file and back, without pickle.

A file is a zip archive of two members: ``config.json`` (the structure of the state, who wrote it
and the SHA-256 digests) and ``arrays.safetensors`` (every array). Reading it runs no code of it.
This module knows no estimator: whoever saves says what `kind` of thing the state describes.
"""

import hashlib
import io
import json
import math
import os
import stat
import struct
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from pyfairme.atomic import replacing
from pyfairme.notices import shown

__all__ = ["FORMAT_VERSION", "load_state", "save_state"]

FORMAT_VERSION = 1

_CONFIG, _ARRAYS = "config.json", "arrays.safetensors"
_LIBRARIES = ("jax", "numpy", "numpyro", "pandas", "scikit-learn")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # equal states give equal bytes: no clock in the archive
_DTYPES = {"bool", "float16", "float32", "float64"}
_DTYPES |= {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
# What zipfile raises on damaged bytes, depending on which field of a header is hit.
_DAMAGE = (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError, ValueError)
_DAMAGE += (struct.error, KeyError, OverflowError)


def save_state(path: str | os.PathLike[str], state: Mapping[str, Any], *, kind: str) -> None:
    """Write a plain state to one file.

    Equal states give equal bytes. The file appears whole or not at all, see
    `pyfairme.atomic.replacing`.

    Parameters
    ----------
    path
        File to write; an existing one is replaced and keeps its permissions and owner; of a
        symbolic link the file that it names.
    state
        Nested dictionaries (with string keys), lists, tuples, strings, numbers, booleans, None, and
        boolean, integer or real NumPy arrays and scalars. JAX arrays become NumPy arrays.
    kind
        What the state describes, such as the name of a class; `load_state` returns it.

    Raises
    ------
    TypeError
        If something in the state is none of these; the message names its place.
    FileNotFoundError
        If the folder of `path` does not exist.
    OSError
        If `path` is a folder, a device, a pipe, write-protected, or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "model.pyfairme"
    >>> save_state(path, {"hidden": (64, 32), "scale": np.float32([0.5])}, kind="Example")
    >>> load_state(path)
    ('Example', {'hidden': (64, 32), 'scale': array([0.5], dtype=float32)})
    """
    path = _to_write(path)
    arrays: dict[str, np.ndarray] = {}
    structure = _encode(state, "state", arrays)
    tensors = save_tensors(cast(Any, arrays))
    config = {
        "format": "pyfairme",
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "pyfairme": _version("pyfairme"),
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "structure": structure,
        "sha256": {_ARRAYS: hashlib.sha256(tensors).hexdigest()},
    }
    config["sha256"][_CONFIG] = _config_digest(config)
    with replacing(path) as file:
        file.write(_pack({_CONFIG: _dump(config), _ARRAYS: tensors}))


def load_state(path: str | os.PathLike[str]) -> tuple[str, dict[str, Any]]:
    """Read a file that `save_state` wrote.

    Parameters
    ----------
    path
        File to read.

    Returns
    -------
    kind, state
        As they were saved: arrays with their dtype and shape (writable, in native byte order),
        tuples as tuples, floats to the last bit.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no file of pyfairme, is truncated or altered, or was written in a newer format;
        also for a pipe or a device, which may never end.
    """
    path = _as_path(path)
    config, tensors = _unpack(path)
    _check_origin(path, config)
    _check_digests(path, config, tensors)
    try:
        state = _decode(config["structure"], load_tensors(tensors))
    except (KeyError, TypeError, ValueError, AttributeError, SafetensorError) as error:
        raise _damaged(path, f"its structure does not fit its arrays ({error})") from error
    return config["kind"], state


# --- structure ----------------------------------------------------------------------------------
# JSON's own null, booleans, strings, numbers and lists stand for themselves; everything else is an
# object with one key that says what it is: dict, tuple, float (not finite), array, scalar.


def _encode(value: Any, where: str, arrays: dict[str, np.ndarray]) -> Any:
    if value is None or type(value) in (bool, int):
        return value
    if type(value) in (str, np.str_):
        return str(value)
    if type(value) is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, Mapping):
        return {
            "dict": {
                _key(k, where): _encode(v, f"{where}[{k!r}]", arrays) for k, v in value.items()
            }
        }
    if type(value) in (list, tuple):
        items = [_encode(item, f"{where}[{i}]", arrays) for i, item in enumerate(value)]
        return items if type(value) is list else {"tuple": items}
    name = str(len(arrays))
    arrays[name] = _array(value, where)
    return {"scalar" if isinstance(value, np.generic) else "array": name}


def _key(key: Any, where: str) -> str:
    if not isinstance(key, str):
        raise TypeError(
            f"expected string keys in {where}, got {key!r} of type {type(key).__name__}: "
            "convert the keys to strings, or save a list of pairs [not-plain]"
        )
    return str(key)


def _array(value: Any, where: str) -> np.ndarray:
    known = isinstance(value, np.ndarray | np.generic) and not isinstance(value, np.ma.MaskedArray)
    if not known and not _on_device(value):
        raise TypeError(
            "expected a dict, list, tuple, string, number, boolean, None or NumPy array, got "
            f"{type(value).__module__}.{type(value).__qualname__} at {where}: convert it first "
            "[not-plain]"
        )
    # JAX's typed keys have a dtype of their own, which NumPy cannot take
    array = np.asarray(value, order="C") if known or isinstance(value.dtype, np.dtype) else None
    if array is None or array.dtype.name not in _DTYPES:
        raise TypeError(
            f"expected a boolean, integer or real array, got dtype {value.dtype} at {where}: "
            "convert it, for instance with .astype or .tolist() [not-plain]"
        )
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _on_device(value: Any) -> bool:
    """Tell whether a value is an array of JAX, without importing JAX."""
    return type(value).__module__.partition(".")[0] in ("jax", "jaxlib") and hasattr(value, "dtype")


def _decode(node: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if isinstance(node, list):
        return [_decode(item, arrays) for item in node]
    if not isinstance(node, dict):
        return node
    [(tag, content)] = node.items()
    match tag:
        case "dict":
            return {key: _decode(item, arrays) for key, item in content.items()}
        case "tuple":
            return tuple(_decode(item, arrays) for item in content)
        case "float":
            return float(content)
        case "array":
            return arrays[content].copy()  # writable, and free of the file's buffer
        case "scalar":
            return arrays[content][()]
    raise ValueError(f"unknown tag {tag!r}")


# --- archive ------------------------------------------------------------------------------------


def _dump(config: Mapping[str, Any]) -> bytes:
    return json.dumps(config, indent=1, allow_nan=False).encode("ascii")


def _config_digest(config: Mapping[str, Any]) -> str:
    """Digest a configuration without the digest itself."""
    digests = {name: value for name, value in config["sha256"].items() if name != _CONFIG}
    return hashlib.sha256(_dump({**config, "sha256": digests})).hexdigest()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # run from a source tree
        return "unknown"


def _pack(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content)
    return buffer.getvalue()


def _as_path(path: Any) -> Path:
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


def _to_write(path: Any) -> Path:
    """Return the file to write, in a folder that exists."""
    path = _as_path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"no folder {str(path.parent)!r} to save {path.name!r} in: create it [no-folder]"
        )
    return path


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error).lower()


def _unpack(path: Path) -> tuple[dict[str, Any], bytes]:
    content = _content(path)
    if not content.startswith(b"PK"):
        raise ValueError(
            f"expected a file written by pyfairme's save, got {str(path)!r}, which is no zip "
            "archive: check the path [no-model-file]"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            members = {name: archive.read(name) for name in names if name in (_CONFIG, _ARRAYS)}
        config = json.loads(members.get(_CONFIG, b"{}"))
    except _DAMAGE as error:
        raise _damaged(path, str(error)) from error
    if sorted(names) != [_ARRAYS, _CONFIG]:
        raise _damaged(path, f"expected the members {_CONFIG} and {_ARRAYS}, got {names}")
    if not isinstance(config, dict) or config.get("format") != "pyfairme":
        raise _damaged(path, f"{_CONFIG} does not say that pyfairme wrote it")
    return config, members[_ARRAYS]


def _content(path: Path) -> bytes:
    """Return the bytes of a regular file: a pipe may wait, a device may go on, forever."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            return path.read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"there is no file {str(path)!r}: check the path [no-file]"
        ) from error
    except OSError as error:
        reason = _reason(error)
        raise type(error)(f"cannot read {str(path)!r}: {reason} [cannot-read]") from error
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(
            f"expected a file written by pyfairme's save, got the folder {str(path)!r}: name the "
            "file in it [not-a-file]"
        )
    raise ValueError(
        f"expected a file written by pyfairme's save, got {str(path)!r}, which is a device, a pipe "
        "or a socket: copy it to a file first [not-a-file]"
    )


def _check_origin(path: Path, config: Mapping[str, Any]) -> None:
    version = config.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise _damaged(path, f"expected a format version from 1 on, got {version!r}")
    if version > FORMAT_VERSION:
        raise ValueError(
            f"expected a file of format {FORMAT_VERSION} or older, got format {version} in "
            f"{str(path)!r}, written by pyfairme {config.get('pyfairme')}: upgrade pyfairme (here: "
            f"{_version('pyfairme')}) [newer-format]"
        )


def _check_digests(path: Path, config: Mapping[str, Any], tensors: bytes) -> None:
    expected = config.get("sha256")
    if not isinstance(expected, dict):
        raise _damaged(path, "it has no checksums")
    found = {_ARRAYS: hashlib.sha256(tensors).hexdigest(), _CONFIG: _config_digest(config)}
    for name, digest in found.items():
        if digest != expected.get(name):
            raise _damaged(path, f"the checksum of {name} is not the one it was saved with")


def _damaged(path: Path, what: str) -> ValueError:
    return ValueError(
        f"the file {str(path)!r} is truncated or altered: {what}. Restore it from a copy, or save "
        "the model again [damaged-file]"
    )
