"""Fairness over a number, age: as `Continuous`, in brackets, and with ages missing.

    python tests/benchmarks/continuous_sensitive.py [made-up] [adult] [--weights 0 0.3 1 3]

"made-up" has a known truth: outcomes depend on age by a sine and a slope, 6,000 rows in 12 clusters
to fit and 20,000 to judge by. "adult" takes 70 % of Adult's rows, with occupations as clusters. For
both: AUROC, balanced accuracy, and how far true and false positive rates, and mean probabilities
within outcome classes, differ over ten groups of age of equal size (their SD; the same number for
shuffled ages is what chance makes). Ages of 30 % of the training rows are then taken away at random
("missing"); judging knows all ages. Means over --seeds splits.
"""

from __future__ import annotations

import argparse
import warnings
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

import pyfairme as pf

GROUPS = 10
LOST = 0.3
AGE = "age"


class Rows(NamedTuple):
    """A table and its outcomes."""

    frame: pd.DataFrame
    y: np.ndarray


class Problem(NamedTuple):
    """Rows to fit on and to judge by, the cluster's column, and brackets of age."""

    train: Rows
    judge: Rows
    cluster: str
    brackets: tuple[float, ...]


def made_up(seed: int) -> Problem:
    """Draw rows whose log odds have a sine of age and a covariate that leans on age."""
    effects = np.random.default_rng(100 + seed).normal(0, 0.7, 12)

    def draw(rows: int, generator: np.random.Generator) -> Rows:
        age, code = generator.uniform(20, 70, rows), generator.integers(0, 12, rows)
        score = generator.normal(size=rows) + 0.03 * (age - 45)
        other = generator.normal(size=rows)
        wave = 0.9 * np.sin((age - 20) / 50 * 2 * np.pi)
        log_odds = -1 + score + 0.5 * other + wave + 0.02 * (age - 45) + effects[code]
        y = (generator.uniform(size=rows) < 1 / (1 + np.exp(-log_odds))).astype(int)
        cluster = [f"g{one}" for one in code]
        return Rows(pd.DataFrame({AGE: age, "score": score, "other": other, "g": cluster}), y)

    return Problem(
        draw(6000, np.random.default_rng(10 + seed)),
        draw(20_000, np.random.default_rng(20 + seed)),
        "g",
        (30, 45),
    )


def adult(seed: int) -> Problem:
    """Split Adult's rows."""
    data = pf.datasets.load_adult()
    y = (data.target == sorted(data.target.unique())[-1]).to_numpy().astype(int)
    mixed = np.random.default_rng(seed).permutation(len(y))
    first, second = np.split(mixed, [int(0.7 * len(y))])
    parts = [Rows(data.frame.iloc[at].reset_index(drop=True), y[at]) for at in (first, second)]
    return Problem(*parts, "occupation", (30, 45))


def spread(values: np.ndarray, age: np.ndarray, rows: np.ndarray) -> float:
    """Return the SD over groups of age of the mean of values, on some rows."""
    edges = np.quantile(age, np.arange(1, GROUPS) / GROUPS)
    group = np.searchsorted(edges, age[rows], side="left")
    sums = np.bincount(group, values[rows], GROUPS) / np.maximum(
        np.bincount(group, None, GROUPS), 1
    )
    return float(np.std(sums))


def judged(model: Any, rows: Rows, generator: np.random.Generator) -> dict[str, float]:
    """Return the figures of one fit."""
    p, decision = model.predict_proba(rows.frame)[:, 1], model.predict(rows.frame)
    age = rows.frame[AGE].to_numpy(float)
    found = {
        "AUROC": roc_auc_score(rows.y, p),
        "balanced accuracy": balanced_accuracy_score(rows.y, decision),
    }
    shuffled = generator.permutation(age)
    for name, outcome in (("TPR SD", 1), ("FPR SD", 0)):
        found[name] = spread(decision.astype(float), age, rows.y == outcome)
        found[f"{name} by chance"] = spread(decision.astype(float), shuffled, rows.y == outcome)
    each = [spread(p, age, rows.y == outcome) for outcome in (0, 1)]
    return found | {"mean probability SD": float(np.mean(each))}


def with_lost(rows: Rows, generator: np.random.Generator) -> Rows:
    """Take the age of some rows away."""
    lost = generator.uniform(size=len(rows.y)) < LOST
    return rows._replace(frame=rows.frame.assign(**{AGE: rows.frame[AGE].where(~lost)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("tables", nargs="*", default=["made-up", "adult"])
    parser.add_argument("--weights", type=float, nargs="+", default=[0, 0.3, 1, 3])
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for table in options.tables:
        for weight in options.weights:
            for name in ("Continuous", "Binned", "Continuous, missing"):
                if weight == 0 and name != "Continuous":
                    continue
                lines = []
                for seed in range(options.seeds):
                    problem = {"made-up": made_up, "adult": adult}[table](seed)
                    generator = np.random.default_rng(seed)
                    lost = name.endswith("missing")
                    train = with_lost(problem.train, generator) if lost else problem.train
                    attribute: Any = pf.Continuous(AGE)
                    if name == "Binned":
                        attribute = pf.Binned(AGE, problem.brackets)
                    model = pf.FairMixedEffectsClassifier(
                        problem.cluster,
                        [attribute],
                        fairness_weight=weight,
                        threshold="balanced_accuracy",
                        random_state=seed,
                        progress=False,
                    ).fit(train.frame, train.y)
                    lines.append(judged(model, problem.judge, generator))
                mean = pd.DataFrame(lines).mean().round(3)
                print(table, weight, name, mean.to_dict(), flush=True)


if __name__ == "__main__":
    main()
