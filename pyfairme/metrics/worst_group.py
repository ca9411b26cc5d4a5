"""Accuracy of the group that is served worst."""

import numpy as np
from numpy.typing import ArrayLike

from pyfairme.metrics.array_inputs import Floats, as_decisions
from pyfairme.metrics.confusion import accuracy, confusion, decision_totals
from pyfairme.metrics.metric import Metric, MetricParts


def worst_group_accuracy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sensitive_features: ArrayLike,
    sample_weight: ArrayLike | None = None,
    pos_label: object = None,
) -> float:
    """Compute the smallest accuracy over groups.

    ``min_s P(ŷ = y | s)``. The minimum over small groups is biased downward by their noise: look
    at the number of rows in each group beside it.

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
        In [0, 1].

    Raises
    ------
    ValueError
        When lengths differ, values are not 0 or 1, or a label is missing.

    Examples
    --------
    >>> worst_group_accuracy([1, 1, 0, 0], [1, 1, 1, 0], sensitive_features=["a", "a", "b", "b"])
    0.5
    """
    y_true, y_pred = as_decisions(y_true, y_pred, pos_label)
    sums = decision_totals(y_true, y_pred, sensitive_features, sample_weight)
    return float(_smallest(accuracy(sums)))


def _smallest(values: Floats) -> Floats:
    return np.fmin.reduce(values, axis=-1)  # fmin passes over NaN


METRICS = (
    Metric(
        "worst_group_accuracy",
        "classification",
        "attribute",
        confusion,
        lambda sums: _smallest(accuracy(sums)),
        kind="rate",
        parts=MetricParts(accuracy, _smallest, extreme="smallest", few=True),
        label="worst-group accuracy",
        higher_is_better=True,
    ),
)
