import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import handlers
from scipy import stats

from pyfairme.model import effects
from pyfairme.model.effects import RandomEffects


def _latents(factor, seed=0):
    rng = np.random.default_rng(seed)
    return {
        f"{factor.name}_{term}": jnp.asarray(rng.normal(size=factor.shape(term)), jnp.float32)
        for term in factor.sites
    }


def _by_hand(factor, latents, codes, r):
    found = np.zeros((len(codes), factor.outputs))
    for i, g in enumerate(codes):
        if g < 0:
            continue
        if factor.intercept:
            found[i] += latents[f"{factor.name}_intercept"][g]
        for place, column in enumerate(factor.slopes):
            found[i] += r[i, column] * latents[f"{factor.name}_slopes"][g, place]
    return found


@pytest.mark.parametrize("clusters", [3, 200])  # one-hot product, gather
@pytest.mark.parametrize("slopes", [(), (0, 1, 2), (2, 0)])
@pytest.mark.parametrize("outputs", [1, 3])
def test_contribution_equals_the_sum_by_hand(clusters, slopes, outputs):
    rng = np.random.default_rng(1)
    factor = RandomEffects("school", clusters, slopes=slopes, outputs=outputs)
    latents = _latents(factor)
    codes = rng.integers(-1, clusters, 50)
    codes[0] = -1
    r = rng.normal(size=(50, 3)).astype(np.float32)
    found = effects.contribution_of(factor, latents, jnp.asarray(codes), jnp.asarray(r))
    np.testing.assert_allclose(found, _by_hand(factor, latents, codes, r), atol=1e-5)
    assert not np.asarray(found)[codes == -1].any()


def test_soft_membership_mixes_the_clusters():
    factor = RandomEffects("school", 2, slopes=(0,))
    latents = _latents(factor)
    r = jnp.array([[2.0]])
    ends = [effects.contribution(factor, latents, jnp.eye(2)[g : g + 1], r) for g in (0, 1)]
    mixed = effects.contribution(factor, latents, jnp.array([[0.25, 0.75]]), r)
    np.testing.assert_allclose(mixed, 0.25 * ends[0] + 0.75 * ends[1], rtol=1e-6)


def test_permuting_clusters_permutes_effects():
    factor = RandomEffects("school", 5, slopes=(0, 1))
    latents = _latents(factor)
    rng = np.random.default_rng(2)
    codes, r = rng.integers(0, 5, 40), jnp.asarray(rng.normal(size=(40, 2)), jnp.float32)
    order = rng.permutation(5)
    moved = {name: value[order] for name, value in latents.items()}
    renamed = np.argsort(order)[codes]
    np.testing.assert_allclose(
        effects.contribution_of(factor, moved, jnp.asarray(renamed), r),
        effects.contribution_of(factor, latents, jnp.asarray(codes), r),
        rtol=1e-5,
    )


def test_prior_is_hierarchical():
    """Effects have the scale that was drawn for them, scales that of the HalfNormal."""
    factor = RandomEffects("school", 4000, slopes=(0, 1))
    with handlers.seed(rng_seed=0):
        drawn = effects.sample(factor, 1.5)
    assert set(drawn) == {
        "school_intercept_sd", "school_intercept", "school_slopes_sd", "school_slopes",
    }  # fmt: skip
    # relative error of a standard deviation from 4000 draws: 1 / sqrt(8000) = .011
    np.testing.assert_allclose(
        drawn["school_intercept"].std(axis=0), drawn["school_intercept_sd"], rtol=0.045
    )
    np.testing.assert_allclose(
        drawn["school_slopes"].std(axis=0), drawn["school_slopes_sd"], rtol=0.045
    )
    wide = RandomEffects("school", 1, slopes=tuple(range(4000)))
    with handlers.seed(rng_seed=jax.random.key(1)):
        scales = effects.sample(wide, 1.5)["school_slopes_sd"]
    assert float(scales.mean()) == pytest.approx(1.5 * (2 / np.pi) ** 0.5, rel=0.05)


def test_latents_describe_the_sites():
    factor = RandomEffects("school", 3, slopes=(0, 1), outputs=2)
    described = {v.name: (v.shape, v.positive) for v in factor.latents(1.0)}
    with handlers.seed(rng_seed=0):
        drawn = effects.sample(factor, 1.0)
    assert {name: value.shape for name, value in drawn.items()} == {
        name: shape for name, (shape, _) in described.items()
    }
    assert {name for name, (_, positive) in described.items() if positive} == {
        "school_intercept_sd", "school_slopes_sd",
    }  # fmt: skip


CORRELATED = RandomEffects("school", 4000, slopes=(0, 1), outputs=2, correlated=True)


@pytest.fixture(scope="module")
def drawn():
    with handlers.seed(rng_seed=0):
        return jax.tree.map(np.asarray, effects.sample(CORRELATED, 1.5))


@pytest.mark.long
def test_correlated_effects_have_the_scales_and_correlations_drawn_for_them(drawn):
    for k in range(CORRELATED.outputs):
        both = np.column_stack([drawn["school_intercept"][:, k], drawn["school_slopes"][:, :, k]])
        tau = np.r_[drawn["school_intercept_sd"][k], drawn["school_slopes_sd"][:, k]]
        np.testing.assert_allclose(both.std(axis=0), tau, rtol=0.045)
        root = drawn["school_cholesky"][k]
        # standard error of a correlation of 4000 draws: at most 1 / sqrt(4000) = .016
        np.testing.assert_allclose(np.corrcoef(both.T), root @ root.T, atol=0.06)


def test_outputs_are_independent(drawn):
    values = drawn["school_intercept"]
    assert abs(np.corrcoef(values[:, 0], values[:, 1])[0, 1]) < 0.065


def test_density_of_correlated_effects_is_that_of_one_normal(drawn):
    """Intercepts, then slopes given them: together Normal(0, diag(tau) R diag(tau))."""
    few = RandomEffects("school", 3, slopes=(0, 1), outputs=2, correlated=True)
    values = {
        name: jnp.asarray(value[:3] if value.shape[0] == 4000 else value)
        for name, value in drawn.items()
    }
    seeded = handlers.seed(effects.sample, jax.random.key(0))
    sites = handlers.trace(handlers.substitute(seeded, data=values)).get_trace(few, 1.5)
    found = sum(
        float(sites[name]["fn"].log_prob(sites[name]["value"]).sum())
        for name in ("school_intercept", "school_slopes")
    )
    expected = 0.0
    for k in range(2):
        tau = np.r_[values["school_intercept_sd"][k], values["school_slopes_sd"][:, k]]
        root = tau[:, None] * values["school_cholesky"][k]
        both = np.column_stack([values["school_intercept"][:, k], values["school_slopes"][:, :, k]])
        expected += stats.multivariate_normal(np.zeros(3), root @ root.T).logpdf(both).sum()
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.long
def test_one_correlation_has_the_prior_of_lkj():
    """LKJ(2) of two terms: (rho + 1) / 2 ~ Beta(2, 2)."""
    factor = RandomEffects("school", 1, slopes=(0,), outputs=2000, correlated=True)
    with handlers.seed(rng_seed=1):
        root = effects.sample(factor, 1.0)["school_cholesky"]
    share = (np.asarray(root[:, 1, 0]) + 1) / 2
    assert stats.kstest(share, stats.beta(2, 2).cdf).pvalue > 0.001


@pytest.mark.long
def test_slopes_alone_may_be_correlated():
    factor = RandomEffects("school", 5, slopes=(0, 1), intercept=False, correlated=True)
    with handlers.seed(rng_seed=0):
        drawn = effects.sample(factor, 1.0)
    described = {v.name: v.shape for v in factor.latents(1.0)}
    assert {name: value.shape for name, value in drawn.items()} == described
    assert described["school_cholesky"] == (1, 2, 2)
