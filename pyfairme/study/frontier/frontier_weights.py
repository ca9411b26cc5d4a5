"""Strengths of fairness to try: checked before anything is fitted, and named."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pyfairme.data.schema import attribute_name
from pyfairme.estimators.estimator_keywords import (
    as_tuple,
    check_penalties_on,
    is_number,
    strengths,
)
from pyfairme.model.penalties import PENALTIES, AttributeCodes, penalty_names

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects

LONGEST_LABEL = 80  # it names a folder of the store


def labelled(weights: Iterable[Any], estimator: FairMixedEffects) -> tuple[dict[str, Any], str]:
    """Check fairness weights and name them.

    Parameters
    ----------
    weights
        Values of ``fairness_weight``.
    estimator
        Unfitted, with its roles and penalties.

    Returns
    -------
    tuple
        The weights by label, and the label of the one that is 0 everywhere.

    Raises
    ------
    ValueError
        When there is none, none or several are 0, one is negative, given twice, names no protected
        attribute or a penalty that is not on, or the estimator has no penalty or nothing to
        protect.
    """
    given = list(weights)
    if not given:
        raise ValueError(
            "weights is empty: give the strengths to try, such as [0, 0.1, 0.3]. [frontier-weights]"
        )
    if not estimator.fairness or not estimator.sensitive:
        raise ValueError(
            "A frontier needs a penalty and attributes to protect; the estimator has "
            f"fairness={estimator.fairness!r} and sensitive={estimator.sensitive!r}. Give both, "
            "such as **pf.VARIANTS['medl_adb']. [no-penalty]"
        )
    attributes, penalties = _attributes(estimator), penalty_names(estimator.fairness)
    for weight in given:
        _strength(weight, attributes, penalties)
        check_penalties_on(weight, penalties)
    found = {_label(weight): weight for weight in given}
    if len(found) < len(given):
        raise ValueError(f"weights has a value twice: {given}. Leave one out. [frontier-weights]")
    unfair = [
        label for label, weight in found.items() if not _strength(weight, attributes, penalties)[0]
    ]
    if len(unfair) != 1:
        raise ValueError(
            "weights must have 0 once, the unfair point that costs are measured from; "
            f"got {given}. [frontier-weights]"
        )
    return found, unfair[0]


def ascending(weights: Mapping[str, Any], estimator: FairMixedEffects) -> dict[str, Any]:
    """Sort weights by the largest strength of any penalty on any attribute, then by the mean one.

    Examples
    --------
    >>> import pyfairme as pf
    >>> model = pf.FairMixedEffectsClassifier(sensitive=("sex", "race"))
    >>> list(ascending({"1": 1, "race=1": {"race": 1}, "0": 0}, model))
    ['0', 'race=1', '1']
    """
    attributes, penalties = _attributes(estimator), penalty_names(estimator.fairness)
    return dict(sorted(weights.items(), key=lambda item: _strength(item[1], attributes, penalties)))


def _attributes(estimator: FairMixedEffects) -> tuple[AttributeCodes, ...]:
    return tuple(AttributeCodes(attribute_name(e), 0) for e in as_tuple(estimator.sensitive))


def _strength(
    weight: Any, attributes: tuple[AttributeCodes, ...], penalties: tuple[str, ...]
) -> tuple[float, float]:
    """Return the largest and the mean strength of penalties on attributes; refuse a bad one."""
    named = set(weight) & {*PENALTIES, *penalties} if isinstance(weight, Mapping) else set()
    by_penalty = bool(named) and named == set(weight)
    if named and not by_penalty:
        raise ValueError(
            f"The weight {weight!r} names penalties beside attributes: give {{attribute: number}}, "
            "or {penalty: number or {attribute: number}}. [frontier-weights]"
        )
    every = weight.values() if by_penalty else [weight]
    found = np.concatenate([strengths(one, attributes) for one in every])
    return float(found.max()), float(found.mean())


def _label(weight: Any) -> str:
    """Return a weight as short text that can name a folder.

    Examples
    --------
    >>> _label(0.30), _label({"sex": 0.1, ("sex", "race"): 1})
    ('0.3', 'sex=0.1, sex x race=1')
    >>> _label({"moment": {"sex": 0.1}})
    'moment(sex=0.1)'
    """
    text = _text(weight).replace("/", "-").replace("\\", "-")
    if len(text) <= LONGEST_LABEL:
        return text
    return f"{text[: LONGEST_LABEL - 9]}~{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _text(weight: Any) -> str:
    if not isinstance(weight, Mapping):
        return f"{weight:.12g}" if is_number(weight) else str(weight)
    parts = []
    for key, value in weight.items():
        name = key if isinstance(key, str) else attribute_name(key)
        inner = _text(value)
        parts.append(f"{name}({inner})" if isinstance(value, Mapping) else f"{name}={inner}")
    return ", ".join(parts)
