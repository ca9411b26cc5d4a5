"""New clusters learned from a few labelled rows: network, scales and old clusters are unchanged.

For a posterior draw of the hyper-parameters, the effects of a new cluster are drawn from their
conditional posterior p(u_g | its rows, draw) (see `independent_clusters`): the prior when it has no
rows, its own fit when it has many.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array

from pyfairme.compilation import jitted, make_room, per_structure
from pyfairme.data import Batch
from pyfairme.inference.fit_stages import Progress, Report, silent
from pyfairme.inference.jax_runtime import with_jax
from pyfairme.inference.laplace.hyper_parameters import typical
from pyfairme.inference.laplace.importance_sampling import judged_clusters
from pyfairme.inference.laplace.independent_clusters import (
    Drawn,
    Given,
    Own,
    WideNoise,
    climb,
    draw_exactly,
    draw_wide_noise,
    draw_widely,
    log_posterior,
    mode,
)
from pyfairme.inference.laplace.linear_predictor import (
    DesignRows,
    LinearPredictor,
    by_term,
    cluster_scale,
    link,
    terms,
)
from pyfairme.inference.laplace.psis import RELIABLE, smooth
from pyfairme.inference.laplace.second_stage import PosteriorWarning
from pyfairme.inference.predictions import Fit
from pyfairme.inference.smooth_disparity import link_gaps
from pyfairme.inference.svi import bucket, pad
from pyfairme.model.effects import RandomEffects
from pyfairme.model.program import ModelSpec, predictor
from pyfairme.notices import warn

NEWTON_STEPS = 20  # at the middle of the hyper-parameters' posterior
DRAW_STEPS = 6  # from there to the mode under one draw of them
MOST_SDS = 100.0  # prior SDs at which a climb may start
MOST_INNER, FEWEST_INNER, INNER_WORK = 64, 16, 4096  # candidates of a cluster, and their cost
RARE = 0.05  # draws of the hyper-parameters whose candidates may do as they like
FEW, HARDLY_ANY = 0.1, 0.05  # effective share of the candidates in the worst of the others
WORK = 4e9  # products one call may take: fewer distinct draws of the scales for many slopes
FEWEST = 20
PENALTY_STEPS = 500
PENALTY_RATE = 0.05


@with_jax
def adapt(
    fit: Fit,
    position: int,
    clusters: int,
    batch: Batch,
    strength: np.ndarray,
    seed: int,
    report: Report = silent,
) -> Fit:
    """Append clusters to a factor, with effects drawn from their posterior given labelled rows.

    Parameters
    ----------
    fit
        The fitted program.
    position
        Which factor of ``fit.spec.factors`` the new clusters belong to.
    clusters
        How many new clusters there are.
    batch
        Their rows, encoded; this factor's codes count the new clusters from 0. Codes of the other
        factors are the fit's, -1 for unknown ones, whose effects are taken as 0.
    strength
        Weight of the fairness term per attribute (A,); see `nuts.sample`.
    seed
        Seed of the draws.
    report
        Told of the stage "posterior", a step for each member.

    Returns
    -------
    Fit
        Its ``quality`` has Pareto's k of every cluster of the factor, "pareto_k/<factor>" (members,
        clusters): -inf where the draws are exact, NaN for known clusters that were never judged.

    Warns
    -----
    PosteriorWarning
        When the draws of a new cluster do not stand for its posterior.
    """
    factor = fit.spec.factors[position]
    local = replace(factor, clusters=1 << max(0, (clusters - 1).bit_length()))
    padded = jax.device_put(pad(batch, bucket(len(batch.weight))))
    held = next(iter(fit.draws.values())).shape[1]
    slots, filled = _slots(batch.cluster[:, factor.column], local.clusters)
    square = factor.width**2
    inner = int(np.clip(INNER_WORK // (slots.shape[1] + square), FEWEST_INNER, MOST_INNER))
    each = slots.size * (3 * square + inner) + slots.shape[0] * square * (factor.width + inner)
    distinct = int(np.clip(WORK / each, min(FEWEST, held), held))
    index = np.linspace(0, held - 1, distinct).round().astype(int)
    near = np.abs(np.arange(held)[:, None] - index).argmin(axis=1)  # whose scales a draw shares
    turn = np.arange(held) % -(-held // distinct)
    fair, repeats = bool(np.any(strength)), -(-held // distinct)
    make_room((fit.spec, position, local, fair, repeats, inner), padded, slots)
    run = _compiled(fit.spec, position, local, fair, repeats, inner)
    fresh, worth = [], []
    for member in range(fit.centre.shape[0]):
        report(Progress("posterior", member, fit.centre.shape[0]))
        network = jax.tree.map(lambda leaf, m=member: leaf[m], fit.network)
        draws = {name: value[member] for name, value in fit.draws.items()}
        key = jax.random.fold_in(jax.random.key(seed), member)
        keys = jax.random.split(key, distinct)
        chosen = {name: value[index] for name, value in draws.items()}
        middle = typical(LinearPredictor(fit.spec).hypers, draws)
        weight = jnp.asarray(strength, jnp.float32)
        found = run(network, middle, chosen, padded, slots, filled, weight, keys)
        found = jax.tree.map(lambda v: np.asarray(v)[near, turn][:, :clusters], found)
        fresh.append(found.effects)
        worth.append((smooth(found.log_weight.T)[1], np.quantile(found.share, RARE, axis=0)))
    k, share = (np.stack(each) for each in zip(*worth, strict=True))
    _warn(k, share)
    return _grown(fit, position, clusters, np.stack(fresh), k)


def _warn(k: np.ndarray, share: np.ndarray) -> None:
    """Warn of clusters whose candidates do not stand for the posterior, (members, clusters).

    Where the climb missed a mode, a candidate of the prior that finds it counts alone, in some
    draws of the hyper-parameters: so ``share`` is the effective share under the worst of them.
    """
    bad = (((k > RELIABLE) & (share < FEW)) | (share < HARDLY_ANY)).any(axis=0)
    if bad.any():
        warn(
            f"adapt: the posterior of the effects is far from Gaussian for {bad.sum()} of the "
            f"{bad.size} new clusters (Pareto's k up to {k[:, bad].max():.2f}; only "
            f"{share[:, bad].min():.0%} of the candidates count in {RARE:.0%} of the draws): their "
            "means, standard deviations and intervals may be off. Look for rows that disagree with "
            "each other or with all known clusters, label more rows, or fit again with them. "
            "[adapt-far-from-normal]",
            PosteriorWarning,
        )


def _slots(code: np.ndarray, clusters: int) -> tuple[Array, Array]:
    """Return the rows of each cluster (G, m), and which of these places are filled."""
    count = np.bincount(code, minlength=clusters)
    order = np.argsort(code, kind="stable")
    within = np.arange(len(code)) - np.repeat(np.cumsum(count) - count, count)
    slots: np.ndarray = np.zeros((clusters, bucket(int(count.max()))), np.int32)
    filled: np.ndarray = np.zeros(slots.shape, np.float32)
    slots[code[order], within], filled[code[order], within] = order, 1.0
    return jax.device_put((slots, filled))


def _by_cluster(rows: DesignRows, slots: Array, filled: Array) -> DesignRows:
    """Return the rows (G, m, ...) of each cluster, which is then a problem of its own."""
    taken = jax.tree.map(lambda v: v[slots], rows)
    return taken._replace(code=jnp.zeros_like(taken.code), weight=taken.weight * filled)


def _climb_each(given: Given, rows: DesignRows, own: Own, steps: int) -> Own:
    def one(tilt: Array, rows: DesignRows, factor: Array, shift: Array) -> Own:
        alone = given._replace(tilt=tilt[None])
        found = climb(alone, rows, Own(factor[None], shift[None]), steps)
        return Own(found.factor[0], found.shift[0])

    return jax.vmap(one)(given.tilt, rows, own.factor, own.shift)


def _draw_each(given: Given, rows: DesignRows, own: Own, noise: WideNoise) -> Drawn:
    def one(tilt: Array, rows: DesignRows, factor: Array, shift: Array, noise: WideNoise) -> Drawn:
        alone = given._replace(tilt=tilt[None])
        noise = jax.tree.map(lambda v: v[:, None], noise)
        found = draw_widely(alone, rows, Own(factor[None], shift[None]), noise)
        return jax.tree.map(lambda v: v[0], found)

    by_cluster = jax.tree.map(lambda v: jnp.moveaxis(v, 1, 0), noise)
    return jax.vmap(one)(given.tilt, rows, own.factor, own.shift, by_cluster)


@per_structure()
def _compiled(
    spec: ModelSpec, position: int, local: RandomEffects, fair: bool, repeats: int, inner: int
) -> Callable[..., Drawn]:
    """Return a function that draws effects and their worth: (distinct, repeats, G, ...)."""
    column, likelihood = local.column, spec.likelihood

    def rows_of(network: Any, draw: Any, batch: Batch) -> DesignRows:
        """Return the rows with everything but the new clusters' effects in their base."""
        unknown = batch._replace(cluster=batch.cluster.at[:, column].set(-1))
        found = predictor(spec, network, draw, unknown)
        last = found.hidden[-1] if found.hidden else batch.x
        return DesignRows(
            base=found.mixed,
            x=jnp.zeros((batch.x.shape[0], 0)),
            r=terms(local, batch, last),
            code=batch.cluster[:, column],
            y=batch.y,
            weight=batch.weight,
        )

    def given_of(draw: Any, tilt: Array) -> Given:
        return Given(likelihood, draw, cluster_scale(local, draw), tilt)

    def penalised(
        given: Given, rows: DesignRows, batch: Batch, strength: Array, at: Array
    ) -> Array:
        """Return the mode (G, a) of the posterior times exp(-n strength . disparity)."""

        def loss(white: Array) -> Array:
            effects = white @ given.scale.T
            gaps = link_gaps(spec, link(rows, jnp.zeros(0), effects), batch)
            own = log_posterior(given, rows, effects).sum()
            return (strength @ gaps) - own / batch.weight.sum()

        adam = optax.adam(optax.cosine_decay_schedule(PENALTY_RATE, PENALTY_STEPS))

        def step(carry: Any, _: Any) -> tuple[Any, None]:
            white, state = carry
            update, state = adam.update(jax.grad(loss)(white), state)
            return (white + update, state), None

        start = jnp.linalg.solve(given.scale, at.T).T
        (white, _), _ = jax.lax.scan(step, (start, adam.init(start)), None, PENALTY_STEPS)
        return white @ given.scale.T

    same_base = not (spec.last_layer or spec.tangent) and len(spec.factors) == 1  # for every draw

    def run(
        network: Any,
        middle: Any,
        draws: Any,
        batch: Batch,
        slots: Array,
        filled: Array,
        strength: Array,
        keys: Array,
    ) -> Drawn:
        rows = rows_of(network, middle, batch)
        known = _by_cluster(rows, slots, filled)
        nothing = jnp.zeros((local.clusters, local.width * local.outputs))
        given = given_of(middle, nothing)
        unit = jnp.eye(nothing.shape[1])
        start = Own(jnp.broadcast_to(unit, (local.clusters, *unit.shape)), nothing)
        own = _climb_each(given, known, start, NEWTON_STEPS)
        tilt = nothing
        if fair:
            at = penalised(given, rows, batch, strength, mode(given, own))
            tilt = -jax.grad(lambda u: log_posterior(given, rows, u).sum())(at)
            own = _climb_each(given._replace(tilt=tilt), known, own, NEWTON_STEPS)

        at = mode(given, own)  # the same effects under every draw, whatever its scales

        def one(item: tuple[Any, Array]) -> Drawn:
            draw, key = item
            now, seen = given_of(draw, tilt), known
            if not same_base:
                seen = _by_cluster(rows_of(network, draw, batch), slots, filled)
            white = solve_triangular(now.scale, at.T, lower=True).T
            white = jnp.clip(jnp.nan_to_num(white), -MOST_SDS, MOST_SDS)  # of scales near 0
            there = _climb_each(now, seen, Own(start.factor, white), DRAW_STEPS)
            shape = (repeats, *nothing.shape)
            if likelihood.quadratic:
                return draw_exactly(now, there, jax.random.normal(key, shape))
            noise = draw_wide_noise(key, shape, inner)
            return jax.vmap(lambda some: _draw_each(now, seen, there, some))(noise)

        return jax.lax.map(one, (draws, keys))

    return jitted(run, "steps")


def _grown(fit: Fit, position: int, clusters: int, fresh: np.ndarray, k: np.ndarray) -> Fit:
    """Return the fit with effects (members, draws, clusters, a) and their k appended."""
    factor = fit.spec.factors[position]
    grown = replace(factor, clusters=factor.clusters + clusters)
    own = replace(factor, clusters=clusters)
    named = by_term(own, fresh)
    draws = dict(fit.draws)
    for name, value in named.items():
        draws[name] = np.concatenate([draws[name], np.asarray(value)], axis=2)
    factors = (*fit.spec.factors[:position], grown, *fit.spec.factors[position + 1 :])
    adversaries = tuple(
        (name, grown.clusters if name == factor.name else size)
        for name, size in fit.spec.adversaries
    )
    spec = replace(fit.spec, factors=factors, adversaries=adversaries)
    name = f"pareto_k/{factor.name}"
    quality = {**fit.quality, name: np.hstack([_known_k(fit, name, factor.clusters), k])}
    return replace(fit, spec=spec, draws=draws, quality=quality)


def _known_k(fit: Fit, name: str, clusters: int) -> np.ndarray:
    """Return Pareto's k of the known clusters (members, clusters), NaN where none was judged."""
    found = np.full((fit.centre.shape[0], clusters), np.nan)
    if name in fit.quality:
        known = np.asarray(fit.quality[name])
        found[:, judged_clusters(known.shape[1], clusters)] = known
    return found
