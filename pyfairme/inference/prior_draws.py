"""Draws from the model's own prior, for prior predictive checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key
from numpyro import handlers

from pyfairme.compilation import jitted, make_room, per_structure
from pyfairme.data import TARGETS, Batch
from pyfairme.inference.jax_runtime import with_numpyro
from pyfairme.inference.predictions import Fit
from pyfairme.model.program import ModelSpec, Objective, build, plain


@with_numpyro
def prior_draws(fit: Fit, objective: Objective, number: int, seed: int) -> dict[str, np.ndarray]:
    """Draw the latents of a fit from their prior: name -> (members, draws, *shape).

    The model itself is run, so that there is one place where the prior stands. Its network is no
    latent variable and is not drawn.

    Parameters
    ----------
    fit
        Fitted program; its network and its structure are used, its draws for their names only.
    objective
        The numbers of the priors, ``prior_scale`` and ``priors``; the others do not matter.
    number
        Draws in all, spread over the members.
    seed
        Seeds the draws.
    """
    spec = plain(fit.spec)
    network = jax.tree.map(lambda leaf: leaf[0], fit.network)
    members = next(iter(fit.draws.values())).shape[0]
    each = -(-number // members)
    keys = jax.random.split(jax.random.key(seed), members * each)
    make_room((spec, tuple(fit.draws)), keys)
    gains = (1.0, 1.0) if fit.gains is None else tuple(fit.gains[0])
    objective = Objective(prior_scale=objective.prior_scale, priors=objective.priors, gains=gains)
    drawn = _compiled(spec, tuple(fit.draws))(keys, network, _one_row(spec), objective)
    return {
        name: np.asarray(value).reshape(members, each, *value.shape[1:])
        for name, value in drawn.items()
    }


@per_structure()
def _compiled(spec: ModelSpec, names: tuple[str, ...]) -> Callable[..., dict[str, Array]]:
    model = build(spec).model

    def one(
        key: Key[Array, ""], network: Any, batch: Batch, objective: Objective
    ) -> dict[str, Array]:
        run = handlers.substitute(handlers.seed(model, key), data={"network": network})
        sites = handlers.trace(run).get_trace(batch, objective)
        return {name: sites[name]["value"] for name in names}

    return jitted(jax.vmap(one, (0, None, None, None)), "once")


def _one_row(spec: ModelSpec) -> Batch:
    """Return the least that the model runs on; the prior does not look at it."""
    columns = 1 + max((f.column for f in spec.factors), default=-1)
    slopes = 1 + max((i for f in spec.factors for i in f.slopes), default=-1)
    return Batch(
        x=np.zeros((1, spec.covariates), np.float32),
        y=np.zeros(1, TARGETS[spec.likelihood.target].encoded),
        cluster=np.zeros((1, columns), np.int32),
        slopes=np.zeros((1, slopes), np.float32),
        sensitive=np.zeros((1, 0), np.int32),
        weight=np.ones(1, np.float32),
        offset=np.zeros(1, np.float32),
    )
