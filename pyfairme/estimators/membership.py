"""Groups of rows whose sensitive attributes are not read: their chances, from what is read.

Chances of the groups of a row, if it is positive and if it is negative, come from a multinomial
logistic regression each, on what the classifier sees of the row: encoded covariates, clusters and
the logit of its probability.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logit, softmax
from sklearn.linear_model import LogisticRegression

from pyfairme.data.attributes import Attribute
from pyfairme.estimators.joint_rules import Members

__all__ = ["check_unread", "features", "infer", "learn"]

MOST_CLUSTERS = 100  # of a factor whose clusters are told apart
NEVER = 1e-6  # probabilities closer to 0 or 1 count as this
STEPS = 2000


def check_unread(estimator: Any, attribute: Attribute) -> None:
    """Raise when the classifier itself reads a column of the attribute."""
    design = estimator.design_
    read = {*(term.column for term in design.terms), *(one.column for one in design.factors)}
    both = [column for column in attribute.columns if column in read]
    if both:
        raise ValueError(
            f"The classifier reads {both[0]!r}, of which sensitive='inferred' makes no use: fit it "
            "with drop_sensitive=True and the attribute among its sensitive ones (or without the "
            "column), or choose sensitive='read'."
        )


def features(estimator: Any, frame: pd.DataFrame, p: np.ndarray) -> np.ndarray:
    """Return what groups are inferred from, (n, features), for rows of probability ``p`` (n,)."""
    batch = estimator.design_.encode(frame)
    known = [
        codes[:, None] == np.arange(len(factor.levels))
        for factor, codes in zip(estimator.design_.factors, batch.cluster.T, strict=True)
        if len(factor.levels) <= MOST_CLUSTERS
    ]
    score = logit(np.clip(p, NEVER, 1 - NEVER))[:, None]
    return np.hstack([batch.x, *known, score]).astype(np.float64)


def learn(
    attribute: Attribute, codes: np.ndarray, outcome: np.ndarray, of: np.ndarray
) -> np.ndarray:
    """Fit both regressions to rows of groups ``codes`` (n,), ``outcome`` (n,) and features ``of``.

    Returns
    -------
    array (2, groups, features + 1)
        Coefficients and last the intercept; of negative rows, then of positive ones.

    Raises
    ------
    ValueError
        For a group without a positive, or a negative, row.
    """
    found = []
    for value in (0, 1):
        rows = outcome == value
        number = np.bincount(codes[rows], minlength=len(attribute.levels))
        if (number == 0).any():
            raise ValueError(
                f"No row with {attribute.name} = {attribute.levels[int(number.argmin())]!r} is "
                f"{('negative', 'positive')[value]}: who belongs to that group cannot be inferred. "
                "Give more rows, or join the group with another."
            )
        model = LogisticRegression(max_iter=STEPS).fit(of[rows], codes[rows])
        both = np.hstack([model.coef_, model.intercept_[:, None]])
        found.append(both if len(both) > 1 else np.vstack([np.zeros_like(both), both]))
    return np.stack(found)


def infer(coefficients: np.ndarray, of: np.ndarray) -> Members:
    """Return the chances of the groups of rows with features ``of`` (n, features)."""
    negative, positive = (softmax(of @ one[:, :-1].T + one[:, -1], axis=1) for one in coefficients)
    return Members(positive, negative)
