"""lme4's fits of its own data, reference posteriors by NUTS, and GPBoost's published errors.

lme4 reports a maximum of the (restricted) likelihood, we a posterior's means: its scales are held
against our posterior in posterior SDs, its BLUPs in their conditional SDs.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.benchmarks import high_cardinality, insteval
from tests.benchmarks.conformance_lines import Line, Source, average, posteriors, worst
from tests.benchmarks.guides_against_nuts import KEYS, REFERENCES, against_oracle, read

FIXED, SCALES, BLUPS, CONDSD = 0.1, 0.5, 0.15, 10.0  # SEs, posterior SDs, condsds, percent
ERRORS = 2.0  # percent
RESIDUAL = "residual_sd"
MODELS = {
    "sleepstudy": "Reaction ~ Days + (Days | Subject)",
    "penicillin": "diameter ~ 1 + (1 | plate) + (1 | sample)",
    "cbpp": "diseased ~ period + (1 | herd)",
    "verbagg": "r2 ~ Anger + Gender + btype + situ + (1 | id) + (1 | item)",
    "insteval": "y ~ service + (1 | s) + (1 | d) + (1 | dept)",
}
BLOCK: dict[str, Any] = {"network_posterior": "none", "guide": "block"}
LAPLACE: dict[str, Any] = {"network_posterior": "laplace"}
SLOPES, CORRELATED = "and random slopes of t, t^2", "and the correlations of these"
WAGES = {  # model, ours by: slopes, keywords
    ("random intercepts", "block"): (False, BLOCK),
    (SLOPES, "block"): (True, BLOCK),
    (SLOPES, "laplace"): (True, LAPLACE),
    (CORRELATED, "laplace"): (True, LAPLACE | {"correlated": True}),
}
STEMS = {**REFERENCES, "insteval": "insteval_lmer_REML"}


def of_lme4(name: str, model: Any, folder: Path) -> list[Line]:
    """Return the lines of a fit whose network is a point estimate: ``folder`` holds lme4's data."""
    stem = folder / "reference" / STEMS[name]
    source = Source(name, MODELS[name], f"lme4 1.1-31: {STEMS[name]}", model.guide_)
    fixed = pd.read_csv(f"{stem}_fixef.csv")
    ours = model.fixed_effects_
    table = _table(fixed["Estimate"], ours["mean"], fixed["Std. Error"])
    found = [worst(source, "fixed effects", table.set_axis(ours["term"]), "SE", FIXED)]
    scales = _scales(stem, model)
    table = _table(scales["sdcor"], scales["mean"], scales["sd"])
    found.append(worst(source, "scales", table, "SD", SCALES))
    both = _effects(stem, model)
    table = _table(both["condval"], both["mean"], both["condsd"])
    found.append(worst(source, "effects", table, "condsd", BLUPS))
    ratio = pd.DataFrame({"reference": both["condsd"], "ours": both["sd"]})
    ratio["difference"] = 100 * (ratio["ours"] / ratio["reference"] - 1)
    found.append(average(source, "their SDs, on average", ratio, "%", CONDSD))
    return found


def _table(reference: pd.Series, ours: pd.Series, unit: pd.Series) -> pd.DataFrame:
    """Return both and their difference in units of ``unit``, row by row."""
    one, two, each = (np.asarray(values, float) for values in (reference, ours, unit))
    table = pd.DataFrame({"reference": one, "ours": two, "difference": (two - one) / each})
    return table.set_axis(reference.index)


def _scales(stem: Path, model: Any) -> pd.DataFrame:
    """Return lme4's SDs and correlations beside our posterior's, by factor and term."""
    theirs = pd.read_csv(f"{stem}_varcorr.csv").replace({"(Intercept)": "Intercept"})
    theirs["factor"] = theirs["grp"].replace("Residual", "residual")
    theirs["term"] = [
        f"cor({one}, {two})" if isinstance(two, str) else one if isinstance(one, str) else RESIDUAL
        for one, two in zip(theirs["var1"], theirs["var2"], strict=True)
    ]
    found = theirs.merge(model.variance_components_, on=["factor", "term"], validate="1:1")
    if len(found) != len(theirs):
        raise ValueError(f"Expected the scales of {stem.name} in the fit, got\n{found}")
    return found.set_index(found["factor"] + " " + found["term"])


def _effects(stem: Path, model: Any) -> pd.DataFrame:
    """Return lme4's BLUPs beside our effects."""
    theirs = pd.read_csv(f"{stem}_ranef.csv", dtype={"grp": str})
    theirs["term"] = theirs["term"].replace("(Intercept)", "Intercept")
    theirs = theirs.rename(columns={"grpvar": "factor", "grp": "cluster"})
    found = model.cluster_effects_.merge(theirs, on=["factor", "cluster", "term"], validate="1:1")
    if len(found) != len(theirs):
        raise ValueError(f"Expected {len(theirs)} effects of {stem.name}, got {len(found)}.")
    return found.set_index(found[["factor", "cluster", "term"]].agg(" ".join, axis=1))


def lme4_lines(data: Path) -> list[Line]:
    """Return the part "lme4": the five data sets."""
    folder, found = data / "lme4", []
    for name in REFERENCES:
        model = read(name, folder).fit(guide="block", network_posterior="none")
        found += of_lme4(name, model, folder)
    model, _ = insteval.fit(folder, "auto")
    return found + of_lme4("insteval", model, folder)


def nuts_lines(data: Path) -> list[Line]:
    """Return the part "nuts": NumPyro's NUTS on models written by hand (`nuts_oracle.py`)."""
    found = []
    for name in REFERENCES:
        model = read(name, data / "lme4").fit(guide="block", network_posterior="last_layer")
        both = against_oracle(model, name)
        both.index = both[KEYS].agg(" ".join, axis=1).str.split().str.join(" ")
        by = f"NumPyro NUTS, 80,000 draws: oracles/{name}.csv"
        source = Source(name, f"{MODELS[name]}, our priors", by, "block")
        ours = both[["mean_ours", "sd_ours"]].set_axis(["mean", "sd"], axis=1)
        found += posteriors(source, both[["mean", "sd"]], ours)
    return found


def wages_lines(data: Path) -> list[Line]:
    """Return the part "wages": squared errors of five published folds, GPBoost's beside ours."""
    folder, found = data / "high_cardinality", []
    for model, (slopes, keywords) in WAGES.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a fold's tables are what they are
            folds = [high_cardinality.judged(folder, fold, slopes, keywords) for fold in range(5)]
        found.append(of_wages(model, folds))
    return found


def of_wages(model: tuple[str, str], folds: list[dict[str, float]]) -> Line:
    """Return the line of one model, of what `high_cardinality.judged` says of its folds."""
    table = pd.DataFrame(folds)[["gpboost", "mse"]].set_axis(["reference", "ours"], axis=1)
    table["difference"] = 100 * (table["ours"] / table["reference"] - 1)
    source = Source("wages", model[0], "GPBoost, arXiv 2307.02071: res_wages_gpboost.csv", model[1])
    line = average(source, "squared error of 5 folds", table, "%", ERRORS)
    return line._replace(one_sided=True)
