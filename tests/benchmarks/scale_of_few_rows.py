"""The SD between clusters of a few binary rows, beside its exact posterior with the network known.

    python tests/benchmarks/scale_of_few_rows.py [--clusters 300] [--rows 5] [--sets 10]

Intercepts are drawn from Normal(0, 1). "exact" is the posterior mean of the SD where the fixed part
is the truth: what a fit cannot know better than. It is computed by quadrature over each intercept
and a grid of SDs, under the same HalfNormal prior. "laplace" has Laplace's method in its place.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logsumexp

import pyfairme as pf

SETTINGS: dict[str, dict[str, Any]] = {"default": {}, "none": {"network_posterior": "none"}}
GRID = np.exp(np.linspace(np.log(0.3), np.log(2.2), 80))
PRIOR = 1.5  # the scale of the HalfNormal of two classes
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(40)


def fixed(x: np.ndarray) -> np.ndarray:
    """Return the true fixed part (n,)."""
    return -0.3 + np.sin(1.5 * x[:, 0]) + 0.7 * x[:, 1] * (x[:, 2] > 0)


def quadrature(link: np.ndarray, y: np.ndarray, sd: float) -> float:
    """Return log p(y | SD) of links and outcomes (clusters, rows)."""
    eta = link[:, :, None] + sd * NODES
    each = (y[:, :, None] * eta - np.logaddexp(0, eta)).sum(axis=1)
    return float(logsumexp(each, axis=1, b=WEIGHTS / WEIGHTS.sum()).sum())


def laplace(link: np.ndarray, y: np.ndarray, sd: float) -> float:
    """Do the same by Laplace's method."""
    effect = np.zeros(len(link))
    for _ in range(30):
        p = expit(link + effect[:, None])
        bend = (p * (1 - p)).sum(axis=1) + sd**-2
        effect += ((y - p).sum(axis=1) - effect / sd**2) / bend
    eta = link + effect[:, None]
    height = (y * eta - np.logaddexp(0, eta)).sum(axis=1) - 0.5 * (effect / sd) ** 2
    return float((height - np.log(sd) - 0.5 * np.log(bend)).sum())


def posterior_mean(method: Any, link: np.ndarray, y: np.ndarray) -> float:
    """Return the posterior mean of the SD."""
    log_p = np.array([method(link, y, sd) for sd in GRID]) - 0.5 * (GRID / PRIOR) ** 2
    weight = np.exp(log_p - log_p.max()) * GRID  # the grid is even in log SD
    return float(weight @ GRID / weight.sum())


def judged(seed: int, clusters: int, rows: int) -> dict[str, float]:
    """Return the SD's posterior mean by each way, and how often effects' intervals hold them."""
    generator = np.random.default_rng([seed, clusters, rows])
    effect = generator.normal(0, 1, clusters)
    code = np.repeat(np.arange(clusters), rows)
    x = generator.normal(size=(len(code), 4))
    link = fixed(x)
    y = (generator.random(len(code)) < expit(link + effect[code])).astype(int)
    table = pd.DataFrame(x, columns=list("abcd")).assign(cluster=code.astype(str))
    shape = (clusters, rows)
    line: dict[str, float] = {"set": seed, "drawn": effect.std()}
    for method in (quadrature, laplace):
        name = "exact" if method is quadrature else "laplace"
        line[name] = posterior_mean(method, link.reshape(shape), y.reshape(shape))
    for name, keywords in SETTINGS.items():
        begin = time.process_time()
        model = pf.FairMixedEffectsClassifier(
            "cluster", progress=False, random_state=seed, **keywords
        ).fit(table, y)
        line[f"{name} seconds"] = time.process_time() - begin
        scales = model.variance_components_.set_index("factor")
        line[name] = float(scales.loc["cluster", "mean"])
        found = model.cluster_effects_
        true = effect[found["cluster"].astype(int)]
        held = (found["low"] <= true) & (true <= found["high"])
        line[f"{name} held"] = float(held.mean())
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--clusters", type=int, default=300)
    parser.add_argument("--rows", type=int, default=5)
    parser.add_argument("--sets", type=int, default=10)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    lines = []
    for seed in range(options.sets):
        lines.append(judged(seed, options.clusters, options.rows))
        print({name: round(value, 3) for name, value in lines[-1].items()}, flush=True)
    table = pd.DataFrame(lines).drop(columns="set")
    for name in ("laplace", *SETTINGS):
        table[f"{name} / exact"] = table[name] / table["exact"]
    print(pd.DataFrame({"mean": table.mean(), "se": table.sem()}).round(3).to_string())


if __name__ == "__main__":
    main()
