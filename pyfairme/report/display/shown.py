"""The facts of every object that shows itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pyfairme.estimators.base import FairMixedEffects
from pyfairme.estimators.report_comparison import ReportComparison
from pyfairme.estimators.report_table import FairnessReport
from pyfairme.report.display.comparison_facts import report_comparison_facts
from pyfairme.report.display.estimator_facts import estimator_facts
from pyfairme.report.display.facts import Facts
from pyfairme.report.display.fairness_facts import fairness_facts

KINDS: Mapping[type, Callable[[Any], Facts]] = {
    FairMixedEffects: estimator_facts,
    FairnessReport: fairness_facts,
    ReportComparison: report_comparison_facts,
}


def facts_of(thing: object) -> Facts:
    """Gather the facts of an object.

    Parameters
    ----------
    thing
        An object of one of the classes of `KINDS`, or of a class below one.

    Raises
    ------
    KeyError
        For any other object.
    """
    kind = next(kind for kind in type(thing).__mro__ if kind in KINDS)
    return KINDS[kind](thing)
