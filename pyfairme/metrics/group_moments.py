"""Residuals, squared errors and predictions added up by group, for real outcomes."""

import numpy as np
from numpy.typing import ArrayLike

from pyfairme.metrics.aggregate import ratio
from pyfairme.metrics.array_inputs import Floats, as_groups, as_real
from pyfairme.metrics.group_sums import PredictedRows, Table, make_table
from pyfairme.metrics.metric import Metric
from pyfairme.metrics.row_order import warn_of_order


def real_rows(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sensitive_features: ArrayLike,
    sample_weight: ArrayLike | None = None,
) -> PredictedRows:
    """Check real outcomes, predictions and groups, and return them as `PredictedRows`."""
    columns = {"sensitive_features": sensitive_features, "sample_weight": sample_weight}
    warn_of_order(y_true, "y_true", y_pred=y_pred, **columns)
    outcome = as_real(y_true, "y_true")
    n = len(outcome)
    groups = as_groups(sensitive_features, n=n)
    return PredictedRows(outcome, as_real(y_pred, "y_pred", n), groups.codes, groups.levels)


def moments(rows: PredictedRows) -> Table:
    """Add up residual, its square, prediction, absolute residual: cells ``(G,)``, k = 5."""
    residual = rows.y_true - rows.y_pred
    values = (residual, residual**2, rows.y_pred, np.abs(residual))
    return make_table(rows.group, (len(rows.levels),), *values)


def mean_residual(sums: Floats) -> Floats:
    """Return the mean of outcome minus prediction of each group."""
    return ratio(sums[..., 1], sums[..., 0])


def group_mse(sums: Floats) -> Floats:
    """Return the mean squared error of each group."""
    return ratio(sums[..., 2], sums[..., 0])


def mean_prediction(sums: Floats) -> Floats:
    """Return the mean prediction of each group."""
    return ratio(sums[..., 3], sums[..., 0])


def group_rmse(sums: Floats) -> Floats:
    """Return the root of the mean squared error of each group."""
    return np.sqrt(group_mse(sums))


def group_mae(sums: Floats) -> Floats:
    """Return the mean absolute error of each group."""
    return ratio(sums[..., 4], sums[..., 0])


METRICS = (
    Metric("mse", "regression", "group", moments, group_mse, kind="positive", label="MSE"),
    Metric(
        "rmse",
        "regression",
        "group",
        moments,
        group_rmse,
        kind="positive",
        label="RMSE",
        restates="mse",
    ),
    Metric("mae", "regression", "group", moments, group_mae, kind="positive", label="MAE"),
    Metric("mean_residual", "regression", "group", moments, mean_residual),
    Metric("mean_prediction", "regression", "group", moments, mean_prediction),
)
