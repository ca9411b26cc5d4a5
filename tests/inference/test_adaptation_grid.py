"""New clusters of likelihoods that are not Normal, against numerical integration per draw."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from scipy import stats

from pyfairme.data import Batch
from pyfairme.inference.adaptation import adapt
from pyfairme.inference.laplace.second_stage import PosteriorWarning
from pyfairme.inference.predictions import Fit
from pyfairme.model.effects import RandomEffects
from pyfairme.model.likelihoods import Bernoulli, NegativeBinomial, Poisson, StudentT
from pyfairme.model.networks import Layer
from pyfairme.model.program import ModelSpec

DRAWS, ROWS = 600, 20  # rows are padded, so that each likelihood is compiled once
POINTS = 4001
# the scale's posterior: wide, as that of few clusters, with a tail far beyond its middle
TAUS = np.exp(np.random.default_rng(3).normal(np.log(1.2), 0.6, DRAWS)).astype(np.float32)
SCALE, DF, CONCENTRATION = 0.5, 4.0, 2.0


class Case(NamedTuple):
    """One new cluster: y, all with the fixed link ``base``, under scales ``tau`` times TAUS."""

    likelihood: object
    y: object
    base: float = 0.0
    tau: float = 1.0
    low: float = -25.0
    high: float = 25.0

    @property
    def grid(self):
        return np.linspace(self.low, self.high, POINTS)


def ones(positive, rows):
    return np.where(np.arange(rows) < positive, 1, 0)


def around(centre, rows):
    """Return quantiles of the Student t residual: its own scatter, without luck."""
    return centre + SCALE * stats.t.ppf((np.arange(rows) + 0.5) / rows, DF)


CASES = {
    "poisson, sum 925": Case(Poisson(), [180, 190, 170, 200, 185], low=4.5, high=6),
    "poisson, one count of 2,000": Case(Poisson(), [2000], low=7, high=8),
    "poisson, 400 under a narrow prior": Case(Poisson(), [400] * 3, tau=0.1, low=0, high=7),
    "poisson, only zeros": Case(Poisson(), [0] * 12, base=2.0),
    "poisson, thousands of rows": Case(Poisson(), [90, 110] * 1000, low=4.5, high=4.7),
    "negative binomial, mean 150": Case(NegativeBinomial(), [150, 20, 300, 90, 190]),
    "bernoulli, 4 of 30": Case(Bernoulli(), ones(4, 30), base=0.5),
    "bernoulli, 1 of 200": Case(Bernoulli(), ones(1, 200), base=1.0),
    "bernoulli, 0 of 12": Case(Bernoulli(), ones(0, 12), base=3.0, tau=2.0, low=-50),
    "bernoulli, 1 of 1": Case(Bernoulli(), ones(1, 1), base=-4.0, tau=3.0, low=-60, high=80),
    "student t, outlying, 1 row": Case(StudentT(), around(10, 1), tau=2.5),
    "student t, outlying, 5 rows": Case(StudentT(), around(10, 5), tau=2.5),
    "student t, outlying, 20 rows": Case(StudentT(), around(10, 20), tau=2.5),
    "student t, far out, 1 row": Case(StudentT(), around(10, 1), tau=1.0),
    "student t, far out, 5 rows": Case(StudentT(), around(10, 5), tau=1.5),
    "student t, usual, 1 row": Case(StudentT(), around(-1, 1)),
    "student t, usual, 5 rows": Case(StudentT(), around(1, 5)),
    "student t, rows that disagree": Case(StudentT(), [0.0, 0.3, -0.4, 8.0, 9.0], tau=2.5),
}


def make_fit(likelihood, base, tau):
    spec = ModelSpec(likelihood, 1, factors=(RandomEffects("g", 2),), fixed_loss=False)
    own = {"residual_scale": SCALE, "df": DF, "concentration": CONCENTRATION}
    draws = {v.name: np.full((1, DRAWS), own[v.name], np.float32) for v, _ in likelihood.latents()}
    draws["g_intercept_sd"] = tau * TAUS[None, :, None]
    draws["g_intercept"] = np.zeros((1, DRAWS, 2, 1), np.float32)
    network = (Layer(np.zeros((1, 1, 1), np.float32), np.full((1, 1), base, np.float32)),)
    return Fit(spec, network, draws, np.zeros((1, 1), np.float32))


def make_rows(case):
    """Equal rows become one of more weight; padded ones weigh nothing."""
    kind = np.float32 if case.likelihood.target == "real" else np.int32
    y, weight = np.unique(np.asarray(case.y, kind), return_counts=True)
    extra = (0, ROWS - len(y))
    return Batch(
        x=np.zeros((ROWS, 1), np.float32), y=np.pad(y, extra),
        cluster=np.zeros((ROWS, 1), np.int32), slopes=np.zeros((ROWS, 0), np.float32),
        sensitive=np.zeros((ROWS, 0), np.int32),
        weight=np.pad(weight, extra).astype(np.float32), offset=np.zeros(ROWS, np.float32),
    )  # fmt: skip


def log_likelihood(case):
    y, eta = np.asarray(case.y)[:, None], case.base + case.grid
    if isinstance(case.likelihood, Bernoulli):
        return (y * eta - np.logaddexp(0, eta)).sum(axis=0)
    if isinstance(case.likelihood, StudentT):
        return stats.t.logpdf((y - eta) / SCALE, DF).sum(axis=0)
    mean = np.exp(eta)
    if isinstance(case.likelihood, Poisson):
        return y.sum() * eta - len(y) * mean
    total = (y + CONCENTRATION) * np.log(CONCENTRATION + mean)
    return y.sum() * eta - total.sum(axis=0)


def exact(case):
    """Return the distribution function of the effect under every draw of tau, (draws, points)."""
    log = log_likelihood(case)[None] - (case.grid / (case.tau * TAUS[:, None])) ** 2 / 2
    share = np.exp(log - log.max(axis=1, keepdims=True))
    return np.cumsum(share / share.sum(axis=1, keepdims=True), axis=1)


def moments(case, distribution):
    """Return mean and SD of the mixture over draws, and the kurtosis that an SD's error needs."""
    share = np.diff(distribution.mean(axis=0), prepend=0.0)
    mean = share @ case.grid
    sd = np.sqrt(share @ (case.grid - mean) ** 2)
    return mean, sd, share @ (case.grid - mean) ** 4 / sd**4


def grow(case, seed=0):
    fit = make_fit(case.likelihood, case.base, case.tau)
    return adapt(fit, 0, 1, make_rows(case), np.zeros(0), seed)


@pytest.mark.parametrize("name", CASES)
def test_effects_are_those_of_numerical_integration(name):
    case = CASES[name]
    found = grow(case).draws["g_intercept"][0, :, -1, 0].astype(np.float64)
    distribution = exact(case)
    mean, sd, kurtosis = moments(case, distribution)
    assert found.mean() == pytest.approx(mean, abs=4 * sd / DRAWS**0.5)
    assert found.std() == pytest.approx(sd, rel=4 * ((kurtosis - 1) / (4 * DRAWS)) ** 0.5)
    # where each draw lies in its own exact posterior is uniform, in the tail of tau too
    at = np.array(
        [np.interp(u, case.grid, cdf) for u, cdf in zip(found, distribution, strict=True)]
    )
    assert stats.kstest(at, "uniform").pvalue > 1e-3
    assert stats.kstest(at[np.quantile(TAUS, 0.9) < TAUS], "uniform").pvalue > 1e-3


def test_two_modes_are_found_out():
    """Rows that disagree under a wide prior: the climb finds one mode of two."""
    case = Case(StudentT(), [0.0] * 3 + [9.0] * 3, tau=8.0)
    with pytest.warns(PosteriorWarning, match=r"far from Gaussian for 1 of the 1 new clusters"):
        grow(case)


def test_quality_has_the_new_clusters_after_the_known_ones():
    case = CASES["bernoulli, 4 of 30"]
    fit = make_fit(case.likelihood, case.base, case.tau)
    rows = make_rows(case)
    first = adapt(fit, 0, 1, rows, np.zeros(0), 0).quality["pareto_k/g"]
    assert first.shape == (1, 3)
    assert np.isnan(first[0, :2]).all()  # never judged
    assert first[0, 2] < 0.7
    judged = replace(fit, quality={"pareto_k": np.array([0.1]), "pareto_k/g": np.array([[0.2, 3]])})
    grown = adapt(judged, 0, 1, rows, np.zeros(0), 0)
    np.testing.assert_array_equal(grown.quality["pareto_k/g"], [[0.2, 3.0, first[0, 2]]])
    assert grown.quality["pareto_k"] == 0.1
    again = adapt(grown, 0, 1, rows, np.zeros(0), 0)
    assert again.quality["pareto_k/g"].shape == (1, 4)
