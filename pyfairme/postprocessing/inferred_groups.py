"""Groups of rows whose sensitive attributes are not read: their chances, from what is read.

Chances of the groups of a row, if it is positive and if it is negative, come from a multinomial
logistic regression each, or from a classifier of the user's, on what the classifier sees of the
row: encoded covariates, clusters and the logit of its probability.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import logit, softmax
from sklearn.base import clone

from pyfairme.data.attributes import Attribute
from pyfairme.notices import unsaid
from pyfairme.postprocessing.joint_rule import Members
from pyfairme.postprocessing.weight_keyword import weight_keyword

if TYPE_CHECKING:
    from pyfairme.estimators.classifier import FairMixedEffectsClassifier

MOST_CLUSTERS = 100  # of a factor whose clusters are told apart
NEVER = 1e-6  # probabilities closer to 0 or 1 count as this
STEPS = 2000  # of the search, which ends long before on data sets we have


class Features(NamedTuple):
    """What groups are inferred from, beside the probability.

    ``columns`` are (name, mean, scale) of the encoded covariates, ``clusters`` the clusters of each
    factor. Fixed effects know no cluster, random ones no covariate: neither do the features, so
    that the probability is one given all that they hold.
    """

    columns: tuple[tuple[str, float, float], ...]
    clusters: Mapping[str, tuple[str, ...]]

    @property
    def width(self) -> int:
        """How many numbers of a row they are, the probability's among them."""
        return len(self.columns) + sum(map(len, self.clusters.values())) + 1

    @classmethod
    def of(cls, estimator: FairMixedEffectsClassifier, effects: str) -> Features:
        """Return those of a fitted classifier's probabilities from ``effects``."""
        factors = estimator.design_.factors if effects != "fixed" else ()
        few = {one.column: one.levels for one in factors if len(one.levels) <= MOST_CLUSTERS}
        return cls(_columns(estimator) if effects != "random" else (), few)

    def read(
        self, estimator: FairMixedEffectsClassifier, frame: pd.DataFrame, p: np.ndarray
    ) -> np.ndarray:
        """Return them for rows of probability ``p`` (n,): (n, features).

        Clusters that are not among those learnt from are marked by zeros. Raises ValueError when
        the classifier's covariates are others now.
        """
        if self.columns and self.columns != _columns(estimator):
            raise ValueError(
                "The classifier was fitted again after the groups were learned, and encodes "
                "covariates differently. Fit the policy again too. [refitted-classifier]"
            )
        with unsaid():  # predicting p has said it
            batch = estimator.design_.encode(frame, clusters=bool(self.clusters))
        parts = [batch.x] if self.columns else []
        for factor, codes in zip(estimator.design_.factors, batch.cluster.T, strict=True):
            if factor.column in self.clusters:
                labels = np.array([*factor.levels, None], dtype=object)[codes]
                known = np.array(self.clusters[factor.column], dtype=object)
                parts.append(labels[:, None] == known)
        score = logit(np.clip(p, NEVER, 1 - NEVER))[:, None]
        return np.hstack([*parts, score]).astype(np.float64)


def _columns(estimator: FairMixedEffectsClassifier) -> tuple[tuple[str, float, float], ...]:
    found = estimator.design_.columns
    return tuple((one.name, float(one.mean), float(one.scale)) for one in found)


def learn(
    attribute: Attribute,
    codes: np.ndarray,
    outcome: np.ndarray,
    of: np.ndarray,
    mass: np.ndarray | None = None,
    model: Any = None,
) -> Any:
    """Fit both regressions to rows of groups ``codes`` (n,), ``outcome`` (n,) and features ``of``.

    Rows count by their weight ``mass`` (n,); None: alike. ``model`` is a classifier that is fitted
    in place of the regressions; None: these.

    Returns
    -------
    array (2, groups, features + 1)
        Coefficients and last the intercept; of negative rows, then of positive ones. Of ``model``
        the two fitted classifiers.

    Raises
    ------
    ValueError
        For a group without a positive, or a negative, row.
    """
    from sklearn.linear_model import LogisticRegression  # an eighth of the time of our import

    found: list[Any] = []
    keyword = None if mass is None or model is None else weight_keyword(model)
    for value in (0, 1):
        rows = outcome == value
        counted = rows if mass is None else rows & (mass > 0)
        number = np.bincount(codes[counted], minlength=len(attribute.levels))
        if (number == 0).any():
            raise ValueError(
                f"No row with {attribute.name} = {attribute.levels[int(number.argmin())]!r} is "
                f"{('negative', 'positive')[value]}: who belongs to that group cannot be inferred. "
                "Give more rows, or join the group with another. [group-without-outcome]"
            )
        weight = None if mass is None else mass[rows]
        if model is not None:
            found.append(_fitted(model, of[rows], codes[rows], keyword, weight))
            continue
        fit = LogisticRegression(max_iter=STEPS).fit(of[rows], codes[rows], weight)
        both = np.hstack([fit.coef_, fit.intercept_[:, None]])
        found.append(both if len(both) > 1 else np.vstack([np.zeros_like(both), both]))
    return np.stack(found) if model is None else tuple(found)


def _fitted(
    model: Any, of: np.ndarray, codes: np.ndarray, keyword: str | None, weight: np.ndarray | None
) -> Any:
    found: Any = clone(model)
    return found.fit(of, codes, **({} if keyword is None else {keyword: weight}))


def infer(learnt: Any, of: np.ndarray) -> Members:
    """Return the chances of the groups of rows with features ``of`` (n, features)."""
    if isinstance(learnt, tuple):
        negative, positive = (np.asarray(one.predict_proba(of), np.float64) for one in learnt)
    else:
        negative, positive = (softmax(of @ one[:, :-1].T + one[:, -1], axis=1) for one in learnt)
    return Members(positive, negative)
