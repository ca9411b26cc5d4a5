"""Damaged and forged model files, for tests and for `tests/benchmarks/fuzz_load.py`.

A file is (text, tensors): the JSON of the configuration and the bytes of the arrays. Plain mutants
are damage: the checksums do not fit. Resealed ones are forgeries: their checksums are right.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import re
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from pyfairme.persistence import archive, seals

CONFIG, ARRAYS = "config.json", "arrays.safetensors"
SEALS = ("hmac-sha256", "sha256")


def parts(path: Path) -> tuple[dict[str, Any], bytes]:
    """Return configuration, without its seals, and arrays of a file."""
    with zipfile.ZipFile(path) as opened:
        config = json.loads(opened.read(CONFIG))
        return {k: v for k, v in config.items() if k not in SEALS}, opened.read(ARRAYS)


def sealed(config: dict[str, Any], tensors: bytes) -> bytes:
    """Return a file whose checksums are right."""
    text = seals.sealed(config, tensors, None)
    return archive.pack({CONFIG: text, ARRAYS: tensors})


def sealed_text(body: bytes, tensors: bytes) -> bytes:
    """Return a file whose checksums are right, of a text that need not be JSON."""
    end = seals.sealed({}, tensors, None)[2:]  # without the brace
    arrays = re.search(rb'"arrays.safetensors": "(\w{64})"', end)[1]
    bare = b' "sha256": {\n  "arrays.safetensors": "' + arrays + b'"\n }\n}'
    digest = hashlib.sha256(body + bare).hexdigest().encode()
    text = body + re.sub(rb'("config.json": ")\w{64}', rb"\g<1>" + digest, end)
    return archive.pack({CONFIG: text, ARRAYS: tensors})


# --- plain --------------------------------------------------------------------------------------


def plain(content: bytes, random: Random) -> bytes:
    """Return a file with flipped, changed, lost, repeated or foreign bytes."""
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 4, 16))):
        at = random.randrange(len(changed))
        match random.randrange(7):
            case 0 | 1:
                changed[at] ^= 1 << random.randrange(8)
            case 2:
                changed[at] = random.randrange(256)
            case 3:
                del changed[at : at + random.randrange(1, 64)]
            case 4:
                changed[at:at] = random.randbytes(random.randrange(1, 64))
            case 5:
                other = random.randrange(len(changed))
                length = random.randrange(1, 256)
                changed[at : at + length] = changed[other : other + length]
            case 6:
                del changed[max(at, 1) :]
        if not changed:
            return b"P"
    return bytes(changed)


def in_the_directory(content: bytes, random: Random) -> bytes:
    """Return a file with one field of a zip header set to an odd value."""
    places = [m.start() for m in re.finditer(rb"PK(\x01\x02|\x03\x04|\x05\x06)", content)]
    at = random.choice(places) + 4 + 2 * random.randrange(21)
    odd = random.choice((0, 1, 8, 12, 14, 93, 2**15, 2**16 - 1, random.randrange(2**16)))
    return content[:at] + struct.pack("<H", odd) + content[at + 2 :]


# --- resealed -----------------------------------------------------------------------------------


def nodes(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (container, key) of every place in a tree of JSON."""
    every = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in list(every):
        yield tree, key
        if isinstance(value, dict | list):
            yield from nodes(value)


def deep(levels: int) -> Any:
    found: Any = 0
    for _ in range(levels):
        found = [found]
    return found


ODD: tuple[Callable[[Random], Any], ...] = (
    lambda r: None,
    lambda r: r.random() < 0.5,
    lambda r: r.choice((0, 1, -1, 2, 7, 1000, 2**31, 2**63, 10**9, 3 * 10**8, 10**400)),
    lambda r: r.choice((0.0, -1.5, 1e-320, 1e308, 0.1)),
    lambda r: r.choice(("", "x", "nan", "category", "<U200000000", "\ud800", "O", "V8", "0")),
    lambda r: "x" * r.randrange(200),
    lambda r: [],
    lambda r: {},
    lambda r: deep(r.choice((1, 5, 120))),
    lambda r: {
        r.choice(("dict", "tuple", "float", "array", "scalar", "x")): r.choice(("0", {}, []))
    },
    lambda r: {"float": r.choice(("nan", "inf", "-inf", "1"))},
)


def in_the_structure(config: dict[str, Any], tensors: bytes, random: Random) -> bytes:
    """Return a forgery with one to three places of its tree changed."""
    config = copy.deepcopy(config)
    for _ in range(random.choice((1, 1, 2, 3))):
        places = list(nodes(config))
        if not places:
            break
        tree, key = random.choice(places)
        match random.randrange(6):
            case 0 | 1:
                tree[key] = random.choice(ODD)(random)
            case 2:
                other, name = random.choice(places)
                tree[key] = copy.deepcopy(other[name])
            case 3:
                del tree[key]
            case 4 if isinstance(tree, list):
                tree.insert(random.randrange(len(tree) + 1), copy.deepcopy(tree[key]))
            case 4:
                tree[random.choice(("x", "dict", str(key) * 2))] = tree.pop(key)
            case 5:
                value = tree[key]
                if isinstance(value, bool) or not isinstance(value, int | float | str):
                    tree[key] = [value]
                elif isinstance(value, str):
                    tree[key] = value[::-1]
                else:
                    tree[key] = random.choice((-value, value + 1, 10**9, 1e30))
    return sealed_text(seals.dump(config)[:-2] + b",\n", tensors)  # dumps once


def in_the_text(config: dict[str, Any], tensors: bytes, random: Random) -> bytes:
    """Return a forgery of a damaged text."""
    body = seals.dump(config)[:-2] + b",\n"
    return sealed_text(plain(body, random), tensors)


def in_the_arrays(config: dict[str, Any], tensors: bytes, random: Random) -> bytes:
    """Return a forgery of damaged arrays, or with an odd header of theirs."""
    if random.random() < 0.3:
        return sealed(config, plain(tensors, random))
    length = int.from_bytes(tensors[:8], "little")
    header, data = json.loads(tensors[8 : 8 + length]), tensors[8 + length :]
    for _ in range(random.choice((1, 1, 2))):
        if not header:
            break
        tree, key = random.choice(list(nodes(header)))
        match random.randrange(5):
            case 0:
                tree[key] = random.choice(ODD)(random)
            case 1:
                tree[key] = random.choice(("F64", "I8", "BOOL", "BF16", "U64", "F16", [1], [0, 0]))
            case 2:
                other, name = random.choice(list(nodes(header)))
                tree[key] = copy.deepcopy(other[name])
            case 3 if isinstance(tree[key], int):
                tree[key] = random.choice((tree[key] + 1, tree[key] * 2, 2**62, -1, 0))
            case _:
                del tree[key]
    text = json.dumps(header).encode()
    size = random.choice((len(text),) * 8 + (len(text) + 1, 2**40, 0))
    return sealed(config, size.to_bytes(8, "little") + text + data)


# --- bombs --------------------------------------------------------------------------------------


def _zip(members: list[tuple[str, bytes]], method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as opened:
        for name, content in members:
            opened.writestr(name, content)
    return buffer.getvalue()


def compressed(config: dict[str, Any], tensors: bytes, random: Random) -> bytes:
    """Small as a file, large when it is read."""
    size = random.choice((10**5, 10**6, 10**7))
    method = random.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    text = seals.sealed(config, tensors, None)
    return random.choice(
        (
            lambda: _zip([(CONFIG, text + b" " * size), (ARRAYS, tensors)], method),
            lambda: _zip([(CONFIG, text), (ARRAYS, b"\0" * size)], method),
        )
    )()


def many_members(config: dict[str, Any], tensors: bytes, random: Random) -> bytes:
    """A directory of thousands of empty members."""
    names = [str(i) for i in range(random.choice((3, 100, 20_000)))]
    return _zip([(name, b"") for name in (CONFIG, ARRAYS, *names)], zipfile.ZIP_STORED)


def many_values(config: dict[str, Any], tensors: bytes, random: Random) -> bytes:
    """Short text, many objects."""
    one = random.choice((b"[],", b"{},", b"0,", b'{"a":0},', b"[[]],", b'"",', b"1.5,", b'"ab",'))
    number = random.choice((10**4, 10**5, 10**6))
    before = seals.dump({k: v for k, v in config.items() if k != "structure"})[:-2]
    body = before + b',\n "structure": [' + one * number + b"0],\n"
    return sealed_text(body, tensors)


def deep_text(config: dict[str, Any], tensors: bytes, random: Random) -> bytes:
    """Lists in lists."""
    levels = random.choice((90, 110, 950, 10**5, 10**6))
    opening, closing = random.choice(((b"[", b"]"), (b'{"dict":', b"}"), (b'{"tuple":[', b"]}")))
    before = seals.dump({k: v for k, v in config.items() if k != "structure"})[:-2]
    body = before + b',\n "structure": ' + opening * levels + b"0" + closing * levels + b",\n"
    return sealed_text(body, tensors)


def long_numbers(config: dict[str, Any], tensors: bytes, random: Random) -> bytes:
    """Numbers and texts of very many signs."""
    signs = random.choice((1000, 5000, 10**6))
    odd = random.choice(
        (b"9" * signs, b"1e" + b"9" * 20, b'"' + b"\\u00e9" * signs + b'"', b"1" + b"0" * signs)
    )
    before = seals.dump({k: v for k, v in config.items() if k != "structure"})[:-2]
    return sealed_text(before + b',\n "structure": {"dict": {"a": ' + odd + b"}},\n", tensors)


def many_arrays(config: dict[str, Any], tensors: bytes, random: Random) -> bytes:
    """A header of thousands of arrays, empty ones or all in one place."""
    number, size = random.choice((10, 1000, 50_000)), random.choice((0, 10**5))
    entry = {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}
    header = json.dumps({str(i): entry for i in range(number)}).encode()
    content = len(header).to_bytes(8, "little") + header + b"\0" * size
    config = config | {"structure": {"dict": {"a": {"array": "0"}}}}
    if random.random() < 0.5 and number < 2000:
        places: Any = {str(i): {"array": str(i)} for i in range(number)}
        config = config | {"structure": {"dict": places}}
    return sealed(config, content)


def large_claims(config: dict[str, Any], tensors: bytes, random: Random) -> bytes:
    """Numbers in the structure that ask for much."""
    text = seals.dump(config)
    numbers = list(re.finditer(rb"(?<=: )(-?\d+(\.\d+)?|true|false)(?=,?\n)", text))
    found = random.choice(numbers)
    big = random.choice((b"300000000", b"1e300", b"9223372036854775807", b"4294967295"))
    changed = text[: found.start()] + big + text[found.end() :]
    return sealed_text(changed[:-2] + b",\n", tensors)


def overlapping(config: dict[str, Any], tensors: bytes, random: Random) -> bytes:
    """A directory both of whose members are the same bytes, or larger than the file."""
    content = bytearray(sealed(config, tensors))
    entries = [m.start() for m in re.finditer(rb"PK\x01\x02", content)]
    size = random.choice((len(content), 2**31, 2**32 - 2, 10**9))
    for at in entries:
        struct.pack_into("<II", content, at + 20, size, size)
    if random.random() < 0.5:
        struct.pack_into("<I", content, entries[-1] + 42, 0)
    return bytes(content)


BOMBS = (
    compressed,
    many_members,
    many_values,
    deep_text,
    long_numbers,
    many_arrays,
    large_claims,
    overlapping,
)
