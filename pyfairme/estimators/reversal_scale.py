"""How much of λ an adversary gets: less where nearly all rows are of one class."""

from __future__ import annotations

import numpy as np

from pyfairme.data import Batch
from pyfairme.model.likelihoods import Likelihood

FULL = 0.2  # impurity from which λ is taken as it is: two classes, the rarer 11 % of the rows


def reversal_scale(likelihood: Likelihood, training: Batch) -> float:
    r"""Return what the weight of an adversary is multiplied by, at most 1.

    ``min(1, impurity / 0.2)`` with the impurity ``1 - sum_c share_c^2`` of the classes of the
    training rows. On the link scale a row pulls at the likelihood with ``y - p``, over all rows
    ``2 share (1 - share)`` of two classes at the start: the impurity. Adversaries read standardised
    predictions, so that their pull has no such factor, and the same λ would act a hundred times as
    strongly at 1 % positives as at 50 %: there the game no longer settles (docs/decisions.md). A
    target without classes has scale 1.

    Examples
    --------
    >>> from pyfairme.model.likelihoods import Bernoulli
    >>> rows = Batch(*[None] * 7)._replace(weight=np.ones(100))
    >>> shares = (0.5, 0.12, 0.03, 0.01)
    >>> few = [rows._replace(y=(np.arange(100) < 100 * share).astype(int)) for share in shares]
    >>> [round(reversal_scale(Bernoulli(), one), 2) for one in few]
    [1.0, 1.0, 0.29, 0.1]
    """
    strata = likelihood.strata(training.y)
    if strata is None:
        return 1.0
    weight = np.asarray(training.weight, np.float64)
    share = weight @ np.asarray(strata, np.float64) / weight.sum()
    return min(1.0, float(1.0 - (share**2).sum()) / FULL)
