"""Threshold policies on the same scores of boosting: ours beside those of other packages.

    python tests/benchmarks/frontier.py --dataset adult --methods lightgbm_policies
        --attributes sex all --seeds 1 --store runs/frontier_lightgbm

A model is fitted to nine folds; policies choose on its out-of-fold probabilities of them (three
folds), which all of them are given. S is read ("keep"), or inferred ("drop"): by ours, and, so that
the others can be run at all, by a logistic regression whose most probable group they take for S. On
GPBoost's scores ours is run once more after isotonic calibration by the same out-of-fold rows.
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
from policy_peers import PEERS, Scored, joined
from sklearn.base import BaseEstimator, ClassifierMixin

from pyfairme.data.attributes import Attribute
from pyfairme.postprocessing.calibration_check import warn_of_beliefs
from pyfairme.postprocessing.group_features import GroupFeatures
from pyfairme.postprocessing.inferred_groups import infer, learn
from pyfairme.postprocessing.isotonic_calibration import IsotonicCalibration
from pyfairme.postprocessing.joint_rule import Members, joint_rule
from pyfairme.postprocessing.limit_support import Limit
from pyfairme.postprocessing.out_of_fold import fit_out_of_fold

FOLDS = 3


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


class GPBoostClassifier(ClassifierMixin, BaseEstimator):
    """GPBoost's trees with a random intercept per cluster; a tenth of the rows chooses rounds."""

    def __init__(self, cluster: str = "cluster", seed: int = 0) -> None:
        self.cluster = cluster
        self.seed = seed

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> GPBoostClassifier:
        """Choose the rounds on held-out rows."""
        import gpboost as gpb

        held_out = np.random.default_rng(self.seed).random(len(y)) < 0.1
        part = [X[~held_out], X[held_out]]
        effects = gpb.GPModel(group_data=self._groups(part[0]), likelihood="bernoulli_logit")
        effects.set_prediction_data(group_data_pred=self._groups(part[1]))
        training = gpb.Dataset(self._covariates(part[0]), y[~held_out])
        watched = gpb.Dataset(self._covariates(part[1]), y[held_out], reference=training)
        self.trees_ = gpb.train(
            params={"learning_rate": 0.1, "num_leaves": 31, "verbose": -1, "num_threads": 1},
            train_set=training,
            gp_model=effects,
            num_boost_round=300,
            valid_sets=[watched],
            early_stopping_rounds=10,
            verbose_eval=False,
        )
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Return probabilities with the clusters' effects, (n, 2)."""
        found = self.trees_.predict(
            data=self._covariates(X), group_data_pred=self._groups(X), pred_latent=False
        )
        p = np.asarray(dict(found)["response_mean"])
        return np.stack([1 - p, p], axis=1)

    def _groups(self, X: pd.DataFrame) -> np.ndarray:
        return X[self.cluster].astype(str).to_numpy()

    def _covariates(self, X: pd.DataFrame) -> pd.DataFrame:
        found = X.drop(columns=self.cluster)
        return found.set_axis([f"c{i}" for i in range(found.shape[1])], axis=1)  # refuses ": "


def gpboost_policies(problem: Problem) -> Iterator[Reading]:
    """Policies on GPBoost's scores, ours also after calibrating them."""
    model = GPBoostClassifier(problem.cluster, problem.seed)
    return _policies(problem, "GPBoost", model, calibrate=True)


def _policies(of: Problem, name: str, model: Any, *, calibrate: bool = False) -> Iterator[Reading]:
    rows = np.sort(np.concatenate([of.rows[TRAINING], of.rows[VALIDATION]]))
    y = of.y[rows]
    table = of.frame if of.keep else of.frame.drop(columns=_protected(of))
    table = _categories(table, of.rows[TRAINING])
    X, test = table.iloc[rows].reset_index(drop=True), table.iloc[of.rows[TEST]]
    fitted, p = fit_out_of_fold(model, X, y, None, FOLDS, "mixed")
    p_test = fitted.predict_proba(test)[:, 1]
    cut = best_threshold(y, p)
    plain = Decided((p_test >= cut).astype(np.int8), p_test)
    yield Reading(name, "", of.setting, of.keep, lambda: plain)
    settings = of.protected if of.setting == ANY else {of.setting: of.protected[of.setting]}
    given = (rows, X, test, y, p, p_test)
    versions: dict[str, tuple[Any, ...]] = {"": given}
    if calibrate:
        versions[", calibrated"] = (*given[:4], *_calibrated(y, p, p_test))
    known: dict[str, Any] = {}
    for setting, names in settings.items():
        for version, table_ in versions.items():
            inferred = "" if of.keep else ", S inferred,"
            ours = f"JointThresholds (pyfairme){inferred} on {name}{version}"
            yield Reading(ours, "off", setting, of.keep, lambda: plain)
            for limit in LIMITS:
                yield Reading(
                    ours,
                    f"SD at most {limit:g}",
                    setting,
                    of.keep,
                    lambda t=table_, k=setting + version, a=names, v=limit: _joint(
                        of, t, known, k, a, v
                    ),
                )
        scored = _scored(of, given, names)
        for peer, points in PEERS.items():
            title = f"{peer}{'' if of.keep else ', S predicted,'} on {name}"
            made = list(points(scored))
            if made:
                yield Reading(title, "off", setting, of.keep, lambda: plain)
            for point, decide in made:
                yield Reading(
                    title,
                    point,
                    setting,
                    of.keep,
                    lambda d=decide: Decided(np.asarray(d()).astype(np.int8)),
                )


def _calibrated(y: np.ndarray, p: np.ndarray, p_test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Calibrate as ``JointThresholds(..., calibration="isotonic")`` does."""
    curve = IsotonicCalibration.fit(p, y.astype(float), np.ones(len(y)))
    return curve.of(p), curve.of(p_test)


def _scored(of: Problem, table: tuple[Any, ...], names: tuple[str, ...]) -> Scored:
    """Return what the peers get: scores, and groups that are read or predicted."""
    from sklearn.linear_model import LogisticRegression

    rows, X, test, y, p, p_test = table
    here = [of.groups[name][rows] for name in names]
    there = [of.groups[name][of.rows[TEST]] for name in names]
    if not of.keep:
        features = GroupFeatures.fit(X)
        mine, others = features.read(X, p), features.read(test, p_test)
        models = [LogisticRegression(max_iter=2000).fit(mine, labels) for labels in here]
        here = [model.predict(mine) for model in models]
        there = [model.predict(others) for model in models]
    group, group_test = joined(y, here, there)
    return Scored(y, p, group, p_test, group_test, of.seed)


def _joint(
    of: Problem,
    table: tuple[Any, ...],
    known: dict[str, Any],
    key: str,
    names: tuple[str, ...],
    limit: float,
) -> Decided:
    y, p, p_test = table[-3:]
    if key not in known:
        known[key] = _members(of, table, names)
        attributes = {
            name: Attribute.fit(pd.DataFrame({name: of.groups[name][table[0]]}), name)
            for name in names
        }
        # what a user of JointThresholds is told; the warning is stored with the fit
        warn_of_beliefs((), p, known[key][0], attributes, y)
    here, there = known[key]
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
    "gpboost_policies": gpboost_policies,
}
