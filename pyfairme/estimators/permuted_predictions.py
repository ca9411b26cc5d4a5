"""Predictions of rows in which one feature at a time is another row's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from pyfairme.data.input_types import Table
from pyfairme.estimators.cluster_label_warnings import warn_of_clusters
from pyfairme.estimators.table_predictions import table_query
from pyfairme.inference.input_importance import Exchanged, exchanged_means

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects


def permuted_predictions(
    estimator: FairMixedEffects, X: Table, effects: str, repeats: int, seed: int
) -> Iterator[Exchanged]:
    """Yield predicted means, first of rows as they are (feature ""), then feature by feature.

    Features are the covariates and, unless effects are "fixed", the grouping factors. Means are
    probabilities (n, classes), or values in the target's units (n,).
    """
    frame, query = table_query(estimator, X, effects=effects)
    warn_of_clusters(estimator, frame, effects)
    if len(frame) < 2:
        raise ValueError(
            "Importance by permutation exchanges values between rows, and X has one: give more "
            "rows. [one-row-importance]"
        )
    design = estimator.design_
    places: dict[str, list[int]] = {}
    for i, column in enumerate(design.columns):
        places.setdefault(column.term, []).append(i)
    factors = {} if effects == "fixed" else {
        factor.name: i for i, factor in enumerate(estimator.fit_.spec.factors)
    }  # fmt: skip
    classes = hasattr(estimator, "classes_")
    for one in exchanged_means(
        query, effects, places, design.slope_positions, factors, repeats, seed
    ):
        mean = one.mean if classes else np.asarray(estimator.target_.decode(one.mean))
        yield one._replace(mean=np.asarray(mean, np.float64))
