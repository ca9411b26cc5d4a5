import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import handlers

from pyfairme.data import Batch
from pyfairme.inference.guides import GUIDES, START_SCALE, draw, free_size, split, start
from pyfairme.model.likelihoods import Latent
from pyfairme.model.program import SUMS, Objective

LATENTS = (
    Latent("tau", (2,), True, 0.5),
    Latent("u", (3, 2), False, 0.0),
    Latent("s", (), True, 2),
)
BATCH = Batch(*(np.zeros((1, 0), np.float32) for _ in Batch._fields))


def _params(guide):
    seeded = handlers.seed(guide.sample, rng_seed=0)
    sites = handlers.trace(seeded).get_trace(None, Objective(), SUMS)
    return {k: v["value"] for k, v in sites.items() if v["type"] == "param"}


@pytest.mark.parametrize("name", GUIDES)
def test_draws_have_the_latents_shapes_support_and_median(name):
    guide = GUIDES[name](LATENTS)
    params = _params(guide)
    drawn = draw(guide, jax.random.key(1), params, 4000)
    assert {k: v.shape[1:] for k, v in drawn.items()} == {v.name: v.shape for v in LATENTS}
    medians = guide.median(params)
    for latent in LATENTS:
        values = np.asarray(drawn[latent.name])
        assert not latent.positive or (values > 0).all()
        raw = np.log(values) if latent.positive else values
        middle = np.log(medians[latent.name]) if latent.positive else medians[latent.name]
        # a median's standard error is 1.25 sd / sqrt(draws) = .002; low rank is a little wider
        np.testing.assert_allclose(np.median(raw, axis=0), middle, atol=0.012)
        np.testing.assert_allclose(raw.std(axis=0), START_SCALE, rtol=0.12)


@pytest.mark.parametrize("name", GUIDES)
def test_guides_start_at_the_latents_start(name):
    guide = GUIDES[name](LATENTS)
    medians = guide.median(_params(guide))
    for latent in LATENTS:
        np.testing.assert_allclose(medians[latent.name], latent.start, rtol=1e-6)


def test_one_vector_is_cut_into_all_latents():
    """In any number of draws, and for none of the latents."""
    assert free_size(LATENTS) == start(LATENTS).size == 9
    flat = jnp.arange(18.0).reshape(2, 9)
    parts = split(LATENTS, flat)
    assert {v.name: part.shape for v, part in parts.items()} == {
        "tau": (2, 2), "u": (2, 3, 2), "s": (2,),
    }  # fmt: skip
    rows = [parts[v].reshape(2, -1) for v in LATENTS]
    np.testing.assert_array_equal(jnp.concatenate(rows, axis=1), flat)
    assert split((), jnp.zeros((2, 0))) == {}


def test_log_density_of_the_joint_guide_is_that_of_a_change_of_variables():
    """q(tau) of a transformed Normal: density of log tau divided by tau."""
    guide = GUIDES["full_rank"]((Latent("tau", (), True, 0.5),))
    params = _params(guide)
    seeded = handlers.substitute(handlers.seed(guide.sample, rng_seed=3), data=params)
    sites = handlers.trace(seeded).get_trace(None, Objective(), SUMS)
    total = sum(
        float(site["fn"].log_prob(site["value"]).sum())
        for site in sites.values()
        if site["type"] == "sample"
    )
    tau = float(sites["tau"]["value"])
    z = (np.log(tau) - np.log(0.5)) / START_SCALE
    expected = -0.5 * z**2 - 0.5 * np.log(2 * np.pi) - np.log(START_SCALE) - np.log(tau)
    assert total == pytest.approx(expected, rel=1e-4)


def test_full_rank_guide_draws_correlated_latents():
    guide = GUIDES["full_rank"]((Latent("a", (), False, 0.0), Latent("b", (), False, 0.0)))
    tril = jnp.array([[1.0, 0.0], [0.8, 0.6]])
    params = {"joint_loc": jnp.array([1.0, -1.0]), "joint_scale_tril": tril}
    drawn = draw(guide, jax.random.key(0), params, 4000)
    found = np.corrcoef(drawn["a"], drawn["b"])[0, 1]
    assert found == pytest.approx(0.8, abs=0.03)  # standard error (1 - .64) / sqrt(4000) = .006


def test_a_program_without_latents_has_an_empty_guide():
    for name in GUIDES:
        guide = GUIDES[name](())
        assert _params(guide) == {}
        assert guide.median({}) == {}
