"""Processes killed outright at random moments: what of their files is lost, and what is half.

    python tests/benchmarks/faults_kills.py [--only fit predict] [--kills 40] [--seed 0]

Every command runs in a process of its own, with the command line's own function where there is one,
and gets SIGKILL: half of the times at a random moment of its run, half of the times about a
millisecond after it began a temporary file. Studies go on where they were, over and over, until
all of their fits are there. After each kill all files under a final name are read. Lost is a
finished piece (fit, trial, older file) that is not there as it was; half a file that is neither the
older one nor the new one, each whole. At the end each command runs once to its end: what it
leaves must be what an unbroken run leaves, and temporary files must be gone.

Processes are forked from one that has imported everything and computed nothing, to save time.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt  # noqa: F401 (before the fork)
import numpy as np
import pandas as pd

import pyfairme as pf
import pyfairme.report
import pyfairme.study
from pyfairme.cli.app import app
from pyfairme.study.crossval.checksummed_json import Untrusted, read_checked
from tests.benchmarks.faults_store import LIGHT, dataset, rows_of

ROLES = ["--target", "repaid", "--cluster", "branch", "--sensitive", "gender"]
QUICK = ["--hidden", "none", "--epochs", "1", "--min-steps", "30"]
PATIENCE = 600.0


def table(rows: int, seed: int) -> pd.DataFrame:
    """Return a made-up table of loans."""
    made = pf.datasets.make_clustered(
        rows=rows, clusters=6, covariates=2, random_state=seed, sensitive_levels=(2,)
    )
    names = {"cluster": "branch", "group1": "gender"}
    return made.frame.rename(columns=names).assign(repaid=made.target.map({0: "no", 1: "yes"}))


def command(*arguments: Any) -> None:
    """Run the command line as the terminal does."""
    sys.argv = ["pyfairme", *map(str, arguments)]
    app(standalone_mode=False)


# --- what runs, each in a folder --------------------------------------------------------------


def cross_validate(folder: Path) -> None:
    models = {
        name: pf.FairMixedEffectsClassifier(**LIGHT, fairness_weight=weight)
        for name, weight in (("plain", 0.0), ("fair", 1.0))
    }
    shared: dict[str, Any] = {"seen": 3, "folds": 3, "seeds": 2, "n_boot": 2}
    found = pf.study.cross_validate(
        models, dataset(3), **shared, store=folder / "store", progress=False
    )
    rows_of(found).to_pickle(folder / "found.pickle")


def frontier(folder: Path) -> None:
    model = pf.FairMixedEffectsClassifier(**LIGHT)
    shared: dict[str, Any] = {"seen": 3, "folds": 3, "seeds": 1, "n_boot": 2}
    found = pf.study.frontier(
        model, dataset(3), weights=[0, 0.1, 1], **shared, store=folder / "store", progress=False
    )
    rows_of(found.study).to_pickle(folder / "found.pickle")


def tune(folder: Path) -> None:
    command(
        "tune", folder / "loans.csv", *ROLES, "--settings", folder / "settings.json", "--out",
        folder / "out", "--trials", 6, "--folds", 3, "--search", "fairness_weight,learning_rate",
    )  # fmt: skip


def reproduce(folder: Path) -> None:
    command("reproduce", "adult", "--quick", "--variants", "nnet", "--jobs", 1, "--out",
            folder / "out")  # fmt: skip


def fit(folder: Path) -> None:
    command("fit", folder / "loans.csv", *ROLES, *QUICK, "--out", folder / "loans.pyfairme",
            "--held-out-rows", folder / "held.csv.gz")  # fmt: skip


def predict(folder: Path) -> None:
    command("predict", folder / "m.pyfairme", folder / "many.csv", "--out", folder / "found.csv")


def report(folder: Path) -> None:
    command("report", folder / "m.pyfairme", folder / "loans.csv", "--target", "repaid", "--out",
            folder / "out")  # fmt: skip


def save(folder: Path) -> None:
    models = [pf.load(folder / f"{name}.pyfairme") for name in ("m", "other")]
    for number in range(60):
        models[number % 2].save(folder / "saved.pyfairme")


# --- processes --------------------------------------------------------------------------------


def begin(work: Callable[[Path], None], folder: Path) -> int:
    """Start a process that does the work, in a group of its own."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setsid()
        log = os.open(folder.parent / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        work(folder)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def ended(child: int) -> bool:
    return os.waitpid(child, os.WNOHANG)[0] != 0


def whole(work: Callable[[Path], None], folder: Path) -> float:
    """Run the work to its end and return the seconds it took."""
    start = time.perf_counter()
    _, status = os.waitpid(begin(work, folder), 0)
    if status:
        raise SystemExit(f"{work.__name__} failed:\n{(folder.parent / 'log').read_text()}")
    return time.perf_counter() - start


def temporaries(folder: Path) -> list[Path]:
    return list(folder.rglob(".pyfairme-*.tmp"))


def killed(child: int, moment: float, writing: Callable[[], bool] | None) -> bool:
    """Kill a process; tell whether it still ran. ``moment`` counts from its start or writing."""
    deadline = time.perf_counter() + PATIENCE
    while writing is not None and not writing() and time.perf_counter() < deadline:
        if ended(child):
            return False
        time.sleep(0.0005)
    time.sleep(moment)
    if ended(child):
        return False
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


# --- what is looked at after a kill -----------------------------------------------------------

Pieces = dict[str, Any]  # finished pieces, each with what it holds


class Seen(NamedTuple):
    """Finished pieces, and files under a final name that are not whole."""

    pieces: Pieces
    half: list[str]


def in_store(folder: Path) -> Seen:
    """Read all fits of a store."""
    pieces, half = {}, []
    for path in sorted(folder.rglob("store/**/*.json")):
        try:
            record = read_checked(path)
        except Untrusted as error:
            half.append(str(error))
            continue
        content = path.read_bytes()
        if path.name != "study.json":
            there = path.with_suffix(".parquet").read_bytes()
            if hashlib.sha256(there).hexdigest() != record["table"]:
                half.append(path.name)
            content += there
        pieces[str(path.relative_to(folder))] = content
    for path in folder.rglob("store/**/*.parquet"):
        pd.read_parquet(path)  # raises if half
    return Seen(pieces, half)


def in_database(folder: Path) -> Seen:
    """Read all finished trials of a search; what it writes at the end are files like others."""
    path = folder / "out" / "tune.db"
    if not path.exists():
        return Seen({}, [])
    with sqlite3.connect(path, timeout=60) as database:
        if database.execute("pragma integrity_check").fetchone() != ("ok",):
            return Seen({}, ["tune.db"])
        names = {name for (name,) in database.execute("select name from sqlite_master")}
        if "trial_values" not in names:
            return Seen({}, [])
        finished = database.execute(
            "select trials.trial_id, number, state, value from trials join trial_values using "
            "(trial_id) where state in ('COMPLETE', 'PRUNED') order by 1, 4"
        ).fetchall()
        parameters = database.execute("select trial_id, param_name, param_value from trial_params")
        given: dict[int, list[Any]] = {}
        for number, *rest in parameters:
            given.setdefault(number, []).append(rest)
    database.close()
    return Seen({f"trial {line[0]}": (line, sorted(given[line[0]])) for line in finished}, [])


def among(good: Mapping[str, set[bytes]]) -> Callable[[Path], Seen]:
    """Return what compares files with all that they may whole hold."""

    def look(folder: Path) -> Seen:
        pieces, half = {}, []
        for name, contents in good.items():
            path = folder / name
            if not path.exists():
                continue
            if path.read_bytes() in contents:
                pieces[name] = "whole"
            else:
                half.append(name)
        return Seen(pieces, half)

    return look


def by_shape(folder: Path) -> Seen:
    """Compare files that hold seconds with those of an unbroken run: lines, the last sign."""
    half = [
        str(path.relative_to(folder))
        for path in written(folder)
        if shape(path) != SHAPES.get(str(path.relative_to(folder)))
    ]
    of_store = in_store(folder)
    return Seen(of_store.pieces, half + of_store.half)


def written(folder: Path) -> list[Path]:
    """Return what a command wrote into its folder, without its store and temporary files."""
    return [
        path
        for path in folder.rglob("out/**/*")
        if path.is_file() and "store" not in path.parts and not path.name.startswith(".pyfairme-")
    ]


def shape(path: Path) -> Any:
    content = path.read_bytes()
    if path.suffix == ".png":
        return content[-8:]  # the mark of its end
    return content.count(b"\n"), content[-1:]


SHAPES: dict[str, Any] = {}  # of the files of an unbroken run


# --- attacks ----------------------------------------------------------------------------------


class Attack(NamedTuple):
    """What is killed, how often, what is prepared before, and what is read after."""

    work: Callable[[Path], None]
    kills: int
    prepare: Callable[[Path], None]
    look: Callable[[Path], Seen]
    same: Callable[[Path, Path], bool]  # whether a finished folder is as the unbroken one
    processes: int = 1
    goes_on: bool = True  # finished pieces stay when it is started again


def nothing(folder: Path) -> None:
    pass


def with_table(folder: Path) -> None:
    table(300, 1).to_csv(folder / "loans.csv", index=False)
    (folder / "settings.json").write_text(
        '{"hidden": [], "epochs": 1, "min_steps": 30, "guide": "mean_field"}'
    )


def with_models(folder: Path) -> None:
    """Copy what one process has made for all."""
    for path in MADE.iterdir():
        shutil.copy(path, folder)


MADE = Path()


def make(folder: Path) -> None:
    """Make tables and two models, in a process of its own."""
    with_table(folder)
    table(4000, 2).to_csv(folder / "many.csv", index=False)
    for name, seed in (("m", 0), ("other", 1)):
        command("fit", folder / "loans.csv", *ROLES, *QUICK, "--seed", seed, "--out",
                folder / f"{name}.pyfairme")  # fmt: skip


def same_frame(one: Path, two: Path) -> bool:
    frames = [pd.read_pickle(folder / "found.pickle") for folder in (one, two)]
    return frames[0].equals(frames[1])


def as_many_trials(one: Path, two: Path) -> bool:
    """A killed search draws other points afterwards; it ends with as many that count."""
    frames = [pd.read_csv(folder / "out" / "trials.csv") for folder in (one, two)]
    return len(frames[0]) == len(frames[1])


def same_results(one: Path, two: Path) -> bool:
    return all(
        (one / "out" / name).read_bytes() == (two / "out" / name).read_bytes()
        for name in ("results.csv", "tests.csv")
        if (one / "out" / name).exists()
    ) and (one / "out" / "results.csv").exists()  # fmt: skip


def same_bytes(*names: str) -> Callable[[Path, Path], bool]:
    def same(one: Path, two: Path) -> bool:
        return all((one / name).read_bytes() == (two / name).read_bytes() for name in names)

    return same


def same_reports(one: Path, two: Path) -> bool:
    names = [path.name for path in (one / "out").iterdir()]
    return all(
        (one / "out" / name).read_bytes() == (two / "out" / name).read_bytes() for name in names
    )


ATTACKS: dict[str, Attack] = {
    "cross_validate": Attack(cross_validate, 20, nothing, in_store, same_frame),
    "frontier": Attack(frontier, 14, nothing, in_store, same_frame),
    "tune": Attack(tune, 14, with_table, in_database, as_many_trials, processes=2),
    "reproduce": Attack(reproduce, 6, nothing, by_shape, same_results),
    "fit": Attack(fit, 12, with_models, nothing, same_bytes("loans.pyfairme"), goes_on=False),
    "predict": Attack(predict, 20, with_models, nothing, same_bytes("found.csv"), goes_on=False),
    "report": Attack(report, 12, with_models, nothing, same_reports, goes_on=False),
    "save": Attack(save, 30, with_models, nothing, same_bytes("saved.pyfairme"), goes_on=False),
}  # fmt: skip
OUTPUTS = {"fit": ["loans.pyfairme", "held.csv.gz"], "predict": ["found.csv"],
           "save": ["saved.pyfairme"]}  # fmt: skip


def attacked(name: str, attack: Attack, folder: Path, random: np.random.Generator) -> Counter:
    """Kill one command as often as said, and count."""
    unbroken = folder / "unbroken" / "here"
    unbroken.mkdir(parents=True)
    attack.prepare(unbroken)
    seconds = whole(attack.work, unbroken)
    SHAPES.update({str(path.relative_to(unbroken)): shape(path) for path in written(unbroken)})
    found, round_ = Counter(), 0
    while found["kills"] < attack.kills:
        here = folder / str(round_) / "here"
        here.mkdir(parents=True)
        attack.prepare(here)
        look = attack.look
        if not attack.goes_on:
            look = among(allowed(name, unbroken, here))
        one_round(attack, here, look, seconds, random, found, name)
        whole(attack.work, here)
        found["not as unbroken"] += not attack.same(unbroken, here)
        found["leftovers"] += len(temporaries(here))
        shutil.rmtree(here.parent)
        round_ += 1
    return found


def allowed(name: str, unbroken: Path, here: Path) -> dict[str, set[bytes]]:
    """Return what files may hold: the new content, or an older one, which is put there now."""
    outputs = OUTPUTS.get(name) or [
        str(path.relative_to(unbroken)) for path in (unbroken / "out").iterdir()
    ]
    good = {}
    for file in outputs:
        old = b"older, and good\n" * 400
        (here / file).parent.mkdir(exist_ok=True)
        (here / file).write_bytes(old)
        good[file] = {old, (unbroken / file).read_bytes()}
    if name == "save":
        good["saved.pyfairme"] |= {(here / f"{m}.pyfairme").read_bytes() for m in ("m", "other")}
    return good


def one_round(
    attack: Attack,
    here: Path,
    look: Callable[[Path], Seen],
    seconds: float,
    random: np.random.Generator,
    found: Counter,
    name: str,
) -> None:
    """Start and kill until the work is done, or, where nothing is kept, ten times."""
    for turn in range(10**6):
        if found["kills"] >= attack.kills or (not attack.goes_on and turn == 10):
            return
        before = look(here).pieces
        older = set(temporaries(here))
        beside = begin(attack.work, here) if attack.processes == 2 else None
        child = begin(attack.work, here)
        at_writing = found["kills"] % 2 == 1 and name != "tune"
        moment = random.exponential(0.001) if at_writing else random.uniform(0, seconds)

        def writing(older: set[Path] = older) -> bool:
            return bool(set(temporaries(here)) - older)

        hit = killed(child, moment, writing if at_writing else None)
        if beside is not None:  # the other goes on for a moment without it, and is killed as well
            hit = killed(beside, random.uniform(0, seconds / 8), None) or hit
        after = look(here)
        found["kills"] += hit
        found["at writing"] += hit and at_writing
        found["lost"] += sum(after.pieces.get(piece) != holds for piece, holds in before.items())
        found["half"] += len(after.half)
        found["temporary files"] += len(set(temporaries(here)) - older)
        if after.half:
            print(name, "half:", after.half, flush=True)
        if not hit:
            return


def main() -> None:
    global MADE
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[*ATTACKS], choices=[*ATTACKS])
    parser.add_argument("--kills", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory() as place:
        MADE = Path(place) / "made" / "made"
        MADE.mkdir(parents=True)
        whole(make, MADE)
        for number, (name, attack) in enumerate(ATTACKS.items()):
            if name not in options.only:
                continue
            if options.kills:
                attack = attack._replace(kills=options.kills)
            start = time.perf_counter()
            random = np.random.default_rng([options.seed, number])
            found = attacked(name, attack, Path(place) / str(number), random)
            lines.append({"command": name, **{column: found[column] for column in COLUMNS}})
            print(lines[-1], f"{time.perf_counter() - start:.0f} s", flush=True)
    frame = pd.DataFrame(lines)
    total = frame.drop(columns="command").sum()
    frame.loc[len(frame)] = ["all", *total]
    print(frame.to_string(index=False))
    if total[["lost", "half", "not as unbroken", "leftovers"]].any():
        raise SystemExit("files were lost, or are half")


COLUMNS = (
    "kills", "at writing", "lost", "half", "temporary files", "not as unbroken", "leftovers"
)  # fmt: skip

if __name__ == "__main__":
    main()
