import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import handlers

from pyfairme.model import effects
from pyfairme.model.effects import Factor


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
    factor = Factor("school", clusters, slopes=slopes, outputs=outputs)
    latents = _latents(factor)
    codes = rng.integers(-1, clusters, 50)
    codes[0] = -1
    r = rng.normal(size=(50, 3)).astype(np.float32)
    found = effects.contribution_of(factor, latents, jnp.asarray(codes), jnp.asarray(r))
    np.testing.assert_allclose(found, _by_hand(factor, latents, codes, r), atol=1e-5)
    assert not np.asarray(found)[codes == -1].any()


def test_soft_membership_mixes_the_clusters():
    factor = Factor("school", 2, slopes=(0,))
    latents = _latents(factor)
    r = jnp.array([[2.0]])
    ends = [effects.contribution(factor, latents, jnp.eye(2)[g : g + 1], r) for g in (0, 1)]
    mixed = effects.contribution(factor, latents, jnp.array([[0.25, 0.75]]), r)
    np.testing.assert_allclose(mixed, 0.25 * ends[0] + 0.75 * ends[1], rtol=1e-6)


def test_permuting_clusters_permutes_effects():
    factor = Factor("school", 5, slopes=(0, 1))
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
    factor = Factor("school", 4000, slopes=(0, 1))
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
    wide = Factor("school", 1, slopes=tuple(range(4000)))
    with handlers.seed(rng_seed=jax.random.key(1)):
        scales = effects.sample(wide, 1.5)["school_slopes_sd"]
    assert float(scales.mean()) == pytest.approx(1.5 * (2 / np.pi) ** 0.5, rel=0.05)


def test_latents_describe_the_sites():
    factor = Factor("school", 3, slopes=(0, 1), outputs=2)
    described = {v.name: (v.shape, v.positive) for v in factor.latents(1.0)}
    with handlers.seed(rng_seed=0):
        drawn = effects.sample(factor, 1.0)
    assert {name: value.shape for name, value in drawn.items()} == {
        name: shape for name, (shape, _) in described.items()
    }
    assert {name for name, (_, positive) in described.items() if positive} == {
        "school_intercept_sd", "school_slopes_sd",
    }  # fmt: skip
