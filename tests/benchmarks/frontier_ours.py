"""Our side of the frontier comparison: a model over a grid of weights, and thresholds by group."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from frontier_problem import ANY, TEST, TRAINING, VALIDATION, Decided, Point, Problem, Reading

import pyfairme as pf
from pyfairme.estimators.validation_rows import held_out, keys_of
from pyfairme.model.penalties import PENALTIES
from pyfairme.postprocessing.group_thresholds import GroupThresholds
from pyfairme.postprocessing.joint_rule import joint_rule
from pyfairme.postprocessing.joint_thresholds import JointThresholds
from pyfairme.postprocessing.limit_support import Limit

OURS = "pyfairme"
LIMITS = (0.2, 0.15, 0.12, 0.09, 0.06, 0.04, 0.02, 0.01, 0.0)  # of the SDs of TPR and FPR


def ours(
    of: Problem, variant: str, weight: float, keywords: Mapping[str, Any]
) -> Iterator[Reading]:
    """Fit our model; with S at hand, thresholds by group on its probabilities as well.

    It is given the nine folds and holds one ninth of their rows out by itself, as many as a fold.
    """
    names = of.protected[of.setting] if of.setting != ANY else tuple(of.entries)
    settings = {
        **keywords,
        "cluster": of.cluster,
        "sensitive": tuple(of.entries[name] for name in names),
        "drop_sensitive": not of.keep,
        "threshold": "balanced_accuracy",
        "validation_fraction": 1 / (of.folds - 1),
        "random_state": of.seed,
        "progress": False,
    }
    own = keywords.get("fairness_weight")
    factors = own if isinstance(own, Mapping) else 1.0
    settings["fairness_weight"] = _scaled(factors, weight, {*names, *PENALTIES})
    if not weight:
        settings["fairness"] = None
    rows = np.sort(np.concatenate([of.rows[TRAINING], of.rows[VALIDATION]]))
    X, y = of.frame.iloc[rows], of.y[rows]
    clf = pf.FairMixedEffectsClassifier(**settings).fit(X, y)
    test = of.frame.iloc[of.rows[TEST]]

    def decide(effects: str) -> Decided:
        score = clf.predict_proba(test, effects)[:, 1]
        return Decided((score >= clf.threshold_[effects]).astype(np.int8), score)

    def by_group(setting: str, part: str) -> Decided:
        chosen = _held_out(clf, X, y) if part == VALIDATION else np.arange(len(y))
        entries = tuple(of.entries[name] for name in of.protected[setting])
        policy = GroupThresholds(clf, entries[0] if len(entries) == 1 else entries)
        policy.fit(X.iloc[chosen], y[chosen])
        return Decided(np.asarray(policy.predict(test)).astype(np.int8))

    def jointly(setting: str, limit: float) -> Decided:
        entries = [of.entries[name] for name in of.protected[setting]]
        policy = JointThresholds(clf, dict.fromkeys(entries, limit)).fit(X)
        return Decided(np.asarray(policy.predict(test)).astype(np.int8))

    chances: dict[str, Any] = {}  # probabilities and groups', learnt once for all limits

    def unread(setting: str, limit: float) -> Decided:
        if not chances:
            entries = [of.entries[name] for name in of.protected[setting]]
            once = JointThresholds(clf, dict.fromkeys(entries, np.inf), sensitive="inferred")
            once.fit(X, y)
            for part, rows in ((TRAINING, X), (TEST, test)):
                chances[part] = once._read(rows)[1:]
        p, members = chances[TRAINING]
        limits = tuple(Limit(name, rate, limit) for name in members for rate in ("tpr", "fpr"))
        rule = joint_rule(p, members, limits, "balanced_accuracy")
        chance = rule.chances(*chances[TEST])
        coins = np.random.default_rng(of.seed).random(len(chance))
        return Decided((coins < chance).astype(np.int8))

    name, point = f"{OURS} {variant}", f"weight {weight:g}"
    yield Reading(name, point, of.setting, of.keep, lambda: decide("mixed"))
    yield Reading(f"{name}, fixed", point, of.setting, of.keep, lambda: decide("fixed"))
    if not weight:  # probabilities of a penalised model are not calibrated in the groups
        policy = f"JointThresholds{'' if of.keep else ', S inferred,'} on {name}"
        by_limit = jointly if of.keep else unread
        for setting in of.protected:
            for limit in LIMITS:
                yield Reading(
                    policy,
                    f"SD at most {limit:g}",
                    setting,
                    of.keep,
                    lambda s=setting, v=limit: by_limit(s, v),
                )
    if not of.keep:
        return
    name = f"GroupThresholds on {name}"
    for setting in of.protected:
        yield Reading(name, f"{point}, off", setting, True, lambda: decide("mixed"))
        for part in (VALIDATION, TRAINING):
            yield Reading(
                name,
                f"{point}, {part} rows",
                setting,
                True,
                lambda s=setting, p=part: by_group(s, p),
            )


def _scaled(own: Any, weight: float, wanted: set[str]) -> Any:
    """Multiply a weight, or those of a dictionary that are of protected attributes."""
    if not isinstance(own, Mapping):
        return own * weight
    return {k: _scaled(v, weight, wanted) for k, v in own.items() if k in wanted}


def _held_out(clf: Any, X: pd.DataFrame, y: np.ndarray) -> np.ndarray:
    """Return the rows that the estimator validated on, as it chose them."""
    keys = keys_of(X, clf.design_.schema)
    return held_out(keys, clf._strata(y), len(y), clf.validation_fraction, clf._seed)[1]


def our_points(variants: Sequence[str], weights: Sequence[float]) -> Iterator[Point]:
    """List our fits; the one without fairness stands for all settings where it keeps S."""
    for variant in variants:
        name, keywords = _keywords(variant)
        for weight in weights:
            parameters = {"variant": name, "weight": weight, "keywords": keywords}
            yield Point(OURS, f"{name}-{weight:g}", parameters, protects=bool(weight))


def _keywords(variant: str) -> tuple[str, dict[str, Any]]:
    if variant in pf.VARIANTS:
        return variant, _tuples(dict(pf.VARIANTS[variant]))
    own = json.loads(Path(variant).read_text(encoding="utf-8"))
    base = pf.VARIANTS[own.pop("variant", "medl_adb")]
    return Path(variant).stem, _tuples({**base, **own})


def _tuples(value: Any) -> Any:
    """Turn lists of JSON into tuples, which settings are hashed as."""
    if isinstance(value, Mapping):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
