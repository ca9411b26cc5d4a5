"""A hash of each row's content, which seeds its random noise whatever the order of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pyfairme.data import Batch, Design
from pyfairme.estimators.table_inputs import cluster_labels

MIX = np.uint64(0x9E3779B97F4A7C15)  # an odd number of random bits


def row_identity(design: Design, frame: pd.DataFrame, batch: Batch) -> np.ndarray:
    """Hash the label, the clusters and the encoded covariates of each row, uint64[n].

    Rows that are equal in all of these are told apart by how many of them stand before, so that
    outcomes of a call are independent of each other.
    """
    hashing: Any = pd.util  # type: ignore[attr-defined]
    parts = [hashing.hash_pandas_object(frame.index, index=False).to_numpy()]
    parts += [
        hashing.hash_array(cluster_labels(frame, factor))
        for factor in design.factors
        if set(factor.columns) <= set(frame.columns)
    ]
    numbers = [*np.asarray(batch.x).T, np.asarray(batch.offset)]
    parts += [hashing.hash_array(np.ascontiguousarray(column)) for column in numbers]
    found = np.zeros(len(frame), np.uint64)
    for part in parts:
        found = (found ^ part) * MIX
        found ^= found >> np.uint64(29)
    before = pd.Series(found).groupby(found).cumcount().to_numpy().astype(np.uint64)
    return found + before * MIX  # wraps around, as it should
