"""How strongly each penalty pulls on each attribute: ``fairness_weight``, parsed once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyfairme.data.schema import attribute_name
from pyfairme.estimators.number_checks import check_number
from pyfairme.model.penalties import PENALTIES, AttributeCodes


@dataclass(frozen=True)
class FairnessWeight:
    """Strength of every penalty that is on, for every sensitive attribute.

    Attributes
    ----------
    attributes
        Names of the sensitive attributes.
    strengths
        By penalty, one number of at least 0 per attribute.

    Examples
    --------
    >>> FairnessWeight.parse({"moment": {"sex": 0.1}}, ["sex", "race"], ["moment", "decision"])
    FairnessWeight(attributes=('sex', 'race'), strengths=(('moment', (0.1, 0.0)), \
('decision', (0.0, 0.0))))
    """

    attributes: tuple[str, ...]
    strengths: tuple[tuple[str, tuple[float, ...]], ...]

    @classmethod
    def parse(
        cls, given: object, attributes: Iterable[str], penalties: Sequence[str]
    ) -> FairnessWeight:
        """Read a number, {attribute: number}, or {penalty: number or {attribute: number}}.

        What is not named is 0. Without penalties nothing is read.

        Raises
        ------
        ValueError
            When it names what is no attribute and no penalty that is on, or a strength is no
            number of at least 0.
        """
        names, known = tuple(attributes), (*PENALTIES, *penalties)
        parts = dict.fromkeys(penalties, given)
        if isinstance(given, Mapping) and given and set(given) <= set(known):
            if penalties and (idle := sorted(set(given) - set(penalties))):
                raise ValueError(
                    f"fairness_weight names {idle}, which are not in fairness={list(penalties)}: "
                    "add them there, or leave their weights out. [penalty-off]"
                )
            parts = {one: given.get(one, 0.0) for one in penalties}
        strengths = ((one, _by_attribute(part, names, known)) for one, part in parts.items())
        return cls(names, tuple(strengths))

    def by_penalty(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield each penalty and its strengths, shape (number of attributes,)."""
        for penalty, strengths in self.strengths:
            yield penalty, np.array(strengths, np.float64)

    @property
    def largest(self) -> float:
        """The largest strength; 0 where no penalty acts."""
        return max((x for _, strengths in self.strengths for x in strengths), default=0.0)

    @property
    def total(self) -> float:
        """The sum of all strengths."""
        return sum(sum(strengths) for _, strengths in self.strengths)


def update_strengths(weight: object, attributes: tuple[AttributeCodes, ...]) -> np.ndarray:
    """Return the strength per attribute of an update's fairness term: a number or by attribute."""
    if not attributes and (isinstance(weight, Mapping) or weight != 0):
        raise ValueError(
            f"fairness_weight={weight!r} needs sensitive attributes, and the model has none: name "
            "them in sensitive= when it is fitted. [no-attribute]"
        )
    if isinstance(weight, Mapping) and (named := sorted(set(weight) & set(PENALTIES))):
        raise ValueError(
            f"fairness_weight names the penalties {named}, and an update has one fairness term of "
            "its own: give a number, or {attribute: number}. [update-penalties]"
        )
    names = tuple(attribute.name for attribute in attributes)
    return np.array(_by_attribute(weight, names, tuple(PENALTIES)), np.float64)


def _by_attribute(
    given: object, names: tuple[str, ...], penalties: tuple[str, ...]
) -> tuple[float, ...]:
    found: dict[str, Any] = dict.fromkeys(names, given)
    if isinstance(given, Mapping):
        found = {attribute_name(name): value for name, value in given.items()}
        unknown = sorted(set(found) - set(names))
        if unknown and set(unknown) <= set(penalties):
            raise ValueError(
                f"fairness_weight names penalties beside attributes, {unknown}: give {{attribute: "
                "number}, or {penalty: number or {attribute: number}}. [weight-of-nothing]"
            )
        if unknown:
            raise ValueError(
                f"fairness_weight names {unknown}, which are neither sensitive attributes "
                f"{list(names)} nor penalties {list(dict.fromkeys(penalties))}. [weight-of-nothing]"
            )
    for name, value in found.items():
        check_number(f"fairness_weight[{name!r}]", value, 0)
    return tuple(float(found.get(name, 0.0)) for name in names)
