"""Damage to the store of a study: what of it is noticed, named, and mended.

    python tests/benchmarks/faults_store.py [--faults 200] [--searches 100] [--seed 0]

A study is made once. Then, again and again, a few files of a copy of its store are damaged at
random: a bit is flipped, the end is lost, a block is zeros, a file is deleted, emptied, exchanged
with another one, longer, or that of a study of other data. The same call then goes on with it. Each
damaged file must be named in the warning, each fit that it belongs to must be made anew, no other
fit may change, and all judged rows (now and then also the table of the study, which follows
from them) must equal those of the unbroken one, bit by bit. The database of a search gets flipped
bits in its used bytes.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import pyfairme as pf
import pyfairme.study
from pyfairme.study.crossval.store import judged_frame
from pyfairme.study.tuning.search_space import Real

LIGHT: dict[str, Any] = {
    "hidden": (4,), "epochs": 1, "min_steps": 30, "progress": False, "guide": "mean_field",
    "random_intercepts": False, "cluster_weight": 0.0, "unseen": "population",
    "fairness": "moment", "fairness_on": ("fixed",), "threshold": 0.4, "sensitive": ("group1",),
}  # fmt: skip
PROTOCOL: dict[str, Any] = {"seen": 3, "folds": 3, "n_boot": 2, "progress": False}
AT_ONCE = 5  # damaged files of one copy
SUFFIXES = (".json", ".parquet")
GONE = "both files of a fit deleted"  # as if it had not been made: nothing is left to be named
START = time.time_ns()


def dataset(seed: int) -> pf.datasets.Dataset:
    """Return a small table."""
    return pf.datasets.make_clustered(rows=200, clusters=4, covariates=2, random_state=seed)


def cross_validated(data: pf.datasets.Dataset, store: Path) -> pf.study.CrossValidation:
    """Compare two models, two seeds of three folds each."""
    models = {
        name: pf.FairMixedEffectsClassifier(**LIGHT, fairness_weight=weight)
        for name, weight in (("plain", 0.0), ("fair", 1.0))
    }
    return pf.study.cross_validate(models, data, **PROTOCOL, seeds=2, store=store)


def swept(data: pf.datasets.Dataset, store: Path) -> pf.study.CrossValidation:
    """Sweep three weights."""
    model = pf.FairMixedEffectsClassifier(**LIGHT)
    return pf.study.frontier(
        model, data, weights=[0, 0.1, 1], **PROTOCOL, seeds=1, store=store
    ).study


def rows_of(found: pf.study.CrossValidation) -> pd.DataFrame:
    """Return all that models said of all judged rows."""
    return pd.concat([
        judged_frame(run.judged, np.arange(len(run.judged.y)), seed).assign(model=model)
        for (model, seed), run in found.runs.items()
    ])  # fmt: skip


STUDIES: dict[str, Callable[[pf.datasets.Dataset, Path], pf.study.CrossValidation]] = {
    "cross_validate": cross_validated,
    "frontier": swept,
}


def flipped(path: Path, random: np.random.Generator, **_: Any) -> None:
    content = bytearray(path.read_bytes())
    content[random.integers(len(content))] ^= 1 << random.integers(8)
    path.write_bytes(content)


def cut(path: Path, random: np.random.Generator, **_: Any) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: random.integers(1, len(content))])


def zeros(path: Path, random: np.random.Generator, **_: Any) -> None:
    content = bytearray(path.read_bytes())
    length = int(random.integers(1, 512))
    start = int(random.integers(max(1, len(content) - length)))
    end = min(len(content), start + length)
    content[start:end] = bytes(end - start)
    path.write_bytes(content)


def emptied(path: Path, **_: Any) -> None:
    path.write_bytes(b"")


def deleted(path: Path, **_: Any) -> None:
    path.unlink()


def longer(path: Path, random: np.random.Generator, **_: Any) -> None:
    with path.open("ab") as file:
        file.write(random.bytes(int(random.integers(1, 100))))


def exchanged(path: Path, other: Path, **_: Any) -> None:
    """Exchange two files; both are damaged then."""
    one, two = path.read_bytes(), other.read_bytes()
    path.write_bytes(two)
    other.write_bytes(one)


def foreign(path: Path, store: Path, of_other_data: Path, **_: Any) -> None:
    shutil.copy(of_other_data / path.relative_to(store), path)


FAULTS: dict[str, tuple[Callable[..., None], int]] = {
    "bit flipped": (flipped, 8),
    "end lost": (cut, 4),
    "block of zeros": (zeros, 2),
    "emptied": (emptied, 1),
    "deleted": (deleted, 3),
    "longer": (longer, 1),
    "exchanged with another": (exchanged, 4),
    "of other data": (foreign, 2),
}


def files_of(store: Path) -> list[Path]:
    return sorted(
        path for path in store.rglob("*") if path.is_file() and path.suffix != ".aside"
    )  # fmt: skip


def damage(
    store: Path, of_other_data: Path, random: np.random.Generator, faults: int
) -> dict[Path, str]:
    """Damage some files and return which, and how."""
    files = files_of(store)
    chances = np.array([share for _, share in FAULTS.values()], float)
    harmed: dict[Path, str] = {}
    for _ in range(faults):
        path, other = (files.pop(random.integers(len(files))) for _ in range(2))
        name = str(random.choice(list(FAULTS), p=chances / chances.sum()))
        if "study.json" in (path.name, other.name) and name == "of other data":
            name = "bit flipped"  # a study.json of other data is another study, and refused
        before = path.read_bytes()
        while path.exists() and path.read_bytes() == before:  # a block of zeros may be there
            FAULTS[name][0](
                path, random=random, other=other, store=store, of_other_data=of_other_data
            )
        harmed[path] = name
        if name == "exchanged with another":
            harmed[other] = name
        else:
            files.append(other)
    for path in [path for path, name in harmed.items() if name == "deleted"]:
        if {harmed.get(path.with_suffix(suffix)) for suffix in SUFFIXES} <= {"deleted", GONE}:
            harmed[path] = GONE
    return harmed


def named(path: Path, store: Path, told: str) -> bool:
    """Tell whether a warning names a file, or the fit that it belongs to."""
    if path.name == "study.json":
        return "study.json" in told
    seed, fold = path.stem.removeprefix("seed").split("-fold")
    return f"{path.parent.name} seed {seed} fold {int(fold)}: " in told


def attacked(
    name: str, place: Path, faults: int, random: np.random.Generator
) -> tuple[Counter, Counter]:
    """Damage the store of one study until there are enough faults; count by kind."""
    study, data = STUDIES[name], dataset(1)
    whole, of_other_data, store = (place / part for part in ("whole", "other", "store"))
    right = study(data, whole)
    rows = rows_of(right)
    study(dataset(2), of_other_data)
    done, mended = Counter(), Counter()
    while done.total() < faults:
        shutil.rmtree(store, ignore_errors=True)
        shutil.copytree(whole, store)
        harmed = damage(store, of_other_data, random, AT_ONCE)
        untouched = {
            path: path.stat().st_mtime_ns
            for path in files_of(store)
            if path.name != "study.json" and not {path.with_suffix(s) for s in SUFFIXES} & {*harmed}
        }
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = study(data, store)
        told = " ".join(str(one.message) for one in caught if "[store-d" in str(one.message))
        same = rows_of(found).equals(rows)
        if done.total() % 40 == 0:
            same = same and found.frame.equals(right.frame)
            print(name, done.total(), flush=True)
        kept = all(path.stat().st_mtime_ns == at for path, at in untouched.items())
        for path, kind in harmed.items():
            done[kind] += 1
            made = path.exists() and path.stat().st_mtime_ns > START
            if (kind == GONE or named(path, store, told)) and made and same and kept:
                mended[kind] += 1
            else:
                print(name, kind, path.relative_to(store), named(path, store, told), made, same)
                print(told)
    return done, mended


def searched(storage: Path) -> pd.DataFrame:
    """Search two keywords and return the trials, with what was judged of each."""
    space = {"fairness_weight": Real(0.01, 3.0, log=True), "learning_rate": Real(1e-3, 1e-1)}
    found = pf.study.tune(
        pf.FairMixedEffectsClassifier(**LIGHT), dataset(1), space=space, trials=6, seen=3, folds=4,
        turns=2, name="search", storage=f"sqlite:///{storage}", max_cost=0.5, progress=False,
    )  # fmt: skip
    own = found.frame.drop(columns=["number", "seconds", "best", "on_frontier", "error"])
    return own.sort_values([*space]).reset_index(drop=True)


def outcome(storage: Path, right: pd.DataFrame) -> str:
    """Go on with a damaged search and tell what came."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = searched(storage)
        except ValueError as error:
            code = str(error).rpartition("[")[2].rstrip("]")
            return "refused" if code in ("tuning-storage", "other-study") else f"raw: {error}"
        except Exception as error:
            return f"raw: {type(error).__name__}: {error}"
    told = any("[trials-damaged]" in str(one.message) for one in caught)
    if found.equals(right):
        return "named, judged anew, same table" if told else "no effect on the table"
    return "named, judged anew, other points" if told else "taken wrong"


def attacked_search(place: Path, faults: int, random: np.random.Generator) -> Counter:
    """Flip bits in the database of a search; count what came of it."""
    whole, storage, found = place / "whole.db", place / "tune.db", Counter()
    right = searched(whole)
    content = np.frombuffer(whole.read_bytes(), np.uint8)
    used = np.flatnonzero(content)  # most of a small database is empty
    for number in range(faults):
        copy = content.copy()
        copy[random.choice(used)] ^= 1 << random.integers(8)
        storage.write_bytes(copy.tobytes())
        came = outcome(storage, right)
        if came not in OUTCOMES:
            print(number, came[:500], flush=True)
            came = came.partition(":")[0]
        found[came] += 1
    return found


OUTCOMES = (
    "named, judged anew, same table", "named, judged anew, other points", "refused",
    "no effect on the table",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=200, help="in each study")
    parser.add_argument("--searches", type=int, default=100, help="flipped bits in a search")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    lines = []
    for number, name in enumerate(STUDIES if options.faults else ()):
        with tempfile.TemporaryDirectory() as place:
            random = np.random.default_rng([options.seed, number])
            start = time.perf_counter()
            done, mended = attacked(name, Path(place), options.faults, random)
            print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
        lines += [
            {"study": name, "fault": kind, "files": done[kind], "mended": mended[kind]}
            for kind in (*FAULTS, GONE)
        ]
    bad = False
    if lines:
        frame = pd.DataFrame(lines)
        print(frame.to_string(index=False))
        print(frame.groupby("study")[["files", "mended"]].sum())
        bad = (frame["files"] != frame["mended"]).any()
    with tempfile.TemporaryDirectory() as place:
        random = np.random.default_rng([options.seed, 9])
        found = attacked_search(Path(place), options.searches, random)
    print(pd.Series(found, name="tune").to_string())
    if bad or found.keys() - {*OUTCOMES}:
        raise SystemExit("some damage was not mended")


if __name__ == "__main__":
    main()
