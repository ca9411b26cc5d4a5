"""How clusters differ where a row's own is inferred: the covariance of their effects."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from pyfairme.data import Batch
from pyfairme.inference.predictions import Query, quantiles
from pyfairme.inference.soft_memberships import between
from pyfairme.model.effects import RandomEffects
from pyfairme.model.likelihoods import Categorical
from pyfairme.model.networks import Layer
from pyfairme.model.program import ModelSpec

DRAWS, CLUSTERS, CLASSES, ROWS = 4000, 5, 3, 4
NETWORK = (Layer(jnp.zeros((1, 1, CLASSES)), jnp.zeros((1, CLASSES))),)
SPEC = ModelSpec(
    Categorical(CLASSES), 1, (), (RandomEffects("g", CLUSTERS, outputs=CLASSES, slopes=(0,)),)
)


@pytest.fixture(scope="module")
def query():
    rng = np.random.default_rng(0)
    effects = rng.normal(0, 1.5, (CLUSTERS, CLASSES))
    effects -= effects.mean(axis=1, keepdims=True)  # as softmax leaves them: they sum to 0
    slopes = rng.normal(0, 0.5, (CLUSTERS, 1, CLASSES))
    draws = {"g_intercept": effects, "g_slopes": slopes}
    draws = {k: np.tile(v, (1, DRAWS, *[1] * v.ndim)).astype(np.float32) for k, v in draws.items()}
    soft = rng.dirichlet(np.ones(CLUSTERS), ROWS).astype(np.float32)
    soft[2] = np.eye(CLUSTERS)[3]  # its cluster is known
    zeros = np.zeros((ROWS, 0), np.int32)
    r = np.float32([[0], [1], [2], [-1]])
    batch = Batch(
        np.zeros((ROWS, 1), np.float32), None, np.full((ROWS, 1), -1), r, zeros,
        np.ones(ROWS, np.float32), np.zeros(ROWS, np.float32),
    )  # fmt: skip
    return Query(SPEC, NETWORK, draws, np.zeros((1, CLASSES), np.float32), batch, (soft,))


def every_effect(query):
    """Mean (n, K) and covariance (n, K, K) of a row's effects over its possible clusters."""
    intercept, slopes = (np.asarray(query.draws[f"g_{n}"])[0, 0] for n in ("intercept", "slopes"))
    each = intercept + query.batch.slopes[:, None, :] * slopes[None, :, 0]  # (n, G, K)
    weight = query.membership[0][:, :, None]
    mean = (weight * each).sum(axis=1)
    gap = each - mean[:, None]
    return mean, np.einsum("ng,ngk,ngl->nkl", query.membership[0], gap, gap)


def drawn(spec, draws, batch, membership):
    """Call `between` as prediction does: compiled."""
    call = jax.jit(lambda *arrays: between(spec, *arrays))
    return np.asarray(call(NETWORK, draws, batch, membership))


def test_deviations_have_the_covariance_of_the_clusters(query):
    found = drawn(SPEC, query.draws, query.batch, query.membership)
    assert found.shape == (DRAWS, ROWS, CLASSES)
    _, covariance = every_effect(query)
    for row in range(ROWS):
        scale = max(np.trace(covariance[row]), 1e-9)
        # standard error of a variance from 4000 draws: 2.2 % of it
        np.testing.assert_allclose(np.cov(found[:, row].T), covariance[row], atol=0.07 * scale)
        assert np.abs(found[:, row].mean(axis=0)).max() <= 0.07 * np.sqrt(scale)
    assert (found[:, 2] == 0).all()


def test_a_row_does_not_depend_on_its_neighbours(query):
    every = drawn(SPEC, query.draws, query.batch, query.membership)
    alone = Batch(*(None if part is None else part[1:2] for part in query.batch))
    found = drawn(SPEC, query.draws, alone, (query.membership[0][1:2],))
    np.testing.assert_allclose(found[:, 0], every[:, 1], atol=1e-5)


def test_crossed_factors_add_their_variances(query):
    crossed = replace(SPEC, factors=(*SPEC.factors, replace(SPEC.factors[0], name="h")))
    draws = query.draws | {k.replace("g_", "h_"): v for k, v in query.draws.items()}
    both = drawn(crossed, draws, query.batch, query.membership * 2)
    _, covariance = every_effect(query)
    np.testing.assert_allclose(
        np.cov(both[:, 0].T), 2 * covariance[0], atol=0.14 * np.trace(covariance[0])
    )


def test_intervals_of_several_classes_are_as_wide_as_the_clusters_differ(query):
    """Against softmax of Normal links with the clusters' mean and covariance."""
    mean, covariance = every_effect(query)
    at = (0.05, 0.5, 0.95)
    found = quantiles(query, "mixed", at, "mean", 0)
    for row in (0, 1, 3):
        links = np.random.default_rng(1).multivariate_normal(
            mean[row], covariance[row].astype(np.float64), 40_000, check_valid="ignore"
        )
        expected = np.quantile(special.softmax(links, axis=1), at, axis=0)
        np.testing.assert_allclose(found[:, row], expected, atol=0.04)
    assert (found[2] - found[0])[0].max() > 0.5
