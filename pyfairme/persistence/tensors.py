"""The arrays of a safetensors file, read no further than they are what its header says.

safetensors writes the files; its reader copies all arrays before their shapes can be looked at.
"""

import math
from typing import Any

import numpy as np

from pyfairme.notices import StateError, shown
from pyfairme.persistence.limited_json import check_json, parse

MOST_AXES = 32
DTYPES = {"BOOL": np.dtype(np.bool)} | {
    f"{letter}{8 * size}": np.dtype(f"<{kind}{size}")
    for letter, kind, sizes in (
        ("F", "f", (2, 4, 8)),
        ("I", "i", (1, 2, 4, 8)),
        ("U", "u", (1, 2, 4, 8)),
    )
    for size in sizes
}


def read_tensors(content: bytes, most: int) -> dict[str, np.ndarray]:
    """Return the arrays of a safetensors file, as views of it.

    It has the length of a header (8 bytes), the header (JSON: dtype, shape and place of each
    array), and the arrays, which must fill the rest without a gap. More than ``most`` are refused.
    """
    length = int.from_bytes(content[:8], "little")
    start = 8 + length
    if len(content) < 8 or start > len(content):
        raise StateError("the header of its arrays is longer than they are")
    text = content[8:start]
    check_json(text, (MOST_AXES + 16) * (most + 1))
    header = parse(text)
    if not isinstance(header, dict) or len(header) > most:
        raise StateError(f"expected at most {most} arrays")
    data, end = memoryview(content)[start:], 0
    found: dict[str, np.ndarray] = {}
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        dtype, shape, (low, high) = _entry(entry)
        if low != end or high - low != dtype.itemsize * math.prod(shape) or high > len(data):
            raise StateError(f"array {shown(name)} does not have the size of its shape")
        array = np.frombuffer(data[low:high], np.uint8 if dtype.kind == "b" else dtype)
        if dtype.kind == "b" and array.size and array.max() > 1:
            raise StateError(f"array {shown(name)} holds a boolean that is neither 0 nor 1")
        array = array.view(np.bool) if dtype.kind == "b" else array
        found[name], end = array.reshape(shape).astype(dtype.newbyteorder("="), copy=False), high
    if end != len(data):
        raise StateError("its arrays do not fill the file")
    return found


def _entry(entry: Any) -> tuple[np.dtype[Any], tuple[int, ...], list[int]]:
    """Return dtype, shape, and first and last place of one array in the header."""
    if set(entry) != {"dtype", "shape", "data_offsets"}:
        raise StateError(f"expected dtype, shape and place of an array, got {shown(entry)}")
    shape, places = entry["shape"], entry["data_offsets"]
    for numbers in (shape, places):
        if type(numbers) is not list or any(type(n) is not int or n < 0 for n in numbers):
            raise StateError(f"expected whole numbers, got {shown(numbers)}")
    if len(shape) > MOST_AXES or len(places) != 2:
        raise StateError(f"expected shape and place of an array, got {shown(entry)}")
    return DTYPES[entry["dtype"]], tuple(shape), places
