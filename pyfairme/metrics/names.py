"""Keep names apart: reserved words, labels that print alike, labels joined into one.

One rule: what could be taken for something else is put in quotation marks, and what has them
already gets one pair more. So two labels never share a name, and ordinary ones look as they are.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any
from unicodedata import category, normalize

ALL = "all"  # in reports: of all rows, or of all groups
LONGEST = 60  # letters of a name in a list


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


def listed(names: Iterable[str]) -> list[str]:
    r"""Return names as they stand in a list with commas that people read, see `short_names`.

    Examples
    --------
    >>> ", ".join(listed(["a", "x, y", "two\nlines"]))
    'a, "x, y", two\\nlines'
    """
    names = list(names)
    short = short_names(names, LONGEST)
    texts = [short[name] for name in names]
    return [listed_name(text) for text in texts]


def listed_name(name: str) -> str:
    """Return a name as it stands in a list with commas, whatever its length.

    Examples
    --------
    >>> listed_name("a"), listed_name("x, y")
    ('a', '"x, y"')
    """
    return _quoted(name) if "," in name or not name else name


def short_names(names: Iterable[str], most: int, *, blanks: bool = False) -> dict[str, str]:
    r"""Return for each name a text of one line and at most so many characters, all different.

    For tables and pictures that people read. Signs that break a line, or cannot be seen, are
    written as escapes; of a long name the middle is left out; where two texts would look alike,
    they are numbered.

    Parameters
    ----------
    names
        Names, in order; repeats count once.
    most
        Characters of a text, at least 8.
    blanks
        Write "_" as a blank, unless that is another of the names.

    Examples
    --------
    >>> list(short_names(["age_group", "two\nlines"], 20, blanks=True).values())
    ['age group', 'two\\nlines']
    >>> list(short_names(["a" * 30 + "1", "a" * 30 + "2", "a" * 31 + "2"], 8).values())
    ['aaa..aa1', 'aaa..aa2', 'a..2 (2)']
    """
    wanted = dict.fromkeys(names)
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in wanted:
        plain = name.replace("_", " ") if blanks else name
        whole = _one_line(name if plain in wanted else plain)
        text, number = _cut(whole, most), 2
        while _looks(text) in taken:
            ending = f" ({number})"
            text, number = _cut(whole, most - len(ending)) + ending, number + 1
        taken.add(_looks(text))
        found[name] = text
    return found


def _looks(text: str) -> str:
    return normalize("NFC", text).strip()


def _one_line(name: str) -> str:
    return "".join(
        mark
        if mark.isprintable() or _joins_emoji(name, at)
        else mark.encode("unicode_escape").decode()
        for at, mark in enumerate(name)
    )


def _joins_emoji(name: str, at: int) -> bool:
    """Say whether a sign is the joiner of two emoji, which is seen in what they become."""
    around = name[at - 1 : at + 2] if at else ""
    return (
        len(around) == 3
        and around[1] == "\u200d"
        and category(around[0]) in ("So", "Sk", "Mn")  # emoji, its colour, its variant
        and category(around[2]) == "So"
    )


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    half = (most - 2) // 2
    return f"{text[: most - 2 - half]}..{text[-half:]}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def words(name: str) -> str:
    """Return a column name as words.

    Examples
    --------
    >>> words("marital_status")
    'marital status'
    """
    return name.replace("_", " ")
