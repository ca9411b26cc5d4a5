"""Elimination cluster by cluster against dense Gaussian algebra of everything together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pyfairme.inference.laplace.conditional import condition, curvature, place, quadratic
from pyfairme.inference.laplace.linear_predictor import (
    LinearPredictor,
    design_rows,
    join,
    known,
    link,
    whitening,
)
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
    "normal": (ModelSpec(Normal(), 2, factors=(LOCAL, SMALL), last_layer=True), False),
    "correlated": (
        ModelSpec(
            Normal(), 2, (4,), (RandomEffects("big", 7, slopes=(0, 1), correlated=True), SMALL)
        ),
        False,
    ),
    "given": (ModelSpec(Normal(), 2, factors=(LOCAL, SMALL)), True),
    "bernoulli": (ModelSpec(Bernoulli(), 2, factors=(LOCAL,), last_layer=True), False),
    "classes": (
        ModelSpec(Categorical(2), 2, factors=(two(LOCAL), two(SMALL)), last_layer=True),
        False,
    ),
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
        spec, given = CASES[name]
        self.layout = layout = LinearPredictor(spec, given)
        outputs = spec.likelihood.outputs
        network = mlp_init(jax.random.key(3), (spec.covariates, *spec.hidden, outputs))
        batch = make_rows(spec)
        batch = batch._replace(weight=jnp.linspace(0, 2, len(batch.y)))
        latents = make_latents(spec)
        rows = design_rows(layout, network, batch)
        dense, local = join(layout, latents, network)  # the point: far from the mode
        fixed = known(layout, network)
        hypers = make_latents(spec, seed=9)  # other scales than those at the point
        if "residual_sd" in hypers:
            hypers["residual_sd"] = jnp.float32(0.5)
        sums = jax.jit(curvature, static_argnums=0)(layout, rows, latents, dense, local)
        self.found = jax.jit(condition, static_argnums=0)(layout, sums, hypers, fixed)
        self._dense(rows, latents, hypers, np.asarray(dense), np.asarray(local), fixed, batch)

    def _dense(self, rows, latents, hypers, dense, local, fixed, batch):
        layout = self.layout
        size, likelihood = layout.dense, layout.spec.likelihood

        @jax.jit
        def eta(z):
            return link(rows, z[:size], z[size:].reshape(local.shape)).ravel()

        point = np.concatenate([dense, local.ravel()]).astype(np.float64)
        nothing = eta(jnp.zeros(point.size))
        columns = jax.jit(jax.vmap(eta))(jnp.eye(point.size)) - nothing  # it is linear
        design = np.asarray(columns, np.float64).T
        n, outputs = rows.base.shape
        at = np.asarray(eta(jnp.asarray(point, jnp.float32)), np.float64)
        g, w = by_hand(likelihood, at.reshape(n, outputs), np.asarray(batch.y), latents)
        # the likelihood's precision changes with its own parameter
        ratio = float(likelihood.precision(hypers)) / float(likelihood.precision(latents))
        weight = ratio * np.asarray(batch.weight)
        g, w = g * weight[:, None], w * weight[:, None, None]
        full = np.zeros((n * outputs, n * outputs))
        for i in range(n):
            block = slice(i * outputs, (i + 1) * outputs)
            full[block, block] = w[i]
        free = slice(layout.known, None)
        start = np.concatenate([fixed, np.zeros(point.size - layout.known)])
        base = np.asarray(eta(jnp.asarray(start, jnp.float32)), np.float64)
        scale, own = (np.asarray(v, np.float64) for v in whitening(layout, hypers))
        covariance = np.zeros((point.size - layout.known,) * 2)
        m = scale.shape[0]
        covariance[:m, :m] = scale @ scale.T
        covariance[m:, m:] = np.kron(np.eye(layout.clusters), own @ own.T)
        design = design[:, free]
        self.precision = design.T @ full @ design + np.linalg.inv(covariance)
        pull = design.T @ (full @ (at - base) + g.ravel())
        self.mean = np.linalg.solve(self.precision, pull)

    def placed(self, noise):
        m = self.layout.dense - self.layout.known
        local = noise[m:].reshape(self.layout.clusters, self.layout.width)
        dense, local, volume = PLACE(self.found, noise[:m], local)
        return jnp.concatenate([dense[self.layout.known :], local.ravel()]), volume


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


def test_rows_may_be_summed_in_pieces(monkeypatch):
    whole = Problem("normal").found
    monkeypatch.setattr("pyfairme.inference.laplace.conditional.CHUNK_NUMBERS", 100)
    for one, other in zip(Problem("normal").found, whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_curvature_is_never_negative():
    """An outlier bends Student's log density the other way."""
    from pyfairme.model.likelihoods import StudentT

    values = {"df": jnp.float32(3.0), "residual_scale": jnp.float32(0.5)}
    run = jax.jit(quadratic, static_argnums=0)
    _, w = run(StudentT(), jnp.zeros((2, 1)), jnp.array([0.1, 9.0]), values)
    assert w[0, 0, 0] > 0
    assert w[1, 0, 0] == 0


def test_a_scale_of_zero_leaves_its_effects_at_zero():
    spec, _ = CASES["normal"]
    layout, batch, latents = LinearPredictor(spec), make_rows(spec), make_latents(spec)
    network = mlp_init(jax.random.key(3), (2, 1))
    rows = design_rows(layout, network, batch)
    hypers = latents | {"big_intercept_sd": jnp.zeros(1), "big_slopes_sd": jnp.zeros((1, 1))}

    @jax.jit
    def run(hypers):
        sums = curvature(layout, rows, latents, *join(layout, latents, network))
        found = condition(layout, sums, hypers, jnp.zeros(0))
        return place(found, jnp.ones(layout.dense), jnp.ones((7, 2)))[1]

    np.testing.assert_array_equal(run(hypers), 0)
    assert np.isfinite(run(latents)).all()
