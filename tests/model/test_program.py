"""The objective against sums by hand: eq. 11 term by term."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import handlers
from numpyro.infer import Trace_ELBO, TraceMeanField_ELBO
from scipy import stats

from pyfairme.data import Batch
from pyfairme.inference.guides import GUIDES
from pyfairme.model.effects import RandomEffects
from pyfairme.model.likelihoods import Bernoulli, Categorical, Normal
from pyfairme.model.networks import Layer
from pyfairme.model.penalties import AttributeCodes, penalties_of
from pyfairme.model.program import SUMS, ModelSpec, Objective, Totals, build, predictor

ATTRIBUTES = (AttributeCodes("sex", 2),)


def make_batch(rows=12, seed=0, classes=2, clusters=2):
    rng = np.random.default_rng(seed)
    batch = Batch(
        x=rng.normal(size=(rows, 3)).astype(np.float32),
        y=rng.integers(0, classes, rows).astype(np.int32),
        cluster=rng.integers(0, clusters, (rows, 1)).astype(np.int32),
        slopes=rng.normal(size=(rows, 1)).astype(np.float32),
        sensitive=rng.integers(0, 2, (rows, 1)).astype(np.int32),
        weight=rng.uniform(0.5, 1.5, rows).astype(np.float32),
        offset=np.zeros(rows, np.float32),
    )
    return jax.tree.map(jnp.asarray, batch)


def make_objective(**changes):
    return Objective(fixed=0.5, cluster=0.1, balance=(jnp.ones(2),))._replace(**changes)


def losses(spec, batch, objective, params, totals=None, key=None):
    """Every named loss term at given parameters (guide's and model's), at one key."""
    guide = GUIDES["mean_field"](spec.latents)
    elbo = TraceMeanField_ELBO(sum_sites=False)
    key = jax.random.key(0) if key is None else key
    return elbo.loss(key, params, build(spec).model, guide.sample, batch, objective, totals)


def point_guide(spec, **values):
    """Guide parameters that put (almost) all mass on given values of the latents."""
    params = {}
    for latent in spec.latents:
        value = jnp.asarray(values.get(latent.name, latent.start), jnp.float32)
        loc = jnp.log(value) if latent.positive else value
        params[f"{latent.name}_loc"] = jnp.broadcast_to(loc, latent.shape)
        params[f"{latent.name}_scale"] = jnp.full(latent.shape, 1e-6)
    return params


LINEAR = (Layer(jnp.array([[0.5], [-1.0], [0.2]]), jnp.array([0.3])),)


def test_loss_terms_of_a_small_case_by_hand():
    """L_M, λ_F L_F (logged unweighted) of a linear model with one random slope."""
    spec = ModelSpec(Bernoulli(), 3, factors=(RandomEffects("g", 2, slopes=(0,)),))
    batch = make_batch()
    intercept, slopes = np.array([[0.4], [-0.6]]), np.array([[[0.3]], [[-0.2]]])
    params = {"network": LINEAR} | point_guide(spec, g_intercept=intercept, g_slopes=slopes)
    terms = losses(spec, batch, make_objective(), params)
    fixed = batch.x @ np.array([0.5, -1.0, 0.2]) + 0.3
    z = batch.cluster[:, 0]
    mixed = fixed + intercept[z, 0] + batch.slopes[:, 0] * slopes[z, 0, 0]
    share = batch.weight / batch.weight.sum()
    for name, link in (("y", mixed), ("fixed_loss", fixed)):
        expected = -share @ stats.bernoulli.logpmf(batch.y, 1 / (1 + np.exp(-link)))
        assert float(terms[name]) == pytest.approx(float(expected), rel=1e-4), name


@pytest.mark.long
def test_fixed_weight_scales_the_gradient_of_the_fixed_loss_only():
    spec = ModelSpec(Bernoulli(), 3, factors=(RandomEffects("g", 2),))
    batch = make_batch()
    params = {"network": LINEAR} | point_guide(spec)

    def gradient(weight):
        def fixed(p):
            objective = make_objective(fixed=weight)
            return losses(spec, batch, objective, p)["fixed_loss"]

        value, found = jax.value_and_grad(fixed)(params)
        return float(value), np.asarray(found["network"][0].weight)

    one, double = gradient(0.5), gradient(1.0)
    assert one[0] == double[0]
    np.testing.assert_allclose(2 * one[1], double[1], rtol=1e-5)


@pytest.mark.parametrize("kl_weight", [0.5, 1.0, 3.0])
def test_kl_term_is_the_kl_of_normals_over_n(kl_weight):
    """KL(N(m, s) || N(0, tau)) = log(tau / s) + (s^2 + m^2) / (2 tau^2) - 1/2, times λ_K."""
    spec = ModelSpec(Bernoulli(), 3, factors=(RandomEffects("g", 2),))
    batch = make_batch()
    mean, scale, tau = np.array([[0.4], [-0.9]]), np.array([[0.2], [0.5]]), 0.8
    params = {"network": LINEAR} | point_guide(spec, g_intercept=mean, g_intercept_sd=tau)
    params["g_intercept_scale"] = jnp.asarray(scale, jnp.float32)
    terms = losses(spec, batch, make_objective(kl=kl_weight), params)
    kl = np.log(tau / scale) + (scale**2 + mean**2) / (2 * tau**2) - 0.5
    expected = kl_weight * kl.sum() / batch.weight.sum()
    assert float(terms["g_intercept"]) == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.long
def test_kl_of_a_scale_is_that_of_lognormal_and_half_normal():
    """Monte Carlo over keys against E_q[log q - log p] by quadrature: 4 standard errors."""
    spec = ModelSpec(Bernoulli(), 3, factors=(RandomEffects("g", 2),))
    batch = make_batch()
    params = {"network": LINEAR} | point_guide(spec, g_intercept_sd=0.7)
    params["g_intercept_sd_scale"] = jnp.full((1,), 0.5)

    def kl(key):
        return losses(spec, batch, make_objective(), params, SUMS, key)["g_intercept_sd"]

    each = jax.vmap(kl)(jax.random.split(jax.random.key(0), 2000))
    grid = np.linspace(-8, 8, 4001)
    log_tau = np.log(0.7) + 0.5 * grid
    log_q = stats.norm.logpdf(grid) - np.log(0.5) - log_tau
    log_p = stats.halfnorm.logpdf(np.exp(log_tau), scale=1.5)
    expected = np.trapezoid(stats.norm.pdf(grid) * (log_q - log_p), grid)
    error = float(each.std()) / 2000**0.5
    assert float(each.mean()) == pytest.approx(expected, abs=4 * error)


@pytest.mark.long
def test_kl_weight_counts_on_both_sides_for_joint_guides_too():
    """With the sampled ELBO the KL must scale as a whole: model and guide are both weighted."""
    spec = ModelSpec(Bernoulli(), 3, factors=(RandomEffects("g", 2),))
    batch = make_batch()
    guide = GUIDES["full_rank"](spec.latents)
    size = sum(int(np.prod(latent.shape)) for latent in spec.latents)
    params = {
        "network": LINEAR,
        "joint_loc": jnp.zeros(size),
        "joint_scale_tril": 0.3 * jnp.eye(size),
    }

    def kl(weight):
        terms = Trace_ELBO(sum_sites=False).loss(
            jax.random.key(0), params, build(spec).model, guide.sample, batch,
            make_objective(kl=weight),
        )  # fmt: skip
        return sum(float(v) for k, v in terms.items() if k not in ("y", "fixed_loss"))

    assert kl(3.0) == pytest.approx(3 * kl(1.0), rel=1e-4)


@pytest.mark.long
def test_mini_batches_equal_the_full_loss_in_expectation():
    """The mean over all batches of one permutation is the full loss, for every per-row term.

    Adversaries' terms are such but for their unit, the spread of the batch.
    """
    spec = ModelSpec(
        Bernoulli(), 3, hidden=(4,), factors=(RandomEffects("g", 2),), adversaries=(("g", 2),),
        attributes=ATTRIBUTES, penalties=penalties_of("adversarial"), views=("fixed", "mixed"),
    )  # fmt: skip
    batch = make_batch(rows=24)
    strength = {"adversarial": {v: jnp.array([0.3]) for v in ("fixed", "mixed")}}
    objective = make_objective(fairness=strength)
    params = initial_params(spec, batch, objective)
    full = losses(spec, batch, objective, params)
    order = np.random.default_rng(1).permutation(24).reshape(4, 6)
    total = float(batch.weight.sum())
    small = Totals(total, total * 6 / 24)
    parts = [
        losses(spec, Batch(*(a[rows] for a in batch)), objective, params, small) for rows in order
    ]
    for name, value in full.items():
        mean = np.mean([float(part[name]) for part in parts])
        # adversaries read predictions in units of the batch: of 6 rows these are rough
        slack = 0.05 if name.startswith("adversarial/") else 1e-4
        assert mean == pytest.approx(float(value), rel=slack), name


def initial_params(spec, batch, objective):
    from pyfairme.inference.compiled_steps import engine

    machine = engine(spec, "mean_field")
    return machine.constrain(machine.init(jax.random.key(0), batch, objective).params)


def test_fixed_loss_does_not_move_the_residual_scale():
    spec = ModelSpec(Normal(), 3, factors=(RandomEffects("g", 2),))
    y = np.random.default_rng(0).normal(size=12)
    batch = make_batch()._replace(y=jnp.asarray(y, jnp.float32))
    params = {"network": LINEAR} | point_guide(spec, residual_sd=0.5)

    def fixed(p):
        return losses(spec, batch, make_objective(), p)["fixed_loss"]

    gradient = jax.grad(fixed)(params)
    assert not gradient["residual_sd_loc"].any()
    assert gradient["network"][0].bias.any()


@pytest.mark.long
def test_penalties_with_weight_zero_change_no_other_gradient():
    """λ = 0 equals the model without that adversary at the same key."""
    batch = make_batch(rows=24)
    plain = ModelSpec(Bernoulli(), 3, hidden=(4,), factors=(RandomEffects("g", 2),))
    fair = ModelSpec(
        Bernoulli(), 3, hidden=(4,), factors=(RandomEffects("g", 2),), adversaries=(("g", 2),),
        attributes=ATTRIBUTES, penalties=penalties_of(("adversarial", "correlation", "moment")),
        views=("fixed", "random", "mixed"),
    )  # fmt: skip
    zero = {p: {v: jnp.zeros(1) for v in fair.views} for p, _ in fair.penalties}
    objective = make_objective(fairness=zero, cluster=0.0)
    params = initial_params(fair, batch, objective)

    def gradient(spec):
        found = jax.grad(lambda p: sum(losses(spec, batch, objective, p).values()))(params)
        return jax.tree.leaves({k: v for k, v in found.items() if "adversary" not in k})

    for one, other in zip(gradient(plain), gradient(fair), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-8)


def test_offset_is_added_on_the_link_scale():
    spec = ModelSpec(Bernoulli(), 3, factors=(RandomEffects("g", 2),))
    batch = make_batch()
    moved = batch._replace(offset=jnp.full(12, 0.7))
    latents = {"g_intercept": jnp.ones((2, 1))}
    one, other = (predictor(spec, LINEAR, latents, b) for b in (batch, moved))
    np.testing.assert_allclose(other.fixed, one.fixed + 0.7, rtol=1e-5)
    np.testing.assert_allclose(other.mixed, one.mixed + 0.7, rtol=1e-5)
    np.testing.assert_allclose(other.random, one.random)


def test_crossed_factors_add_their_contributions():
    factors = (RandomEffects("g", 2), RandomEffects("h", 3, column=1))
    spec = ModelSpec(Bernoulli(), 3, factors=factors)
    batch = make_batch()
    second = np.arange(12)[:, None] % 3
    batch = batch._replace(cluster=jnp.hstack([batch.cluster, second]))
    latents = {
        "g_intercept": jnp.array([[1.0], [2.0]]),
        "h_intercept": jnp.array([[10.0], [20], [30]]),
    }
    found = predictor(spec, LINEAR, latents, batch).random[:, 0]
    expected = np.array([1.0, 2.0])[batch.cluster[:, 0]] + np.array([10.0, 20, 30])[second[:, 0]]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
    ("likelihood", "y"),
    [(Bernoulli(), [0, 1, 1]), (Categorical(3), [0, 2, 1]), (Normal(), [0.3, -1.0, 2.0])],
)
def test_likelihoods_agree_with_scipy(likelihood, y):
    rng = np.random.default_rng(0)
    eta = rng.normal(size=(3, likelihood.outputs)).astype(np.float32)
    values = {"residual_sd": jnp.float32(0.7)}
    found = likelihood.distribution(jnp.asarray(eta), values).log_prob(jnp.asarray(y))
    mean = likelihood.mean(jnp.asarray(eta), values)
    if isinstance(likelihood, Normal):
        np.testing.assert_allclose(found, stats.norm.logpdf(y, eta[:, 0], 0.7), rtol=1e-5)
        np.testing.assert_allclose(mean, eta[:, 0])
        return
    logits = eta if likelihood.outputs > 1 else np.hstack([np.zeros((3, 1)), eta])
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, np.log(p[np.arange(3), y]), rtol=1e-5)
    np.testing.assert_allclose(mean, p, rtol=1e-5)


def test_bounded_views_are_bounded():
    eta = jnp.array([[-1e3], [0.0], [1e3]])
    for likelihood in (Bernoulli(), Normal()):
        assert np.abs(likelihood.bounded(eta)).max() <= 3.0
        assert float(likelihood.bounded(eta)[2, 0]) > float(likelihood.bounded(eta)[1, 0])


@pytest.mark.parametrize("name", ["y", "rows", "network", "mixed", "residual_sd", "h_intercept"])
def test_a_plate_is_never_called_like_a_site(name):
    """Of the model, or of another factor; other plates have their factor's name."""
    factors = (RandomEffects(name, 2), RandomEffects("h", 3))
    spec = ModelSpec(Normal(), 3, factors=factors)
    assert [spec.plate(factor) for factor in factors] == [f"{name}_clusters", "h"]
    batch = make_batch()
    batch = batch._replace(cluster=jnp.hstack([batch.cluster] * 2), y=jnp.zeros(12))
    seeded = handlers.seed(build(spec).model, jax.random.key(0))
    sites = handlers.trace(seeded).get_trace(batch, make_objective())
    assert {k for k, v in sites.items() if v["type"] == "plate"} == {
        "rows",
        f"{name}_clusters",
        "h",
    }


def test_rows_without_an_outcome_draw_one_and_have_no_other_terms():
    spec = ModelSpec(
        Bernoulli(), 3, factors=(RandomEffects("g", 2),), attributes=ATTRIBUTES,
        penalties=penalties_of("moment"), views=("fixed",),
    )  # fmt: skip
    batch = make_batch()._replace(y=None)
    seeded = handlers.seed(build(spec).model, jax.random.key(0))
    sites = handlers.trace(seeded).get_trace(batch, make_objective())
    drawn = {k for k, v in sites.items() if v["type"] == "sample"}
    assert drawn == {"g_intercept_sd", "g_intercept", "y"}
    assert set(np.unique(sites["y"]["value"])) <= {0, 1}
