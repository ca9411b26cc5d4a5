"""Names of groups that stay apart: labels that print alike, and labels joined into one."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["distinct_names", "join_names"]


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

    Where several print alike, those that are text are put in quotation marks, and others show
    their type.

    Examples
    --------
    >>> distinct_names([1, "1", "b"])
    ('1', '"1"', 'b')
    """
    known = list(labels)
    names = [str(label) for label in known]
    if len(set(names)) == len(names):
        return tuple(names)
    often = Counter(names)
    taken = {name for name in names if often[name] == 1}
    found = []
    for label, text in zip(known, names, strict=True):
        name = text
        if often[text] > 1:
            name = _quoted(text) if isinstance(label, str) else text
            while name in taken:
                name = f"{name} ({type(label).__name__})"
            taken.add(name)
        found.append(name)
    return tuple(found)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
