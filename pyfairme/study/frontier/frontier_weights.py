"""Strengths of fairness to try: checked before anything is fitted, and named."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pyfairme.data.schema import attribute_name
from pyfairme.estimators.estimator_keywords import as_tuple
from pyfairme.estimators.fairness_weight import FairnessWeight
from pyfairme.estimators.number_checks import is_number
from pyfairme.model.penalties import penalty_names

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
    strengths = [_strength(weight, estimator) for weight in given]
    found = {_label(weight): weight for weight in given}
    if len(found) < len(given):
        raise ValueError(f"weights has a value twice: {given}. Leave one out. [frontier-weights]")
    unfair = [label for label, (most, _) in zip(found, strengths, strict=True) if not most]
    if len(unfair) != 1:
        raise ValueError(
            "weights must have 0 once, the unfair point that costs are measured from; "
            f"got {given}. [frontier-weights]"
        )
    return found, unfair[0]


def ascending(weights: Mapping[str, Any], estimator: FairMixedEffects) -> dict[str, Any]:
    """Sort weights by the largest strength of any penalty on any attribute, then by the sum.

    Examples
    --------
    >>> import pyfairme as pf
    >>> model = pf.FairMixedEffectsClassifier(sensitive=("sex", "race"))
    >>> list(ascending({"1": 1, "race=1": {"race": 1}, "0": 0}, model))
    ['0', 'race=1', '1']
    """
    return dict(sorted(weights.items(), key=lambda item: _strength(item[1], estimator)))


def _strength(weight: object, estimator: FairMixedEffects) -> tuple[float, float]:
    """Return the largest strength of a penalty on an attribute, and the sum of all."""
    attributes = [attribute_name(entry) for entry in as_tuple(estimator.sensitive)]
    parsed = FairnessWeight.parse(weight, attributes, penalty_names(estimator.fairness))
    return parsed.largest, parsed.total


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
