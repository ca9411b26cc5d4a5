"""How often `compare` calls two models different that do not differ.

    python tests/benchmarks/null_pvalues.py swapped --data-sets 1000 --jobs 2
    python tests/benchmarks/null_pvalues.py seeds --data-sets 200 --jobs 2

``swapped``, for the paired bootstrap: two models of different quality judge rows of 6 or 40
clusters, and in each row a coin decides which prediction is called whose. Then neither is better,
for any metric.

``seeds``, for the corrected resampled t-test: one model is fitted twice to every fold, from
different seeds, so that nothing but training noise is between them.

Printed per setting: the share of p-values below .05 and .01 over all metrics, and of every metric,
with its Monte-Carlo error. Finished data sets are kept in --store.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.model_selection import StratifiedKFold

import pyfairme as pf
from pyfairme.estimators.fairness_report import EvaluatedRows, collect, pool
from pyfairme.study import compare
from pyfairme.study.evaluation.pooled_predictions import Pooled

FOLDS = 5
LEVELS = (0.05, 0.01)
TESTS = ("p_bootstrap", "p_nadeau_bengio")
BATCH = 5  # data sets that are written together
KEYS = ["setting", "attribute", "metric"]


@dataclass(frozen=True)
class Study:
    """What `compare` reads of a cross-validation."""

    runs: dict[tuple[str, int], Pooled]
    folds: int = FOLDS
    dataset: str = "simulated"


def tested(study: Study, setting: str, number: int) -> pd.DataFrame:
    """Compare the model "b" with "a" and keep the p-values of the mixed predictions."""
    frame = compare(study, baseline="a", n_boot=200, seed=number).frame
    frame = frame[frame["effects"] == "mixed"].assign(setting=setting, number=number)
    return frame[[*KEYS, "number", "difference", *TESTS]]


# --- rows whose predictions are swapped by a coin -------------------------------------------------


def swapped(number: int, clusters: int, rows: int = 2000) -> pd.DataFrame:
    """Make one data set and two exchangeable models, and test them."""
    rng = np.random.default_rng((number, clusters))
    cluster = rng.integers(0, clusters, rows)
    sex, race = rng.integers(0, 2, rows), rng.random(rows) < 0.05
    shift = rng.normal(0, 0.7, clusters)[cluster]
    link = rng.normal(0, 1.2, rows) + shift + 0.6 * sex - 0.5 * race
    y = (rng.random(rows) < 1 / (1 + np.exp(-link))).astype(int)
    noise = rng.normal(0, 1, (2, rows))
    good, poor = link + 0.4 * noise[0] + 0.4 * sex, 0.5 * link + 1.2 * noise[1] - 0.8 * race
    coin = rng.random(rows) < 0.5
    links = {"a": np.where(coin, good, poor), "b": np.where(coin, poor, good)}
    fold = rng.integers(0, FOLDS, rows)
    runs = {}
    for name, values in links.items():
        p = 1 / (1 + np.exp(-values))
        judged = EvaluatedRows(
            y=y,
            prediction={"mixed": p},
            decision={"mixed": (p > 0.5).astype(int)},
            gap={"mixed": {}},
            log_density={},
            sensitive={
                "sex": np.where(sex, "m", "f").astype(object),
                "race": np.where(race, "few", "many").astype(object),
            },
            cluster=np.array([f"c{code}" for code in cluster], object),
            seen=np.ones(rows, bool),
            classes=(0, 1),
            seed=number,
        )
        runs[name, 0] = Pooled(judged, np.arange(rows), fold)
    return tested(Study(runs), f"swapped, {clusters} clusters", number)


# --- one model, two seeds -------------------------------------------------------------------------


def seeds(number: int, rows: int = 600) -> pd.DataFrame:
    """Fit one model from two seeds to every fold of one data set, and test them."""
    data = pf.datasets.make_clustered(
        rows=rows, clusters=6, sensitive_levels=(2,), random_state=number
    )
    X, y = data.frame.reset_index(drop=True), np.asarray(data.target)
    parts: dict[str, list[Any]] = {"a": [], "b": []}
    order, folds = [], []
    split = StratifiedKFold(FOLDS, shuffle=True, random_state=number).split(X, y)
    for fold, (train, test) in enumerate(split):
        for position, name in enumerate(parts):
            model = pf.FairMixedEffectsClassifier(
                "cluster",
                data.schema.sensitive,
                hidden=(8,),
                min_steps=300,
                epochs=1,
                validation_fraction=0,
                guide="mean_field",
                progress=False,
                random_state=10_000 * position + 10 * number + fold,
            )
            model.fit(X.iloc[train], y[train])
            parts[name].append(collect(model, X.iloc[test], y[test]))
        order.append(test)
        folds.append(np.full(len(test), fold))
    row = np.concatenate(order)
    at = np.argsort(row)
    runs = {}
    for name, some in parts.items():
        runs[name, 0] = Pooled(sorted_rows(pool(some), at), row[at], np.concatenate(folds)[at])
    return tested(Study(runs), "two seeds", number)


def sorted_rows(judged: EvaluatedRows, at: np.ndarray) -> EvaluatedRows:
    """Put judged rows into the order of the data set."""

    def pick(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: pick(inner) for key, inner in value.items()}
        return value[at] if isinstance(value, np.ndarray) else value

    return EvaluatedRows(**{name: pick(getattr(judged, name)) for name in vars(judged)})


# --- the study ------------------------------------------------------------------------------------


def shares(found: pd.DataFrame) -> str:
    """Lay out the share of p-values below each level, by setting and metric, as Markdown."""
    lines = ["| setting | attribute | metric | test | data sets | p < .05 | p < .01 |"]
    lines.append("|---|---|---|---|---|---|---|")
    groups = [((name, "all", "all metrics"), some) for name, some in found.groupby("setting")]
    groups += list(found.groupby(KEYS, sort=False))
    for (setting, attribute, metric), some in groups:
        for test in TESTS:
            p = some[test].dropna()
            if not len(p):
                continue
            sets = some.loc[p.index, "number"].nunique()
            cells = []
            for level in LEVELS:
                share = (p < level).mean()
                error = np.sqrt(level * (1 - level) / sets)
                cells.append(f"{share:.3f} (± {error:.3f})")
            label = test.removeprefix("p_").replace("_", "-")
            lines.append(f"| {setting} | {attribute} | {metric} | {label} | {sets} | "
                         f"{cells[0]} | {cells[1]} |")  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    """Simulate what is missing in the store, and print the shares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["swapped", "seeds"])
    parser.add_argument("--data-sets", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--store", type=Path, default=Path("runs/null_pvalues"))
    asked = parser.parse_args()
    asked.store.mkdir(parents=True, exist_ok=True)
    settings = [6, 40] if asked.kind == "swapped" else [0]
    tasks = [(setting, start) for setting in settings for start in range(0, asked.data_sets, BATCH)]

    def one(setting: int, start: int) -> pd.DataFrame:
        file = asked.store / f"{asked.kind}-{setting}-{start}.csv"
        if not file.exists():
            numbers = range(start, start + BATCH)
            found = [swapped(n, setting) if setting else seeds(n) for n in numbers]
            part = file.with_suffix(".part")
            pd.concat(found).to_csv(part, index=False)
            part.rename(file)
        return pd.read_csv(file)

    print(shares(pd.concat(Parallel(asked.jobs, verbose=1)(delayed(one)(*t) for t in tasks))))


if __name__ == "__main__":
    main()
