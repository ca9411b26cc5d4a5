"""Draws from a block guide, corrected by importance sampling.

Each draw of the hyper-parameters is weighed by its posterior over the density it was drawn from:
the guide with heavier tails, mixed with its own correction from a few pilot draws (adaptive
multiple importance sampling: Cornuet, Marin, Mira & Robert 2012). For a Normal likelihood effects
are integrated exactly, and drawn given the hyper-parameters that were kept.

For others D is drawn with the hyper-parameters and weighed with them. The clusters' effects,
independent given these, are integrated out one cluster at a time: by quadrature, or by a few draws
from each cluster's own Gaussian, moved to its mode, which estimate p(y_g | phi, D) without bias; a
draw is chosen in proportion to its weight. The product is an importance sampler (pseudo-marginal:
Andrieu & Roberts 2009) whose weights do not degenerate with the number of clusters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from scipy.linalg import cho_solve, solve_triangular

from pyfairme.compilation import jitted, per_structure
from pyfairme.inference.laplace.block_guide import BlockFit
from pyfairme.inference.laplace.cluster_integrals import (
    Together,
    conditional_means,
    conditional_on,
    filled_rows,
    links_without,
)
from pyfairme.inference.laplace.independent_clusters import (
    INNER,
    NODES,
    climb,
    draw_effects,
    draw_noise,
    integrate,
    quadrature,
)
from pyfairme.inference.laplace.laplace_evidence import Layout
from pyfairme.inference.laplace.linear_predictor import DesignRows, part
from pyfairme.inference.laplace.mixed_rows import Gaussian
from pyfairme.inference.laplace.psis import relative_ess, resample, smooth

MOST_PROPOSALS, FEWEST_PROPOSALS = 2000, 100
WORK = 3e8  # looks at rows that all proposals may take
FACTOR_WORK = 3e10  # products that factorising precisions may take
NUMBERS = 4e6  # numbers of rows held at once
TOGETHER = 3e4  # numbers of rows that are worked on at once
LARGEST = 2e7  # effects in all proposals together
DF = 5
MOST_BROKEN = 0.5  # share of proposals with a finite weight, below which the algebra broke down
BROKEN = "most draws of the block guide have no finite weight [block-broke-down]"
PILOTS = 200
GOOD = 0.5  # share of effective pilot draws with which no more are made
PILOT_ROUNDS = 2
BIAS_STEPS = 3
JUDGED = 1000  # clusters whose k is computed


class Weighed(NamedTuple):
    """Draws (draws, ...), what the weights of hyper-parameters and D are worth, each cluster's k.

    ``k`` is Pareto's, ``ess`` the share of the proposals that are effective, ``cluster_k`` (G,).
    """

    draws: dict[str, np.ndarray]
    k: float
    ess: float
    cluster_k: np.ndarray


class Proposals(NamedTuple):
    """Draws with their log weights (s,): free hyper-parameters (s, h), D (s, m) and u (s, G, a).

    ``judged`` (s, some G) are the log weights of one draw of clusters' effects. Of a Normal
    likelihood effects come later: D, u and ``judged`` are None.
    """

    free: np.ndarray
    log_weight: np.ndarray
    dense: Any = None
    local: Any = None
    judged: Any = None


class Components(NamedTuple):
    """Multivariate t distributions of the free hyper-parameters, drawn from alike."""

    loc: np.ndarray  # (c, h)
    scale_tril: np.ndarray  # (c, h, h)


def weigh(fitted: BlockFit, draws: int, seed: int) -> Weighed:
    """Draw from a block guide and correct the draws.

    Raises FloatingPointError when the algebra broke down for most proposals.
    """
    evidence, generator = fitted.evidence, np.random.default_rng(seed)
    layout, exact = evidence.layout, evidence.layout.spec.likelihood.quadratic
    number = _number(fitted)
    own = Components(fitted.loc[None], fitted.scale_tril[None])
    own = Components(*(np.concatenate([part, part]) for part in own))
    value = evidence.around(fitted.found) if exact else None
    within = None if exact else _Within(fitted)

    def propose(components: Components, count: int, stage: int) -> Proposals:
        free, density = _heavy_tailed(components, count if exact else -(-count // 2), generator)
        evidence.prepare(free)
        if value is not None:
            target = np.array([_finite(value, one) for one in free])
            found = Proposals(free, target - density)
        else:
            assert within is not None
            found = within.propose(free, density, generator, (seed, stage))
        finite = np.isfinite(found.log_weight)
        if finite.mean() < MOST_BROKEN:
            raise FloatingPointError(BROKEN)
        least = found.log_weight[finite].min() - 100.0  # overflowed: weighs nothing
        return found._replace(log_weight=np.where(finite, found.log_weight, least))

    components, worth = own, 0.0
    for stage in range(PILOT_ROUNDS if layout.hypers else 0):
        if worth < GOOD:
            pilot = propose(components, min(PILOTS, number // 2), stage)
            worth = relative_ess(smooth(pilot.log_weight)[0])
            components = _adapted(own, pilot)
    if layout.hypers:  # as many as are worth the draws
        number = int(np.clip(1.2 * draws / max(worth, 1e-3), FEWEST_PROPOSALS, number))
    found = propose(components, number, PILOT_ROUNDS)
    smoothed, k = smooth(found.log_weight)
    chosen = resample(smoothed, draws, generator)
    chosen.sort()
    if exact:
        dense, local = _given(fitted, found.free, chosen, generator)
        cluster_k = np.full(min(layout.effects.clusters, JUDGED), -np.inf)
    else:
        dense, local = found.dense[chosen], found.local[chosen]
        cluster_k = smooth(found.judged[np.unique(chosen)].T)[1]  # where the posterior is
    every = part(layout.effects, dense, local)
    every |= evidence.hyper_parameters(found.free[chosen])
    order = generator.permutation(draws)
    kept = {name: np.asarray(value)[order] for name, value in every.items()}
    return Weighed(kept, float(k), relative_ess(smoothed), cluster_k)


def _number(fitted: BlockFit) -> int:
    """Return how many proposals are made: fewer of many rows and large precisions."""
    evidence = fitted.evidence
    layout, rows = evidence.layout.effects, evidence.rows
    each = rows.size**3 / 3 + layout.clusters * layout.width**3
    number = FACTOR_WORK / max(each, 1.0)
    if not evidence.layout.spec.likelihood.quadratic:
        looks = NODES if layout.width == 1 else 3 * layout.width**2 + INNER * layout.width
        held = sum(int(np.prod(v.shape)) for v in evidence.layout.spec.latents)
        number = min(2 * number, WORK / (rows.base.size * looks), LARGEST / max(held, 1))
    return int(np.clip(number, FEWEST_PROPOSALS, MOST_PROPOSALS))


def _finite(value: Callable[[np.ndarray], tuple[float, Any]], free: np.ndarray) -> float:
    try:
        return value(free)[0]
    except np.linalg.LinAlgError:
        return float("nan")


def _given(
    fitted: BlockFit, free: np.ndarray, chosen: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw D and u given hyper-parameters ``free[chosen]``, in their order."""
    parts = []
    for index, count in zip(*np.unique(chosen, return_counts=True), strict=True):
        gaussian = fitted.evidence.given(fitted.found, free[index])
        dense = generator.normal(size=(count, len(gaussian.dense)))
        local = generator.normal(size=(count, *gaussian.local.shape))
        parts.append([v.astype(np.float32) for v in gaussian.draw(dense, local)])
    dense, local = (np.concatenate(some) for some in zip(*parts, strict=True))
    return dense, local


def _adapted(own: Components, pilot: Proposals) -> Components:
    """Replace the second component by the weighted moments of the pilot draws."""
    log_weight, _ = smooth(pilot.log_weight)
    weight = np.exp(log_weight)
    free, size = pilot.free, own.loc.shape[1]
    mean = weight @ free
    centred = free - mean
    covariance = (weight[:, None] * centred).T @ centred
    trust = 1 / (weight**2).sum()
    trust = trust / (trust + 2 * size)  # few effective draws: stay near the guide's covariance
    covariance = trust * covariance + (1 - trust) * own.scale_tril[0] @ own.scale_tril[0].T
    tril = np.linalg.cholesky(covariance + 1e-9 * np.eye(size))
    return Components(np.stack([own.loc[0], mean]), np.stack([own.scale_tril[0], tril]))


def _heavy_tailed(
    components: Components, count: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw from a mixture of multivariate t with DF degrees of freedom, and its log density.

    Scales have heavier tails than a Normal of their logarithm; weights must not be ruled by them.
    """
    number, size = components.loc.shape
    if not size:
        return np.zeros((count, 0)), np.zeros(count)
    half = -(-count // (2 * number)) * number
    white = generator.normal(size=(half, size))
    white /= np.sqrt(generator.chisquare(DF, (half, 1)) / DF)
    white = np.concatenate([white, -white])[:count]  # opposite ones balance
    which = np.concatenate([np.arange(half)] * 2)[:count] % number
    free = components.loc[which] + np.einsum("shk,sk->sh", components.scale_tril[which], white)

    def density(loc: np.ndarray, scale_tril: np.ndarray) -> np.ndarray:
        away = solve_triangular(scale_tril, (free - loc).T, lower=True)
        inner = np.log1p((away**2).sum(axis=0) / DF)
        return -0.5 * (DF + size) * inner - np.log(np.diagonal(scale_tril)).sum()

    each = [density(*one) for one in zip(*components, strict=True)]
    return free, np.logaddexp.reduce(each, axis=0) - np.log(number)


class _Within:
    """Proposals whose clusters' effects are integrated out one cluster at a time."""

    def __init__(self, fitted: BlockFit) -> None:
        evidence = fitted.evidence
        self.fitted, self.layout = fitted, evidence.layout
        known = np.concatenate(
            [fitted.found.known, np.zeros(evidence.rows.size - self.layout.known)]
        )
        self.rows, self.still = filled_rows(evidence.rows, known)
        self.judged = judged_clusters(
            min(self.layout.effects.clusters, JUDGED), self.layout.effects.clusters
        )
        numbers = self.still.base.size
        self.batch = int(np.clip(TOGETHER / numbers, 1, 64))
        self.count = max(2, 2 * int(np.clip(NUMBERS / numbers, 1, 200) / 2))
        self._run = _integrator(self.layout, self.batch)
        self.bias = np.zeros(evidence.rows.size - self.layout.known)
        if self.layout.effects.width == 1 and len(self.bias):
            self.bias = self._find_bias()

    def _find_bias(self) -> np.ndarray:
        """Return what Laplace's approximation lacks in the gradient by D (m,), at the maximum.

        Clusters that are far from Gaussian move D away from its mode: by Newton's method to where
        the posterior has its maximum with their effects integrated.
        """
        evidence, known = self.fitted.evidence, self.layout.known
        free, gaussian = self.fitted.found.free, self.fitted.found.mode.gaussian
        prior, _, _ = evidence.priors(free)
        columns, size = self.rows.x.shape[2] - known, self.rows.base.size
        x = self.rows.x[:, :, known:].reshape(size, columns)
        dense = gaussian.dense
        tilt = jnp.asarray(evidence.pull[1], jnp.float32)
        for _ in range(BIAS_STEPS):
            base = links_without(self.rows, known, dense[None])[0]
            mean = conditional_means(gaussian, dense[None])[0]
            some = Together(free, base, mean, gaussian.local_factor)
            some = jax.tree.map(lambda v: np.asarray(v, np.float32), some)
            slope = np.asarray(_slope(self.layout)(some, self.still, tilt), np.float64).ravel()
            pull = np.concatenate([x.T @ slope, self.rows.crossed.T @ slope])
            pull += evidence.pull[0][known:] - prior[known:, known:] @ dense
            dense = dense + cho_solve((gaussian.dense_factor, True), pull)
        return gaussian.dense_factor @ (gaussian.dense_factor.T @ (dense - gaussian.dense))

    def propose(
        self,
        free: np.ndarray,
        density: np.ndarray,
        generator: np.random.Generator,
        seed: tuple[int, int],
    ) -> Proposals:
        """Draw D twice for every draw of the hyper-parameters, and everything's log weight."""
        evidence, known = self.fitted.evidence, self.layout.known
        dense, means, weights, factors, there = [], [], [], [], []
        for index, one in enumerate(free):
            try:
                gaussian = _moved(evidence.given(self.fitted.found, one), self.bias)
            except np.linalg.LinAlgError:
                continue
            prior, own, half = evidence.priors(one)
            noise = generator.normal(size=len(gaussian.dense))
            drawn, weight = _draw_dense(gaussian, prior[known:, known:], noise)
            if self.layout.effects.local is not None:  # that of clusters is in their integrals
                half -= 0.5 * evidence.rows.clusters * float(np.linalg.slogdet(own)[1])
            weight += drawn @ evidence.pull[0][known:] + half + evidence.scales(one).log_prior
            weights.append(weight - density[index])
            dense.append(drawn)
            means.append(conditional_means(gaussian, drawn).astype(np.float32))
            factors.append(gaussian.local_factor.astype(np.float32))
            there.append(index)
        if len(there) < MOST_BROKEN * len(free):
            raise FloatingPointError(BROKEN)
        twice = np.repeat(free[there], 2, axis=0)
        some = Together(twice, None, np.concatenate(means), np.stack(factors))
        together = np.concatenate(dense)
        local, total, judged = self._integrated(some, together, seed)
        log_weight = np.concatenate(weights)
        return Proposals(twice, log_weight + total, together, local, judged)

    def _integrated(
        self, some: Together, dense: np.ndarray, seed: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return u, the log of the clusters' integrals, and log weights of judged clusters."""
        key = jax.random.fold_in(jax.random.key(seed[0]), seed[1])
        tilt = jnp.asarray(self.fitted.evidence.pull[1], jnp.float32)
        parts = []
        for first in range(0, len(dense), self.count):
            index = np.minimum(np.arange(first, first + self.count), len(dense) - 1)
            key, own = jax.random.split(key)
            base = links_without(self.rows, self.layout.known, dense[index])
            batch = Together(some.free[index], base, some.mean[index], some.factor[index // 2])
            batch = jax.tree.map(lambda v: np.asarray(v, np.float32), batch)
            local, total, judged = self._run(batch, self.still, tilt, own)
            total = np.asarray(total, np.float64).sum(axis=1)
            parts.append((np.asarray(local), total, np.asarray(judged[:, self.judged])))
        found = [np.concatenate(v)[: len(dense)] for v in zip(*parts, strict=True)]
        return found[0], found[1], found[2]


def judged_clusters(number: int, clusters: int) -> np.ndarray:
    """Return which clusters have a k: all of them, or ``number`` spread evenly."""
    return np.linspace(0, clusters - 1, number).astype(int)


def _moved(gaussian: Gaussian, pull: np.ndarray) -> Gaussian:
    """Return the Gaussian with a pull on D (m,) more."""
    if not pull.any():
        return gaussian
    dense = gaussian.dense + cho_solve((gaussian.dense_factor, True), pull)
    return gaussian._replace(dense=dense, local=conditional_means(gaussian, dense[None])[0])


def _draw_dense(
    gaussian: Gaussian, prior: np.ndarray, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return two draws of D (2, m), and the log prior over the density (2,), but a constant."""
    if not noise.size:
        return np.zeros((2, 0)), np.zeros(2)
    moved = solve_triangular(gaussian.dense_factor, noise, lower=True, trans=1)
    dense = gaussian.dense + np.stack([moved, -moved])
    weight = 0.5 * noise @ noise - np.log(np.diagonal(gaussian.dense_factor)).sum()
    return dense, weight - 0.5 * np.einsum("sm,mp,sp->s", dense, prior, dense)


@per_structure()
def _integrator(layout: Layout, batch: int) -> Callable[..., tuple[Array, Array, Array]]:
    """Return a function of proposals that draws u, and integrates it, for each."""
    likelihood = layout.spec.likelihood
    shape = (layout.effects.clusters, layout.effects.width)

    def run(some: Together, still: DesignRows, tilt: Array, key: Array) -> Any:
        noise = draw_noise(likelihood, key, (len(some.free), *shape))

        def one(each: tuple[Together, Any]) -> tuple[Array, Array, Array]:
            given, rows, start = conditional_on(layout, layout.effects.local, each[0], still, tilt)
            if shape[1] == 1:
                return integrate(given, rows, start, each[1])
            return draw_effects(given, rows, climb(given, rows, start, steps=2), each[1])

        return jax.lax.map(one, (some, noise), batch_size=batch)

    return jitted(run, "steps")


@per_structure()
def _slope(layout: Layout) -> Callable[..., Array]:
    """Return the gradient (n, K) of the log of all clusters' integrals by the links' base."""

    def total(base: Array, some: Together, still: DesignRows, tilt: Array) -> Array:
        proposals = some._replace(base=base)
        given, rows, start = conditional_on(layout, layout.effects.local, proposals, still, tilt)
        return quadrature(given, rows, start)[1].sum()

    return jitted(lambda some, still, tilt: jax.grad(total)(some.base, some, still, tilt), "once")
