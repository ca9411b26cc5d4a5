"""Whether the network's own uncertainty improves predictions, and what it costs.

    python tests/benchmarks/network_uncertainty.py [adult] [heritage] [simulation]

Four settings, `network_posterior` "none" or "last_layer" and `ensemble` 1 or 5, on rows that no fit
has seen: Adult (log loss, Brier, ECE, AUROC), Heritage as counts (PIT, coverage, log density) and
data whose true probabilities are known (coverage of their 90 % intervals). Every fit is stored
under --store as it ends, so a second call goes on where the first one stopped.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import pyfairme as pf
from pyfairme.inference.laplace.second_stage import PosteriorWarning
from pyfairme.metrics import auroc, brier, coverage_table, ece, log_loss, pit_values
from pyfairme.study.crossval.splits import rotations, seen_clusters, seen_rows, strata

SEEN = 6  # clusters of Adult and Heritage that training sees
COUNT_ROWS, COUNT_DRAWS = 2000, 200  # drawing counts is slow
CLUSTERS, NEW, TEST = 10, 10, 1000  # of the simulation: seen, unseen; rows to predict
SIZES = (500, 2000, 8000)
LEVEL = 0.9
POLICIES = ("infer", "sample")
MAIN = ("log_loss", "log_density", "ece", "pit_ks", "covered")  # whose changes have errors

Arrays = dict[str, np.ndarray]


class Setting(NamedTuple):
    """The keywords that are compared."""

    network_posterior: str
    ensemble: int
    guide: str = "mean_field"


class Piece(NamedTuple):
    """One fit: where it belongs, and the function that makes its arrays."""

    experiment: str
    size: int
    setting: Setting
    replicate: int
    run: Callable[[], Arrays]


def settings() -> list[Setting]:
    """Return every combination of mean-field guides, then those of block guides."""
    every = product(("mean_field", "block"), (1, 5), ("none", "last_layer"))
    return [Setting(posterior, members, guide) for guide, members, posterior in every]


PLAIN = Setting("none", 1)


def timed_fit(model: Any, X: pd.DataFrame, y: pd.Series) -> Arrays:
    """Fit, and return wall-clock and processor seconds."""
    start = np.array([time.perf_counter(), time.process_time()])
    model.fit(X, y)
    wall, processor = np.array([time.perf_counter(), time.process_time()]) - start
    return {"wall": wall, "processor": processor}


def split(data: pf.datasets.Dataset, replicate: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return training rows, test rows of seen clusters, and rows of unseen ones."""
    seen, unseen = seen_rows(data, seen_clusters(data, SEEN))
    rotation = rotations(strata(data)[seen], 10, replicate)[replicate]
    training = np.sort(np.concatenate([rotation.training, rotation.validation]))
    return seen[training], seen[rotation.test], unseen


def places(seen: Any, unseen: Any, model: Any) -> Iterator[tuple[str, Any]]:
    """Yield what to predict, the model set to each way of treating unseen clusters."""
    yield "seen", seen
    for policy in POLICIES:
        model.set_params(unseen=policy)
        yield policy, unseen


def adult(setting: Setting, replicate: int) -> Arrays:
    """Fit one rotation of Adult: probabilities and outcomes of its test rows."""
    data = pf.datasets.load_adult()
    training, test, unseen = split(data, replicate)
    model = pf.FairMixedEffectsClassifier(
        "occupation", fairness=None, random_state=replicate, progress=False, **setting._asdict()
    )
    found = timed_fit(model, data.frame.iloc[training], data.target.iloc[training])
    for place, rows in places(test, unseen, model):
        found[f"p/{place}"] = model.predict_proba(data.frame.iloc[rows])[:, 1]
        found[f"y/{place}"] = data.target.to_numpy()[rows]
    return found


def heritage(setting: Setting, replicate: int) -> Arrays:
    """Fit one rotation of Heritage: predictive draws, log densities and outcomes."""
    data = pf.datasets.load_heritage()
    training, test, unseen = split(data, replicate)
    chosen = np.random.default_rng(replicate)
    test, unseen = (chosen.permutation(rows)[:COUNT_ROWS] for rows in (test, unseen))
    shared = {"fairness": None, "random_state": replicate, "progress": False}
    model = pf.FairMixedEffectsRegressor(
        "specialty", likelihood="negative_binomial", **shared, **setting._asdict()
    )
    found = timed_fit(model, data.frame.iloc[training], data.target.iloc[training])
    for place, rows in places(test, unseen, model):
        X, y = data.frame.iloc[rows], data.target.iloc[rows]
        every = model.to_arviz(X, y, draws=COUNT_DRAWS)
        found[f"draws/{place}"] = _flat(every.posterior_predictive).astype(np.int32)
        density = _flat(every.log_likelihood)
        found[f"log_density/{place}"] = np.logaddexp.reduce(density) - np.log(len(density))
        found[f"y/{place}"] = y.to_numpy()
    return found


def _flat(group: Any) -> np.ndarray:
    """Return draws (chains * draws, rows) of the only variable of an ArviZ group."""
    (values,) = group.data_vars.values()
    return values.to_numpy().reshape(-1, values.shape[-1])


def simulation(setting: Setting, size: int, replicate: int) -> Arrays:
    """Fit one simulated data set: intervals of the probabilities of new rows, and the truth."""
    clusters = CLUSTERS + NEW
    rows = 2 * (size + TEST) + 500  # half of them in clusters to learn from, with some to spare
    seed = np.random.default_rng([replicate, size])
    data = pf.datasets.make_clustered(rows, clusters, random_state=seed)
    seen, unseen = seen_rows(data, sorted(data.truth.intercepts.index)[:CLUSTERS])
    training, test, unseen = seen[:size], seen[size : size + TEST], unseen[:TEST]
    model = pf.FairMixedEffectsClassifier(
        "cluster", random_slopes=["x1"], random_state=replicate, progress=False, **setting._asdict()
    )
    found = timed_fit(model, data.frame.iloc[training], data.target.iloc[training])
    for place, rows in places(test, unseen, model):
        interval = model.predict_interval(data.frame.iloc[rows], LEVEL)
        found |= {f"{name}/{place}": column.to_numpy() for name, column in interval.items()}
        found[f"true/{place}"] = 1 / (1 + np.exp(-data.truth.mixed[rows]))
        found[f"y/{place}"] = data.target.to_numpy()[rows]
    return found


def pieces(experiment: str, replicates: int) -> Iterator[Piece]:
    """List the fits; of real data those with mean-field guides only."""
    known = experiment == "simulation"
    sizes, every = (SIZES, settings()) if known else ((0,), settings()[:4])
    for start, replicate in product(range(0, len(every), 4), range(replicates)):
        for size, one in product(sizes, every[start : start + 4]):
            run = {
                "adult": partial(adult, one, replicate),
                "heritage": partial(heritage, one, replicate),
                "simulation": partial(simulation, one, size, replicate),
            }[experiment]
            yield Piece(experiment, size, one, replicate, run)


def judge_adult(found: Arrays, place: str) -> dict[str, float]:
    """Return the accuracy and the calibration of probabilities."""
    y, p = found[f"y/{place}"], found[f"p/{place}"]
    return {measure.__name__: measure(y, p) for measure in (log_loss, brier, ece, auroc)}


def judge_heritage(found: Arrays, place: str) -> dict[str, float]:
    """Return the log density, the PIT's distance from uniform, and coverage - attainable."""
    from scipy.stats import kstest

    y, draws = found[f"y/{place}"], found[f"draws/{place}"]
    pit = pit_values(y, draws, discrete=True, random_state=0)
    density = found[f"log_density/{place}"].mean()
    line = {"log_density": density, "pit_ks": kstest(pit, "uniform")[0]}
    for level in coverage_table(y, draws, (0.5, 0.8, 0.9)).itertuples():
        line[f"attainable_{level.level:.0%}"] = level.attainable
        line[f"covered_{level.level:.0%}"] = level.covered
    return line


def judge_simulation(found: Arrays, place: str) -> dict[str, float]:
    """Return coverage and width of intervals of the true probability, and its mean error."""
    true, low, high = (found[f"{name}/{place}"] for name in ("true", "low", "high"))
    mean = found[f"mean/{place}"]
    return {
        "covered": ((low <= true) & (true <= high)).mean(),
        "width": (high - low).mean(),
        "rmse": np.sqrt(((mean - true) ** 2).mean()),
        "log_loss": log_loss(found[f"y/{place}"], mean),
        "log_loss_truth": log_loss(found[f"y/{place}"], true),
    }


JUDGES = {"adult": judge_adult, "heritage": judge_heritage, "simulation": judge_simulation}


def lines(piece: Piece, found: Arrays) -> Iterator[dict[str, Any]]:
    """Judge one fit: one line per way of predicting."""
    head = {"rows": piece.size, **piece.setting._asdict(), "replicate": piece.replicate}
    cost = {name: float(found[name]) for name in ("wall", "processor", "warm")}
    for place in ("seen", *POLICIES):
        judged = {k: float(v) for k, v in JUDGES[piece.experiment](found, place).items()}
        yield head | {"place": place} | judged | cost


def complete(table: pd.DataFrame) -> pd.DataFrame:
    """Keep the replicates that all four settings of a size and guide have."""
    found = table.groupby(["rows", "guide", "replicate"])["place"].transform("size")
    return table[found == 4 * (1 + len(POLICIES))]


def means(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Average over replicates, which stand beside; costs have a table of their own."""
    grouped = table.groupby(keys, sort=False)
    found = grouped.mean().drop(columns=["replicate", "wall", "processor", "warm"])
    return found.assign(fits=grouped.size())


def changes(table: pd.DataFrame, keys: list[str], measures: list[str]) -> pd.DataFrame:
    """Compare with the plain setting on the same data: mean over replicates, standard error."""
    shared = ["place", "rows", "replicate"]
    is_plain = (table[["network_posterior", "ensemble", "guide"]] == list(PLAIN)).all(axis=1)
    plain = table[is_plain].set_index(shared)[measures]
    against = plain.reindex(pd.MultiIndex.from_frame(table[shared])).to_numpy()
    change = table.assign(**{m: table[m] - against[:, i] for i, m in enumerate(measures)})
    grouped = change[~is_plain].groupby(keys, sort=False)[measures]
    errors = grouped.sem().add_suffix("_se")
    return pd.concat([grouped.mean(), errors], axis=1)


def costs(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return the median seconds of a fit whose functions had been compiled before."""
    warm = table[(table["warm"] == 1) & (table["place"] == "seen")]
    return warm.groupby(keys[1:], sort=False)[["wall", "processor"]].median()


def report(experiment: str, done: list[tuple[Piece, Arrays]]) -> None:
    """Print the tables of one experiment."""
    table = pd.DataFrame([line for piece, found in done for line in lines(piece, found)])
    table = complete(table)
    table["place"] = pd.Categorical(table["place"], ["seen", *POLICIES])
    keys = ["place", "rows", "guide", "network_posterior", "ensemble"]
    table = table.sort_values(["place", "rows"], kind="stable").astype({"place": str})
    main = [name for name in MAIN if name in table]
    for title, shown in (
        ("means over fits", means(table, keys)),
        (f"change against {', '.join(map(str, PLAIN))}", changes(table, keys, main)),
        ("seconds of a warm fit, median", costs(table, keys)),
    ):
        print(f"\n{experiment}: {title}\n{shown.round(4).reset_index().to_string(index=False)}")


def stored(piece: Piece, folder: Path, compiled: set[Any], compute: bool) -> Arrays | None:
    """Read a piece, or make and store it; None where it is missing and not to be made."""
    s = piece.setting
    name = f"{piece.size}-{s.guide}-{s.network_posterior}-{s.ensemble}-{piece.replicate}.npz"
    path = folder / piece.experiment / name
    if not path.exists():
        if not compute:
            return None
        kind = (piece.experiment, piece.size, s)
        found = piece.run() | {"warm": np.asarray(kind in compiled)}
        compiled.add(kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part.npz")
        np.savez_compressed(unfinished, **found)  # type: ignore[arg-type]
        unfinished.replace(path)
        print(f"{path.stem}: {float(found['wall']):.1f} s", flush=True)
    with np.load(path) as file:
        return dict(file)


def main() -> None:
    """Fit what is not stored, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("experiments", nargs="*", default=list(JUDGES))
    parser.add_argument("--replicates", type=int, default=3, help="fits of each setting")
    parser.add_argument("--store", type=Path, default=Path("runs/network_uncertainty"))
    parser.add_argument("--tables", action="store_true", help="of what is stored, fit nothing")
    options = parser.parse_args()
    warnings.simplefilter("ignore", PosteriorWarning)
    warnings.filterwarnings("ignore", "Unlike the training rows", UserWarning)
    compiled: set[Any] = set()
    for experiment in options.experiments:
        done = []
        for piece in pieces(experiment, options.replicates):
            found = stored(piece, options.store, compiled, not options.tables)
            if found is not None:
                done.append((piece, found))
        report(experiment, done)


if __name__ == "__main__":
    main()
