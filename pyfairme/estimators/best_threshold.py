"""The threshold of the highest balanced accuracy, and the rows that it is chosen on."""

from __future__ import annotations

import numpy as np

from pyfairme.data import Batch
from pyfairme.notices import DataWarning, warn

BEST = ("balanced_accuracy", "smoothed_balanced_accuracy")
BINS = 2000
EDGE = 1e-6
FEWEST = 5  # rows of a class, below which its rate moves by more than a fifth with each row


def rows_to_choose_on(training: Batch, validation: Batch | None) -> Batch:
    """Return the validation rows; the training rows where there are none or too few of a class.

    Warns
    -----
    DataWarning
        When validation rows exist, but hold fewer than 5 rows of a class and training rows hold
        more.
    """
    if validation is None:
        return training
    few, more = (int(np.bincount(rows.y, minlength=2).min()) for rows in (validation, training))
    if few >= FEWEST or few >= more:
        return validation
    warn(
        f"The {len(validation.y)} validation rows hold {few} of the rarer class: too few to choose "
        f"a threshold on, which at least {FEWEST} are needed for. It is chosen on the "
        f"{len(training.y)} training rows ({more} of that class) instead, where the model looks "
        f"better than it is: "
        "raise validation_fraction, or give threshold= a number. [threshold-on-training-rows]",
        DataWarning,
    )
    return training


def best_threshold(
    y: np.ndarray, probability: np.ndarray, weight: np.ndarray, *, smooth: bool = False
) -> float:
    """Return the threshold with the highest balanced accuracy, (TPR + 1 - FPR) / 2.

    The empirical maximum jumps with single rows where the curve is flat, which it is around its
    top. With ``smooth`` both classes' log-odds are blurred first by a Gaussian kernel, the
    bandwidth by Silverman's rule (1986, eq. 3.31).

    Parameters
    ----------
    y, probability, weight
        Classes in {0, 1}, probabilities of class 1 and weights, each (n,).
    smooth
        Whether to blur.

    Returns
    -------
    float
        In [0, 1]: the first of equals; .5 where there is one class only.

    Examples
    --------
    >>> y = np.array([0, 0, 1, 0, 1, 1])
    >>> best_threshold(y, np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.8]), np.ones(6))
    0.3
    """
    from sklearn.metrics import roc_curve  # slow to import

    if len(np.unique(y)) < 2:
        return 0.5
    if smooth and np.ptp(probability) > EDGE:
        return _smoothed(y, probability, weight)
    fpr, tpr, thresholds = roc_curve(y, probability, sample_weight=weight)
    best = int(np.argmax(tpr - fpr))
    return float(min(thresholds[best], 1.0))


def _smoothed(y: np.ndarray, probability: np.ndarray, weight: np.ndarray) -> float:
    from scipy.ndimage import gaussian_filter1d  # slow to import
    from scipy.special import expit, logit

    score = logit(np.clip(probability, EDGE, 1 - EDGE))
    quartiles = np.quantile(score, [0.25, 0.75])
    spread = min(score.std(), (quartiles[1] - quartiles[0]) / 1.34) or score.std()
    width = 0.9 * spread * len(score) ** -0.2
    edges = np.linspace(score.min() - 3 * width, score.max() + 3 * width, BINS + 1)
    share = {}
    for label in (0, 1):
        rows = y == label
        counts, _ = np.histogram(score[rows], edges, weights=weight[rows])
        share[label] = counts / counts.sum()
    blurred = gaussian_filter1d(share[1] - share[0], width / (edges[1] - edges[0]), mode="constant")
    gain = -np.cumsum(blurred)  # TPR - FPR of the threshold at the upper edge of each bin
    return float(expit(edges[1 + int(np.argmax(gain))]))
