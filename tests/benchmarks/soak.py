"""Memory over many fits of changing shapes: `python tests/benchmarks/soak.py [fits] [limit]`.

Every fit has another number of rows and clusters, so that nothing compiled serves twice, but every
tenth, which has the first one's shape again, as a nightly refit would. Every fourth has all
defaults, the others compile less (guide="mean_field", no inferred clusters). Each fit also
predicts. `limit` is the number of compiled programs that are kept at first ("none": all, whatever
they hold).
Prints the resident memory after the first fit and as it grows.
"""

import gc
import os
import sys
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd

import pyfairme as pf
from pyfairme import compilation


def resident() -> float:
    """Return this process's resident memory in MB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def fit(number: int) -> None:
    """Fit and predict a table that has a shape of its own."""
    rng = np.random.default_rng(number)
    rows, columns = 150 + number, 1 + number % 4
    X = pd.DataFrame({f"x{i}": rng.normal(size=rows) for i in range(columns)})
    X["cluster"], X["group"] = rng.integers(5 + number, size=rows), rng.integers(2, size=rows)
    y = (rng.random(rows) < 0.5).astype(int)
    less: dict[str, Any] = {"guide": "mean_field", "unseen": "population"} if number % 4 else {}
    model = pf.FairMixedEffectsClassifier(
        "cluster", sensitive=["group"], fairness=None, hidden=(), min_steps=5, epochs=1, **less
    )
    model.fit(X, y).predict_proba(X)


def main() -> None:
    """Fit, and print the memory as it grows."""
    warnings.simplefilter("ignore", pf.PosteriorWarning)  # ten rows in a cluster: said every time
    fits = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    if len(sys.argv) > 2:
        compilation.HELD.limit = 10**9 if sys.argv[2] == "none" else int(sys.argv[2])
    fit(0)
    first, most, start = resident(), 0.0, time.perf_counter()
    for number in range(1, fits + 1):
        fit(0 if number % 10 == 0 else number)
        most = max(most, resident())
        if number % 10 == 0 or number in (1, 2, 4, 8, 16):
            gc.collect()
            seconds, grown = time.perf_counter() - start, resident() - first
            print(f"{number:4} fits {seconds:6.0f} s: {grown:+6.0f} MB", flush=True)
    print(f"after the first fit {first:.0f} MB, at most {most - first:+.0f} MB")
    pf.clear_caches()
    print(f"after clear_caches {resident() - first:+.0f} MB")


if __name__ == "__main__":
    main()
