"""Groups of rows whose sensitive attributes are not read: their chances, from what is read.

Chances of the groups of a row, if it is positive and if it is negative, come from a multinomial
logistic regression each, on what the classifier sees of the row: encoded covariates, clusters and
the logit of its probability.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import logit, softmax

from pyfairme.data.attributes import Attribute
from pyfairme.data.frame import as_frame
from pyfairme.data.input_types import Table
from pyfairme.notices import unsaid
from pyfairme.postprocessing.joint_rule import Members

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


def check_unread(
    estimator: FairMixedEffectsClassifier, groups: Iterable[Attribute], outcome: np.ndarray | None
) -> None:
    """Raise without outcomes to learn from, or when the classifier itself reads an attribute."""
    if outcome is None:
        raise ValueError(
            "sensitive='inferred' learns who belongs to which group from X and y: give fit(X, y), "
            "or choose sensitive='read'. [inferred-without-y]"
        )
    design = estimator.design_
    clusters = set(design.schema.cluster_columns)
    read = {*(term.column for term in design.terms), *clusters, estimator.offset}
    for column in (column for attribute in groups for column in attribute.columns):
        if column in read:
            remedy = "fit it with drop_sensitive=True and that among its sensitive attributes, or "
            raise ValueError(
                f"The classifier reads {column!r}, so that sensitive='inferred' would not keep it "
                f"out of decisions: {'' if column in clusters else remedy}choose sensitive='read'."
                " [classifier-reads-attribute]"
            )


def without(X: Table, groups: Mapping[str, Attribute]) -> Any:
    """Return a table without the columns of attributes that nothing may read."""
    hidden = {column for attribute in groups.values() for column in attribute.columns}
    frame = as_frame(X)
    return frame.drop(columns=[column for column in frame.columns if column in hidden])


def learn(
    attribute: Attribute,
    codes: np.ndarray,
    outcome: np.ndarray,
    of: np.ndarray,
    mass: np.ndarray | None = None,
) -> np.ndarray:
    """Fit both regressions to rows of groups ``codes`` (n,), ``outcome`` (n,) and features ``of``.

    Rows count by their weight ``mass`` (n,); None: alike.

    Returns
    -------
    array (2, groups, features + 1)
        Coefficients and last the intercept; of negative rows, then of positive ones.

    Raises
    ------
    ValueError
        For a group without a positive, or a negative, row.
    """
    from sklearn.linear_model import LogisticRegression  # an eighth of the time of our import

    found = []
    for value in (0, 1):
        rows = outcome == value
        number = np.bincount(codes[rows], minlength=len(attribute.levels))
        if (number == 0).any():
            raise ValueError(
                f"No row with {attribute.name} = {attribute.levels[int(number.argmin())]!r} is "
                f"{('negative', 'positive')[value]}: who belongs to that group cannot be inferred. "
                "Give more rows, or join the group with another. [group-without-outcome]"
            )
        weight = None if mass is None else mass[rows]
        model = LogisticRegression(max_iter=STEPS).fit(of[rows], codes[rows], weight)
        both = np.hstack([model.coef_, model.intercept_[:, None]])
        found.append(both if len(both) > 1 else np.vstack([np.zeros_like(both), both]))
    return np.stack(found)


def infer(coefficients: np.ndarray, of: np.ndarray) -> Members:
    """Return the chances of the groups of rows with features ``of`` (n, features)."""
    negative, positive = (softmax(of @ one[:, :-1].T + one[:, -1], axis=1) for one in coefficients)
    return Members(positive, negative)
