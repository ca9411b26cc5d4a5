"""Processor seconds of the large answers: fairness reports, posterior, effects, intervals.

``python tests/benchmarks/report_time.py [REPEATS]``: Adult's 23,004 rows of the six most frequent
occupations, for a classifier, a regressor and counts of hours per week; then 100,000 rows, the same
ones over and over. The first call compiles; of the others (five unless said otherwise) the quickest
counts. One thread unless OMP_NUM_THREADS says otherwise.
"""

import os
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import numpy as np
import pandas as pd

import pyfairme as pf

MANY = 100_000
HOURS = "hours_per_week"


def seconds(call: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Return processor seconds of the first call, and of the quickest of the others."""
    found = []
    for _ in range(1 + repeats):
        start = time.process_time()
        call()
        found.append(time.process_time() - start)
    return found[0], min(found[1:])


def answers() -> dict[str, Callable[[], Any]]:
    """Fit the models, and return what is asked of them."""
    adult = pf.datasets.load_adult()
    people = adult.frame.drop(columns=["fnlwgt", "native_country"])
    common = people["occupation"].isin(people["occupation"].value_counts().index[:6])
    X, y = people[common].reset_index(drop=True), adult.target[common].reset_index(drop=True)
    rest, hours = X.drop(columns=HOURS), X[HOURS].astype(float)
    days = (hours / 10).round().astype(int)
    weight = np.random.default_rng(0).uniform(0.5, 2, len(X))
    roles: Any = {"cluster": "occupation", "random_state": 0}
    roles["sensitive"] = ["sex", pf.Binned("age", (30, 45), name="age_bracket")]
    clf = pf.FairMixedEffectsClassifier(**roles, threshold="balanced_accuracy").fit(X, y)
    reg = pf.FairMixedEffectsRegressor(**roles).fit(rest, hours)
    counts = pf.FairMixedEffectsRegressor(**roles, likelihood="poisson").fit(rest, days)
    both = {"attributes": [("sex", "race")]}
    many = pd.concat([X] * (MANY // len(X) + 1), ignore_index=True)[:MANY]
    no_hours = many.drop(columns=HOURS)
    return {
        "report, classes": lambda: clf.fairness_report(X, y),
        "report, classes, sex x race": lambda: clf.fairness_report(X, y, **both),
        "report, classes, weights": lambda: clf.fairness_report(X, y, sample_weight=weight),
        "report, real": lambda: reg.fairness_report(rest, hours),
        "report, real, sex x race": lambda: reg.fairness_report(rest, hours, **both),
        "report, real, weights": lambda: reg.fairness_report(rest, hours, sample_weight=weight),
        "report, counts": lambda: counts.fairness_report(rest, days),
        "posterior_": lambda: clf.posterior_,
        "cluster_effects_": lambda: clf.cluster_effects_,
        "predict_interval, classes, 100,000 rows": lambda: clf.predict_interval(many),
        "predict_interval, real, 100,000 rows": lambda: reg.predict_interval(many),
        "outcomes, real, 100,000 rows": lambda: reg.predict_interval(many, kind="observation"),
        "outcomes, counts, 100,000 rows": lambda: counts.predict_interval(
            no_hours, kind="observation"
        ),
        "predict, classes, 100,000 rows": lambda: clf.predict(many),
    }


def main() -> None:
    warnings.simplefilter("ignore")
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(f"{'processor seconds':<42}{'first':>8}{'best':>8}")
    for name, call in answers().items():
        first, best = seconds(call, repeats)
        print(f"{name:<42}{first:8.2f}{best:8.2f}", flush=True)


if __name__ == "__main__":
    main()
