"""The limits of a policy as a user writes them: attributes, rates, numbers, what these measure."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np

from pyfairme.data.schema import Sensitive, attribute_name
from pyfairme.estimators.estimator_keywords import check_choice
from pyfairme.postprocessing.limit_support import RATES, Limit

CRITERIA = {  # the rates that a plain number limits
    "equalized_odds": ("tpr", "fpr"),
    "equal_opportunity": ("tpr",),
    "false_positive_rate_parity": ("fpr",),
    "demographic_parity": ("selection_rate",),
}
ALLOWED = {  # of a measure: the largest limit, and all of them in words
    "sd": (0.5, "0.5, the largest SD over groups that there is, or inf for none"),
    "difference": (1.0, "1, the largest difference that there is, or inf for none"),
    "ratio": (1.0, "1, equal rates, where 0 is no limit and 0.8 four fifths"),
}


def limited_entries(
    limits: Any, known: Mapping[str, Sensitive]
) -> dict[str, tuple[Sensitive, Any]]:
    """Return by name each limited attribute and what its rates are limited to.

    ``known`` are attributes that a number limits all of, and that a name may stand for.
    """
    given = limits if isinstance(limits, Mapping) else dict.fromkeys(known, limits)
    if not given:
        raise ValueError(
            "No attribute to limit: limits is empty, or a number while the classifier has no "
            "sensitive attribute. Name attributes: limits={'column': 0.02}, or give "
            "sensitive_features=. [no-limits]"
        )
    found: dict[str, tuple[Sensitive, Any]] = {}
    for key, value in given.items():
        entry: Any = known.get(key, key) if isinstance(key, str) else key
        name = attribute_name(entry)
        if name in found:
            raise ValueError(
                f"limits names {name!r} twice: give one limit per attribute. [given-twice]"
            )
        found[name] = (entry, value)
    return found


def read_limits(by_name: Mapping[str, Any], criterion: str, measure: str) -> tuple[Limit, ...]:
    """Return the limits of all rates, checked; a plain number limits those of the criterion."""
    found = []
    for name, given in by_name.items():
        single = not isinstance(given, Mapping)
        by_rate = dict.fromkeys(CRITERIA[criterion], given) if single else dict(given)
        if not by_rate:
            raise ValueError(
                f"No rate of {name!r} is limited: name one of {', '.join(RATES)}. [no-limits]"
            )
        for rate, value in by_rate.items():
            check_choice("a rate in limits", rate, RATES)
            found.append(Limit(name, rate, _bound(name, value, measure), measure))
    return tuple(found)


def _bound(name: str, value: Any, measure: str) -> float:
    largest, allowed = ALLOWED[measure]
    number = isinstance(value, Real) and not isinstance(value, bool)
    bound = float(value) if number else np.nan
    if bound == np.inf and measure == "ratio":
        return 0.0
    if not (0 <= bound <= largest or bound == np.inf):
        raise ValueError(
            f"The limit of {name!r} must be a number from 0 to {allowed}; got {value!r}. "
            "[limit-range]"
        )
    return bound
