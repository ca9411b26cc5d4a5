"""Fairness penalties and the cluster adversary: terms of the objective, each one NumPyro factors.

A fairness penalty is a frozen dataclass with one method,

``__call__(name, view, attributes, criterion)``

which registers, for every sensitive attribute, one factor ``{name}/{view.name}/{attribute}``. Its
logged value is the plain, unweighted term: strengths act on gradients only, so that a term can be
read in the history whatever its weight, and a weight of 0 equals the model without the term. One
more penalty is one more file and its line in ``PENALTIES``.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyfairme.model.penalties.adversarial import Adversarial, cluster_adversary
from pyfairme.model.penalties.correlation import Correlation
from pyfairme.model.penalties.decision import Decision
from pyfairme.model.penalties.kernel import Kernel
from pyfairme.model.penalties.moment import Moment
from pyfairme.model.penalties.view import CRITERIA, AttributeCodes, Penalty, View, group_gaps

__all__ = [
    "ADVERSARIAL",
    "CRITERIA",
    "PENALTIES",
    "Adversarial",
    "AttributeCodes",
    "Correlation",
    "Decision",
    "Kernel",
    "Moment",
    "Penalty",
    "View",
    "cluster_adversary",
    "group_gaps",
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

ADVERSARIAL = tuple(name for name, one in PENALTIES.items() if isinstance(one, Adversarial))
"""Those that are adversaries: their skill is reported, and a collapse warned of."""
