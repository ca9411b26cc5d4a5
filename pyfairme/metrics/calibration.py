"""Expected calibration error within groups."""

from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pyfairme.metrics.aggregate import ratio
from pyfairme.metrics.array_inputs import (
    Floats,
    as_binary,
    as_groups,
    as_positive,
    as_probability,
    as_weight,
    check_count,
)
from pyfairme.metrics.group_sums import PredictedRows, Table, make_table, totals
from pyfairme.metrics.metric import Metric, MetricParts
from pyfairme.metrics.row_order import warn_of_order

BINS = 10


def calibration_error_by_group(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    *,
    sensitive_features: ArrayLike,
    sample_weight: ArrayLike | None = None,
    pos_label: object = None,
    bins: int = BINS,
) -> pd.Series:
    """Compute the expected calibration error of each group.

    ``ECE_s = sum_b n_sb / n_s * |mean of y - mean of p in bin b of group s|`` with equally wide
    bins of the predicted probability. Even a calibrated model has an error above 0 in a small
    group, of the order ``sqrt(bins / n_s)`` of its outcomes' standard deviation.

    Parameters
    ----------
    y_true
        Shape ``(n,)``: outcomes in {0, 1}.
    y_prob
        Shape ``(n,)``: predicted probabilities of the outcome 1.
    sensitive_features
        Shape ``(n,)`` of labels, or a frame ``(n, A)`` whose intersections are the groups.
    sample_weight
        Shape ``(n,)``: weights of rows.
    pos_label
        The positive class of labels: outcomes then need not be 0 and 1.
    bins
        Number of equally wide bins of [0, 1].

    Returns
    -------
    pd.Series
        Shape ``(G,)``, indexed by group; NaN for an empty one.

    Raises
    ------
    ValueError
        When ``bins`` is below 1, lengths differ, values are out of range, or a label is missing.

    Examples
    --------
    >>> error = calibration_error_by_group([1, 0], [0.75, 0.5], sensitive_features=["a", "b"])
    >>> error.tolist()
    [0.25, 0.5]
    """
    bins = check_count(bins, "bins", 1)
    columns = {"sensitive_features": sensitive_features, "sample_weight": sample_weight}
    warn_of_order(y_true, "y_true", y_prob=y_prob, **columns)
    y_true = as_positive(y_true, pos_label, "y_true")
    outcome = as_binary(y_true, "y_true")
    probability = as_probability(y_prob, "y_prob", len(outcome))
    groups = as_groups(sensitive_features, n=len(outcome))
    rows = PredictedRows(outcome, probability, groups.codes, groups.levels, y_prob=probability)
    sums = totals(outcomes_by_score(rows, bins), as_weight(sample_weight, len(outcome)))
    index = pd.Index(groups.levels, name="group")
    return pd.Series(_group_error(sums), index=index, name="calibration_error")


def worst_group_calibration_error(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    *,
    sensitive_features: ArrayLike,
    sample_weight: ArrayLike | None = None,
    pos_label: object = None,
    bins: int = BINS,
) -> float:
    """Compute the largest expected calibration error over groups.

    See `calibration_error_by_group` for the definition, the parameters and the errors raised.

    Parameters
    ----------
    y_true
        Shape ``(n,)``: outcomes in {0, 1}.
    y_prob
        Shape ``(n,)``: predicted probabilities of the outcome 1.
    sensitive_features
        Shape ``(n,)`` of labels, or a frame ``(n, A)`` whose intersections are the groups.
    sample_weight
        Shape ``(n,)``: weights of rows.
    pos_label
        The positive class of labels: outcomes then need not be 0 and 1.
    bins
        Number of equally wide bins of [0, 1].

    Returns
    -------
    float
        In [0, 1].

    Examples
    --------
    >>> groups = ["a", "a", "b", "b"]
    >>> round(worst_group_calibration_error([1, 0, 1, 1], [0.5] * 4, sensitive_features=groups), 2)
    0.5
    """
    y_true = as_positive(y_true, pos_label, "y_true")
    error = calibration_error_by_group(
        y_true,
        y_prob,
        sensitive_features=sensitive_features,
        sample_weight=sample_weight,
        bins=bins,
    )
    return float(error.max())


def outcomes_by_score(rows: PredictedRows, bins: int) -> Table:
    """Add up outcome and probability: cells ``(G, bins)`` of group and bin of the score."""
    assert rows.y_prob is not None  # a classification table has it
    code = np.minimum((rows.y_prob * bins).astype(np.intp), bins - 1)
    cell = rows.group * bins + code
    return make_table(cell, (len(rows.levels), bins), rows.y_true, rows.y_prob)


def _bin_gaps(sums: Floats) -> Floats:
    """Return outcome less probability of each bin, as shares of the group's rows: (..., G, B)."""
    return ratio(sums[..., 1] - sums[..., 2], sums[..., 0].sum(-1, keepdims=True))


def _sum_of_gaps(gaps: Floats) -> Floats:
    return np.abs(gaps).sum(-1)


def _largest_sum(gaps: Floats) -> Floats:
    return np.fmax.reduce(_sum_of_gaps(gaps), axis=-1)  # fmax passes over NaN


def _group_error(sums: Floats) -> Floats:
    return _sum_of_gaps(_bin_gaps(sums))


def _worst(sums: Floats) -> Floats:
    return _largest_sum(_bin_gaps(sums))


def _bin_rows(sums: Floats) -> Floats:
    return sums[..., 0]


_by_score = partial(outcomes_by_score, bins=BINS)

METRICS = (
    Metric(
        "calibration_error",
        "classification",
        "group",
        _by_score,
        _group_error,
        parts=MetricParts(_bin_gaps, _sum_of_gaps, rows=_bin_rows),
    ),
    Metric(
        "worst_group_calibration_error",
        "classification",
        "attribute",
        _by_score,
        _worst,
        parts=MetricParts(
            _bin_gaps,
            _largest_sum,
            rows=_bin_rows,
            extreme="largest",
            few=True,
        ),
        label="worst-group calibr.",
    ),
)
