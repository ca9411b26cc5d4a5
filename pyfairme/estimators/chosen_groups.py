"""Which levels of an attribute a report compares: some left out, some put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pyfairme.data.chosen_levels import ChosenLevels, Exclude, Merge, read_choice
from pyfairme.metrics.names import listed

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects
    from pyfairme.estimators.fairness_report import EvaluatedRows


def _asked(
    sensitive: Mapping[str, np.ndarray], exclude: Exclude, merge: Merge
) -> dict[str, ChosenLevels]:
    chosen = read_choice(exclude, merge)
    for name, one in chosen.items():
        if name not in sensitive:
            raise ValueError(
                f"exclude and merge name {name!r}, which is not reported. Attributes are "
                f"{', '.join(listed(sensitive)) or 'none'}. [unknown-attribute]"
            )
        one.check(name, sensitive[name].astype(str))
    return chosen


def groups_to_compare(
    estimator: FairMixedEffects, judged: EvaluatedRows, exclude: Exclude, merge: Merge
) -> EvaluatedRows:
    """Choose groups as asked for; if nothing is, as the estimator's own keywords say."""
    return regrouped(judged, levels_to_compare(estimator, judged.sensitive, exclude, merge))


def levels_to_compare(
    estimator: FairMixedEffects,
    sensitive: Mapping[str, np.ndarray],
    exclude: Exclude,
    merge: Merge,
) -> dict[str, ChosenLevels]:
    """Return what is chosen, by attribute; ``sensitive`` has its labels, (n,).

    Of the estimator's own choice, levels that no row has and attributes that are not reported do
    not matter.
    """
    if exclude is not None or merge is not None:
        return _asked(sensitive, exclude, merge)
    own = {
        name: one.there(sensitive[name].astype(str))
        for name, one in read_choice(estimator.exclude, estimator.merge).items()
        if name in sensitive
    }
    return {name: one for name, one in own.items() if one.levels}


def regrouped(judged: EvaluatedRows, chosen: dict[str, ChosenLevels]) -> EvaluatedRows:
    """Return the rows with other groups, by the name of an attribute."""
    sensitive, left = dict(judged.sensitive), dict(judged.left_out)
    for name, one in chosen.items():
        left[name] = np.isin(sensitive[name].astype(str), one.out)
        sensitive[name] = one.relabelled(sensitive[name])
    return replace(judged, sensitive=sensitive, left_out=left, chosen={**judged.chosen, **chosen})
