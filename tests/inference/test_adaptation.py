"""New clusters: between the prior and their own fit, exactly where the answer is known."""

import jax
import numpy as np
import pytest

from pyfairme.data import Batch
from pyfairme.inference.adaptation import adapt
from pyfairme.inference.predictions import Fit
from pyfairme.model.effects import RandomEffects
from pyfairme.model.likelihoods import Bernoulli, Normal
from pyfairme.model.networks import Layer
from pyfairme.model.program import ModelSpec

DRAWS, KNOWN = 1000, 3
SIGMA, TAU = 0.5, np.array([1.2, 0.4])  # SDs of the residual, of intercepts and of slopes
WEIGHT, BIAS = 0.7, -0.2


def make_fit(likelihood, correlation=0.0, members=1):
    """A fit whose scales are known numbers: equal draws, two members if asked."""
    factor = RandomEffects("g", KNOWN, slopes=(0,), correlated=correlation != 0)
    spec = ModelSpec(likelihood, 1, factors=(factor,), fixed_loss=False)
    rng = np.random.default_rng(0)
    lead = (members, DRAWS)
    draws = {
        "g_intercept_sd": np.full((*lead, 1), TAU[0]),
        "g_slopes_sd": np.full((*lead, 1, 1), TAU[1]),
        "g_intercept": rng.normal(size=(*lead, KNOWN, 1)),
        "g_slopes": rng.normal(size=(*lead, KNOWN, 1, 1)),
    }
    if correlation:
        root = np.linalg.cholesky([[1, correlation], [correlation, 1]])
        draws["g_cholesky"] = np.broadcast_to(root, (*lead, 1, 2, 2))
    if isinstance(likelihood, Normal):
        draws["residual_sd"] = np.full(lead, SIGMA)
    layer = Layer(np.full((members, 1, 1), WEIGHT), np.full((members, 1), BIAS))
    network = (jax.tree.map(np.float32, layer),)
    draws = {name: value.astype(np.float32) for name, value in draws.items()}
    return Fit(spec, network, draws, np.zeros((members, 1), np.float32))


def make_rows(code, seed=1, classes=False):
    rng = np.random.default_rng(seed)
    n = len(code)
    x = rng.normal(size=(n, 1)).astype(np.float32)
    y = rng.integers(0, 2, n) if classes else rng.normal(2.0, 1.0, n).astype(np.float32)
    return Batch(
        x=x, y=y, cluster=np.asarray(code, np.int32)[:, None], slopes=2 * x,
        sensitive=np.zeros((n, 0), np.int32), weight=np.ones(n, np.float32),
        offset=np.zeros(n, np.float32),
    )  # fmt: skip


def grow(fit, batch, clusters):
    return adapt(fit, 0, clusters, batch, np.zeros(0), seed=0)


def effects(fit):
    """Return the draws of the new clusters' intercepts and slopes, (draws, new, 2)."""
    parts = [fit.draws["g_intercept"][0, :, KNOWN:, 0], fit.draws["g_slopes"][0, :, KNOWN:, 0, 0]]
    return np.stack(parts, axis=-1).astype(np.float64)


def closed_form(batch, code, correlation):
    own = batch.cluster[:, 0] == code
    design = np.column_stack([np.ones(own.sum()), batch.slopes[own, 0]])
    rest = batch.y[own] - WEIGHT * batch.x[own, 0] - BIAS
    prior = np.diag(TAU) @ [[1, correlation], [correlation, 1]] @ np.diag(TAU)
    weighted = design * batch.weight[own, None]
    covariance = np.linalg.inv(weighted.T @ design / SIGMA**2 + np.linalg.inv(prior))
    return covariance @ weighted.T @ rest / SIGMA**2, covariance


@pytest.mark.parametrize("correlation", [0.0, 0.6])
def test_normal_effects_are_those_of_the_closed_form(correlation):
    code = np.repeat([0, 1], [3, 25])
    batch = make_rows(code)._replace(weight=np.linspace(0.5, 1.5, 28, dtype=np.float32))
    found = effects(grow(make_fit(Normal(), correlation), batch, 2))
    for g in range(2):
        mean, covariance = closed_form(batch, g, correlation)
        sd = np.sqrt(np.diag(covariance))
        # 1,000 draws: standard errors of a mean .032 SD, of an SD 2.2 %, of a correlation .032
        assert (np.abs(found[:, g].mean(axis=0) - mean) / sd).max() < 0.13
        np.testing.assert_allclose(found[:, g].std(axis=0), sd, rtol=0.09)
        expected = covariance[0, 1] / sd.prod()
        assert np.corrcoef(found[:, g].T)[0, 1] == pytest.approx(expected, abs=0.13)


@pytest.mark.parametrize("likelihood", [Normal(), Bernoulli()])
def test_rows_that_say_nothing_leave_the_prior(likelihood):
    batch = make_rows(np.zeros(28), classes=likelihood.target == "class")
    batch = batch._replace(weight=np.full(28, 1e-6, np.float32))
    found = effects(grow(make_fit(likelihood), batch, 1))[:, 0]
    assert (np.abs(found.mean(axis=0)) / TAU).max() < 0.13
    np.testing.assert_allclose(found.std(axis=0), TAU, rtol=0.09)


def test_more_rows_move_effects_from_the_prior_to_the_clusters_own_fit():
    """The same rows, weighing more and more: the distance to least squares shrinks to nothing."""
    batch = make_rows(np.zeros(28))
    design = np.column_stack([np.ones(28), batch.slopes[:, 0]])
    own, *_ = np.linalg.lstsq(design, batch.y - WEIGHT * batch.x[:, 0] - BIAS, rcond=None)
    fit, distance, spread = make_fit(Normal()), [], []
    for weight in (0.003, 0.03, 0.3, 3.0, 30.0):
        found = effects(grow(fit, batch._replace(weight=np.full(28, weight, np.float32)), 1))[:, 0]
        distance.append(np.linalg.norm(found.mean(axis=0) - own))
        spread.append(found[:, 0].std())
    assert (np.diff(distance) < 0).all()
    assert (np.diff(spread) < 0).all()
    assert distance[-1] < 0.02
    assert distance[0] > 1


def test_bernoulli_effects_are_those_of_numerical_integration():
    batch = make_rows(np.zeros(28), classes=True)
    batch = batch._replace(y=np.where(np.arange(28) < 25, 1, 0))  # skewed: nearly all ones
    found = effects(grow(make_fit(Bernoulli()), batch, 1))[:, 0]
    a, b = np.meshgrid(np.linspace(-3, 8, 300), np.linspace(-2.5, 2.5, 200), indexing="ij")
    eta = BIAS + WEIGHT * batch.x[:, 0] + a[..., None] + b[..., None] * batch.slopes[:, 0]
    log = (batch.y * eta - np.logaddexp(0, eta)).sum(axis=-1)
    log += -((a / TAU[0]) ** 2) / 2 - (b / TAU[1]) ** 2 / 2
    share = np.exp(log - log.max())
    share /= share.sum()
    for index, grid in enumerate((a, b)):
        mean = (share * grid).sum()
        sd = np.sqrt((share * (grid - mean) ** 2).sum())
        assert found[:, index].mean() == pytest.approx(mean, abs=0.13 * sd)
        assert found[:, index].std() == pytest.approx(sd, rel=0.1)


def test_everything_else_stays_as_it_was():
    fit = make_fit(Normal(), members=2)
    grown = grow(fit, make_rows(np.repeat([0, 1], [3, 25])), 2)
    for name, value in fit.draws.items():
        kept = grown.draws[name][:, :, :KNOWN] if name in ("g_intercept", "g_slopes") else None
        np.testing.assert_array_equal(grown.draws[name] if kept is None else kept, value)
    assert grown.network is fit.network
    assert grown.spec.factors[0].clusters == KNOWN + 2
    assert grown.draws["g_slopes"].shape == (2, DRAWS, KNOWN + 2, 1, 1)
    # members are fits of their own, with noise of their own
    first, second = grown.draws["g_intercept"][:, :, KNOWN:]
    assert np.abs(first - second).max() > 0


def test_a_cluster_does_not_depend_on_its_company():
    both = make_rows(np.repeat([0, 1], [3, 25]))
    alone = both._replace(weight=both.weight * (both.cluster[:, 0] == 0))
    fit = make_fit(Normal())
    one, other = (effects(grow(fit, batch, 2))[:, 0] for batch in (both, alone))
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_effects_follow_a_scale_to_nothing():
    """Nothing is divided by a scale that is nearly 0."""
    fit = make_fit(Normal())
    fit.draws["g_slopes_sd"][:] = 1e-6
    found = effects(grow(fit, make_rows(np.zeros(28)), 1))[:, 0]
    assert np.abs(found[:, 1]).max() < 1e-5
    assert found[:, 0].std() == pytest.approx((TAU[0] ** -2 + 28 / SIGMA**2) ** -0.5, rel=0.09)
