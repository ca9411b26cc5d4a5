"""Power-scaling of the priors: weights against refits on a grid, and the table's lines."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from pyfairme.inference.diagnostics import MATTERS, PRIOR, diagnostics
from pyfairme.inference.predictions import Fit
from pyfairme.inference.prior_sensitivity import (
    SENSITIVE,
    hyper_draws,
    hyper_log_priors,
    prior_sensitivity,
)
from pyfairme.model.effects import RandomEffects
from pyfairme.model.likelihoods import Bernoulli
from pyfairme.model.priors import PRIORS
from pyfairme.model.program import ModelSpec, Objective
from pyfairme.model.tangent import SCALES, WEIGHT_PRIOR
from tests.inference import one_way
from tests.inference.test_diagnostics import LABELS
from tests.inference.test_prior_choice import CHOSEN, LAYER, by_block, structure

pytestmark = pytest.mark.arviz
ALPHA = 2.0


@pytest.fixture(scope="module")
def fitted():
    chosen, log_prior = CHOSEN["half-Cauchy and Exponential"]
    spec, objective = structure(chosen)
    draws = by_block(spec, objective, one_way.make_rows())
    return fit_of(spec, {name: value[None] for name, value in draws.items()}), objective, log_prior


def fit_of(spec, draws, **more):
    members = next(iter(draws.values())).shape[0]
    quality = {"pareto_k": np.zeros(members)}
    return Fit(spec, one_way.NETWORK, draws, np.zeros((members, 1)), (), quality, **more)


@pytest.mark.long
def test_weights_by_the_priors_are_those_of_another_prior(fitted):
    """Draws weighed by p^(alpha - 1) against the grid's posterior under the prior p^alpha."""
    fit, objective, log_prior = fitted
    whole = np.sum(list(hyper_log_priors(fit, objective).values()), axis=0)[0]
    weight = np.exp((ALPHA - 1) * (whole - whole.max()))
    weight /= weight.sum()
    rows = one_way.make_rows()
    exact = one_way.exact(
        rows, log_prior=lambda s, t: ALPHA * log_prior(s, t), layer_scale=LAYER / ALPHA**0.5
    )
    before = one_way.exact(rows, log_prior=log_prior, layer_scale=LAYER)
    moved = np.abs(exact.mean - before.mean) / exact.sd
    assert moved.max() > 0.4
    names = ("residual_sd", "g_intercept_sd", "output_weight", "output_bias")
    means = np.array([weight @ fit.draws[name][0].ravel() for name in names])
    error = np.abs(means - exact.mean[:4]) / exact.sd[:4]
    assert error.max() < 0.13  # 2,000 draws, of which a third is effective at least
    assert 1 / (weight**2).sum() > 600


def test_log_priors_are_the_densities_at_the_draws(fitted):
    fit, objective, _ = fitted
    found = hyper_log_priors(fit, objective)
    assert set(found) == {"residual_sd", "g_intercept_sd", "last_layer"}
    tau = fit.draws["g_intercept_sd"][..., 0]
    np.testing.assert_allclose(
        found["g_intercept_sd"], stats.halfcauchy(scale=0.1).logpdf(tau), atol=1e-4
    )
    layer = stats.norm(scale=LAYER)
    both = layer.logpdf(fit.draws["output_weight"][..., 0, 0])
    both = both + layer.logpdf(fit.draws["output_bias"][..., 0])
    np.testing.assert_allclose(found["last_layer"], both, atol=1e-4)


def test_a_strong_prior_is_found_out_and_a_flat_one_is_not(fitted):
    fit, objective, _ = fitted
    found = prior_sensitivity(fit, objective)
    assert set(found) == {"residual_sd", "g_intercept_sd"}
    assert min(found["residual_sd"][0], found["g_intercept_sd"][0]) > SENSITIVE
    flat = replace(fit.spec, last_layer=False, priors=tuple((n, PRIORS["uniform"]) for n in found))
    draws = {name: fit.draws[name] for name in (*found, "g_intercept")}
    numbers = Objective(priors=dict.fromkeys(found, (50.0,)))
    none = prior_sensitivity(fit_of(flat, draws), numbers)
    assert none == {"residual_sd": 0.0, "g_intercept_sd": 0.0}


def test_members_are_judged_each_on_its_own(fitted):
    fit, objective, _ = fitted
    half = {name: np.concatenate([value, value * 1.0]) for name, value in fit.draws.items()}
    half["g_intercept_sd"][1] *= 1 + 1e-9
    one = prior_sensitivity(fit, objective)
    two = prior_sensitivity(fit_of(fit.spec, half), objective)
    for name, value in one.items():
        np.testing.assert_allclose(two[name], [value[0], value[0]], rtol=1e-3)


def test_scales_of_a_network_are_those_of_the_evidence():
    """Divided by their gains; without gains, as in older files, there is nothing to say."""
    spec = ModelSpec(Bernoulli(), 2, (3,), (RandomEffects("g", 4),), tangent=True)
    rng = np.random.default_rng(0)
    draws = {v.name: rng.normal(size=(1, 300, *v.shape)) for v in spec.latents}
    sd = np.abs(rng.normal(size=(1, 300)))
    draws["g_intercept_sd"] = np.abs(draws["g_intercept_sd"])
    draws[SCALES] = np.stack([0.1 * sd, 3.0 * sd, sd**2], axis=-1)
    fit = fit_of(spec, draws, gains=np.array([[0.1, 3.0]]))
    np.testing.assert_allclose(hyper_draws(fit)["network_sd"], sd)
    found = hyper_log_priors(fit, Objective())
    expected = stats.halfnorm(scale=WEIGHT_PRIOR * 1.5).logpdf(sd)
    np.testing.assert_allclose(found["network_sd"], expected, atol=1e-4)
    np.testing.assert_allclose(
        found["linear_sd"], stats.halfnorm(scale=1.5).logpdf(sd**2), atol=1e-3
    )
    assert set(prior_sensitivity(fit, Objective())) == {"g_intercept_sd", "network_sd", "linear_sd"}
    assert "network_sd" not in hyper_draws(replace(fit, gains=None))


def test_lines_say_what_they_mean():
    quality = {"pareto_k": np.array([0.2, 0.3])}
    fit = Fit(one_way.SPEC, one_way.NETWORK, {}, np.zeros((2, 1)), (), quality)
    found = diagnostics(fit, LABELS, {"g_intercept_sd": np.array([0.04, 0.2])})
    lines = found[found["measure"] == PRIOR]
    assert list(lines["parameter"]) == ["g_intercept_sd"] * 2
    assert list(lines["member"]) == [0, 1]
    assert list(lines["ok"]) == [True, False]
    assert list(lines["note"]) == ["", MATTERS]
    assert (lines["limit"] == SENSITIVE).all()
    others = found[found["measure"] != PRIOR]
    assert others["ok"].all()
    assert (others["note"] == "").all()
