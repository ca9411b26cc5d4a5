"""Whether 90 % intervals of the true mean hold it: the network's own uncertainty on known truths.

    python tests/benchmarks/network_coverage.py [--rows 500 2000] [--replicates 5] [--tables]

Bernoulli, Normal and Poisson data of `make_clustered` (a nonlinear function of five covariates and
two groups, random intercepts and a slope), in 4, 6 or 10 clusters or in 100; new rows of clusters
that training saw, of clusters that `adapt` learned from 30 rows (half of theirs, if they have
fewer), and of clusters never seen. Every
fit is stored under --store as it ends, so a second call goes on where the first one stopped; so
does one that is given the --table of an earlier one.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit

import pyfairme as pf
from pyfairme.metrics import log_loss
from pyfairme.study.crossval.splits import seen_rows

LIKELIHOODS = ("bernoulli", "normal", "poisson")
ROWS, CLUSTERS = (500, 2000, 8000), (4, 6, 10, 100)
TEST, LABELLED, LEVEL, DRAWS = 1000, 30, 0.9, 200
MEANS = {"bernoulli": expit, "normal": lambda link: link, "poisson": np.exp}
SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "none": {"network_posterior": "none"},
    "none, 5": {"network_posterior": "none", "ensemble": 5},
}


class Cell(NamedTuple):
    """One fit."""

    likelihood: str
    rows: int
    clusters: int
    setting: str
    replicate: int


class Tables(NamedTuple):
    """Rows of one data set: to fit, new ones of seen clusters, of new clusters to learn, to try."""

    data: pf.datasets.Dataset
    training: np.ndarray
    seen: np.ndarray
    labelled: np.ndarray
    adapted: np.ndarray


def simulate(cell: Cell) -> Tables:
    """Draw one data set; as many new clusters as a fifth of the old ones, at least four."""
    new = max(4, cell.clusters // 5)
    seed = np.random.default_rng([cell.replicate, cell.rows, cell.clusters])
    rows = int(1.3 * (cell.rows + TEST) * (cell.clusters + new) / cell.clusters) + 100
    data = pf.datasets.make_clustered(
        rows, cell.clusters + new, likelihood=cell.likelihood, random_state=seed
    )
    known = sorted(data.truth.intercepts.index)[: cell.clusters]
    seen, unseen = seen_rows(data, known)
    place = data.frame["cluster"].iloc[unseen]
    grouped = place.groupby(place, observed=True)
    enough = np.minimum(LABELLED, grouped.transform("size") // 2).to_numpy()
    first = grouped.cumcount().to_numpy() < enough
    return Tables(
        data,
        seen[: cell.rows],
        seen[cell.rows : cell.rows + TEST],
        unseen[first],
        unseen[~first][:TEST],
    )


def judge(model: Any, tables: Tables, rows: np.ndarray, likelihood: str) -> dict[str, float]:
    """Return coverage and width of intervals of the mean, its error, and the log loss."""
    data = tables.data
    X, y = data.frame.iloc[rows], data.target.iloc[rows]
    kind = "mean" if model.network_posterior_ == "laplace" else "cluster"
    found = model.predict_interval(X, LEVEL, kind)
    true = MEANS[likelihood](data.truth.mixed[rows])
    line = {
        "covered": ((found["low"] <= true) & (true <= found["high"])).mean(),
        "width": (found["high"] - found["low"]).mean(),
        "rmse": np.sqrt(((found["mean"] - true) ** 2).mean()),
    }
    if likelihood == "bernoulli":
        line["log_loss"] = log_loss(y.to_numpy(), found["mean"].to_numpy())
    else:
        (density,) = model.to_arviz(X, y, draws=DRAWS).log_likelihood.data_vars.values()
        every = density.to_numpy().reshape(-1, len(y))
        line["log_loss"] = -(np.logaddexp.reduce(every) - np.log(len(every))).mean()
    return {name: float(value) for name, value in line.items()}


def run(cell: Cell) -> dict[str, Any]:
    """Fit one cell and judge it."""
    tables = simulate(cell)
    shared = {"random_slopes": ["x1"], "random_state": cell.replicate, "progress": False}
    shared |= SETTINGS[cell.setting]
    if cell.likelihood == "bernoulli":
        model: Any = pf.FairMixedEffectsClassifier("cluster", **shared)
    else:
        model = pf.FairMixedEffectsRegressor("cluster", likelihood=cell.likelihood, **shared)
    data, start = tables.data, [time.perf_counter(), time.process_time()]
    model.fit(data.frame.iloc[tables.training], data.target.iloc[tables.training])
    line: dict[str, Any] = {
        "wall": time.perf_counter() - start[0],
        "processor": time.process_time() - start[1],
        "seen": judge(model, tables, tables.seen, cell.likelihood),
        "unseen": judge(model, tables, tables.adapted, cell.likelihood),
    }
    grown = model.adapt(data.frame.iloc[tables.labelled], data.target.iloc[tables.labelled])
    line["adapted"] = judge(grown, tables, tables.adapted, cell.likelihood)
    return line


def stored(cell: Cell, folder: Path, compute: bool) -> dict[str, Any] | None:
    """Read a fit, or make and store it; None where it is missing and not to be made."""
    name = "-".join(map(str, cell)).replace(", ", "x")
    path = folder / f"{name}.json"
    if not path.exists():
        if not compute:
            return None
        found = run(cell)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps(found))
        unfinished.replace(path)
        print(f"{path.stem}: {found['wall']:.1f} s", flush=True)
    found = json.loads(path.read_text())
    return found


def lines(cell: Cell, found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return one line per kind of cluster."""
    for place in ("seen", "adapted", "unseen"):
        yield cell._asdict() | {"place": place, "processor": found["processor"]} | found[place]


def report(table: pd.DataFrame) -> None:
    """Print coverage, width and log loss by cell, over cells that every setting has."""
    keys = ["place", "likelihood", "rows", "clusters"]
    whole = table.groupby([*keys, "replicate"])["setting"].transform("nunique")
    table = table[whole == table["setting"].nunique()]
    every = table.groupby([*keys, "setting"], sort=False)
    found = every[["covered", "width", "log_loss", "processor"]].mean()
    found["covered_se"], found["sets"] = every["covered"].sem(), every.size()
    print(found.round(3).to_string())
    print(table.groupby(["place", "likelihood", "setting"])["covered"].mean().round(3).unstack())


def main() -> None:
    """Fit what is not stored, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--likelihoods", nargs="*", default=LIKELIHOODS)
    parser.add_argument("--rows", nargs="*", type=int, default=ROWS)
    parser.add_argument("--clusters", nargs="*", type=int, default=CLUSTERS)
    parser.add_argument("--settings", nargs="*", default=list(SETTINGS))
    parser.add_argument("--replicates", type=int, default=30)
    parser.add_argument("--store", type=Path, default=Path("runs/network_coverage"))
    parser.add_argument("--table", type=Path, help="CSV of fits: read if it exists, then written")
    parser.add_argument("--tables", action="store_true", help="of what is stored, fit nothing")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    earlier = pd.DataFrame(columns=[*Cell._fields, "place"])
    if options.table is not None and options.table.exists():
        earlier = pd.read_csv(options.table)
    known = set(earlier[list(Cell._fields)].itertuples(index=False, name=None))
    table = []
    for values in product(
        range(options.replicates), options.rows, options.clusters, options.likelihoods,
        options.settings,
    ):  # fmt: skip
        replicate, rows, clusters, likelihood, setting = values
        cell = Cell(likelihood, rows, clusters, setting, replicate)
        found = None if tuple(cell) in known else stored(cell, options.store, not options.tables)
        if found is not None:
            table += lines(cell, found)
    every = pd.concat([earlier, pd.DataFrame(table)], ignore_index=True)
    if options.table is not None:
        every.round(4).to_csv(options.table, index=False)
    report(every)


if __name__ == "__main__":
    main()
