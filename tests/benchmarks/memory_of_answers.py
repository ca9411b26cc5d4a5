"""Time and peak memory of the large answers: `python tests/benchmarks/memory_of_answers.py`.

Intervals and new outcomes of 100,000 rows with 1,000 draws, and the effects of 100,000 clusters.
Each is asked in a process of its own; the peak is what it adds to the memory before the call.
"""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pandas as pd

import pyfairme as pf

ROWS = 100_000
QUESTIONS = {
    "predict_interval": lambda model, X: model.predict_interval(X),
    "predict_interval, observation": lambda model, X: model.predict_interval(X, kind="observation"),
    "sample_predictive": lambda model, X: model.sample_predictive(X),
    "cluster_effects_": lambda model, X: model.cluster_effects_,
    "posterior_": lambda model, X: model.posterior_,
}


def table(clusters: int, rows: int) -> tuple[pd.DataFrame, pd.Series]:
    """Make a table of two covariates in clusters."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"x": rng.normal(size=rows), "z": rng.normal(size=rows)})
    X["cluster"] = np.arange(rows) % clusters
    return X, pd.Series(rng.random(rows) < 1 / (1 + np.exp(-X["x"]))).astype(int)


def resident() -> float:
    """Return this process's resident memory in MB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak(question: str) -> str:
    """Ask one question and watch this process's memory every few milliseconds."""
    many = question in ("cluster_effects_", "posterior_")
    X, y = table(ROWS if many else 50, 2 * ROWS if many else 2_000)
    model = pf.FairMixedEffectsClassifier(
        "cluster", fairness=None, hidden=(), unseen="population", epochs=1, min_steps=20
    )
    model.fit(X, y)
    asked = X.sample(ROWS, replace=True, random_state=0)
    QUESTIONS[question](model, asked[:2_000])  # compiled, for the figures of the answer itself
    most, done = 0.0, threading.Event()
    before = resident()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.005):
            most = max(most, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    answer = QUESTIONS[question](model, asked)
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    held = resident() - before
    del answer
    grown = f"peak {most - before:+6.0f} MB, {held:+6.0f} MB with the answer"
    return f"{question:30} {seconds:6.1f} s, {grown}"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(peak(sys.argv[1]), flush=True)
    else:
        for question in QUESTIONS:
            subprocess.run([sys.executable, __file__, question], check=True)
