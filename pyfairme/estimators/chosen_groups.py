"""Which levels of an attribute a report compares: some left out, some put together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pyfairme.data.chosen_levels import ChosenLevels, Exclude, Merge, read_choice
from pyfairme.metrics.names import listed

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects
    from pyfairme.estimators.fairness_report import EvaluatedRows


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
        For other forms, an attribute that is not reported, a level that no row has, or one named
        twice.
    """
    chosen = read_choice(exclude, merge)
    for name, one in chosen.items():
        if name not in judged.sensitive:
            raise ValueError(
                f"exclude and merge name {name!r}, which is not reported. Attributes are "
                f"{', '.join(listed(judged.sensitive)) or 'none'}. [unknown-attribute]"
            )
        one.check(name, judged.sensitive[name].astype(str))
    return regrouped(judged, chosen)


def groups_to_compare(
    estimator: FairMixedEffects, judged: EvaluatedRows, exclude: Exclude, merge: Merge
) -> EvaluatedRows:
    """Choose groups as asked for; if nothing is, as the estimator's own keywords say.

    Levels of these that no row has, and attributes that are not reported, do not matter.
    """
    if exclude is not None or merge is not None:
        return choose_groups(judged, exclude, merge)
    own = {
        name: one.there(judged.sensitive[name].astype(str))
        for name, one in read_choice(estimator.exclude, estimator.merge).items()
        if name in judged.sensitive
    }
    return regrouped(judged, {name: one for name, one in own.items() if one.levels})


def regrouped(judged: EvaluatedRows, chosen: dict[str, ChosenLevels]) -> EvaluatedRows:
    """Return the rows with other groups, by the name of an attribute."""
    sensitive, left = dict(judged.sensitive), dict(judged.left_out)
    for name, one in chosen.items():
        labels = sensitive[name]
        texts, new = labels.astype(str), labels.copy()
        left[name] = np.isin(texts, one.out)
        for target, old in one.together:
            new[np.isin(texts, old)] = target
        sensitive[name] = new
    return replace(judged, sensitive=sensitive, left_out=left, chosen={**judged.chosen, **chosen})
