# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # For statisticians: lme4's numbers, NUTS, priors, and the program behind it
#
# Before you trust a network with random effects, ask whether the same software gives the known
# answer where there is one. Without hidden layers and penalties pyfairme's model is a generalised
# linear mixed model. This notebook fits two textbook tables with it, holds the results against
# lme4 and against NUTS, asks whether the priors matter, and opens the NumPyro program.
#
# - `sleepstudy` (Belenky et al. 2003): reaction times (ms) of 18 people on 10 days with too little
#   sleep. `Reaction ~ Days + (Days | Subject)`
# - `cbpp` (Lesnoff et al. 2004): cattle of 15 herds that fell ill, in four periods.
#   `diseased ~ period + (1 | herd)`

# %%
import numpy as np
import pandas as pd

import pyfairme as pf
from pyfairme.plots import plot_caterpillar

# %% nbmake={"mock": {"draws": 20, "warmup": 20, "depth": 3}}
draws = 1000  # of NUTS, in each chain
warmup = 500
depth = 10  # of its trees, at most: NumPyro's default

# %% [markdown]
# ## A linear mixed model
#
# `hidden=()` leaves a linear predictor, `fixed_weight=0` drops the term of the loss that no likelihood
# has, and `network_posterior="last_layer"` gives the coefficients a posterior too (a wide Normal prior).
# All rows train.

# %%
glmm = {"hidden": (), "network_posterior": "last_layer", "guide": "block", "fixed_weight": 0}
glmm |= {"cluster_weight": 0, "validation_fraction": 0, "unseen": "population", "random_state": 0}
sleep = pd.read_csv("data/sleepstudy.csv")
X, y = sleep[["Days", "Subject"]], sleep["Reaction"]
lmm = pf.FairMixedEffectsRegressor("Subject", random_slopes=["Days"], correlated=True, **glmm)
lmm.fit(X, y)
lmm.fixed_effects_.round(2)

# %% [markdown]
# Beside them, what lme4 1.1-31 gives (maximum likelihood, typed from its output). Its scales are the
# maximum of a likelihood, ours the mean of a posterior, which lies higher for 18 people.

# %%
lme4 = {"Intercept": 251.41, "Days": 10.467, "residual SD": 25.592}
lme4 |= {"SD of intercepts": 23.780, "SD of slopes": 5.717, "their correlation": 0.081}


def summary_of(model):
    """Return mean, sd, low and high of coefficients and scales, named as above."""
    columns = ["mean", "sd", "low", "high"]
    both = pd.concat([model.fixed_effects_[columns], model.variance_components_[columns]])
    return both.set_axis(list(lme4), axis="index")


ours = summary_of(lmm)
ours.assign(lme4=lme4, distance=(ours["mean"] - pd.Series(lme4)) / ours["sd"]).round(3)

# %% tags=["thumbnail"]
effects = lmm.cluster_effects_
plot_caterpillar(effects, "Days", unit="ms per day", title="Slopes of 18 people, from the average")

# %% [markdown]
# Every person has a slope of their own, shrunk towards the average. The intervals of seven do not hold
# 0: three people slow down faster than the average one, four more slowly.
#
# ## Against NUTS
#
# The posterior above is an approximation: Gaussian given the scales, and the scales by importance
# sampling. `diagnostics_` says how good it is: below .7 Pareto's k is good, and a share of effective
# proposals above .25. (Given the scales, effects of a Normal model are exact.) `refine()` runs NUTS on
# the same posterior.

# %%
lmm.diagnostics_.query("parameter == 'hyper-parameters'")

# %%
exact = lmm.refine(draws=draws, chains=2, warmup=warmup, progress=False)
exact.diagnostics_.groupby("measure")["value"].agg(["min", "max"])

# %%
reference = summary_of(exact)
both = pd.concat({"block guide": ours, "NUTS": reference}, axis=1)
both.loc[:, (slice(None), ["mean", "sd"])].round(2)

# %% [markdown]
# And the 36 effects of the 18 people:

# %%
keys = ["cluster", "term"]
one, two = (m.cluster_effects_.set_index(keys)[["mean", "sd"]] for m in (lmm, exact))
print(f"means differ by at most {((one - two)['mean'] / two['sd']).abs().max():.2f} SD")
ratio = (one["sd"] / two["sd"]).groupby("term").agg(["min", "mean", "max"])
ratio.round(3)

# %% [markdown]
# ## A generalised one
#
# cbpp is grouped: `incidence` of `size` animals. Here every animal is a row.

# %%
grouped = pd.read_csv("data/cbpp.csv", dtype={"period": str, "herd": str})
animals = grouped.loc[np.repeat(grouped.index, grouped["size"]), ["herd", "period"]]
ill = np.concatenate(
    [[1] * i + [0] * (n - i) for i, n in grouped[["incidence", "size"]].to_numpy()]
)
herds = pf.FairMixedEffectsClassifier("herd", **glmm).fit(animals, ill)
columns = ["mean", "sd", "low", "high"]
found = pd.concat([herds.fixed_effects_[columns], herds.variance_components_[columns]])
found = found.set_axis(["Intercept", "period 2", "period 3", "period 4", "SD herd"])
found.assign(lme4=[-1.399, -0.991, -1.128, -1.579, 0.648]).round(3)

# %% [markdown]
# Coefficients are log odds. On the scale of the outcome: how much smaller is the share of ill animals
# in the later periods, averaged over herds like these (`"integrated"` is over new ones)?

# %%
pf.explain.avg_comparisons(herds, animals, "period", effects="integrated")

# %% [markdown]
# ## Do the priors matter?
#
# `diagnostics_` has a line for each hyper-parameter: how fast its posterior moves if the priors are
# raised to a power near 1. Above .05 the prior matters. Then look at what another prior gives. The
# default of the herds' SD is HalfNormal(1.5); beside it a heavy tail, and one that hardly believes in
# differences between herds.

# %% nbmake={"mock": {"others": {"exponential, mean 0.2": ["exponential", 5.0]}}}
others = {"half-Cauchy(2.5)": ("half_cauchy", 2.5), "exponential, mean 0.2": ("exponential", 5.0)}

# %%
by_prior = {"default": herds}
for name, prior in others.items():
    model = pf.FairMixedEffectsClassifier("herd", prior={"sd": tuple(prior)}, **glmm)
    by_prior[name] = model.fit(animals, ill)
lines = {}
for name, model in by_prior.items():
    table = model.diagnostics_.query("measure == 'prior_sensitivity'").set_index("parameter")
    lines[name] = model.variance_components_.iloc[0][["mean", "low", "high"]].astype(float)
    lines[name]["sensitivity"] = table.loc["herd_intercept_sd", "value"]
pd.DataFrame(lines).T.round(3)

# %% [markdown]
# ## The program's front door
#
# A fitted estimator is a NumPyro program. `program_` has its model, its guide and its data, for
# NumPyro's own tools.

# %%
import jax
import numpyro
from numpyro.infer import MCMC, NUTS
from numpyro.infer.inspect import get_model_relations

program = lmm.program_
rows = program.inputs(X, y)
relations = get_model_relations(program.posterior_model, model_args=rows)
for plate, sites in relations["plate_sample"].items():
    print(f"plate {plate}: {', '.join(sites)}")
print("all sites:", ", ".join(relations["sample_sample"]))

# %% [markdown]
# A chain of one's own, with NumPyro alone. Sites are in the units of the model: the target and its
# residual are divided by the target's standard deviation, `target_.scale`.

# %%
quiet = numpyro.handlers.block(program.posterior_model, hide=["fixed", "random", "mixed"])
chain = MCMC(
    NUTS(quiet, max_tree_depth=depth), num_warmup=warmup, num_samples=draws, progress_bar=False
)
chain.run(jax.random.key(1), *rows)
own = chain.get_samples()
spread = own["residual_sd"] * lmm.target_.scale
print(f"residual SD: {spread.mean():.2f} (SD {spread.std():.2f}); lme4 25.59")

# %% [markdown]
# **What was found.** On `sleepstudy` the coefficients are lme4's, and the scales lie within .6 of their
# own posterior SD above it, as means of a skewed posterior do. The default approximation and NUTS
# agree: effects of people differ by less than a tenth of an SD, and their SDs by at most 6 %. On `cbpp` all
# coefficients are within a tenth of their SD of lme4's. There the prior of the herds' SD matters only
# if it is a strong one: two wide priors give .75, and one that expects .2 gives .58 and is flagged by
# its sensitivity of .15. So with 15 herds, say which prior you took, and what a wider one gives.
#
# With hidden layers and penalties there is no such reference: a penalised posterior is not a posterior
# of the data alone, and on large tables the network is a point estimate. What its intervals then hold
# is measured on simulated data in [Network uncertainty](../docs/network_uncertainty.md).
# [Conformance](../docs/conformance.md) has twelve models beside published numbers, the misses too;
# [Priors](../docs/priors.md) and [The program](../docs/program.md) go further.
