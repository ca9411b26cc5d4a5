"""The loss of a constant prediction, and fits that end above it."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import pyfairme as pf
from pyfairme.data import Batch
from pyfairme.inference.null_model import (
    HeldOutLoss,
    held_out_loss,
    null_log_density,
    null_loss,
    worse_than_null,
)
from pyfairme.model.likelihoods import Bernoulli, Normal, Poisson
from pyfairme.notices import DataWarning

RNG = np.random.default_rng(0)
WEIGHT = RNG.integers(1, 4, 50).astype(np.float32)


def batch(y, offset=None):
    empty = np.zeros((50, 0), np.float32)
    offset = np.zeros(50, np.float32) if offset is None else offset.astype(np.float32)
    return Batch(empty, y.astype(np.float32), empty.astype(np.int32), empty,
                 empty.astype(np.int32), WEIGHT, offset)  # fmt: skip


def test_it_is_the_least_loss_of_a_constant():
    share = WEIGHT / WEIGHT.sum()
    y = RNG.random(50) < 0.2
    rate = share @ y
    entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    assert null_loss(Bernoulli(), batch(y)) == pytest.approx(entropy)
    real = 2 * RNG.normal(size=50)
    sd = np.sqrt(share @ (real - share @ real) ** 2)
    normal = -share @ stats.norm.logpdf(real, share @ real, sd)
    assert null_loss(Normal(), batch(real)) == pytest.approx(normal, rel=1e-5)
    exposure = RNG.normal(size=50)
    counts = RNG.poisson(3 * np.exp(exposure))
    mean = np.exp(exposure) * (share @ counts) / (share @ np.exp(exposure))
    poisson = -share @ stats.poisson.logpmf(counts, mean)
    assert null_loss(Poisson(), batch(counts, exposure)) == pytest.approx(poisson, rel=1e-5)


def test_noise_is_allowed_for_and_nan_is_not():
    assert not worse_than_null(0.7, 0.69)
    assert worse_than_null(0.9, 0.69)
    assert not worse_than_null(0.9, 0.69, first=True)
    assert worse_than_null(np.nan, 0.69)


@pytest.mark.long
def test_a_fit_that_ends_above_it_is_refused():
    table = pd.DataFrame({"g": RNG.choice(list("abc"), 300), "x": RNG.normal(size=300)})
    table["lat"] = 45 + 0.03 * RNG.normal(size=300)
    y = (RNG.random(300) < 0.1).astype(int)
    settings = {"hidden": (), "progress": False, "random_state": 0, "guide": "mean_field"}
    clf = pf.FairMixedEffectsClassifier(
        "g", fairness=None, random_slopes=["lat"], min_steps=60, epochs=1, **settings
    )
    clf.fit(table, y)  # slopes start at the mean latitude
    clf.set_params(random_intercepts=False)  # slopes start at 0, 1,500 standard deviations away
    with (
        pytest.warns(DataWarning, match=r"'lat' start at 0.*far-origin\]$"),
        pytest.raises(FloatingPointError, match=r"that of a constant is 0\..*worse-than-null\]$"),
    ):
        clf.fit(table, y)
    assert not hasattr(clf, "fit_")


def test_held_out_rows_are_compared_with_the_constant_of_training_rows():
    y = RNG.random(50) < 0.3
    for likelihood, values in (
        (Bernoulli(), y),
        (Normal(), 2 * RNG.normal(size=50)),
        (Poisson(), RNG.poisson(3, 50)),
    ):
        rows = batch(values)
        density = null_log_density(likelihood, rows, rows)
        assert -np.average(density, weights=WEIGHT) == pytest.approx(null_loss(likelihood, rows))
    one, two = np.log([0.5, 0.1, 0.4]), np.log([0.4, 0.3, 0.4])
    found = held_out_loss(one, two, np.ones(3), trained=0.2, least=0.9)
    assert found.loss - found.null == pytest.approx((two - one).mean())
    assert found.error == pytest.approx((two - one).std(ddof=1) / np.sqrt(3))


def test_a_difference_within_noise_is_none_unless_training_rows_promised_more():
    assert not HeldOutLoss(0.29, 0.28, error=0.01, trained=0.27, trained_null=0.28).worse
    assert HeldOutLoss(0.31, 0.28, error=0.01, trained=0.27, trained_null=0.28).worse
    assert HeldOutLoss(0.29, 0.28, error=0.01, trained=0.15, trained_null=0.28).worse
    assert not HeldOutLoss(0.29, 0.28, error=0.10, trained=0.15, trained_null=0.28).worse
    assert not HeldOutLoss(0.27, 0.28, error=0.01, trained=0.15, trained_null=0.28).worse


@pytest.mark.parametrize("signal", [0.0, 3.0])
def test_a_network_that_learned_its_rows_by_heart_is_named(signal):
    rng = np.random.default_rng(1)
    table = pd.DataFrame(rng.normal(size=(500, 12)), columns=[f"x{k}" for k in range(12)])
    table["g"], table["sex"] = rng.choice(list("abc"), 500), rng.choice(["f", "m"], 500)
    y = (rng.logistic(size=500) < signal * table["x0"] - 1.5).astype(int)
    clf = pf.FairMixedEffectsClassifier(
        "g", "sex", fairness="moment", hidden=(32,), guide="mean_field", min_steps=400, epochs=1,
        validation_fraction=0.3, unseen="population", cluster_weight=0.0, weight_decay=0.0,
        progress=False, random_state=0,
    )  # fmt: skip
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        clf.fit(table, y)
    texts = [str(one.message) for one in said if "[worse-than-null]" in str(one.message)]
    if signal:
        assert not texts
        return
    (text,) = texts
    assert text.startswith("On 150 validation rows the loss of the mixed prediction is ")
    assert "on training rows it is 0." in text
    assert "by heart. Try hidden=(), a linear model" in text
    assert "then a lower fairness_weight. [worse-than-null]" in text
