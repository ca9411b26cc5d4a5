"""Groups that conformal intervals and sets calibrate, and clusters that training never saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pyfairme.data.attributes import Attribute
from pyfairme.data.brackets import Brackets
from pyfairme.data.grouping_factors import read_clusters
from pyfairme.data.schema import Sensitive, attribute_name, check_sensitive, components
from pyfairme.metrics.array_inputs import Codes
from pyfairme.notices import shown
from pyfairme.postprocessing import policy_inputs

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects

By = Sensitive | list[Sensitive] | None
WHAT = "Quantiles"
OTHERWISE = "leave it out of by and fit again."
MOST_GROUPS = 300  # of a list of attributes together: a program each for what occurs of them


def learn_by(estimator: FairMixedEffects, by: By, frame: pd.DataFrame) -> tuple[Attribute, ...]:
    """Learn the groups of a keyword ``by`` from calibration rows."""
    known = {attribute_name(e): e for e in estimator.design_.schema.sensitive}
    found: dict[str, Attribute] = {}
    for given in _entries(by):
        entry = known.get(given, given) if isinstance(given, str) else given
        name = attribute_name(entry)
        if name in found:
            raise ValueError(f"by names {name!r} twice: give each attribute once. [given-twice]")
        parts = [part for part in components(entry) if isinstance(part, str)]
        labelled = _labelled(estimator, frame, parts)
        found[name] = policy_inputs.learn_groups(entry, labelled, OTHERWISE, WHAT)
    groups = tuple(found.values())
    if len(groups) > 1 and (number := sum(len(one.levels) for one in groups)) > MOST_GROUPS:
        most = max(groups, key=lambda one: len(one.levels))
        raise ValueError(
            f"by has {number:,} groups, of which {len(most.levels):,} are of {most.name!r}, and a "
            f"list of attributes may have {MOST_GROUPS}: leave that attribute out, or join its "
            "groups. One attribute alone may have any number. [many-groups]"
        )
    return groups


def group_codes(
    estimator: FairMixedEffects, groups: tuple[Attribute, ...], frame: pd.DataFrame
) -> list[Codes]:
    """Return the group of each row, (n,) for each attribute; -1 for one never calibrated."""
    found = []
    for one in groups:
        policy_inputs.check_columns(one.name, one.columns, frame, OTHERWISE, WHAT)
        parts = [part.column for part in one.components if part.binned is None]
        found.append(one.encode(_labelled(estimator, frame, parts)).astype(np.intp))
    return found


def unseen_units(estimator: FairMixedEffects, frame: pd.DataFrame, effects: str) -> Codes:
    """Return the number of the cluster of each row that training never saw, (n,), -1 of the others.

    The cluster is that of the first factor, from the outermost on, that is new; a row without one
    is a unit of its own. Where predictions know no cluster, none is new.
    """
    units = np.full(len(frame), -1, dtype=np.intp)
    if effects == "fixed":
        return units
    new = np.zeros(len(frame), bool)
    for factor in (estimator.design_.factor(one.name) for one in estimator.fit_.spec.factors):
        labels = factor.read(frame)
        here = (factor.encode(frame) < 0) & ~new
        start = int(units.max()) + 1
        named = here & (labels.codes >= 0)
        units[named] = start + labels.codes[named]
        alone = here & (labels.codes < 0)
        units[alone] = start + len(labels.names) + np.arange(alone.sum())
        new |= here
    return units


def _entries(by: By) -> list[Any]:
    entries = [] if by is None else by if isinstance(by, list) else [by]
    for entry in entries:
        if not isinstance(entry, str | Brackets | tuple):
            raise TypeError(
                "by takes a column, a Binned, a tuple of these for an intersection, or a list of "
                f"such attributes, got {shown(entry)}. [by-kind]"
            )
    check_sensitive(entries)
    return entries


def _labelled(
    estimator: FairMixedEffects, frame: pd.DataFrame, columns: Sequence[str]
) -> pd.DataFrame:
    """Return the frame with the labels of clusters as text: numbers of clusters are names."""
    found = {}
    for column in set(columns) & set(estimator.design_.schema.cluster_columns) & set(frame.columns):
        labels = read_clusters(frame, column)
        names = np.array([*labels.names, None], dtype=object)
        found[column] = pd.Series(names[labels.codes], index=frame.index)
    return frame.assign(**found) if found else frame
