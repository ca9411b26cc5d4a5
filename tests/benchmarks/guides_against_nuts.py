"""Every guide against reference posteriors by NUTS, and against lme4, on lme4's data.

    PYFAIRME_DATA=<data> python tests/benchmarks/guides_against_nuts.py [--names ...] [--out <file>]

The references are in tests/inference/oracles, made by tests/benchmarks/nuts_oracle.py without
pyfairme. Distances of means are in SDs of the reference, SDs are ratios to the reference's. With
``--out`` finished lines are kept there, and a later call goes on from them.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import pyfairme as pf
from pyfairme.estimators.posterior_labels import posterior_labels
from pyfairme.inference.laplace.hyper_parameters import to_free
from pyfairme.inference.laplace.laplace_evidence import LaplaceEvidence, Layout
from pyfairme.inference.laplace.mixed_design import lay_out
from pyfairme.inference.posterior_draws import AxisLabels, effect_names, fixed_terms, variables
from pyfairme.inference.predictions import Fit
from pyfairme.model.program import Objective, plain

ORACLES = Path(__file__).resolve().parents[1] / "inference" / "oracles"
SETTINGS: dict[str, Any] = {
    "hidden": (),
    "fixed_weight": 0,
    "cluster_weight": 0,
    "sensitive": (),
    "validation_fraction": 0,
    "early_stopping": False,
    "unseen": "population",
    "progress": False,
}
KEYS = ["kind", "factor", "cluster", "term"]
GUIDES = ("block", "full_rank", "low_rank", "mean_field")
REFERENCES = {
    "sleepstudy": "sleepstudy_lmer_ML",
    "penicillin": "penicillin_lmer_REML",
    "cbpp": "cbpp_glmer_agq9",
    "verbagg": "verbagg_glmer_laplace",
}


class Case(NamedTuple):
    """One data set of lme4 with the estimator of its model, and its columns."""

    estimator: Any
    keywords: dict[str, Any]
    X: pd.DataFrame
    y: pd.Series

    def fit(self, **keywords: Any) -> Any:
        """Fit the model under the oracles' settings."""
        seed = {"random_state": 0}
        estimator = self.estimator(**{**SETTINGS, **self.keywords, **seed, **keywords})
        return estimator.fit(self.X, self.y)


def read(name: str, folder: Path) -> Case:
    """Read a data set; ``folder`` holds lme4's tables."""
    regressor, classifier = pf.FairMixedEffectsRegressor, pf.FairMixedEffectsClassifier
    if name == "sleepstudy":
        rows = pd.read_csv(folder / "sleepstudy.csv", dtype={"Subject": str})
        model = {"cluster": "Subject", "random_slopes": ["Days"], "correlated": True}
        return Case(regressor, model, rows[["Days", "Subject"]], rows["Reaction"])
    if name == "penicillin":
        rows = pd.read_csv(folder / "Penicillin.csv")
        model = {"cluster": ["plate", "sample"]}
        return Case(regressor, model, rows[["plate", "sample"]], rows["diameter"])
    if name == "cbpp":
        herds = pd.read_csv(folder / "cbpp.csv", dtype={"herd": str, "period": str})
        rows = herds.loc[herds.index.repeat(herds["size"])]
        ill = rows.groupby(level=0).cumcount() < rows["incidence"]  # a 0/1 row per animal
        rows = rows.reset_index(drop=True)
        y = pd.Series(ill.to_numpy(dtype=int), name="diseased")
        return Case(classifier, {"cluster": "herd"}, rows[["herd", "period"]], y)
    rows = pd.read_csv(folder / "VerbAgg.csv", dtype={"id": str})
    columns = ["Anger", "Gender", "btype", "situ", "id", "item"]
    y = (rows["r2"] == "Y").astype(int)
    return Case(classifier, {"cluster": ["id", "item"]}, rows[columns], y)


def quantities(fit: Fit, labels: AxisLabels) -> pd.DataFrame:
    """Return mean and SD of every number of a posterior, under the names of the oracles.

    ``ess`` and ``mcse`` (of the mean), ``ess_sd`` and ``mcse_sd`` are those of Markov chains.
    """
    from numpyro.diagnostics import effective_sample_size

    lines = []
    for name, values in named_draws(fit, labels):
        draws = values.astype(np.float64)
        mean, sd = draws.mean(), draws.std()
        squares = (draws - mean) ** 2
        ess, ess_squares = (float(effective_sample_size(v)) for v in (draws, squares))
        mcse_sd = squares.std() / np.sqrt(ess_squares) / (2 * sd)
        found = {"mean": mean, "sd": sd, "ess": ess, "ess_sd": ess_squares}
        found |= {"mcse": sd / np.sqrt(ess), "mcse_sd": mcse_sd}
        lines.append(dict(zip(KEYS, name, strict=True)) | found)
    return pd.DataFrame(lines)


def named_draws(fit: Fit, labels: AxisLabels) -> list[tuple[tuple[str, ...], np.ndarray]]:
    """List the draws (chains, draws) of every number, with kind, factor, cluster and term."""
    drawn = {v.name: v.values for v in variables(fit, labels)}
    found = []
    if "residual_sd" in drawn:
        found.append((("scale", "residual", "", "residual_sd"), drawn["residual_sd"]))
    for index, term in enumerate(fixed_terms(labels) if "fixed_effects" in drawn else ()):
        found.append((("fixed", "", "", term), drawn["fixed_effects"][..., index]))
    for factor in fit.spec.factors:
        own, terms = factor.name, effect_names(factor, labels)
        effects = drawn[f"{own}_intercept"][..., None]
        scales = drawn[f"{own}_intercept_sd"][..., None]
        if factor.terms:
            effects = np.concatenate([effects, drawn[f"{own}_slopes"]], axis=-1)
            scales = np.concatenate([scales, drawn[f"{own}_slopes_sd"]], axis=-1)
        for at, term in enumerate(terms):
            found.append((("scale", own, "", term), scales[..., at]))
            for row, cluster in enumerate(labels.clusters[own]):
                found.append((("effect", own, cluster, term), effects[..., row, at]))
        if factor.correlated:
            pair = f"cor({terms[0]}, {terms[1]})"
            values = drawn[f"{own}_correlation"][..., 0, 1]
            found.append((("correlation", own, "", pair), values))
    return found


def against_oracle(estimator: Any, name: str) -> pd.DataFrame:
    """Return every quantity of the reference beside the estimator's (``_ours``).

    ``distance`` is that of the means in SDs, ``ratio`` of the SDs; ValueError if one is missing.
    """
    path = ORACLES / f"{name}.csv"
    oracle = pd.read_csv(path, dtype={"cluster": str}, keep_default_na=False)
    ours = quantities(estimator.fit_, posterior_labels(estimator))
    both = oracle.merge(ours, on=KEYS, how="left", suffixes=("", "_ours"), validate="1:1")
    if both["mean_ours"].isna().any():
        lost = both.loc[both["mean_ours"].isna(), KEYS].to_dict("records")[:3]
        raise ValueError(f"Expected every quantity of {path.name} in the fit; it has no {lost}.")
    both["distance"] = (both["mean_ours"] - both["mean"]).abs() / both["sd"]
    return both.assign(ratio=both["sd_ours"] / both["sd"])


def sampled(both: pd.DataFrame) -> dict[str, float]:
    """Return how far NUTS of `refine` is from the reference, in Monte-Carlo errors of both."""
    mcse = np.hypot(both["mcse"], both["mcse_ours"])
    allowed = 0.05 + 2 * np.hypot(both["mcse_sd"], both["mcse_sd_ours"]) / both["sd"]
    return {
        "mean_z": float(((both["mean_ours"] - both["mean"]).abs() / mcse).max()),
        "sd_excess": float(((both["ratio"] - 1).abs() - allowed).max()),
        "ess": float(both["ess_ours"].min()),
        "ess_sd": float(both["ess_sd"].min()),
    }


def summary(both: pd.DataFrame) -> dict[str, float]:
    """Summarise the comparison: fixed and cluster effects, then scales and correlations."""
    inner = both["kind"].isin(["fixed", "effect"])
    effects, scales = both[inner], both[~inner]
    return {
        "mean_max": effects["distance"].max(),
        "mean_avg": effects["distance"].mean(),
        "sd_min": effects["ratio"].min(),
        "sd_avg": effects["ratio"].mean(),
        "sd_max": effects["ratio"].max(),
        "scale_mean_max": scales["distance"].max(),
        "scale_sd_min": scales["ratio"].min(),
        "scale_sd_max": scales["ratio"].max(),
    }


def against_lme4(estimator: Any, name: str, folder: Path) -> pd.DataFrame:
    """Compare a fit whose network is a point estimate with lme4, by factor and term.

    ``fixed``: largest distance of a fixed effect in standard errors; ``correlation`` of the effects
    with BLUPs; ``condsd``: mean ratio of their SDs.
    """
    stem = folder / "reference" / REFERENCES[name]
    fixed = pd.read_csv(f"{stem}_fixef.csv")
    blups = pd.read_csv(f"{stem}_ranef.csv", dtype={"grp": str})
    blups["term"] = blups["term"].replace("(Intercept)", "Intercept")
    theirs = blups.rename(columns={"grpvar": "factor", "grp": "cluster"})
    both = estimator.cluster_effects_.merge(theirs, on=["factor", "cluster", "term"])
    if len(both) != len(theirs):
        raise ValueError(f"Expected {len(theirs)} effects of lme4 in the fit, found {len(both)}.")
    found = estimator.fixed_effects_["mean"].to_numpy()  # in the order of lme4's
    distance = np.abs(found - fixed["Estimate"]) / fixed["Std. Error"]
    lines = []
    for (factor, term), own in both.groupby(["factor", "term"], sort=False):
        line = {"factor": factor, "term": term, "fixed": distance.max()}
        line["correlation"] = own["mean"].corr(own["condval"])
        lines.append(line | {"condsd": (own["sd"] / own["condsd"]).mean()})
    return pd.DataFrame(lines)


def items(folder: Path) -> pd.DataFrame:
    """Show why VerbAgg's items correlate less with lme4's: it reports the joint mode of effects.

    One line each for lme4, the joint mode under our fixed effects and lme4's scales, and our
    posterior means: correlation with lme4's, least and largest mean over a ``btype``.
    """
    case = read("verbagg", folder)
    fitted = case.fit(guide="block", network_posterior="none")
    stem = folder / "reference" / REFERENCES["verbagg"]
    blups = pd.read_csv(f"{stem}_ranef.csv", dtype={"grp": str}).set_index(["grpvar", "grp"])
    scales = pd.read_csv(f"{stem}_varcorr.csv").set_index("grp")["sdcor"]
    fit, labels = fitted.fit_, posterior_labels(fitted).clusters["item"]
    layout = Layout(plain(fit.spec), plain(fit.spec))
    network = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), fit.network)
    rows = lay_out(layout, network, fitted._training)
    hypers = {f"{f.name}_intercept_sd": jnp.full(1, scales[f.name]) for f in fit.spec.factors}
    evidence = LaplaceEvidence(layout, rows, Objective())
    mode = evidence.at_mode(np.asarray(to_free(layout.hypers, hypers))).gaussian.dense  # of items
    table = pd.DataFrame({
        "lme4": blups.loc["item", "condval"].reindex(labels),
        "mode": np.asarray(mode),
        "posterior mean": fit.draws["item_intercept"][0, :, :, 0].mean(axis=0),
    }, index=list(labels))  # fmt: skip
    of_item = case.X.drop_duplicates("item").set_index("item")["btype"]
    means = table.groupby(of_item.reindex(table.index).to_numpy()).mean()
    found = {"correlation": table.corr()["lme4"], "least": means.min(), "largest": means.max()}
    return pd.DataFrame(found)


def timed(make: Any) -> tuple[Any, float]:
    """Return what the second of two equal calls makes, and its processor seconds: none compiles."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the table says it
        make()
        start = time.process_time()
        found = make()
    return found, time.process_time() - start


def line_of(name: str, guide: str, folder: Path, draws: int) -> dict[str, Any]:
    """Return one line of the table of guides."""
    case = read(name, folder)
    line: dict[str, Any] = {"data": name, "guide": guide}
    first = "block" if guide == "refine" else guide

    def fit() -> Any:
        return case.fit(guide=first, network_posterior="last_layer")

    found, seconds = timed(fit)
    if guide == "refine":
        fitted = found
        found, seconds = timed(lambda: fitted.refine(draws=draws, progress=False))
    both = against_oracle(found, name)
    line |= summary(both)
    quality = found.diagnostics_
    k = quality.loc[quality["measure"] == "pareto_k"]
    hyper = k["parameter"] == "hyper-parameters"
    line["k"] = k.loc[hyper, "value"].max()
    line["bad_clusters"] = (~k.loc[~hyper, "ok"].astype(bool)).mean()
    line["seconds"] = seconds
    if guide == "refine":
        line |= sampled(both)
        line["r_hat"] = quality.loc[quality["measure"] == "r_hat", "value"].max()
        line["divergences"] = quality.loc[quality["measure"] == "divergences", "value"].sum()
    return {key: v if isinstance(v, str) else float(v) for key, v in line.items()}


def kept(path: Path | None) -> dict[str, Any]:
    """Return finished pieces."""
    if path is None or not path.exists():
        return {}
    return json.loads(path.read_text(encoding="utf-8"))


def keep(path: Path | None, pieces: dict[str, Any]) -> None:
    """Write finished pieces, and the tables beside them."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(pieces, indent=1), encoding="utf-8")
    for name, table in tables(pieces).items():
        table.to_csv(path.with_name(f"{path.stem}_{name}.csv"), index=False, float_format="%.4g")


def tables(pieces: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """Return the tables of guides and of lme4."""
    lines: dict[str, list[dict[str, Any]]] = {"nuts": [], "lme4": []}
    for key, piece in pieces.items():
        lines["lme4" if key.endswith("/lme4") else "nuts"] += piece
    return {name: pd.DataFrame(found) for name, found in lines.items() if found}


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare guides with NUTS and lme4.")
    parser.add_argument("--names", nargs="+", default=list(REFERENCES), choices=REFERENCES)
    guides = (*GUIDES, "refine")
    parser.add_argument("--guides", nargs="+", default=[*guides, "lme4"], choices=[*guides, "lme4"])
    parser.add_argument("--draws", type=int, default=2000, help="of refine, per chain")
    parser.add_argument("--data", type=Path, default=os.environ.get("PYFAIRME_DATA", "data"))
    parser.add_argument("--out", type=Path, help="JSON of finished lines, and two CSV beside it")
    parser.add_argument("--items", action="store_true", help="only `items`: VerbAgg's and lme4's")
    options = parser.parse_args()
    folder = options.data / "lme4" if isinstance(options.data, Path) else Path(options.data, "lme4")
    if options.items:
        print(items(folder).to_string(float_format=lambda v: f"{v:.6f}"))
        return
    pieces = kept(options.out)
    for guide in options.guides:
        for name in options.names:
            key = f"{name}/{guide}"
            if key in pieces:
                continue
            if guide == "lme4":
                fitted = read(name, folder).fit(guide="block", network_posterior="none")
                found = against_lme4(fitted, name, folder)
                pieces[key] = found.assign(data=name).to_dict("records")
            else:
                pieces[key] = [line_of(name, guide, folder, options.draws)]
            keep(options.out, pieces)
            print(key, pieces[key], flush=True)
    for table in tables(pieces).values():
        print(table.to_string(index=False, float_format=lambda v: f"{v:.3g}"))


if __name__ == "__main__":
    main()
