"""Deterministic and randomised threshold rules: how they are chosen and applied.

A rule is a row of numbers: positive with probability ``ignore * constant + (1 - ignore) * (weight *
1[p > above] + (1 - weight) * 1[p > or_above])``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from pyfairme.data.attributes import Attribute
from pyfairme.data.input_types import Table
from pyfairme.notices import StateError

REPEATS = 50  # of a row of average weight
MOST_REPEATED = 5_000_000  # rows in all
WHOLE = 1e-6  # error of a multiple


class _Given(BaseEstimator):
    """Stand in for a fitted classifier whose probabilities are the rows themselves."""

    def fit(self, X: Table, y: ArrayLike) -> _Given:
        return self

    def predict_proba(self, X: Table) -> np.ndarray:
        return np.asarray(X)

    def __sklearn_is_fitted__(self) -> bool:
        return True


def repeats(mass: np.ndarray) -> np.ndarray:
    """Return how often each row stands for its weight ``mass`` (n,) of mean 1.

    Weights that are multiples of the least one are kept exactly, others to a fiftieth of the mean;
    a row of any weight stands once at least.

    Examples
    --------
    >>> repeats(np.array([0.5, 1.5, 0.0, 2.0])).tolist()
    [1, 3, 0, 4]
    >>> repeats(np.array([0.7, 1.3])).tolist()
    [35, 65]
    """
    shares = mass / mass[mass > 0].min()
    if np.abs(shares - np.round(shares)).max() < WHOLE and shares.sum() <= MOST_REPEATED:
        return np.round(shares).astype(int)
    each = min(REPEATS, max(1, MOST_REPEATED // len(mass)))
    return np.where(mass > 0, np.maximum(np.round(each * mass), 1), 0).astype(int)


def one_rule(
    score: np.ndarray, outcome: np.ndarray, objective: str, mass: np.ndarray | None = None
) -> pd.DataFrame:
    """Return the one threshold of the highest (balanced) accuracy: the highest of equals.

    Rows count by their weight ``mass`` (n,); None: alike. The threshold lies halfway between two
    neighbouring scores (n,), so that rounding moves no row.
    """
    from sklearn.metrics import roc_curve  # slow to import

    positives = int(outcome.sum())
    counted = outcome if mass is None else outcome[mass > 0]
    if int(counted.sum()) in (0, len(counted)):
        raise ValueError(
            f"All {len(counted)} rows are of one class, so no threshold is better than another. "
            "Give rows of both classes. [one-class]"
        )
    fpr, tpr, cuts = roc_curve(outcome, score, sample_weight=mass, drop_intermediate=False)
    share = np.average(outcome, weights=mass) if objective == "accuracy" else 0.5
    best = int(np.argmax(np.round(share * tpr + (1 - share) * (1 - fpr), 12)))
    cuts[0] = np.inf
    below = cuts[best + 1] if best + 1 < len(cuts) else -np.inf
    above = (cuts[best] + below) / 2 if np.isfinite(cuts[best]) else np.inf
    rule = {"group": "all", "ignore": 0.0, "constant": 0.0, "weight": 1.0, "above": float(above)}
    return pd.DataFrame([rule | {"or_above": np.inf, "n": len(outcome), "positives": positives}])


def check_outcomes(attribute: Attribute, codes: np.ndarray, outcome: np.ndarray) -> None:
    """Raise ValueError for a group without positive or without negative rows."""
    rows = np.bincount(codes, minlength=len(attribute.levels))
    positives = np.bincount(codes, outcome, minlength=len(attribute.levels))
    for level, n, k in zip(attribute.levels, rows, positives, strict=True):
        if k in (0, n):
            none, what = ("positive", "TPR") if k == 0 else ("negative", "FPR")
            raise ValueError(
                f"The group {level!r} of {attribute.name!r} has no {none} row among its {n}, so no "
                f"{what} to equalise. Give more rows, merge groups (a coarser column, Binned), or "
                "set criterion=None for one threshold. [group-without-outcome]"
            )


def grouped_rules(
    score: np.ndarray,
    outcome: np.ndarray,
    codes: np.ndarray,
    constraint: str,
    objective: str,
    grid_size: int,
) -> pd.DataFrame:
    """Return the rule of each group, chosen by fairlearn's ``ThresholdOptimizer``.

    ``score`` and ``outcome`` (n,) in {0, 1}; ``codes`` number the groups 0, 1, ..., each of which
    has rows of both outcomes.
    """
    from fairlearn.postprocessing import ThresholdOptimizer

    names: Any = {"constraints": constraint, "objective": f"{objective}_score"}
    optimizer = ThresholdOptimizer(
        estimator=_Given(), prefit=True, predict_method="predict_proba", grid_size=grid_size,
        flip=False, **names,
    )  # fmt: skip
    given = np.stack([1 - score, score], axis=1)
    optimizer.fit(given, outcome.astype(int), sensitive_features=codes)
    chosen: Any = optimizer.interpolated_thresholder_.interpolation_dict
    rows = []
    for code in range(len(chosen)):
        rule, here = chosen[code], codes == code
        rows.append(
            {
                "ignore": float(rule.get("p_ignore", 0.0)),
                "constant": float(rule.get("prediction_constant", 0.0)),
                "weight": float(rule.p0),
                "above": float(rule.operation0.threshold),
                "or_above": float(rule.operation1.threshold),
                "n": int(here.sum()),
                "positives": int(outcome[here].sum()),
            }
        )
    return pd.DataFrame(rows)


def cut_text(cut: float) -> str:
    """Return a threshold with three digits that count, of what is left to 1 where it is near 1.

    Examples
    --------
    >>> [cut_text(cut) for cut in (0.5171, 0.00483, 0.0, 0.99951, 1.0)]
    ['0.517', '0.00483', '0.000', '0.999510', '1.000']
    """
    rest = min(cut, 1 - cut)
    return f"{cut:.{3 if not 0 < rest < 0.1 else min(2 - math.floor(math.log10(rest)), 9)}f}"


def in_words(rule: Mapping[str, Any]) -> str:
    """Say with which probability a group's rows are decided positive, from high p to low."""
    coin, heard = rule["ignore"] * rule["constant"], 1 - rule["ignore"]
    steps = [(rule["above"], coin + heard), (rule["or_above"], coin + heard * (1 - rule["weight"]))]
    after = [chance for _, chance in steps[1:]] + [coin]
    text = [
        f"{chance:.3g} if p > {cut_text(cut)}"
        for (cut, chance), below in zip(steps, after, strict=True)
        if np.isfinite(cut) and chance != below
    ]
    name = f"{rule['group']} ({rule['n']} rows, {rule['positives']} positive)"
    return f"- {name}: positive with probability {', else '.join([*text, f'{coin:.3g}'])}"


def check_rules(rules: pd.DataFrame, levels: tuple[str, ...]) -> None:
    """Raise StateError unless rules that a file holds are those of these groups."""
    shares, cuts = ["ignore", "constant", "weight"], ["above", "or_above"]
    if set(rules) != {"group", *shares, *cuts, "n", "positives"}:
        raise StateError(f"expected the columns of rules, got {list(rules)[:20]}")
    if tuple(rules["group"]) != levels:
        raise StateError("expected a rule for each group")
    numbers = rules.drop(columns="group")
    if not all(pd.api.types.is_numeric_dtype(kind) for kind in numbers.dtypes):
        raise StateError("expected rules of numbers")
    if numbers.isna().any(axis=None) or not rules[shares].stack().between(0, 1).all():
        raise StateError("expected chances from 0 to 1")


def positive_share(rules: pd.DataFrame, score: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the probability of a positive decision, (n,), for rows of groups ``codes`` (n,)."""
    at = {name: rules[name].to_numpy()[codes] for name in rules if name != "group"}
    mixed = at["weight"] * (score > at["above"]) + (1 - at["weight"]) * (score > at["or_above"])
    share = at["ignore"] * at["constant"] + (1 - at["ignore"]) * mixed
    return np.clip(np.round(share, 12), 0.0, 1.0)  # sure decisions are 0 or 1, not nearly so


def coins(contents: pd.DataFrame, seed: int) -> np.ndarray:
    """Return a number in [0, 1) per row (n,), a hash of its values and the seed.

    pandas hashes the row; the finalizer of SplitMix64 (Steele, Lea & Flood 2014) mixes in the seed.
    """
    hashed: Any = pd.util.hash_pandas_object(contents, index=False)  # type: ignore[attr-defined]
    z = hashed.to_numpy(np.uint64)
    z = z ^ np.uint64(seed * 0x9E3779B97F4A7C15 % 2**64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) / 2.0**53
