"""Predictions of a table's rows by a fitted estimator: means, quantiles and new outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pyfairme.data import Batch
from pyfairme.data.input_types import Rows, Table
from pyfairme.data.parquet_rows import is_parquet
from pyfairme.estimators import estimator_keywords, inference_data, table_inputs
from pyfairme.estimators.cluster_label_warnings import warn_of_clusters
from pyfairme.estimators.encoded_rows import encoded_rows
from pyfairme.estimators.files_of_rows import blocks_of_files
from pyfairme.estimators.fit_lock import of_one_model
from pyfairme.estimators.row_seeds import row_identity
from pyfairme.estimators.unseen_clusters import query, with_draws
from pyfairme.inference import predictions
from pyfairme.inference.predictions import Query
from pyfairme.notices import errors_alone, first_of_each

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects


@of_one_model
@errors_alone
def table_query(
    estimator: FairMixedEffects,
    X: Table,
    y: np.ndarray | None = None,
    effects: str = "mixed",
    *,
    joint: bool = False,
) -> tuple[pd.DataFrame, Query]:
    """Return the rows as a frame, and what is to be predicted of them.

    Parameters
    ----------
    estimator
        A fitted one; with keywords changed that only another fit can obey it is refused.
    X
        Rows, (n, columns).
    y
        Their encoded target, (n,), for densities.
    effects
        "fixed", "random" or "mixed"; for "fixed" the columns of clusters may be absent.
    joint
        Whether rows of one new cluster share its effect, see `unseen_clusters.query`.
    """
    estimator._check_use()
    frame = table_inputs.new_frame(estimator, X, allow_nan=estimator.missing == "category")
    fixed, design = effects == "fixed", estimator.design_
    batch = encoded_rows(estimator, frame, y=y, clusters=not fixed)
    there = set(design.clusters) <= set(frame.columns)
    unseen = estimator.unseen
    policy = unseen if not fixed or (there and unseen == "raise") else "population"
    return frame, query(estimator.fit_, design, frame, batch, policy, estimator._seed, joint)


@of_one_model
def means_of_encoded(
    estimator: FairMixedEffects, frame: pd.DataFrame, batch: Batch
) -> dict[str, np.ndarray]:
    """Return posterior means by kind of effects, (n, ...), of rows that are encoded already.

    ``frame`` has their clusters, (n, columns).
    """
    found = query(
        estimator.fit_, estimator.design_, frame, batch, estimator.unseen, estimator._seed
    )
    return predictions.every_mean(found)


@of_one_model
def table_means(estimator: FairMixedEffects, X: Rows, effects: str) -> np.ndarray:
    """Return posterior means of each row: probabilities (n, K), or encoded values (n,).

    Rows of Parquet files are read and predicted block by block.
    """
    if not is_parquet(X):
        table: Any = X
        return _means(estimator, table, effects)
    estimator._check_use()
    with first_of_each():
        found = [_means(estimator, block, effects) for block in blocks_of_files(estimator, X)]
    if not found:
        raise ValueError("X has no rows: give a table with some. [no-rows]")
    return np.concatenate(found)


def _means(estimator: FairMixedEffects, X: Table, effects: str) -> np.ndarray:
    _, found = _asked(estimator, X, effects)
    return predictions.means(found, effects)


@of_one_model
def table_quantiles(
    estimator: FairMixedEffects, X: Table, probabilities: Sequence[float], of: str, effects: str
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return the rows as a frame, their posterior means and quantiles (len, n, ...), encoded.

    ``of`` is what the quantiles are of: the "mean", or a new "observation". A row's do not depend
    on the rows beside it.
    """
    frame, found = _asked(estimator, X, effects)
    drawn, at = with_draws(found), tuple(probabilities)
    quantiles = predictions.quantiles(drawn, effects, at, of, estimator._seed)
    return frame, predictions.means(found, effects), quantiles


@of_one_model
def table_outcomes(estimator: FairMixedEffects, X: Table, draws: int, effects: str) -> Any:
    """Draw new outcomes in the target's units, or codes: xarray (chain, draw, row)."""
    inference_data.check_draws(draws)
    frame, found = _asked(estimator, X, effects, joint=True)
    inference_data.check_outcomes(len(frame), draws, estimator.fit_.spec.likelihood.outputs)
    identity = row_identity(estimator.design_, frame, found.batch)
    values = predictions.outcomes(
        with_draws(found), effects, draws, estimator._seed, identity, estimator.target_.outcomes
    )
    return inference_data.outcome_array(values, found.centre.shape[0], draws, frame.index)


def _asked(
    estimator: FairMixedEffects, X: Table, effects: str, *, joint: bool = False
) -> tuple[pd.DataFrame, Query]:
    """Return the rows that somebody asks about: the effects are checked, clusters warned of."""
    estimator_keywords.check_choice("effects", effects, estimator_keywords.EFFECTS)
    frame, found = table_query(estimator, X, effects=effects, joint=joint)
    warn_of_clusters(estimator, frame, effects)
    return frame, found
