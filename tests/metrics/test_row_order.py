"""Rows are matched by position: labels in another order are told."""

import numpy as np
import pandas as pd
import pytest

from pyfairme import metrics
from pyfairme.notices import DataWarning


@pytest.mark.parametrize("name", ["y_pred", "sensitive_features", "sample_weight"])
@pytest.mark.parametrize(
    "metric",
    [
        metrics.tpr_sd,
        metrics.mse_sd,
        metrics.demographic_parity,
        metrics.worst_group_accuracy,
        metrics.equalized_odds_difference,
        metrics.conditional_demographic_disparity,
    ],
)
def test_labels_in_another_order_are_told(metric, name):
    y = pd.Series([0, 1, 1, 0, 1, 0], index=list("abcdef"))
    given = {"y_pred": y.copy(), "sensitive_features": pd.Series(list("ssttst"), index=y.index)}
    given["sample_weight"] = pd.Series(range(1, 7), index=y.index)
    metric(y, **given)  # warnings are errors
    given[name] = given[name][::-1]
    with pytest.warns(DataWarning, match=rf"{name} has the row labels of y_true .*\[other-row-o"):
        metric(y, **given)
    given[name] = given[name].reset_index(drop=True)  # other labels: by position
    metric(y, **given)


def test_overall_metrics_and_reports_tell_too():
    y = pd.Series([0, 1, 1, 0], index=list("abcd"))
    p, s = y[::-1] * 0.5 + 0.2, pd.Series(list("stst"), index=list("dcba"))
    calls = [
        lambda: metrics.auroc(y, p),
        lambda: metrics.brier(y, p),
        lambda: metrics.r2(y, p),
        lambda: metrics.ece(y, p),
        lambda: metrics.classification_report_frame(
            y, p.to_numpy(), y, sensitive={"s": s}, rng=np.random.default_rng(0), n_boot=0
        ),
    ]
    for call in calls:
        with pytest.warns(DataWarning, match=r"of y_true in another order.*\[other-row-order\]"):
            call()
