"""Which guide when: effects, scales, predictions and seconds where the truth is known.

    python tests/benchmarks/guide_choice.py [--minutes 15] [--store runs/guide_choice]

Clustered data are simulated over a grid of clusters, rows per cluster and slopes, and fitted with
the default network and every guide that is in question. Finished pieces are stored; a run goes on
where the last one ended, and ``--minutes 0`` prints the tables of what is there.

Effects have exactly mean 0 and their stated standard deviation: a scale is compared with the truth,
not with the luck of a draw. They are judged after taking off their mean over clusters, in every
draw: the network may hold any part that all clusters share.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import pyfairme as pf
from pyfairme.estimators.table_predictions import table_query
from pyfairme.inference.predictions import log_density

COVARIATES = ["x1", "x2", "x3", "x4", "x5"]  # the mean depends on four; slopes on one or all five
SLOPE_SD = {"bernoulli": 0.5, "normal": 0.5, "negative_binomial": 0.3}
INTERCEPT_SD, RESIDUAL_SD, CONCENTRATION = 1.0, 1.0, 2.0
FRESH = 2000  # rows that log loss is measured on
LEVEL = 0.9
SMALL = 300  # effects below which the guides of one Gaussian are run too
NEWTON_STEPS = 30
STEPS, LONGER = 2000, 10_000  # min_steps: the default, and a longer training
EPOCHS, BATCH_SIZE = 30, 256  # the defaults
COVERED, SCALE_OFF = 0.85, 0.10  # what "good" means: least coverage, most relative error


class Cell(NamedTuple):
    """One simulated setting; ``spread`` multiplies the standard deviations of the effects."""

    likelihood: str
    clusters: int
    rows: int
    slopes: int
    spread: float = 1.0


class Simulated(NamedTuple):
    """Rows in the order of their clusters; ``effects`` (clusters, 1 + slopes), ``fixed`` (n,)."""

    frame: pd.DataFrame
    y: np.ndarray
    effects: np.ndarray
    fixed: np.ndarray


def cells() -> list[Cell]:
    """Return the sparse grid, the most informative cells first: those around the boundary."""
    found = [Cell("bernoulli", *size, 0) for size in ((300, 100), (30, 100), (300, 20), (30, 20))]
    found += [Cell("bernoulli", *size, 5) for size in ((300, 100), (300, 20), (6, 1000))]
    found += [Cell("bernoulli", 300, rows, 0, 0.3) for rows in (100, 20)]
    found += [Cell("normal", 300, rows, 5) for rows in (100, 20)]
    found += [Cell("negative_binomial", 300, rows, 5) for rows in (100, 20)]
    found += [Cell("bernoulli", *size, 0) for size in ((300, 5), (2000, 5), (6, 1000), (30, 1000))]
    found += [Cell("bernoulli", *size, 1) for size in ((300, 100), (300, 20), (30, 1000))]
    small = ((300, 20), (300, 5), (2000, 5))
    found += [Cell(kind, *size, 0) for kind in ("normal", "negative_binomial") for size in small]
    found += [Cell("bernoulli", *size, 5) for size in ((30, 20), (300, 5), (2000, 5), (30, 1000))]
    rest = ((6, 5), (6, 20), (6, 100), (30, 5), (2000, 20))
    return found + [Cell("bernoulli", *size, slopes) for slopes in (0, 5) for size in rest]


def fits(cell: Cell) -> list[tuple[str, int]]:
    """Return guides with their least steps; the guides of one Gaussian only for few effects."""
    found = [("mean_field", STEPS), ("block", STEPS)]
    if cell.clusters * cell.rows < LONGER * BATCH_SIZE / EPOCHS:  # else the epochs decide
        found.append(("mean_field", LONGER))
    if cell.clusters * (1 + cell.slopes) < SMALL and cell.likelihood == "bernoulli":
        found += [("full_rank", STEPS), ("low_rank", STEPS)]
    return found


def todo() -> list[tuple[Cell, str, int, int]]:
    """Return cell, guide, steps and seed of every fit: one data set per cell, then more."""
    every = [(cell, guide, steps) for cell in cells() for guide, steps in fits(cell)]
    main = [line for line in every if line[1:] in (("mean_field", STEPS), ("block", STEPS))]
    main.sort(key=lambda line: line[1] == "block")  # the guide in question first
    most = {6: 5, 30: 3, 300: 2}
    found = [(*line, 0) for line in main] + [(*line, 0) for line in every if line not in main]
    more = [(*line, n) for n in range(1, 5) for line in main if n < most.get(line[0].clusters, 1)]
    return found + more


# Simulation -----------------------------------------------------------------------------------


def scales(cell: Cell) -> np.ndarray:
    """True standard deviations of the effects, (1 + slopes,)."""
    slopes = np.full(cell.slopes, SLOPE_SD[cell.likelihood])
    return cell.spread * np.concatenate([[INTERCEPT_SD], slopes])


def draw_rows(
    cell: Cell, effects: np.ndarray, codes: np.ndarray, generator: np.random.Generator
) -> Simulated:
    """Draw one row for every cluster code."""
    x = generator.normal(size=(len(codes), len(COVARIATES)))
    fixed = np.sin(1.5 * x[:, 0]) + 0.5 * (x[:, 1] ** 2 - 1) + 0.6 * x[:, 2] * x[:, 3]
    link = fixed + (design(x, cell.slopes) * effects[codes]).sum(axis=1)
    if cell.likelihood == "normal":
        y = generator.normal(link, RESIDUAL_SD)
    elif cell.likelihood == "bernoulli":
        y = (generator.random(len(codes)) < 1 / (1 + np.exp(-link))).astype(int)
    else:
        rate = np.exp(np.clip(link, None, 8)) * generator.gamma(CONCENTRATION, size=len(codes))
        y = generator.poisson(rate / CONCENTRATION)
    names = np.array([f"c{code}" for code in codes])
    return Simulated(pd.DataFrame(x, columns=COVARIATES).assign(cluster=names), y, effects, fixed)


def design(x: np.ndarray, slopes: int) -> np.ndarray:
    """Columns that the effects multiply, (n, 1 + slopes)."""
    return np.column_stack([np.ones(len(x)), x[:, :slopes]])


def simulate(cell: Cell, seed: int) -> tuple[Simulated, Simulated]:
    """Return the rows to fit and fresh rows of the same clusters."""
    generator = np.random.default_rng([seed, *cell[1:4], len(cell.likelihood)])
    effects = generator.normal(size=(cell.clusters, 1 + cell.slopes))
    effects -= effects.mean(axis=0)
    effects *= scales(cell) / effects.std(axis=0)
    seen = np.repeat(np.arange(cell.clusters), cell.rows)
    fresh = generator.integers(cell.clusters, size=FRESH)
    return draw_rows(cell, effects, seen, generator), draw_rows(cell, effects, fresh, generator)


def oracle(cell: Cell, data: Simulated) -> tuple[np.ndarray, np.ndarray]:
    """Mode and standard deviations (clusters, a) of the effects given all that is true but them."""
    z = design(data.frame[COVARIATES].to_numpy(), cell.slopes)
    z = z.reshape(cell.clusters, cell.rows, -1)
    y = data.y.reshape(cell.clusters, cell.rows)
    fixed = data.fixed.reshape(cell.clusters, cell.rows)
    prior = np.diag(scales(cell) ** -2.0)
    effects = np.zeros_like(data.effects)
    for _ in range(1 if cell.likelihood == "normal" else NEWTON_STEPS):
        slope, weight = derivatives(cell, y, fixed + np.einsum("gna,ga->gn", z, effects))
        precision = np.einsum("gna,gn,gnb->gab", z, weight, z) + prior
        pull = np.einsum("gna,gn->ga", z, slope) - effects @ prior
        effects = effects + np.linalg.solve(precision, pull[..., None])[..., 0]
    variance = np.diagonal(np.linalg.inv(precision), axis1=1, axis2=2)
    return effects, np.sqrt(variance)


def derivatives(cell: Cell, y: np.ndarray, link: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First derivative of log p(y | link) and minus its expected second one."""
    if cell.likelihood == "normal":
        return (y - link) / RESIDUAL_SD**2, np.full_like(link, RESIDUAL_SD**-2.0)
    if cell.likelihood == "bernoulli":
        mean = 1 / (1 + np.exp(-link))
        return y - mean, mean * (1 - mean)
    mean = np.exp(np.clip(link, -20, 20))
    share = CONCENTRATION / (CONCENTRATION + mean)
    return share * (y - mean), share * mean


# Fits -----------------------------------------------------------------------------------------


def estimator(cell: Cell, guide: str, steps: int, seed: int) -> Any:
    """Return the default estimator without penalties and adversaries."""
    settings: dict[str, Any] = {
        "random_slopes": COVARIATES[: cell.slopes] or None,
        "fairness": None,
        "cluster_weight": 0.0,
        "guide": guide,
        "unseen": "population",
        "epochs": EPOCHS,
        "batch_size": BATCH_SIZE,
        "min_steps": steps,
        "random_state": seed,
        "progress": False,
    }
    if cell.likelihood == "bernoulli":
        return pf.FairMixedEffectsClassifier("cluster", **settings)
    return pf.FairMixedEffectsRegressor("cluster", likelihood=cell.likelihood, **settings)


def piece(cell: Cell, guide: str, steps: int, seed: int) -> dict[str, Any]:
    """Fit one data set with one guide, twice, and compare it with the truth.

    Seconds are those of the processor: they do not grow when others use the machine. The first fit
    of a cell and guide compiles; its second one does not.
    """
    data, fresh = simulate(cell, seed)
    seconds = []
    for _ in range(2 if seed == 0 else 1):
        start = time.process_time()
        fitted = estimator(cell, guide, steps, seed).fit(data.frame, data.y)
        seconds.append(time.process_time() - start)
    found = compare(cell, data, fitted)
    found["log_loss"] = log_loss(fitted, fresh)
    found["pareto_k"] = float(np.ravel(fitted.fit_.quality.get("pareto_k", np.nan))[0])
    found["epochs"] = float(fitted.history_["epoch"].iloc[fitted.n_iter_ - 1])
    return found | {"cold": seconds[0], "warm": seconds[-1]} if seed == 0 else found


def compare(cell: Cell, data: Simulated, fitted: Any) -> dict[str, Any]:
    """Coverage, error and width of the centred effects, and their scales."""
    posterior = fitted.posterior_["posterior"]
    labels = posterior["cluster"].to_numpy().astype(str)
    codes = np.array([int(label[1:]) for label in labels])  # a cluster may be held out as a whole
    draws = [posterior["cluster_intercept"].to_numpy()[0, ..., None]]
    spread = [posterior["cluster_intercept_sd"].to_numpy()[0, :, None]]
    if cell.slopes:
        draws.append(posterior["cluster_slopes"].to_numpy()[0])
        spread.append(posterior["cluster_slopes_sd"].to_numpy()[0])
    effects = centred(np.concatenate(draws, axis=-1), axis=1)  # (draws, clusters, a)
    truth = centred(data.effects[codes], axis=0)
    best, best_sd = oracle(cell, data)
    low, high = np.quantile(effects, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    covered = (low <= truth) & (truth <= high)
    error = np.sqrt(((effects.mean(axis=0) - truth) ** 2).mean(axis=0))
    best_error = np.sqrt(((centred(best[codes], axis=0) - truth) ** 2).mean(axis=0))
    terms = {
        "coverage": covered.mean(axis=0),
        "error": error / best_error,
        "width": effects.std(axis=0).mean(axis=0) / best_sd.mean(axis=0),
        "scale": np.concatenate(spread, axis=-1).mean(axis=0) / scales(cell),
    }
    found: dict[str, Any] = {name: float(values[0]) for name, values in terms.items()}
    if cell.slopes:
        found |= {f"{name}_slopes": float(values[1:].mean()) for name, values in terms.items()}
    return found


def centred(values: np.ndarray, axis: int) -> np.ndarray:
    """Take off the mean over clusters."""
    return values - values.mean(axis=axis, keepdims=True)


def log_loss(fitted: Any, fresh: Simulated) -> float:
    """Minus the mean log posterior predictive density of fresh rows, per unit of y."""
    _, query = table_query(fitted, fresh.frame, fitted.target_.encode(fresh.y))
    unit = np.log(getattr(fitted.target_, "scale", 1.0))
    return float(unit - log_density(query)["mixed"].mean())


# Tables ---------------------------------------------------------------------------------------


def read(path: Path) -> pd.DataFrame:
    """Return the stored pieces, one line each."""
    lines = path.read_text().splitlines() if path.exists() else []
    return pd.DataFrame([json.loads(line) for line in lines])


def table(pieces: pd.DataFrame) -> pd.DataFrame:
    """One line per cell and guide, means over data sets; ``good`` by coverage and scales."""
    keys = [*Cell._fields, "guide", "steps"]
    grouped = pieces.groupby(keys, sort=False)
    found = grouped.mean(numeric_only=True).drop(columns="seed")
    found = found.assign(data_sets=grouped.size()).reset_index()
    found.insert(0, "rows_per_effect", found["rows"] / (1 + found["slopes"]))
    covered = found.filter(regex="^coverage").min(axis=1)
    off = (found.filter(regex="^scale") - 1).abs().max(axis=1)
    found["good"] = (covered >= COVERED) & (off <= SCALE_OFF)
    order = ["likelihood", "spread", "slopes", "clusters", "rows", "guide", "steps"]
    return found.sort_values(order)


def main() -> None:
    """Run what is missing until the time is over, then print the tables."""
    parser = argparse.ArgumentParser(description="Compare guides where the truth is known.")
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--store", type=Path, default=Path("runs/guide_choice"))
    options = parser.parse_args()
    options.store.mkdir(parents=True, exist_ok=True)
    path = options.store / "pieces.jsonl"
    keys = [*Cell._fields, "guide", "steps", "seed"]
    done = set(read(path).reindex(columns=keys).itertuples(index=False, name=None))
    end = time.monotonic() + 60 * options.minutes
    with path.open("a") as file:
        for cell, guide, steps, seed in todo():
            if time.monotonic() > end or (*cell, guide, steps, seed) in done:
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # Pareto's k stands in the table
                found = piece(cell, guide, steps, seed)
            line = {"guide": guide, "steps": steps, "seed": seed} | found
            file.write(json.dumps(cell._asdict() | line) + "\n")
            file.flush()
    print(table(read(path)).round(2).to_string(index=False, na_rep=""))


if __name__ == "__main__":
    main()
