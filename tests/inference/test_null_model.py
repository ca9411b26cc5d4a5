"""The loss of a constant prediction, and fits that end above it."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import pyfairme as pf
from pyfairme.data import Batch
from pyfairme.inference.null_model import null_loss, worse_than_null
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
