"""Processor seconds of a warm default fit, beside those of a point network, in one run.

    python tests/benchmarks/default_fit.py [--rows 600 2000 8000] [--clusters 10] [--repeats 3]

The settings alternate; each has been fitted once before, so that nothing compiles. Above 10,000
rows (times outputs) both are the same fit: ``network_posterior="auto"`` is "none" there.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import pandas as pd

import pyfairme as pf

SETTINGS: dict[str, dict[str, Any]] = {"none": {"network_posterior": "none"}, "default": {}}


def seconds(data: pf.datasets.Dataset, likelihood: str, keywords: dict[str, Any]) -> float:
    """Return the processor seconds of one fit."""
    shared = {"random_slopes": ["x1"], "random_state": 0, "progress": False, **keywords}
    if likelihood == "bernoulli":
        model: Any = pf.FairMixedEffectsClassifier("cluster", **shared)
    else:
        model = pf.FairMixedEffectsRegressor("cluster", likelihood=likelihood, **shared)
    begin = time.process_time()
    model.fit(data.frame, data.target)
    return time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[600, 2000, 8000])
    parser.add_argument("--clusters", type=int, default=10)
    parser.add_argument("--likelihoods", nargs="+", default=["bernoulli", "normal", "poisson"])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for rows in options.rows:
        for likelihood in options.likelihoods:
            data = pf.datasets.make_clustered(
                rows, options.clusters, likelihood=likelihood, random_state=0
            )
            lines = [
                {name: seconds(data, likelihood, keywords) for name, keywords in SETTINGS.items()}
                for _ in range(1 + options.repeats)
            ]
            cold, warm = lines[0], pd.DataFrame(lines[1:]).median()
            print(
                f"{rows} rows, {likelihood}: none {warm['none']:.1f} s, default "
                f"{warm['default']:.1f} s, ratio {warm['default'] / warm['none']:.2f} "
                f"(first fits {cold['none']:.1f}, {cold['default']:.1f})",
                flush=True,
            )


if __name__ == "__main__":
    main()
