"""Whether 90 % intervals under a penalty hold what the same penalised model says of very many rows.

    python tests/benchmarks/penalised_coverage.py [--replicates 4] [--reference 200000] [--repeat]

A fair model is not to predict the true mean, so its intervals are held against the predictions of
the same penalised model (penalty, network and truth) fitted to --reference rows. Bernoulli, Normal
and Poisson data of `make_clustered` in ten clusters, a truth of its own for each data set; `group1`
is protected. New rows of known clusters, overall and by protected group. Every fit is stored under
--store as it ends, so a second call goes on where the first one stopped. "truth" is how often the
true mean was held, "repeat" the root mean square between two references (``--repeat``) as a share
of the intervals' mean width.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit

import pyfairme as pf

CLUSTERS, TEST, LEVEL = 10, 4000, 0.9
EPOCHS = 10  # of the reference: 7,000 steps of 200,000 rows
MEANS = {"bernoulli": expit, "normal": lambda link: link, "poisson": np.exp}


class Cell(NamedTuple):
    """One data set."""

    likelihood: str
    rows: int
    weight: float
    reference: int
    replicate: int


def fitted(cell: Cell, data: pf.datasets.Dataset, rows: np.ndarray, **keywords: Any) -> Any:
    """Return the penalised model of some rows."""
    shared: dict[str, Any] = {
        "sensitive": ["group1"], "random_slopes": ["x1"], "fairness_weight": cell.weight,
        "progress": False, **keywords,
    }  # fmt: skip
    if cell.likelihood == "bernoulli":
        model: Any = pf.FairMixedEffectsClassifier("cluster", **shared)
    else:
        model = pf.FairMixedEffectsRegressor("cluster", likelihood=cell.likelihood, **shared)
    return model.fit(data.frame.iloc[rows], data.target.iloc[rows])


def run(cell: Cell, repeat: bool) -> dict[str, Any]:
    """Fit one data set and its reference, and compare; fit another reference too if ``repeat``."""
    seed = np.random.default_rng([cell.replicate, cell.rows, CLUSTERS])
    every = TEST + cell.rows + cell.reference
    data = pf.datasets.make_clustered(
        every, CLUSTERS, likelihood=cell.likelihood, random_state=seed
    )
    test, few, many = np.split(np.arange(every), [TEST, TEST + cell.rows])
    X = data.frame.iloc[test]

    def reference(seed: int) -> np.ndarray:
        point = {"network_posterior": "none", "epochs": EPOCHS, "random_state": seed}
        model = fitted(cell, data, many, **point)
        return model.predict_interval(X, LEVEL, "cluster")["mean"].to_numpy()

    begin = time.process_time()
    goal = reference(cell.replicate)
    middle = time.process_time()
    model = fitted(cell, data, few, random_state=cell.replicate)
    found = model.predict_interval(X, LEVEL, "mean")
    end = time.process_time()
    low, high = found["low"].to_numpy(), found["high"].to_numpy()
    true = MEANS[cell.likelihood](data.truth.mixed[test])
    inside = pd.Series((low <= goal) & (goal <= high))
    line = {
        "covered": inside.mean(),
        **inside.groupby(X["group1"].to_numpy()).mean().to_dict(),
        "truth": ((low <= true) & (true <= high)).mean(),
        "width": (high - low).mean(),
        "rmse": np.sqrt(((found["mean"] - goal) ** 2).mean()),
        "processor": end - middle,
        "processor_reference": middle - begin,
    }
    if repeat:
        line["repeat"] = np.sqrt(((reference(cell.replicate + 1) - goal) ** 2).mean())
        line["repeat"] /= line["width"]
    return {name: float(value) for name, value in line.items()}


def stored(cell: Cell, folder: Path, compute: bool, repeat: bool) -> dict[str, Any] | None:
    """Read a data set's figures, or make and store them; None where missing and not to be made."""
    path = folder / f"{'-'.join(map(str, cell))}.json"
    if not path.exists():
        if not compute:
            return None
        found = run(cell, repeat)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps(found))
        unfinished.replace(path)
        print(path.stem, {name: round(value, 3) for name, value in found.items()}, flush=True)
    return {**cell._asdict(), **json.loads(path.read_text())}


def report(table: pd.DataFrame) -> None:
    """Print means over data sets, and the standard errors of coverage and of its gap."""
    groups = ["g0", "g1"]
    table["gap"] = table[groups[1]] - table[groups[0]]
    every = table.groupby(["likelihood", "rows", "weight", "reference"], sort=False)
    found = every.mean().drop(columns="replicate")
    errors = every[["covered", "gap"]].sem().add_suffix("_se")
    print(pd.concat([found, errors, every.size().rename("sets")], axis=1).round(3).T.to_string())


def main() -> None:
    """Fit what is not stored, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--likelihoods", nargs="*", default=list(MEANS))
    parser.add_argument("--rows", nargs="*", type=int, default=[2000])
    parser.add_argument("--weights", nargs="*", type=float, default=[0.3], help="fairness_weight")
    parser.add_argument("--reference", type=int, default=200_000, help="rows of the reference")
    parser.add_argument("--replicates", type=int, default=4)
    parser.add_argument("--repeat", action="store_true", help="two references of the first set")
    parser.add_argument("--store", type=Path, default=Path("runs/penalised_coverage"))
    parser.add_argument("--tables", action="store_true", help="of what is stored, fit nothing")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    table = []
    for replicate, rows, weight, likelihood in product(
        range(options.replicates), options.rows, options.weights, options.likelihoods
    ):
        cell = Cell(likelihood, rows, weight, options.reference, replicate)
        found = stored(cell, options.store, not options.tables, options.repeat and not replicate)
        table += [] if found is None else [found]
    report(pd.DataFrame(table))


if __name__ == "__main__":
    main()
