"""Names that stay apart: our own words, labels that print alike, and labels joined into one.

One rule: what could be taken for something else is put in quotation marks, and what has them
already gets one pair more. So two labels never share a name, and ordinary ones look as they are.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

__all__ = ["ALL", "apart", "distinct_names", "join_names"]

ALL = "all"  # in reports: of all rows, or of all groups


def apart(name: str, words: Collection[str]) -> str:
    """Put a name that reads as one of some words in quotation marks, one pair more if it has them.

    Examples
    --------
    >>> [apart(name, ("all",)) for name in ("all", '"all"', "b", '"b"')]
    ['"all"', '""all""', 'b', '"b"']
    """
    core = name
    while len(core) > 1 and core[0] == core[-1] == '"':
        core = core[1:-1]
    return f'"{name}"' if core in words else name


def join_names(parts: Sequence[str], joiner: str) -> str:
    """Join the names of parts so that different parts never give one name.

    A part that could be taken for two, or that begins with a quotation mark, is put in quotation
    marks, and its own are doubled, as in a CSV file.

    Parameters
    ----------
    parts
        Names, in order.
    joiner
        A sign with a space on either side.

    Examples
    --------
    >>> join_names(["Black", "Female"], " & ")
    'Black & Female'
    >>> join_names(["p & q", "r"], " & "), join_names(["p", "q & r"], " & ")
    ('"p & q" & r', 'p & "q & r"')
    """
    if len(parts) == 1:
        return parts[0]
    return joiner.join(_part(part, joiner) for part in parts)


def _part(name: str, joiner: str) -> str:
    # " &" at an end would melt with the joiner as well: "a &" and "b", "a" and "& b"
    unclear = joiner.rstrip() in name or joiner.lstrip() in name or name.startswith('"')
    return _quoted(name) if unclear else name


def distinct_names(labels: Iterable[Any]) -> tuple[str, ...]:
    """Return labels as text, so that different labels have different names.

    Where several print alike, those that are text are put in quotation marks (see `apart`), and
    all others but the first show their type.

    Examples
    --------
    >>> distinct_names([1, "1", "b"])
    ('1', '"1"', 'b')
    """
    known = list(labels)
    names = [str(label) for label in known]
    if len(set(names)) == len(names):
        return tuple(names)
    alike = {name for name, number in Counter(names).items() if number > 1}
    found = [
        apart(name, alike) if isinstance(label, str) else name
        for label, name in zip(known, names, strict=True)
    ]
    taken = {name for label, name in zip(known, found, strict=True) if isinstance(label, str)}
    for place, label in enumerate(known):
        if not isinstance(label, str):
            while found[place] in taken:
                found[place] += f" ({type(label).__name__})"
            taken.add(found[place])
    return tuple(found)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
