"""Scores of classes for prediction sets: the set of a row has the classes with small scores."""

from __future__ import annotations

import numpy as np

from pyfairme.metrics.array_inputs import Floats


def lac_scores(probability: Floats) -> Floats:
    """Return 1 - p of every class, ``(n, K)``: the smallest sets on average.

    "Least ambiguous set-valued classifier" (Sadinle, Lei & Wasserman 2019).

    Examples
    --------
    >>> lac_scores(np.array([[0.75, 0.25]])).tolist()
    [[0.25, 0.75]]
    """
    return 1.0 - probability


def aps_scores(probability: Floats, coin: Floats) -> Floats:
    """Return the probability of likelier classes plus a part of its own, of every class ``(n, K)``.

    "Adaptive prediction sets" (Romano, Sesia & Candes 2020): sets grow where the model is unsure.

    Parameters
    ----------
    probability
        Shape ``(n, K)``; of equal ones the first counts as likelier.
    coin
        Shape ``(n,)``: the part, uniform on [0, 1).

    Examples
    --------
    >>> aps_scores(np.array([[0.25, 0.5, 0.25]]), np.array([0.5])).tolist()
    [[0.625, 0.25, 0.875]]
    """
    order = np.argsort(-probability, axis=1, kind="stable")
    ordered = np.take_along_axis(probability, order, axis=1)
    found = np.cumsum(ordered, axis=1) - ordered + coin[:, None] * ordered
    scores = np.empty_like(found)
    np.put_along_axis(scores, order, found, axis=1)
    return scores
