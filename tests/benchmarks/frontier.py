"""pyfairme beside what users would pick instead: accuracy and fairness on the same folds.

    python tests/benchmarks/frontier.py --dataset adult --page docs/frontier_comparison.md

Every method is fitted to eight of ten folds of the seen clusters' rows, chooses its threshold on
the ninth and is judged on the tenth, rotated, for each seed. One attribute is protected at a time,
or all at once; once with the protected columns among the covariates ("keep"), once without
("drop"). A finished fit, failed or not, is stored at once (runs/frontier/<dataset>): called again,
only missing ones are made. Then tables, a picture and, with ``--page``, the page of the docs are
written from all fits in the store; ``--table-only`` makes no fit. Peers that are not installed
(torch, gpboost) are recorded as failures; ``--retry-failed`` tries such fits again.

``--variant`` names a model of `pyfairme.VARIANTS` or a JSON file of an estimator's keywords (with
"variant" for those it changes), so that tuned settings can be compared; several may be given. A
weight of ``--weights`` is the ``fairness_weight``, or multiplies it where the file has one by
attribute or penalty; 0 is the model without fairness.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from frontier_ours import OURS, our_points, ours
from frontier_problem import (
    ANY,
    PLANS,
    SETTINGS,
    TEST,
    TRAINING,
    Point,
    Reading,
    load_task,
    problem,
)
from frontier_table import write_results
from joblib import Parallel, delayed
from peers import METHODS, POINTS
from scored_policies import POLICIES

import pyfairme as pf
from pyfairme.study.crossval.cross_validate import fingerprint
from pyfairme.study.crossval.store import Key, Store

PACKAGES = ("jax", "scikit-learn", "fairlearn", "gpboost", "torch", "fairret", "fairgbm")
APART = ("fairret", "fairgbm")  # run only when named: the page's tables are without them
WEIGHTS = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0)


class Job(NamedTuple):
    """A fit to make, in plain values; ``setting`` is `ANY` when no attribute matters to it."""

    dataset: str
    rows: int | None
    folds: int
    store: str
    setting: str
    keep: bool
    point: Point
    seed: int
    fold: int

    @property
    def key(self) -> Key:
        """Its place in the store."""
        group = f"{self.setting}-{'keep' if self.keep else 'drop'}"
        name = "-".join(dict.fromkeys((self.point.method, self.point.label)))
        return Key(f"{group}/{name}", self.seed, self.fold)


def jobs(options: argparse.Namespace, dataset: str) -> list[Job]:
    """List all fits of a data set, those that share a compilation next to each other."""
    wanted = [*POINTS, *our_points(options.variant, options.weights)]
    wanted += [Point(name, name, {}, False) for name in POLICIES]
    points = [
        point
        for point in wanted
        if point.method in options.methods
        and (options.points is None or point.label in options.points)
    ]
    settings = [name for name in options.attributes if _has(dataset, name)]
    found = {}
    for inputs_ in options.inputs:
        for setting in settings:
            for point in (p for p in points if inputs_ in p.inputs):
                shared = inputs_ == "keep" and not point.protects
                for seed in options.seeds:
                    for fold in range(options.turns or options.folds):
                        job = Job(
                            dataset,
                            options.rows,
                            options.folds,
                            str(folder(options, dataset)),
                            ANY if shared else setting,
                            inputs_ == "keep",
                            point,
                            seed,
                            fold,
                        )
                        found[job.key] = job
    return list(found.values())


def folder(options: argparse.Namespace, dataset: str) -> Path:
    """Return the store of a data set, or of a part of its rows or another number of folds."""
    name = dataset if options.rows is None else f"{dataset}-{options.rows}-rows"
    return options.store / (name if options.folds == 10 else f"{name}-{options.folds}-folds")


def _has(dataset: str, setting: str) -> bool:
    return setting == "all" or setting in PLANS[dataset].short


def open_store(job: Job) -> Store:
    """Open the store of a job; it refuses another data set or split."""
    data = load_task(job.dataset, job.rows).data
    study = {"rows": len(data.frame), "fingerprint": fingerprint(data), "folds": job.folds}
    return Store(job.store, study)


def missing(store: Store, job: Job, retry: bool) -> bool:
    """Tell whether a fit is to be made."""
    if not store.done(job.key, _plain(job.point.parameters)):
        return True
    again = retry and bool(store.configuration(job.key)["failure"])
    if again:
        store.set_aside(job.key)
    return again


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(dict(parameters), default=repr))


def make(job: Job) -> str:
    """Make one fit and write it to the store; return a line that says how it went."""
    task = load_task(job.dataset, job.rows)
    of = problem(task, job.setting, job.keep, job.folds, job.seed, job.fold)
    run = {OURS: ours, **METHODS, **POLICIES}[job.point.method]
    columns: dict[str, Any] = {"row": of.rows[TEST], "fold": np.int32(job.fold)}
    readings, failure, fit = [], "", None
    start = _clock()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            for reading in run(of, **job.point.parameters):
                fit = _since(start) if fit is None else fit
                readings.append(_read(reading, columns, fit))
        except Exception as error:  # a peer may fail in any way: that is a result
            failure = _reason(error)
    configuration = {
        "parameters": _plain(job.point.parameters),
        "dataset": job.dataset,
        "setting": job.setting,
        "inputs": "keep" if job.keep else "drop",
        "method": job.point.method,
        "label": job.point.label,
        "seed": job.seed,
        "fold": job.fold,
        **_seconds(_since(start)),
        "rows_trained": len(of.rows[TRAINING]),
        "failure": failure,
        "readings": readings,
        "warnings": list(dict.fromkeys(str(one.message)[:300] for one in caught))[:5],
        "versions": _versions(),
    }
    open_store(job).write(job.key, pd.DataFrame(columns), configuration)
    return f"{job.key}: {configuration['seconds']:.1f} s {failure}".rstrip()


def _read(reading: Reading, columns: dict[str, Any], fit: np.ndarray) -> dict[str, Any]:
    """Take a reading's decisions; its seconds are those of the fit and its own."""
    start = _clock()
    name = f"{reading.method}|{reading.point}|{reading.setting}"
    failure = ""
    try:
        decided = reading.decide()
        columns[f"decision|{name}"] = decided.decision
        if decided.score is not None:
            columns[f"score|{name}"] = np.asarray(decided.score, np.float32)
    except Exception as error:
        failure = _reason(error)
    names = {key: getattr(reading, key) for key in ("method", "point", "setting", "needs_s")}
    return {**names, "name": name, **_seconds(fit + _since(start)), "failure": failure}


def _clock() -> np.ndarray:
    """Return the time on the wall and of the processor, (2,), in seconds."""
    return np.array([time.perf_counter(), time.process_time()])


def _since(start: np.ndarray) -> np.ndarray:
    return _clock() - start


def _seconds(taken: np.ndarray) -> dict[str, float]:
    return dict(zip(("seconds", "cpu_seconds"), taken.round(3).tolist(), strict=True))


def _reason(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text} ({Path(place.filename).name})"


def _versions() -> dict[str, str]:
    found = {"pyfairme": pf.__version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--dataset", nargs="+", choices=list(PLANS), default=["adult"])
    usual = [OURS, *(name for name in METHODS if name not in APART)]
    add("--methods", nargs="+", choices=[OURS, *METHODS, *POLICIES], default=usual)
    add("--attributes", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    add("--inputs", nargs="+", choices=["drop", "keep"], default=["drop", "keep"])
    add("--variant", nargs="+", default=["medl_adb"], help="names or JSON files")
    add("--weights", nargs="+", type=float, default=list(WEIGHTS))
    add("--points", nargs="+", help="labels of the points to make, such as 0.02 (a bound)")
    add("--seeds", nargs="+", type=int, default=[0, 1, 2], help="the seeds themselves")
    add("--folds", type=int, default=10)
    add("--turns", type=int, help="only so many of the rotations, to see how long they take")
    add("--rows", type=int, help="a random part of the rows")
    add("--n-jobs", type=int, default=1)
    add("--n-boot", type=int, default=200)
    add("--store", type=Path, default=Path("runs/frontier"))
    add("--page", type=Path, help="page of the docs whose tables and pictures are replaced")
    add("--retry-failed", action="store_true")
    add("--table-only", action="store_true")
    return parser.parse_args(arguments)


def main() -> None:
    """Make the fits that are missing, then tables and pictures of all that are there."""
    options = parse()
    for dataset in options.dataset:
        if not options.table_only:
            every = jobs(options, dataset)
            store = open_store(every[0])
            todo = [job for job in every if missing(store, job, options.retry_failed)]
            store.warn_of_damage()
            print(f"{dataset}: {len(every)} fits, {len(todo)} to make", flush=True)
            work = Parallel(options.n_jobs, return_as="generator_unordered")
            for number, line in enumerate(work(delayed(make)(job) for job in todo), 1):
                print(f"[{number}/{len(todo)}] {line}", flush=True)
        write_results(
            load_task(dataset, options.rows),
            folder(options, dataset),
            folds=options.turns or options.folds,
            n_boot=options.n_boot,
            page=options.page,
            command=f"python tests/benchmarks/frontier.py {' '.join(sys.argv[1:])}",
        )


if __name__ == "__main__":
    main()
