"""Accuracy of classifiers and regressions, by scikit-learn."""

import numpy as np
from numpy.typing import ArrayLike

from pyfairme.metrics.array_inputs import (
    Floats,
    as_binary,
    as_decisions,
    as_positive,
    as_probability,
    as_real,
    as_weight,
)
from pyfairme.metrics.row_order import warn_of_order


def auroc(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    pos_label: object = None,
) -> float:
    """Compute the area under the receiver operating characteristic.

    The probability that a positive is scored above a negative, ties counting one half.

    Parameters
    ----------
    y_true
        Shape ``(n,)``: outcomes in {0, 1}.
    y_prob
        Shape ``(n,)``: predicted probabilities, or any score that grows with them.
    sample_weight
        Shape ``(n,)``: weights of rows.
    pos_label
        The positive class of labels: outcomes then need not be 0 and 1.

    Raises
    ------
    ValueError
        When only one outcome occurs, lengths differ or values are not finite.

    Examples
    --------
    >>> auroc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    warn_of_order(y_true, "y_true", y_prob=y_prob, sample_weight=sample_weight)
    from sklearn import metrics as sk  # slow to import

    y_true = as_positive(y_true, pos_label, "y_true")
    outcome = _both_outcomes(y_true, "auroc")
    score = as_real(y_prob, "y_prob", len(outcome))
    weight = as_weight(sample_weight, len(outcome))
    return float(sk.roc_auc_score(outcome, score, sample_weight=weight))


def balanced_accuracy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    pos_label: object = None,
) -> float:
    """Compute the mean of true positive and true negative rate.

    Parameters
    ----------
    y_true
        Shape ``(n,)``: outcomes in {0, 1}.
    y_pred
        Shape ``(n,)``: decisions in {0, 1}.
    sample_weight
        Shape ``(n,)``: weights of rows.
    pos_label
        The positive class of labels: outcomes and decisions then need not be 0 and 1.

    Raises
    ------
    ValueError
        When only one outcome occurs, lengths differ or values are not 0 or 1.

    Examples
    --------
    >>> balanced_accuracy([0, 0, 1, 1], [0, 1, 1, 1])
    0.75
    """
    warn_of_order(y_true, "y_true", y_pred=y_pred, sample_weight=sample_weight)
    y_true, y_pred = as_decisions(y_true, y_pred, pos_label)
    from sklearn import metrics as sk  # slow to import

    outcome = _both_outcomes(y_true, "balanced_accuracy")
    decision = as_binary(y_pred, "y_pred", len(outcome))
    weight = as_weight(sample_weight, len(outcome))
    return float(sk.balanced_accuracy_score(outcome, decision, sample_weight=weight))


def log_loss(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    pos_label: object = None,
) -> float:
    """Compute the mean of -log of the probability given to what happened.

    Parameters
    ----------
    y_true
        Shape ``(n,)``: outcomes in {0, 1}.
    y_prob
        Shape ``(n,)``: predicted probabilities, kept off 0 and 1 by the machine's precision.
    sample_weight
        Shape ``(n,)``: weights of rows.
    pos_label
        The positive class of labels: outcomes then need not be 0 and 1.

    Raises
    ------
    ValueError
        When lengths differ or values are out of range.

    Examples
    --------
    >>> round(log_loss([0, 1], [0.5, 0.5]), 3)
    0.693
    """
    warn_of_order(y_true, "y_true", y_prob=y_prob, sample_weight=sample_weight)
    y_true = as_positive(y_true, pos_label, "y_true")
    from sklearn import metrics as sk  # slow to import

    outcome = as_binary(y_true, "y_true")
    score = as_probability(y_prob, "y_prob", len(outcome))
    weight = as_weight(sample_weight, len(outcome))
    return float(sk.log_loss(outcome, score, sample_weight=weight, labels=[0, 1]))


def brier(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    pos_label: object = None,
) -> float:
    """Compute the mean squared difference of predicted probability and outcome.

    Parameters
    ----------
    y_true
        Shape ``(n,)``: outcomes in {0, 1}.
    y_prob
        Shape ``(n,)``: predicted probabilities.
    sample_weight
        Shape ``(n,)``: weights of rows.
    pos_label
        The positive class of labels: outcomes then need not be 0 and 1.

    Raises
    ------
    ValueError
        When lengths differ or values are out of range.

    Examples
    --------
    >>> brier([0, 1], [0.5, 1.0])
    0.125
    """
    warn_of_order(y_true, "y_true", y_prob=y_prob, sample_weight=sample_weight)
    y_true = as_positive(y_true, pos_label, "y_true")
    from sklearn import metrics as sk  # slow to import

    outcome = as_binary(y_true, "y_true")
    score = as_probability(y_prob, "y_prob", len(outcome))
    weight = as_weight(sample_weight, len(outcome))
    return float(sk.mean_squared_error(outcome, score, sample_weight=weight))


def mse(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Compute the mean squared error.

    Parameters
    ----------
    y_true
        Shape ``(n,)``: real outcomes.
    y_pred
        Shape ``(n,)``: predictions, in the unit of the outcome.
    sample_weight
        Shape ``(n,)``: weights of rows.

    Raises
    ------
    ValueError
        When lengths differ or values are not finite.

    Examples
    --------
    >>> mse([1, 2], [1, 4])
    2.0
    """
    warn_of_order(y_true, "y_true", y_pred=y_pred, sample_weight=sample_weight)
    from sklearn import metrics as sk  # slow to import

    outcome = as_real(y_true, "y_true")
    prediction = as_real(y_pred, "y_pred", len(outcome))
    weight = as_weight(sample_weight, len(outcome))
    return float(sk.mean_squared_error(outcome, prediction, sample_weight=weight))


def rmse(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Compute the root of the mean squared error.

    Parameters
    ----------
    y_true
        Shape ``(n,)``: real outcomes.
    y_pred
        Shape ``(n,)``: predictions, in the unit of the outcome.
    sample_weight
        Shape ``(n,)``: weights of rows.

    Returns
    -------
    float
        In the unit of the outcome.

    Raises
    ------
    ValueError
        When lengths differ or values are not finite.

    Examples
    --------
    >>> rmse([1, 2], [4, 5])
    3.0
    """
    return float(np.sqrt(mse(y_true, y_pred, sample_weight=sample_weight)))


def mae(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Compute the mean absolute error, which single large errors move less than `rmse`.

    It is smallest for predictions of the median; a model of the mean of skewed outcomes, such as
    counts, does not make it as small as can be.

    Parameters
    ----------
    y_true
        Shape ``(n,)``: real outcomes.
    y_pred
        Shape ``(n,)``: predictions, in the unit of the outcome.
    sample_weight
        Shape ``(n,)``: weights of rows.

    Returns
    -------
    float
        In the unit of the outcome.

    Raises
    ------
    ValueError
        When lengths differ or values are not finite.

    Examples
    --------
    >>> mae([1, 2], [1, 4])
    1.0
    """
    warn_of_order(y_true, "y_true", y_pred=y_pred, sample_weight=sample_weight)
    from sklearn import metrics as sk  # slow to import

    outcome = as_real(y_true, "y_true")
    prediction = as_real(y_pred, "y_pred", len(outcome))
    weight = as_weight(sample_weight, len(outcome))
    return float(sk.mean_absolute_error(outcome, prediction, sample_weight=weight))


def r2(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Compute the share of the outcome's variance that the prediction explains.

    Parameters
    ----------
    y_true
        Shape ``(n,)``: real outcomes, at least two different ones.
    y_pred
        Shape ``(n,)``: predictions, in the unit of the outcome.
    sample_weight
        Shape ``(n,)``: weights of rows.

    Raises
    ------
    ValueError
        When the outcome is constant, lengths differ or values are not finite.

    Examples
    --------
    >>> r2([1, 3], [1, 2])
    0.5
    """
    warn_of_order(y_true, "y_true", y_pred=y_pred, sample_weight=sample_weight)
    from sklearn import metrics as sk  # slow to import

    outcome = as_real(y_true, "y_true")
    if np.ptp(outcome) == 0:
        raise ValueError(
            "r2 needs outcomes that vary, got the same value in every row of y_true. "
            "[constant-outcome]"
        )
    prediction = as_real(y_pred, "y_pred", len(outcome))
    weight = as_weight(sample_weight, len(outcome))
    return float(sk.r2_score(outcome, prediction, sample_weight=weight))


def _both_outcomes(y_true: ArrayLike, metric: str) -> Floats:
    outcome = as_binary(y_true, "y_true")
    if np.ptp(outcome) == 0:
        raise ValueError(
            f"{metric} needs both outcomes in y_true, got only {outcome[0]:g}; "
            "evaluate on rows that contain both. [one-outcome]"
        )
    return outcome
