"""Priors of one's own in every way to a posterior, against integration over a grid."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from pyfairme.inference import nuts
from pyfairme.inference.laplace.block_guide import fit_block
from pyfairme.inference.laplace.importance_sampling import weigh
from pyfairme.inference.laplace.laplace_evidence import LaplaceEvidence, Layout
from pyfairme.inference.laplace.psis import RELIABLE
from pyfairme.inference.laplace.second_stage import second_stage_inputs
from pyfairme.inference.predictions import Fit
from pyfairme.inference.prior_draws import prior_draws
from pyfairme.model.likelihoods import Bernoulli
from pyfairme.model.priors import PRIORS
from pyfairme.model.program import Objective
from pyfairme.model.tangent import LINEAR_SD, WEIGHT_SD
from tests.inference import one_way
from tests.inference.laplace.test_laplace_evidence import make

pytestmark = pytest.mark.arviz
LAYER = 0.3
# far from the model's own: effects' SD is .9 in the data, and here it is to be small
CHOSEN = {
    "half-Cauchy and Exponential": (
        {"g_intercept_sd": ("half_cauchy", (0.1,)), "residual_sd": ("exponential", (8.0,))},
        lambda s, t: stats.expon(scale=1 / 8).logpdf(s) + stats.halfcauchy(scale=0.1).logpdf(t),
    ),
    "Exponential and Inverse-Gamma": (
        {"g_intercept_sd": ("exponential", (5.0,)), "residual_sd": ("inverse_gamma", (9.0, 8.0))},
        lambda s, t: stats.invgamma(9, scale=8).logpdf(s) + stats.expon(scale=1 / 5).logpdf(t),
    ),
}


def structure(chosen):
    every = {**chosen, **dict.fromkeys(("output_weight", "output_bias"), ("normal", (LAYER,)))}
    priors = tuple((site, PRIORS[family]) for site, (family, _) in every.items())
    numbers = {site: values for site, (_, values) in every.items()}
    return replace(one_way.SPEC, priors=priors), Objective(priors=numbers)


def by_block(spec, objective, rows):
    scaled, bare = second_stage_inputs(rows, objective)
    layout = Layout(spec, spec)
    found = weigh(fit_block(layout, one_way.START, one_way.NETWORK, scaled, bare), 2000, 1)
    assert found.k < RELIABLE
    return found.draws


def by_nuts(spec, objective, rows):
    scaled, bare = second_stage_inputs(rows, objective)
    found = nuts.sample(
        spec, one_way.NETWORK, one_way.START, scaled, bare,
        draws=1000, chains=2, warmup=300, strength=np.zeros(0), seed=0,
    )  # fmt: skip
    return {name: value.reshape(-1, *value.shape[2:]) for name, value in found.draws.items()}


@pytest.mark.long
@pytest.mark.parametrize("way", [by_block, by_nuts])
@pytest.mark.parametrize("case", CHOSEN)
def test_draws_are_those_of_the_exact_posterior(way, case):
    chosen, log_prior = CHOSEN[case]
    rows = one_way.make_rows()
    exact = one_way.exact(rows, log_prior=log_prior, layer_scale=LAYER)
    usual = one_way.exact(rows)
    assert (np.abs(usual.mean - exact.mean) / exact.sd).max() > 0.5  # the priors matter here
    found = one_way.found(way(*structure(chosen), rows))
    # as with the model's own priors: 1,000 effective draws, four standard errors
    assert (np.abs(found.mean - exact.mean) / exact.sd).max() < 0.13
    np.testing.assert_allclose(found.sd, exact.sd, rtol=0.12)


@pytest.mark.parametrize("hidden", [(), (5,)])
def test_the_networks_evidence_has_the_prior_that_is_given(hidden):
    """The same rows under two priors: values and gradients differ by those of the priors."""
    evidence, layout = make(Bernoulli(), hidden)
    chosen = {LINEAR_SD: ("half_cauchy", (0.3,)), WEIGHT_SD: ("gamma", (2.0, 3.0))}
    known = {LINEAR_SD: stats.halfcauchy(scale=0.3), WEIGHT_SD: stats.gamma(2, scale=1 / 3)}
    usual = {LINEAR_SD: stats.halfnorm(scale=1.5), WEIGHT_SD: stats.halfnorm(scale=3.0)}
    chosen = {site: chosen[site] for site in layout.own}
    priors = tuple((site, PRIORS[family]) for site, (family, _) in chosen.items())
    spec, bare = (replace(one, priors=priors) for one in (layout.spec, layout.bare))
    other = LaplaceEvidence(
        layout._replace(spec=spec, bare=bare),
        evidence.rows,
        Objective(priors={site: values for site, (_, values) in chosen.items()}),
    )
    free = np.linspace(-1.2, -0.3, len(layout.hypers) + 1)[: len(evidence_free(layout))]
    (one, slope), (two, turned) = (e.value_and_gradient(free) for e in (evidence, other))

    def difference(at):
        each = zip(layout.own, np.exp(at), strict=False)
        return sum(known[name].logpdf(sd) - usual[name].logpdf(sd) for name, sd in each)

    assert two - one == pytest.approx(difference(free), abs=0.02)
    step = 1e-4 * np.eye(len(free))
    expected = [(difference(free + s) - difference(free - s)) / 2e-4 for s in step]
    np.testing.assert_allclose(turned - slope, expected, atol=0.02)


def evidence_free(layout):
    return [0.0] * sum(int(np.prod(latent.free_shape)) for latent in layout.hypers)


def test_draws_from_the_prior_have_the_numbers_given():
    chosen, _ = CHOSEN["half-Cauchy and Exponential"]
    spec, objective = structure(chosen)
    draws = {v.name: np.zeros((1, 5, *v.shape), np.float32) for v in spec.latents}
    fit = Fit(spec, (one_way.NETWORK[0],), draws, np.zeros((1, 1), np.float32))
    fit = replace(fit, network=tuple(type(x)(*(v[None] for v in x)) for x in one_way.NETWORK))
    for scale in (0.1, 10.0):
        numbers = {**objective.priors, "g_intercept_sd": (scale,)}
        drawn = prior_draws(fit, objective._replace(priors=numbers), 2000, 0)
        known = stats.halfcauchy(scale=scale)
        assert stats.kstest(drawn["g_intercept_sd"].ravel(), known.cdf).pvalue > 1e-3
        weights = drawn["output_weight"].ravel()
        assert stats.kstest(weights, stats.norm(scale=LAYER).cdf).pvalue > 1e-3
