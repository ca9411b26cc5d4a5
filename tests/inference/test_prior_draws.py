"""Draws from the prior against the prior's own formulas."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from pyfairme.inference.predictions import Fit
from pyfairme.inference.prior_draws import prior_draws
from pyfairme.model.effects import RandomEffects
from pyfairme.model.likelihoods import Bernoulli, NegativeBinomial, Normal
from pyfairme.model.networks import Layer
from pyfairme.model.penalties import penalties_of
from pyfairme.model.program import ModelSpec, Objective


def make_fit(likelihood, factors, members=2, last_layer=False):
    """A fit whose draws are all zero: only their names and shapes matter to the prior."""
    penalties = penalties_of("moment")
    spec = ModelSpec(likelihood, 3, (), factors, last_layer=last_layer, penalties=penalties)
    weight, bias = jnp.zeros((members, 3, 1)), jnp.zeros((members, 1))
    if last_layer:
        weight, bias = jnp.zeros((members, 0, 0)), jnp.zeros((members, 0))
    draws = {v.name: np.zeros((members, 5, *v.shape), np.float32) for v in spec.latents}
    return Fit(spec, (Layer(weight, bias),), draws, np.zeros((members, 1), np.float32))


def test_scales_and_effects_have_the_prior_of_the_model():
    fit = make_fit(
        Bernoulli(), (RandomEffects("a", 4, slopes=(0, 2)), RandomEffects("b", 3, column=1))
    )
    drawn = prior_draws(fit, Objective(prior_scale=2.0), number=2000, seed=0)
    assert set(drawn) == set(fit.draws)
    assert drawn["a_slopes"].shape == (2, 1000, 4, 2, 1)
    scale = stats.halfnorm(scale=2.0 * 1.5)  # prior_scale x the logit link's
    for name in ("a_intercept_sd", "b_intercept_sd", "a_slopes_sd"):
        values = drawn[name].reshape(2000, -1)[:, 0]
        assert stats.kstest(values, scale.cdf).pvalue > 1e-3
    standard = drawn["a_slopes"] / drawn["a_slopes_sd"][:, :, None]
    assert stats.kstest(standard[:, :, 1, 1].ravel(), "norm").pvalue > 1e-3
    between = drawn["b_intercept"][..., 0, 0] / drawn["b_intercept_sd"][..., 0]
    assert stats.kstest(between.ravel(), "norm").pvalue > 1e-3


def test_the_last_layer_and_the_residual_are_drawn_too():
    fit = make_fit(Normal(), (RandomEffects("a", 4),), last_layer=True)
    drawn = prior_draws(fit, Objective(), number=2000, seed=1)
    assert stats.kstest(drawn["residual_sd"].ravel(), "halfnorm").pvalue > 1e-3
    weights = drawn["output_weight"][:, :, 1, 0].ravel()
    assert stats.kstest(weights, stats.norm(scale=2.5).cdf).pvalue > 1e-3


def test_concentration_is_drawn_through_its_transform():
    fit = make_fit(NegativeBinomial(), (RandomEffects("a", 4),), members=1)
    drawn = prior_draws(fit, Objective(), number=1000, seed=2)["concentration"]
    assert stats.kstest(drawn.ravel() ** -0.5, "halfnorm").pvalue > 1e-3


def test_correlated_effects_come_with_the_factor_of_their_correlations():
    fit = make_fit(Normal(), (RandomEffects("a", 4, slopes=(0,), correlated=True),), members=1)
    drawn = prior_draws(fit, Objective(), number=2000, seed=5)
    correlation = drawn["a_cholesky"][0, :, 0, 1, 0]
    # LKJ(2) of two effects: (r + 1) / 2 ~ Beta(2, 2)
    assert stats.kstest((correlation + 1) / 2, stats.beta(2, 2).cdf).pvalue > 1e-3


def test_a_seed_gives_the_same_draws_and_members_differ():
    fit = make_fit(Normal(), (RandomEffects("a", 4),))
    first, again, other = (prior_draws(fit, Objective(), 10, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first["a_intercept"], again["a_intercept"])
    assert not np.array_equal(first["a_intercept"], other["a_intercept"])
    assert not np.array_equal(first["a_intercept"][0], first["a_intercept"][1])


@pytest.mark.parametrize(("number", "each"), [(1, 1), (3, 2), (4, 2)])
def test_draws_are_spread_over_the_members(number, each):
    fit = make_fit(Normal(), (RandomEffects("a", 4),))
    assert prior_draws(fit, Objective(), number, 0)["residual_sd"].shape == (2, each)
