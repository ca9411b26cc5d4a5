"""The probabilistic program: static structure, traced numbers, and the NumPyro model they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro import handlers

from pyfairme.compilation import per_structure
from pyfairme.data import Batch
from pyfairme.model import effects, tangent
from pyfairme.model.effects import RandomEffects
from pyfairme.model.likelihoods import Latent, Likelihood, residual_of
from pyfairme.model.networks import Layer, mlp_apply, mlp_init, scale_gradient
from pyfairme.model.penalties import AttributeCodes, NamedPenalty, View, cluster_adversary
from pyfairme.model.priors import PriorFamily

LAST_LAYER = ("output_weight", "output_bias")
LAST_LAYER_SCALE = 2.5
LOSSES = {"y": "mixed", "fixed_loss": "fixed"}  # sites -> the predictions that they are losses of
SITES = frozenset({"rows", "network", "random", *LOSSES, *LOSSES.values()})  # of every model


@dataclass(frozen=True)
class ModelSpec:
    """Everything that decides the shape of the program; hashable, so that compiling is cached.

    ``penalties`` are objects with their names (see `pyfairme.model.penalties.penalties_of`);
    ``views`` the predictions they act on, a subset of ("fixed", "random", "mixed"). ``priors`` are
    families of priors in place of the default ones, by site: of `latents`, and of the scales of
    `tangent` (`tangent.WEIGHT_SD` and `tangent.LINEAR_SD`).
    """

    likelihood: Likelihood
    covariates: int
    hidden: tuple[int, ...] = ()
    factors: tuple[RandomEffects, ...] = ()
    adversaries: tuple[tuple[str, int], ...] = ()  # factors whose clusters A_C predicts
    attributes: tuple[AttributeCodes, ...] = ()
    penalties: tuple[NamedPenalty, ...] = ()
    views: tuple[str, ...] = ()
    criterion: str = "equalized_odds"
    fixed_loss: bool = True
    last_layer: bool = False
    tangent: bool = False  # the fixed part is the network's linear model (see `tangent`)
    priors: tuple[tuple[str, PriorFamily], ...] = ()
    cells: int | None = 2**18  # rows x classes that a cluster adversary sees in a step; None: all

    @property
    def latents(self) -> tuple[Latent, ...]:
        """Every latent variable, in the order in which the model draws them."""
        found = [latent for latent, _ in self.likelihood.latents()]
        if self.last_layer:
            inputs = self.hidden[-1] if self.hidden else self.covariates
            found.append(Latent(LAST_LAYER[0], (inputs, self.likelihood.outputs), False, 0.0))
            found.append(Latent(LAST_LAYER[1], (self.likelihood.outputs,), False, 0.0))
        if self.tangent:
            found.extend(tangent.latents(self.sizes))
        for factor in self.factors:
            found.extend(factor.latents(self.likelihood.effect_scale, self.plate(factor)))
        return tuple(found)

    @property
    def linear_latent(self) -> bool:
        """Whether the fixed part is linear and latent."""
        return (self.last_layer or self.tangent) and not self.hidden

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths of the network: its inputs, hidden layers and outputs."""
        return (self.covariates, *self.hidden, self.likelihood.outputs)

    def plate(self, factor: RandomEffects) -> str:
        """Name the plate of a factor's clusters: by its column, if no site has that name."""
        taken = {latent.name for f in self.factors for latent in f.latents(1.0)} | SITES
        taken |= {other.name for other in self.factors if other is not factor}
        taken |= {*LAST_LAYER, *(latent.name for latent, _ in self.likelihood.latents())}
        name = factor.name
        while name in taken:
            name += "_clusters"
        return name


class Objective(NamedTuple):
    """The tuned numbers of the objective (eq. 11), traced: changing one compiles nothing.

    ``kl`` multiplies the prior's part of the ELBO, ``prior_scale`` the scales of the random
    effects' default priors; ``priors`` are the numbers of `ModelSpec.priors`, by site; ``gains``
    are those of `tangent`; the others are the strengths of their terms. Where a structure has room
    for more, ``levels`` says how many clusters of a factor there are, by its name, and ``classes``
    how many classes: the others have no part in any term.
    """

    fixed: Array | float = 0.0
    kl: Array | float = 1.0
    cluster: Array | float = 0.0
    prior_scale: Array | float = 1.0
    fairness: Mapping[str, Mapping[str, Any]] = {}  # penalty -> view -> per attribute (A,)
    balance: tuple[Any, ...] = ()  # per attribute: weight of each level
    threshold: Array | float = 0.5  # probability from which the positive of two classes is decided
    priors: Mapping[str, tuple[Any, ...]] = {}
    gains: tuple[Array | float, Array | float] = (1.0, 1.0)
    levels: Mapping[str, Array | float] = {}
    classes: Array | float | None = None


class Totals(NamedTuple):
    """Sums of the rows' weights, traced: n of all training rows, and what to expect in a batch."""

    rows: Array | float
    batch: Array | float


SUMS = Totals(1.0, 1.0)
"""Of a log density, whose terms are sums over rows; those of the objective are means."""


def totals_of(batch: Batch) -> Totals:
    """Return the totals where the batch holds all rows."""
    total = batch.weight.sum()
    return Totals(total, total)


class Prediction(NamedTuple):
    """Link-scale predictions, each (n, K)."""

    fixed: Float[Array, "n k"]
    random: Float[Array, "n k"]
    mixed: Float[Array, "n k"]
    hidden: tuple[Float[Array, "n _"], ...]


class Program(NamedTuple):
    """A NumPyro model with its structure.

    ``model(batch, objective, totals=None, ramp=1.0)``: without totals the batch holds all rows;
    ``ramp`` rises from 0 to 1 during the warm-up of the adversaries and penalties.
    """

    spec: ModelSpec
    model: Callable[..., None]


def predictor(
    spec: ModelSpec,
    network: tuple[Layer, ...],
    latents: Mapping[str, Array],
    batch: Batch,
    membership: tuple[Float[Array, "n _"], ...] | None = None,
) -> Prediction:
    """Predict fixed, random and mixed effects on the link scale.

    fixed = f_theta(x) + offset,  random = sum over factors of intercept_z + r . slope_z. The same
    function serves the model and every prediction. ``membership`` holds, per factor, (n, G) soft
    memberships that replace the cluster codes.
    """
    if spec.last_layer:
        network = (*network[:-1], Layer(latents[LAST_LAYER[0]], latents[LAST_LAYER[1]]))
    fixed, hidden = mlp_apply(network, batch.x)
    if spec.tangent:
        fixed = tangent.link(network, latents, batch.x)
    fixed = fixed + batch.offset[:, None]
    random = jnp.zeros_like(fixed)
    for index, factor in enumerate(spec.factors):
        r = hidden[-1] if factor.hidden else batch.slopes
        if membership is None:
            codes = batch.cluster[:, factor.column]
            random = random + effects.contribution_of(factor, latents, codes, r)
        else:
            random = random + effects.contribution(factor, latents, membership[index], r)
    return Prediction(fixed, random, fixed + random, hidden)


@per_structure()
def build(spec: ModelSpec) -> Program:
    """Return the program of ``spec``; equal specs share one program and its compiled functions."""

    def model(
        batch: Batch,
        objective: Objective,
        totals: Totals | None = None,
        ramp: Array | float = 1.0,
    ) -> None:
        totals = totals_of(batch) if totals is None else totals
        latents = draw_latents(spec, objective, totals)
        network: Any = numpyro.param("network", lambda key: _start(spec, key, objective.classes))
        share = batch.weight / totals.batch
        with numpyro.plate("rows", batch.x.shape[0]):
            prediction = _named(predictor(spec, network, latents, batch))
            with handlers.scale(scale=share):
                y = spec.likelihood.distribution(prediction.mixed, latents)
                numpyro.sample("y", y, obs=batch.y)
        if batch.y is None:  # rows to predict: the other terms compare with the outcome
            return
        _fixed_loss(spec, prediction, latents, batch, share, objective)
        _cluster_adversaries(spec, prediction, batch, share, objective, ramp)
        _penalties(spec, prediction, batch, share, objective, ramp)

    return Program(spec, model)


def plain(spec: ModelSpec) -> ModelSpec:
    """Return the model without penalties, adversaries and the fixed prediction's own loss."""
    none: dict[str, Any] = dict.fromkeys(("adversaries", "attributes", "penalties", "views"), ())
    return replace(spec, criterion="equalized_odds", fixed_loss=False, **none)


def given_network(spec: ModelSpec, network: Any) -> Callable[[Batch, Objective], None]:
    """Return the model of rows and latents given a network, whose log density is the posterior's.

    The training objective is a mean over rows with penalties; this is the sum over rows and latents
    without them. Its arguments are batch and objective. Rows weigh ``1 / kl`` as much where the KL
    has another weight than 1.
    """
    bare = build(plain(spec)).model

    def model(batch: Batch, objective: Objective) -> None:
        rows = batch._replace(weight=batch.weight / objective.kl)
        fixed = handlers.substitute(bare, data={"network": network})
        handlers.block(fixed, hide=["network"])(rows, objective._replace(kl=1.0), SUMS)

    return model


def _named(prediction: Prediction) -> Prediction:
    """Make predictions sites of their own, so that draws of the program hold them."""
    fixed: Any = numpyro.deterministic("fixed", prediction.fixed)
    random: Any = numpyro.deterministic("random", prediction.random)
    mixed: Any = numpyro.deterministic("mixed", fixed + random)
    return Prediction(fixed, random, mixed, prediction.hidden)


def _start(spec: ModelSpec, key: Array, classes: Array | float | None = None) -> tuple[Layer, ...]:
    layers = mlp_init(key, spec.sizes, classes)
    # With a latent last layer the network ends at the last hidden one; its slot stays empty.
    return (*layers[:-1], Layer(jnp.zeros((0, 0)), jnp.zeros(0))) if spec.last_layer else layers


def draw_latents(spec: ModelSpec, objective: Objective, totals: Totals) -> dict[str, Any]:
    """Draw every latent under the KL weight: losses are row means, so the KL is divided by n."""
    latents: dict[str, Any] = {}
    priors = given_priors(spec, objective)
    with handlers.scale(scale=objective.kl / totals.rows):
        for latent, default in spec.likelihood.latents():
            prior: dist.Distribution = priors.get(latent.name, default)
            latents[latent.name] = numpyro.sample(latent.name, prior)
        if spec.last_layer:
            for latent in spec.latents:
                if latent.name in LAST_LAYER:
                    prior = dist.Normal(0.0, LAST_LAYER_SCALE).expand(latent.shape).to_event()
                    prior = priors.get(latent.name, prior)
                    latents[latent.name] = numpyro.sample(latent.name, prior)
        if spec.tangent:
            scales = {name: tangent_prior(spec, name, objective) for name in tangent.OWN_SCALES}
            latents |= tangent.sample(spec.sizes, scales, objective.gains)
        scale = objective.prior_scale * spec.likelihood.effect_scale
        for factor in spec.factors:
            count = objective.levels.get(factor.name)
            latents |= effects.sample(factor, scale, spec.plate(factor), priors, count)
    return latents


def given_priors(spec: ModelSpec, objective: Objective) -> dict[str, dist.Distribution]:
    """Return, by site, the priors of latents that are not the default ones."""
    families = dict(spec.priors)
    return {
        latent.name: families[latent.name].distribution(
            latent.shape, *objective.priors[latent.name]
        )
        for latent in spec.latents
        if latent.name in families
    }


def tangent_prior(spec: ModelSpec, name: str, objective: Objective) -> dist.Distribution:
    """Return the prior of one of the scales of `tangent`, in units of what it adds to the link."""
    family = dict(spec.priors).get(name)
    if family is None:
        return tangent.scale_prior(name, spec.likelihood.effect_scale)
    return family.distribution((), *objective.priors[name])


def last_layer_scale(spec: ModelSpec, objective: Objective) -> Array | float:
    """Return the SD of the Normal prior of a latent last layer."""
    weight = LAST_LAYER[0]
    return objective.priors[weight][0] if weight in dict(spec.priors) else LAST_LAYER_SCALE


def _fixed_loss(
    spec: ModelSpec,
    prediction: Prediction,
    latents: Mapping[str, Array],
    batch: Batch,
    share: Array,
    objective: Objective,
) -> None:
    if not spec.fixed_loss:
        return
    # The scale parameters belong to the mixed prediction: L_F must not inflate them.
    frozen = jax.lax.stop_gradient(dict(latents))
    log_p = spec.likelihood.distribution(prediction.fixed, frozen).log_prob(batch.y)
    loss = scale_gradient((share * log_p).sum(), jnp.asarray(objective.fixed))
    numpyro.factor("fixed_loss", loss)


def _cluster_adversaries(
    spec: ModelSpec,
    prediction: Prediction,
    batch: Batch,
    share: Array,
    objective: Objective,
    ramp: Array | float,
) -> None:
    if not (spec.adversaries and prediction.hidden):
        return
    hidden, strength = jnp.concatenate(prediction.hidden, axis=1), ramp * objective.cluster
    for index, (name, clusters) in enumerate(spec.adversaries):
        codes = batch.cluster[:, index]
        there = objective.levels.get(name)
        cluster_adversary(
            name, clusters, hidden, codes, share, jnp.asarray(strength), 16, there, spec.cells
        )


def view_of(
    spec: ModelSpec,
    name: str,
    prediction: Prediction,
    batch: Batch,
    share: Array,
    objective: Objective,
) -> View:
    """Return what penalties see of the prediction ``name`` ("fixed", "random" or "mixed")."""
    link = getattr(prediction, name)
    if name == "random":
        network = prediction.fixed - batch.offset[:, None]  # its mean is the centre; offsets stay
        link = link + jax.lax.stop_gradient(share @ network / share.sum()) + batch.offset[:, None]
    likelihood = spec.likelihood
    return View(
        name=name,
        prediction=likelihood.bounded(link),
        outcome=likelihood.outcome(batch.y),
        strata=likelihood.strata(batch.y),
        sensitive=batch.sensitive,
        share=share,
        balance=objective.balance,
        strength=jnp.zeros(len(spec.attributes)),
        threshold=objective.threshold,
        residual=residual_of(likelihood, link, batch.y),
    )


def _penalties(
    spec: ModelSpec,
    prediction: Prediction,
    batch: Batch,
    share: Array,
    objective: Objective,
    ramp: Array | float,
) -> None:
    if not (spec.penalties and spec.attributes):
        return
    for name in spec.views:
        view = view_of(spec, name, prediction, batch, share, objective)
        for own, penalty in spec.penalties:
            strength = ramp * objective.fairness[own][name]
            penalty(own, view._replace(strength=strength), spec.attributes, spec.criterion)
