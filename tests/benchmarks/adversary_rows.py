"""Whether a cluster adversary learns as much from a part of the rows of a large batch.

    python tests/benchmarks/adversary_rows.py [--clusters 1000]

Made-up rows, 100 in each cluster, whose covariates tell the clusters apart; batch 4096, 1,000
steps. Cross-entropy of the adversary on a fifth of the rows, held out, by how many rows x classes
it sees in a step (None: all rows), and the seconds of the fit.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np
import pandas as pd

import pyfairme as pf
from pyfairme.data import Design, Schema
from pyfairme.data.batch import some_rows
from pyfairme.estimators import estimator_keywords
from pyfairme.inference.svi import Schedule, fit
from pyfairme.model.likelihoods import Bernoulli

CELLS, WEIGHTS = (None, 2**18, 2**19, 2**20), (0.1, 1.0)


def main() -> None:
    """Fit, print one line each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--clusters", type=int, default=1000)
    clusters = parser.parse_args().clusters
    rng, rows = np.random.default_rng(0), 100 * clusters
    codes, means = rng.integers(0, clusters, rows), 2 * rng.normal(size=(clusters, 5))
    x = means[codes] + rng.normal(size=(rows, 5))
    y = (rng.uniform(size=rows) < 1 / (1 + np.exp(-x[:, 0]))).astype(int)
    frame = pd.DataFrame(x, columns=list("abcde")).assign(cluster=codes)
    design = Design.fit(frame, Schema.infer(frame, cluster=("cluster",)))
    batch = design.encode(frame, y=y)
    parts = some_rows(batch, slice(0, rows * 4 // 5)), some_rows(batch, slice(rows * 4 // 5, None))
    schedule = Schedule(epochs=30, min_steps=1000, batch_size=4096)
    print(f"{rows:,} rows, {clusters:,} clusters; chance {np.log(clusters):.3f}")
    for weight in WEIGHTS:
        model = pf.FairMixedEffectsClassifier("cluster", cluster_weight=weight, unseen="population")
        params = model.get_params(deep=False)
        spec = estimator_keywords.model_spec(params, design, Bernoulli())
        objective = estimator_keywords.objective(params, spec, batch)
        for cells in CELLS:
            begin = time.perf_counter()
            own = replace(spec, cells=cells)
            last = fit(own, "mean_field", *parts, objective, schedule, 0).history[-1]
            loss = last["validation/cluster_adversary/cluster"]
            seconds = time.perf_counter() - begin
            print(f"weight {weight}, cells {cells}: {loss:.4f}, {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
