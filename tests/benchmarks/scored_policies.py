"""Threshold policies on the same scores of boosting: ours beside fairlearn's ThresholdOptimizer.

    python tests/benchmarks/frontier.py --dataset adult --methods lightgbm_policies
        --attributes sex all --seeds 1 --store runs/frontier_lightgbm

A model is fitted to nine folds; policies choose on its out-of-fold probabilities of them (three
folds), which all of them are given. S is read ("keep") or, by ours, inferred ("drop"). fairlearn's
policy has one point, as it relaxes no equalized odds; with several attributes it gets their
intersection, of which combinations without rows of both classes are put together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from frontier_ours import LIMITS
from frontier_problem import (
    ANY,
    TEST,
    TRAINING,
    VALIDATION,
    Decided,
    Problem,
    Reading,
    best_threshold,
)
from sklearn.base import BaseEstimator

from pyfairme.data.attributes import Attribute
from pyfairme.postprocessing.group_features import GroupFeatures
from pyfairme.postprocessing.inferred_groups import infer, learn
from pyfairme.postprocessing.joint_rule import Members, joint_rule
from pyfairme.postprocessing.limit_support import Limit
from pyfairme.postprocessing.out_of_fold import fit_out_of_fold

FOLDS = 3


class Given(BaseEstimator):
    """For fairlearn: a fitted classifier whose scores are the rows themselves."""

    def fit(self, X: Any, y: Any) -> Given:
        """Learn nothing."""
        self.fitted_ = True
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the rows."""
        return np.asarray(X)


def lightgbm_policies(problem: Problem) -> Iterator[Reading]:
    """Policies on LightGBM's scores, its default settings."""
    from lightgbm import LGBMClassifier

    model = LGBMClassifier(random_state=problem.seed, n_jobs=1, verbose=-1)
    return _policies(problem, "LightGBM", model)


def boosting_policies(problem: Problem) -> Iterator[Reading]:
    """Policies on the scores of scikit-learn's gradient boosting, its default settings."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        categorical_features="from_dtype", random_state=problem.seed
    )
    return _policies(problem, "gradient boosting", model)


def _policies(of: Problem, name: str, model: Any) -> Iterator[Reading]:
    rows = np.sort(np.concatenate([of.rows[TRAINING], of.rows[VALIDATION]]))
    y = of.y[rows]
    table = of.frame if of.keep else of.frame.drop(columns=_protected(of))
    table = _categories(table, of.rows[TRAINING])
    X, test = table.iloc[rows].reset_index(drop=True), table.iloc[of.rows[TEST]]
    fitted, p = fit_out_of_fold(model, X, y, None, FOLDS, "mixed")
    p_test = fitted.predict_proba(test)[:, 1]
    cut = best_threshold(y, p)
    yield Reading(
        name, "", of.setting, of.keep, lambda: Decided((p_test >= cut).astype(np.int8), p_test)
    )
    settings = of.protected if of.setting == ANY else {of.setting: of.protected[of.setting]}
    known: dict[str, Any] = {}
    for setting, names in settings.items():
        for limit in LIMITS:
            yield Reading(
                f"JointThresholds (pyfairme){'' if of.keep else ', S inferred,'} on {name}",
                f"SD at most {limit:g}",
                setting,
                of.keep,
                lambda s=setting, a=names, v=limit: _joint(
                    of, (rows, X, test, y, p, p_test), known, s, a, v
                ),
            )
        if of.keep:
            yield Reading(
                f"ThresholdOptimizer on {name}",
                "off",
                setting,
                True,
                lambda: Decided((p_test >= cut).astype(np.int8), p_test),
            )
            yield Reading(
                f"ThresholdOptimizer on {name}",
                "equalized odds",
                setting,
                True,
                lambda s=setting: _fairlearn(of, rows, y, (p, p_test), s),
            )


def _joint(
    of: Problem,
    table: tuple[Any, ...],
    known: dict[str, Any],
    setting: str,
    names: tuple[str, ...],
    limit: float,
) -> Decided:
    p, p_test = table[-2:]
    if setting not in known:
        known[setting] = _members(of, table, names)
    here, there = known[setting]
    limits = tuple(Limit(name, rate, limit) for name in names for rate in ("tpr", "fpr"))
    rule = joint_rule(p, here, limits, "balanced_accuracy")
    chance = rule.chances(p_test, there)
    coins = np.random.default_rng(of.seed).random(len(chance))
    return Decided((coins < chance).astype(np.int8))


def _members(of: Problem, table: tuple[Any, ...], names: tuple[str, ...]) -> tuple[dict, dict]:
    """Return the groups of the rows that policies choose on, and of those that are judged."""
    rows, X, test, y, p, p_test = table
    here, there = {}, {}
    features = None if of.keep else GroupFeatures.fit(X)
    for name in names:
        labels = pd.DataFrame({name: of.groups[name]})
        attribute = Attribute.fit(labels.iloc[rows], name)
        codes = attribute.encode(labels)
        size = len(attribute.levels)
        if features is None:
            here[name] = Members.of(codes[rows], size)
            there[name] = Members.of(codes[of.rows[TEST]], size)
            continue
        learnt = learn(attribute, codes[rows], y, features.read(X, p))
        here[name] = infer(learnt, features.read(X, p))
        there[name] = infer(learnt, features.read(test, p_test))
    return here, there


def _fairlearn(
    of: Problem, rows: np.ndarray, y: np.ndarray, p: tuple[Any, Any], setting: str
) -> Decided:
    from fairlearn.postprocessing import ThresholdOptimizer

    policy = ThresholdOptimizer(
        estimator=Given().fit(None, None), constraints="equalized_odds", prefit=True,
        objective="balanced_accuracy_score", predict_method="predict_proba",
    )  # fmt: skip
    joined = [of.groups[name] for name in of.protected[setting]]
    group = pd.Series([" & ".join(row) for row in zip(*joined, strict=True)])
    both = pd.Series(y).groupby(group.iloc[rows].to_numpy()).nunique()
    group = group.where(group.isin(both.index[both == 2]), "others").to_numpy()
    scores = [np.stack([1 - one, one], axis=1) for one in p]
    policy.fit(scores[0], y, sensitive_features=group[rows])
    test = group[of.rows[TEST]]
    found = policy.predict(scores[1], sensitive_features=test, random_state=of.seed)
    return Decided(np.asarray(found).astype(np.int8))


def _protected(of: Problem) -> list[str]:
    from pyfairme.data.schema import source

    return [source(of.entries[name]) for name in of.protected[of.setting]]


def _categories(table: pd.DataFrame, training: np.ndarray) -> pd.DataFrame:
    """Make text a category with the levels of the training rows; others are missing."""
    found = {}
    for name in table.select_dtypes(exclude="number").columns:
        levels = sorted(table[name].iloc[training].dropna().astype(str).unique())
        values = table[name].astype(str)
        found[name] = pd.Categorical(values.where(values.isin(levels)), levels)
    return table.assign(**found)


POLICIES: dict[str, Callable[[Problem], Iterator[Reading]]] = {
    "lightgbm_policies": lightgbm_policies,
    "boosting_policies": boosting_policies,
}
