"""Rows with a missing cluster label: each is predicted as a new cluster of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pyfairme.data.columns import pick
from pyfairme.data.grouping_factors import Grouping, factor_columns
from pyfairme.estimators.cluster_label_warnings import warn_of_similar_labels
from pyfairme.estimators.estimator_keywords import as_tuple, uses_clusters
from pyfairme.estimators.given_rows import GivenRows
from pyfairme.estimators.table_inputs import sample_weights
from pyfairme.notices import DataWarning, warn

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects


def _have_a_cluster(frame: pd.DataFrame, cluster: tuple[Grouping, ...]) -> np.ndarray:
    """Tell which rows have a cluster of every factor, (n,), and warn of those that have none.

    Such rows are no cluster together. Each is one of its own, whose effect only this row could
    tell: it says nothing about known clusters, and in training it would pass for noise.
    """
    placed = np.ones(len(frame), bool)
    columns = dict.fromkeys(name for entry in cluster for name in factor_columns(entry))
    for name in columns:
        if name not in frame.columns:
            continue  # said with its near matches later
        gaps = pick(frame, name).isna().to_numpy()
        placed &= ~gaps
        if gaps.any() and not gaps.all():
            warn(
                f"The cluster column {name!r} is missing in {gaps.sum():,} of {len(frame):,} rows: "
                "they are left out of the fit, as each may be of another cluster, and predicted "
                "like rows of clusters never seen. If they belong together, fill the gaps with a "
                "label of their own; missing='raise' refuses them. [missing-cluster]",
                DataWarning,
            )
    return placed if placed.any() else np.ones(len(frame), bool)


def keep_placed(params: Mapping[str, Any], given: GivenRows) -> GivenRows:
    """Leave rows without a cluster out of a fit that uses them; warn of labels that are alike."""
    if not uses_clusters(params):
        return given
    warn_of_similar_labels(given.frame, as_tuple(params["cluster"]))
    if params["missing"] != "category":
        return given
    there = _have_a_cluster(given.frame, as_tuple(params["cluster"]))
    return given.some(np.flatnonzero(there))


def placed(
    estimator: FairMixedEffects, frame: pd.DataFrame, y: Any, sample_weight: ArrayLike | None
) -> tuple[pd.DataFrame, ArrayLike, ArrayLike | None]:
    """Leave out rows without a cluster, as `fit` does."""
    gaps = np.zeros(len(frame), bool)
    for factor in estimator.design_.factors:
        gaps |= (factor.read(frame).codes < 0) & (factor.encode(frame) < 0)
    if not gaps.any() or len(y) != len(frame):
        return frame, y, sample_weight
    weight = sample_weights(sample_weight, len(frame))
    kept = None if weight is None else weight[~gaps]
    return frame.iloc[np.flatnonzero(~gaps)], np.asarray(y).reshape(-1)[~gaps], kept


def refuse_unplaced(estimator: FairMixedEffects, frame: pd.DataFrame) -> None:
    """Refuse rows without a cluster: nothing could be asked for the effect that they would get."""
    for factor in estimator.design_.factors:
        gaps = int(((factor.read(frame).codes < 0) & (factor.encode(frame) < 0)).sum())
        if gaps:
            raise ValueError(
                f"adapt learns clusters by their label, and {factor.column!r} is missing "
                f"in {gaps} of {len(frame)} rows: leave these rows out, or fill in the label of "
                "their cluster. [missing-cluster]"
            )
