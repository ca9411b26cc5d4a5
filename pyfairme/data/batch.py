"""The arrays that models see."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Batch(NamedTuple):
    """Rows of a table as arrays, all NumPy.

    Attributes
    ----------
    x
        float32[n, p], encoded covariates; of a large table rows that are encoded when they are
        taken (`pyfairme.data.encoded_later`), and so are its slopes.
    y
        float32[n] or int32[n], or None.
    cluster
        int32[n, F], one column per grouping factor; -1 for a cluster never seen in training.
    slopes
        float32[n, q], covariates with random slopes: scaled distances from their origins.
    sensitive
        int32[n, A], one column per sensitive attribute; -1 for a level never seen. float32 where
        one is `Continuous`, whose rows lie between two groups.
    weight
        float32[n].
    offset
        float32[n], added on the link scale.

    Examples
    --------
    >>> import pandas as pd
    >>> from pyfairme.data import Design, Schema
    >>> frame = pd.DataFrame({"school": ["a", "b"], "score": [1.0, 3.0]})
    >>> batch: Batch = Design.fit(frame, Schema.infer(frame, cluster="school")).encode(frame)
    >>> batch.cluster.ravel(), batch.x.shape
    (array([0, 1], dtype=int32), (2, 1))
    """

    # NumPy on the host; the same tuple holds JAX arrays on the device, hence no array type here.
    x: Any
    y: Any
    cluster: Any
    slopes: Any
    sensitive: Any
    weight: Any
    offset: Any


def some_rows(batch: Batch, rows: np.ndarray | slice) -> Batch:
    """Return some of the rows: a mask, positions or a slice."""
    return Batch(*(None if values is None else values[rows] for values in batch))


def joined(first: Batch, second: Batch) -> Batch:
    """Return the rows of both, in this order."""
    both = zip(first, second, strict=True)
    return Batch(*(None if one is None else np.concatenate([one, two]) for one, two in both))


def row_values(y: ArrayLike | None, rows: int) -> np.ndarray | None:
    """Return y as int32[n] (integers, booleans) or float32[n] (reals), checked for length."""
    if y is None:
        return None
    values = np.asarray(y)
    if values.shape != (rows,):
        raise ValueError(
            f"Expected y of shape ({rows},), one per row, got shape {values.shape}. [y-not-rows]"
        )
    if values.dtype.kind not in "biuf":
        raise ValueError(
            f"Expected a numeric y, got dtype {values.dtype}: encode it with a target first."
            " [target-not-numeric]"
        )
    if not np.isfinite(values).all():
        raise ValueError(
            "y holds NaN or infinite values: drop or correct these rows. [infinite-target]"
        )
    return values.astype(np.float32 if values.dtype.kind == "f" else np.int32)


def row_weights(weight: ArrayLike | None, rows: int) -> np.ndarray:
    """Return weights as float32[n], ones by default; they must be finite, >= 0 and not all 0."""
    if weight is None:
        return np.ones(rows, np.float32)
    values = np.asarray(weight, dtype=np.float64)
    if values.shape != (rows,):
        raise ValueError(
            f"Expected weights of shape ({rows},), one per row, got shape {values.shape}."
            " [weight-shape]"
        )
    if not np.isfinite(values).all() or (values < 0).any() or not (values > 0).any():
        raise ValueError(
            "Expected weights that are finite, not negative and not all zero; correct them or drop "
            "the rows. [bad-weights]"
        )
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
        total = float(single.sum())
    if not np.isfinite(total) or not total > 0:
        raise ValueError(
            f"The largest weight is {values.max():g}: single precision cannot sum such weights up; "
            "rescale them, such as weights / weights.mean(). [single-precision]"
        )
    return single
