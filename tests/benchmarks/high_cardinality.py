"""Random effects beside a network on the published folds of `wages` (Sigrist, arXiv 2307.02071).

    PYFAIRME_DATA=<data> python tests/benchmarks/high_cardinality.py \\
        [--slopes --correlated --posterior laplace]

GPBoost's published errors are of a model with random slopes of t and t^2 for every woman beside her
intercept (the authors' run_experiments.R), independent of each other: ``--slopes`` fits that, and
``--correlated`` estimates their correlations too. The peers' errors stand beside.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import pyfairme as pf

PEERS = ("gpboost", "catboost", "linear")


def read(folder: Path, fold: int, slopes: bool) -> tuple[pd.DataFrame, pd.Series, np.ndarray]:
    """Return covariates, target, and which rows are for training."""
    table = pd.read_csv(folder / "wages.csv.gz")
    with gzip.open(folder / "wages.folds.json.gz", "rt") as stream:
        inside = np.asarray(json.load(stream)[fold]) - 1  # rows are counted from 1
    X = table.drop(columns=["ln_wage", "t"])
    if slopes:
        X = X.assign(t=table["t"], t2=table["t"] ** 2 / 30)
    X["idcode"] = X["idcode"].astype(str)
    return X, table["ln_wage"], np.isin(np.arange(len(table)), inside)


def judged(folder: Path, fold: int, slopes: bool, keywords: dict[str, Any]) -> dict[str, float]:
    """Return test error, scales and processor seconds of one fold, and the peers' errors."""
    X, y, inside = read(folder, fold, slopes)
    model = pf.FairMixedEffectsRegressor(
        "idcode", random_slopes=["t", "t2"] if slopes else None, fairness=None,
        unseen="population", progress=False, random_state=0, **keywords,
    )  # fmt: skip
    begin = time.process_time()
    model.fit(X[inside], y[inside])
    found = {"fold": fold, "seconds": time.process_time() - begin}
    found["mse"] = float(np.mean((model.predict(X[~inside]) - y[~inside]) ** 2))
    scales = model.variance_components_
    intercepts = scales.query("factor == 'idcode' and term == 'Intercept'")
    found["intercept_sd"] = float(intercepts["mean"].iloc[0])
    found["residual_sd"] = float(scales.query("factor == 'residual'")["mean"].iloc[0])
    for peer in PEERS:
        errors = pd.read_csv(folder / "results" / f"res_wages_{peer}.csv")["error"]
        found[peer] = float(errors.iloc[fold])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="The folds of wages beside published errors.")
    parser.add_argument("--data", type=Path, default=os.environ.get("PYFAIRME_DATA", "data"))
    parser.add_argument("--folds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--slopes", action="store_true", help="random slopes of t and t^2")
    parser.add_argument("--correlated", action="store_true", help="a woman's effects correlate")
    parser.add_argument("--posterior", default="none", help="network_posterior")
    parser.add_argument("--steps", type=int, default=2000, help="min_steps")
    parser.add_argument("--ensemble", type=int, default=1, help="networks of the mixture")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    keywords = {"network_posterior": options.posterior, "min_steps": options.steps}
    keywords |= {"ensemble": options.ensemble, "correlated": options.correlated}
    if options.posterior == "none":
        keywords["guide"] = "block"
    lines = []
    for fold in options.folds:
        folder = Path(options.data) / "high_cardinality"
        lines.append(judged(folder, fold, options.slopes, keywords))
        print(lines[-1], flush=True)
    print(pd.DataFrame(lines).mean().round(4).to_string())


if __name__ == "__main__":
    main()
