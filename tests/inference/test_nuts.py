"""NUTS in the coordinates of the block guide against the exact posterior."""

import numpy as np
import pytest

from pyfairme.inference import nuts
from pyfairme.inference.finish import second_stage_weights
from tests.inference import one_way

DRAWS, CHAINS = 1000, 2


@pytest.fixture(scope="module")
def result():
    scaled, bare = second_stage_weights(one_way.make_rows(), one_way.WEIGHTS)
    return nuts.sample(
        one_way.SPEC, one_way.NETWORK, one_way.START, scaled, bare,
        draws=DRAWS, chains=CHAINS, warmup=300, strength=np.zeros(0), seed=0,
    )  # fmt: skip


def test_draws_are_those_of_the_exact_posterior(result):
    exact = one_way.exact(one_way.make_rows())
    flat = {name: value.reshape(-1, *value.shape[2:]) for name, value in result.draws.items()}
    found = one_way.found(flat)
    # ESS of at least 1,000: four standard errors of a mean are .13 SD, of an SD 9 %
    assert (np.abs(found.mean - exact.mean) / exact.sd).max() < 0.13
    np.testing.assert_allclose(found.sd, exact.sd, rtol=0.1)


def test_every_latent_has_chains_draws_and_diagnostics(result):
    for latent in one_way.SPEC.latents:
        assert result.draws[latent.name].shape == (CHAINS, DRAWS, *latent.shape)
        assert result.rhat[latent.name] < 1.01
        assert result.ess[latent.name] > 1000
    assert result.divergences == 0


def test_worst_entry_decides():
    values = np.random.default_rng(0).normal(size=(2, 500, 3))
    values[:, :, 1] = 4.0  # a number that never moves, as a diagonal that is always 1
    values[1, :, 2] += 3.0  # chains that disagree
    from numpyro.diagnostics import split_gelman_rubin

    alone = float(split_gelman_rubin(values[:, :, 2]))
    assert nuts._worst(split_gelman_rubin, values, np.nanmax) == pytest.approx(alone)
    assert np.isnan(nuts._worst(split_gelman_rubin, values[:, :, 1:2], np.nanmax))


def test_correlations_are_the_lower_triangle():
    root = np.array([[1.0, 0, 0], [0.6, 0.8, 0], [0.0, 0.5, 0.75**0.5]])
    expected = (root @ root.T)[np.tril_indices(3, -1)]
    np.testing.assert_allclose(nuts._correlations(root[None, None])[0, 0], expected)
