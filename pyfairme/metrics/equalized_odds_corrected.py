"""Spread of rates over groups with the part expected from sampling noise taken off."""

import numpy as np
from numpy.typing import ArrayLike

from pyfairme.metrics.aggregate import group_sd, ratio
from pyfairme.metrics.array_inputs import Floats, as_decisions, as_weight
from pyfairme.metrics.confusion import (
    confusion,
    decision_rows,
    effective_decisions,
    fpr,
    negatives,
    positives,
    tpr,
)
from pyfairme.metrics.group_sums import tabulated, totals, unequal
from pyfairme.metrics.metric import Metric, MetricParts
from pyfairme.metrics.null_value import equal_rates


def tpr_sd_corrected(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sensitive_features: ArrayLike,
    sample_weight: ArrayLike | None = None,
    pos_label: object = None,
) -> float:
    """Compute the spread of true positive rates without its sampling noise.

    The observed rates of G groups are ``r_g = p_g + e_g`` with independent binomial errors of
    variance ``v_g = p_g (1 - p_g) / n_g``. For the population variance over groups (ddof = 0)

        E[SD²(r)] = SD²(p) + (1/G) sum_g Var(e_g - mean e)
                  = SD²(p) + (1/G) (sum_g v_g - (1/G) sum_g v_g)
                  = SD²(p) + (G - 1)/G * mean_g v_g,

    so that ``sqrt(max(0, SD²(r) - (G - 1)/G mean_g v̂_g))`` is returned, with the unbiased
    ``v̂_g = r_g (1 - r_g) / (n_g - 1)``. A group of one row cannot tell its own variance and takes
    the pooled ``r (1 - r)``. With weights n_g is the effective number ``(sum w)² / sum w²``.

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
        0 when the noise explains all spread; NaN when fewer than two groups have positives.

    Raises
    ------
    ValueError
        When lengths differ, values are not 0 or 1, or a label is missing.

    Examples
    --------
    >>> tpr_sd_corrected([1, 1, 1, 1], [1, 1, 1, 0], sensitive_features=["a", "a", "b", "b"])
    0.0
    """
    y_true, y_pred = as_decisions(y_true, y_pred, pos_label)
    return float(_corrected_tpr_sd(_sums(y_true, y_pred, sensitive_features, sample_weight)))


def fpr_sd_corrected(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sensitive_features: ArrayLike,
    sample_weight: ArrayLike | None = None,
    pos_label: object = None,
) -> float:
    """Compute the spread of false positive rates without its sampling noise.

    As `tpr_sd_corrected`, over negatives.

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
        0 when the noise explains all spread; NaN when fewer than two groups have negatives.

    Raises
    ------
    ValueError
        When lengths differ, values are not 0 or 1, or a label is missing.

    Examples
    --------
    >>> groups = ["a"] * 50 + ["b"] * 50
    >>> decisions = [0] * 40 + [1] * 10 + [0] * 20 + [1] * 30
    >>> round(fpr_sd_corrected([0] * 100, decisions, sensitive_features=groups), 3)
    0.195
    """
    y_true, y_pred = as_decisions(y_true, y_pred, pos_label)
    return float(_corrected_fpr_sd(_sums(y_true, y_pred, sensitive_features, sample_weight)))


def expected_noise(accepted: Floats, n: Floats, effective: Floats | None = None) -> Floats:
    """Estimate how much binomial noise adds to the ddof = 0 variance of rates over groups.

    Parameters
    ----------
    accepted
        Shape ``(..., G)``: positive decisions of each group.
    n
        Shape ``(..., G)``: rows they are out of; groups with 0 are left out.
    effective
        Shape ``(..., G)``: as many equally weighted rows are as informative; ``None`` for all.

    Returns
    -------
    Floats
        Shape ``(...)``: ``(G - 1)/G * mean_g v̂_g``, see `tpr_sd_corrected`.
    """
    groups = (n > 0).sum(-1)
    rate = np.nan_to_num(ratio(accepted, n))
    pooled = np.nan_to_num(ratio(accepted.sum(-1), n.sum(-1)))[..., None]
    effective = n if effective is None else effective
    own = rate * (1 - rate) / np.maximum(effective - 1, 1)
    shared = pooled * (1 - pooled) / np.maximum(effective, 1)
    variance = np.where(effective >= 2, own, shared) * (n > 0)
    return (groups - 1) / np.maximum(groups, 1) ** 2 * variance.sum(-1)


def _corrected(sums: Floats, outcome: int) -> Floats:
    accepted, n = sums[..., outcome, 1], sums[..., outcome, 0]
    noise = expected_noise(accepted, n, effective_decisions(sums)[..., outcome])
    excess = group_sd(ratio(accepted, n)) ** 2 - noise
    return np.sqrt(np.maximum(excess, 0.0))  # np.maximum keeps NaN


def _sums(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sensitive_features: ArrayLike,
    sample_weight: ArrayLike | None,
) -> Floats:
    rows = decision_rows(y_true, y_pred, sensitive_features, sample_weight)
    weight = as_weight(sample_weight, len(rows.y_true))
    return totals(tabulated(confusion, rows._replace(weight=unequal(weight))))


def _corrected_tpr_sd(sums: Floats) -> Floats:
    return _corrected(sums, outcome=1)


def _corrected_fpr_sd(sums: Floats) -> Floats:
    return _corrected(sums, outcome=0)


METRICS = (
    Metric(
        "tpr_sd_corrected",
        "classification",
        "attribute",
        confusion,
        _corrected_tpr_sd,
        group_size=positives,
        counted="positives",
        null=equal_rates,
        is_sd=True,
        undefined="fewer than two groups have positives",
        kind="rate",
        parts=MetricParts(tpr, group_sd, rows=positives),
        label="TPR SD, noise off",
    ),
    Metric(
        "fpr_sd_corrected",
        "classification",
        "attribute",
        confusion,
        _corrected_fpr_sd,
        group_size=negatives,
        counted="negatives",
        null=equal_rates,
        is_sd=True,
        undefined="fewer than two groups have negatives",
        kind="rate",
        parts=MetricParts(fpr, group_sd, rows=negatives),
        label="FPR SD, noise off",
    ),
)
