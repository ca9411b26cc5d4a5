"""Does the interval of the SD between clusters hold the truth: mean_field and block, by table.

    python tests/benchmarks/guide_scales.py [--sets 20] [--jobs 1] [--out runs/guide_scales.csv]

Binary outcomes, intercepts drawn from Normal(0, SD): the truth is that of the population, so that
an interval which holds it in 90 % of the data sets must be as wide as few clusters make it. Both
guides get the same data and the same seed. Every fit is a line of the file at once; a run goes on
where the last one ended, and ``--tables`` prints what is there.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

SETTINGS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}
os.environ.update({name: value for name, value in SETTINGS.items() if name not in os.environ})

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

GUIDES = ("mean_field", "block")


class Cell(NamedTuple):
    """One setting: clusters, rows of each, and the SD between them."""

    clusters: int
    rows: int
    sd: float


CELLS = [Cell(87, rows, 0.26) for rows in (100, 300, 600)]
CELLS += [Cell(87, rows, 1.0) for rows in (100, 300)]
CELLS += [Cell(300, 100, 0.26), Cell(300, 300, 0.26), Cell(30, 300, 0.26), Cell(30, 1000, 0.26)]


def judged(task: tuple[Cell, int]) -> list[dict[str, Any]]:
    """Fit one data set with every guide."""
    import pyfairme as pf

    warnings.simplefilter("ignore")
    cell, seed = task
    generator = np.random.default_rng([seed, cell.clusters, cell.rows])
    effect = generator.normal(0, cell.sd, cell.clusters)
    code = np.repeat(np.arange(cell.clusters), cell.rows)
    x = generator.normal(size=(len(code), 3))
    link = -1 + np.sin(1.5 * x[:, 0]) + 0.5 * x[:, 1] + effect[code]
    y = (generator.random(len(code)) < 1 / (1 + np.exp(-link))).astype(int)
    frame = pd.DataFrame(x, columns=["a", "b", "c"]).assign(cluster=code)
    lines = []
    for guide in GUIDES:
        model = pf.FairMixedEffectsClassifier(
            "cluster", fairness=None, hidden=(16,), cluster_weight=0, unseen="population",
            guide=guide, progress=False, random_state=seed,
        )  # fmt: skip
        begin = time.process_time()
        found = model.fit(frame, y).variance_components_.iloc[0]
        lines.append(
            {
                **cell._asdict(),
                "set": seed,
                "guide": guide,
                "held": found["low"] <= cell.sd <= found["high"],
                "ratio": found["mean"] / effect.std(ddof=1),
                "width": (found["high"] - found["low"]) / cell.sd,
                "seconds": round(time.process_time() - begin, 1),
            }
        )
    return lines


def tables(path: Path) -> pd.DataFrame:
    """Return coverage of 90 % intervals, mean / the drawn effects' SD, width / SD and seconds."""
    found = pd.read_csv(path).groupby(["clusters", "sd", "rows", "guide"])
    means = found[["held", "ratio", "width"]].mean()
    extra = {"seconds": found["seconds"].median(), "sets": found["set"].nunique()}
    return means.assign(**extra).round(3)


def main() -> None:
    """Run what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/guide_scales.csv"))
    parser.add_argument("--tables", action="store_true")
    given = parser.parse_args()
    if not given.tables:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        there = set()
        if given.out.exists():
            old = pd.read_csv(given.out)
            there = set(old[[*Cell._fields, "set"]].itertuples(index=False, name=None))
        every = [(cell, seed) for cell in CELLS for seed in range(given.sets)]
        todo = [task for task in every if (*task[0], task[1]) not in there]
        for lines in _results(todo, given.jobs):
            header = not given.out.exists()
            pd.DataFrame(lines).to_csv(given.out, mode="a", index=False, header=header)
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
