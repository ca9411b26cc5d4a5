"""The compiled part of a fit: start, one chunk of SVI steps, validation, posterior draws.

Everything tuned is traced and everything static is in the spec, so that fits of one structure
share one set of compiled functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Int
from numpyro import handlers
from numpyro.infer import SVI, Trace_ELBO
from numpyro.infer.util import compute_log_probs, transform_fn

from pyfairme.compilation import Use, jitted, per_structure
from pyfairme.data import Batch
from pyfairme.inference.elbo import negative_elbo
from pyfairme.inference.guides import Guide, GuideChoice, draw, guide_of, transforms_of
from pyfairme.model.networks import NEVER
from pyfairme.model.penalties import group_gaps
from pyfairme.model.program import (
    LOSSES,
    ModelSpec,
    Objective,
    Program,
    Totals,
    build,
    predictor,
    view_of,
)

ADAM = optax.scale_by_adam()
JUDGED_CELLS = 2**24  # of a cluster adversary on validation rows: 64 MB (see `ModelSpec.cells`)


class State(NamedTuple):
    """What the next step needs."""

    params: dict[str, Any]  # unconstrained
    adam: optax.OptState
    key: Array
    step: Array


class Flat(NamedTuple):
    """What one step hands to the next: all parameters as one vector, and Adam's moments of it."""

    params: Array
    adam: optax.OptState


class EngineParts(NamedTuple):
    """How the vector becomes named parameters; each entry's multiple of the rate, and decay."""

    restore: Callable[[Array], dict[str, Any]]
    rates: Array
    decayed: Array  # 1 where weights decay


class Step(NamedTuple):
    """What differs between steps: rows (b,), noise, warm-up of λ and learning rate."""

    rows: Array
    key: Array
    ramp: Array
    rate: Array


class Pace(NamedTuple):
    """Traced numbers of the schedule; ``others`` multiplies the rate of all but adversaries."""

    learning_rate: Array | float
    steps: Array | float
    warm_up: Array | float
    weight_decay: Array | float = 0.0
    others: Array | float = 1.0


class Engine(NamedTuple):
    """Compiled functions of one program and guide, shared by all fits of the same structure.

    Of an ensemble, functions take and return arrays that lead with the members (keys, state,
    numbers of rows, parameters); all else is shared by them.

    ``run`` takes a whole table. Of one that is too large, ``step_keys`` gives the keys of as many
    steps, and ``run_some`` takes some of these steps with the rows that they need;
    ``start_at_mean`` begins at the mean of all outcomes where ``init`` saw some.
    """

    program: Program
    guide: Guide
    init: Callable[[Array, Batch, Objective], State]
    run: Callable[..., tuple[State, dict[str, Array]]]
    step_keys: Callable[[State, int], tuple[State, Array]]
    run_some: Callable[..., tuple[State, dict[str, Array]]]
    start_at_mean: Callable[[State, Batch, Objective], State]
    evaluate: Callable[[dict[str, Any], Batch, Objective, Totals], dict[str, Array]]
    constrain: Callable[[dict[str, Any]], dict[str, Any]]
    unconstrain: Callable[[dict[str, Any]], dict[str, Any]]


def engine(spec: ModelSpec, choice: GuideChoice, ensemble: bool = False) -> Engine:
    """Build and cache the compiled functions of a program, or of an ensemble of it."""
    return _engine(spec, choice, ensemble)  # one entry, however a caller writes the default


@per_structure()
def _engine(spec: ModelSpec, choice: GuideChoice, ensemble: bool) -> Engine:
    program, judged = build(spec), build(replace(spec, cells=JUDGED_CELLS))
    guide = guide_of(choice, spec.latents)
    svi = SVI(program.model, guide.sample, optax.identity(), Trace_ELBO())  # starts, constraints
    latent_sites = frozenset(latent.name for latent in spec.latents) | {"joint"}

    transforms = transforms_of(guide)

    def constrain(params: dict[str, Any]) -> dict[str, Any]:
        return transform_fn(transforms, params)

    def unconstrain(params: dict[str, Any]) -> dict[str, Any]:
        return transform_fn(transforms, params, invert=True)

    def init(key: Array, batch: Batch, objective: Objective) -> State:
        start_key, run_key = jax.random.split(key)
        first = svi.init(start_key, batch, objective)
        params = dict(svi.optim.get_params(first.optim_state))
        params["network"] = _start_at_mean(spec, params["network"], batch, objective)
        return State(params, ADAM.init(ravel_pytree(params)[0]), run_key, jnp.zeros((), jnp.int32))

    def start_at_mean(state: State, outcomes: Batch, objective: Objective) -> State:
        network = _start_at_mean(spec, state.params["network"], outcomes, objective)
        return state._replace(params=state.params | {"network": network})

    def losses(
        params: dict[str, Any],
        key: Array,
        batch: Batch,
        objective: Objective,
        totals: Totals,
        ramp: Array,
    ) -> tuple[Array, dict[str, Array]]:
        inputs = (batch, objective, totals, ramp)
        terms = negative_elbo(program, guide, constrain(params), key, *inputs)
        named = _named(terms, latent_sites)
        return sum(named.values(), start=jnp.zeros(())), named

    def step(
        table: Batch,
        objective: Objective,
        totals: Totals,
        parts: EngineParts,
        state: Flat,
        now: Step,
    ) -> tuple[Flat, dict[str, Array]]:
        batch = jax.tree.map(lambda a: a[now.rows], table)
        gradient, terms = jax.grad(losses, has_aux=True)(
            parts.restore(state.params), now.key, batch, objective, totals, now.ramp
        )
        update: Any
        update, adam = ADAM.update(ravel_pytree(gradient)[0], state.adam)
        # decoupled from the gradient (Loshchilov & Hutter 2019)
        update = parts.rates * update + parts.decayed * state.params
        return Flat(state.params - now.rate * update, adam), terms

    def step_keys(state: State, steps: int) -> tuple[State, Array]:
        key, chunk_key = jax.random.split(state.key)
        return state._replace(key=key), jax.random.split(chunk_key, steps)

    def run(
        state: State,
        rows: Int[Array, "s b"],
        table: Batch,
        objective: Objective,
        totals: Totals,
        pace: Pace,
    ) -> tuple[State, dict[str, Array]]:
        state, keys = step_keys(state, rows.shape[0])
        return run_some(state, keys, rows, table, objective, totals, pace)

    def run_some(
        state: State,
        keys: Array,
        rows: Int[Array, "s b"],
        table: Batch,
        objective: Objective,
        totals: Totals,
        pace: Pace,
    ) -> tuple[State, dict[str, Array]]:
        # One long vector of parameters: Adam is then a single operation, not one per array.
        flat, restore = ravel_pytree(state.params)
        rates = _rate_multiples(state.params, not spec.hidden, pace.others)
        decayed = pace.others * pace.weight_decay * ravel_pytree(_decaying_weights(state.params))[0]
        parts = EngineParts(restore, ravel_pytree(rates)[0], decayed)
        number = state.step + jnp.arange(rows.shape[0])
        steps = Step(
            rows,
            keys,
            jnp.clip(number / jnp.maximum(pace.warm_up * pace.steps, 1.0), 0.0, 1.0),
            pace.learning_rate * _cosine(number / pace.steps),
        )
        start = Flat(flat, state.adam)
        end, terms = jax.lax.scan(partial(step, table, objective, totals, parts), start, steps)
        done = State(restore(end.params), end.adam, state.key, state.step + rows.shape[0])
        return done, jax.tree.map(jnp.mean, terms)

    def evaluate(
        params: dict[str, Any], batch: Batch, objective: Objective, totals: Totals
    ) -> dict[str, Array]:
        return _evaluate(judged, guide, constrain(params), batch, objective, totals)

    def compiled(function: Callable[..., Any], use: Use, *axes: int | None) -> Callable[..., Any]:
        # a batch of one member's products costs more than the products: one member has no axis
        return jitted(jax.vmap(function, axes) if ensemble else function, use)

    def keys_of_members(state: State, steps: int) -> tuple[State, Array]:
        return jax.vmap(lambda own: step_keys(own, steps))(state)

    return Engine(
        program,
        guide,
        compiled(init, "once", 0, None, None),
        compiled(run, "steps", 0, 0, None, None, None, None),
        jitted(keys_of_members if ensemble else step_keys, "once", static=(1,)),
        compiled(run_some, "steps", 0, 0, 0, None, None, None, None),
        compiled(start_at_mean, "once", 0, None, None),
        compiled(evaluate, "steps", 0, None, None, None),
        constrain,
        unconstrain,
    )


@per_structure()
def guide_draws(
    spec: ModelSpec, choice: GuideChoice
) -> Callable[[Array, dict[str, Any], int], dict[str, Array]]:
    """Return a function of a key, fitted parameters and a number of draws of the latents."""
    guide = guide_of(choice, spec.latents)
    return jitted(lambda key, params, draws: draw(guide, key, params, draws), "steps", static=(2,))


def is_adversary(site: str, value: Any) -> bool:
    """Tell whether parameters are an adversary's: layers, as the network's are."""
    return site != "network" and isinstance(value, tuple)


def _rate_multiples(params: dict[str, Any], linear: bool, others: Array | float) -> dict[str, Any]:
    """Adversaries must keep up with the network; latents and linear models have far to go."""

    def multiple(site: str, value: Any) -> Array | float:
        if is_adversary(site, value):
            return 5.0
        return (1.0 if site == "network" and not linear else 10.0) * others

    def filled(site: str, value: Any) -> Any:
        return jax.tree.map(lambda leaf: jnp.full(leaf.shape, multiple(site, value)), value)

    return {site: filled(site, value) for site, value in params.items()}


def _decaying_weights(params: dict[str, Any]) -> dict[str, Any]:
    """Mark the weights that decay: those of hidden layers, or of a linear model's one layer."""
    marked = jax.tree.map(jnp.zeros_like, params)
    layers = marked["network"]
    many = len(layers[:-1]) or len(layers)
    ones = (layer._replace(weight=jnp.ones_like(layer.weight)) for layer in layers[:many])
    return marked | {"network": (*ones, *layers[many:])}


def _cosine(progress: Array) -> Array:
    return 0.5 * (1.0 + jnp.cos(jnp.pi * jnp.clip(progress, 0.0, 1.0)))


def _start_at_mean(spec: ModelSpec, network: Any, batch: Batch, objective: Objective) -> Any:
    """Start the output bias at the link of the mean target: the fit begins at the null model.

    Classes that do not exist never get a chance: no gradient moves such a bias.
    """
    if spec.last_layer:
        return network
    share = batch.weight / batch.weight.sum()
    start = spec.likelihood.start(share @ batch.y.astype(jnp.float32)) - share @ batch.offset
    if objective.classes is not None:
        start = jnp.where(jnp.arange(len(start)) < objective.classes, start, NEVER)
    return (*network[:-1], network[-1]._replace(bias=start))


def _named(terms: Mapping[str, Array], latent_sites: frozenset[str]) -> dict[str, Array]:
    """Collect the sites' losses under the names of the history."""
    zero = jnp.zeros(())
    kl = sum((v for k, v in terms.items() if k in latent_sites), start=zero)
    rest = {LOSSES.get(k, k): v for k, v in terms.items() if k not in latent_sites}
    return {"mixed": rest.pop("mixed"), "kl": kl} | rest


def _evaluate(
    program: Program,
    guide: Guide,
    params: dict[str, Any],
    batch: Batch,
    objective: Objective,
    totals: Totals,
) -> dict[str, Array]:
    """Every observed term and each attribute's disparity, at the latents' medians."""
    spec = program.spec
    latents = guide.median(params)
    seeded = handlers.seed(program.model, jax.random.key(0))
    found, _ = compute_log_probs(seeded, (batch, objective, totals), {}, {**params, **latents})
    names = {latent.name for latent in spec.latents}
    terms = {LOSSES.get(k, k): -v for k, v in found.items() if k not in names}
    if spec.attributes:
        prediction = predictor(spec, params["network"], latents, batch)
        share = batch.weight / totals.batch
        for name in spec.views or ("fixed", "mixed"):
            view = view_of(spec, name, prediction, batch, share, objective)
            for index, attribute in enumerate(spec.attributes):
                gaps, exists = group_gaps(view, index, attribute, spec.criterion)
                terms[f"disparity/{name}/{attribute.name}"] = (gaps * exists).sum() / jnp.maximum(
                    exists.sum(), 1.0
                )
    return terms
