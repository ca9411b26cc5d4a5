"""Numbers of any size: the same fit in other units, or an error that names the column."""

import copy

import jax
import numpy as np
import pandas as pd
import pytest

from pyfairme.inference.shifted_fit import shifted

QUICK = {"hidden": (), "fairness": None, "min_steps": 100, "unseen": "population"}


@pytest.fixture(scope="module")
def plain(real, regressor):
    return regressor(**QUICK).fit(real.X, real.y)


@pytest.mark.long
@pytest.mark.parametrize("unit", [1e160, 1e-170, 1e300])
def test_a_target_in_other_units_is_the_same_fit(plain, real, regressor, unit):
    """Squares of such numbers overflow, or vanish."""
    fitted = regressor(**QUICK).fit(real.X, real.y * unit)
    expected = plain.predict(real.test)
    np.testing.assert_allclose(fitted.predict(real.test) / unit, expected, rtol=1e-4, atol=1e-4)
    bounds = fitted.predict_interval(real.test) / unit
    expected = plain.predict_interval(real.test)
    np.testing.assert_allclose(bounds, expected, rtol=1e-4, atol=1e-4)
    for table in ("variance_components_", "fixed_effects_", "cluster_effects_"):
        numbers = ["mean", "sd", "low", "high"]
        found = getattr(fitted, table)[numbers] / unit
        np.testing.assert_allclose(found, getattr(plain, table)[numbers], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("unit", [1e160, 1e-170])
def test_a_covariate_in_other_units_is_the_same_fit(plain, real, regressor, unit):
    def scaled(X):
        return X.assign(x1=X["x1"] * unit)

    fitted = regressor(**QUICK).fit(scaled(real.X), real.y)
    np.testing.assert_allclose(
        fitted.predict(scaled(real.test)), plain.predict(real.test), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("value", [1e39, -1e39, 1.8e307, 1.79e308])
def test_a_number_too_large_to_predict_from_names_its_column(plain, clf, real, value):
    for fitted in (plain, clf):
        rows = real.test.assign(x1=real.test["x1"].where(np.arange(len(real.test)) != 5, value))
        with pytest.raises(ValueError, match=r"Column 'x1' has 1 values .* \[too-large\]$"):
            fitted.predict(rows)


def test_what_is_no_number_is_no_decision(clf, binary):
    """As where the network overflows: never class 0."""
    broken = copy.copy(clf)
    broken.fit_ = shifted(clf.fit_, np.array([np.nan]))
    for predict in (broken.predict, broken.predict_proba, broken.predict_interval):
        with pytest.raises(FloatingPointError, match=r"200 of 200.* \[prediction-not-finite\]$"):
            predict(binary.test)


def test_an_offset_too_large_names_its_column(real, regressor):
    rows = real.X.assign(log_months=0.0)
    estimator = regressor(**QUICK, offset="log_months")
    with pytest.raises(ValueError, match=r"Column 'log_months' has 400 values .* \[too-large\]$"):
        estimator.fit(rows.assign(log_months=1e39), real.y)
    fitted = estimator.fit(rows, real.y)
    with pytest.raises(ValueError, match=r"Column 'log_months' has 200 values .* \[too-large\]$"):
        fitted.predict(real.test.assign(log_months=1e39))


@pytest.mark.parametrize("weight", [1e39, 1e308, 1e-60])
def test_weights_beyond_single_precision_are_refused(real, regressor, weight):
    with pytest.raises(ValueError, match=r"holds weights from .* \[single-precision\]$"):
        regressor(**QUICK).fit(real.X, real.y, sample_weight=np.full(400, weight))


@pytest.mark.long
def test_double_precision_elsewhere_changes_nothing(clf, binary, classifier):
    """As ``JAX_ENABLE_X64=1`` or ``numpyro.enable_x64`` would set it: the same fit and draws."""
    rows = pd.concat([binary.test, binary.unseen[:50]])
    with jax.enable_x64(True):
        fitted = classifier().fit(binary.X, binary.y)
        found = [
            fitted.predict_proba(binary.test),
            fitted.predict_interval(rows).to_numpy(),
            np.asarray(fitted.sample_predictive(binary.test, draws=5)),
            fitted.feature_importance(binary.test)["importance"].to_numpy(),
        ]
        assert jax.numpy.zeros(1).dtype == np.float64  # the caller's own setting stays
    expected = [
        clf.predict_proba(binary.test),
        clf.predict_interval(rows).to_numpy(),
        np.asarray(clf.sample_predictive(binary.test, draws=5)),
        clf.feature_importance(binary.test)["importance"].to_numpy(),
    ]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
