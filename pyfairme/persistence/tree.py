"""Nested state to JSON with references to arrays, and back.

JSON's own null, booleans, strings, numbers and lists stand for themselves; everything else is an
object with one key that says what it is: dict, tuple, float (not finite), array, scalar.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from pyfairme.notices import StateError, shown

_DTYPES = {"bool", "float16", "float32", "float64"}
_DTYPES |= {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}


def encode(value: Any, where: str, arrays: dict[str, np.ndarray]) -> Any:
    """Return a state as JSON; its arrays are put into ``arrays``, under names of their own."""
    if value is None or type(value) in (bool, int):
        return value
    if type(value) in (str, np.str_):
        return str(value)
    if type(value) is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, Mapping):
        return {
            "dict": {_key(k, where): encode(v, f"{where}[{k!r}]", arrays) for k, v in value.items()}
        }
    if type(value) in (list, tuple):
        items = [encode(item, f"{where}[{i}]", arrays) for i, item in enumerate(value)]
        return items if type(value) is list else {"tuple": items}
    name = str(len(arrays))
    arrays[name] = _array(value, where)
    return {"scalar" if isinstance(value, np.generic) else "array": name}


def _key(key: object, where: str) -> str:
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


def _on_device(value: object) -> bool:
    """Tell whether a value is an array of JAX, without importing JAX."""
    return type(value).__module__.partition(".")[0] in ("jax", "jaxlib") and hasattr(value, "dtype")


def decode(node: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Return the state that JSON stands for; its arrays are taken out of ``arrays``."""
    if isinstance(node, list):
        return [decode(item, arrays) for item in node]
    if not isinstance(node, dict):
        return node
    if len(node) != 1:
        raise StateError(f"expected one tag, got {shown(list(node))}")
    [(tag, content)] = node.items()
    match tag, content:
        case "dict", dict():
            return {key: decode(item, arrays) for key, item in content.items()}
        case "tuple", list():
            return tuple(decode(item, arrays) for item in content)
        case "float", "nan" | "inf" | "-inf":
            return float(content)
        case "array", str():
            return arrays.pop(content).copy()  # writable, and free of the file's buffer
        case "scalar", str():
            return arrays.pop(content).copy()[()]
    raise StateError(f"expected a tag with its content, got {shown(tag)}: {shown(content)}")
