"""Rows of a table as a fitted estimator's program takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pyfairme.data import Batch

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects


def encoded_rows(
    estimator: FairMixedEffects,
    frame: pd.DataFrame,
    *,
    y: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    clusters: bool = True,
    quiet: bool = False,
    later: bool = False,
) -> Batch:
    """Encode rows by the learned design, offsets in the unit in which a real target is standard.

    Parameters
    ----------
    estimator
        One that has a design and a target.
    frame
        Rows, (n, columns).
    y
        Their encoded target, (n,).
    weight
        Weight of each row, (n,).
    clusters
        Whether the columns of clusters are read.
    quiet
        Whether warnings of values unlike those of training are left out.
    later
        Whether the covariates of rows are encoded only when these rows are taken.
    """
    batch = estimator.design_.encode(
        frame, y=y, weight=weight, clusters=clusters, quiet=quiet, later=later
    )
    unit = float(estimator.target_.link_scale)
    return batch._replace(offset=(np.float64(batch.offset) / unit).astype(np.float32))
