"""Whether rows that a model is judged on are rows that it was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pyfairme.data import Batch
from pyfairme.data.input_types import Table
from pyfairme.estimators import table_inputs
from pyfairme.estimators.encoded_rows import encoded_rows

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects

LEAST_SHARE = 0.1  # of the rows, to be worth a word
LEAST_ROWS = 5
NOISE = 4.0  # standard errors
LEAST_SINGLE = 0.05  # share of training rows without a twin: with fewer, nothing can be told


class TrainedShare(NamedTuple):
    """How many of the judged rows are training rows.

    Attributes
    ----------
    share
        Estimated share of rows that were trained on.
    twins
        Share of rows that equal a training row by nature, as others of the table do.
    """

    share: float
    twins: float


def known_rows(estimator: FairMixedEffects, X: Table, y: ArrayLike) -> TrainedShare | None:
    """Compare the contents of rows (n, columns) with the rows that an estimator was trained on.

    Covariates, clusters, groups and the outcome are compared, as they are encoded. A row that
    equals a training row proves nothing: tables of a few coarse columns are full of twins. So only
    training rows without a twin among themselves count. Of N such rows in n, a new row equals one
    with probability 2 N2 / n (Good and Turing), N2 being the number of pairs of twins; a training
    row is one with probability N / n. Where the share of the judged rows lies between the two says
    how many of them are training rows. New rows of common contents do not count at all.

    Returns
    -------
    TrainedShare or None
        None where fewer than a tenth of the rows seem to be training rows, where chance would
        explain it, where nearly all rows have twins, or where the estimator does not hold its
        training rows: it was loaded from a file, or they are very many.
    """
    training: Batch | None = getattr(estimator, "_training", None)
    if training is None:
        return None
    frame = table_inputs.new_frame(estimator, X, allow_nan=estimator.missing == "category")
    judged = encoded_rows(estimator, frame, y=estimator.target_.encode(y), quiet=True)
    return compare(row_hashes(training), row_hashes(judged))


def row_hashes(batch: Batch) -> np.ndarray:
    """Return a number (n,) of 64 bits for the contents of each row, weights left out.

    Examples
    --------
    >>> import pandas as pd
    >>> from pyfairme.data import Design, Schema
    >>> frame = pd.DataFrame({"school": ["a", "b", "a"], "score": [1.0, 3.0, 1.0]})
    >>> batch = Design.fit(frame, Schema.infer(frame, cluster="school")).encode(frame)
    >>> first, second, third = row_hashes(batch._replace(y=np.zeros(3)))
    >>> print(first == third, first == second)
    True False
    """
    parts = (batch.y, batch.offset, batch.cluster, batch.sensitive, batch.x)
    found = np.zeros(len(batch.weight), np.uint64)
    for part in parts:
        values = np.asarray(part, np.float32) + np.float32(0)  # no -0
        for column in values.view(np.uint32).reshape(len(found), int(np.prod(values.shape[1:]))).T:
            found ^= column.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
            found *= np.uint64(0xBF58476D1CE4E5B9)
            found ^= found >> np.uint64(29)
    return found


def compare(training: np.ndarray, judged: np.ndarray) -> TrainedShare | None:
    """Compare hashes of rows, (n,) and (m,); see `known_rows`."""
    contents, counts = np.unique(training, return_counts=True)
    rows, here = len(training), len(judged)
    alone = contents[counts == 1]
    single, by_nature = len(alone) / rows, 2 * float((counts == 2).sum()) / rows
    met = int(np.isin(judged, alone).sum())
    if single - by_nature < LEAST_SINGLE or met < LEAST_ROWS:
        return None
    expected = by_nature * here
    share = (met - expected) / ((single - by_nature) * here)
    if share < LEAST_SHARE or met - expected < NOISE * np.sqrt(expected + 1):
        return None
    return TrainedShare(min(share, 1.0), 1 - single)
