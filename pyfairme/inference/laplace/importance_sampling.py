"""Draws from a block guide, corrected by importance sampling.

Each draw of the hyper-parameters and of D is weighed by its posterior over the density it was drawn
from: the guide with heavier tails, mixed with its own correction from a few pilot draws (adaptive
multiple importance sampling: Cornuet, Marin, Mira & Robert 2012). The clusters' effects,
independent given these, are integrated out one cluster at a time: a few draws from each cluster's
own Gaussian, moved to its mode, estimate p(y_k | phi, D) without bias, and one of them is kept in
proportion to its weight. The product is an exact importance sampler (pseudo-marginal: Andrieu &
Roberts 2009) whose weights do not degenerate with the number of clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array
from numpyro import handlers

from pyfairme.compilation import per_structure
from pyfairme.data import Batch
from pyfairme.inference.laplace.block_guide import BlockGuide, from_free, sizes
from pyfairme.inference.laplace.conditional import condition, place_dense
from pyfairme.inference.laplace.independent_clusters import (
    INNER,
    ClusterNoise,
    Given,
    Own,
    climb,
    draw_effects,
    draw_noise,
    log_normal,
    without_dense,
)
from pyfairme.inference.laplace.linear_predictor import (
    DesignRows,
    LinearPredictor,
    design_rows,
    known,
    part,
)
from pyfairme.inference.laplace.psis import relative_ess, resample, smooth
from pyfairme.model.program import SUMS, ModelSpec, Objective, draw_latents

PROPOSALS = 4000
FEWEST = 500
WORK = 1e9  # products that the correction may take: fewer proposals of many rows
NUMBERS = 2e7  # numbers held at once
LARGEST = 5e7  # numbers in all proposals together
DF = 5
FAST_KEYS = "unsafe_rbg"  # compiles fast; keys are never under vmap here
MOST_BROKEN = 0.5  # share of proposals with a finite weight, below which the algebra broke down
PILOTS = 1000
PILOT_ROUNDS = 2
JUDGED = 1000  # clusters whose k is computed


class Weighed(NamedTuple):
    """Draws (draws, ...), what the weights of hyper-parameters and D are worth, each cluster's k.

    ``k`` is Pareto's, ``ess`` the share of the proposals that are effective, ``cluster_k`` (G,).
    """

    draws: dict[str, np.ndarray]
    k: float
    ess: float
    cluster_k: np.ndarray


class Proposal(NamedTuple):
    """One draw of everything with its log weight, and the effects' own log weights (G,)."""

    latents: dict[str, Any]
    free: Any
    log_weight: Any
    cluster: Any


class ProposalNoise(NamedTuple):
    """What one proposal is made of: which component, and standard Normal numbers."""

    component: Array
    mixing: Array  # (DF,)
    hypers: Array  # (h,)
    dense: Array  # (M',)
    local: ClusterNoise


class Components(NamedTuple):
    """Multivariate t distributions of the free hyper-parameters, drawn from alike."""

    loc: Any  # (c, h)
    scale_tril: Any  # (c, h, h)


def weigh(
    layout: LinearPredictor,
    fitted: BlockGuide,
    batch: Batch,
    objective: Objective,
    draws: int,
    seed: int,
) -> Weighed:
    """Draw from the block guide and correct the draws.

    ``objective`` holds the priors' scale; the batch's weights are divided by ``kl_weight`` already.
    Raises FloatingPointError when single precision does not suffice.
    """
    n, a = batch.x.shape[0], layout.width
    work = n * (3 * a * a + INNER * a) + layout.clusters * a**3
    held = sum(int(np.prod(v.shape)) for v in layout.spec.latents)
    number = int(np.clip(min(WORK / work, LARGEST / max(held, 1)), FEWEST, PROPOSALS))
    together = int(np.clip(NUMBERS / (n * (a * a + INNER)), 1, 100))
    pilots = min(PILOTS, number // 2)
    at_once = -(-pilots // together)

    def propose(components: Components, count: int, stage: int) -> Proposal:
        key = jax.random.fold_in(jax.random.key(seed, impl=FAST_KEYS), stage)
        calls = -(-count // (at_once * together))  # of one shape, so that it compiles once
        keys = jax.random.split(key, (calls, at_once))
        run = _proposer(layout, together)
        parts = [run(fitted, components, batch, objective, some) for some in keys]
        found = jax.tree.map(lambda *values: np.concatenate(values), *parts)
        finite = np.where(np.isfinite(found.log_weight), found.log_weight, -np.inf)
        if np.isfinite(finite).mean() < MOST_BROKEN:
            raise FloatingPointError(
                "most draws of the block guide have no finite weight [block-broke-down]"
            )
        least = finite[np.isfinite(finite)].min() - 100.0  # overflowed: weighs nothing
        return found._replace(log_weight=np.maximum(finite, least))

    own = Components(
        *(np.stack([v, v]) for v in (np.asarray(fitted.loc), np.asarray(fitted.scale_tril)))
    )
    components = own
    for stage in range(PILOT_ROUNDS if layout.hypers else 0):
        components = _adapted(own, propose(components, pilots, stage))
    found = propose(components, number, PILOT_ROUNDS)
    smoothed, k = smooth(found.log_weight)
    chosen = resample(smoothed, draws, np.random.default_rng(seed))
    judged = judged_clusters(min(layout.clusters, JUDGED), layout.clusters)
    cluster_k = smooth(found.cluster[chosen][:, judged].T)[1]  # where the posterior is
    kept = {name: value[chosen] for name, value in found.latents.items()}
    return Weighed(kept, float(k), relative_ess(smoothed), cluster_k)


def _adapted(own: Components, pilot: Proposal) -> Components:
    """Replace the second component by the weighted moments of the pilot draws."""
    log_weight, _ = smooth(pilot.log_weight)
    weight = np.exp(log_weight)
    size = own.loc.shape[1]
    mean = weight @ pilot.free
    centred = pilot.free - mean
    covariance = (weight[:, None] * centred).T @ centred
    trust = 1 / (weight**2).sum()
    trust = trust / (trust + 2 * size)  # few effective draws: stay near the guide's covariance
    covariance = trust * covariance + (1 - trust) * own.scale_tril[0] @ own.scale_tril[0].T
    tril = np.linalg.cholesky(covariance + 1e-9 * np.eye(size)).astype(np.float32)
    loc = np.stack([own.loc[0], mean.astype(np.float32)])
    return Components(loc, np.stack([own.scale_tril[0], tril]))


def judged_clusters(number: int, clusters: int) -> np.ndarray:
    """Return which clusters have a k: all of them, or ``number`` spread evenly."""
    return np.linspace(0, clusters - 1, number).astype(int)


@per_structure()
def _proposer(layout: LinearPredictor, together: int) -> Callable[..., Proposal]:
    shapes = sizes(layout)

    def run(
        fitted: BlockGuide, components: Components, batch: Batch, objective: Objective, keys: Array
    ) -> Proposal:
        rows = design_rows(layout, fitted.network, batch)
        propose = jax.vmap(
            lambda noise: _propose(layout, fitted, components, rows, objective, noise)
        )

        def some(key: Array) -> Proposal:
            parts = jax.random.split(key, 5)
            return propose(
                ProposalNoise(
                    jax.random.randint(parts[0], (together,), 0, 2),
                    jax.random.normal(parts[1], (together, DF)),
                    jax.random.normal(parts[2], (together, *shapes.hypers)),
                    jax.random.normal(parts[3], (together, *shapes.dense)),
                    draw_noise(layout.spec.likelihood, parts[4], (together, *shapes.local)),
                )
            )

        found = jax.lax.map(some, keys)
        return jax.tree.map(lambda v: v.reshape(keys.size * together, *v.shape[2:]), found)

    return jax.jit(run)


def _propose(
    layout: LinearPredictor,
    fitted: BlockGuide,
    components: Components,
    rows: DesignRows,
    objective: Objective,
    noise: ProposalNoise,
) -> Proposal:
    free, density = _heavy_tailed(components, noise)
    hypers, volume = from_free(layout.hypers, free)
    weight = log_prior(layout.spec, hypers, objective) + volume - density

    found = condition(layout, fitted.sums, hypers, known(layout, fitted.network))
    white, dense = place_dense(found, noise.dense)
    weight = weight + log_normal(white) - log_normal(noise.dense)
    weight = weight - jnp.log(jnp.diagonal(found.dense_factor)).sum()
    weight = weight + fitted.sums.tilt_dense @ dense

    centred = without_dense(rows, dense)
    shift = found.shift - jnp.einsum("gam,m->ga", found.lean, white)
    given = Given(layout.spec.likelihood, hypers, found.scale, fitted.sums.tilt_local)
    own = Own(found.factor, shift)
    if not layout.spec.likelihood.quadratic:
        own = climb(given, centred, own, steps=2)
    local, total, log_weight = draw_effects(given, centred, own, noise.local)
    latents = hypers | part(layout, dense, local)
    return Proposal(latents, free, weight + total.sum(), log_weight)


def _heavy_tailed(components: Components, noise: ProposalNoise) -> tuple[Array, Array]:
    """Draw from a mixture of multivariate t with DF degrees of freedom, and its log density.

    Scales have heavier tails than a Normal of their logarithm; weights must not be ruled by them.
    """
    mixing = (noise.mixing**2).mean()  # chi-square over its mean
    scale_tril = components.scale_tril[noise.component]
    free = components.loc[noise.component] + scale_tril @ noise.hypers / jnp.sqrt(mixing)

    def density(loc: Array, scale_tril: Array) -> Array:
        white = solve_triangular(scale_tril, free - loc, lower=True) if free.size else free
        inner = jnp.log1p((white**2).sum() / DF)
        return -0.5 * (DF + free.size) * inner - jnp.log(jnp.diagonal(scale_tril)).sum()

    return free, jax.nn.logsumexp(jax.vmap(density)(*components)) - jnp.log(2.0)


def log_prior(spec: ModelSpec, hypers: Mapping[str, Array], objective: Objective) -> Array:
    """Log prior density of the hyper-parameters."""
    seeded = handlers.seed(draw_latents, jax.random.key(0))
    drawn = handlers.trace(handlers.substitute(seeded, data=dict(hypers)))
    sites = drawn.get_trace(spec, objective._replace(kl=1.0), SUMS)
    terms = [sites[name]["fn"].log_prob(value).sum() for name, value in hypers.items()]
    return sum(terms, start=jnp.zeros(()))
