"""Fits, updates and predictions in threads: which differ from those made one after the other?

    python tests/benchmarks/faults_threads.py [--rounds 5]

Everything is done once, call by call. Then, in each round, JAX forgets its compiled functions, and
threads, which change places a hundred times as often as usual, make the same calls at once.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
import pandas as pd

import pyfairme as pf

THREADS = 6
KINDS: list[dict[str, Any]] = [
    {"hidden": ()},
    {"hidden": (3,), "random_slopes": ["x1"]},
    {"hidden": (), "guide": "low_rank", "random_slopes": ["x1"]},
    {"hidden": (4,), "guide": "full_rank", "network_posterior": "last_layer"},
]


def rows() -> tuple[pd.DataFrame, pd.Series]:
    made = pf.datasets.make_clustered(
        rows=300, clusters=6, covariates=3, random_state=1, sensitive_levels=(2,)
    )
    return made.frame, made.target


X, Y = rows()
NEW = (X["cluster"] == X["cluster"].iloc[0]).to_numpy()


def fitted(kind: dict[str, Any]) -> pf.FairMixedEffectsClassifier:
    shared: dict[str, Any] = {"epochs": 1, "min_steps": 20, "random_state": 0, "progress": False}
    model = pf.FairMixedEffectsClassifier(
        "cluster", ["group1"], **{"guide": "mean_field", "fairness": "moment", **shared, **kind}
    )
    return model.fit(X[~NEW], Y[~NEW])


def calls(models: list[Any]) -> dict[str, list[Callable[[], Any]]]:
    """Return the calls of each sort, most of them of models that all threads share."""
    policy = pf.GroupThresholds(models[0], "group1").fit(X, Y)
    return {
        "fit": [lambda kind=kind: fitted(kind).predict_proba(X) for kind in KINDS],
        "adapt": [lambda m=m: m.adapt(X[NEW], Y[NEW]).predict_proba(X) for m in models],
        "refine": [
            lambda m=m: m.refine(10, 1, warmup=5, progress=False).predict_proba(X) for m in models
        ],
        "draws from the prior": [
            lambda m=m: m.to_arviz(prior_draws=4).prior.to_array().to_numpy() for m in models
        ],
        "predict_proba": [lambda m=m: m.predict_proba(X) for m in models] * 4,
        "predict_interval": [lambda m=m: m.predict_interval(X).to_numpy() for m in models] * 2,
        "fairness_report": [
            lambda m=m: m.fairness_report(X, Y, n_boot=4)["value"].to_numpy() for m in models
        ],
        "GroupThresholds": [lambda: policy.predict(X)] * 4,
    }


def same(found: Any, expected: Any) -> bool:
    return np.array_equal(np.asarray(found), np.asarray(expected), equal_nan=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    warnings.simplefilter("ignore")
    models = [fitted(kind) for kind in KINDS]
    todo = [(sort, call) for sort, of in calls(models).items() for call in of]
    alone = [call() for _, call in todo]
    right, wrong = Counter(), Counter()
    sys.setswitchinterval(5e-5)
    for number in range(rounds):
        jax.clear_caches()
        order = np.random.default_rng(number).permutation(len(todo))
        started = time.monotonic()
        with ThreadPoolExecutor(THREADS) as pool:
            futures = {place: pool.submit(todo[place][1]) for place in order}
        for place, future in futures.items():
            error = future.exception()
            good = error is None and same(future.result(), alone[place])
            (right if good else wrong)[todo[place][0]] += 1
            if error is not None:
                print(todo[place][0], repr(error)[:200])
        print(f"round {number}: {time.monotonic() - started:.0f} s, {dict(wrong)}", flush=True)
    for sort in dict.fromkeys(sort for sort, _ in todo):
        print(f"| {sort} | {right[sort] + wrong[sort]} | {wrong[sort]} |")


if __name__ == "__main__":
    main()
