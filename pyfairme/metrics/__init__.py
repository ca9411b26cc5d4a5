"""Accuracy, calibration and group fairness of predictions: arrays in, numbers or tidy frames out.

All functions take fairlearn's argument names. Definitions stand in the docstrings; a metric is
added by one new module here, see `pyfairme.metrics.metric`, or given to a report as an object.
"""

from pyfairme.metrics.accuracy import (
    auroc,
    balanced_accuracy,
    brier,
    log_loss,
    mae,
    mse,
    r2,
    rmse,
)
from pyfairme.metrics.calibration import calibration_error_by_group, worst_group_calibration_error
from pyfairme.metrics.conditional_disparity import conditional_demographic_disparity
from pyfairme.metrics.counterfactual import counterfactual_gap
from pyfairme.metrics.coverage import coverage_table
from pyfairme.metrics.ecosystem import demographic_parity_difference, equalized_odds_difference
from pyfairme.metrics.equalized_odds import fpr_sd, tpr_sd
from pyfairme.metrics.equalized_odds_corrected import fpr_sd_corrected, tpr_sd_corrected
from pyfairme.metrics.error_spread import mse_sd, residual_sd
from pyfairme.metrics.group_sums import PredictedRows, Table, make_table
from pyfairme.metrics.interval_coverage import coverage_sd, interval_coverage
from pyfairme.metrics.interval_width import interval_width
from pyfairme.metrics.metric import Metric, MetricParts
from pyfairme.metrics.null_value import NullValue, null_value
from pyfairme.metrics.pareto import hypervolume, non_dominated
from pyfairme.metrics.parity import demographic_parity
from pyfairme.metrics.pit import pit_values
from pyfairme.metrics.reliability import ece, reliability_table
from pyfairme.metrics.report_frame import classification_report_frame, regression_report_frame
from pyfairme.metrics.worst_group import worst_group_accuracy

__all__ = [
    "Metric",
    "MetricParts",
    "NullValue",
    "PredictedRows",
    "Table",
    "auroc",
    "balanced_accuracy",
    "brier",
    "calibration_error_by_group",
    "classification_report_frame",
    "conditional_demographic_disparity",
    "counterfactual_gap",
    "coverage_sd",
    "coverage_table",
    "demographic_parity",
    "demographic_parity_difference",
    "ece",
    "equalized_odds_difference",
    "fpr_sd",
    "fpr_sd_corrected",
    "hypervolume",
    "interval_coverage",
    "interval_width",
    "log_loss",
    "mae",
    "make_table",
    "mse",
    "mse_sd",
    "non_dominated",
    "null_value",
    "pit_values",
    "r2",
    "regression_report_frame",
    "reliability_table",
    "residual_sd",
    "rmse",
    "tpr_sd",
    "tpr_sd_corrected",
    "worst_group_accuracy",
    "worst_group_calibration_error",
]
