"""The evidence against closed forms, its gradient against differences, the mode's precision."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import halfnorm, multivariate_normal

from pyfairme.data import Batch
from pyfairme.inference.laplace import laplace_evidence
from pyfairme.inference.laplace.laplace_evidence import LaplaceEvidence, Layout
from pyfairme.inference.laplace.mixed_design import lay_out
from pyfairme.inference.laplace.tangent_basis import find_basis
from pyfairme.model.effects import RandomEffects
from pyfairme.model.likelihoods import (
    Bernoulli,
    Categorical,
    NegativeBinomial,
    Normal,
    Poisson,
    StudentT,
)
from pyfairme.model.networks import Layer, mlp_init
from pyfairme.model.program import ModelSpec, Objective
from pyfairme.model.tangent import CONSTANT_SD, WEIGHT_PRIOR

ROWS = 60
BIG, SMALL = RandomEffects("big", 6, slopes=(0,)), RandomEffects("small", 3, column=1)


def make(likelihood, hidden=(5,), factors=(BIG, SMALL)):
    factors = tuple(replace(factor, outputs=likelihood.outputs) for factor in factors)
    bare = ModelSpec(likelihood, 2, hidden, factors, fixed_loss=False)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 2)).astype(np.float32)
    y = {
        "real": x[:, 0] + 0.7 * rng.normal(size=ROWS),
        "class": rng.integers(max(2, likelihood.outputs), size=ROWS),
        "count": rng.poisson(np.exp(0.5 * x[:, 0])),
    }[likelihood.target]
    batch = Batch(
        x=x,
        y=y.astype(np.float32 if likelihood.target == "real" else np.int32),
        cluster=np.column_stack([np.arange(ROWS) % 6, np.arange(ROWS) % 3]).astype(np.int32),
        slopes=x[:, :1],
        sensitive=np.zeros((ROWS, 0), np.int32),
        weight=np.ones(ROWS, np.float32),
        offset=0.1 * x[:, 1],
    )
    layers = mlp_init(jax.random.key(0), bare.sizes)
    network = tuple(Layer(3 * one.weight, one.bias + 0.1) for one in layers)
    layout = Layout(replace(bare, tangent=True), bare, 0)
    rows = None
    if hidden:
        basis = find_basis(network, x, 0)
        layout = layout._replace(directions=len(basis.weights))
        rows = lay_out(layout, network, batch, basis.features)
    else:
        empty = np.zeros((ROWS, likelihood.outputs, 0), np.float32)
        rows = lay_out(layout, network, batch, empty)
    return LaplaceEvidence(layout, rows, Objective()), layout


def dense(rows):
    """Return the design of everything (n, K, m + G a)."""
    (n, outputs, _), m = rows.x.shape, rows.size
    a = rows.z.shape[2]
    whole = np.zeros((n, outputs, m + rows.clusters * a))
    whole[..., : rows.x.shape[2]] = rows.x
    whole[..., rows.x.shape[2] : m] = rows.crossed.toarray().reshape(n, outputs, -1)
    for row, code in enumerate(rows.code):
        whole[row, :, m + a * code : m + a * (code + 1)] = rows.z[row]
    return whole


def prior_precision(evidence, free):
    fixed, own, _ = evidence.priors(free)
    clusters = evidence.rows.clusters
    whole = np.zeros((len(fixed) + clusters * len(own),) * 2)
    whole[: len(fixed), : len(fixed)] = fixed
    whole[len(fixed) :, len(fixed) :] = np.kron(np.eye(clusters), own)
    return whole


def test_priors_are_those_of_the_scales():
    evidence, layout = make(Normal(), hidden=(), factors=(BIG,))
    names = [latent.name for latent in layout.hypers]
    assert names == ["linear_sd", "residual_sd", "big_intercept_sd", "big_slopes_sd"]
    fixed, own, half = evidence.priors(np.log([0.5, 0.7, 0.4, 0.2]))
    np.testing.assert_allclose(fixed, np.diag([4, 4, CONSTANT_SD**-2]), rtol=1e-5)
    np.testing.assert_allclose(own, np.diag([0.4**-2, 0.2**-2]), rtol=1e-5)
    expected = 0.5 * (2 * np.log(4) - 2 * np.log(10) - 12 * np.log(0.4) - 12 * np.log(0.2))
    assert half == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("hidden", [(), (5,)])
def test_evidence_of_a_normal_likelihood_is_exact(hidden):
    evidence, layout = make(Normal(), hidden, (BIG, SMALL))
    free = np.linspace(-1.5, 0.2, len(layout.hypers))
    rows, whole = evidence.rows, dense(evidence.rows)[:, 0]
    names = [latent.name for latent in layout.hypers]
    sd = np.exp(free[names.index("residual_sd")])
    covariance = whole @ np.linalg.inv(prior_precision(evidence, free)) @ whole.T
    covariance += sd**2 * np.eye(ROWS)
    expected = multivariate_normal(rows.base[:, 0], covariance).logpdf(rows.y)
    assert evidence.at_mode(free).value == pytest.approx(expected, abs=0.01)
    value, _ = evidence.value_and_gradient(free)
    scales = dict(zip(names, np.exp(free), strict=True))
    prior = sum(
        halfnorm(scale=WEIGHT_PRIOR if name == "weight_sd" else 1).logpdf(one)
        for name, one in scales.items()
    )
    assert value == pytest.approx(expected + prior + free.sum(), abs=0.02)


CORRELATED = RandomEffects("big", 6, slopes=(0,), correlated=True)
CASES = {
    "normal": (Normal(), (BIG, SMALL)),
    "bernoulli": (Bernoulli(), (BIG, SMALL)),
    "heavy tails": (StudentT(), (BIG,)),
    "counts": (NegativeBinomial(), (BIG,)),
    "classes": (Categorical(3), (SMALL,)),
    "correlated": (Normal(), (CORRELATED,)),
    "no effects": (Bernoulli(), ()),
}


@pytest.mark.parametrize("case", CASES)
def test_gradient_against_differences(case, monkeypatch):
    monkeypatch.setattr(laplace_evidence, "CLOSE", 1e-5)
    evidence, layout = make(CASES[case][0], factors=CASES[case][1])
    free = np.linspace(-1.2, -0.3, evidence_size(layout))
    _, gradient = evidence.value_and_gradient(free)
    for index, step in enumerate(0.1 * np.eye(len(free))):
        up, down = (evidence.value_and_gradient(free + sign * step)[0] for sign in (1, -1))
        expected = (up - down) / 0.2
        # how the mode moves is by Fisher's information, not the Hessian, where tails are heavy
        rounding = 0.1 if case == "heavy tails" else 0.05
        assert gradient[index] == pytest.approx(expected, rel=0.03, abs=rounding)


def evidence_size(layout):
    return sum(int(np.prod(latent.free_shape)) for latent in layout.hypers)


def test_precision_at_the_mode_is_the_hessian():
    evidence, _ = make(Bernoulli(), hidden=(), factors=(BIG,))
    free = np.log([0.8, 0.6, 0.5])
    found, _, _, eta = evidence.at_mode(free)
    root = found.root()
    whole, prior = dense(evidence.rows)[:, 0], prior_precision(evidence, free)
    p = expit(eta[:, 0])
    mode = np.concatenate([found.dense, found.local.ravel()])
    slope = whole.T @ (evidence.rows.y - p) - prior @ mode
    assert np.abs(slope).max() < 0.02
    covariance = np.linalg.inv(whole.T @ (whole * (p * (1 - p))[:, None]) + prior)
    np.testing.assert_allclose(root @ root.T, covariance[:3, :3], rtol=0.02, atol=1e-3)


def test_the_maximum_is_one():
    evidence, layout = make(Bernoulli())
    found = evidence.maximise(np.full(len(layout.hypers), -0.5))
    best, _ = evidence.value_and_gradient(found.free)
    for step in 0.3 * np.eye(len(found.free)):
        for sign in (1, -1):
            other = np.clip(found.free + sign * step, laplace_evidence.LEAST_FREE, None)
            assert evidence.value_and_gradient(other)[0] < best + 0.05


def test_a_search_comes_back_from_where_the_algebra_breaks_down(monkeypatch):
    evidence, layout = make(Normal())
    start = np.full(len(layout.hypers), -0.5)
    best = evidence.maximise(start)
    compute, places = evidence.value_and_gradient, []

    def second_breaks(free):
        places.append(free.copy())
        if len(places) == 2:
            raise np.linalg.LinAlgError
        return compute(free)

    monkeypatch.setattr(evidence, "value_and_gradient", second_breaks)
    found = evidence.maximise(start)
    assert compute(found.free)[0] == pytest.approx(compute(best.free)[0], abs=0.05)
    steps = [np.linalg.norm(place - start) for place in places[1:3]]
    assert steps[1] < steps[0] < 3.0  # it does not start with a leap to the bounds, and comes back

    def first_breaks(free):
        raise np.linalg.LinAlgError

    monkeypatch.setattr(evidence, "value_and_gradient", first_breaks)
    with pytest.raises(np.linalg.LinAlgError):
        evidence.maximise(start)


def test_quadratic_around_the_maximum_is_exact_for_a_normal_likelihood():
    evidence, layout = make(Normal())
    found = evidence.maximise(np.full(len(layout.hypers), -0.5))
    around = evidence.around(found)
    differences = []
    for shift in (0.0, 0.4, -0.5):
        free = found.free + shift
        differences.append(around(free)[0] - evidence.value_and_gradient(free)[0])
    np.testing.assert_allclose(differences, differences[0], atol=0.02)


@pytest.mark.parametrize(("largest", "started"), [(40_000, False), (5_000_000, True)])
def test_mode_of_counts_that_one_row_dwarfs(largest, started):
    """From a link of zero Newton's step is as long as the count: far too long."""
    evidence, layout = make(Poisson(), factors=(BIG,))
    counts = evidence.rows.y.copy()
    counts[7] = largest
    evidence.rows = evidence.rows._replace(y=counts)
    free = np.full(len(layout.hypers), 0.5)
    if started:  # where a trained network would be, who has half of it
        evidence.start_at(free, 0.5 * np.log(counts + 0.5)[:, None])
    mode = evidence.at_mode(free)
    assert mode.eta[7, 0] == pytest.approx(np.log(largest), abs=0.01)
    np.testing.assert_allclose(evidence.at_mode(free).eta, mode.eta, atol=0.01)


def test_a_direction_that_leads_nowhere_is_an_error(monkeypatch):
    """As a likelihood does whose gradient is that of another function."""
    right = laplace_evidence.quadratic

    def wrong(likelihood, eta, y, values):
        gradient, curvature = right(likelihood, eta, y, values)
        return -gradient, curvature

    monkeypatch.setattr(laplace_evidence, "quadratic", wrong)
    evidence, layout = make(Bernoulli(), hidden=(3,), factors=(BIG,))  # compiled nowhere else
    with pytest.raises(FloatingPointError, match="mode of the linear model was not found"):
        evidence.at_mode(np.full(len(layout.hypers), -0.5))
