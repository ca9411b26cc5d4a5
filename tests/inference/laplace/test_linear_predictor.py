"""The layout for Gaussian elimination is the model's own linear predictor, written otherwise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pyfairme.data import Batch
from pyfairme.inference.laplace.linear_predictor import (
    FEW_CLUSTERS,
    DesignRows,
    LinearPredictor,
    cluster_scale,
    join,
    link,
    part,
    sum_by_cluster,
    whitening,
)
from pyfairme.model.effects import RandomEffects
from pyfairme.model.likelihoods import Bernoulli, Categorical, Normal
from pyfairme.model.program import LAST_LAYER_SCALE, ModelSpec

ROWS = 30
BIG = RandomEffects("big", 7, column=0, slopes=(0, 1), correlated=True)
SMALL = RandomEffects("small", 3, column=1)
CASES = {
    "crossed": ModelSpec(Normal(), 2, factors=(SMALL, BIG), last_layer=True),
    "linear": ModelSpec(Normal(), 2, factors=(BIG, SMALL)),
    "network": ModelSpec(Bernoulli(), 2, (4,), (BIG,)),
    "hidden slopes": ModelSpec(
        Bernoulli(), 2, (4,), (RandomEffects("big", 7, hidden=4),), last_layer=True
    ),
    "classes": ModelSpec(
        Categorical(3), 2, (),
        (
            RandomEffects("big", 7, outputs=3, slopes=(1,), intercept=False),
            RandomEffects("small", 3, column=1, outputs=3, slopes=(0,)),
        ),
        last_layer=True,
    ),
    "no factor": ModelSpec(Normal(), 2, last_layer=True),
}  # fmt: skip


def make_rows(spec):
    rng = np.random.default_rng(1)
    normal = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    codes = [rng.integers(0, 7, ROWS), rng.integers(0, 3, ROWS)]
    y = rng.integers(0, 2, ROWS) if spec.likelihood.target == "class" else normal(ROWS)
    batch = Batch(
        x=normal(ROWS, 2),
        y=y,
        cluster=np.stack(codes, axis=1).astype(np.int32),
        slopes=normal(ROWS, 2),
        sensitive=np.zeros((ROWS, 0), np.int32),
        weight=np.ones(ROWS, np.float32),
        offset=normal(ROWS),
    )
    return jax.tree.map(jnp.asarray, batch)


def make_latents(spec, seed=2):
    """Draw values of all latents: positive ones, Cholesky factors, numbers."""
    rng = np.random.default_rng(seed)
    return {
        v.name: v.transform(jnp.asarray(rng.normal(0, 0.6, v.free_shape), jnp.float32))
        for v in spec.latents
    }


@pytest.fixture(params=CASES)
def case(request):
    spec = CASES[request.param]
    return LinearPredictor(spec), make_latents(spec)


def test_part_undoes_join(case):
    layout, latents = case
    hypers = {latent.name for latent in layout.hypers}
    dense, local = join(layout, latents)
    assert dense.shape == (layout.dense,)
    assert local.shape == (layout.clusters, layout.width)
    found = part(layout, dense, local)
    assert set(found) | hypers == set(latents)
    assert not set(found) & hypers
    for name, value in found.items():
        np.testing.assert_array_equal(value, latents[name], err_msg=name)


def test_the_factor_with_the_most_effects_is_local():
    spec = CASES["crossed"]
    assert LinearPredictor(spec).local == BIG
    assert LinearPredictor(spec).others == (SMALL,)
    assert LinearPredictor(CASES["no factor"]).local is None


def test_whitening_squares_to_the_prior_covariance():
    spec = CASES["crossed"]
    latents = make_latents(spec)
    dense, local = whitening(LinearPredictor(spec), latents, LAST_LAYER_SCALE)
    tau = np.r_[latents["big_intercept_sd"], latents["big_slopes_sd"][:, 0]]
    root = np.asarray(latents["big_cholesky"])[0]
    covariance = np.diag(tau) @ root @ root.T @ np.diag(tau)
    np.testing.assert_allclose(local @ local.T, covariance, rtol=1e-4)
    small = float(latents["small_intercept_sd"][0]) ** 2
    expected = np.diag([*[LAST_LAYER_SCALE**2] * 3, *[small] * 3])
    np.testing.assert_allclose(dense @ dense.T, expected, rtol=1e-5)


def test_outputs_have_scales_and_correlations_of_their_own():
    factor = RandomEffects("g", 2, outputs=2, slopes=(0,), correlated=True)
    spec = ModelSpec(Categorical(2), 2, factors=(factor,))
    latents = make_latents(spec)
    scale = np.asarray(cluster_scale(factor, latents)).reshape(2, 2, 2, 2)  # (d, K, d, K)
    for k in range(2):
        own = scale[:, k, :, k]
        tau = np.r_[latents["g_intercept_sd"][k], latents["g_slopes_sd"][0, k]]
        np.testing.assert_allclose(own, tau[:, None] * latents["g_cholesky"][k], rtol=1e-6)
    assert not scale[:, 0, :, 1].any()


@pytest.mark.parametrize("clusters", [1, 5, FEW_CLUSTERS, FEW_CLUSTERS + 1])
def test_products_of_few_clusters_are_gathers_and_sums(clusters):
    rng = np.random.default_rng(2)
    n, d, outputs = 200, 3, 2
    normal = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    code = rng.integers(0, clusters, n)
    rows = DesignRows(normal(n, outputs), normal(n, 2), normal(n, d), code, normal(n), normal(n))
    rows = jax.tree.map(jnp.asarray, rows)
    dense, local = jnp.asarray(normal(2 * outputs)), jnp.asarray(normal(clusters, d * outputs))
    effects = local.reshape(clusters, d, outputs)[code]
    eta = rows.base + rows.x @ dense.reshape(2, outputs) + np.einsum("nd,ndk->nk", rows.r, effects)
    np.testing.assert_allclose(link(rows, dense, local), eta, atol=1e-5)
    values = jnp.asarray(normal(n, 2, 2))
    sums = np.zeros((clusters, 2, 2))
    np.add.at(sums, code, values)
    np.testing.assert_allclose(sum_by_cluster(rows, values, clusters), sums, atol=1e-4)


@pytest.mark.parametrize("clusters", [1, 5])
def test_rows_of_even_clusters_need_no_code(clusters):
    rng = np.random.default_rng(2)
    n, d, outputs = 20 * clusters, 3, 2
    normal = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)  # noqa: E731
    code = jnp.repeat(jnp.arange(clusters), 20)
    rows = DesignRows(normal(n, outputs), normal(n, 0), normal(n, d), code, normal(n), normal(n))
    even, local, values = rows._replace(code=None), normal(clusters, d * outputs), normal(n, 2, 2)
    expected = link(rows, jnp.zeros(0), local)
    np.testing.assert_allclose(link(even, jnp.zeros(0), local), expected, atol=1e-5)
    sums = sum_by_cluster(rows, values, clusters)
    np.testing.assert_allclose(sum_by_cluster(even, values, clusters), sums, atol=1e-4)


@pytest.mark.parametrize("clusters", [5, FEW_CLUSTERS + 1])
def test_a_cluster_that_overflows_leaves_the_others_as_they_are(clusters):
    rng = np.random.default_rng(3)
    n = 300
    code = np.arange(n) % clusters
    values = jnp.asarray(rng.normal(size=n), jnp.float32)
    local = jnp.asarray(rng.normal(size=(clusters, 1)), jnp.float32)
    one, nothing = jnp.ones((n, 1)), jnp.zeros((n, 0))
    rows = DesignRows(0 * one, nothing, one, jnp.asarray(code), values, one[:, 0])
    for bad in (np.nan, np.inf, -np.inf):
        some = jnp.where(code == 2, bad, values)
        mine = np.arange(clusters) != 2
        expected = sum_by_cluster(rows, values, clusters)
        found = np.asarray(sum_by_cluster(rows, some, clusters))
        np.testing.assert_array_equal(found[mine], np.asarray(expected)[mine])
        assert not abs(found[2]) < 1e19  # huge, or not a number
        eta = np.asarray(link(rows, jnp.zeros(0), local.at[2].set(bad)))[code != 2]
        np.testing.assert_array_equal(eta, np.asarray(link(rows, jnp.zeros(0), local))[code != 2])
