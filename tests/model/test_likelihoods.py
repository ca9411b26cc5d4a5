"""Likelihoods against scipy: log densities, means, priors, and what adversaries see of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from pyfairme.model.likelihoods import (
    LIKELIHOODS,
    Bernoulli,
    Categorical,
    KnownErrors,
    NegativeBinomial,
    Normal,
    Poisson,
    StudentT,
    residual_of,
)
from pyfairme.model.likelihoods.poisson_quantile import poisson_quantile

ETA = jnp.array([[-1.2], [0.3], [2.0], [4.0]])
COUNTS = np.array([0, 3, 5, 60])
REAL = np.array([-1.0, 4.0, 2.5, -8.0])
EVERY = [kind() for kind in LIKELIHOODS.values()]


@pytest.mark.parametrize("size", [0.4, 3.0, 200.0])
def test_negative_binomial_equals_scipy(size):
    values = {"concentration": jnp.float32(size)}
    mean = np.exp(np.asarray(ETA[:, 0]))
    found = NegativeBinomial().distribution(ETA, values).log_prob(jnp.asarray(COUNTS))
    expected = stats.nbinom.logpmf(COUNTS, size, size / (size + mean))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_allclose(NegativeBinomial().mean(ETA, values), mean, rtol=1e-6)


@pytest.mark.parametrize("y", [0, 1])
def test_gradient_of_a_class_at_even_odds(y):
    """Where the search for a mode starts; `numpyro.distributions.Bernoulli` alone has y there."""
    slope = jax.grad(lambda eta: Bernoulli().distribution(eta, {}).log_prob(y))(jnp.zeros(1))
    assert slope[0] == pytest.approx(y - 0.5)


def test_poisson_equals_scipy():
    found = Poisson().distribution(ETA, {}).log_prob(jnp.asarray(COUNTS))
    mean = np.exp(np.asarray(ETA[:, 0]))
    np.testing.assert_allclose(found, stats.poisson.logpmf(COUNTS, mean), rtol=1e-4)
    np.testing.assert_allclose(Poisson().mean(ETA, {}), mean, rtol=1e-6)


@pytest.mark.parametrize("df", [1.5, 4.0, 30.0])
def test_student_t_equals_scipy(df):
    values = {"df": jnp.float32(df), "residual_scale": jnp.float32(0.7)}
    found = StudentT().distribution(ETA, values).log_prob(jnp.asarray(REAL))
    expected = stats.t.logpdf(REAL, df, np.asarray(ETA[:, 0]), 0.7)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_allclose(StudentT().mean(ETA, values), ETA[:, 0])


def test_two_classes_of_a_categorical_are_a_bernoulli():
    links = jnp.concatenate([-ETA / 2, ETA / 2], axis=1)
    y = jnp.array([0, 1, 1, 0])
    two, one = Categorical(2), Bernoulli()
    np.testing.assert_allclose(
        two.distribution(links, {}).log_prob(y), one.distribution(ETA, {}).log_prob(y), rtol=1e-5
    )
    np.testing.assert_allclose(two.mean(links, {}), one.mean(ETA, {}), rtol=1e-5)
    np.testing.assert_allclose(two.bounded(links)[:, 1:], one.bounded(ETA), rtol=1e-5)
    np.testing.assert_array_equal(two.strata(y), one.strata(y))


def test_the_prior_of_the_concentration_is_half_normal_in_its_inverse_root():
    ((latent, prior),) = NegativeBinomial().latents()
    value = jnp.array([0.5, 2.0, 50.0])
    expected = stats.halfnorm.logpdf(value**-0.5) + np.log(0.5 * value**-1.5)
    np.testing.assert_allclose(prior.log_prob(value), expected, rtol=1e-5)
    assert latent.positive
    assert not latent.in_units


@pytest.mark.parametrize("likelihood", EVERY, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("unit", [1.0, 8.0])
def test_views_are_bounded_in_both_tails_and_linear_near_the_unit(likelihood, unit):
    scaled = type(likelihood)(unit=unit)
    tails = scaled.bounded(jnp.array([[-1e3], [1e3]]))
    assert np.abs(tails).max() <= 3.0
    assert float(tails[1, 0]) == pytest.approx(3.0)
    assert np.isfinite(
        jax.grad(lambda e: scaled.bounded(e).sum())(jnp.array([[-1e3], [1e3]]))
    ).all()
    y = jnp.array([0.0, 0.1, 0.2]) * unit
    np.testing.assert_allclose(scaled.outcome(y)[:, 0], y / unit, atol=1e-3)
    mean = scaled.mean(ETA, {})
    np.testing.assert_allclose(scaled.bounded(ETA), scaled.outcome(mean), rtol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("likelihood", [Poisson(), NegativeBinomial()])
def test_an_extreme_link_overflows_nothing(likelihood):
    values = {"concentration": jnp.float32(2.0)}
    eta = jnp.array([[-500.0], [500.0]])

    def total(eta):
        return likelihood.distribution(eta, values).log_prob(jnp.array([3, 3])).sum()

    assert np.isfinite(total(eta))
    assert np.isfinite(jax.grad(total)(eta)).all()
    drawn = likelihood.distribution(eta, values).sample(jax.random.key(0))
    assert (drawn >= 0).all()


def test_residual_variances_are_those_of_the_formulas():
    own = {
        "residual_sd": np.array([2.0]),
        "residual_scale": np.array([2.0, 2.0]),
        "df": np.array([4.0, 1.0]),
        "concentration": np.array([0.5]),
    }
    assert Bernoulli().residual_variance(own, np.nan) == pytest.approx(np.pi**2 / 3)
    # of each link: a contrast of two classes has twice that, the logistic's
    assert Categorical(3).residual_variance(own, np.nan) == pytest.approx(np.pi**2 / 6)
    assert Normal().residual_variance(own, np.nan).tolist() == [4.0]
    assert StudentT().residual_variance(own, np.nan).tolist() == [8.0, np.inf]
    assert Poisson().residual_variance(own, 4.0) == pytest.approx(np.log(1.25))
    found = NegativeBinomial().residual_variance(own, 4.0)
    np.testing.assert_allclose(found, np.log(1 + 0.25 + 2.0))


@pytest.mark.parametrize("kind", [Poisson, NegativeBinomial])
def test_counts_start_at_the_log_of_their_mean(kind):
    assert float(kind().start(jnp.float32(7.0))[0]) == pytest.approx(np.log(7))
    assert np.isfinite(kind().start(jnp.float32(0.0))).all()


@pytest.mark.parametrize("mean", [1e-8, 0.3, 5.0, 11.9, 12.1, 40.0, 5000.0])
def test_quantiles_of_poisson_counts_are_scipys(mean):
    """Rounding moves u over the edge of a count now and then; the expansion is one off at times."""
    u = jax.random.uniform(jax.random.key(0), (50_000,), minval=1e-7)
    found = np.asarray(poisson_quantile(u, jnp.float32(mean)))
    off = found - stats.poisson.ppf(np.asarray(u, np.float64), mean)
    assert np.abs(off).max() <= 1
    assert (off != 0).mean() < 1e-3
    assert abs(off.mean()) < 1e-3


@pytest.mark.long
def test_draws_of_counts_have_their_distribution():
    """Shares of 40,000 draws lie within five standard errors of the probabilities of each count."""
    values = {"concentration": jnp.array(2.0)}
    eta = jnp.log(jnp.array([[0.5], [6.0], [25.0]]))
    for likelihood in (Poisson(), NegativeBinomial()):
        drawn = likelihood.distribution(eta, values).sample(jax.random.key(1), (40_000,))
        assert drawn.shape == (40_000, 3)
        assert drawn.dtype == jnp.int32
        counts = jnp.arange(80)[:, None]
        share = np.asarray((drawn[:, None] == counts).mean(axis=0))
        expected = np.exp(likelihood.distribution(eta, values).log_prob(counts))
        error = np.sqrt(expected * (1 - expected) / 40_000)
        assert (np.abs(share - expected) < 5 * error + 1e-3).all()


def test_residuals_are_not_bounded_where_predictions_are():
    eta, y = jnp.array([[0.5], [2.0]]), jnp.array([40.0, -1.0])
    for likelihood in (Normal(), KnownErrors(1.0)):
        np.testing.assert_allclose(residual_of(likelihood, eta, y), [[-39.5], [3.0]])
        assert abs(likelihood.outcome(y)).max() <= 3
    assert residual_of(StudentT(), eta, y) is None
    assert residual_of(Poisson(), eta, y) is None
