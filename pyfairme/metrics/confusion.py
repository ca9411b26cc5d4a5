"""Decisions counted by group and outcome, and the rates read off them."""

from numpy.typing import ArrayLike

from pyfairme.metrics.aggregate import ratio
from pyfairme.metrics.array_inputs import Floats, as_binary, as_groups, as_weight
from pyfairme.metrics.group_sums import PredictedRows, Table, effective_rows, make_table, totals
from pyfairme.metrics.metric import Metric
from pyfairme.metrics.row_order import warn_of_order


def decision_rows(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sensitive_features: ArrayLike,
    sample_weight: ArrayLike | None = None,
) -> PredictedRows:
    """Check outcomes, decisions and groups, and return them as `PredictedRows`."""
    columns = {"sensitive_features": sensitive_features, "sample_weight": sample_weight}
    warn_of_order(y_true, "y_true", y_pred=y_pred, **columns)
    outcome = as_binary(y_true, "y_true")
    n = len(outcome)
    groups = as_groups(sensitive_features, n=n)
    return PredictedRows(outcome, as_binary(y_pred, "y_pred", n), groups.codes, groups.levels)


def confusion(rows: PredictedRows) -> Table:
    """Count rows and positive decisions: cells ``(G, 2)`` of group and outcome."""
    cell = rows.group * 2 + rows.y_true.astype(int)
    return make_table(cell, (len(rows.levels), 2), rows.y_pred)


def decision_totals(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sensitive_features: ArrayLike,
    sample_weight: ArrayLike | None,
) -> Floats:
    """Return the weighted counts of `confusion`, shape ``(G, 2, 2)``."""
    rows = decision_rows(y_true, y_pred, sensitive_features, sample_weight)
    return totals(confusion(rows), as_weight(sample_weight, len(rows.y_true)))


def tpr(sums: Floats) -> Floats:
    """Return the true positive rate of each group, NaN without positives."""
    return ratio(sums[..., 1, 1], sums[..., 1, 0])


def fpr(sums: Floats) -> Floats:
    """Return the false positive rate of each group, NaN without negatives."""
    return ratio(sums[..., 0, 1], sums[..., 0, 0])


def selection_rate(sums: Floats) -> Floats:
    """Return the rate of positive decisions of each group, NaN without rows."""
    return ratio(sums[..., 1].sum(-1), sums[..., 0].sum(-1))


def base_rate(sums: Floats) -> Floats:
    """Return the share of positives of each group, as observed: no decision enters it."""
    return ratio(sums[..., 1, 0], sums[..., 0].sum(-1))


def accuracy(sums: Floats) -> Floats:
    """Return the rate of right decisions of each group, NaN without rows."""
    right = sums[..., 1, 1] + sums[..., 0, 0] - sums[..., 0, 1]
    return ratio(right, sums[..., 0].sum(-1))


def effective_decisions(sums: Floats) -> Floats:
    """Return the effective number of rows of each group and outcome: shape ``(..., G, 2)``."""
    return effective_rows(sums, columns=2)


def positives(sums: Floats) -> Floats:
    """Return the number of positives of each group."""
    return sums[..., 1, 0]


def negatives(sums: Floats) -> Floats:
    """Return the number of negatives of each group."""
    return sums[..., 0, 0]


METRICS = (
    Metric(
        "tpr",
        "classification",
        "group",
        confusion,
        tpr,
        group_size=positives,
        counted="positives",
        kind="rate",
        label="TPR",
    ),
    Metric(
        "fpr",
        "classification",
        "group",
        confusion,
        fpr,
        group_size=negatives,
        counted="negatives",
        kind="rate",
        label="FPR",
    ),
    Metric("selection_rate", "classification", "group", confusion, selection_rate, kind="rate"),
    Metric("accuracy", "classification", "group", confusion, accuracy, kind="rate"),
    Metric("base_rate", "classification", "group", confusion, base_rate, kind="rate"),
)
