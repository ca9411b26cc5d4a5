"""Each cluster's own estimate, against the formulas that exist."""

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit, logsumexp

from pyfairme.model.likelihoods import (
    Bernoulli,
    Categorical,
    NegativeBinomial,
    Normal,
    Poisson,
    StudentT,
)
from pyfairme.report.unpooled import KnownRows, unpooled_shifts

G = 4
CODES = np.repeat(np.arange(G), [5, 40, 60, 30])


def rows(y, link=None, weight=None, codes=CODES):
    rng = np.random.default_rng(9)
    link = rng.normal(size=(len(codes), 1)) if link is None else link
    weight = np.ones(len(codes)) if weight is None else weight
    return KnownRows(np.asarray(y), link.astype(np.float32), codes, weight)


def of(values, g):
    return values[np.flatnonzero(np.equal(CODES, g))]


def drawn(sample):
    rng = np.random.default_rng(1)
    link = rng.normal(size=(len(CODES), 1))
    shift = np.array([0.4, -0.6, 1.0, 0.0])[CODES]
    return sample(rng, link[:, 0] + shift), link


def test_of_a_normal_it_is_the_mean_residual():
    y, link = drawn(lambda rng, eta: rng.normal(eta, 2).astype(np.float32))
    weight = np.random.default_rng(2).uniform(0.5, 2, len(CODES))
    found = unpooled_shifts(Normal(), {"residual_sd": 2.0}, rows(y, link, weight), 0, G)
    residual = y - link[:, 0]
    expected = np.bincount(CODES, weight * residual) / np.bincount(CODES, weight)
    assert found == pytest.approx(expected, abs=1e-5)


def test_of_a_poisson_it_is_the_log_ratio_of_sums():
    y, link = drawn(lambda rng, eta: rng.poisson(np.exp(eta)))
    y = np.where(CODES == 0, 0, y)  # a cluster without an event
    found = unpooled_shifts(Poisson(), {}, rows(y, link), 0, G)
    with np.errstate(divide="ignore"):
        expected = np.log(np.bincount(CODES, y) / np.bincount(CODES, np.exp(link[:, 0])))
    assert found == pytest.approx(expected, abs=1e-5)
    assert found[0] == -np.inf


def test_large_counts_have_a_finite_shift():
    link = np.full((len(CODES), 1), 15.0)
    y = np.full(len(CODES), round(np.exp(16.0)))
    found = unpooled_shifts(Poisson(), {}, rows(y, link), 0, G)
    assert found == pytest.approx(np.ones(G), abs=1e-4)


def test_of_two_classes_it_solves_the_score_equation():
    y, link = drawn(lambda rng, eta: (rng.random(len(eta)) < expit(eta)).astype(np.int32))
    y[CODES == 0], y[CODES == 3] = 0, 1
    found = unpooled_shifts(Bernoulli(), {}, rows(y, link), 0, G)
    assert found[0] == -np.inf
    assert found[3] == np.inf
    for g in (1, 2):
        mine, at = of(y, g), of(link, g)[:, 0]
        expected = brentq(lambda s, mine=mine, at=at: (mine - expit(at + s)).sum(), -10, 10)
        assert found[g] == pytest.approx(expected, abs=1e-5)


def test_sure_links_do_not_hide_that_all_outcomes_are_alike():
    for link, y, expected in ((9.0, 1, np.inf), (-9.0, 0, -np.inf), (9.0, 0, -np.inf)):
        given = rows(np.full(len(CODES), y), np.full((len(CODES), 1), link))
        assert (unpooled_shifts(Bernoulli(), {}, given, 0, G) == expected).all()


def test_of_more_classes_it_shifts_one_link():
    rng = np.random.default_rng(3)
    link, y = rng.normal(size=(len(CODES), 3)), rng.integers(0, 3, len(CODES))
    found = unpooled_shifts(Categorical(3), {}, rows(y, link), 1, G)
    for g in range(G):
        at = of(link, g)
        rest = at[:, 1] - logsumexp(at[:, [0, 2]], axis=1)
        hits = (of(y, g) == 1).sum()
        expected = brentq(lambda s, rest=rest, hits=hits: hits - expit(rest + s).sum(), -10, 10)
        assert found[g] == pytest.approx(expected, abs=1e-5)


@pytest.mark.long
@pytest.mark.parametrize(
    ("likelihood", "values", "sample"),
    [
        (StudentT(), {"df": 4.0, "residual_scale": 0.5},
         lambda rng, eta: (eta + 0.5 * rng.standard_t(4, len(eta))).astype(np.float32)),
        (NegativeBinomial(), {"concentration": 2.0},
         lambda rng, eta: rng.poisson(np.exp(eta) * rng.gamma(2, 0.5, len(eta)))),
    ],
)  # fmt: skip
def test_of_others_it_maximises_the_likelihood(likelihood, values, sample):
    y, link = drawn(sample)
    found = unpooled_shifts(likelihood, values, rows(y, link), 0, G)
    for g in range(G):
        mine, at = of(y, g), of(link, g)

        def loss(s, mine=mine, at=at):
            return -float(likelihood.distribution(at + s, values).log_prob(mine).sum())

        best = minimize_scalar(loss, bounds=(-4, 4), method="bounded")
        assert loss(found[g]) <= best.fun + 1e-3
        assert found[g] == pytest.approx(best.x, abs=0.02)


def test_a_cluster_without_rows_has_no_estimate():
    y = np.arange(len(CODES), dtype=np.float32)
    found = unpooled_shifts(Normal(), {"residual_sd": 1.0}, rows(y), 0, G + 1)
    assert np.isnan(found[G])
    assert np.isfinite(found[:G]).all()
