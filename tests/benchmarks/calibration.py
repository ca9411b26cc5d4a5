"""Simulation-based calibration (Talts et al. 2018) and coverage of every guide.

    python tests/benchmarks/calibration.py [--data-sets 500] [--guides block mean_field ...]

Parameters are drawn from the model's own priors, data from the model, and the posterior is found
as a fit finds it. If it is right, the rank of the true value among the draws is uniform and 90 %
intervals cover 90 %. Works below the estimators, which standardise a real target by its own data.
Each data set has 12 clusters to learn from, 4 new ones of which 5 rows are labelled (`adapt`) and
4 of which none is (`unseen="sample"`); every cluster has rows to predict.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from pyfairme.data import Batch
from pyfairme.inference import predictions
from pyfairme.inference.adaptation import adapt
from pyfairme.inference.fit_program import train
from pyfairme.inference.laplace.psis import RELIABLE, trusted
from pyfairme.inference.predictions import Fit, Query
from pyfairme.inference.svi import Schedule
from pyfairme.inference.unseen_effects import with_new_clusters
from pyfairme.model.effects import LKJ_CONCENTRATION, RandomEffects
from pyfairme.model.likelihoods import Bernoulli, Normal
from pyfairme.model.program import LAST_LAYER_SCALE, ModelSpec, Objective

CLUSTERS, NEW, ROWS, LABELLED, TEST = 12, 4, 10, 5, 3
COVARIATES = 2
BINS = 20
LEVEL = 0.9
GUIDES = ("block", "full_rank", "low_rank", "mean_field")


class Truth(NamedTuple):
    """Parameters drawn from the priors; ``effects`` (clusters, 1 + slopes)."""

    weights: np.ndarray
    bias: float
    scales: np.ndarray
    correlation: float
    residual_sd: float
    effects: np.ndarray


def spec_of(case: str) -> ModelSpec:
    """Return the model: a Normal one with correlated slopes, or a Bernoulli one with intercepts."""
    if case == "normal":
        factor = RandomEffects("cluster", CLUSTERS, slopes=(0,), correlated=True)
        return ModelSpec(Normal(), COVARIATES, factors=(factor,), fixed_loss=False, last_layer=True)
    factor = RandomEffects("cluster", CLUSTERS)
    return ModelSpec(Bernoulli(), COVARIATES, factors=(factor,), fixed_loss=False, last_layer=True)


def draw_truth(spec: ModelSpec, generator: np.random.Generator) -> Truth:
    """Draw parameters from the model's priors, written out by hand."""
    scale = spec.likelihood.effect_scale
    width = spec.factors[0].width
    tau = np.abs(generator.normal(0, scale, width))
    correlation = 0.0
    if width == 2:  # LKJ(eta) of one correlation: (rho + 1) / 2 ~ Beta(eta, eta)
        correlation = 2 * generator.beta(LKJ_CONCENTRATION, LKJ_CONCENTRATION) - 1
    covariance = np.diag(tau) @ (np.eye(width) + correlation * (1 - np.eye(width))) @ np.diag(tau)
    root = np.linalg.cholesky(covariance + 1e-12 * np.eye(width))
    return Truth(
        weights=generator.normal(0, LAST_LAYER_SCALE, COVARIATES),
        bias=float(generator.normal(0, LAST_LAYER_SCALE)),
        scales=tau,
        correlation=float(correlation),
        residual_sd=float(abs(generator.normal())),
        effects=generator.normal(size=(CLUSTERS + 2 * NEW, width)) @ root.T,
    )


def draw_rows(
    spec: ModelSpec, truth: Truth, codes: np.ndarray, generator: np.random.Generator
) -> tuple[Batch, np.ndarray]:
    """Draw rows of the clusters ``codes``, with the mean of every row's outcome."""
    x = generator.normal(size=(len(codes), COVARIATES))
    width = spec.factors[0].width
    design = np.column_stack([np.ones(len(codes)), x[:, : width - 1]])
    eta = truth.bias + x @ truth.weights + (design * truth.effects[codes]).sum(axis=1)
    if isinstance(spec.likelihood, Normal):
        mean, y = eta, generator.normal(eta, truth.residual_sd)
    else:
        mean = 1 / (1 + np.exp(-eta))
        y = (generator.random(len(codes)) < mean).astype(np.int32)
    batch = Batch(
        x=x.astype(np.float32),
        y=y.astype(np.float32) if isinstance(spec.likelihood, Normal) else y,
        cluster=codes[:, None].astype(np.int32),
        slopes=x[:, : width - 1].astype(np.float32),
        sensitive=np.zeros((len(codes), 0), np.int32),
        weight=np.ones(len(codes), np.float32),
        offset=np.zeros(len(codes), np.float32),
    )
    return batch, mean


def one_data_set(case: str, guide: str, number: int) -> list[dict[str, Any]]:
    """Simulate, fit, and compare: one line per parameter and per row predicted."""
    spec, generator = spec_of(case), np.random.default_rng([number, len(case)])
    truth = draw_truth(spec, generator)
    training, _ = draw_rows(spec, truth, np.repeat(np.arange(CLUSTERS), ROWS), generator)
    schedule = Schedule(epochs=1, min_steps=3000 if guide != "block" else 1000, learning_rate=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = train(
            spec, guide, training, None, Objective(), schedule, seed=number, infer=False
        ).fit
    lines = [
        {"kind": kind, "name": name, "true": true, "draws": draws}
        for kind, name, true, draws in parameters(spec, truth, fit)
    ]
    lines += judged_predictions(spec, truth, fit, generator, number)
    k, ess = (
        float(np.ravel(fit.quality.get(name, np.nan))[0]) for name in ("pareto_k", "relative_ess")
    )
    found = []
    for line in lines:
        draws = np.sort(np.asarray(line.pop("draws"), np.float64).ravel())
        low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        rank = np.searchsorted(draws, line["true"], side="right") / (len(draws) + 1)
        line |= {"rank": rank, "covered": float(low <= line["true"] <= high)}
        found.append(line | {"width": high - low, "data_set": number, "k": k, "ess": ess})
    return found


def parameters(spec: ModelSpec, truth: Truth, fit: Fit) -> Any:
    """Yield kind, name, true value and draws of every parameter that is judged."""
    draws = {name: value[0] for name, value in fit.draws.items()}
    for index in range(COVARIATES):
        yield "fixed", f"weight {index}", truth.weights[index], draws["output_weight"][:, index, 0]
    yield "fixed", "bias", truth.bias, draws["output_bias"][:, 0]
    yield "scale", "intercept_sd", truth.scales[0], draws["cluster_intercept_sd"][:, 0]
    if "residual_sd" in draws:
        yield "scale", "residual_sd", truth.residual_sd, draws["residual_sd"]
        yield "scale", "slopes_sd", truth.scales[1], draws["cluster_slopes_sd"][:, 0, 0]
        yield "scale", "correlation", truth.correlation, draws["cluster_cholesky"][:, 0, 1, 0]
    for code in range(3):
        intercept, slope = (*truth.effects[code], 0.0)[:2]
        yield "effect", f"intercept {code}", intercept, draws["cluster_intercept"][:, code, 0]
        if "cluster_slopes" in draws:
            yield "effect", f"slope {code}", slope, draws["cluster_slopes"][:, code, 0, 0]


def judged_predictions(
    spec: ModelSpec, truth: Truth, fit: Fit, generator: np.random.Generator, seed: int
) -> list[dict[str, Any]]:
    """Judge the mean and new observations of rows of seen, adapted and unseen clusters."""
    seen = np.repeat(np.arange(CLUSTERS), TEST)
    adapted = CLUSTERS + np.repeat(np.arange(NEW), LABELLED)
    labelled, _ = draw_rows(spec, truth, adapted, generator)
    local = labelled._replace(cluster=labelled.cluster - CLUSTERS)
    grown = adapt(fit, 0, NEW, local, np.zeros(0), seed)
    fresh_spec, fresh = with_new_clusters(
        fit, 0, [f"new {i}" for i in range(NEW)], list(range(NEW))
    )
    cases = (
        ("seen", fit.spec, fit.draws, seen, 0),
        ("adapted", grown.spec, grown.draws, CLUSTERS + np.repeat(np.arange(NEW), TEST), 0),
        ("unseen", fresh_spec, fresh, CLUSTERS + NEW + np.repeat(np.arange(NEW), TEST), NEW),
    )
    lines: list[dict[str, Any]] = []
    for kind, model, draws, codes, shift in cases:
        rows, mean = draw_rows(spec, truth, codes, generator)
        rows = rows._replace(cluster=rows.cluster - shift)
        query = Query(model, fit.network, draws, fit.centre, rows, None)
        every = predictions.outcomes(
            query, "mixed", 1000, seed, np.arange(len(codes), dtype=np.uint64), np.asarray
        )
        levels = tuple(np.linspace(0.001, 0.999, 400))
        means = predictions.quantiles(query, "mixed", levels, "mean", seed)
        means = means[..., 1] if means.ndim == 3 else means
        for row in range(len(codes)):
            line = {"name": f"mean of a row, {kind}", "kind": "mean"}
            lines.append(line | {"true": mean[row], "draws": means[:, row]})
            if isinstance(spec.likelihood, Normal):
                line = {"name": f"new observation, {kind}", "kind": "observation"}
                lines.append(line | {"true": float(rows.y[row]), "draws": every[:, row]})
    return lines


def summary(lines: pd.DataFrame) -> pd.DataFrame:
    """One line per parameter: chi-square of its ranks, Holm's correction, coverage.

    The interval of a coverage is a Normal one over data sets, whose rows are not independent.
    """
    found = []
    for (kind, name), part in lines.groupby(["kind", "name"], sort=False):
        by_set = part.groupby("data_set")["covered"].mean()
        error = by_set.std(ddof=1) / np.sqrt(len(by_set))
        line = {"kind": kind, "name": name, "covered": by_set.mean(), "error": error}
        line["p"] = np.nan
        if len(part) == len(by_set):  # one per data set: ranks are independent
            counts = np.histogram(part["rank"], BINS, (0, 1))[0]
            line["p"] = stats.chisquare(counts).pvalue
        found.append(line)
    frame = pd.DataFrame(found)
    p = frame["p"].dropna().sort_values()
    holm = (p * np.arange(len(p), 0, -1)).cummax().clip(upper=1)
    frame["holm"] = holm.reindex(frame.index)
    z = (frame["covered"] - LEVEL) / frame["error"].clip(lower=1e-9)
    return frame.assign(z=z)


def main() -> None:
    """Run every case and guide; write the lines as they come, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data-sets", type=int, default=500)
    parser.add_argument("--guides", nargs="+", default=GUIDES)
    parser.add_argument("--cases", nargs="+", default=("normal", "bernoulli"))
    parser.add_argument("--store", type=Path, default=Path("runs/calibration"))
    options = parser.parse_args()
    options.store.mkdir(parents=True, exist_ok=True)
    for guide in options.guides:
        for case in options.cases:
            path = options.store / f"{case}-{guide}.jsonl"
            done = {json.loads(text)["data_set"] for text in _lines(path)}
            with path.open("a") as file:
                for number in range(options.data_sets):
                    if number not in done:
                        for line in one_data_set(case, guide, number):
                            file.write(json.dumps(line) + "\n")
                        file.flush()
            lines = pd.DataFrame([json.loads(text) for text in _lines(path)])
            lines = lines[lines["data_set"] < options.data_sets]
            print(f"\n{case}, guide={guide}, {lines['data_set'].nunique()} data sets")
            worth = lines.groupby("data_set")[["k", "ess"]].first()
            warned = ~trusted(worth["k"], worth["ess"])
            print(f"Pareto k above .7: {(worth['k'] > RELIABLE).mean():.1%}, of these with too few")
            print(f"effective draws, so that the fit warns: {warned.mean():.1%}")
            print(summary(lines).round(3).to_string(index=False), flush=True)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


if __name__ == "__main__":
    main()
