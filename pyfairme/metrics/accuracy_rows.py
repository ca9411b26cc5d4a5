"""The lines of overall accuracy in the report, from sums that can be resampled.

The public functions of `pyfairme.metrics.accuracy` call scikit-learn; hundreds of bootstrap
replicates of 20,000 rows need the same numbers in milliseconds.
"""

import numpy as np

from pyfairme.metrics.aggregate import ratio
from pyfairme.metrics.array_inputs import Floats
from pyfairme.metrics.confusion import confusion, fpr, tpr
from pyfairme.metrics.group_sums import PredictedRows, Table, make_table
from pyfairme.metrics.metric import Metric

ONE_OUTCOME = "y_true has only one outcome"


def by_rank(rows: PredictedRows) -> Table:
    """Count rows: cells ``(U, 2)`` of score, in increasing order, and outcome.

    Neighbouring scores whose rows all have the same outcome are one cell: no pair of a positive and
    a negative has both in it, so the order within does not matter, however often rows count.
    """
    assert rows.y_prob is not None  # a classification table has it
    distinct, rank = np.unique(rows.y_prob, return_inverse=True)
    outcome = rows.y_true.astype(int)
    found = np.bincount(rank * 2 + outcome, minlength=2 * len(distinct)).reshape(-1, 2) > 0
    alike = (found[1:] == found[:-1]).all(1) & ~found[1:].all(1)
    rank = np.concatenate([[0], np.cumsum(~alike)])[rank]
    return make_table(rank * 2 + outcome, (int(rank.max()) + 1, 2))


def by_loss(rows: PredictedRows) -> Table:
    """Add up log loss and squared error of the probability in one cell."""
    assert rows.y_prob is not None  # a classification table has it
    smallest = np.finfo(np.float64).eps  # scikit-learn's clipping
    probability = np.clip(rows.y_prob, smallest, 1 - smallest)
    given = np.where(rows.y_true == 1, probability, 1 - probability)
    return make_table(rows.group, (1,), -np.log(given), (rows.y_prob - rows.y_true) ** 2)


def by_error(rows: PredictedRows) -> Table:
    """Add up squared error, two moments of the outcome and absolute error in one cell."""
    # near the centre, the variance is free of cancellation; the median of a constant is exact
    centred = rows.y_true - np.median(rows.y_true)
    error = rows.y_true - rows.y_pred
    return make_table(rows.group, (1,), error**2, centred, centred**2, np.abs(error))


def by_density(rows: PredictedRows) -> Table:
    """Add up the log predictive density in one cell."""
    assert rows.log_density is not None  # declared in `needs`
    return make_table(rows.group, (1,), rows.log_density)


def _auroc(sums: Floats) -> Floats:
    negative, positive = sums[..., 0, 0], sums[..., 1, 0]
    below = np.cumsum(negative, axis=-1) - negative / 2  # a tie counts one half
    return ratio((positive * below).sum(-1), positive.sum(-1) * negative.sum(-1))


def _balanced_accuracy(sums: Floats) -> Floats:
    return ((tpr(sums) + 1 - fpr(sums)) / 2)[..., 0]


def _log_loss(sums: Floats) -> Floats:
    return ratio(sums[..., 0, 1], sums[..., 0, 0])


def _brier(sums: Floats) -> Floats:
    return ratio(sums[..., 0, 2], sums[..., 0, 0])


def _mean(sums: Floats) -> Floats:
    return ratio(sums[..., 0, 1], sums[..., 0, 0])


def _rmse(sums: Floats) -> Floats:
    return np.sqrt(_mean(sums))


def _mae(sums: Floats) -> Floats:
    return ratio(sums[..., 0, 4], sums[..., 0, 0])


def _r2(sums: Floats) -> Floats:
    n, error, first, second = np.moveaxis(sums[..., 0, :4], -1, 0)
    return 1 - ratio(error, second - ratio(first**2, n))


METRICS = (
    Metric(
        "auroc",
        "classification",
        "overall",
        by_rank,
        _auroc,
        undefined=ONE_OUTCOME,
        kind="rate",
        label="AUROC",
        higher_is_better=True,
    ),
    Metric(
        "balanced_accuracy",
        "classification",
        "overall",
        confusion,
        _balanced_accuracy,
        undefined=ONE_OUTCOME,
        kind="rate",
        higher_is_better=True,
    ),
    Metric("log_loss", "classification", "overall", by_loss, _log_loss, kind="positive"),
    Metric("brier", "classification", "overall", by_loss, _brier, kind="positive", label="Brier"),
    Metric("mse", "regression", "overall", by_error, _mean, kind="positive", label="MSE"),
    Metric(
        "rmse",
        "regression",
        "overall",
        by_error,
        _rmse,
        kind="positive",
        label="RMSE",
        restates="mse",
    ),
    Metric("mae", "regression", "overall", by_error, _mae, kind="positive", label="MAE"),
    Metric(
        "r2",
        "regression",
        "overall",
        by_error,
        _r2,
        undefined="y_true does not vary",
        label="R2",
        higher_is_better=True,
    ),
    Metric(
        "log_predictive_density",
        "regression",
        "overall",
        by_density,
        _mean,
        needs=("log_density",),
        higher_is_better=True,
    ),
)
