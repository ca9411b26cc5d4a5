"""Whether the priors of hyper-parameters matter: power-scaling of all of them at once.

With p(phi) the prior of the hyper-parameters phi (scales, correlations, the likelihood's own, the
scales of a network's weights, a latent last layer), the draws are weighed by p(phi)^(alpha - 1)
with alpha near 1: those of the posterior with the prior p(phi)^alpha. How fast the distribution of
a hyper-parameter moves with log alpha is its prior sensitivity (Kallioinen, Paananen, Buerkner &
Vehtari 2024). The priors of the effects given their scales stay as they are: they are what makes
the model hierarchical, not what a user chose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from pyfairme.compilation import jitted, make_room, per_structure
from pyfairme.inference.arviz_groups import assemble, group, power_scaling
from pyfairme.inference.jax_runtime import with_numpyro
from pyfairme.inference.laplace.hyper_parameters import log_priors
from pyfairme.inference.laplace.linear_predictor import LinearPredictor
from pyfairme.inference.predictions import Fit
from pyfairme.model import tangent
from pyfairme.model.program import LAST_LAYER, ModelSpec, Objective, plain, tangent_prior

SENSITIVE = 0.05  # prior sensitivity from which on Kallioinen et al. call a prior informative
ALIKE = 1e-5  # range of log densities that single precision explains: a flat prior
LAYER = "last_layer"
NAMES = {tangent.WEIGHT_SD: "network_sd", tangent.LINEAR_SD: "linear_sd"}


def hyper_draws(fit: Fit) -> dict[str, np.ndarray]:
    """Return draws of the hyper-parameters by name: (members, draws, ...).

    Correlations are their lower triangles; scales of a network are divided by their gains.
    """
    found = {}
    for latent in LinearPredictor(_bare(fit.spec)).hypers:
        value = np.asarray(fit.draws[latent.name])
        name = latent.name
        if latent.correlations:
            rows, columns = np.tril_indices(latent.shape[-1], -1)
            value = (value @ np.swapaxes(value, -1, -2))[..., rows, columns]
            name = f"{name.removesuffix('_cholesky')}_correlation"
        found[name] = value
    return found | {NAMES[name]: value for name, value in _own_scales(fit).items()}


@with_numpyro
def hyper_log_priors(fit: Fit, objective: Objective) -> dict[str, np.ndarray]:
    """Return the log prior density of every hyper-parameter at the draws: (members, draws).

    They are those of the program: of a standardised target, of the Cholesky factor of correlations.
    """
    spec = _bare(fit.spec)
    sites = [latent.name for latent in LinearPredictor(spec).hypers]
    sites += [name for name in LAST_LAYER if name in fit.draws]
    draws = {name: fit.draws[name] for name in sites}
    own = _own_scales(fit)
    numbers = Objective(prior_scale=objective.prior_scale, priors=objective.priors)
    make_room((fit.spec, "log prior"), draws)
    found = _compiled(fit.spec)(draws, own, numbers) if draws or own else {}
    named: dict[str, np.ndarray] = {}
    for site, value in found.items():
        name = f"{site.removesuffix('_cholesky')}_correlation" if site in _factors(spec) else site
        name = LAYER if site in LAST_LAYER else NAMES.get(site, name)
        named[name] = named.get(name, 0.0) + np.asarray(value, np.float64)
    return named


def prior_sensitivity(fit: Fit, objective: Objective) -> dict[str, np.ndarray]:
    """Return the prior sensitivity of every hyper-parameter, (members,): its largest element's.

    Parameters that have not moved in any draw are left out.
    """
    whole = np.sum(list(hyper_log_priors(fit, objective).values()), axis=0)
    draws = hyper_draws(fit)
    if not draws:
        return {}
    members = len(np.atleast_1d(fit.quality.get("divergences", fit.centre)))
    each = len(fit.centre) // members
    found: dict[str, list[float]] = {name: [] for name in draws}
    for member in range(members):
        chains = slice(member * each, (member + 1) * each)
        own = {name: value[chains] for name, value in draws.items()}
        for name, value in _sensitivity(own, whole[chains]).items():
            found[name].append(value)
    return {name: np.array(values) for name, values in found.items() if np.isfinite(values).all()}


def _sensitivity(draws: Mapping[str, np.ndarray], log_prior: np.ndarray) -> dict[str, float]:
    """Return the largest sensitivity of the elements of every variable (chains, draws, ...)."""
    if np.ptp(log_prior) < ALIKE:
        return dict.fromkeys(draws, 0.0)
    posterior = {}
    for name, value in draws.items():
        flat = np.asarray(value, np.float64).reshape(*value.shape[:2], -1)
        posterior |= {
            f"{name} {i}": (("chain", "draw"), flat[..., i]) for i in range(flat.shape[2])
        }
    groups = {
        "posterior": group(posterior, {}, {}),
        "log_prior": group({"all": (("chain", "draw"), log_prior)}, {}, {}),
    }
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = power_scaling(assemble(groups))
    found: dict[str, float] = {}
    for name, value in scaled.items():
        of = str(name).rpartition(" ")[0]
        found[of] = max(found.get(of, 0.0), float(value))
    return found


def _bare(spec: ModelSpec) -> ModelSpec:
    return replace(plain(spec), tangent=False)


def _factors(spec: ModelSpec) -> set[str]:
    return {latent.name for latent in spec.latents if latent.correlations}


def _own_scales(fit: Fit) -> dict[str, np.ndarray]:
    """Return the scales of a network's linear model, divided by their gains: (members, draws)."""
    if not fit.spec.tangent:
        return {}
    scales = np.asarray(fit.draws[tangent.SCALES])
    found = {tangent.LINEAR_SD: scales[..., -1]}
    if fit.spec.hidden and fit.gains is not None and (fit.gains[:, 0] > 0).all():
        found[tangent.WEIGHT_SD] = scales[..., 0] / fit.gains[:, :1]
    return found


@per_structure()
def _compiled(spec: ModelSpec) -> Callable[..., dict[str, Array]]:
    bare = _bare(spec)

    def one(
        hypers: dict[str, Array], own: dict[str, Array], objective: Objective
    ) -> dict[str, Any]:
        found = log_priors(bare, hypers, objective)
        scales = {k: tangent_prior(spec, k, objective).log_prob(v) for k, v in own.items()}
        return found | scales

    over_draws = jax.vmap(one, (0, 0, None))
    return jitted(jax.vmap(over_draws, (0, 0, None)), "once")
