"""Families of priors against SciPy's densities, and where the model puts them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import handlers
from scipy import stats

from pyfairme.model.effects import RandomEffects
from pyfairme.model.likelihoods import NegativeBinomial, Normal, StudentT
from pyfairme.model.priors import PRIORS, PriorFamily
from pyfairme.model.program import SUMS, ModelSpec, Objective, draw_latents

KNOWN = {  # family: its numbers, and the same distribution of SciPy's
    "half_normal": ((0.7,), stats.halfnorm(scale=0.7)),
    "half_cauchy": ((0.7,), stats.halfcauchy(scale=0.7)),
    "half_student_t": ((3.0, 0.7), None),  # below
    "exponential": ((2.0,), stats.expon(scale=1 / 2)),
    "gamma": ((2.0, 0.5), stats.gamma(2.0, scale=2.0)),
    "inverse_gamma": ((3.0, 0.5), stats.invgamma(3.0, scale=0.5)),
    "log_normal": ((-0.5, 0.8), stats.lognorm(0.8, scale=np.exp(-0.5))),
    "uniform": ((2.0,), stats.uniform(0, 2.0)),
    "normal": ((0.7,), stats.norm(scale=0.7)),
}
AT = np.array([[0.1, 0.4], [0.9, 1.9]])


@pytest.mark.parametrize("name", KNOWN)
def test_density_and_draws_of_a_family(name):
    values, known = KNOWN[name]
    prior = PRIORS[name].distribution((2, 2), *values)
    expected = 2 * stats.t(3.0, scale=0.7).pdf(AT) if known is None else known.pdf(AT)
    assert float(prior.log_prob(jnp.asarray(AT))) == pytest.approx(np.log(expected).sum(), abs=1e-4)
    drawn = np.asarray(prior.sample(jax.random.key(0), (2000,)))
    assert drawn.shape == (2000, 2, 2)
    if known is None:
        drawn, known = drawn**2 / 0.49, stats.f(1, 3)  # the square of a Student t
    assert stats.kstest(drawn[:, 0, 1], known.cdf).pvalue > 1e-3


def test_uniform_has_no_density_beyond_its_bound():
    density = jax.jit(lambda value: PRIORS["uniform"].distribution((), 2.0).log_prob(value))
    assert [float(density(value)) for value in (-0.1, 2.1)] == [-np.inf, -np.inf]


def test_lkj_of_one_correlation_is_a_beta():
    """(rho + 1) / 2 ~ Beta(c, c)."""
    roots = PRIORS["lkj"].distribution((2000, 2, 2), 0.6).sample(jax.random.key(0))
    share = (np.asarray(roots)[:, 1, 0] + 1) / 2
    assert stats.kstest(share, stats.beta(0.6, 0.6).cdf).pvalue > 1e-3


def test_every_family_is_known_here_and_is_a_key():
    assert set(PRIORS) == {*KNOWN, "lkj"}
    for family in PRIORS.values():
        assert isinstance(family, PriorFamily)
        assert hash(family) == hash(family)


def trace(spec, objective):
    seeded = handlers.seed(draw_latents, jax.random.key(0))
    return handlers.trace(seeded).get_trace(spec, objective, SUMS)


@pytest.mark.long
def test_the_model_draws_from_the_priors_that_are_given():
    """And from its own for everything else."""
    factors = (
        RandomEffects("a", 4, slopes=(0, 1), correlated=True),
        RandomEffects("b", 3, column=1),
    )
    chosen = {
        "residual_scale": ("exponential", (2.0,)),
        "output_weight": ("normal", (0.3,)),
        "a_slopes_sd": ("half_cauchy", (0.2,)),
        "a_cholesky": ("lkj", (1.0,)),
        "b_intercept_sd": ("gamma", (2.0, 4.0)),
    }
    priors = tuple((site, PRIORS[family]) for site, (family, _) in chosen.items())
    spec = ModelSpec(StudentT(), 3, factors=factors, last_layer=True, priors=priors)
    numbers = {site: values for site, (_, values) in chosen.items()}
    sites = trace(spec, Objective(prior_scale=2.0, priors=numbers))
    known = {
        "residual_scale": stats.expon(scale=1 / 2), "output_weight": stats.norm(scale=0.3),
        "a_slopes_sd": stats.halfcauchy(scale=0.2), "b_intercept_sd": stats.gamma(2, scale=1 / 4),
        "df": stats.gamma(2, scale=10), "output_bias": stats.norm(scale=2.5),
        "a_intercept_sd": stats.halfnorm(scale=2.0),
    }  # fmt: skip
    for site, distribution in known.items():
        value = np.asarray(sites[site]["value"])
        found = float(sites[site]["fn"].log_prob(value))
        assert found == pytest.approx(distribution.logpdf(value).sum(), abs=2e-4)
    root = np.asarray(sites["a_cholesky"]["value"])[0]  # LKJ(1): L_22 to the power of 1
    other = np.eye(3, dtype=np.float32)[None]
    log_prob = sites["a_cholesky"]["fn"].log_prob
    found = float(log_prob(root[None])) - float(log_prob(other))
    assert found == pytest.approx(np.log(root[1, 1]), abs=1e-4)
    assert {s["value"].shape for n, s in sites.items() if n == "a_slopes_sd"} == {(2, 1)}


@pytest.mark.parametrize("likelihood", [Normal(), NegativeBinomial()])
def test_a_likelihoods_own_parameters_take_priors(likelihood):
    ((latent, _),) = likelihood.latents()
    spec = ModelSpec(likelihood, 1, priors=((latent.name, PRIORS["log_normal"]),))
    site = trace(spec, Objective(priors={latent.name: (0.5, 0.1)}))[latent.name]
    found = float(site["fn"].log_prob(site["value"]))
    expected = stats.lognorm(0.1, scale=np.exp(0.5)).logpdf(float(site["value"]))
    assert found == pytest.approx(expected, abs=1e-3)
