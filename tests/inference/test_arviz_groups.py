"""Groups for ArviZ, and leave-one-out on them where its exact value is known."""

import arviz as az
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from scipy import stats

from pyfairme.data import Batch
from pyfairme.inference.arviz_groups import assemble, group
from pyfairme.inference.predictions import CHUNK, Query, log_density, log_likelihood
from pyfairme.model.effects import RandomEffects
from pyfairme.model.likelihoods import Normal
from pyfairme.model.networks import Layer
from pyfairme.model.program import ModelSpec

pytestmark = pytest.mark.arviz

DRAWS, SIGMA, TAU, SHIFT = 1000, 0.8, 0.5, 0.3


def conjugate(rows=60, clusters=4, seed=0):
    """A Normal model of known scales, with exact draws of its cluster effects' posterior."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, clusters, rows)
    y = SHIFT + rng.normal(0, TAU, clusters)[codes] + rng.normal(0, SIGMA, rows)
    count = np.bincount(codes, minlength=clusters)
    precision = 1 / TAU**2 + count / SIGMA**2
    mean = np.bincount(codes, y - SHIFT, minlength=clusters) / SIGMA**2 / precision
    effects = mean + rng.standard_normal((2, DRAWS, clusters)) / np.sqrt(precision)
    draws = {
        "g_intercept": effects[..., None].astype(np.float32),
        "g_intercept_sd": np.full((2, DRAWS, 1), TAU, np.float32),
        "residual_sd": np.full((2, DRAWS), SIGMA, np.float32),
    }
    batch = Batch(
        np.zeros((rows, 1), np.float32), y.astype(np.float32), codes[:, None].astype(np.int32),
        np.zeros((rows, 0), np.float32), np.zeros((rows, 0), np.int32),
        np.ones(rows, np.float32), np.zeros(rows, np.float32),
    )  # fmt: skip
    network = (Layer(jnp.zeros((2, 1, 1)), jnp.full((2, 1), SHIFT)),)
    spec = ModelSpec(Normal(), 1, (), (RandomEffects("g", clusters),))
    return Query(spec, network, draws, np.zeros((2, 1), np.float32), batch, None), codes, y


def exact_loo(codes, y):
    """Sum of log p(y_i | all other rows) of the conjugate model."""
    total = 0.0
    for i, code in enumerate(codes):
        others = (codes == code) & (np.arange(len(y)) != i)
        precision = 1 / TAU**2 + others.sum() / SIGMA**2
        mean = SHIFT + (y[others] - SHIFT).sum() / SIGMA**2 / precision
        total += stats.norm.logpdf(y[i], mean, np.sqrt(1 / precision + SIGMA**2))
    return total


def test_log_likelihood_of_every_draw_is_that_by_hand():
    query, codes, y = conjugate()
    found = log_likelihood(query, "mixed")
    effects = query.draws["g_intercept"][..., 0].reshape(-1, 4)
    by_hand = stats.norm.logpdf(y, SHIFT + effects[:, codes], SIGMA)
    np.testing.assert_allclose(found, by_hand, atol=1e-4)
    mean = np.log(np.exp(by_hand).mean(axis=0))
    np.testing.assert_allclose(log_density(query)["mixed"], mean, atol=1e-4)


def test_log_likelihood_goes_on_over_chunks_of_rows():
    query, codes, y = conjugate(rows=CHUNK + 7)
    found = log_likelihood(query, "fixed")
    assert found.shape == (2 * DRAWS, CHUNK + 7)
    np.testing.assert_allclose(found[3], stats.norm.logpdf(y, SHIFT, SIGMA), atol=1e-4)
    assert len(codes) == found.shape[1]


def test_loo_of_arviz_is_the_exact_one():
    query, codes, y = conjugate()
    log_p = log_likelihood(query, "mixed").astype(np.float64).reshape(2, DRAWS, -1)
    sample = ("chain", "draw")
    groups = {
        "posterior": group({"u": ((*sample, "g"), query.draws["g_intercept"][..., 0])}, {}, {}),
        "log_likelihood": group({"y": ((*sample, "row"), log_p)}, {}, {}),
    }
    found = az.loo(assemble(groups), reff=1.0)
    elpd = found.elpd if hasattr(found, "elpd") else found.elpd_loo
    exact = exact_loo(codes, y)
    in_sample = float(log_density(query)["mixed"].sum())
    assert in_sample - exact > 1.0  # the exact value is not what the rows themselves say
    assert elpd == pytest.approx(exact, abs=0.2)


def test_a_group_has_the_labels_it_uses_and_says_who_made_it():
    values = np.zeros((2, 3, 2))
    found = group(
        {"a_sd": (("chain", "draw", "town"), values, {"unit": "m"})},
        {"town": ["x", "y"], "other": ["z"]},
        {"kind": "prior"},
    )
    assert isinstance(found, xr.Dataset)
    assert set(found.coords) == {"chain", "draw", "town"}
    assert list(found["draw"].to_numpy()) == [0, 1, 2]
    assert found["a_sd"].attrs == {"unit": "m"}
    assert found.attrs["creation_library"] == "pyfairme"
    assert found.attrs["inference_library"] == "numpyro"
    assert found.attrs["kind"] == "prior"


def test_a_slash_in_a_name_does_not_make_a_group_of_its_own():
    found = group({"in/out_sd": (("in/out",), np.arange(2.0))}, {"in/out": ["p", "q"]}, {})
    assert found["in_out_sd"].dims == ("in_out",)
    assert list(assemble({"posterior": found})["posterior"]["in_out"].to_numpy()) == ["p", "q"]
