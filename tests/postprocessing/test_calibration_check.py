"""Whether probabilities are calibrated: alarms are rare where they are, whatever the sizes."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

import pyfairme as pf
from pyfairme.data.attributes import Attribute
from pyfairme.postprocessing.calibration_check import surprise, warn_of_beliefs
from pyfairme.postprocessing.joint_rule import Members


def groups_of(codes):
    """Return groups numbered ``codes`` (n,), all of which occur, and who is in them."""
    names = pd.Categorical.from_codes(codes, [f"g{i:03}" for i in range(codes.max() + 1)])
    attribute = Attribute.fit(pd.DataFrame({"g": names}), "g")
    return {"g": attribute}, {"g": Members.of(codes, len(attribute.levels))}


@pytest.mark.parametrize(
    ("n", "groups", "rate", "spread"),
    [(1000, 200, 0.01, 20), (2000, 50, 0.03, 3), (300, 3, 0.01, 20), (2000, 5, 0.3, 20)],
    ids=["tiny groups", "small groups", "few rows", "usual"],
)
def test_calibrated_probabilities_rarely_raise_an_alarm(n, groups, rate, spread):
    """Of 100 sound tables at most 2 may: by standard errors alone 97, 4, 9 and 0 did."""
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(100):
        p = rng.beta(rate * spread, (1 - rate) * spread, n)
        y = (rng.random(n) < p).astype(float)
        codes = np.append(np.arange(groups), rng.integers(0, groups, n - groups))
        named, members = groups_of(codes)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            warn_of_beliefs([], p, members, named, y)
        alarms += bool(said)
    assert alarms <= 2


def test_wrong_probabilities_of_small_groups_are_told():
    """Twenty groups of 40 rows, 1 % expected; in one of them 15 % are positive."""
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(20), 40)
    true = np.where(codes == 7, 0.15, 0.01)
    named, members = groups_of(codes)
    y = (rng.random(len(codes)) < true).astype(float)
    with pytest.warns(pf.FairnessWarning, match=r"g = 'g007', \d+ are positive, and 0.4 were"):
        warn_of_beliefs([], np.full(len(codes), 0.01), members, named, y)


@pytest.mark.parametrize(("n", "p"), [(5, 0.01), (40, 0.3), (1000, 0.002)])
def test_a_sum_is_as_odd_as_its_exact_distribution_says(n, p):
    """Of n equal rows 2 KL is the squared surprise, and exp(-r^2 / 2) bounds the exact tail."""
    for k in range(min(n, 60) + 1):
        share = k / n
        parts = [
            a * np.log(a / b) for a, b in ((share, p), (1 - share, 1 - p)) if a > 0
        ]  # relative entropy of coins
        found = surprise(float(k), np.full(n, p), np.ones(n))
        assert found == pytest.approx(np.sqrt(2 * n * max(sum(parts), 0.0)), abs=1e-4)
        tail = binom.sf(k - 1, n, p) if share > p else binom.cdf(k, n, p)
        assert tail <= np.exp(-(found**2) / 2) * (1 + 1e-6)


def test_weighted_sums_near_a_normal_distribution_are_counted_in_standard_errors():
    rng = np.random.default_rng(0)
    p, weight = rng.beta(1, 3, 50_000), rng.exponential(size=50_000)
    error = np.sqrt(p * (1 - p) @ weight**2)
    for far in (-4, 4):
        assert surprise(float(weight @ p + far * error), p, weight) == pytest.approx(4, abs=0.05)


def test_what_cannot_be_is_no_matter_of_chance():
    """Rows of probability 0 that are positive, and of 1 that are not."""
    assert surprise(3.0, np.zeros(4), np.ones(4)) == np.inf
    assert surprise(2.0, np.array([0.0, 0.0, 1.0]), np.ones(3)) > 7
    assert surprise(0.0, np.array([0.0, 1.0, 1.0]), np.ones(3)) > 7
    assert surprise(1.0, np.array([0.0, 0.0, 1.0]), np.ones(3)) == 0
