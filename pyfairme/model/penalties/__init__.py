"""Fairness penalties and the cluster adversary: terms of the objective, each one NumPyro factors.

A fairness penalty is a frozen dataclass with one method,

``__call__(name, view, attributes, criterion)``

which registers, for every sensitive attribute, one factor ``{name}/{view.name}/{attribute}``. Its
logged value is the plain, unweighted term: strengths act on gradients only, so that a term can be
read in the history whatever its weight, and a weight of 0 equals the model without the term. One
more penalty is one more file and its line in ``PENALTIES``; a user's own is given as an object and
needs neither (docs/extending.md). ``needs_classes`` says that it looks at decisions, so that the
target must have classes.

Examples
--------
>>> sorted(PENALTIES)
['adversarial', 'correlation', 'decision', 'decision_adversarial', 'decision_only_adversarial',
 'kernel', 'moment']
>>> CRITERIA
('equalized_odds', 'demographic_parity', 'equal_opportunity')
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pyfairme.model.object_names import object_name
from pyfairme.model.penalties.adversarial import (
    Adversarial,
    adversary_classes,
    adversary_site,
    cluster_adversary,
)
from pyfairme.model.penalties.correlation import Correlation
from pyfairme.model.penalties.decision import Decision
from pyfairme.model.penalties.kernel import Kernel
from pyfairme.model.penalties.moment import Moment
from pyfairme.model.penalties.view import (
    CRITERIA,
    AttributeCodes,
    Penalty,
    View,
    compared,
    group_gaps,
    members,
    plain_factor,
    row_sets,
)

__all__ = [
    "CRITERIA",
    "PENALTIES",
    "Adversarial",
    "AttributeCodes",
    "Correlation",
    "Decision",
    "Kernel",
    "Moment",
    "NamedPenalty",
    "Penalty",
    "View",
    "adversary_classes",
    "adversary_site",
    "cluster_adversary",
    "compared",
    "group_gaps",
    "members",
    "penalties_of",
    "penalty_names",
    "plain_factor",
    "row_sets",
]

PENALTIES: Mapping[str, Penalty] = {
    "adversarial": Adversarial(),
    "decision_adversarial": Adversarial(sharpness=8.0),
    "decision_only_adversarial": Adversarial(sharpness=8.0, scores=False),
    "correlation": Correlation(),
    "moment": Moment(),
    "decision": Decision(),
    "kernel": Kernel(),
}
"""Fairness penalties by the name a user gives."""

Fairness = str | Penalty | Sequence[str | Penalty] | None  # a keyword ``fairness``


class NamedPenalty(NamedTuple):
    """A penalty and the name of its terms and weights.

    Examples
    --------
    >>> NamedPenalty("own", Kernel()).adversarial
    False
    """

    name: str
    penalty: Penalty

    @property
    def adversarial(self) -> bool:
        """Whether it is an adversary: its skill is reported, and a collapse warned of."""
        return isinstance(self.penalty, Adversarial)

    @property
    def needs_classes(self) -> bool:
        """Whether it looks at decisions, which only a target with classes has."""
        return bool(getattr(self.penalty, "needs_classes", False))


def penalties_of(fairness: Any) -> tuple[NamedPenalty, ...]:
    """Return the penalties of a keyword ``fairness``: names or objects, one or several, or None.

    Examples
    --------
    >>> [one.name for one in penalties_of(("adversarial", Moment()))]
    ['adversarial', 'moment']
    """
    return tuple(
        NamedPenalty(name, PENALTIES[one] if isinstance(one, str) else one)
        for name, one in zip(penalty_names(fairness), _given(fairness), strict=True)
    )


def penalty_names(fairness: Any) -> tuple[str, ...]:
    """Return the names of the penalties of a keyword ``fairness``, whether they exist or not.

    Examples
    --------
    >>> penalty_names(("adversarial", Kernel()))
    ('adversarial', 'kernel')
    """
    return tuple(one if isinstance(one, str) else object_name(one) for one in _given(fairness))


def _given(fairness: Any) -> tuple[Any, ...]:
    if fairness is None:
        return ()
    return (fairness,) if isinstance(fairness, str) or callable(fairness) else tuple(fairness)
