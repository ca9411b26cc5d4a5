"""Differences of demographic parity and equalized odds, as fairlearn defines them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from pyfairme.metrics.aggregate import group_range
from pyfairme.metrics.array_inputs import Floats, as_decisions
from pyfairme.metrics.confusion import (
    confusion,
    decision_totals,
    fpr,
    negatives,
    positives,
    selection_rate,
    tpr,
)
from pyfairme.metrics.metric import Metric, MetricParts
from pyfairme.metrics.null_value import equal_rates, equal_selection


def equalized_odds_difference(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sensitive_features: ArrayLike,
    sample_weight: ArrayLike | None = None,
    pos_label: object = None,
) -> float:
    """Compute fairlearn's equalized odds difference.

    The larger of the ranges over groups of the true and of the false positive rate. A group without
    positives (negatives) has no such rate and is left out of that range, as of `tpr_sd`; fairlearn
    counts the rate as 0, and so finds a difference where there is none.

    Parameters
    ----------
    y_true
        Shape ``(n,)``: outcomes in {0, 1}.
    y_pred
        Shape ``(n,)``: decisions in {0, 1}.
    sensitive_features
        Shape ``(n,)`` of labels, or a frame ``(n, A)`` whose intersections are the groups.
    sample_weight
        Shape ``(n,)``: weights of rows.
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
    >>> equalized_odds_difference([1, 1, 0, 0], [1, 0, 0, 0], sensitive_features=["a", "b"] * 2)
    1.0
    """
    y_true, y_pred = as_decisions(y_true, y_pred, pos_label)
    return _equalized_odds(decision_totals(y_true, y_pred, sensitive_features, sample_weight))


def demographic_parity_difference(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sensitive_features: ArrayLike,
    sample_weight: ArrayLike | None = None,
    pos_label: object = None,
) -> float:
    """Compute fairlearn's demographic parity difference.

    The range over groups of the rate of positive decisions; `demographic_parity` is the mean over
    all pairs instead.

    Parameters
    ----------
    y_true
        Shape ``(n,)``: outcomes in {0, 1}.
    y_pred
        Shape ``(n,)``: decisions in {0, 1}.
    sensitive_features
        Shape ``(n,)`` of labels, or a frame ``(n, A)`` whose intersections are the groups.
    sample_weight
        Shape ``(n,)``: weights of rows.
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
    >>> demographic_parity_difference([1, 0, 1, 0], [1, 1, 0, 1], sensitive_features=[0, 0, 1, 1])
    0.5
    """
    y_true, y_pred = as_decisions(y_true, y_pred, pos_label)
    return _parity(decision_totals(y_true, y_pred, sensitive_features, sample_weight))


def _equalized_odds(sums: Floats) -> float:
    if not _all_defined(_rates(sums)):
        return float(_equalized_odds_of(sums))
    from fairlearn import metrics

    return _by_fairlearn(metrics.equalized_odds_difference, sums)


def _parity(sums: Floats) -> float:
    if not _all_defined(selection_rate(sums)):
        return float(_parity_of(sums))
    from fairlearn import metrics

    return _by_fairlearn(metrics.demographic_parity_difference, sums)


def _all_defined(rates: Floats) -> bool:
    """Return whether fairlearn is right: it takes an undefined rate for 0, one group for fair."""
    return rates.shape[-1] >= 2 and not np.isnan(rates).any()


def _by_fairlearn(difference: Callable[..., float], sums: Floats) -> float:
    """Call fairlearn on one weighted row per group, outcome and decision: the same, but quick."""
    n, accepted = sums[..., 0], sums[..., 1]
    weight = np.stack([n - accepted, accepted], axis=-1)  # (G, outcome, decision)
    group, outcome, decision = np.nonzero(weight > 0)
    return float(
        difference(outcome, decision, sensitive_features=group, sample_weight=weight[weight > 0])
    )


# fairlearn takes some 20 ms a call, too long for a report and its thousand draws: those read the
# same definitions off the counts. The functions above call it wherever all rates exist.
def _rates(sums: Floats) -> Floats:
    return np.stack([fpr(sums), tpr(sums)], axis=-2)  # (..., 2, G)


def _largest_range(rates: Floats) -> Floats:
    return np.fmax.reduce(group_range(rates), axis=-1)  # fmax passes over NaN


def _equalized_odds_of(sums: Floats) -> Floats:
    return _largest_range(_rates(sums))


def _parity_of(sums: Floats) -> Floats:
    return group_range(selection_rate(sums))


def _rows_of_rates(sums: Floats) -> Floats:
    return np.stack([negatives(sums), positives(sums)])


METRICS = (
    Metric(
        "equalized_odds_difference",
        "classification",
        "attribute",
        confusion,
        _equalized_odds_of,
        null=equal_rates,
        undefined="fewer than two groups have positives, and fewer than two have negatives",
        kind="rate",
        needed=(("negatives", negatives), ("positives", positives)),
        parts=MetricParts(_rates, _largest_range, rows=_rows_of_rates, extreme="largest", few=True),
        label="equalized odds diff.",
    ),
    Metric(
        "demographic_parity_difference",
        "classification",
        "attribute",
        confusion,
        _parity_of,
        null=equal_selection,
        undefined="fewer than two groups have rows",
        kind="rate",
        parts=MetricParts(selection_rate, group_range, few=True),
        label="dem. parity diff.",
    ),
)
