"""Default fits of real data by two versions of pyfairme, on the same rows with the same seeds.

    PYTHONPATH=<older checkout> PYFAIRME_DATA=... python tests/benchmarks/versions_compared.py OLD
    PYTHONPATH=. PYFAIRME_DATA=... python tests/benchmarks/versions_compared.py NEW --against OLD

OLD and NEW are folders, in which every fit is stored as it ends. Adult (rotations of ten folds, the
six most frequent occupations; without and with its four protected attributes), ACSIncome (100,000
rows to fit, 20,000 others), Heritage as counts (a rotation, 200 draws of 2,000 rows). Differences
are new - old; their standard errors are of the paired rows, by bootstrap where a measure is no mean
of rows (calibration error of ten bins; PIT: Kolmogorov's distance from uniform).
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import kstest

import pyfairme as pf
from pyfairme.metrics import ece, pit_values
from pyfairme.study.crossval.splits import rotations, seen_clusters, seen_rows, strata

SEEN, ACS_ROWS, ACS_TEST, COUNT_ROWS, DRAWS, RESAMPLES = 6, 100_000, 20_000, 2000, 200, 200
SHARED = {"progress": False}
DATA = {"adult": "load_adult", "acs": "load_acs_income", "heritage": "load_heritage"}

Arrays = dict[str, np.ndarray]


def split(data: pf.datasets.Dataset, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return training and test rows of a rotation of ten folds, of the most frequent clusters."""
    seen, _ = seen_rows(data, seen_clusters(data, SEEN))
    rotation = rotations(strata(data)[seen], 10, seed)[seed]
    training = np.sort(np.concatenate([rotation.training, rotation.validation]))
    return seen[training], seen[rotation.test]


def random_rows(data: pf.datasets.Dataset, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return training and test rows at random."""
    order = np.random.default_rng(seed).permutation(len(data.frame))
    return order[:ACS_ROWS], order[ACS_ROWS : ACS_ROWS + ACS_TEST]


def classified(name: str, fair: bool, seed: int) -> Arrays:
    """Fit classes: probabilities and outcomes of the test rows."""
    data = getattr(pf.datasets, DATA[name])()
    training, test = (split if name == "adult" else random_rows)(data, seed)
    roles = {"sensitive": data.schema.sensitive} if fair else {"fairness": None}
    (cluster,) = data.schema.cluster
    model = pf.FairMixedEffectsClassifier(cluster, random_state=seed, **roles, **SHARED)
    model.fit(data.frame.iloc[training], data.target.iloc[training])
    X, y = data.frame.iloc[test], data.target.to_numpy()[test]
    return {"p": model.predict_proba(X)[:, 1].astype(float), "y": y}


def counted(fair: bool, seed: int) -> Arrays:
    """Fit Heritage's days: PIT values and log densities of the test rows."""
    data = pf.datasets.load_heritage()
    training, test = split(data, seed)
    test = np.random.default_rng(seed).permutation(test)[:COUNT_ROWS]
    roles = {"sensitive": data.schema.sensitive} if fair else {"fairness": None}
    model = pf.FairMixedEffectsRegressor(
        "specialty", likelihood="negative_binomial", random_state=seed, **roles, **SHARED
    )
    model.fit(data.frame.iloc[training], data.target.iloc[training])
    X, y = data.frame.iloc[test], data.target.iloc[test]
    every = model.to_arviz(X, y, draws=DRAWS)
    draws, density = (
        next(iter(group.data_vars.values())).to_numpy().reshape(-1, len(y))
        for group in (every.posterior_predictive, every.log_likelihood)
    )
    return {
        "pit": pit_values(y.to_numpy(), draws, discrete=True, random_state=0),
        "log_density": np.logaddexp.reduce(density) - np.log(len(density)),
    }


FITS = {
    "adult, no penalty": partial(classified, "adult", False),
    "adult, penalties": partial(classified, "adult", True),
    "acs, no penalty": partial(classified, "acs", False),
    "acs, penalties": partial(classified, "acs", True),
    "heritage, no penalty": partial(counted, False),
    "heritage, penalties": partial(counted, True),
}


def of_rows(found: Arrays) -> Arrays:
    """Return the measures that are means over rows."""
    if "p" not in found:
        return {"log density": found["log_density"]}
    p, y = np.clip(found["p"], 1e-7, 1 - 1e-7), found["y"]
    return {"log loss": -np.where(y == 1, np.log(p), np.log1p(-p)), "Brier": (p - y) ** 2}


def of_tables(found: Arrays, rows: np.ndarray) -> dict[str, float]:
    """Return the measures of a table of rows as a whole."""
    if "p" not in found:
        return {"PIT distance": kstest(found["pit"][rows], "uniform")[0]}
    return {"ECE": float(ece(found["y"][rows], found["p"][rows]))}


def compared(old: Arrays, new: Arrays) -> Iterator[dict[str, Any]]:
    """Yield each measure of both, their difference and its standard error."""
    before, now = of_rows(old), of_rows(new)
    for name, values in now.items():
        change = values - before[name]
        error = change.std(ddof=1) / len(change) ** 0.5
        yield line(name, before[name].mean(), values.mean(), error)
    count, rng = len(values), np.random.default_rng(0)
    every = np.arange(count)
    both = of_tables(old, every), of_tables(new, every)
    for name in both[0]:
        changes = []
        for _ in range(RESAMPLES):
            rows = rng.integers(count, size=count)
            changes.append(of_tables(new, rows)[name] - of_tables(old, rows)[name])
        yield line(name, both[0][name], both[1][name], np.std(changes, ddof=1))


def line(name: str, old: float, new: float, error: float) -> dict[str, Any]:
    """Return one measure of one fit as a row of the table."""
    return {"measure": name, "old": old, "new": new, "change": new - old, "SE": error}


def report(old: Path, new: Path) -> None:
    """Print the mean over seeds of what both folders have, and the standard error of the change."""
    table = []
    for file in sorted(new.glob("*.npz")):
        if (old / file.name).exists():
            name, seed = file.stem.rsplit("; ", 1)
            head = {"fit": name, "seed": seed}
            with np.load(old / file.name) as first, np.load(file) as second:
                cost = {"s, old": float(first["processor"]), "s, new": float(second["processor"])}
                table += [head | one | cost for one in compared(dict(first), dict(second))]
    every = pd.DataFrame(table).groupby(["fit", "measure"], sort=False)
    found = every[["old", "new", "change", "s, old", "s, new"]].mean()
    found["SE"] = every["SE"].agg(lambda errors: (errors**2).sum() ** 0.5 / len(errors))
    found["fits"] = every.size()
    print(found.round(5).to_string())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--against", type=Path, help="folder of the older version's fits")
    parser.add_argument("--fits", nargs="*", default=list(FITS))
    parser.add_argument("--seeds", type=int, default=3, help="of Adult; the others have one")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    options.store.mkdir(parents=True, exist_ok=True)
    for name in options.fits:
        for seed in range(options.seeds if name.startswith("adult") else 1):
            file = options.store / f"{name}; {seed}.npz"
            if not file.exists():
                begin = time.process_time()
                found = FITS[name](seed=seed)
                found["processor"] = np.asarray(time.process_time() - begin)
                unfinished = options.store / "unfinished.part"
                with unfinished.open("wb") as stream:
                    np.savez_compressed(stream, **found)  # type: ignore[arg-type]
                unfinished.replace(file)
                print(f"{file.stem}: {float(found['processor']):.0f} s", flush=True)
    if options.against is not None:
        report(options.against, options.store)


if __name__ == "__main__":
    main()
