"""Quantiles of new outcomes at any probabilities, as a fitted estimator predicts them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pyfairme.data.input_types import Table
from pyfairme.estimators.cluster_label_warnings import warn_of_clusters
from pyfairme.estimators.fit_lock import of_one_model
from pyfairme.estimators.unseen_clusters import with_draws
from pyfairme.inference import predictions

if TYPE_CHECKING:
    from pyfairme.estimators.regressor import FairMixedEffectsRegressor


@of_one_model
def outcome_quantiles(
    estimator: FairMixedEffectsRegressor, X: Table, probabilities: Sequence[float], effects: str
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return X as a frame, the mean (n,) and quantiles of a new outcome (len, n), in units of y.

    A row's quantiles do not depend on the rows beside it.
    """
    frame, query = estimator._query(X, effects=effects)
    warn_of_clusters(estimator, frame, effects)
    drawn = with_draws(query)
    found = predictions.quantiles(
        drawn, effects, tuple(probabilities), "observation", estimator._seed
    )
    mean = predictions.means(query, effects)
    return frame, estimator.target_.decode(mean), estimator.target_.decode(found)
