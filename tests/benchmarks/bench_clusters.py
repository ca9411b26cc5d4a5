"""What a training step costs with 10, 1,000 and 100,000 clusters, in one run.

    python tests/benchmarks/bench_clusters.py [--json FILE] [--rows N]

Random intercepts, 20 covariates, widths 64-32, batch 4096, ``unseen="population"``: the model that
many clusters call for, without a cluster adversary and with one. Compiled code only; every round
times all models one after the other, so that a ratio compares neighbours in time, and the median
over rounds is quoted, beside the ratio of the fastest rounds, which a busy machine disturbs least.
Memory is what XLA reserves for a chunk of steps: the state (parameters and
Adam's moments) and its working space, without the table of rows.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import jax
import numpy as np
import pandas as pd

import pyfairme as pf
from pyfairme.data import Design, Schema
from pyfairme.estimators import estimator_keywords
from pyfairme.inference.compiled_steps import Pace, engine
from pyfairme.inference.svi import bucket, pad
from pyfairme.model.likelihoods import Bernoulli
from pyfairme.model.program import Totals

CLUSTERS = (10, 1_000, 100_000)
COVARIATES = 20
BATCH = 4096
STEPS = 20
ROUNDS = 15
TARGETS = {False: 1.5, True: 2.0}
MODELS = [(clusters, adversary) for adversary in TARGETS for clusters in CLUSTERS]


def make_rows(rows, clusters, seed=0):
    """Rows of a logistic model with an intercept per cluster; every cluster has one at least."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, COVARIATES), dtype=np.float32)
    codes = np.concatenate([np.arange(clusters), rng.integers(0, clusters, rows - clusters)])
    link = x[:, 0] - x[:, 1] + rng.normal(size=clusters)[codes]
    frame = pd.DataFrame(x, columns=[f"x{j}" for j in range(COVARIATES)])
    frame["cluster"] = codes
    return frame, (rng.uniform(size=rows) < 1 / (1 + np.exp(-link))).astype(np.int32)


def prepare(rows, clusters, adversary):
    """Return a function that trains one more chunk, and the bytes that a chunk needs."""
    frame, y = make_rows(rows, clusters)
    model = pf.FairMixedEffectsClassifier(
        "cluster", cluster_weight=0.1 * adversary, unseen="population"
    )
    params = model.get_params(deep=False)
    design = Design.fit(frame, Schema.infer(frame, cluster=("cluster",)))
    batch = design.encode(frame, y=y)
    spec = estimator_keywords.model_spec(params, design, Bernoulli())
    objective = estimator_keywords.objective(params, spec, batch)
    # `train` leaves out an idle adversary of many clusters only; here 10 clusters have none either,
    # or they would look slow beside 100,000
    spec = spec if adversary else replace(spec, adversaries=())
    totals = Totals(float(rows), float(BATCH))
    machine = engine(spec, "mean_field")
    table = jax.tree.map(jax.numpy.asarray, pad(batch, bucket(rows)))
    index = np.random.default_rng(1).integers(0, rows, (STEPS, BATCH)).astype(np.int32)
    pace = Pace(1e-3, 1e6, 0.2)
    state = machine.init(jax.random.key(0), table, objective)
    inputs = (index, table, objective, totals, pace)
    space = machine.run.lower(state, *inputs).compile().memory_analysis()
    held = sum(a.nbytes for a in jax.tree.leaves((state.params, state.adam)))

    def chunk() -> float:
        nonlocal state
        begun = time.perf_counter()
        state, _ = machine.run(state, *inputs)
        jax.block_until_ready(state.step)
        return (time.perf_counter() - begun) / STEPS

    chunk()
    return chunk, held + space.temp_size_in_bytes


def main() -> None:
    """Run everything and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--rows", type=int, default=500_000)
    args = parser.parse_args()
    prepared = {model: prepare(args.rows, *model) for model in MODELS}
    seconds = {model: [] for model in MODELS}
    for _ in range(ROUNDS):
        for model, (chunk, _) in prepared.items():
            seconds[model].append(chunk())
    figures = []
    for model in MODELS:
        own, first = seconds[model], seconds[CLUSTERS[0], model[1]]
        figures.append(
            {
                "clusters": model[0],
                "cluster_adversary": model[1],
                "step_ms": round(1e3 * median(own), 2),
                "ratio": round(median(a / b for a, b in zip(own, first, strict=True)), 2),
                "ratio_of_fastest": round(min(own) / min(first), 2),
                "wanted": TARGETS[model[1]],
                "megabytes": round(prepared[model][1] / 1e6, 2),
            }
        )
    print(f"{args.rows:,} rows x {COVARIATES} columns, batch {BATCH}, random intercepts")
    print(pd.DataFrame(figures).to_string(index=False))
    print(f"wanted: the ratio at {CLUSTERS[-1]:,} clusters, at most")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
