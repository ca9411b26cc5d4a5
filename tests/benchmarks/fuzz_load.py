"""Hundreds of thousands of damaged and forged model files, given to `load`.

    python tests/benchmarks/fuzz_load.py [--mutants 240000] [--seed 0] [--only plain]

A mutant is a small saved model with plain damage (flipped, lost, foreign bytes; odd zip headers),
a forgery whose checksums are right (its structure, its JSON, its arrays), or a bomb (small as a
file, large when read). Each is loaded in a worker process that counts: what came (the same model,
another model, or an error by its code), the time, and the peak of what Python and NumPy allocated.
It fails when an error is none of `ERRORS`, when one takes longer than 5 s, when one allocates more
than three times its size and 8 MiB, or when plain damage loads as another model.
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
import tempfile
import time
import tracemalloc
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

import pyfairme as pf
from pyfairme.estimators.saved_state import to_state
from tests import mutants

ERRORS = {"damaged-file", "no-model-file", "newer-format", "other-kind-of-file"}
SECONDS, TIMES, FLOOR = 5.0, 3, 2**23

KINDS = {
    "plain": (0.30, None),
    "directory": (0.08, None),
    "structure": (0.30, mutants.in_the_structure),
    "text": (0.14, mutants.in_the_text),
    "arrays": (0.16, mutants.in_the_arrays),
    "bomb": (0.02, None),
}


class TooSlow(BaseException):
    """Raised by the alarm; nothing in `load` catches it."""


def model(seed: int) -> Any:
    """Return a small fitted classifier with every kind of role."""
    data = pf.datasets.make_clustered(
        rows=80, clusters=3, sensitive_levels=(2, 2), random_state=seed
    )
    frame = data.frame.assign(age=np.arange(80.0) % 40, word=np.array(["a", "b", "c", "d"] * 20))
    bracket = pf.Binned("age", (20,), name="bracket")
    keywords: dict[str, Any] = {"hidden": (), "epochs": 1, "min_steps": 20, "progress": False}
    return pf.FairMixedEffectsClassifier(
        "cluster", ["group1", bracket, ("group1", "group2")], guide="mean_field",
        random_slopes=["x1"], fairness="moment", random_state=0, **keywords,
    ).fit(frame, data.target)  # fmt: skip


def small(estimator: Any) -> Any:
    """Keep four draws of the posterior: the file has little but its structure."""
    fit = estimator.fit_
    estimator.fit_ = replace(fit, draws={name: value[:, :4] for name, value in fit.draws.items()})
    return estimator


def written(value: Any) -> Any:
    """Return a state as text in which arrays are written whole."""
    if isinstance(value, dict):
        return [(name, written(item)) for name, item in value.items()]
    if isinstance(value, list | tuple):
        return [written(item) for item in value]
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    return repr(value)


def attempt(path: Path, content: bytes, whole: Any) -> tuple[str, float, int]:
    """Load one file; return what came, the seconds, and the peak of allocated bytes."""
    path.write_bytes(content)
    tracemalloc.start()
    start = time.perf_counter()
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        found = pf.load(path)
        outcome = ""
    except TooSlow:
        outcome = "HANG"
    except (ValueError, OSError) as error:
        code = re.search(r"\[([a-z-]+)\]$", str(error))
        outcome = code[1] if code and code[1] in ERRORS else f"RAW {type(error).__name__}: {error}"
    except BaseException as error:
        outcome = f"RAW {type(error).__name__}: {str(error)[:200]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    seconds, peak = time.perf_counter() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    if not outcome:
        outcome = "same" if written(to_state(found)) == whole else "another model"
    return outcome, seconds, peak


def mutant(kind: str, content: bytes, random: Random) -> tuple[str, bytes]:
    """Return the name of a mutation and a file."""
    if kind == "plain":
        return kind, mutants.plain(content, random)
    if kind == "directory":
        return kind, mutants.in_the_directory(content, random)
    config, tensors = FOUND["parts"]
    make = random.choice(mutants.BOMBS) if kind == "bomb" else KINDS[kind][1]
    return make.__name__, make(config, tensors, random)


FOUND: dict[str, Any] = {}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--mutants", type=int, default=240_000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--only", choices=KINDS)
    options.add_argument("--keep", type=Path, help="folder for the files that fail")
    given = options.parse_args()
    folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    whole = small(model(given.seed))
    whole.save(folder / "whole")
    content = (folder / "whole").read_bytes()
    FOUND["parts"] = mutants.parts(folder / "whole")
    whole = written(to_state(pf.load(folder / "whole")))
    print(f"a file of {len(content)} bytes, {given.mutants} mutants, seed {given.seed}", flush=True)

    def alarm(*_: Any) -> None:
        raise TooSlow

    signal.signal(signal.SIGALRM, alarm)
    failures, outcomes, longest, ratio, largest = [], Counter(), 0.0, 0.0, 0
    start = time.monotonic()
    for kind, (share, _) in KINDS.items():
        if given.only not in (None, kind):
            continue
        random = Random(zlib.crc32(f"{given.seed}/{kind}".encode()))
        for number in range(round(given.mutants * (1 if given.only else share))):
            name, changed = mutant(kind, content, random)
            outcome, seconds, peak = attempt(folder / "mutant", changed, whole)
            if changed == content and outcome == "same":
                continue
            outcomes[name, outcome if not outcome.startswith("RAW") else "RAW"] += 1
            beyond = peak - TIMES * len(changed)
            longest, largest = max(longest, seconds), max(largest, peak)
            ratio = max(ratio, peak / len(changed) if len(changed) > FLOOR else 0.0)
            wrong = outcome.startswith(("RAW", "HANG")) or beyond > FLOOR
            wrong |= name in ("plain", "directory") and outcome == "another model"
            if wrong:
                failures.append((name, number, outcome, seconds, peak, len(changed)))
                print("FAILURE", *failures[-1], flush=True)
                if given.keep:
                    given.keep.mkdir(exist_ok=True)
                    (given.keep / f"{name}-{number}").write_bytes(changed)
    for (name, outcome), number in sorted(outcomes.items()):
        print(f"{name:20} {outcome:20} {number:8}")
    print(
        f"{sum(outcomes.values())} mutants, {len(failures)} failures, "
        f"{time.monotonic() - start:.0f} s; longest load {longest:.2f} s, largest peak "
        f"{largest / 2**20:.1f} MiB, of files above {FLOOR >> 20} MiB {ratio:.1f} times the file"
    )
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
