"""The guide "block": q(hyper-parameters) full-rank, times the effects given them.

q(phi) is one Normal with a dense covariance over the unconstrained hyper-parameters (logarithms of
scales, correlations, the likelihood's own parameters); q(effects | phi) is the Gaussian of
`conditional`, exact for a Normal likelihood and Laplace's otherwise, whose mean and covariance are
functions of phi. One Gaussian for everything cannot bend as the posterior does, whose effects
shrink with their scales; this one does.

It is fitted in a second stage, after the network: SVI of the same NumPyro model on the same rows,
with the network fixed (a linear one without penalties is fitted on). Where a penalty pulls the
effects, its gradient at the first stage's solution is kept as a linear term, so that the second
stage does not undo what the penalty achieved. Nothing else of the first stage is kept: effects that
it left short of their mode go there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import optax
from jaxtyping import Array
from numpyro import handlers
from numpyro.distributions import biject_to, constraints
from numpyro.infer import Trace_ELBO

from pyfairme.compilation import per_structure
from pyfairme.data import Batch
from pyfairme.inference.guides import free_size, split
from pyfairme.inference.laplace.conditional import Curvature, condition, curvature, place
from pyfairme.inference.laplace.linear_predictor import (
    DesignRows,
    LinearPredictor,
    design_rows,
    join,
    known,
    part,
)
from pyfairme.model.likelihoods import Latent
from pyfairme.model.program import SUMS, ModelSpec, Objective, Totals, build

STEPS = 1500
LEARNING_RATE = 0.03
ROUNDS = 3  # how often the quadratic is made anew at the mode while q(phi) moves
NEWTON_STEPS = 10
FULL_ROWS = 8192  # up to here every step sees all rows
BATCH_ROWS = 4096
START_SCALE = 0.2


class BlockGuide(NamedTuple):
    """A fitted q: Normal of the free hyper-parameters, quadratic of the effects, the network."""

    loc: Array
    scale_tril: Array
    sums: Curvature
    network: Any


class BlockNoise(NamedTuple):
    """Standard Normal numbers that a draw is made of: (h,), (M',), (G, a)."""

    hypers: Array
    dense: Array
    local: Array


class Shapes(NamedTuple):
    """The shapes of `BlockNoise`."""

    hypers: tuple[int, ...]
    dense: tuple[int, ...]
    local: tuple[int, ...]


class Stage(NamedTuple):
    """Compiled functions of one structure; see `stage`."""

    layout: LinearPredictor
    model: Callable[..., None]
    fit: Callable[..., tuple[BlockGuide, Array]]


def from_free(latents: tuple[Latent, ...], free: Array) -> tuple[dict[str, Array], Array]:
    """Return latents by name for one vector of real numbers, and log |d latents / d numbers|."""
    values, volume = {}, jnp.zeros(())
    for latent, own in split(latents, free).items():
        values[latent.name] = latent.transform(own)
        volume += latent.transform.log_abs_det_jacobian(own, values[latent.name]).sum()
    return values, volume


def to_free(latents: tuple[Latent, ...], values: Mapping[str, Array]) -> Array:
    """Return the real numbers behind latents: the inverse of `from_free`."""
    parts = [latent.transform.inv(jnp.asarray(values[latent.name])).ravel() for latent in latents]
    return jnp.concatenate([jnp.zeros(0), *parts])


def typical(latents: tuple[Latent, ...], draws: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the draw (first axis) whose ``latents`` are nearest to their medians."""
    if not draws:
        return {}
    number = len(next(iter(draws.values())))
    distance = np.zeros(number)
    for latent in latents:
        free = np.asarray(latent.transform.inv(jnp.asarray(draws[latent.name])))
        free = free.reshape(number, -1)
        scale = np.maximum(free.std(axis=0), 1e-12)
        distance += (((free - np.median(free, axis=0)) / scale) ** 2).sum(axis=1)
    return {name: np.asarray(value[distance.argmin()]) for name, value in draws.items()}


def sizes(layout: LinearPredictor) -> Shapes:
    """Return the shapes of the noise."""
    dense = layout.dense - layout.known
    return Shapes((free_size(layout.hypers),), (dense,), (layout.clusters, layout.width))


def transport(
    layout: LinearPredictor, fitted: BlockGuide, noise: BlockNoise
) -> tuple[dict[str, Array], Array]:
    """Turn standard Normal noise into a draw of q; return it with log |d draw / d noise|."""
    hypers, volume = from_free(layout.hypers, fitted.loc + fitted.scale_tril @ noise.hypers)
    found = condition(layout, fitted.sums, hypers, known(layout, fitted.network))
    dense, local, spread = place(found, noise.dense, noise.local)
    volume = volume + jnp.log(jnp.diagonal(fitted.scale_tril)).sum() + spread
    return hypers | part(layout, dense, local), volume


@per_structure()
def stage(spec: ModelSpec, given: bool) -> Stage:
    """Build the second stage of a plain spec; ``given`` means that a linear network is fitted on.

    ``fit(first, network, batch, objective, tilt, key)`` starts from named latents ``first`` and
    returns q and the negative ELBO of every step; ``tilt`` is `pull.pull_of_penalties`, or None.
    """
    layout, program = LinearPredictor(spec, given), build(spec)
    cholesky = biject_to(constraints.scaled_unit_lower_cholesky)
    rounds = 1 if spec.likelihood.quadratic and not given else ROUNDS

    def model(batch: Batch, objective: Objective, network: Any, totals: Totals = SUMS) -> None:
        fixed = handlers.substitute(program.model, data={"network": network})
        handlers.block(fixed, hide=["network"])(batch, objective._replace(kl=1.0), totals)

    def guide(fitted: BlockGuide) -> None:
        noise = BlockNoise(*(_standard(*item) for item in sizes(layout)._asdict().items()))
        latents, volume = transport(layout, fitted, noise)
        for index, latent in enumerate(spec.latents):
            density = -volume if index == 0 else 0.0  # that of all latents together
            site = dist.Delta(latents[latent.name], density, latent.event_dim)
            with latent.in_plate():
                numpyro.sample(latent.name, site)

    def loss(params: Any, key: Array, block: BlockGuide, *inputs: Any) -> Array:
        batch, objective, totals = inputs
        network = params.get("network", block.network)
        fitted = BlockGuide(params["loc"], cholesky(params["tril"]), block.sums, network)
        found: Any = Trace_ELBO().loss(
            key, {}, lambda: model(batch, objective, network, totals), lambda: guide(fitted)
        )
        return found

    @jax.jit
    def fit(
        first: Mapping[str, Array],
        network: Any,
        batch: Batch,
        objective: Objective,
        tilt: tuple[Array, Array] | None,
        key: Array,
    ) -> tuple[BlockGuide, Array]:
        n = batch.x.shape[0]
        size = n if n <= FULL_ROWS else BATCH_ROWS
        totals = Totals(1.0, size / n)
        rows = design_rows(layout, network, batch)
        effects = join(layout, first, network)
        pull = jax.tree.map(jnp.zeros_like, effects) if tilt is None else tilt
        adam = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, STEPS))
        params = {"loc": to_free(layout.hypers, first)}
        params["tril"] = cholesky.inv(START_SCALE * jnp.eye(params["loc"].size))
        params |= {"network": network} if given else {}

        def quadratic(params: Any, effects: tuple[Array, Array]) -> tuple[BlockGuide, Any]:
            hypers, _ = from_free(layout.hypers, params["loc"])
            now = params.get("network", network)
            sums, effects = at_mode(layout, rows, hypers, effects, known(layout, now), pull)
            return BlockGuide(params["loc"], cholesky(params["tril"]), sums, now), effects

        def step(block: BlockGuide, carry: Any, key: Array) -> tuple[Any, Array]:
            params, state = carry
            row_key, noise_key = jax.random.split(key)
            few = batch
            if size < n:
                index = jax.random.randint(row_key, (size,), 0, n)
                few = jax.tree.map(lambda a: a[index], batch)
            inputs = (few, objective, totals)
            value, slope = jax.value_and_grad(loss)(params, noise_key, block, *inputs)
            update, state = adam.update(slope, state)
            return (optax.apply_updates(params, update), state), value

        def climb(carry: Any, keys: Array) -> tuple[Any, Array]:
            params, state, effects = carry
            block, effects = quadratic(params, effects)
            (params, state), values = jax.lax.scan(partial(step, block), (params, state), keys)
            return (params, state, effects), values

        keys = jax.random.split(key, (rounds, STEPS // rounds))
        start = (params, adam.init(params), effects)
        (params, _, effects), values = jax.lax.scan(climb, start, keys)
        return quadratic(params, effects)[0], values.ravel()

    return Stage(layout, model, fit)


def at_mode(
    layout: LinearPredictor,
    rows: DesignRows,
    hypers: Mapping[str, Array],
    effects: tuple[Array, Array],
    given: Array,
    tilt: tuple[Array, Array],
) -> tuple[Curvature, tuple[Array, Array]]:
    """Find the effects' mode given the hyper-parameters by Newton's method, and the quadratic."""
    dense, local = effects
    effects = jnp.concatenate([given, dense[given.size :]]), local
    silent = jnp.zeros(layout.dense - layout.known), jnp.zeros_like(local)

    def newton(_: Any, carry: Any) -> Any:
        effects = carry[1]
        sums = curvature(layout, rows, hypers, *effects)
        sums = sums._replace(tilt_dense=tilt[0], tilt_local=tilt[1])
        return sums, place(condition(layout, sums, hypers, given), *silent)[:2]

    # a quadratic is the same everywhere; others have converged, so that the last one is at the mode
    steps = 1 if layout.spec.likelihood.quadratic else NEWTON_STEPS
    blank = jax.eval_shape(lambda: curvature(layout, rows, hypers, *effects))
    zero = jax.tree.map(lambda v: jnp.zeros(v.shape, v.dtype), blank)
    return jax.lax.fori_loop(0, steps, newton, (zero, effects))


def _standard(name: str, shape: tuple[int, ...]) -> Any:
    normal = dist.Normal(0.0, 1.0).expand(shape).to_event()
    return numpyro.sample(f"{name}_noise", normal, infer={"is_auxiliary": True})
