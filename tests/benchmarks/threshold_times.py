"""Processor milliseconds of joint thresholds: the search, and whole fits and predictions.

    python tests/benchmarks/threshold_times.py

One attribute of two groups, and four of 4, 2, 5 and 7 groups, the sizes of Adult's; S read, and
inferred where only chances of groups are known. The classifier costs nothing: it knows its
probabilities. Best of three.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

import pyfairme as pf
from pyfairme.postprocessing.joint_rule import Members, joint_rule
from pyfairme.postprocessing.limit_support import Limit

SIZES = {"one attribute": (2,), "four attributes": (4, 2, 5, 7)}
ROWS = (10_000, 100_000)


class Known:
    """A fitted classifier of known probabilities."""

    def __init__(self) -> None:
        self.classes_ = np.array([0, 1])

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Return the column p and what it lacks to 1."""
        p = X["p"].to_numpy()
        return np.stack([1 - p, p], axis=1)


def table(n: int, sizes: tuple[int, ...]) -> pd.DataFrame:
    """Return probabilities that differ between groups, the first of which is the largest."""
    rng = np.random.default_rng(0)
    columns = {
        f"a{j}": rng.choice(k, n, p=np.r_[0.6, np.full(k - 1, 0.4 / (k - 1))])
        for j, k in enumerate(sizes)
    }
    shift = sum(0.4 * codes / len(sizes) for codes in columns.values())
    p = expit(-1 + shift + 1.5 * rng.normal(size=n))
    return pd.DataFrame({"p": p, **columns})


def best(call: Callable[[], Any]) -> float:
    """Return the least processor milliseconds of three calls."""
    found = []
    for _ in range(3):
        start = time.process_time()
        call()
        found.append(time.process_time() - start)
    return 1e3 * min(found)


def main() -> None:
    """Print a table in Markdown."""
    warnings.simplefilter("ignore")
    print("| rows | attributes | limits | search, S read | search, S inferred | fit | predict |")
    print("|---|---|---|---|---|---|---|")
    for n in ROWS:
        for name, sizes in SIZES.items():
            X = table(n, sizes)
            p = X["p"].to_numpy()
            read = {
                a: Members.of(X[a].to_numpy(), k) for a, k in zip(X.columns[1:], sizes, strict=True)
            }
            rng = np.random.default_rng(1)
            inferred = {}
            for a, members in read.items():
                chance = 0.7 * members.positive + rng.random(members.positive.shape)
                chance /= chance.sum(1, keepdims=True)
                inferred[a] = Members(chance, chance.copy())
            for bound in (0.02, 0.0):
                limits = tuple(Limit(a, rate, bound) for a in read for rate in ("tpr", "fpr"))
                search = [
                    best(lambda m=m, of=limits, p=p: joint_rule(p, m, of, "balanced_accuracy"))
                    for m in (read, inferred)
                ]
                policy = pf.JointThresholds(Known(), dict.fromkeys(read, bound))
                fit = best(lambda of=policy, rows=X: of.fit(rows))
                predict = best(lambda of=policy, rows=X: of.predict(rows))
                times = " | ".join(f"{one:.0f}" for one in (*search, fit, predict))
                print(f"| {n:,} | {name} | {bound:g} | {times} |", flush=True)


if __name__ == "__main__":
    main()
