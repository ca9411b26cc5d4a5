"""Posterior draws of the predicted mean of each row, handed on chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pyfairme.data.input_types import Table
from pyfairme.estimators import estimator_keywords, table_inputs
from pyfairme.estimators.cluster_label_warnings import warn_of_clusters
from pyfairme.estimators.encoded_rows import encoded_rows
from pyfairme.estimators.fit_lock import of_one_model
from pyfairme.estimators.table_predictions import table_query
from pyfairme.estimators.unseen_clusters import query
from pyfairme.inference import predictions
from pyfairme.inference.predictions import Query

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects

INTEGRATED = "integrated"
MEAN_EFFECTS = (*estimator_keywords.EFFECTS, INTEGRATED)
Take = Callable[[slice, np.ndarray], None]


@of_one_model
def mean_draws(
    estimator: FairMixedEffects, X: Table, effects: str, draws: int, take: Take
) -> pd.DataFrame:
    """Draw the predicted mean of every row, and return X as a frame.

    Parameters
    ----------
    estimator
        A fitted classifier or regressor.
    X
        Rows to predict.
    effects
        "fixed", "random" or "mixed"; or "integrated": the mean over new clusters, as
        ``unseen="sample"`` draws them, which needs no cluster.
    draws
        Number of posterior draws, spread over the members of an ensemble. They are the same in
        every call: values of two calls may be compared draw by draw.
    take
        Called with the rows of each chunk and their values, float64 (rows, K, draws): the
        probability of the second of two classes (K = 1) or of each of more, or the mean in the
        target's units (K = 1).
    """
    estimator_keywords.check_choice("effects", effects, MEAN_EFFECTS)
    if effects == INTEGRATED:
        frame, found = _without_clusters(estimator, X)
    else:
        frame, found = table_query(estimator, X, effects=effects, joint=True)
        warn_of_clusters(estimator, frame, effects)
    classes = len(getattr(estimator, "classes_", ()))

    def in_units(part: slice, values: np.ndarray) -> None:
        if not classes:
            decoded = np.asarray(estimator.target_.decode(values))[:, None]
        else:
            decoded = np.asarray(values[:, 1:] if classes == 2 else values, np.float64)
        take(part, decoded)

    predictions.each_mean(found, effects, draws, estimator._seed, in_units)
    return frame


def _without_clusters(estimator: FairMixedEffects, X: Table) -> tuple[pd.DataFrame, Query]:
    """Ask for rows as if each were a cluster of its own that ``unseen="sample"`` draws."""
    estimator._check_use()
    design = estimator.design_
    frame = table_inputs.new_frame(estimator, X, allow_nan=estimator.missing == "category")
    columns = [column for factor in design.factors for column in factor.columns]
    bare = frame.drop(columns=columns, errors="ignore")
    batch = encoded_rows(estimator, bare, clusters=False)
    gaps = frame.assign(**dict.fromkeys(columns, None))
    return frame, query(estimator.fit_, design, gaps, batch, "sample", estimator._seed, joint=True)
