"""Which levels of a sensitive attribute are compared: some left out, some put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from pyfairme.data.columns import MISSING, label_of
from pyfairme.metrics.names import listed
from pyfairme.notices import shown

Exclude = Mapping[str, Any] | None  # {attribute: level or levels}
Merge = Mapping[str, Mapping[str, Any]] | None  # {attribute: {new name: level or levels}}


@dataclass(frozen=True)
class ChosenLevels:
    """What is left out of the comparison of an attribute's groups, and what is put together.

    Parameters
    ----------
    out
        Levels that are no group of people, such as "Unknown".
    together
        (new name, levels) of each group that is put together.

    Examples
    --------
    >>> chosen = read_choice({"race": "Unknown"}, {"race": {"other": ["B", "C"]}})["race"]
    >>> chosen.groups(["A", "B", "C", "Unknown"])
    (('A', 'other'), (0, 1, 1, -1))
    >>> chosen.words()
    'left out by choice: Unknown; put together as other: B, C'
    """

    out: tuple[str, ...] = ()
    together: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def levels(self) -> tuple[str, ...]:
        """All levels that are named."""
        return (*self.out, *(level for _, old in self.together for level in old))

    def check(self, name: str, there: Iterable[str]) -> None:
        """Raise ValueError for a level that an attribute's rows do not have."""
        known = tuple(dict.fromkeys(there))
        for level in self.levels:
            if level not in known:
                raise ValueError(
                    f"No row has the level {level!r} of {name!r}; levels are "
                    f"{', '.join(listed(known))}. [unknown-level]"
                )

    def there(self, levels: Iterable[str]) -> ChosenLevels:
        """Return what is left of the choice for rows that have these levels."""
        known = set(levels)
        together = [(new, tuple(o for o in old if o in known)) for new, old in self.together]
        out = tuple(level for level in self.out if level in known)
        return ChosenLevels(out, tuple((new, old) for new, old in together if old))

    def name_of(self, level: str) -> str:
        """Return the group of a level, by name."""
        return next((new for new, old in self.together if level in old), level)

    def groups(self, levels: Sequence[str]) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Return the names of groups, and the number of each level's group, -1 if left out."""
        names = [None if level in self.out else self.name_of(level) for level in levels]
        place = {name: i for i, name in enumerate(dict.fromkeys(n for n in names if n is not None))}
        return tuple(place), tuple(-1 if name is None else place[name] for name in names)

    def relabelled(self, labels: np.ndarray) -> np.ndarray:
        """Return labels of rows, (n,), with the names of groups that are put together."""
        texts, new = labels.astype(str), labels.astype(object)  # new names may be longer
        for target, old in self.together:
            new[np.isin(texts, old)] = target
        return new

    def words(self, labels: np.ndarray | None = None) -> str:
        """Say what was chosen; with ``labels``, one per row (n,), how many rows are left out."""
        names = dict(zip(self.out, listed(self.out), strict=True))
        parts = [
            name if labels is None else f"{name} ({(labels.astype(str) == level).sum()} rows)"
            for level, name in names.items()
        ]
        said = [f"left out by choice: {', '.join(parts)}"] if parts else []
        said += [f"put together as {listed([new])[0]}: {', '.join(listed(old))}"
                 for new, old in self.together]  # fmt: skip
        return "; ".join(said)


EVERY_LEVEL = ChosenLevels()


def read_choice(exclude: Any, merge: Any) -> dict[str, ChosenLevels]:
    """Return what is chosen for each attribute, by its name.

    Parameters
    ----------
    exclude
        By the name of an attribute a level, or several; None among several are rows without one.
    merge
        By the name of an attribute what to put together: {new name: level or levels}.

    Raises
    ------
    ValueError
        For other forms, and for a level that is named twice.
    """
    for keyword, given in (("exclude", exclude), ("merge", merge)):
        if given is not None and not _by_name(given):
            _refuse(keyword, given)
    out = {name: _levels("exclude", given) for name, given in (exclude or {}).items()}
    together: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {}
    for name, given in (merge or {}).items():
        if not _by_name(given):
            _refuse("merge", merge)
        together[name] = tuple((new, _levels("merge", old)) for new, old in given.items())
    names = dict.fromkeys([*out, *together])
    found = {name: ChosenLevels(out.get(name, ()), together.get(name, ())) for name in names}
    for name, chosen in found.items():
        for level in chosen.levels:
            if chosen.levels.count(level) > 1:
                raise ValueError(
                    f"The level {level!r} of {name!r} is named twice in exclude and merge: name it "
                    "once. [given-twice]"
                )
    return {name: chosen for name, chosen in found.items() if chosen.levels}


def _by_name(given: Any) -> bool:
    return isinstance(given, Mapping) and all(isinstance(name, str) and name for name in given)


def _levels(keyword: str, given: Any) -> tuple[str, ...]:
    several = isinstance(given, Iterable) and not isinstance(given, str | bytes)
    levels = [MISSING if _missing(level) else level for level in given] if several else [given]
    if isinstance(given, Mapping) or any(_no_level(level) for level in levels):
        _refuse(keyword, given)
    return tuple(map(label_of, levels))


def _missing(level: Any) -> bool:
    """Whether a value is one that stands for none: rows without one are shown as "(missing)"."""
    return level is None or level is pd.NA or (isinstance(level, float) and np.isnan(level))


def _no_level(level: Any) -> bool:
    return level is None or not np.isscalar(level)


def _refuse(keyword: str, given: Any) -> NoReturn:
    forms = {
        "exclude": "{'race': ['Unknown']}, by the name of an attribute a level or several",
        "merge": "{'race': {'other': ['Aleut', 'Inuit']}}, by the name of an attribute the new "
        "name and its levels",
    }
    raise ValueError(
        f"Invalid value of {keyword}: {shown(given)}. Expected the form {forms[keyword]}; or None. "
        "[chosen-levels]"
    )
