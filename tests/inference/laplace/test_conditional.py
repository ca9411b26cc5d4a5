"""Elimination cluster by cluster against dense Gaussian algebra of everything together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pyfairme.inference.laplace.conditional import compiled, condition, place, quadratic
from pyfairme.inference.laplace.laplace_evidence import Layout
from pyfairme.inference.laplace.linear_predictor import LinearPredictor, join, whitening
from pyfairme.inference.laplace.mixed_design import lay_out
from pyfairme.inference.laplace.mixed_rows import link, sum_rows
from pyfairme.model.effects import RandomEffects
from pyfairme.model.likelihoods import Bernoulli, Categorical, Normal
from pyfairme.model.networks import mlp_init
from pyfairme.model.program import ModelSpec
from tests.inference.laplace.test_linear_predictor import make_latents, make_rows

LOCAL = RandomEffects("big", 7, column=0, slopes=(0,))
SMALL = RandomEffects("small", 3, column=1)


def two(factor):
    return RandomEffects(factor.name, factor.clusters, factor.column, 2, slopes=factor.slopes)


CASES = {
    "normal": ModelSpec(Normal(), 2, factors=(LOCAL, SMALL), last_layer=True),
    "correlated": ModelSpec(
        Normal(), 2, (4,), (RandomEffects("big", 7, slopes=(0, 1), correlated=True), SMALL)
    ),
    "bernoulli": ModelSpec(Bernoulli(), 2, factors=(LOCAL,), last_layer=True),
    "classes": ModelSpec(Categorical(2), 2, factors=(two(LOCAL), two(SMALL)), last_layer=True),
}


PLACE = jax.jit(place)


def by_hand(likelihood, eta, y, latents):
    """Gradient (n, K) and curvature (n, K, K), from the formulas of each likelihood."""
    if isinstance(likelihood, Normal):
        precision = float(latents["residual_sd"]) ** -2
        return (y[:, None] - eta) * precision, np.full((len(y), 1, 1), precision)
    if isinstance(likelihood, Bernoulli):
        p = 1 / (1 + np.exp(-eta))
        return y[:, None] - p, (p * (1 - p))[:, :, None]
    p = np.exp(eta) / np.exp(eta).sum(axis=1, keepdims=True)
    w = np.einsum("nk,kl->nkl", p, np.eye(p.shape[1])) - p[:, :, None] * p[:, None, :]
    return np.eye(p.shape[1])[y] - p, w


class Problem:
    """One case: elimination's result, and the precision and mean of dense algebra."""

    def __init__(self, name):
        spec = CASES[name]
        self.layout = layout = LinearPredictor(spec)
        outputs, likelihood = spec.likelihood.outputs, spec.likelihood
        network = mlp_init(jax.random.key(3), (spec.covariates, *spec.hidden, outputs))
        batch = make_rows(spec)
        batch = batch._replace(weight=jnp.linspace(0, 2, len(batch.y)))
        latents = make_latents(spec)
        rows = lay_out(Layout(spec, spec), network, batch)
        dense, local = (np.asarray(part) for part in join(layout, latents))  # far from the mode
        hypers = make_latents(spec, seed=9)  # other scales than those at the point
        if "residual_sd" in hypers:
            hypers["residual_sd"] = jnp.float32(0.5)
        eta = link(rows, dense, local)
        g, w = by_hand(likelihood, eta, rows.y, latents)
        g, w = g * rows.weight[:, None], w * rows.weight[:, None, None]
        pull = np.einsum("nkl,nl->nk", w, eta - rows.base) + g
        before = float(likelihood.precision(latents))
        self.layer = 1.7
        self.tilt = 0.3 * np.ones(layout.dense), 0.2 * np.ones((layout.clusters, layout.width))
        sums = compiled(sum_rows(rows, w, pull), before, self.tilt, self.layer)
        self.found = jax.jit(condition, static_argnums=0)(layout, sums, hypers)
        # the likelihood's precision changes with its own parameter
        ratio = float(likelihood.precision(hypers)) / before
        self._dense(rows, ratio * w, ratio * pull, hypers)

    def _dense(self, rows, w, pull, hypers):
        m, (n, outputs, a) = rows.size, rows.z.shape
        design = np.zeros((n, outputs, m + rows.clusters * a))
        design[:, :, :m] = rows.x
        for row, code in enumerate(rows.code):
            design[row, :, m + a * code : m + a * (code + 1)] = rows.z[row]
        scale, own = (np.asarray(v, np.float64) for v in whitening(self.layout, hypers, self.layer))
        covariance = np.zeros((design.shape[2],) * 2)
        covariance[:m, :m] = scale @ scale.T
        covariance[m:, m:] = np.kron(np.eye(rows.clusters), own @ own.T)
        self.precision = np.einsum("nka,nkl,nlb->ab", design, w, design)
        self.precision += np.linalg.inv(covariance)
        pulled = np.einsum("nka,nk->a", design, pull)
        pulled += np.concatenate([self.tilt[0], self.tilt[1].ravel()])
        self.mean = np.linalg.solve(self.precision, pulled)

    def placed(self, noise):
        m = self.layout.dense
        local = noise[m:].reshape(self.layout.clusters, self.layout.width)
        dense, local, volume = PLACE(self.found, noise[:m], local)
        return jnp.concatenate([dense, local.ravel()]), volume


@pytest.fixture(scope="module", params=CASES)
def problem(request):
    return Problem(request.param)


def test_the_mean_is_that_of_dense_algebra(problem):
    mean, _ = problem.placed(jnp.zeros(problem.mean.size))
    np.testing.assert_allclose(mean, problem.mean, atol=2e-4 * np.abs(problem.mean).max())


def test_the_covariance_is_that_of_dense_algebra(problem):
    placed = jax.jit(jax.vmap(lambda noise: problem.placed(noise)[0]))
    root = placed(jnp.eye(problem.mean.size)) - problem.placed(jnp.zeros(problem.mean.size))[0]
    root = np.asarray(root, np.float64).T  # it is linear in the noise
    expected = np.linalg.inv(problem.precision)
    np.testing.assert_allclose(root @ root.T, expected, atol=5e-4 * np.abs(expected).max())


def test_the_volume_is_the_log_determinant(problem):
    _, volume = problem.placed(jnp.ones(problem.mean.size))
    expected = -0.5 * np.linalg.slogdet(problem.precision)[1]
    assert float(volume) == pytest.approx(expected, rel=1e-4, abs=2e-3)


def test_curvature_is_never_negative():
    """An outlier bends Student's log density the other way."""
    from pyfairme.model.likelihoods import StudentT

    values = {"df": jnp.float32(3.0), "residual_scale": jnp.float32(0.5)}
    run = jax.jit(quadratic, static_argnums=0)
    _, w = run(StudentT(), jnp.zeros((2, 1)), jnp.array([0.1, 9.0]), values)
    assert w[0, 0, 0] > 0
    assert w[1, 0, 0] == 0


def test_a_scale_of_zero_leaves_its_effects_at_zero():
    spec = CASES["normal"]
    layout, batch, latents = LinearPredictor(spec), make_rows(spec), make_latents(spec)
    rows = lay_out(Layout(spec, spec), mlp_init(jax.random.key(3), (2, 1)), batch)
    w, pull = np.ones((len(rows.y), 1, 1)), np.ones((len(rows.y), 1))
    nothing = np.zeros(layout.dense), np.zeros((7, 2))
    sums = compiled(sum_rows(rows, w, pull), 1.0, nothing, 2.5)
    hypers = latents | {"big_intercept_sd": jnp.zeros(1), "big_slopes_sd": jnp.zeros((1, 1))}

    @jax.jit
    def run(hypers):
        found = condition(layout, sums, hypers)
        return place(found, jnp.ones(layout.dense), jnp.ones((7, 2)))[1]

    np.testing.assert_array_equal(run(hypers), 0)
    assert np.isfinite(run(latents)).all()
