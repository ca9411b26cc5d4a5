"""Tests of the difference between two models that judged the same rows."""

import numpy as np
from numpy.typing import ArrayLike

from pyfairme.metrics.sampling_noise import quantile

__all__ = ["cohen_d", "holm", "nadeau_bengio_p"]

ROUNDING = 1e-12  # a spread of less than this share of the mean is one of floating point


def bootstrap_interval(
    difference: float, replicates: np.ndarray, level: float, degrees: float = np.inf
) -> tuple[float, float]:
    """Return the standard bootstrap interval ``difference ± t SE`` of a paired difference.

    SE is the standard deviation of the replicates of the difference. The limits agree with
    `bootstrap_p`, and do not shift with the replicates, whose noise widens every spread over groups
    (Efron and Tibshirani 1993, chapter 13).

    Parameters
    ----------
    difference
        The observed difference.
    replicates
        Shape (n_boot,): differences of the two models' replicates on the same draws.
    level
        Coverage.
    degrees
        Degrees of freedom of t: where clusters were drawn, one less than there are; infinite (the
        Normal quantile) where rows were.
    """
    margin = quantile(level, degrees) * _standard_error(replicates)
    return difference - margin, difference + margin


def bootstrap_p(difference: float, replicates: np.ndarray, degrees: float = np.inf) -> float:
    """Return the two-sided p-value of a difference with the bootstrap's standard error.

    ``p = 2 Φ(-|difference| / SE)``, or the tail of t with ``degrees`` of freedom. A tail, rather
    than the share of replicates beyond 0, because that share is a multiple of 1/n_boot, which no
    Holm correction over tens of tests survives.

    Parameters
    ----------
    difference
        The observed difference.
    replicates
        Shape (n_boot,): differences of the two models' replicates on the same draws.
    degrees
        As of `bootstrap_interval`.

    Returns
    -------
    float
        1 for no difference at all; NaN when a difference does not vary over the replicates.

    Examples
    --------
    >>> round(bootstrap_p(1.96, np.array([-1.0, 0.0, 1.0])), 3)
    0.05
    """
    from scipy.special import ndtr, stdtr

    if difference == 0:
        return 1.0
    error = _standard_error(replicates)
    if np.isnan(difference) or not error > ROUNDING * abs(difference):
        return np.nan
    far = -abs(difference) / error
    return float(2 * (ndtr(far) if np.isinf(degrees) else stdtr(max(degrees, 1.0), far)))


def nadeau_bengio_p(differences: np.ndarray, test_over_train: float) -> float:
    """Return the p-value of the corrected resampled t-test.

    ``t = mean(d) / sqrt((1/J + n_test/n_train) s²)`` with J - 1 degrees of freedom, s² the variance
    (ddof = 1) of the J differences over folds and seeds. The second term stands for the correlation
    of folds that share training rows (Nadeau and Bengio 2003; for repeated cross-validation
    Bouckaert and Frank 2004).

    Parameters
    ----------
    differences
        Shape (J,): one per fold and seed; those without a value (NaN) are left out.
    test_over_train
        Test rows of a fold by rows that its model was trained on: 1/8 when eight of ten folds are.

    Returns
    -------
    float
        1 when all differences are 0; NaN with fewer than two, or when they do not vary.

    Examples
    --------
    >>> round(nadeau_bengio_p(np.array([1.0, 2.0, 3.0]), 1 / 8), 3)
    0.098
    """
    from scipy.special import stdtr

    known = differences[~np.isnan(differences)]
    if known.size < 2 or np.isnan(test_over_train):
        return np.nan
    mean, spread = known.mean(), known.std(ddof=1)
    if not known.any():
        return 1.0
    if spread <= ROUNDING * abs(mean):
        return np.nan
    t = mean / np.sqrt((1 / known.size + test_over_train) * spread**2)
    return float(2 * stdtr(known.size - 1, -abs(t)))


def cohen_d(differences: np.ndarray) -> float:
    """Return Cohen's d of paired differences, ``mean(d) / SD(d)`` with ddof = 1.

    Parameters
    ----------
    differences
        Shape (J,): one per fold and seed; those without a value (NaN) are left out.

    Returns
    -------
    float
        0 when all are 0; NaN with fewer than two, or when they do not vary.

    Examples
    --------
    >>> cohen_d(np.array([1.0, 2.0, 3.0]))
    2.0
    """
    known = differences[~np.isnan(differences)]
    if known.size < 2:
        return np.nan
    if not known.any():
        return 0.0
    mean, spread = known.mean(), known.std(ddof=1)
    return float(mean / spread) if spread > ROUNDING * abs(mean) else np.nan


def holm(p_values: ArrayLike) -> np.ndarray:
    """Adjust the p-values of one family by Holm's step-down method (Holm 1979).

    The i-th smallest of m is multiplied by m - i + 1; each is at least the one before, at most 1.
    Holds for tests that depend on one another in any way.

    Parameters
    ----------
    p_values
        Shape (m,); NaN is no test and stays NaN.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]  # NaN last
    times = np.arange(len(order), 0, -1)
    adjusted = np.full(p.shape, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * times), 1)
    return adjusted


def _standard_error(replicates: np.ndarray) -> float:
    known = replicates[~np.isnan(replicates)]
    return float(known.std(ddof=1)) if known.size > 1 else np.nan
