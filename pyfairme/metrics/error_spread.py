"""Spread over groups of the errors of a regression."""

from numpy.typing import ArrayLike

from pyfairme.metrics.aggregate import group_sd
from pyfairme.metrics.array_inputs import Floats, as_weight
from pyfairme.metrics.group_moments import group_mse, mean_residual, moments, real_rows
from pyfairme.metrics.group_sums import totals
from pyfairme.metrics.metric import Metric, MetricParts
from pyfairme.metrics.null_value import permuted_groups


def mse_sd(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sensitive_features: ArrayLike,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the standard deviation over groups (ddof = 0) of the mean squared error.

    It mixes unfairness with noise: a group whose outcomes vary more has a larger MSE under any
    model. Read it beside `residual_sd` and `conditional_demographic_disparity`.

    Parameters
    ----------
    y_true
        Shape ``(n,)``: real outcomes.
    y_pred
        Shape ``(n,)``: predictions, in the unit of the outcome.
    sensitive_features
        Shape ``(n,)`` of labels, or a frame ``(n, A)`` whose intersections are the groups.
    sample_weight
        Shape ``(n,)``: weights of rows within their group.

    Returns
    -------
    float
        In the squared unit of the outcome; NaN with fewer than two groups.

    Raises
    ------
    ValueError
        When lengths differ, values are not finite, or a label is missing.

    Examples
    --------
    >>> mse_sd([0, 0], [0, 2], sensitive_features=["a", "b"])
    2.0
    """
    return float(group_sd(group_mse(_sums(y_true, y_pred, sensitive_features, sample_weight))))


def residual_sd(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sensitive_features: ArrayLike,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the standard deviation over groups (ddof = 0) of the mean residual.

    The mean of outcome minus prediction says whether a group is predicted too low or too high on
    average (calibration in the large); it is 0 in expectation for a calibrated model, whatever the
    noise.

    Parameters
    ----------
    y_true
        Shape ``(n,)``: real outcomes.
    y_pred
        Shape ``(n,)``: predictions, in the unit of the outcome.
    sensitive_features
        Shape ``(n,)`` of labels, or a frame ``(n, A)`` whose intersections are the groups.
    sample_weight
        Shape ``(n,)``: weights of rows within their group.

    Returns
    -------
    float
        In the unit of the outcome; NaN with fewer than two groups.

    Raises
    ------
    ValueError
        When lengths differ, values are not finite, or a label is missing.

    Examples
    --------
    >>> residual_sd([1, 3], [1, 1], sensitive_features=["a", "b"])
    1.0
    """
    sums = _sums(y_true, y_pred, sensitive_features, sample_weight)
    return float(group_sd(mean_residual(sums)))


def _sums(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sensitive_features: ArrayLike,
    sample_weight: ArrayLike | None,
) -> Floats:
    rows = real_rows(y_true, y_pred, sensitive_features, sample_weight)
    return totals(moments(rows), as_weight(sample_weight, len(rows.y_true)))


METRICS = (
    Metric(
        "mse_sd",
        "regression",
        "attribute",
        moments,
        lambda sums: group_sd(group_mse(sums)),
        null=permuted_groups,
        is_sd=True,
        undefined="fewer than two groups have rows",
        kind="positive",
        parts=MetricParts(group_mse, group_sd),
        label="MSE SD",
    ),
    Metric(
        "residual_sd",
        "regression",
        "attribute",
        moments,
        lambda sums: group_sd(mean_residual(sums)),
        null=permuted_groups,
        is_sd=True,
        undefined="fewer than two groups have rows",
        parts=MetricParts(mean_residual, group_sd),
        label="SD of mean residual",
    ),
)
