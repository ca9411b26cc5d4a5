"""InstEval, three crossed factors of 73,421 rows, beside lme4: scales, effects and processor time.

    PYFAIRME_DATA=<data> python tests/benchmarks/insteval.py [--gpboost]

lme4's fit is `reference/insteval_lmer_REML_*`. The second of two equal fits is timed: it compiles
nothing. ``--gpboost`` (needs that package) also times GPBoost's fit of the scales, by conjugate
gradients, its default here, and by Cholesky factors.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import pyfairme as pf

SETTINGS: dict[str, Any] = {
    "hidden": (),
    "fixed_weight": 0,
    "cluster_weight": 0,
    "sensitive": (),
    "validation_fraction": 0,
    "early_stopping": False,
    "unseen": "population",
    "progress": False,
    "random_state": 0,
}


def fit(folder: Path, guide: str) -> tuple[Any, float]:
    """Return the model, and processor seconds of a warm fit."""
    rows = pd.read_csv(folder / "InstEval.csv.gz", dtype=str)
    X, y = rows[["service", "s", "d", "dept"]], rows["y"].astype(float)
    model = pf.FairMixedEffectsRegressor(["s", "d", "dept"], guide=guide, **SETTINGS)
    model.fit(X, y)
    begin = time.process_time()
    model.fit(X, y)
    return model, time.process_time() - begin


def scales(model: Any, folder: Path) -> pd.DataFrame:
    """Return our posterior means and intervals of the scales beside lme4's estimates."""
    theirs = pd.read_csv(folder / "reference" / "insteval_lmer_REML_varcorr.csv")
    theirs["factor"] = theirs["grp"].replace("Residual", "residual")
    both = model.variance_components_.merge(theirs, on="factor")
    return both[["factor", "mean", "low", "high", "sdcor"]]


def effects(model: Any, folder: Path) -> pd.DataFrame:
    """Return the correlation of effects with BLUPs, and the mean ratio of SDs, by factor."""
    theirs = pd.read_csv(
        folder / "reference" / "insteval_lmer_REML_ranef.csv", dtype={"grp": str}
    ).rename(columns={"grpvar": "factor", "grp": "cluster"})
    both = model.cluster_effects_.merge(theirs, on=["factor", "cluster"])
    if len(both) != len(theirs):
        raise ValueError(f"Expected {len(theirs)} effects of lme4 in the fit, found {len(both)}.")
    lines = [
        {
            "factor": factor,
            "clusters": len(own),
            "correlation": own["mean"].corr(own["condval"]),
            "SD / condsd": (own["sd"] / own["condsd"]).mean(),
        }
        for factor, own in both.groupby("factor")
    ]
    return pd.DataFrame(lines)


def gpboost_fits(folder: Path) -> pd.DataFrame:
    """Return GPBoost's scales and processor seconds, by how it inverts matrices."""
    import gpboost as gpb  # type: ignore[import-not-found]

    rows = pd.read_csv(folder / "InstEval.csv.gz", dtype=str)
    factors = ["s", "d", "dept"]
    X = np.column_stack([np.ones(len(rows)), rows["service"] == "1"]).astype(float)
    lines = []
    for method in ("iterative", "cholesky"):
        groups = rows[factors].to_numpy()
        model = gpb.GPModel(
            group_data=groups, likelihood="gaussian", matrix_inversion_method=method
        )
        begin = time.process_time()
        model.fit(y=rows["y"].astype(float).to_numpy(), X=X)
        seconds = time.process_time() - begin
        variances = np.ravel(model.get_cov_pars(std_err=False))
        found = dict(zip(["residual", *factors], np.sqrt(variances), strict=True))
        lines.append({"GPBoost": method, "seconds": seconds, **found})
    return pd.DataFrame(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="InstEval beside lme4.")
    parser.add_argument("--data", type=Path, default=os.environ.get("PYFAIRME_DATA", "data"))
    parser.add_argument("--guide", default="auto")
    parser.add_argument("--gpboost", action="store_true", help="its time and scales as well")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    folder = Path(options.data) / "lme4"
    model, seconds = fit(folder, options.guide)
    print(f"guide {model.guide_}, {seconds:.1f} processor seconds")
    for table in (scales(model, folder), effects(model, folder)):
        print(table.to_string(index=False, float_format=lambda v: f"{v:.4f}"))
    worth = model.diagnostics_.query("parameter == 'hyper-parameters'")
    print(worth[["measure", "value"]].to_string(index=False, float_format=lambda v: f"{v:.3f}"))
    if options.gpboost:
        print(gpboost_fits(folder).round(4).to_string(index=False))


if __name__ == "__main__":
    main()
