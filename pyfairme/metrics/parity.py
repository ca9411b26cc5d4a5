"""Demographic parity: the same mean decision or prediction in every group (eqs. 3 and 4)."""

from numpy.typing import ArrayLike

from pyfairme.metrics.aggregate import mean_pairwise_gap
from pyfairme.metrics.array_inputs import as_decisions, as_weight
from pyfairme.metrics.confusion import confusion, selection_rate
from pyfairme.metrics.group_moments import mean_prediction, moments, real_rows
from pyfairme.metrics.group_sums import totals
from pyfairme.metrics.metric import Metric, MetricParts
from pyfairme.metrics.null_value import equal_selection, permuted_groups


def demographic_parity(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sensitive_features: ArrayLike,
    sample_weight: ArrayLike | None = None,
    pos_label: object = None,
) -> float:
    """Compute the mean over all pairs of groups of the difference in mean prediction.

    ``mean_{s < s'} |E[ŷ | s] - E[ŷ | s']|``; for decisions in {0, 1} the mean is the rate of
    positive decisions. 0 means demographic parity.

    Parameters
    ----------
    y_true
        Shape ``(n,)``: outcomes; only their number is used (the argument keeps fairlearn's order).
    y_pred
        Shape ``(n,)``: decisions in {0, 1}, or real predictions.
    sensitive_features
        Shape ``(n,)`` of labels, or a frame ``(n, A)`` whose intersections are the groups.
    sample_weight
        Shape ``(n,)``: weights of rows within their group.
    pos_label
        The positive class of labels: outcomes and decisions then need not be 0 and 1.

    Returns
    -------
    float
        In the unit of the prediction; NaN with fewer than two groups.

    Raises
    ------
    ValueError
        When lengths differ, values are not finite, or a label is missing.

    Examples
    --------
    >>> demographic_parity([0, 1, 0, 1], [1, 1, 0, 1], sensitive_features=["a", "a", "b", "b"])
    0.5
    """
    y_true, y_pred = as_decisions(y_true, y_pred, pos_label)
    rows = real_rows(y_true, y_pred, sensitive_features, sample_weight)
    sums = totals(moments(rows), as_weight(sample_weight, len(rows.y_true)))
    return float(mean_pairwise_gap(mean_prediction(sums)))


METRICS = (
    Metric(
        "demographic_parity",
        "classification",
        "attribute",
        confusion,
        lambda sums: mean_pairwise_gap(selection_rate(sums)),
        null=equal_selection,
        undefined="fewer than two groups have rows",
        kind="rate",
        parts=MetricParts(selection_rate, mean_pairwise_gap),
    ),
    Metric(
        "demographic_parity",
        "regression",
        "attribute",
        moments,
        lambda sums: mean_pairwise_gap(mean_prediction(sums)),
        null=permuted_groups,
        undefined="fewer than two groups have rows",
        parts=MetricParts(mean_prediction, mean_pairwise_gap),
    ),
)
