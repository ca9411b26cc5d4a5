"""Posteriors that Stan's authors and TensorFlow Probability's published: eight schools and radon.

Fits have the published priors, by ``prior=``. Numbers are in the units of the data there and on the
standardised target here. A latent last layer has one prior, about 0 on the standardised scale:
eight schools therefore get a ninth row of next to no weight that puts the target's mean at 0, and
radon's draws are weighted by the ratio of the published prior of the fixed effects to ours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

import pyfairme as pf
from pyfairme.estimators.posterior_labels import posterior_labels
from tests.benchmarks.conformance_lines import Line, Source, means_and_spreads
from tests.benchmarks.guides_against_nuts import ORACLES, SETTINGS, named_draws

WHOLE: dict[str, Any] = {
    **SETTINGS,
    "guide": "block",
    "network_posterior": "last_layer",
    "random_state": 0,
}
DRAWS = 2000  # of refine, in each of two chains
SCHOOLS = list("ABCDEFGH")
EFFECT = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
ERROR = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
POSTERIORS = {
    "posteriordb": (
        "mu ~ Normal(0, 5), tau ~ HalfCauchy(5)",
        "Stan, posteriordb: eight_schools-eight_schools_noncentered",
    ),
    "tfp": (
        "mu ~ Normal(0, 10), log(tau) ~ Normal(5, 1)",
        "Stan, TFP inference_gym: eight_schools.py",
    ),
}
RADON = {
    "halfnormal": ("scales ~ HalfNormal(1)", "minnesota_halfnormal"),
    "uniform": ("scales ~ Uniform(0, 100)", "minnesota"),
}
COVARIATES = ["log_uranium", "floor", "floor_by_county"]
LAYER = 1.0  # scale of our prior of radon's fixed effects


def eight_schools(which: str) -> Any:
    """Fit Rubin's eight schools under the priors of one reference, by block."""
    effect, error = np.append(EFFECT, -EFFECT.sum()), np.append(ERROR, 1e5)
    unit = effect.std()  # of the standardised target
    prior: dict[str, Any] = {
        "sd": ("half_cauchy", 5 / unit),
        "last_layer": ("normal", 5 / unit),
    }
    if which == "tfp":
        prior = {"sd": ("log_normal", 5 - np.log(unit), 1.0), "last_layer": ("normal", 10 / unit)}
    likelihood = pf.KnownErrors(10.0)
    model = pf.FairMixedEffectsRegressor("school", likelihood=likelihood, prior=prior, **WHOLE)
    schools = pd.DataFrame({"school": [*SCHOOLS, "centre"]})
    return model.fit(schools, effect, sample_weight=(10.0 / error) ** 2)


def schools_draws(model: Any, which: str) -> dict[str, np.ndarray]:
    """Return the draws of the reference's numbers: the schools' effects, their mean and SD."""
    every = {
        name[:3]: values.ravel()
        for name, values in named_draws(model.fit_, posterior_labels(model))
    }
    mu, tau = every["fixed", "", ""], every["scale", "school", ""]
    found = {school: mu + every["effect", "school", school] for school in SCHOOLS}
    spread = {"tau": tau} if which == "posteriordb" else {"log(tau)": np.log(tau)}
    return {**found, "mu": mu, **spread}


def of_schools(which: str, model: Any, ours: str) -> list[Line]:
    """Return the lines of a fit of eight schools."""
    reference = pd.read_csv(ORACLES / "eight_schools.csv").query("reference == @which")
    source = Source("eight schools", POSTERIORS[which][0], POSTERIORS[which][1], ours)
    return means_and_spreads(source, reference.set_index("name"), schools_draws(model, which))


def radon(which: str, folder: Path) -> Any:
    """Fit log radon of Minnesota's houses under the priors of one reference, by block."""
    rows = pd.read_csv(folder / "radon_mn.csv", dtype={"county": str})
    unit = rows["log_radon"].std(ddof=0)
    scale = ("half_normal", 1 / unit) if which == "halfnormal" else ("uniform", 100 / unit)
    prior = {"sd": scale, "residual_sd": scale, "last_layer": ("normal", LAYER)}
    model = pf.FairMixedEffectsRegressor("county", prior=prior, **WHOLE)
    return model.fit(rows[[*COVARIATES, "county"]], rows["log_radon"])


def radon_reference(which: str, folder: Path) -> pd.DataFrame:
    """Return Stan's means and SDs by name."""
    published = pd.read_json(folder / f"tfp_stan_{RADON[which][1]}.json", typ="series")
    names = {
        "county_effect": [f"county {county}" for county in range(1, 86)],
        "county_effect_mean": ["mean of counties"],
        "county_effect_scale": ["SD of counties"],
        "log_radon_scale": ["residual SD"],
        "weight": COVARIATES,
    }
    tables = [
        pd.DataFrame(
            {
                "mean": published[f"identity_{site}_mean"],
                "sd": published[f"identity_{site}_standard_deviation"],
            },
            index=labels,
        )
        for site, labels in names.items()
    ]
    return pd.concat(tables)


def radon_draws(model: Any, folder: Path) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the draws of the reference's numbers, and their weights under its fixed effects."""
    every = {
        name: values.ravel() for name, values in named_draws(model.fit_, posterior_labels(model))
    }
    fixed = {name[3]: values for name, values in every.items() if name[0] == "fixed"}
    mean = fixed["Intercept"]
    found = {
        f"county {name[2]}": mean + values for name, values in every.items() if name[0] == "effect"
    }
    found["mean of counties"] = mean
    found["SD of counties"] = every["scale", "county", "", "Intercept"]
    found["residual SD"] = every["scale", "residual", "", "residual_sd"]
    found |= {name: fixed[name] for name in COVARIATES}
    rows = pd.read_csv(folder / "radon_mn.csv")
    unit, middle = rows["log_radon"].std(ddof=0), rows["log_radon"].mean()
    at_mean = mean + sum(rows[name].mean() * fixed[name] for name in COVARIATES)
    log_ratio = stats.norm.logpdf(mean) - stats.norm.logpdf((at_mean - middle) / unit, 0, LAYER)
    for name in COVARIATES:
        scaled = fixed[name] * rows[name].std(ddof=0) / unit
        log_ratio += stats.norm.logpdf(fixed[name]) - stats.norm.logpdf(scaled, 0, LAYER)
    return found, np.exp(log_ratio - log_ratio.max())


def of_radon(which: str, model: Any, ours: str, folder: Path) -> list[Line]:
    """Return the lines of a fit of radon."""
    draws, weight = radon_draws(model, folder)
    priors, name = RADON[which]
    model_text = f"log_radon ~ {' + '.join(COVARIATES)} + (1 | county), {priors}"
    by = f"Stan, TFP inference_gym: radon_contextual_effects_{name}.py"
    source = Source("radon", model_text, by, ours)
    reference = radon_reference(which, folder)
    return means_and_spreads(source, reference, draws, weight)


def schools_lines(data: Path) -> list[Line]:
    """Return the part "schools": both references, by block and by refine."""
    found = []
    for which in POSTERIORS:
        model = eight_schools(which)
        found += of_schools(which, model, "block")
        found += of_schools(which, model.refine(draws=DRAWS, progress=False), "refine")
    return found


def radon_lines(data: Path) -> list[Line]:
    """Return the part "radon": both references, by block and by refine."""
    folder, found = data / "oracles" / "radon_mn", []
    for which in RADON:
        model = radon(which, folder)
        weight = radon_draws(model, folder)[1]
        worth = weight.sum() ** 2 / (weight**2).sum()
        print(f"radon, {which}: draws worth {worth:.0f} of {len(weight)} under the reference")
        found += of_radon(which, model, "block", folder)
        found += of_radon(which, model.refine(draws=DRAWS, progress=False), "refine", folder)
    return found
