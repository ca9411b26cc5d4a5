"""Whether predicted probabilities are the frequencies with which outcomes occur."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pyfairme.metrics.array_inputs import (
    Codes,
    Floats,
    as_binary,
    as_groups,
    as_probability,
    check_count,
)
from pyfairme.metrics.proportion import proportion_interval
from pyfairme.metrics.row_order import warn_of_order

BINS = 10
STRATEGIES = ("quantile", "uniform")


def reliability_table(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    bins: int = BINS,
    strategy: str = "quantile",
    *,
    groups: ArrayLike | None = None,
    level: float = 0.9,
) -> pd.DataFrame:
    """Tabulate observed frequencies against predicted probabilities.

    Parameters
    ----------
    y_true
        Shape ``(n,)``: outcomes in {0, 1}.
    y_prob
        Shape ``(n,)``: predicted probabilities of the outcome 1.
    bins
        Number of bins.
    strategy
        ``"quantile"``: equally many rows in each bin (fewer bins where probabilities are tied);
        ``"uniform"``: equally wide bins of [0, 1], as ``calibration_error`` of a fairness report.
    groups
        Shape ``(n,)``: labels of clusters, for cluster-robust intervals in bins that hold rows of
        two clusters or more (`pyfairme.metrics.proportion`).
    level
        Coverage of the intervals of the observed frequency.

    Returns
    -------
    pd.DataFrame
        bin, n, mean_predicted, observed, low, high; empty bins are left out.

    Raises
    ------
    ValueError
        For an unknown strategy, ``bins`` below 1, lengths that differ or values out of range.

    Examples
    --------
    >>> table = reliability_table([0, 1, 1, 1], [0.1, 0.3, 0.6, 0.8], bins=2)
    >>> table[["n", "mean_predicted", "observed"]].to_numpy().tolist()
    [[2.0, 0.2, 0.5], [2.0, 0.7, 1.0]]
    """
    warn_of_order(y_true, "y_true", y_prob=y_prob)
    outcome = as_binary(y_true, "y_true")
    probability = as_probability(y_prob, "y_prob", len(outcome))
    clusters = None if groups is None else as_groups(groups, "groups", len(outcome)).codes
    codes = _bins(probability, bins, strategy)
    lines = []
    for code in np.unique(codes):
        inside = codes == code
        within = None if clusters is None else clusters[inside]
        if within is not None and len(np.unique(within)) < 2:
            within = None
        found = proportion_interval(outcome[inside], groups=within, level=level)
        lines.append((int(code), int(inside.sum()), probability[inside].mean(), *found))
    columns = ["bin", "n", "mean_predicted", "observed", "low", "high"]
    return pd.DataFrame(lines, columns=columns)


def ece(
    y_true: ArrayLike, y_prob: ArrayLike, *, bins: int = BINS, strategy: str = "quantile"
) -> float:
    """Compute the expected calibration error.

    ``ECE = sum_b n_b / n * |mean of y - mean of p in bin b|`` (Naeini, Cooper & Hauskrecht 2015).
    Even a calibrated model has an error above 0, of the order ``sqrt(bins / n)``. By default bins
    hold equally many rows, which has less of that bias than equally wide ones (Roelofs et al.
    2022). `pyfairme.metrics.calibration_error_by_group` is the same with ``strategy="uniform"``.

    Parameters
    ----------
    y_true
        Shape ``(n,)``: outcomes in {0, 1}.
    y_prob
        Shape ``(n,)``: predicted probabilities of the outcome 1.
    bins, strategy
        As in `reliability_table`.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        As `reliability_table`.

    Examples
    --------
    >>> round(ece([0, 1, 1, 1], [0.1, 0.3, 0.6, 0.8], bins=2), 3)
    0.3
    """
    warn_of_order(y_true, "y_true", y_prob=y_prob)
    outcome = as_binary(y_true, "y_true")
    probability = as_probability(y_prob, "y_prob", len(outcome))
    codes = _bins(probability, bins, strategy)
    gap = np.bincount(codes, outcome - probability)
    return float(np.abs(gap).sum() / len(outcome))


def _bins(probability: Floats, bins: int, strategy: str) -> Codes:
    bins = check_count(bins, "bins", 1)
    if strategy == "uniform":
        return np.minimum((probability * bins).astype(np.intp), bins - 1)
    if strategy != "quantile":
        raise ValueError(
            f"strategy must be one of {', '.join(STRATEGIES)}; got {strategy!r}. [unknown-choice]"
        )
    edges = np.unique(np.quantile(probability, np.arange(1, bins) / bins)) if bins > 1 else []
    return np.searchsorted(edges, probability, side="left")
