"""Levels to leave out and to put together, as they are typed."""

import csv
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, NoReturn

from pyfairme.cli.options import Names, option

ExcludeLevels = Annotated[
    Names,
    option(
        "ATTRIBUTE=LEVELS",
        "Levels that are no group of people: race=Unknown; several with commas; again for "
        "another attribute.",
    ),
]
MergeLevels = Annotated[
    Names,
    option("ATTRIBUTE:NAME=LEVELS", "Levels to put together: race:other=Aleut,Inuit."),
]


def parse_exclude(texts: Iterable[str], attributes: Iterable[str]) -> dict[str, list[str]]:
    """Read levels to leave out, by the name of an attribute.

    Parameters
    ----------
    texts
        ``race=Unknown,Other``: a level with a comma is put in quotation marks, as in a CSV file.
    attributes
        Names of the attributes; an intersection is also called ``sex*race``.

    Raises
    ------
    ValueError
        For another form, or an attribute that is none of these.

    Examples
    --------
    >>> parse_exclude(["race=Unknown", "sex x race=f & Unknown"], ["race", "sex x race"])
    {'race': ['Unknown'], 'sex x race': ['f & Unknown']}
    """
    found: dict[str, list[str]] = {}
    for text in texts:
        name, rest = _attribute(text, "=", attributes, "--exclude", "race=Unknown")
        found.setdefault(name, []).extend(_levels(rest, "--exclude", text))
    return found


def parse_merge(texts: Iterable[str], attributes: Iterable[str]) -> dict[str, dict[str, list[str]]]:
    """Read levels to put together, by the name of an attribute and the new name.

    Parameters
    ----------
    texts
        ``race:other=Aleut,Inuit``.
    attributes
        Names of the attributes.

    Raises
    ------
    ValueError
        For another form, or an attribute that is none of these.

    Examples
    --------
    >>> parse_merge(["race:other=Aleut,Inuit"], ["race"])
    {'race': {'other': ['Aleut', 'Inuit']}}
    """
    found: dict[str, dict[str, list[str]]] = {}
    form = "race:other=Aleut,Inuit"
    for text in texts:
        name, rest = _attribute(text, ":", attributes, "--merge", form)
        new, sign, levels = rest.partition("=")
        if not (new.strip() and sign):
            _refuse("--merge", text, form)
        known = found.setdefault(name, {}).setdefault(new.strip(), [])
        known.extend(_levels(levels, "--merge", text))
    return found


def _attribute(
    text: str, sign: str, attributes: Iterable[str], option: str, form: str
) -> tuple[str, str]:
    """Return the attribute at the beginning of a text, and what follows the sign."""
    names = list(attributes)
    called = {name.replace(" x ", "*"): name for name in names} | {name: name for name in names}
    for spelled in sorted(called, key=len, reverse=True):
        if text.startswith(f"{spelled}{sign}"):
            return called[spelled], text[len(spelled) + len(sign) :]
    if sign not in text:
        _refuse(option, text, form)
    raise ValueError(
        f"{option} {text!r} names no sensitive attribute; these are {', '.join(names) or 'none'}. "
        "[unknown-attribute]"
    )


def _levels(text: str, option: str, whole: str) -> list[str]:
    levels = [item.strip() for item in next(csv.reader([text], skipinitialspace=True), [])]
    if not levels or not all(levels):
        raise ValueError(
            f"{option} has nothing before, after or between its commas: {whole!r}. [empty-item]"
        )
    return levels


def _refuse(option: str, text: str, form: str) -> NoReturn:
    raise ValueError(f"{option} expected the form {form}, got {text!r}. [chosen-levels]")


def chosen_levels(
    exclude: Iterable[str] | None, merge: Iterable[str] | None, attributes: Iterable[str]
) -> Mapping[str, Any]:
    """Return the keywords ``exclude`` and ``merge``; neither where neither option is given."""
    names = list(attributes)
    if not exclude and not merge:
        return {}
    return {
        "exclude": parse_exclude(exclude or (), names),
        "merge": parse_merge(merge or (), names),
    }
