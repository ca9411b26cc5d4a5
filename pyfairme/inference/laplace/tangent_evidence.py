"""The evidence of a linear mixed model by Laplace's method, its gradient, and its maximum.

With effects integrated by Laplace's method at their mode, the log evidence of the hyper-parameters
phi (scales, correlations, the likelihood's own parameters) is

    log p(y | mode, phi) + log p(mode | phi) - half the log determinant of the precision + const

(MacKay 1992; Rue, Martino & Chopin 2009). Its gradient has, beside phi's own, what phi does to the
curvature through the mode (Rasmussen & Williams 2006, section 5.5.1). The curvature is that of the
log-likelihood in the link, the generalised Gauss-Newton one in weights; of a real target with heavy
tails it is Fisher's information.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array
from scipy.linalg import block_diag, cho_solve
from scipy.optimize import minimize

from pyfairme.compilation import per_structure
from pyfairme.inference.laplace.block_guide import from_free
from pyfairme.inference.laplace.conditional import quadratic
from pyfairme.inference.laplace.importance_sampling import log_prior
from pyfairme.inference.laplace.linear_predictor import LinearPredictor, cluster_scale
from pyfairme.inference.laplace.mixed_rows import (
    Gaussian,
    MixedRows,
    Sums,
    link,
    row_covariances,
    solve,
    sum_rows,
)
from pyfairme.inference.svi import bucket
from pyfairme.model import tangent
from pyfairme.model.likelihoods import Latent
from pyfairme.model.program import ModelSpec, Objective

WEIGHT_SD, LINEAR_SD = "weight_sd", "linear_sd"  # of scaled weights (see `tangent_basis`)
WEIGHT_PRIOR = 2.0  # times the likelihood's scale of effects: scale of the first one's HalfNormal
NEWTON_STEPS = 50
CLOSE = 1e-3  # gain of a step, in log density, below which the mode is found
LOST = 1.0  # log density that a slope promises, and no step brings, where the mode was not found
ITERATIONS = 25
LEAST_FREE, MOST_FREE = -9.0, 2.5  # of logarithms of scales
GAIN = 1e-4  # relative gain of the evidence at which the search ends


class Layout(NamedTuple):
    """Where the numbers of D are: ``directions`` of weights, the linear part, then effects.

    ``spec`` is the model with its tangent latents, ``bare`` without them.
    """

    spec: ModelSpec
    bare: ModelSpec
    directions: int

    @property
    def effects(self) -> LinearPredictor:
        """The random effects alone."""
        return LinearPredictor(self.bare)

    @property
    def linear(self) -> int:
        """How many numbers the linear part has."""
        return (self.spec.covariates + 1) * self.spec.likelihood.outputs

    @property
    def coefficients(self) -> int:
        """How many numbers of the linear part are no constants."""
        return self.spec.covariates * self.spec.likelihood.outputs

    @property
    def hypers(self) -> tuple[Latent, ...]:
        """Every hyper-parameter: the fixed part's own scales are the first."""
        names = (WEIGHT_SD, LINEAR_SD) if self.spec.hidden else (LINEAR_SD,)
        return (*(Latent(name, (), True, 0.5) for name in names), *self.effects.hypers)


class Pieces(NamedTuple):
    """Second moments by which the evidence depends on the scales.

    Of weights and of the linear part: sums of squares; of a factor: (a, a), summed over clusters.
    """

    weights: Any
    linear: Any
    factors: tuple[Any, ...]


class Found(NamedTuple):
    """The maximum: hyper-parameters as real numbers, the Gaussian given them, the sums there.

    ``precision`` is the likelihood's that the sums hold, ``eta`` (n, K) the links there, ``value``
    the log evidence.
    """

    free: np.ndarray
    gaussian: Gaussian
    sums: Sums
    precision: float
    eta: np.ndarray
    value: float


class LikelihoodTerms(NamedTuple):
    """Compiled functions of rows; see `_terms`."""

    quadratic: Callable[..., Any]
    bend: Callable[..., Any]
    slope: Callable[..., Any]
    prior: Callable[..., Any]
    log_prior: Callable[..., Any]
    scales: Callable[..., Any]
    precision: Callable[..., Any]
    values: Callable[..., Any]


class LaplaceEvidence:
    """The evidence of one table; it remembers the last mode, where the next search starts."""

    def __init__(self, layout: Layout, rows: MixedRows, objective: Objective) -> None:
        self.layout, self.rows, self.objective = layout, rows, objective
        self._terms = _terms(layout.spec, layout.bare)
        m = rows.x.shape[2]
        self.dense = np.zeros(m)
        self.local = np.zeros((rows.clusters, rows.z.shape[2]))
        self._unit: Sums | None = None  # of a quadratic likelihood of precision 1

    def priors(self, free: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Return prior precisions of D (m, m), of a cluster (a, a), half their log determinant."""
        weight_sd, linear_sd, factors = jax.tree.map(np.float64, self._terms.scales(_single(free)))
        layout = self.layout
        outputs = layout.spec.likelihood.outputs
        linear = np.full(layout.linear, linear_sd**-2)
        linear[-outputs:] = tangent.CONSTANT_SD**-2
        diagonal = np.concatenate([np.full(layout.directions, weight_sd**-2), linear])
        inverse = [np.linalg.inv(scale @ scale.T) for scale in factors]
        half = 0.5 * np.log(diagonal).sum()
        blocks, local = [np.diag(diagonal)], np.eye(outputs)
        for factor, own in zip(layout.bare.factors, inverse, strict=True):
            half += 0.5 * factor.clusters * np.linalg.slogdet(own)[1]
            if factor == layout.effects.local:
                local = own
            else:
                blocks.append(np.kron(np.eye(factor.clusters), own))
        return np.asarray(block_diag(*blocks)), np.asarray(local), float(half)

    def at_mode(self, free: np.ndarray) -> tuple[Gaussian, Sums, float, np.ndarray]:
        """Find D's and u's mode by Newton's method; return it, and the links' log density there.

        Raises
        ------
        FloatingPointError
            Where no step along Newton's direction gains anything, though the slope promises it.
        """
        dense_prior, local_prior, half = self.priors(free)
        free32 = _single(free)

        def judge(dense: np.ndarray, local: np.ndarray) -> tuple[float, Any, np.ndarray]:
            eta = link(self.rows, dense, local)
            log_p, g, w = self._by_row(self._terms.quadratic, free32, eta)
            value = log_p.astype(np.float64).sum() - 0.5 * dense @ dense_prior @ dense
            value -= 0.5 * np.einsum("ga,ab,gb->", local, local_prior, local)
            return (value if np.isfinite(value) else -np.inf), (g, w), eta

        value, at, eta = judge(self.dense, self.local)
        found, sums = None, None
        for _ in range(NEWTON_STEPS):
            sums = self._sums(free, eta, *at)
            found = solve(sums, dense_prior, local_prior)
            step, moved = 1.0, None
            while step > 1e-3:
                dense = self.dense + step * (found.dense - self.dense)
                local = self.local + step * (found.local - self.local)
                moved = judge(dense, local)
                if moved[0] >= value - CLOSE:
                    break
                step /= 2
            assert moved is not None
            gain = moved[0] - value
            if gain < -CLOSE:  # rounding: stay
                slope = _times_rows(self.rows, at[0])
                rise = (slope[0] - dense_prior @ self.dense) @ (found.dense - self.dense)
                pulled = slope[1] - self.local @ local_prior
                if not rise + (pulled * (found.local - self.local)).sum() < LOST:
                    raise FloatingPointError("the mode of the linear model was not found")
                break
            self.dense, self.local = dense, local
            value, at, eta = moved
            if gain < CLOSE or self.layout.spec.likelihood.quadratic:
                break
        assert found is not None
        assert sums is not None
        gaussian = found._replace(dense=self.dense, local=self.local)
        return gaussian, sums, value + half - gaussian.half_log_det, eta

    def _padded(self, eta: np.ndarray, *more: np.ndarray) -> list[np.ndarray]:
        """Return links, targets, weights and more of all rows, and of some that weigh nothing."""
        n = len(eta)
        index = np.minimum(np.arange(bucket(n)), n - 1)
        weight = np.pad(self.rows.weight, (0, len(index) - n))
        return [
            _single(eta[index]),
            self.rows.y[index],
            weight,
            *(_single(v[index]) for v in more),
        ]

    def _by_row(self, function: Any, free: np.ndarray, *arrays: np.ndarray) -> list[np.ndarray]:
        found = jax.tree.leaves(function(free, *self._padded(*arrays)))
        return [np.asarray(value, np.float64)[: len(arrays[0])] for value in found]

    def _sums(self, free: np.ndarray, eta: np.ndarray, g: np.ndarray, w: np.ndarray) -> Sums:
        likelihood = self.layout.spec.likelihood
        if not likelihood.quadratic:
            pull = np.einsum("nkl,nl->nk", w, eta - self.rows.base) + g
            return sum_rows(self.rows, w, pull)
        precision = self.precision(free)
        if self._unit is None:
            pull = np.einsum("nkl,nl->nk", w, eta - self.rows.base) + g
            self._unit = sum_rows(self.rows, w / precision, pull / precision)
        return self._unit.times(precision)

    def precision(self, free: np.ndarray) -> float:
        """Return the likelihood's precision, in which its sums scale."""
        return float(self._terms.precision(_single(free)))

    def hyper_parameters(self, free: np.ndarray) -> dict[str, np.ndarray]:
        """Name hyper-parameters, given as real numbers (s, h)."""
        return {k: np.asarray(v) for k, v in self._terms.values(_single(free)).items()}

    def value_and_gradient(self, free: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the log evidence plus the log prior of ``free``, and its gradient."""
        gaussian, _, value, eta = self.at_mode(free)
        rows, free32 = self.rows, _single(free)
        spread = row_covariances(rows, gaussian)
        (bend,) = self._by_row(self._terms.bend, free32, eta, spread)
        dense, local = _apply_inverse(gaussian, *_times_rows(rows, bend))
        turn = link(rows._replace(base=np.zeros_like(rows.base)), dense, local)
        slope = self._terms.slope(free32, *self._padded(eta, spread, turn))
        pieces = self._pieces(gaussian, dense, local)
        counts = (float(self.layout.directions), float(self.layout.coefficients))
        log_p, prior_slope = self._terms.prior(free32, pieces, counts, self.objective)
        gradient = np.asarray(slope, np.float64) + np.asarray(prior_slope, np.float64)
        return value + float(log_p), gradient

    def _pieces(self, found: Gaussian, dense: np.ndarray, local: np.ndarray) -> Pieces:
        """Return mean mean' + covariance, and what moves of it as the mode does, (both summed)."""
        covariance, own = found.covariances()
        layout = self.layout
        outputs = layout.spec.likelihood.outputs
        square = found.dense**2 + np.diagonal(covariance) + 2 * found.dense * dense
        r, coefficients = layout.directions, layout.directions + layout.coefficients
        factors, at = [], layout.directions + layout.linear
        for factor in layout.bare.factors:
            if factor == layout.effects.local:
                mean, move, spread = found.local, local, own
            else:
                a = factor.width * outputs
                stop = at + factor.clusters * a
                mean = found.dense[at:stop].reshape(-1, a)
                move = dense[at:stop].reshape(-1, a)
                some = covariance[at:stop, at:stop].reshape(factor.clusters, a, -1, a)
                spread = some[np.arange(factor.clusters), :, np.arange(factor.clusters)]
                at = stop
            cross = mean.T @ move
            factors.append(_single(mean.T @ mean + spread.sum(axis=0) + cross + cross.T))
        return Pieces(
            _single(square[:r].sum()), _single(square[r:coefficients].sum()), tuple(factors)
        )

    def maximise(self, start: np.ndarray, iterations: int = ITERATIONS) -> Found:
        """Return the maximum over the hyper-parameters, by L-BFGS."""

        def loss(free: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = self.value_and_gradient(free)
            return -value, -gradient

        bounds = [(LEAST_FREE, MOST_FREE)] * len(start)
        options = {"maxiter": iterations, "ftol": GAIN / max(1.0, len(self.rows.y) / 1000)}
        best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        gaussian, sums, value, eta = self.at_mode(best.x)
        return Found(best.x, gaussian, sums, self.precision(best.x), eta, value)

    def given(self, found: Found, free: np.ndarray) -> Gaussian:
        """Return D and u given other hyper-parameters, and the same quadratic."""
        dense_prior, local_prior, _ = self.priors(free)
        sums = found.sums.times(self.precision(free) / found.precision)
        return solve(sums, dense_prior, local_prior)

    def around(self, found: Found) -> Callable[[np.ndarray], float]:
        """Return the log evidence plus log prior with that quadratic, up to a constant."""
        free32 = _single(found.free)
        _, g, w = self._by_row(self._terms.quadratic, free32, found.eta)
        away = found.eta - self.rows.base
        constant = -np.sum(g * away) - 0.5 * np.einsum("nk,nkl,nl->", away, w, away)

        def value(free: np.ndarray) -> float:
            now = _single(free)
            dense_prior, local_prior, half = self.priors(free)
            ratio = self.precision(free) / found.precision
            sums = found.sums.times(ratio)
            solved = solve(sums, dense_prior, local_prior)
            total = sums.pull_dense @ solved.dense + (sums.pull_local * solved.local).sum()
            log_p = self._by_row(self._terms.quadratic, now, found.eta)[0].sum()
            total = log_p + ratio * constant + 0.5 * total + half - solved.half_log_det
            return float(total + self._terms.log_prior(now, self.objective))

        return value


def _single(values: Any) -> np.ndarray:
    return np.asarray(values, np.float32)


def _times_rows(rows: MixedRows, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return X' v (m,) and Z' v (G, a)."""
    dense = rows.x.reshape(-1, rows.x.shape[2]).T @ values.ravel()
    local = np.zeros((rows.clusters, rows.z.shape[2]))
    np.add.at(local, rows.code, np.einsum("nka,nk->na", rows.z, values))
    return dense, local


def _apply_inverse(
    found: Gaussian, dense: np.ndarray, local: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the joint covariance times a vector."""
    m = len(dense)
    pull = dense - found.lean.reshape(-1, m).T @ local.ravel()
    first = cho_solve((found.dense_factor, True), pull, check_finite=False)
    lower = np.linalg.solve(found.local_factor, local[..., None])
    own = np.linalg.solve(found.local_factor.swapaxes(1, 2), lower)[..., 0]
    return first, own - found.lean @ first


@per_structure()
def _terms(spec: ModelSpec, bare: ModelSpec) -> LikelihoodTerms:
    layout = Layout(spec, bare, 0)
    hypers, likelihood = layout.hypers, spec.likelihood

    def values_of(free: Array) -> Any:
        return from_free(hypers, free)[0]

    def at_rows(free: Array, eta: Array, y: Array, weight: Array) -> Any:
        values = values_of(free)
        g, w = quadratic(likelihood, eta, y, values)
        if likelihood.target == "real":  # not log-concave with heavy tails: Fisher's information
            w = jnp.full_like(w, likelihood.precision(values))
        log_p = jax.vmap(lambda e, t: likelihood.distribution(e, values).log_prob(t))(eta, y)
        return weight * log_p, weight[:, None] * g, weight[:, None, None] * w

    def bent(free: Array, eta: Array, y: Array, weight: Array, spread: Array) -> Any:
        return -0.5 * jnp.sum(spread * at_rows(free, eta, y, weight)[2])

    def moved(free: Array, eta: Array, y: Array, weight: Array, spread: Array, turn: Array) -> Any:
        log_p, g, w = at_rows(free, eta, y, weight)
        return log_p.sum() - 0.5 * jnp.sum(spread * w) + jnp.sum(turn * g)

    def scales(free: Array) -> Any:
        values = values_of(free)
        weight_sd = values.get(WEIGHT_SD, jnp.ones(()))
        factors = tuple(cluster_scale(factor, values) for factor in bare.factors)
        return weight_sd, values[LINEAR_SD], factors

    def of_scales(free: Array, pieces: Pieces, counts: tuple[Array, Array]) -> Any:
        """Return what the scales say of the second moments; only its gradient counts."""
        weight_sd, linear_sd, factors = scales(free)
        total = _of_scale(weight_sd, pieces.weights, counts[0])
        total += _of_scale(linear_sd, pieces.linear, counts[1])
        for factor, scale, moment in zip(bare.factors, factors, pieces.factors, strict=True):
            inverse = jnp.linalg.inv(scale @ scale.T)
            half = jnp.linalg.slogdet(scale)[1]
            total += -0.5 * jnp.sum(inverse * moment) - factor.clusters * half
        return total

    def log_prior_of(free: Array, objective: Objective) -> Any:
        values, volume = from_free(hypers, free)
        scale = likelihood.effect_scale
        total = volume + dist.HalfNormal(scale).log_prob(values.pop(LINEAR_SD))
        if WEIGHT_SD in values:
            total += dist.HalfNormal(WEIGHT_PRIOR * scale).log_prob(values.pop(WEIGHT_SD))
        return total + log_prior(bare, values, objective)

    def prior(
        free: Array, pieces: Pieces, counts: tuple[Array, Array], objective: Objective
    ) -> Any:
        value, slope = jax.value_and_grad(log_prior_of)(free, objective)
        return value, slope + jax.grad(of_scales)(free, pieces, counts)

    return LikelihoodTerms(
        jax.jit(at_rows),
        jax.jit(jax.grad(bent, argnums=1)),
        jax.jit(jax.grad(moved)),
        jax.jit(prior),
        jax.jit(log_prior_of),
        jax.jit(scales),
        jax.jit(lambda free: likelihood.precision(values_of(free))),
        jax.jit(jax.vmap(values_of)),
    )


def _of_scale(sd: Array, square: Array, count: Array | float) -> Array:
    return -0.5 * square / sd**2 - count * jnp.log(sd)
