"""Names of files from names that users give: of models, data sets, classes, columns."""

import hashlib
import re
from collections.abc import Iterable
from unicodedata import normalize

# What every file system tells apart and allows: no upper case, no letters with several spellings.
PLAIN = re.compile(r"[a-z0-9_(+-](?:[a-z0-9_.,=()+~ -]*[a-z0-9_)+-])?")
MARKED = re.compile(r"~[0-9a-f]{16}$")  # never of a plain name: no two names share a file
DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?")  # of Windows
LONGEST = 100


def file_name(name: str) -> str:
    """Return the name of a file or folder for any text; two texts never have the same.

    Plain names stay as they are. Others, with slashes, upper case, accents or of great length, keep
    what of them is plain, and a hash tells them apart.

    Parameters
    ----------
    name
        Any text.

    Examples
    --------
    >>> file_name("medl_adb"), file_name("sex=0.1, race=1")
    ('medl_adb', 'sex=0.1, race=1')
    >>> file_name("../../x"), file_name("Ärzte")
    ('x~9cdf6a50100a862e', 'rzte~d45b3f95e93b30b2')
    """
    if (
        len(name) <= LONGEST
        and PLAIN.fullmatch(name)
        and not MARKED.search(name)
        and not DEVICES.fullmatch(name)
    ):
        return name
    kept = re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_")[: LONGEST // 2]
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{kept}~{digest}"


def readable_part(label: str, most: int) -> str:
    """Return of a label what a file name can hold, in its own letters; two may give the same.

    Parameters
    ----------
    label
        Any text.
    most
        Letters, at most: a file name has 255 bytes.

    Examples
    --------
    >>> readable_part("Ärzte / >50K", 25)
    'Ärzte____50K'
    """
    kept = [mark if mark.isalnum() or mark in "-." else "_" for mark in label]
    return "".join(kept[:most])


def free_name(name: str, taken: Iterable[str]) -> str:
    """Return a file name that no other file has: labels "a b" and "a/b" are both a_b in one.

    Some file systems take upper and lower case for one, and letters with their accents in one sign
    or two.
    """
    there = {_on_disk(other) for other in taken}
    stem, _, suffix = name.rpartition(".")
    free, number = name, 2
    while _on_disk(free) in there:
        free, number = f"{stem}_{number}.{suffix}", number + 1
    return free


def _on_disk(name: str) -> str:
    return normalize("NFKC", normalize("NFKC", name).casefold())
