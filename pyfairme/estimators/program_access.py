"""The NumPyro program behind a fitted estimator, for NumPyro's own tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from numbers import Integral
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from pyfairme.data import Batch
from pyfairme.data.input_types import Table
from pyfairme.estimators import estimator_keywords, refine_and_adapt, table_inputs
from pyfairme.estimators.encoded_rows import encoded_rows
from pyfairme.inference.fit_program import lean
from pyfairme.inference.guides import GUIDES, Guide, free_size, guide_of
from pyfairme.inference.jax_runtime import with_jax
from pyfairme.model.likelihoods import Latent
from pyfairme.model.networks import Layer
from pyfairme.model.program import ModelSpec, Objective, build, given_network
from pyfairme.notices import shown

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects

NARROWEST = 1e-6  # standard deviation of a guide that is matched to draws


@dataclass(frozen=True, eq=False)
class FittedProgram:
    """A fitted estimator as a NumPyro program; ``estimator.program_`` makes it.

    ``model``, ``guide`` and ``posterior_model`` take the two arguments that `inputs` returns;
    ``model`` and ``guide`` two more, ``totals`` and ``ramp`` (`pyfairme.model.program.Program`).
    They know nothing of each other and may be called as often as you like.

    Attributes
    ----------
    model
        What was trained: latents, the outcome "y" of all "rows", and the penalties as factors.
        Every term is a mean over rows, the prior divided by n. The network is the parameter
        "network", so that SVI trains it on.
    guide
        The guide that SVI fitted. Where the estimator's draws are not those of such a guide
        (``guide="block"``, `refine`, `adapt`): independent Normals, on the scale of real numbers,
        with the draws' means and standard deviations.
    params
        Fitted parameters of ``model`` and ``guide``, in NumPyro's constrained form.
    posterior_model
        The model given the fitted network, without penalties, a sum over rows: its log density is
        that of the posterior, whatever guide was fitted. This is what MCMC is to sample.
    draws
        The estimator's own posterior draws, name of the site -> (draws, *shape).
    members, number
        How many members the ensemble has, and which one this is; see `member`.
    """

    model: Callable[..., None]
    guide: Callable[..., None]
    params: Mapping[str, Any] = field(repr=False)
    posterior_model: Callable[[Batch, Objective], None]
    draws: Mapping[str, np.ndarray] = field(repr=False)
    members: int
    number: int
    _estimator: FairMixedEffects = field(repr=False)

    def inputs(
        self, X: Table, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> tuple[Batch, Objective]:
        """Return the program's arguments for a table: encoded rows and the objective's numbers.

        Parameters
        ----------
        X
            Rows, (n, columns). Clusters that training never saw have no random effect.
        y
            Their target, (n,), in the user's units; the program has real targets standardised.
            None: rows to predict, "y" is drawn.
        sample_weight
            Weight of each row, (n,).

        Notes
        -----
        For a mini-batch say how much all rows weigh, and a batch on average: ``model(batch,
        objective, Totals(rows, batch))``, of `pyfairme.model.program`.
        """
        rows, objective = _inputs(self._estimator, X, y, sample_weight)
        gains = self._estimator.fit_.gains
        if gains is not None:
            objective = objective._replace(gains=tuple(map(jnp.float32, gains[self.number])))
        return rows, objective

    def member(self, number: int) -> FittedProgram:
        """Return the program of one member of an ensemble, from 0; they differ in parameters."""
        if not isinstance(number, Integral) or not 0 <= number < self.members:
            raise ValueError(
                f"member takes a number from 0 to {self.members - 1}, one per member of the "
                f"ensemble, and got {shown(number)}. [no-such-member]"
            )
        return _of_member(self._estimator, int(number))


def program(estimator: FairMixedEffects) -> FittedProgram:
    """Return the program of `FairMixedEffects.program_`."""
    estimator._check_use()
    return _of_member(estimator, 0)


@with_jax
def _of_member(estimator: FairMixedEffects, number: int) -> FittedProgram:
    fit = estimator.fit_
    latents = fit.spec.latents
    network, draws = next(islice(refine_and_adapt.members(fit), number, None))
    network = jax.tree.map(jnp.asarray, network)
    guide, params = _guide(estimator, latents, number, draws)
    return FittedProgram(
        model=build(_trained_spec(estimator)).model,
        guide=guide.sample,
        params=jax.tree.map(jnp.asarray, params) | {"network": network},
        posterior_model=_posterior_model(estimator, network),
        draws=draws,
        members=len(fit.quality.get("divergences", fit.centre)),
        number=number,
        _estimator=estimator,
    )


def _guide(
    estimator: FairMixedEffects,
    latents: tuple[Latent, ...],
    number: int,
    draws: Mapping[str, np.ndarray],
) -> tuple[Guide, dict[str, Any]]:
    """Return the guide that made the draws, or one that is matched to them, with its parameters."""
    learned = _learned(estimator, latents, number)
    chosen = estimator.guide_ if isinstance(estimator.guide, str) else estimator.guide
    own = guide_of(chosen, latents)
    moved = estimator.fit_.spec.last_layer and getattr(estimator, "prior_correction", False)
    sampled = "divergences" in estimator.fit_.quality
    if learned and not (own.second_stage or sampled or moved):
        return own, learned
    others = {name: value for name, value in learned.items() if not name.startswith("joint_")}
    return GUIDES["mean_field"](latents), others | _matched(latents, draws)


def _learned(
    estimator: FairMixedEffects, latents: tuple[Latent, ...], number: int
) -> dict[str, Any]:
    """Return what SVI ended with; nothing where it is not kept, or was before `adapt`."""
    kept = getattr(estimator, "_learned", None)
    params = {} if kept is None else kept.params[number]
    places = {"joint_loc", *(f"{latent.name}_loc" for latent in latents)}
    size = sum(np.size(params[name]) for name in places & set(params))
    return dict(params) if size == free_size(latents) else {}


def _matched(latents: tuple[Latent, ...], draws: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return parameters of a mean-field guide with the draws' means and standard deviations."""
    found = {}
    for latent in latents:
        free = np.asarray(latent.transform.inv(jnp.asarray(draws[latent.name])))
        found[f"{latent.name}_loc"] = free.mean(axis=0)
        found[f"{latent.name}_scale"] = np.maximum(free.std(axis=0), NARROWEST)
    return found


def _posterior_model(
    estimator: FairMixedEffects, network: tuple[Layer, ...]
) -> Callable[[Batch, Objective], None]:
    if estimator.kl_weight > 0:
        return given_network(estimator.fit_.spec, network)

    def refuse(batch: Batch, objective: Objective) -> None:
        raise ValueError(
            "posterior_model needs kl_weight > 0, and this model has kl_weight=0: without the "
            "prior the latents have no posterior. Fit with kl_weight=1. [prior-off]"
        )

    return refuse


@with_jax
def _inputs(
    estimator: FairMixedEffects, X: Table, y: ArrayLike | None, sample_weight: ArrayLike | None
) -> tuple[Batch, Objective]:
    estimator._check_use()
    frame = table_inputs.new_frame(estimator, X, allow_nan=estimator.missing == "category")
    if y is None:
        weight = table_inputs.sample_weights(sample_weight, len(frame))
        rows = encoded_rows(estimator, frame, weight=weight)
    else:
        rows = refine_and_adapt.labelled_rows(estimator, frame, y, sample_weight)
    objective = _numbers(estimator, rows)
    return jax.tree.map(jnp.asarray, rows), jax.tree.map(jnp.float32, objective)


def _numbers(estimator: FairMixedEffects, rows: Batch) -> Objective:
    """Return the objective's numbers for some rows."""
    params, spec = estimator.get_params(deep=False), estimator.fit_.spec
    blank = np.zeros(len(rows.weight), np.int32)
    labelled = rows._replace(y=blank) if rows.y is None else rows
    objective = estimator_keywords.objective(params, spec, labelled)
    return estimator._objective(objective, estimator._class_weights)


def _trained_spec(estimator: FairMixedEffects) -> ModelSpec:
    """Return the structure that was trained: without an idle adversary of many clusters."""
    return lean(estimator.fit_.spec, Objective(cluster=float(estimator.cluster_weight)))
