"""Penalties in the protocol of FairICP (Lai & Guan, arXiv 2404.05678) on Adult.

    python tests/benchmarks/fairicp_protocol.py --splits 0 1 2 --store runs/fairicp
    python tests/benchmarks/fairicp_protocol.py --show --store runs/fairicp

Protocol, by its public scripts: both files of Adult without rows that lack a value (45,222), random
60 % for training and 40 % for judging, sex and race (white or not) protected together and no
covariates, marital status in two values. Judged are the error rate at .5, the kernel partial
correlation (KPC) of the probability and A given y, a test of it (100 permutations of A given y),
and DEO, the sum over outcomes and the four groups of |P(decision | y, a) - P(decision | y)|.
FairICP's network has one layer of 64 units, 20 epochs, weights mu of 0 to .9; "codes" gives it
labels as standardised numbers, as there, "columns" a column each, which pyfairme has as well.
pyfairme protects sex and race by two adversaries (the default), or their intersection as one
attribute. The survey's weight is left out throughout.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

import pyfairme as pf
from tests.benchmarks.inverse_permutation import fit, partial_correlation, permuted, probability
from tests.benchmarks.linearpost_protocol import load_adult

MUS = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9)
WEIGHTS = (0.0, 0.1, 0.3, 1.0, 3.0)
PERMUTATIONS = 100
TRAINING = 0.6


def load() -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return covariates, outcomes (n,), and A (n, 2): female, white."""
    of = load_adult()
    labels = of.X.select_dtypes("category").columns
    X = of.X.astype(dict.fromkeys(labels, str))
    known = ~(X == "?").any(axis=1).to_numpy()
    X = X[known].reset_index(drop=True)
    married = X["marital_status"].str.startswith("Married")
    X["marital_status"] = np.where(married, "married", "not married")
    sex, race = X.pop("sex"), X.pop("race")
    a = np.column_stack([sex == "Female", race == "White"]).astype(float)
    return X, of.y[known], a


def inputs(X: pd.DataFrame, kind: str, train: np.ndarray) -> np.ndarray:
    """Return standardised codes of labels, or standardised columns of 0 and 1, (n, p)."""
    if kind == "codes":
        numbers = set(X.select_dtypes("number").columns)
        table = X.apply(lambda c: c if c.name in numbers else c.astype("category").cat.codes)
    else:
        table = pd.get_dummies(X)
    x = table.to_numpy(float)
    centre, spread = x[train].mean(axis=0), x[train].std(axis=0)
    return (x - centre) / np.where(spread > 0, spread, 1.0)


def judged(
    p: np.ndarray, y: np.ndarray, a: np.ndarray, others: list[np.ndarray], seed: int
) -> dict[str, float]:
    """Return error, KPC, the p-value of its test, and DEO; of rows (n,) that trained nothing.

    ``others`` are permutations of A given y.
    """
    rng = np.random.default_rng([seed, 5])
    found = partial_correlation(p, y, a, rng)
    by_chance = [partial_correlation(p, y, other, rng) for other in others]
    decision, apart = p > 0.5, 0.0
    _, cell = np.unique(a, axis=0, return_inverse=True)
    for value in (0, 1):
        rows = y == value
        for one in range(int(cell.max()) + 1):
            group = rows & (cell.ravel() == one)
            apart += abs(decision[group].mean() - decision[rows].mean())
    return {
        "error": float(np.mean(decision != (y == 1))),
        "kpc": found,
        "p": (1 + np.sum(np.array(by_chance) >= found)) / (len(others) + 1),
        "deo": float(apart),
    }


def methods(
    X: pd.DataFrame, y: np.ndarray, a: np.ndarray, parts: list[np.ndarray], seed: int
) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield method, setting and probabilities of the rows to judge."""
    train, test = parts
    for kind in ("codes", "columns"):
        x = inputs(X, kind, train)
        for mu in MUS:
            network = fit(x[train], y[train], a[train], mu, seed)
            yield f"FairICP, {kind}", f"mu {mu:g}", probability(network, x[test])
    sex = np.where(a[:, 0] == 1, "female", "male")
    race = np.where(a[:, 1] == 1, "white", "other")
    tables = {
        "apart": X.assign(sex=sex, race=race),
        "together": X.assign(
            group=[f"{one} {other}" for one, other in zip(sex, race, strict=True)]
        ),
    }
    for name, frame in tables.items():
        sensitive = ["group"] if name == "together" else ["sex", "race"]
        for weight in WEIGHTS:
            model = pf.FairMixedEffectsClassifier(
                None, sensitive, drop_sensitive=True, fairness_weight=weight,
                random_state=seed, progress=False,
            )  # fmt: skip
            model.fit(frame.iloc[train], y[train])
            p = model.predict_proba(frame.iloc[test])[:, 1]
            yield f"pyfairme, {name}", f"weight {weight:g}", np.asarray(p, float)


def run(seed: int, folder: Path) -> None:
    """Judge one split, and store it."""
    X, y, a = load()
    order = np.random.default_rng([2404, seed]).permutation(len(y))
    parts = np.split(order, [int(TRAINING * len(y))])
    y_test, a_test = y[parts[1]], a[parts[1]]
    rng = np.random.default_rng([seed, 7])
    others = [permuted(y_test, a_test, rng) for _ in range(PERMUTATIONS)]
    lines = []
    start = time.perf_counter()
    for method, setting, p in methods(X, y, a, list(parts), seed):
        took = time.perf_counter() - start
        line = judged(p, y_test, a_test, others, seed)
        lines.append({"split": seed, "method": method, "setting": setting, **line, "s": took})
        print(*(f"{v:.4f}" if isinstance(v, float) else v for v in lines[-1].values()), flush=True)
        start = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(lines).to_csv(folder / f"{seed}.csv", index=False)


def show(folder: Path) -> None:
    """Print means and standard deviations over splits, and how often the test rejects."""
    found = pd.concat([pd.read_csv(path) for path in sorted(folder.glob("*.csv"))])
    found["rejected"] = (found.pop("p") < 0.05).astype(float)
    grouped = found.drop(columns="split").groupby(["method", "setting"], sort=False)
    print(f"{found['split'].nunique()} splits")
    mean, sd = grouped.mean(), grouped.std()
    print((mean.map("{:.4f}".format) + " " + sd.map("({:.4f})".format)).to_string())


def main() -> None:
    """Run splits, or print what is stored."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--splits", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--store", type=Path, default=Path("runs/fairicp"))
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    if options.show:
        show(options.store)
        return
    for seed in options.splits:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run(seed, options.store)


if __name__ == "__main__":
    main()
