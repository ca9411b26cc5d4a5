"""The zip archive of two stored members: its sizes are checked before anything is read."""

import io
import os
import zipfile
from collections.abc import Mapping
from typing import BinaryIO

from pyfairme.notices import StateError
from pyfairme.persistence.limited_json import check_json

CONFIG, ARRAYS = "config.json", "arrays.safetensors"
EPOCH = (1980, 1, 1, 0, 0, 0)  # equal states give equal bytes: no clock in the archive
# JSON may become 20 times as large when it is parsed. Where a model has learned something of its
# clusters, their arrays are far larger than their names.
CONFIG_BYTES = 2**21  # and an eighth of the arrays'
BYTES_PER_VALUE = 12  # of indented JSON: a line has less only near the top
FEW_VALUES = 1000
DIRECTORY_BYTES = 1024  # two entries have about 140


def pack(members: Mapping[str, bytes]) -> bytes:
    """Return an archive of members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content)
    return buffer.getvalue()


def members(file: BinaryIO) -> tuple[bytes, bytes]:
    """Return the two members, once their sizes are known to be those of the file."""
    size = os.fstat(file.fileno()).st_size
    _check_directory(file, size)
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        names = [entry.filename for entry in entries]
        if sorted(names) != [ARRAYS, CONFIG]:
            raise StateError(f"expected the members {CONFIG} and {ARRAYS}, got {names}")
        for entry in entries:
            if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
                raise StateError(
                    f"{entry.filename} is compressed or encrypted, which save does not"
                )
            if entry.compress_size != entry.file_size:
                raise StateError(f"{entry.filename} has two sizes")
        if sum(entry.file_size for entry in entries) > size:
            raise StateError("its members are larger than itself")
        text, tensors = archive.read(CONFIG), archive.read(ARRAYS)
    check_room(text, len(tensors))
    return text, tensors


def _check_directory(file: BinaryIO, size: int) -> None:
    """Refuse a long list of members before it is read."""
    file.seek(max(size - 98, 0))
    tail = file.read(98)
    end = tail[-22:]
    if len(end) < 22 or not end.startswith(b"PK\5\6") or not end.endswith(b"\0\0"):
        raise StateError("it does not end as a zip archive does")
    length = int.from_bytes(end[12:16], "little")
    if tail[-42:-38] == b"PK\6\7":  # more than 4 GB
        if int.from_bytes(tail[-34:-26], "little") != size - 98:
            raise StateError("its list of members is not at its end")
        length = int.from_bytes(tail[40:48], "little")
    if length > DIRECTORY_BYTES:
        raise StateError(f"its list of members has {length} bytes")


def check_room(text: bytes, arrays: int) -> None:
    """Refuse a configuration that is large beside its arrays: as objects it would be far larger."""
    most = CONFIG_BYTES + arrays // 8
    if len(text) > most:
        raise StateError(f"{CONFIG} has {len(text)} bytes, more than {most} with such arrays")
    check_json(text, len(text) // BYTES_PER_VALUE + FEW_VALUES)
