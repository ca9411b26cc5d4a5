"""How strongly predictions react to each covariate of the user's table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pyfairme.data import Design
from pyfairme.data.input_types import Table
from pyfairme.data.terms import column_inputs, column_rates
from pyfairme.estimators import estimator_keywords
from pyfairme.estimators.table_predictions import table_query
from pyfairme.inference.input_importance import (
    ImportanceInputs,
    mean_absolute_changes,
    mean_absolute_gradients,
    rank_features,
)
from pyfairme.inference.predictions import Query

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects

METHODS = ("permutation", "gradient")


def feature_importance(
    estimator: FairMixedEffects, X: Table, effects: str, method: str
) -> pd.DataFrame:
    """Rank the covariates; see the estimators' method of this name."""
    estimator_keywords.check_choice("effects", effects, estimator_keywords.EFFECTS)
    estimator_keywords.check_choice("method", method, METHODS)
    frame, query = table_query(estimator, X, effects=effects)
    if method == "permutation":
        return _by_permutation(estimator.design_, query, effects, estimator._seed)
    return _by_gradient(estimator.design_, query, effects, frame, estimator._input_sd)


def _by_permutation(design: Design, query: Query, effects: str, seed: int) -> pd.DataFrame:
    if len(query.batch.x) < 2:
        raise ValueError(
            "Importance by permutation exchanges values between rows, and X has one: give more "
            "rows, or method='gradient'. [one-row-importance]"
        )
    places: dict[str, list[int]] = {}
    for i, column in enumerate(design.columns):
        places.setdefault(column.term, []).append(i)
    changes = mean_absolute_changes(query, effects, places, design.slope_positions, seed)
    return rank_features(changes, list(places))


def _by_gradient(
    design: Design, query: Query, effects: str, frame: pd.DataFrame, input_sd: np.ndarray
) -> pd.DataFrame:
    moved = ImportanceInputs(column_rates(design.terms, frame), column_inputs(design.columns))
    gradients = mean_absolute_gradients(query, effects, design.slope_positions, moved)
    inputs = np.unique(moved.of)
    terms = [design.columns[i].term for i in inputs]
    return rank_features(gradients * input_sd[inputs], terms)
