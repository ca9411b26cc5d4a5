"""How often intervals of clusters that training never saw hold the truth, and how wide they are.

    python tests/benchmarks/unseen_coverage.py [--sets 50] [--jobs 1] [--out runs/unseen.csv]

Clusters of 60 rows are simulated, some of them are fitted, and 200 rows of 40 others are predicted,
whose probabilities or means are known. Three worlds: covariates say nothing about the cluster
("nothing"); they are its place, and effects have nothing to do with it ("place"); they are its
place, and effects change smoothly with it ("effect"). Policies infer and sample predict the same
fit; for "missing" a fifth of the training rows has no cluster, and neither has any predicted row.
Every finished fit is a line of the file for each policy; a run goes on where the last one ended.
``--tables`` prints what is there. It runs with older versions too, for a comparison.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
os.environ.update({name: value for name, value in SETTINGS.items() if name not in os.environ})

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

CLUSTERS = (4, 6, 12, 40)
WORLDS = ("nothing", "place", "effect")
OUTCOMES = ("bernoulli", "normal")
ROWS, NEW, NEW_ROWS = 60, 40, 5  # rows of a known cluster; new clusters and their rows
EFFECT_SD, RESIDUAL_SD = 1.5, 1.0
WITHOUT = 0.2  # share of rows without a cluster
LEVEL = 0.9


class Cell(NamedTuple):
    """One setting: clusters to train on, what covariates tell, the outcome, whether labels lack."""

    clusters: int
    world: str
    outcome: str
    missing: bool


def cells() -> list[Cell]:
    """Return every cell; rows without a cluster in the first world only."""
    full = [Cell(*one, False) for one in itertools.product(CLUSTERS, WORLDS, OUTCOMES)]
    full += [Cell(g, "nothing", y, True) for g in CLUSTERS for y in OUTCOMES]
    return sorted(full, key=lambda cell: (cell.clusters, cell.outcome))  # one shape: one compiling


def simulate(cell: Cell, seed: int) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame, np.ndarray]:
    """Return training rows and outcomes, new rows and their true probability or mean."""
    generator = np.random.default_rng([seed, cell.clusters, WORLDS.index(cell.world)])
    size = cell.clusters + NEW
    centre = generator.uniform(-3, 3, (size, 2))
    effect = generator.normal(0, EFFECT_SD, size)
    if cell.world == "effect":
        smooth = np.sqrt(2) * np.sin(centre[:, 0]) * np.sqrt(2) * np.cos(centre[:, 1])
        effect = EFFECT_SD * (0.98 * smooth + 0.2 * generator.normal(size=size))
    rows = np.repeat(np.arange(size), [ROWS] * cell.clusters + [NEW_ROWS] * NEW)
    place = generator.normal(size=(len(rows), 2))
    if cell.world != "nothing":
        place = centre[rows] + 0.3 * place
    x = generator.normal(size=len(rows))
    link = 0.5 * x + effect[rows]
    truth = 1 / (1 + np.exp(-link)) if cell.outcome == "bernoulli" else link
    y = (generator.random(len(rows)) < truth).astype(int)
    if cell.outcome == "normal":
        y = generator.normal(truth, RESIDUAL_SD)
    label = np.array([f"c{i}" for i in rows], dtype=object)
    new = rows >= cell.clusters
    if cell.missing:
        label = np.where(new | (generator.random(len(rows)) < WITHOUT), None, label)
    frame = pd.DataFrame({"cluster": label, "x": x, "north": place[:, 0], "east": place[:, 1]})
    return frame[~new], y[~new], frame[new], truth[new]


def judged(task: tuple[Cell, int]) -> list[dict[str, Any]]:
    """Fit one data set, and judge the intervals of every policy."""
    import pyfairme as pf

    warnings.simplefilter("ignore")
    cell, seed = task
    X, y, new, truth = simulate(cell, seed)
    binary = cell.outcome == "bernoulli"
    make = pf.FairMixedEffectsClassifier if binary else pf.FairMixedEffectsRegressor
    begin = time.perf_counter()
    model = make("cluster", fairness=None, hidden=(), progress=False, random_state=seed).fit(X, y)
    seconds = time.perf_counter() - begin
    lines = []
    for policy in ("infer", "sample"):
        found = model.set_params(unseen=policy).predict_interval(new, level=LEVEL)
        low, high, mean = (found[name].to_numpy() for name in ("low", "high", "mean"))
        if binary:
            loss = -(truth * np.log(mean) + (1 - truth) * np.log1p(-mean)).mean()
        else:
            loss = np.sqrt(((truth - mean) ** 2).mean())
        lines.append(
            {
                **cell._asdict(),
                "set": seed,
                "policy": policy,
                "held": ((low <= truth) & (truth <= high)).mean(),
                "width": (high - low).mean(),
                "loss": loss,
                "seconds": round(seconds, 1),
            }
        )
    return lines


def finished(path: Path) -> set[tuple[Any, ...]]:
    """Return cell and data set of every fit in the file."""
    if not path.exists():
        return set()
    return set(pd.read_csv(path)[[*Cell._fields, "set"]].itertuples(index=False, name=None))


def tables(path: Path) -> pd.DataFrame:
    """Return the mean over data sets of what was measured, with the standard error of coverage."""
    found = pd.read_csv(path).groupby(["missing", "world", "outcome", "policy", "clusters"])
    means = found[["held", "width", "loss", "seconds"]].mean()
    return means.assign(se=found["held"].sem(), sets=found["set"].nunique()).round(3)


def main() -> None:
    """Run what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/unseen.csv"))
    parser.add_argument("--tables", action="store_true")
    given = parser.parse_args()
    if not given.tables:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        there = finished(given.out)
        every = [(cell, seed) for cell in cells() for seed in range(given.sets)]
        todo = [task for task in every if (*task[0], task[1]) not in there]
        for lines in _results(todo, given.jobs):
            pd.DataFrame(lines).to_csv(
                given.out, mode="a", index=False, header=not given.out.exists()
            )
    print(tables(given.out).to_string())


def _results(todo: list[tuple[Cell, int]], jobs: int) -> Any:
    if jobs == 1:
        yield from map(judged, todo)
        return
    import multiprocessing

    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(judged, todo)


if __name__ == "__main__":
    main()
