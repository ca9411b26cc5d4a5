"""Importance weights correct a bad guide, and say so when they cannot."""

import numpy as np
import pytest
from scipy import stats

from pyfairme.inference.laplace.hyper_parameters import log_prior
from pyfairme.inference.laplace.importance_sampling import Weighed, judged_clusters, weigh
from pyfairme.inference.laplace.psis import ENOUGH, RELIABLE
from pyfairme.inference.laplace.second_stage import PosteriorWarning, _warn
from tests.inference import one_way
from tests.inference.laplace.test_linear_predictor import CASES, make_latents

DRAWS = 2000
NO_CLUSTERS = np.full(4, -np.inf)
pytestmark = pytest.mark.arviz


@pytest.fixture(scope="module")
def rows():
    return one_way.make_rows()


@pytest.fixture(scope="module")
def exact(rows):
    return one_way.exact(rows)


@pytest.fixture(scope="module")
def weighed(rows):
    """Return what comes out for a changed Normal of the hyper-parameters."""
    fitted = one_way.fit_one_way(rows)

    def run(shift=0.0, factor=1.0):
        changed = fitted._replace(loc=fitted.loc + shift, scale_tril=factor * fitted.scale_tril)
        return weigh(changed, DRAWS, seed=1)

    return run


# a proposal that is far too narrow, far too wide, or beside the posterior by an SD
@pytest.mark.long
@pytest.mark.parametrize("change", [{}, {"factor": 0.2}, {"factor": 3.0}, {"shift": 0.15}])
def test_draws_are_those_of_the_exact_posterior(change, weighed, exact):
    result = weighed(**change)
    found = one_way.found(result.draws)
    assert result.k < RELIABLE
    assert result.ess > ENOUGH
    assert (np.abs(found.mean - exact.mean) / exact.sd).max() < 0.1
    np.testing.assert_allclose(found.sd, exact.sd, rtol=0.12)


def test_clusters_are_exact_for_a_normal_likelihood(weighed):
    np.testing.assert_array_equal(weighed().cluster_k, -np.inf)


# beside the posterior: far off and far too narrow, or with the right width
@pytest.mark.long
@pytest.mark.parametrize(
    "change", [{"shift": -6.0, "factor": 0.05}, {"shift": -1.0, "factor": 0.1}, {"shift": 2.0}]
)
def test_a_guide_that_misses_the_posterior_is_found_out(change, weighed, exact):
    result = weighed(**change)
    found = one_way.found(result.draws)
    assert (np.abs(found.mean - exact.mean) / exact.sd).max() > 0.5
    assert result.k > RELIABLE
    assert result.ess < 0.05
    expected = (
        r"Pareto's k of the hyper-parameters is (inf|\d+\.\d\d), above 0\.7, and only \d% of the "
        r"proposals are effective, fewer than 25%: the guide .* Call refine\(\)"
    )
    with pytest.warns(PosteriorWarning, match=expected):
        _warn(result)


def test_a_heavy_tail_that_holds_little_is_no_alarm():
    """Most draws count alike: k is noise of a few weights, and no warning becomes an error here."""
    good = Weighed({}, 0.9, 0.6, NO_CLUSTERS)
    _warn(good)
    with pytest.warns(PosteriorWarning, match="only 24% of the proposals"):
        _warn(good._replace(ess=0.24))
    _warn(good._replace(k=0.6, ess=0.24))


def test_bad_clusters_are_found_out():
    cluster_k = np.full(20, 0.8)  # not Gaussian, but corrected within the cluster
    cluster_k[:2] = 1.2
    _warn(Weighed({}, 0.1, 0.9, cluster_k))  # two in twenty are tolerated
    cluster_k[:4] = 1.2
    with pytest.warns(PosteriorWarning, match=r"above 1 for 20% of the clusters.*refine\(\)"):
        _warn(Weighed({}, 0.1, 0.9, cluster_k))


@pytest.mark.long
def test_seed_decides_the_draws(weighed):
    for name, value in weighed().draws.items():
        np.testing.assert_array_equal(value, weighed().draws[name])


def test_log_prior_is_that_of_the_model():
    spec = CASES["crossed"]
    hypers = {k: v for k, v in make_latents(spec).items() if k.endswith(("_sd", "_cholesky"))}
    objective = one_way.OBJECTIVE._replace(prior_scale=1.7)
    found = float(log_prior(spec, hypers, objective))
    expected = stats.halfnorm(scale=1.0).logpdf(hypers["residual_sd"])
    for name in ("big_intercept_sd", "big_slopes_sd", "small_intercept_sd"):
        expected += stats.halfnorm(scale=1.7).logpdf(np.asarray(hypers[name])).sum()
    # LKJ(2) of three terms: density of L is prod L_kk^(3 - k + 2 (2 - 1)), k = 2, 3
    diagonal = np.diag(np.asarray(hypers["big_cholesky"])[0])
    same = {**hypers, "big_cholesky": np.eye(3, dtype=np.float32)[None]}
    difference = found - float(log_prior(spec, same, objective))
    assert difference == pytest.approx(3 * np.log(diagonal[1]) + 2 * np.log(diagonal[2]), abs=1e-4)
    determinant = found - expected - difference  # the constant of LKJ alone
    assert np.isfinite(determinant)


@pytest.mark.parametrize(("number", "clusters"), [(5, 5), (10, 1000)])
def test_judged_clusters_are_spread_evenly(number, clusters):
    chosen = judged_clusters(number, clusters)
    assert len(set(chosen)) == number
    assert (chosen[0], chosen[-1]) == (0, clusters - 1)
