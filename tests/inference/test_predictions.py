"""Predictions against integrals by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from pyfairme.data import Batch
from pyfairme.inference.predictions import (
    CHUNK,
    Fit,
    Query,
    log_density,
    mean_link,
    means,
    outcomes,
    quantiles,
)
from pyfairme.inference.unseen_effects import with_new_clusters
from pyfairme.model.effects import RandomEffects
from pyfairme.model.likelihoods import Bernoulli, Normal
from pyfairme.model.networks import Layer
from pyfairme.model.program import ModelSpec

NETWORK = (Layer(jnp.array([[[0.5], [-1.0]]]), jnp.array([[0.3]])),)  # one member
DRAWS = 1000


def make_query(likelihood=None, rows=30, membership=None, codes=None, seed=0):
    rng = np.random.default_rng(seed)
    normal = stats.norm.ppf((np.arange(DRAWS) + 0.5) / DRAWS)  # a Normal's quantiles: no MC error
    centre, spread = np.array([0.5, -1.0]), np.array([0.4, 0.8])
    draws = {
        "g_intercept": (centre + spread * normal[:, None])[None, :, :, None].astype(np.float32),
        "g_intercept_sd": np.full((1, DRAWS, 1), 0.7, np.float32),
    }
    if isinstance(likelihood, Normal):
        draws["residual_sd"] = np.full((1, DRAWS), 0.6, np.float32)
    x = rng.normal(size=(rows, 2)).astype(np.float32)
    codes = rng.integers(0, 2, rows) if codes is None else codes
    batch = Batch(
        x, None, np.asarray(codes)[:, None].astype(np.int32), np.zeros((rows, 0), np.float32),
        np.zeros((rows, 0), np.int32), np.ones(rows, np.float32), np.zeros(rows, np.float32),
    )  # fmt: skip
    spec = ModelSpec(likelihood or Bernoulli(), 2, (), (RandomEffects("g", 2),))
    fixed = x @ np.array([0.5, -1.0]) + 0.3
    query = Query(spec, NETWORK, draws, np.array([[0.1]], np.float32), batch, membership)
    return query, fixed, centre[codes], spread[codes]


def _expected_probability(mean, sd):
    nodes, weights = special.roots_hermitenorm(60)
    return special.expit(mean[:, None] + sd[:, None] * nodes) @ weights / weights.sum()


def test_mean_probability_integrates_over_the_posterior():
    query, fixed, mean, sd = make_query()
    found = means(query, "mixed")
    np.testing.assert_allclose(found[:, 1], _expected_probability(fixed + mean, sd), atol=6e-3)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(means(query, "fixed")[:, 1], special.expit(fixed), rtol=1e-5)
    random = means(query, "random")[:, 1]
    np.testing.assert_allclose(random, _expected_probability(0.1 + mean, sd), atol=6e-3)


def test_quantiles_of_the_mean_are_those_of_the_link():
    query, fixed, mean, sd = make_query()
    found = quantiles(query, "mixed", (0.05, 0.95), "mean", seed=0)[..., 1]
    for q, values in zip((0.05, 0.95), found, strict=True):
        expected = special.expit(fixed + mean + sd * stats.norm.ppf(q))
        np.testing.assert_allclose(values, expected, atol=3e-3)


def test_observation_quantiles_add_the_residual():
    query, fixed, mean, sd = make_query(Normal())
    total = np.sqrt(sd**2 + 0.6**2)
    found = quantiles(query, "mixed", (0.1, 0.9), "observation", seed=0)
    for q, values in zip((0.1, 0.9), found, strict=True):
        expected = fixed + mean + total * stats.norm.ppf(q)
        # standard error of a 10 % quantile from 1000 draws: 1.7 sd / sqrt(1000) = .05 sd
        np.testing.assert_allclose(values, expected, atol=4 * 0.055)


def test_observation_quantiles_have_one_noise_for_all_rows():
    """Of every draw a number, seeded by its position: whichever rows come with a row."""
    query, fixed, *_ = make_query(Normal())
    found = quantiles(query, "mixed", (0.1, 0.9), "observation", seed=3)
    key = jax.random.key(3)
    noise = [jax.random.normal(jax.random.fold_in(key, draw)) for draw in range(DRAWS)]
    effects = query.draws["g_intercept"][0, :, query.batch.cluster[:, 0], 0]  # (rows, draws)
    expected = np.quantile(fixed[:, None] + effects + 0.6 * np.array(noise), (0.1, 0.9), axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_outcomes_have_mean_and_spread_of_the_likelihood():
    query, fixed, mean, sd = make_query(Normal(), rows=8)
    drawn = outcomes(query, "mixed", 4000, 1, np.arange(30, dtype=np.uint64), np.asarray)
    assert drawn.shape == (4000, 8)
    np.testing.assert_allclose(drawn.mean(axis=0), fixed + mean, atol=0.07)
    np.testing.assert_allclose(drawn.std(axis=0), np.sqrt(sd**2 + 0.36), rtol=0.06)
    # given the draw of the effects, rows of one call have noise of their own
    noise = drawn - drawn.mean(axis=0)
    same = query.batch.cluster[:, 0] == query.batch.cluster[0, 0]
    other = int(np.flatnonzero(same)[1])
    expected = sd[0] ** 2 / (sd[0] ** 2 + 0.36)
    assert np.corrcoef(noise[:, 0], noise[:, other])[0, 1] == pytest.approx(expected, abs=0.06)


def test_log_density_is_that_of_the_mixture():
    query, fixed, mean, sd = make_query(Normal())
    y = (fixed + np.linspace(-1, 1, 30)).astype(np.float32)
    found = log_density(query._replace(batch=query.batch._replace(y=y)))["mixed"]
    expected = stats.norm.logpdf(y, fixed + mean, np.sqrt(sd**2 + 0.36))
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_chunks_do_not_matter():
    query, *_ = make_query(rows=2 * CHUNK + 7)
    every = means(query, "mixed")
    for row in (0, CHUNK - 1, CHUNK, 2 * CHUNK + 6):
        alone = Batch(*(None if a is None else a[row : row + 1] for a in query.batch))
        np.testing.assert_array_equal(means(query._replace(batch=alone), "mixed")[0], every[row])


def test_soft_membership_mixes_and_widens():
    soft = (np.tile(np.float32([0.3, 0.7]), (30, 1)),)
    query, fixed, *_ = make_query(codes=np.full(30, -1), membership=soft)
    link = mean_link(query, "mixed")[:, 0]
    np.testing.assert_allclose(link, fixed + 0.3 * 0.5 + 0.7 * -1.0, atol=2e-3)
    wide = quantiles(query, "mixed", (0.05, 0.95), "mean", 0)[..., 1]
    hard = (np.tile(np.float32([0.0, 1.0]), (30, 1)),)
    narrow = quantiles(query._replace(membership=hard), "mixed", (0.05, 0.95), "mean", 0)[..., 1]

    # the clusters' own difference: sd sqrt(.3 * .7) * (1.5 + .4 z), beside a posterior sd of .8
    def logit_width(b):
        return special.logit(b[1]) - special.logit(b[0])

    assert (logit_width(wide) > 0.9 * 2 * 1.645 * np.hypot(0.68, 0.21**0.5 * 1.5)).all()
    np.testing.assert_allclose(logit_width(narrow), 2 * 1.645 * 0.8, rtol=0.05)


def test_new_clusters_come_from_the_fitted_prior():
    query, *_ = make_query()
    fit = Fit(query.spec, query.network, dict(query.draws), query.centre)
    spec, draws = with_new_clusters(fit, 0, ["a", "b", "c"], [1, 2, 3])
    assert spec.factors[0].clusters == 2 + 4  # room for a power of two
    fresh = draws["g_intercept"][0, :, 2:5, 0]
    # around the mean of the G = 2 known ones, with variance tau^2 (G + 1) / (G - 1); a third of it
    # is that of this mean, which new clusters share
    around = fresh - draws["g_intercept"][0, :, :2, 0].mean(axis=1, keepdims=True)
    np.testing.assert_allclose(around.std(axis=0), 0.7 * np.sqrt(3), rtol=0.1)
    shared = np.full((3, 3), 1 / 3) + np.eye(3) * 2 / 3
    assert np.abs(np.corrcoef(around.T) - shared).max() < 0.12
    alone = with_new_clusters(fit, 0, ["c"], [3])[1]["g_intercept"][0, :, 2, 0]
    np.testing.assert_array_equal(alone, fresh[:, 2])  # its label decides, not its company


def test_likeness_shares_out_the_spread_of_a_new_cluster():
    """What is drawn is what u_Z does not tell, and the mean's own error where rho is not 1."""
    query, *_ = make_query()
    fit = Fit(query.spec, query.network, dict(query.draws), query.centre)
    mean = query.draws["g_intercept"].mean(axis=2)[0, :, 0]
    for rho, variance in ((0.0, 3.0), (0.6, 2 * (1 - 0.36) + 0.16), (1.0, 0.0)):
        alike = {"g_intercept_likeness": np.full((1, DRAWS), rho, np.float32)}
        _, draws = with_new_clusters(fit, 0, ["a"], [1], alike)
        around = draws["g_intercept"][0, :, 2, 0] - (1 - rho) * mean
        assert around.std() == pytest.approx(0.7 * np.sqrt(variance), rel=0.1, abs=1e-5)
        own = draws["g_intercept_own"]
        np.testing.assert_allclose(own, np.sqrt(2 * (1 - rho**2)), rtol=1e-5)


def test_rows_without_a_cluster_have_one_each():
    """Outcomes of two such rows share the mean of the clusters and nothing else."""
    query, *_ = make_query(Normal(), rows=40, codes=np.zeros(40, int))
    fit = Fit(query.spec, query.network, dict(query.draws), query.centre)
    spec, draws = with_new_clusters(fit, 0, [], [])
    batch = query.batch._replace(cluster=np.full((40, 1), 2, np.int32))
    lone = query._replace(spec=spec, draws=draws, batch=batch)
    lone = lone._replace(alone=np.ones((40, 1), np.float32))
    rows = np.arange(40, dtype=np.uint64)
    found = outcomes(lone, "random", DRAWS, 0, rows, np.asarray) - draws["g_intercept"][0, :, 2, :]
    variance = 2 * 0.7**2 + 0.6**2  # tau^2 G / (G - 1), and the residual's
    # 40,000 numbers, 40 columns of 1000: errors of .7 % and of 1 / sqrt(1000) each
    assert found.var() == pytest.approx(variance, rel=0.04)
    off = np.corrcoef(found.T)[np.triu_indices(40, 1)]
    assert abs(off.mean()) < 0.01
    low, high = quantiles(lone, "random", (0.05, 0.95), "observation", 0)
    total = variance + np.var(draws["g_intercept"][0, :, 2, 0])
    np.testing.assert_allclose(high - low, 2 * 1.645 * np.sqrt(total), rtol=0.08)


def test_members_of_an_ensemble_are_pooled():
    query, fixed, mean, sd = make_query()
    doubled = (Layer(jnp.concatenate([NETWORK[0].weight] * 2), jnp.array([[0.3], [1.3]])),)
    draws = {name: np.concatenate([value] * 2) for name, value in query.draws.items()}
    both = query._replace(network=doubled, draws=draws, centre=np.zeros((2, 1), np.float32))
    found = means(both, "mixed")[:, 1]
    parts = [_expected_probability(fixed + mean + shift, sd) for shift in (0.0, 1.0)]
    np.testing.assert_allclose(found, np.mean(parts, axis=0), atol=4e-3)
