"""Standard errors of weighted means, of rows that may belong together."""

import numpy as np


def error_of_mean(
    values: np.ndarray, weight: np.ndarray | None = None, groups: np.ndarray | None = None
) -> float:
    """Return the standard error of a weighted mean, robust to dependence within groups.

    ``sqrt(G / (G - 1) sum_g (sum_{i in g} w_i (v_i - mean))^2) / sum_i w_i`` over G groups: the
    sandwich estimator of a mean with its small-sample factor (Liang & Zeger 1986). Without groups
    every row is one.

    Parameters
    ----------
    values
        Shape (n,).
    weight
        How much each row counts, (n,); None: alike. Rows of weight 0 are as good as absent.
    groups
        Numbers (n,) from 0 that rows which belong together share.

    Returns
    -------
    float
        NaN where all that counts is one group.

    Examples
    --------
    >>> values = np.array([1.0, 2.0, 3.0, 4.0])
    >>> round(error_of_mean(values), 4) == round(float(values.std(ddof=1)) / 2, 4)
    True
    >>> error_of_mean(np.repeat(values, 2), groups=np.repeat(np.arange(4), 2)) == (
    ...     error_of_mean(values)
    ... )
    True
    """
    share = np.ones(len(values)) if weight is None else np.asarray(weight, np.float64)
    share = share / share.sum()
    rest = share * (values - share @ values)
    there = share > 0
    if groups is not None:
        number = len(np.unique(groups[there]))
        rest = np.bincount(groups, rest)
    else:
        number = int(there.sum())
    if number < 2:
        return float("nan")
    return float(np.sqrt(rest @ rest * number / (number - 1)))
