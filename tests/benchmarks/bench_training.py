"""Training speed on Adult against scikit-learn, compile times and import time, in one run.

    make bench            # or: python tests/benchmarks/bench_training.py [--json FILE]

Rows per second are training rows passed through one optimisation step each (batch 256, widths
64-32), measured on compiled code; every round times scikit-learn's ``MLPClassifier`` beside ours,
so that a ratio compares neighbours in time. scikit-learn is timed with all threads and with one
(its matrices are small: one is often faster), and the faster of the two is its figure. The median
over rounds is quoted: machines are noisy.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from statistics import median

import jax
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

import pyfairme as pf
from pyfairme.data import Design, Schema
from pyfairme.estimators import estimator_keywords
from pyfairme.inference.compiled_steps import Pace, engine
from pyfairme.inference.svi import bucket, pad
from pyfairme.model.likelihoods import Bernoulli
from pyfairme.model.program import Totals

ROUNDS = 7
STEPS = 200
STACK = "jax, numpyro, sklearn, pandas"
BATCH = 256
TARGETS = {"medl": 1.3, "medl_adb": 0.75}

MODELS = {
    "medl": {**pf.VARIANTS["medl"]},
    "medl, intercepts only": {**pf.VARIANTS["medl"], "random_slopes": None},
    "medl_adb": {**pf.VARIANTS["medl_adb"]},
}


def adult_rows():
    """Seen rows of Adult: frame, target and schema."""
    adult = pf.datasets.load_adult()
    seen = adult.frame["occupation"].isin(adult.frame["occupation"].value_counts().index[:6])
    return adult.frame[seen], adult.target[seen].to_numpy(), adult.schema


def prepare(frame, y, schema, keywords):
    """Return one model's compiled engine and what its training chunk needs."""
    estimator = pf.FairMixedEffectsClassifier("occupation", schema.sensitive, **keywords)
    params = estimator.get_params(deep=False)
    roles = Schema.infer(frame, cluster=("occupation",), sensitive=schema.sensitive)
    terms = estimator_keywords.slope_terms(params["random_slopes"], ("occupation",))
    design = Design.fit(frame, roles, slopes=terms)
    batch = design.encode(frame, y=y)
    spec = estimator_keywords.model_spec(params, design, Bernoulli())
    objective = estimator_keywords.objective(params, spec, batch)
    table = jax.tree.map(jax.numpy.asarray, pad(batch, bucket(len(y))))
    return engine(spec, "mean_field"), table, objective, batch


def start(machine, table, objective, rows):
    """Compile the start and one chunk, and return a function that trains one more chunk."""
    index = np.random.default_rng(0).integers(0, rows, (STEPS, BATCH)).astype(np.int32)
    pace, totals = Pace(1e-3, 1e6, 0.2), Totals(float(rows), float(BATCH))
    state = machine.init(jax.random.key(0), table, objective)

    def chunk() -> float:
        nonlocal state
        begun = time.perf_counter()
        state, _ = machine.run(state, index, table, objective, totals, pace)
        jax.block_until_ready(state.step)
        return time.perf_counter() - begun

    chunk()
    return chunk


def scikit_learn(x, y):
    """Return a function that trains scikit-learn's network for one epoch and its seconds."""
    network = MLPClassifier((64, 32), batch_size=BATCH, max_iter=1, warm_start=True, shuffle=True)

    def epoch(threads: int | None) -> float:
        with warnings.catch_warnings(), threadpool_limits(threads):
            warnings.simplefilter("ignore", ConvergenceWarning)
            begun = time.perf_counter()
            network.fit(x, y)
            return time.perf_counter() - begun

    epoch(1)
    return lambda: min(epoch(1), epoch(None))


def cold_compile(variant: str) -> float:
    """Seconds from an empty cache to the first trained chunk, in a fresh process."""
    code = (
        "import time; from tests.benchmarks import bench_training as b; "
        f"frame, y, schema = b.adult_rows(); "
        f"m, t, w, _ = b.prepare(frame, y, schema, b.MODELS[{variant!r}]); "
        "begun = time.perf_counter(); b.start(m, t, w, len(y)); print(time.perf_counter() - begun)"
    )
    return float(_python(code))


def import_seconds() -> tuple[float, float]:
    """Seconds to import the stack, then pyfairme on top of it: medians of seven processes."""
    code = (
        f"import time; a = time.perf_counter(); import {STACK}; b = time.perf_counter(); "
        "import pyfairme; print(b - a, time.perf_counter() - b)"
    )
    found = [[float(part) for part in _python(code).split()] for _ in range(7)]
    return median(pair[0] for pair in found), median(pair[1] for pair in found)


def _python(code: str) -> str:
    root = Path(__file__).resolve().parents[2]
    own = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}  # as users import
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=own, capture_output=True, text=True, check=True
    )
    return done.stdout.strip().splitlines()[-1]


def main() -> None:
    """Run everything and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    args = parser.parse_args()
    frame, y, schema = adult_rows()
    chunks, encoded = {}, None
    for name, keywords in MODELS.items():
        machine, table, objective, encoded = prepare(frame, y, schema, keywords)
        chunks[name] = start(machine, table, objective, len(y))
    epoch = scikit_learn(encoded.x, encoded.y)
    speed = {name: [] for name in (*chunks, "scikit-learn")}
    ratio = {name: [] for name in chunks}
    for _ in range(ROUNDS):
        for name, chunk in chunks.items():
            theirs = len(y) / epoch()
            ours = STEPS * BATCH / chunk()
            speed[name].append(ours)
            speed["scikit-learn"].append(theirs)
            ratio[name].append(ours / theirs)
    compiled = cold_compile("medl_adb")
    theirs, ours = import_seconds()
    figures = {
        "rows": len(y),
        "columns": encoded.x.shape[1],
        "rows_per_second": {name: round(median(values)) for name, values in speed.items()},
        "ratio": {name: round(median(values), 2) for name, values in ratio.items()},
        "cold_compile_medl_adb_s": round(compiled, 2),
        "import_pyfairme_on_top_s": round(ours, 2),
        "import_stack_s": round(theirs, 2),
    }
    print(f"Adult, {len(y)} rows x {encoded.x.shape[1]} columns, batch {BATCH}, widths 64-32")
    print(f"{'model':<24}{'rows/s':>12}{'ratio to scikit-learn':>24}{'target':>9}")
    for name, value in figures["rows_per_second"].items():
        against = figures["ratio"].get(name, 1.0)
        print(f"{name:<24}{value:>12,}{against:>24.2f}{TARGETS.get(name, ''):>9}")
    print(f"cold compile of medl_adb: {compiled:.2f} s (target 6)")
    print(f"import of its stack {theirs:.2f} s, of pyfairme on top {ours:.2f} s (target 0.3)")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
