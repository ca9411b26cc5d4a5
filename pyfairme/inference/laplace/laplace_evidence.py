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

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from scipy.optimize import minimize

from pyfairme.compilation import jitted, per_structure
from pyfairme.inference.cluster_buckets import one_cluster
from pyfairme.inference.laplace.conditional import quadratic
from pyfairme.inference.laplace.hyper_parameters import from_free, log_prior
from pyfairme.inference.laplace.linear_predictor import LinearPredictor, cluster_scale
from pyfairme.inference.laplace.mixed_rows import (
    Gaussian,
    MixedRows,
    Sums,
    link,
    row_covariances,
    solve,
    sum_rows,
    times_rows,
)
from pyfairme.inference.laplace.rotated_sums import (
    RotatedGaussian,
    rotate,
    rotation_pays,
)
from pyfairme.inference.svi import bucket, table_bucket
from pyfairme.model import tangent
from pyfairme.model.likelihoods import Latent
from pyfairme.model.program import (
    LAST_LAYER_SCALE,
    ModelSpec,
    Objective,
    last_layer_scale,
    tangent_prior,
)
from pyfairme.model.tangent import LINEAR_SD, WEIGHT_SD

AnyGaussian = Gaussian | RotatedGaussian

NEWTON_STEPS = 50
LEAST_STEP = 1e-6  # along Newton's direction
MOST_MOVES = 4  # of what is given, for one value of the hyper-parameters
CLOSE = 1e-3  # gain of a step, in log density, below which the mode is found
LOST = 1.0  # log density that a slope promises, and no step brings, where the mode was not found
ITERATIONS = 60
LEAST_FREE, MOST_FREE = -9.0, 7.0  # of real numbers behind hyper-parameters
MOST_SD = 2.5  # the same of the fixed part's own scales
FEW_NUMBERS = 10.0  # that a scale of the fixed part is known by
GAIN = 1e-5  # relative gain of the evidence at which the search ends
PROMISED = 0.1  # gain in log density that a slope promises, with which a search begins anew
SEARCHES = 4


class Layout(NamedTuple):
    """Where the numbers of D are: the fixed part's, then the effects of the smaller factors.

    ``spec`` is the model, ``bare`` the same without tangent latents. A tangent model's fixed part
    has ``directions`` of weights and a linear part, others have a latent last layer or nothing.
    ``given``: the fixed part starts with a linear network, which is no latent: it is where the
    evidence has its maximum, not integrated.
    """

    spec: ModelSpec
    bare: ModelSpec
    directions: int = 0
    given: bool = False

    @property
    def effects(self) -> LinearPredictor:
        """The random effects, and the last layer if it is latent."""
        return LinearPredictor(self.bare)

    @property
    def known(self) -> int:
        """How many numbers are given."""
        return (self.spec.covariates + 1) * self.spec.likelihood.outputs if self.given else 0

    @property
    def linear(self) -> int:
        """How many numbers a tangent model's linear part has."""
        if not self.spec.tangent:
            return 0
        return (self.spec.covariates + 1) * self.spec.likelihood.outputs

    @property
    def fixed(self) -> int:
        """How many numbers are no effects."""
        layer = self.effects.layer * self.spec.likelihood.outputs
        return self.known + self.directions + self.linear + layer

    @property
    def own(self) -> tuple[str, ...]:
        """The fixed part's own scales."""
        if not self.spec.tangent:
            return ()
        return (WEIGHT_SD, LINEAR_SD) if self.spec.hidden else (LINEAR_SD,)

    @property
    def hypers(self) -> tuple[Latent, ...]:
        """Every hyper-parameter: the fixed part's own scales are the first."""
        return (*(Latent(name, (), True, 0.5) for name in self.own), *self.effects.hypers)

    def scaled(self) -> dict[str, slice]:
        """Return which numbers of the fixed part every own scale is of."""
        last = self.directions + self.spec.covariates * self.spec.likelihood.outputs
        places = {WEIGHT_SD: slice(0, self.directions), LINEAR_SD: slice(self.directions, last)}
        return {name: places[name] for name in self.own}

    def precisions(self, own: Sequence[Any], layer: float) -> np.ndarray:
        """Return the prior precisions of the fixed part, given its scales and the last layer's."""
        found = np.full(self.fixed, float(layer) ** -2)
        found[: self.known] = LAST_LAYER_SCALE**-2
        found[self.directions : self.directions + self.linear] = tangent.CONSTANT_SD**-2
        for place, sd in zip(self.scaled().values(), own, strict=True):
            found[place] = sd**-2
        return found


class Pieces(NamedTuple):
    """Second moments by which the evidence depends on the scales.

    Of what a scale of the fixed part is of: sums of squares; of a factor: (a, a), summed over
    clusters.
    """

    fixed: tuple[Any, ...]
    factors: tuple[Any, ...]


class Scales(NamedTuple):
    """What hyper-parameters say: scales of the fixed part, T (a, a) of every factor's clusters.

    And the likelihood's precision, its log density where a quadratic one has its peak, the log
    prior density of the real numbers behind them.
    """

    own: tuple[np.ndarray, ...]
    factors: tuple[np.ndarray, ...]
    precision: np.ndarray
    log_peak: np.ndarray
    log_prior: np.ndarray


class LikelihoodTerms(NamedTuple):
    """Compiled functions of rows; see `_terms`."""

    quadratic: Callable[..., Any]
    bend: Callable[..., Any]
    slope: Callable[..., Any]
    prior: Callable[..., Any]
    scales: Callable[..., Any]
    many_scales: Callable[..., Any]
    values: Callable[..., Any]


class Mode(NamedTuple):
    """The mode given hyper-parameters: the Gaussian there, the sums, links and log evidence.

    The Gaussian is of everything that is integrated.
    """

    gaussian: Gaussian
    sums: Sums
    value: float
    eta: np.ndarray


class Blocks(NamedTuple):
    """Variances of the fixed part's numbers; of factors (a, a), summed over clusters."""

    fixed: np.ndarray
    factors: tuple[np.ndarray, ...]


class Found(NamedTuple):
    """The maximum: hyper-parameters as real numbers, and the mode given them.

    ``precision`` is the likelihood's that the sums hold, ``known`` what the numbers that are given
    are moved by.
    """

    free: np.ndarray
    mode: Mode
    precision: float
    known: np.ndarray


class LaplaceEvidence:
    """The evidence of one table; it remembers the last mode, where the next search starts.

    ``pull`` is added to the gradient of D (m,) and u (G, a) as it is: that of penalties.
    """

    def __init__(
        self,
        layout: Layout,
        rows: MixedRows,
        objective: Objective,
        pull: tuple[Any, Any] | None = None,
    ) -> None:
        self.layout, self.rows, self.objective = layout, rows, objective
        self.layer = float(last_layer_scale(layout.spec, objective))
        bare, spec = one_cluster(layout.bare), one_cluster(layout.spec)
        self._terms = _terms(Layout(spec, bare, 0, layout.given))
        self.dense = np.zeros(rows.size)
        self.local = np.zeros((rows.clusters, rows.z.shape[2]))
        self.pull = (np.zeros_like(self.dense), np.zeros_like(self.local))
        if pull is not None:
            self.pull = (np.array(pull[0], np.float64), np.array(pull[1], np.float64))
        self.evaluations = 0
        self._scales: dict[bytes, Scales] = {}
        self._unit: Sums | None = None  # of a quadratic likelihood of precision 1

    def priors(self, free: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Return prior precisions of D (m, m), of a cluster (a, a), half their log determinant."""
        own, factors, *_ = self.scales(free)
        layout = self.layout
        diagonal = layout.precisions(own, self.layer)
        half = 0.5 * np.log(diagonal[layout.known :]).sum()
        dense, local = np.zeros((self.rows.size,) * 2), np.eye(layout.spec.likelihood.outputs)
        at = layout.fixed
        np.fill_diagonal(dense[:at, :at], diagonal)
        for factor, scale in zip(layout.bare.factors, factors, strict=True):
            one = np.linalg.inv(scale @ scale.T)
            half -= factor.clusters * np.log(np.diagonal(scale)).sum()
            if factor == layout.effects.local:
                local = one
                continue
            places = np.arange(at, at + factor.clusters * len(one)).reshape(-1, len(one))
            dense[places[:, :, None], places[:, None, :]] = one
            at = places.max() + 1
        return dense, local, float(half)

    def scales(self, free: np.ndarray) -> Scales:
        """Return what the hyper-parameters say, as `prepare` or the last call left it."""
        key = free.tobytes()
        if key not in self._scales:
            found = jax.tree.map(np.float64, self._terms.scales(_single(free), self.objective))
            self._scales = {key: Scales(*found)}
        return self._scales[key]

    def prepare(self, free: np.ndarray) -> None:
        """Compute `scales` of many hyper-parameters (s, h) at once."""
        index = np.minimum(np.arange(bucket(len(free))), len(free) - 1)
        many = jax.tree.map(
            np.float64, self._terms.many_scales(_single(free[index]), self.objective)
        )
        each = ([jax.tree.map(lambda v, i=i: v[i], many)] for i in range(len(free)))
        self._scales = {one.tobytes(): Scales(*own[0]) for one, own in zip(free, each, strict=True)}

    def start_at(self, free: np.ndarray, eta: np.ndarray) -> None:
        """Start the search for the mode at links (n, K), where their fit is better than zero.

        From zero, Newton's first step is far too long where a count is in the thousands.
        """
        if self.layout.spec.likelihood.quadratic:
            return
        dense_prior, local_prior, _ = self.priors(free)
        _, g, w = self._by_row(self._terms.quadratic, _single(free), eta)
        still = self._sums(free, eta, np.zeros_like(g), w)
        found = solve(still, dense_prior, local_prior)
        judge = self._judge(free, dense_prior, local_prior)
        if judge(found.dense, found.local)[0] > judge(self.dense, self.local)[0]:
            self.dense, self.local = found.dense, found.local

    def _judge(
        self, free: np.ndarray, dense_prior: np.ndarray, local_prior: np.ndarray
    ) -> Callable[..., tuple[float, Any, np.ndarray]]:
        """Return a function of D and u: their log density, its derivatives by row, and links."""
        free32 = _single(free)

        def judge(dense: np.ndarray, local: np.ndarray) -> tuple[float, Any, np.ndarray]:
            eta = link(self.rows, dense, local)
            log_p, g, w = self._by_row(self._terms.quadratic, free32, eta)
            value = log_p.astype(np.float64).sum() - 0.5 * dense @ dense_prior @ dense
            value -= 0.5 * np.einsum("ga,ab,gb->", local, local_prior, local, optimize=True)
            value += self.pull[0] @ dense + (self.pull[1] * local).sum()
            return (value if np.isfinite(value) else -np.inf), (g, w), eta

        return judge

    def at_mode(self, free: np.ndarray) -> Mode:
        """Find D's and u's mode by Newton's method, with the links' log density there.

        Raises
        ------
        FloatingPointError
            Where no step along Newton's direction gains anything, though the slope promises it.
        """
        dense_prior, local_prior, half = self.priors(free)
        judge = self._judge(free, dense_prior, local_prior)
        value, at, eta = judge(self.dense, self.local)
        found, sums = None, None
        for _ in range(NEWTON_STEPS):
            sums = self._sums(free, eta, *at)
            found = solve(self._pulled(sums), dense_prior, local_prior)
            step, moved = 1.0, None
            while step > LEAST_STEP:
                dense = self.dense + step * (found.dense - self.dense)
                local = self.local + step * (found.local - self.local)
                moved = judge(dense, local)
                if moved[0] >= value - CLOSE:
                    break
                step /= 2
            assert moved is not None
            gain = moved[0] - value
            if gain < CLOSE and step < 1:  # by rounding, or the direction leads nowhere
                slope = times_rows(self.rows, at[0])
                pulled = slope[0] + self.pull[0] - dense_prior @ self.dense
                rise = pulled @ (found.dense - self.dense)
                pulled = slope[1] + self.pull[1] - self.local @ local_prior
                if not rise + (pulled * (found.local - self.local)).sum() < LOST:
                    raise FloatingPointError("the mode of the linear model was not found")
            if gain < -CLOSE:
                break  # stay
            self.dense, self.local = dense, local
            value, at, eta = moved
            if gain < CLOSE or self.layout.spec.likelihood.quadratic:
                break
        assert found is not None
        assert sums is not None
        known = self.layout.known
        if known:
            value -= self.pull[0][:known] @ self.dense[:known]  # it only moves what is given
            found = solve(sums.without(known), dense_prior[known:, known:], local_prior)
        gaussian = found._replace(dense=self.dense[known:], local=self.local)
        return Mode(gaussian, sums, float(value) + half - gaussian.half_log_det, eta)

    def _pulled(self, sums: Sums) -> Sums:
        dense, local = self.pull
        return sums._replace(pull_dense=sums.pull_dense + dense, pull_local=sums.pull_local + local)

    def _padded(self, eta: np.ndarray, *more: np.ndarray) -> list[np.ndarray]:
        """Return links, targets, weights and more of all rows, and of some that weigh nothing."""
        n = len(eta)
        index = np.minimum(np.arange(table_bucket(n)), n - 1)
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
        return float(self.scales(free).precision)

    def hyper_parameters(self, free: np.ndarray) -> dict[str, np.ndarray]:
        """Name hyper-parameters, given as real numbers (s, h)."""
        return {k: np.asarray(v) for k, v in self._terms.values(_single(free)).items()}

    def value_and_gradient(self, free: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the log evidence plus the log prior of ``free``, and its gradient."""
        free32 = _single(free)
        self.evaluations += 1
        for _ in range(MOST_MOVES):
            mode = self.at_mode(free)
            root = mode.gaussian.root()
            blocks = self._blocks(mode.gaussian, root)
            spread = self._spread(free, mode, root, blocks)
            (bend,) = self._by_row(self._terms.bend, free32, mode.eta, spread)
            dense, local = times_rows(self.rows, bend)
            dense, local = mode.gaussian.times(dense[self.layout.known :], local)
            turn = self._turned(dense, local)
            if not self._moved(free, mode.eta, bend, turn):
                break
        slope = self._terms.slope(free32, *self._padded(mode.eta, spread, turn))
        pieces = self._pieces(mode.gaussian, blocks, dense, local)
        sizes = [p.stop - p.start for p in self.layout.scaled().values()]
        sizes += [factor.clusters for factor in self.layout.bare.factors]
        counts = tuple(map(float, sizes))
        log_p, prior_slope = self._terms.prior(free32, pieces, counts, self.objective)
        gradient = np.asarray(slope, np.float64) + np.asarray(prior_slope, np.float64)
        return mode.value + float(log_p), gradient

    def _blocks(self, found: Gaussian, root: np.ndarray) -> Blocks:
        layout, factors = self.layout, []
        at = layout.fixed - layout.known
        for factor in layout.bare.factors:
            if factor == layout.effects.local:
                factors.append(found.local_covariances(root).sum(axis=0))
                continue
            a = factor.width * layout.spec.likelihood.outputs
            own = root[at : at + factor.clusters * a].reshape(factor.clusters, a, len(root))
            factors.append((own @ own.swapaxes(1, 2)).sum(axis=0))
            at += factor.clusters * a
        fixed = (root[: layout.fixed - layout.known] ** 2).sum(axis=1)
        return Blocks(fixed, tuple(factors))

    def _spread(self, free: np.ndarray, mode: Mode, root: np.ndarray, blocks: Blocks) -> np.ndarray:
        """Return every row's variance of the link (n, K, K); only its sum counts if quadratic."""
        if not self.layout.spec.likelihood.quadratic:
            rows = self.rows._replace(x=self.rows.x[:, :, self.layout.known :])
            return row_covariances(rows, mode.gaussian, root)
        layout, (own, factors, *_) = self.layout, self.scales(free)
        trace = float(layout.fixed - layout.known)
        trace -= layout.precisions(own, self.layer)[layout.known :] @ blocks.fixed
        for factor, scale, covariance in zip(
            layout.bare.factors, factors, blocks.factors, strict=True
        ):
            inverse = np.linalg.inv(scale @ scale.T)
            trace += factor.clusters * len(scale) - (inverse * covariance).sum()
        each = trace / (self.precision(free) * max(self.rows.weight.sum(), 1e-30))
        return np.full((len(self.rows.y), 1, 1), each)

    def _turned(self, dense: np.ndarray, local: np.ndarray) -> np.ndarray:
        """Return how the links (n, K) move as what is integrated does."""
        still = self.rows._replace(base=np.zeros_like(self.rows.base))
        return link(still, np.concatenate([np.zeros(self.layout.known), dense]), local)

    def _moved(self, free: np.ndarray, eta: np.ndarray, bend: np.ndarray, turn: np.ndarray) -> bool:
        """Pull what is given from the joint mode to where the evidence is the largest.

        The two differ by what the curvature says, which changes along the way: return whether that
        was enough to matter.
        """
        known = self.layout.known
        if not known or self.layout.spec.likelihood.quadratic:
            return False
        _, _, w = self._by_row(self._terms.quadratic, _single(free), eta)
        aim = times_rows(self.rows, bend - np.einsum("nkl,nl->nk", w, turn))[0][:known]
        away = aim - self.pull[0][:known]
        self.pull[0][:known] = aim
        x = self.rows.x[:, :, :known]
        information = np.einsum("nkm,nkl,nlm->m", x, w, x, optimize=True) + LAST_LAYER_SCALE**-2
        return bool((away**2 / information).sum() > CLOSE)

    def _pieces(
        self, found: Gaussian, blocks: Blocks, dense: np.ndarray, local: np.ndarray
    ) -> Pieces:
        """Return mean mean' + covariance, and what moves of it as the mode does, (both summed)."""
        layout = self.layout
        at = len(blocks.fixed)
        square = found.dense[:at] ** 2 + blocks.fixed + 2 * found.dense[:at] * dense[:at]
        fixed = tuple(_single(square[place].sum()) for place in layout.scaled().values())
        factors = []
        for factor, spread in zip(layout.bare.factors, blocks.factors, strict=True):
            if factor == layout.effects.local:
                mean, move = found.local, local
            else:
                a = factor.width * layout.spec.likelihood.outputs
                stop = at + factor.clusters * a
                mean = found.dense[at:stop].reshape(-1, a)
                move = dense[at:stop].reshape(-1, a)
                at = stop
            cross = mean.T @ move
            factors.append(_single(mean.T @ mean + spread + cross + cross.T))
        return Pieces(fixed, tuple(factors))

    def _units(self) -> np.ndarray:
        """Return about how far each real number may move: its SD, if what it rules were known.

        A scale of c Normal numbers has the SD 1 / sqrt(2 c) of its logarithm. In these units the
        search's first step is a good one.
        """
        numbers: dict[str, float] = dict.fromkeys(self.layout.own, FEW_NUMBERS)
        for factor in self.layout.bare.factors:
            for latent in factor.latents(1.0):
                numbers[latent.name] = factor.clusters
        each = [
            np.full(int(np.prod(latent.free_shape)), numbers.get(latent.name, len(self.rows.y)))
            for latent in self.layout.hypers
        ]
        return 1 / np.sqrt(2 * np.concatenate([np.zeros(0), *each]))

    def maximise(
        self, start: np.ndarray, iterations: int = ITERATIONS, gain: float = GAIN
    ) -> Found:
        """Return the maximum over the hyper-parameters, by L-BFGS.

        It ends after so many ``iterations``, or when a thousand rows gain less than ``gain`` times
        their evidence. After steps that went far too far one may gain little anywhere: where the
        slope promises more, the search begins anew.
        """
        unit = self._units()
        first: list[float] = []  # the value at the start

        def loss(scaled: np.ndarray) -> tuple[float, np.ndarray]:
            try:
                value, gradient = self.value_and_gradient(scaled * unit)
            except (FloatingPointError, np.linalg.LinAlgError):
                if not first:
                    raise
                return 2 * abs(first[0]) + 1, np.zeros_like(scaled)  # too far: come back
            first.append(value)
            return -value, -gradient * unit

        own = len(self.layout.own)
        most = [MOST_SD] * own + [MOST_FREE] * (len(start) - own)
        bounds = [(LEAST_FREE / u, value / u) for value, u in zip(most, unit, strict=True)]
        options = {"maxiter": iterations, "ftol": gain / max(1.0, len(self.rows.y) / 1000)}
        best = start
        for _ in range(SEARCHES if len(start) else 0):
            found = minimize(
                loss, best / unit, jac=True, method="L-BFGS-B", bounds=bounds, options=options
            )
            best = found.x * unit
            low, high = np.transpose(bounds)
            inside = np.where(found.jac > 0, found.x > low, found.x < high)
            if 0.5 * (found.jac[inside] ** 2).sum() < PROMISED:
                break
        if self.layout.known:
            self.value_and_gradient(best)  # what is given goes where it is best
        mode = self.at_mode(best)
        return Found(best, mode, self.precision(best), self.dense[: self.layout.known].copy())

    def given(self, found: Found, free: np.ndarray) -> Gaussian:
        """Return D and u given other hyper-parameters, and the same quadratic."""
        known = self.layout.known
        dense_prior, local_prior, _ = self.priors(free)
        sums = found.mode.sums.times(self.precision(free) / found.precision)
        return solve(self._given(sums, found), dense_prior[known:, known:], local_prior)

    def _given(self, sums: Sums, found: Found) -> Sums:
        """Return the sums of what is integrated, with the penalties' pull."""
        known = self.layout.known
        left = self._pulled(sums).without(known)
        if not known:
            return left
        given = found.known
        local = left.pull_local - sums.cross.full[:, :, :known] @ given
        return left._replace(
            pull_dense=left.pull_dense - sums.dense[known:, :known] @ given, pull_local=local
        )

    def around(self, found: Found) -> Callable[[np.ndarray], tuple[float, AnyGaussian]]:
        """Return the log evidence plus log prior with that quadratic, up to a constant.

        It comes with D and u given those hyper-parameters.
        """
        free32, known = _single(found.free), self.layout.known
        each, g, w = self._by_row(self._terms.quadratic, free32, found.mode.eta)
        moved = np.concatenate([found.known, np.zeros(self.rows.size - known)])
        total_weight = float(self.rows.weight.sum())
        at = self.scales(found.free)
        misfit = total_weight * at.log_peak - each.sum()  # of a quadratic: by the precision there
        away = found.mode.eta - link(self.rows, moved, np.zeros_like(self.local))
        constant = -np.sum(g * away) - 0.5 * np.einsum("nk,nkl,nl->", away, w, away, optimize=True)

        solved = self._solver(found)

        def value(free: np.ndarray) -> tuple[float, AnyGaussian]:
            ratio = self.precision(free) / found.precision
            gaussian, gain, half = solved(free, ratio)
            if self.layout.spec.likelihood.quadratic:
                log_p = total_weight * self.scales(free).log_peak - ratio * misfit
            else:
                now = _single(free)
                log_p = self._by_row(self._terms.quadratic, now, found.mode.eta)[0].sum()
            total = log_p + ratio * constant + 0.5 * gain + half - gaussian.half_log_det
            return float(total + self.scales(free).log_prior), gaussian

        return value

    def _solver(
        self, found: Found
    ) -> Callable[[np.ndarray, float], tuple[AnyGaussian, float, float]]:
        """Return a function of hyper-parameters and the ratio of precisions.

        It gives the Gaussian of D and u, its means times their pull, and half the log determinant
        of the prior precision.
        """
        known, first = self.layout.known, self.layout.directions
        sums = self._given(found.mode.sums, found)
        pulled = any(np.any(value) for value in self.pull)
        if not pulled and not known and rotation_pays(sums, first):
            rotated = rotate(sums, first)

            def of_rotated(free: np.ndarray, ratio: float) -> tuple[AnyGaussian, float, float]:
                dense_prior, local_prior, half = self.priors(free)
                prior = dense_prior[first:, first:]
                gaussian = rotated.solve(ratio, float(dense_prior[0, 0]), prior, local_prior)
                return gaussian, ratio * _product(sums, gaussian), half

            return of_rotated

        def of_sums(free: np.ndarray, ratio: float) -> tuple[AnyGaussian, float, float]:
            dense_prior, local_prior, half = self.priors(free)
            sums = self._given(found.mode.sums.times(ratio), found)
            gaussian = solve(sums, dense_prior[known:, known:], local_prior)
            return gaussian, _product(sums, gaussian), half

        return of_sums


def _product(sums: Sums, gaussian: AnyGaussian) -> float:
    return float(sums.pull_dense @ gaussian.dense + (sums.pull_local * gaussian.local).sum())


def _single(values: Any) -> np.ndarray:
    return np.asarray(values, np.float32)


@per_structure()
def _terms(layout: Layout) -> LikelihoodTerms:
    """Return functions of the structure, whatever its number of clusters."""
    hypers, likelihood, bare = layout.hypers, layout.spec.likelihood, layout.bare

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

    def own_scales(free: Array) -> Any:
        values = values_of(free)
        factors = tuple(cluster_scale(factor, values) for factor in bare.factors)
        return tuple(values[name] for name in layout.own), factors

    def scales(free: Array, objective: Objective) -> Any:
        values = values_of(free)
        precision = jnp.asarray(likelihood.precision(values))
        peak = jnp.zeros(())
        if likelihood.quadratic:
            peak = likelihood.distribution(jnp.zeros(1), values).log_prob(jnp.zeros(()))
        return *own_scales(free), precision, peak, log_prior_of(free, objective)

    def of_scales(free: Array, pieces: Pieces, counts: tuple[Array, ...]) -> Any:
        """Return what the scales say of the second moments; only its gradient counts."""
        own, factors = own_scales(free)
        each = zip(own, pieces.fixed, counts[: len(own)], strict=True)
        total = sum((_of_scale(*one) for one in each), start=jnp.zeros(()))
        clusters = counts[len(own) :]
        for count, scale, moment in zip(clusters, factors, pieces.factors, strict=True):
            inverse = jnp.linalg.inv(scale @ scale.T)
            half = jnp.linalg.slogdet(scale)[1]
            total += -0.5 * jnp.sum(inverse * moment) - count * half
        return total

    def log_prior_of(free: Array, objective: Objective) -> Any:
        values, total = from_free(hypers, free)
        for name in layout.own:
            total += tangent_prior(layout.spec, name, objective).log_prob(values.pop(name))
        return total + log_prior(bare, values, objective)

    def prior(free: Array, pieces: Pieces, counts: tuple[Array, ...], objective: Objective) -> Any:
        value, slope = jax.value_and_grad(log_prior_of)(free, objective)
        return value, slope + jax.grad(of_scales)(free, pieces, counts)

    return LikelihoodTerms(
        jitted(at_rows, "rows"),
        jitted(jax.grad(bent, argnums=1), "rows"),
        jitted(jax.grad(moved), "rows"),
        jitted(prior, "once"),
        jitted(scales, "once"),
        jitted(jax.vmap(scales, (0, None)), "once"),
        jitted(jax.vmap(values_of), "once"),
    )


def _of_scale(sd: Array, square: Array, count: Array | float) -> Array:
    return -0.5 * square / sd**2 - count * jnp.log(sd)
