"""Estimates with known standard errors: `KnownErrors`, whose weights say how precise a row is."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import pyfairme as pf
from tests.benchmarks.guides_against_nuts import SETTINGS

EFFECT = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
ERROR = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
SCHOOLS = pd.DataFrame({"school": list("ABCDEFGH")})
WHOLE = {**SETTINGS, "guide": "block", "network_posterior": "last_layer", "random_state": 0}


def fit(sd, scale=1.0):
    """Fit eight schools (Rubin 1981): a row per cluster, which is no reason to warn here."""
    model = pf.FairMixedEffectsRegressor("school", likelihood=pf.KnownErrors(sd), **WHOLE)
    return model.fit(SCHOOLS, scale * EFFECT, sample_weight=(sd / (scale * ERROR)) ** 2)


@pytest.fixture(scope="module")
def schools():
    return fit(10.0)


def test_a_weighted_density_is_that_of_the_row_s_error_up_to_a_constant():
    likelihood = pf.KnownErrors(10.0, value_scale=4.0)
    eta = jnp.linspace(-1.0, 2.0, 7)[:, None]
    for error in (2.0, 10.0, 25.0):
        log_p = (10 / error) ** 2 * likelihood.distribution(eta, {}).log_prob(0.7)
        expected = stats.norm.logpdf(0.7, np.asarray(eta[:, 0]), error / 4)
        left = np.asarray(log_p) - expected
        np.testing.assert_allclose(left, left[0], atol=1e-4)


@pytest.mark.parametrize("sd", [0.0, -1.0, np.nan, np.inf])
def test_a_standard_error_that_is_none_is_refused(sd):
    with pytest.raises(ValueError, match=r"standard error of a row .* \[bad-standard-error\]"):
        pf.KnownErrors(sd)


def conditional(y, error, tau, centre=0.0, prior=np.inf):
    """Posterior mean of mu, and of the effects, given tau: Normal(centre, prior^2) on mu."""
    w = 1 / (error**2 + tau**2)
    mu = (w @ y + centre / prior**2) / (w.sum() + 1 / prior**2)
    return mu, tau**2 / (tau**2 + error**2) * (y - mu)


def test_effects_given_the_scale_are_the_closed_form(schools):
    """Draw by draw effects are Normal about the shrunken estimates: averaged, their means are."""
    drawn = schools.posterior_.posterior
    tau = drawn["school_intercept_sd"].to_numpy().ravel()
    prior = 2.5 * EFFECT.std()  # of the last layer's bias, about the mean
    each = [conditional(EFFECT, ERROR, float(t), EFFECT.mean(), prior) for t in tau]
    mu, effects = (np.mean(values, axis=0) for values in zip(*each, strict=True))
    found = schools.cluster_effects_.set_index("cluster")
    noise = found["sd"].to_numpy() / len(tau) ** 0.5
    assert (np.abs(found["mean"].to_numpy() - effects) < 4 * noise).all()
    fixed = schools.fixed_effects_.iloc[0]
    assert abs(fixed["mean"] - mu) < 4 * fixed["sd"] / len(tau) ** 0.5


@pytest.mark.long
@pytest.mark.parametrize(("sd", "scale"), [(1.0, 1.0), (10.0, 1000.0)])
def test_neither_the_row_of_weight_1_nor_the_unit_changes_the_fit(schools, sd, scale):
    other = fit(sd, scale)
    for name in ("cluster_effects_", "variance_components_"):
        one, two = getattr(schools, name), getattr(other, name)
        np.testing.assert_allclose(two["mean"] / scale, one["mean"], atol=0.25)
        np.testing.assert_allclose(two["sd"] / scale, one["sd"], rtol=0.05)


def test_a_new_study_shrinks_by_its_own_error(schools):
    new = pd.DataFrame({"school": ["X", "Y"]})
    error = np.array([0.1, 1000.0])
    learned = schools.adapt(new, [40.0, 40.0], sample_weight=(10.0 / error) ** 2)
    found = learned.predict(new)
    tau = schools.posterior_.posterior["school_intercept_sd"].to_numpy().ravel()
    mu = schools.fixed_effects_["mean"].iloc[0]
    kept = np.mean(tau[:, None] ** 2 / (tau[:, None] ** 2 + error**2), axis=0)
    np.testing.assert_allclose(found, mu + kept * (40 - mu), atol=1.0)  # the scale's draws stay
    assert found[0] > 38 > 10 > found[1]


def test_a_new_outcome_is_of_a_row_of_weight_1(schools):
    found = schools.predict_interval(SCHOOLS, kind="observation")
    about = schools.predict_interval(SCHOOLS, kind="mean")
    own = (found["high"] - found["low"]) ** 2 - (about["high"] - about["low"]) ** 2
    np.testing.assert_allclose(own**0.5, 2 * 1.645 * 10, rtol=0.1)


def test_a_file_gives_it_back(schools, tmp_path):
    schools.save(tmp_path / "schools.pyfairme")
    objects = {"known_errors": pf.KnownErrors(10.0)}
    again = pf.load(tmp_path / "schools.pyfairme", objects=objects)
    np.testing.assert_array_equal(again.predict(SCHOOLS), schools.predict(SCHOOLS))
