"""Disparity of predictions between groups whose outcomes are alike, for regression."""

from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from pyfairme.metrics.aggregate import mean_pairwise_gap, ratio
from pyfairme.metrics.array_inputs import Codes, Floats, as_weight, check_count
from pyfairme.metrics.group_moments import real_rows
from pyfairme.metrics.group_sums import PredictedRows, Table, make_table, totals
from pyfairme.metrics.metric import Metric, MetricParts
from pyfairme.metrics.null_value import permuted_groups

BINS = 5


def conditional_demographic_disparity(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sensitive_features: ArrayLike,
    sample_weight: ArrayLike | None = None,
    bins: int = BINS,
) -> float:
    """Compute the disparity of the mean prediction given the outcome.

    Rows are cut into quantile bins b of the outcome, and ::

        sum_b n_b / n * mean_{s < s'} |E[ŷ | s, b] - E[ŷ | s', b]|

    is returned: the regression counterpart of equalized odds, which conditions on y likewise. Bins
    in which fewer than two groups have rows are left out of sum and n; equal outcomes are never
    cut apart, so an outcome with many ties has fewer bins.

    Parameters
    ----------
    y_true
        Shape ``(n,)``: real outcomes.
    y_pred
        Shape ``(n,)``: predictions, in the unit of the outcome.
    sensitive_features
        Shape ``(n,)`` of labels, or a frame ``(n, A)`` whose intersections are the groups.
    sample_weight
        Shape ``(n,)``: weights of rows; the cuts are those of the unweighted outcome.
    bins
        Number of quantile bins.

    Returns
    -------
    float
        In the unit of the outcome; NaN when no bin has two groups.

    Raises
    ------
    ValueError
        When ``bins`` is below 1, lengths differ, values are not finite, or a label is missing.

    Examples
    --------
    >>> conditional_demographic_disparity(
    ...     [0, 0, 9, 9], [1, 2, 5, 8], sensitive_features=["a", "b", "a", "b"], bins=2
    ... )
    2.0
    """
    bins = check_count(bins, "bins", 1)
    rows = real_rows(y_true, y_pred, sensitive_features, sample_weight)
    table = predictions_by_outcome(rows, bins)
    return float(_disparity(totals(table, as_weight(sample_weight, len(rows.y_true)))))


def predictions_by_outcome(rows: PredictedRows, bins: int) -> Table:
    """Add up predictions: cells ``(G, B)`` of group and outcome bin, B at most ``bins``."""
    code, count = _quantile_bins(rows.y_true, bins)
    return make_table(rows.group * count + code, (len(rows.levels), count), rows.y_pred)


def _quantile_bins(y: Floats, bins: int) -> tuple[Codes, int]:
    cuts = np.quantile(y, np.arange(1, bins) / bins)
    code = np.searchsorted(cuts, y, side="left")
    used, code = np.unique(code, return_inverse=True)
    return code, len(used)


def _disparity(sums: Floats) -> Floats:
    return _sum_of_bins(_shares(sums))


def _shares(sums: Floats) -> Floats:
    """Return mean predictions times the share of their bin: (..., B, G)."""
    by_bin = np.swapaxes(sums, -3, -2)  # (..., B, G, k)
    mean = ratio(by_bin[..., 1], by_bin[..., 0])
    comparable = (~np.isnan(mean)).sum(-1) >= 2
    rows = np.where(comparable, by_bin[..., 0].sum(-1), 0.0)
    share = ratio(rows, rows.sum(-1, keepdims=True))
    return np.where(comparable, share, np.nan)[..., None] * mean


def _sum_of_bins(shares: Floats) -> Floats:
    gap = mean_pairwise_gap(shares)
    known = ~np.isnan(gap)
    return np.where(known.any(-1), np.where(known, gap, 0.0).sum(-1), np.nan)


def _rows(sums: Floats) -> Floats:
    return np.swapaxes(sums[..., 0], -2, -1)


METRICS = (
    Metric(
        "conditional_demographic_disparity",
        "regression",
        "attribute",
        partial(predictions_by_outcome, bins=BINS),
        _disparity,
        null=permuted_groups,
        undefined="no bin of the outcome has rows of two groups",
        parts=MetricParts(_shares, _sum_of_bins, rows=_rows),
        label="conditional dem. disparity",
    ),
)
