"""Spread of true and false positive rates over groups (equalized odds, eq. 2 of the paper)."""

from numpy.typing import ArrayLike

from pyfairme.metrics.aggregate import group_sd
from pyfairme.metrics.array_inputs import as_decisions
from pyfairme.metrics.confusion import confusion, decision_totals, fpr, negatives, positives, tpr
from pyfairme.metrics.metric import Metric, MetricParts
from pyfairme.metrics.null_value import equal_rates


def tpr_sd(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sensitive_features: ArrayLike,
    sample_weight: ArrayLike | None = None,
    pos_label: object = None,
) -> float:
    """Compute the standard deviation over groups of the true positive rate.

    ``sqrt(mean_s (TPR_s - mean TPR)²)`` with ddof = 0 and every group counted once, where
    ``TPR_s = P(ŷ = 1 | y = 1, s)``. Groups without positives are left out. 0 means equal
    opportunity; sampling noise alone gives more than 0, see `null_value` and `tpr_sd_corrected`.

    Parameters
    ----------
    y_true
        Shape ``(n,)``: outcomes in {0, 1}.
    y_pred
        Shape ``(n,)``: decisions in {0, 1}.
    sensitive_features
        Shape ``(n,)`` of labels, or a frame ``(n, A)`` whose intersections are the groups.
    sample_weight
        Shape ``(n,)``: weights of rows within their group.
    pos_label
        The positive class of labels: outcomes and decisions then need not be 0 and 1.

    Returns
    -------
    float
        In [0, 0.5]; NaN when fewer than two groups have positives.

    Raises
    ------
    ValueError
        When lengths differ, values are not 0 or 1, or a label is missing.

    Examples
    --------
    >>> tpr_sd([1, 1, 1, 1], [1, 1, 1, 0], sensitive_features=["a", "a", "b", "b"])
    0.25
    """
    y_true, y_pred = as_decisions(y_true, y_pred, pos_label)
    return float(group_sd(tpr(decision_totals(y_true, y_pred, sensitive_features, sample_weight))))


def fpr_sd(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sensitive_features: ArrayLike,
    sample_weight: ArrayLike | None = None,
    pos_label: object = None,
) -> float:
    """Compute the standard deviation over groups of the false positive rate.

    As `tpr_sd`, with ``FPR_s = P(ŷ = 1 | y = 0, s)``; groups without negatives are left out.

    Parameters
    ----------
    y_true
        Shape ``(n,)``: outcomes in {0, 1}.
    y_pred
        Shape ``(n,)``: decisions in {0, 1}.
    sensitive_features
        Shape ``(n,)`` of labels, or a frame ``(n, A)`` whose intersections are the groups.
    sample_weight
        Shape ``(n,)``: weights of rows within their group.
    pos_label
        The positive class of labels: outcomes and decisions then need not be 0 and 1.

    Returns
    -------
    float
        In [0, 0.5]; NaN when fewer than two groups have negatives.

    Raises
    ------
    ValueError
        When lengths differ, values are not 0 or 1, or a label is missing.

    Examples
    --------
    >>> fpr_sd([0, 0, 0, 0], [1, 1, 0, 0], sensitive_features=["a", "a", "b", "b"])
    0.5
    """
    y_true, y_pred = as_decisions(y_true, y_pred, pos_label)
    return float(group_sd(fpr(decision_totals(y_true, y_pred, sensitive_features, sample_weight))))


METRICS = (
    Metric(
        "tpr_sd",
        "classification",
        "attribute",
        confusion,
        lambda sums: group_sd(tpr(sums)),
        group_size=positives,
        counted="positives",
        null=equal_rates,
        is_sd=True,
        undefined="fewer than two groups have positives",
        kind="rate",
        parts=MetricParts(tpr, group_sd, rows=positives),
        label="TPR SD",
    ),
    Metric(
        "fpr_sd",
        "classification",
        "attribute",
        confusion,
        lambda sums: group_sd(fpr(sums)),
        group_size=negatives,
        counted="negatives",
        null=equal_rates,
        is_sd=True,
        undefined="fewer than two groups have negatives",
        kind="rate",
        parts=MetricParts(fpr, group_sd, rows=negatives),
        label="FPR SD",
    ),
)
