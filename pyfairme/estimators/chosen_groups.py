"""Which levels of an attribute a report compares: some left out, some put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pyfairme.data.columns import label_of
from pyfairme.metrics.names import listed

if TYPE_CHECKING:
    from pyfairme.estimators.fairness_report import EvaluatedRows

Exclude = Mapping[str, Any] | None  # {attribute: level or levels}
Merge = Mapping[str, Mapping[str, Any]] | None  # {attribute: {new name: levels}}


def choose_groups(judged: EvaluatedRows, exclude: Exclude, merge: Merge) -> EvaluatedRows:
    """Leave levels out of the comparison of an attribute's groups, and put others together.

    Parameters
    ----------
    judged
        Rows, with a label per attribute.
    exclude
        By the name of an attribute the levels that are no group of people, such as "Unknown".
        Their rows count for accuracy and for other attributes.
    merge
        By the name of an attribute what to put together: {new name: levels}.

    Raises
    ------
    ValueError
        For an attribute that is not reported, a level that no row has, or one named twice.
    """
    sensitive, left, said = dict(judged.sensitive), dict(judged.left_out), dict(judged.regrouped)
    names: dict[str, None] = dict.fromkeys([*map(str, exclude or ()), *map(str, merge or ())])
    for name in names:
        if name not in sensitive:
            raise ValueError(
                f"exclude and merge name {name!r}, which is not reported. Attributes are "
                f"{', '.join(listed(sensitive)) or 'none'}. [unknown-attribute]"
            )
        out = _levels((exclude or {}).get(name, ()))
        together = {str(new): _levels(old) for new, old in (merge or {}).get(name, {}).items()}
        labels = sensitive[name]
        _check([*out, *(level for old in together.values() for level in old)], name, labels)
        gone = np.isin(labels.astype(str), out)
        new = labels.copy()
        for target, old in together.items():
            new[np.isin(labels.astype(str), old)] = target
        sensitive[name], left[name] = new, gone
        parts = [f"{listed([level])[0]} ({(labels == level).sum()} rows)" for level in out]
        notes = [f"left out by choice: {', '.join(parts)}"] if parts else []
        notes += [f"put together as {listed([t])[0]}: {', '.join(listed(o))}"
                  for t, o in together.items()]  # fmt: skip
        said[name] = "; ".join(notes)
    return replace(judged, sensitive=sensitive, left_out=left, regrouped=said)


def _levels(given: Any) -> tuple[str, ...]:
    several = isinstance(given, Iterable) and not isinstance(given, str)
    return tuple(map(label_of, given)) if several else (label_of(given),)


def _check(levels: list[str], name: str, labels: np.ndarray) -> None:
    there = list(dict.fromkeys(labels.astype(str)))
    for level in levels:
        if level not in there:
            raise ValueError(
                f"No row has the level {level!r} of {name!r}; levels are "
                f"{', '.join(listed(there))}. [unknown-level]"
            )
        if levels.count(level) > 1:
            raise ValueError(
                f"The level {level!r} of {name!r} is named twice in exclude and merge: name it "
                "once. [given-twice]"
            )
