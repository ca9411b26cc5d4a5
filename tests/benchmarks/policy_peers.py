"""Other packages' threshold policies on given scores: fairlearn, error-parity, oxonfair.

Each takes the probabilities of the rows that it chooses on and of those it decides, with their
groups, and returns decisions. They know one sensitive feature: of several attributes they get the
intersection, of which rare combinations are put together. None of the packages is a dependency:
`pip install fairlearn error-parity oxonfair`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

# of the largest difference of two groups; twice the SDs that JointThresholds are limited to
TOLERANCES = (0.4, 0.3, 0.24, 0.18, 0.12, 0.08, 0.04, 0.02, 0.0)
RARE = 0.001  # share of the rows that a combination needs of each class
MOST_GROUPS = 4  # of oxonfair: its grid has 30 points a group


class Scored(NamedTuple):
    """Rows that are chosen on, and rows to be decided: probabilities (n,) and groups (n,).

    ``y`` (n,) are outcomes of the first; ``balanced``: whether balanced accuracy is the objective,
    or accuracy.
    """

    y: np.ndarray
    p: np.ndarray
    group: np.ndarray
    p_test: np.ndarray
    group_test: np.ndarray
    seed: int
    balanced: bool = True


class Given(BaseEstimator):
    """For fairlearn: a fitted classifier whose scores are the rows themselves."""

    def fit(self, X: Any, y: Any) -> Given:
        """Learn nothing."""
        self.fitted_ = True
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the rows."""
        return np.asarray(X)


def joined(y: np.ndarray, here: list[np.ndarray], there: list[np.ndarray]) -> tuple[Any, Any]:
    """Return the intersection of attributes as numbers from 0, for both sets of rows.

    Combinations of which ``here`` has few rows of a class are one group; if that lacks one, they go
    to the largest. A single attribute keeps all groups of both classes.
    """
    labels = [
        pd.Series([" & ".join(map(str, row)) for row in zip(*of, strict=True)])
        for of in (here, there)
    ]
    counts = pd.crosstab(labels[0].to_numpy(), y).min(axis=1)
    least = 1.0 if len(here) == 1 else RARE * len(y)
    known = {name: number for number, name in enumerate(counts.index[counts >= least])}
    codes = [of.map(known).fillna(len(known)).to_numpy(int) for of in labels]
    others = codes[0] == len(known)
    if np.bincount(y[others].astype(int), minlength=2).min() == 0:
        largest = int(np.bincount(codes[0][~others]).argmax())
        codes = [np.where(of == len(known), largest, of) for of in codes]
    return codes[0], codes[1]


def fairlearn_policy(of: Scored) -> Iterator[tuple[str, Callable[[], np.ndarray]]]:
    """Yield ThresholdOptimizer's one point: fairlearn relaxes no equalized odds."""

    def decide() -> np.ndarray:
        from fairlearn.postprocessing import ThresholdOptimizer

        policy = ThresholdOptimizer(
            estimator=Given().fit(None, None), constraints="equalized_odds", prefit=True,
            objective="balanced_accuracy_score" if of.balanced else "accuracy_score",
            predict_method="predict_proba",
        )  # fmt: skip
        scores = [np.stack([1 - one, one], axis=1) for one in (of.p, of.p_test)]
        policy.fit(scores[0], of.y, sensitive_features=of.group)
        return np.asarray(
            policy.predict(scores[1], sensitive_features=of.group_test, random_state=of.seed)
        )

    yield "equalized odds", decide


def error_parity_policy(
    of: Scored, tolerances: tuple[float, ...] = TOLERANCES
) -> Iterator[tuple[str, Callable[[], np.ndarray]]]:
    """Yield RelaxedThresholdOptimizer's points, a tolerance each (Cruz & Hardt 2024)."""

    def decide(tolerance: float) -> np.ndarray:
        from error_parity import RelaxedThresholdOptimizer

        share = float(of.y.mean()) if of.balanced else 0.5
        policy = RelaxedThresholdOptimizer(
            predictor=lambda X: X[:, 0], constraint="equalized_odds", tolerance=tolerance,
            false_pos_cost=share, false_neg_cost=1 - share, seed=of.seed % 2**31,
        )  # fmt: skip
        policy.fit(X=of.p[:, None], y=of.y, group=of.group)
        return np.asarray(policy(of.p_test[:, None], group=of.group_test))

    for tolerance in tolerances:
        yield f"difference at most {tolerance:g}", lambda t=tolerance: decide(t)


def oxonfair_policy(
    of: Scored, tolerances: tuple[float, ...] = TOLERANCES
) -> Iterator[tuple[str, Callable[[], np.ndarray]]]:
    """Yield oxonfair's points, a threshold per group without coins; none for many groups."""
    groups = int(of.group.max()) + 1
    if groups > MOST_GROUPS:
        return
    known: list[Any] = []

    def rows(p: np.ndarray, group: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
        return {"data": np.stack([1 - p, p], axis=1), "target": y, "groups": group}

    def decide(tolerance: float) -> np.ndarray:
        from oxonfair import FairPredictor
        from oxonfair.utils import group_metrics

        if not known:
            known.append(FairPredictor(lambda X: X, rows(of.p, of.group, of.y)))
        aim = group_metrics.balanced_accuracy if of.balanced else group_metrics.accuracy
        policy = known[0]
        limit = group_metrics.equalized_odds_max
        policy.fit(aim, limit, tolerance, recompute=policy.frontier is None)
        unknown = np.zeros(len(of.p_test), int)  # not read
        return np.asarray(policy.predict(rows(of.p_test, of.group_test, unknown)))

    for tolerance in tolerances:
        yield f"difference at most {tolerance:g}", lambda t=tolerance: decide(t)


PEERS: dict[str, Callable[[Scored], Iterator[tuple[str, Callable[[], np.ndarray]]]]] = {
    "ThresholdOptimizer": fairlearn_policy,
    "error-parity": error_parity_policy,
    "oxonfair": oxonfair_policy,
}
