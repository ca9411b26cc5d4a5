"""Intervals of the report: against exact limits, at the border, and where they cannot be told."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import pyfairme.metrics as pm
from pyfairme.metrics import nearest_parts
from pyfairme.metrics.aggregate import group_range, group_sd, mean_of_groups
from pyfairme.metrics.interval import distance, extreme, standard, wilson
from pyfairme.metrics.nearest_parts import nearest
from pyfairme.metrics.sampling_noise import Evidence, deviations

Z = stats.norm.ppf(0.95)
TAILS = (0.05, 0.05)


def report(y, pred, s, cluster=None, seed=0, **more):
    frame = pm.classification_report_frame(
        y,
        np.where(pred == 1, 0.9, 0.1),
        pred,
        sensitive={"s": s},
        cluster=cluster,
        rng=np.random.default_rng(seed),
        **more,
    )
    return frame[frame.attribute == "s"].set_index(["metric", "group"])


def test_wilsons_interval_is_that_of_statistics():
    found = wilson(0.3, 0.3 * 0.7 / 50, 50, Z)
    expected = stats.binomtest(15, 50).proportion_ci(0.9, method="wilson")
    assert found[:2] == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_at_the_border_limits_are_exact(value):
    found = wilson(value, 0.0, 40, Z)
    expected = stats.binomtest(int(40 * value), 40).proportion_ci(0.9, method="exact")
    # Clopper and Pearson leave 5 % on the one side that there is
    assert found[:2] == pytest.approx((expected.low, expected.high))


def test_positive_values_have_positive_limits():
    low, high, _ = standard(0.1, 0.2, Z, positive=True)
    assert 0 < low < 0.1 < high
    assert low * high == pytest.approx(0.01)
    assert standard(0.1, 0.2, Z, positive=False).low < 0


def test_a_distance_of_two_groups_is_that_of_a_folded_normal():
    """|difference| of 2 with a standard error of 1: the limits solve P(|d + e| <= 2) = .95, .05."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(1, 200_000, 2)) / np.sqrt(2)
    parts = np.array([[0.0, 2.0]])
    found = distance(2.0, parts, noise, group_range, TAILS)

    def within(true):
        return stats.norm.cdf(2 - true) - stats.norm.cdf(-2 - true)

    # the steps between the distances that are tried are .2, quantiles of the draws have SE .004
    assert within(found.low) == pytest.approx(0.95, abs=0.01)
    assert within(found.high) == pytest.approx(0.05, abs=0.01)


def test_a_group_of_few_rows_makes_most_of_the_way():
    """A difference of two Normal means with unequal SDs has its exact limits."""
    rng = np.random.default_rng(0)
    sd = np.array([0.05, 0.4])
    noise = sd * rng.normal(size=(1, 200_000, 2))
    parts = np.array([[0.2, 2.0]])
    found = distance(1.8, parts, noise, group_range, TAILS)
    error = np.hypot(*sd)
    assert found[:2] == pytest.approx((1.8 - Z * error, 1.8 + Z * error), abs=0.01)


def test_the_noise_of_a_rare_rate_grows_as_it_is_moved():
    """Rates .02 and .5 of 100 and 10,000 rows: Wilson's limits of the first decide the gap's."""
    rng = np.random.default_rng(0)
    rows = np.array([100.0, 10_000.0])
    parts = np.array([[0.02, 0.5]])
    noise = np.sqrt(parts * (1 - parts) / rows) * rng.normal(size=(1, 100_000, 2))
    found = distance(0.48, parts, noise, group_range, TAILS, rows, "rate")
    wide = stats.binomtest(2, 100).proportion_ci(0.9, method="wilson")
    assert 0.5 - found.low == pytest.approx(wide.high, abs=0.012)  # Wilson's does not know .5's SE
    assert 0.5 - found.high == pytest.approx(wide.low, abs=0.012)


def test_equal_groups_are_not_told_apart_from_equality():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(1, 500, 4))
    none = distance(0.0, np.zeros((1, 4)), noise, group_sd, TAILS)
    assert none.low == 0
    assert none.high > 1
    lucky = np.array([[0.01, -0.01, 0.0, 0.0]])  # less than noise alone would show
    found = distance(float(group_sd(lucky[0])), lucky, noise, group_sd, TAILS)
    assert found.low == 0
    assert found.high > 0.5


def test_the_smallest_of_equal_rates_is_not_taken_at_its_word():
    """Three equal rates: the smallest is too small, and the interval still holds what all have."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        parts = 0.5 + 0.05 * rng.normal(size=(1, 3))
        noise = 0.05 * rng.normal(size=(1, 200, 3))
        smallest = lambda values: values.min(-1)  # noqa: E731
        value = float(parts.min())
        low, high, _ = extreme(value, parts, mean_of_groups(parts), noise, smallest, 0.9)
        assert low <= value <= high
        held += low <= 0.5 <= high
    assert 0.85 <= held / 300 <= 0.99  # SE .017


def test_what_resampling_does_not_tell_is_mended():
    rng = np.random.default_rng(0)
    rates = np.array([[0.5, 1.0, 1.0]])
    draws = np.stack([0.5 + 0.05 * rng.normal(size=(1, 400)), *np.ones((2, 1, 400))], axis=-1)
    draws[0, :200, 2] = np.nan  # half of the replicates lose the last group
    rows = np.array([100.0, 40.0, 1.0])
    clusters = np.full(3, np.inf)
    noise = deviations(Evidence(rates, draws, rows, clusters, clusters), "rate", 0.9)
    assert not np.isnan(noise).any()
    assert noise[0, :, 0].std() == pytest.approx(0.05, rel=0.15)
    assert noise[0, :, 1].std() == pytest.approx(np.sqrt(41 / 42 / 42 / 40), rel=0.15)
    assert noise[0, :, 2].std() > 0.3


def test_selection_rates_vary_as_binomials_do():
    """Strata of the outcome would halve this interval: decisions nearly equal the outcome."""
    rng = np.random.default_rng(0)
    s = np.repeat(["a", "b"], 200)
    y = rng.integers(0, 2, 400)
    pred = np.where(rng.random(400) < 0.95, y, 1 - y)
    frame = report(y, pred, s, n_boot=1000)
    found = frame.loc[("selection_rate", "a")]
    half = Z * np.sqrt(found.value * (1 - found.value) / 200)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.1)  # SE of 1,000 draws: .022
    parity = frame.loc[("demographic_parity", "all")]
    assert parity.high > 1.2 * half  # the sum of two variances


def test_forty_of_forty_are_not_certain():
    y, s = np.ones(80, int), np.repeat(["a", "b"], 40)
    pred = np.r_[np.ones(40, int), np.arange(40) % 2]
    found = report(y, pred, s)
    # Clopper and Pearson: .928
    assert tuple(found.loc[("tpr", "a"), ["low", "high"]]) == pytest.approx((0.05 ** (1 / 40), 1))
    same = report(y, np.ones(80, int), s).loc[("demographic_parity_difference", "all")]
    assert (same.value, same.low) == (0, 0)
    assert 0.02 < same.high < 0.15  # Newcombe's limit of 40 of 40 against 40 of 40: .064


def test_a_group_in_few_clusters_has_no_interval():
    rng = np.random.default_rng(0)
    hospital = np.repeat(np.arange(40), 20)
    s = np.where(hospital == 3, "rare", np.where(rng.random(800) < 0.5, "a", "b"))
    y = rng.integers(0, 2, 800)
    pred = (rng.random(800) < 0.3 + 0.4 * y).astype(int)
    found = report(y, pred, s, hospital)
    rare = found.loc[("tpr", "rare")]
    assert np.isnan([rare.low, rare.high]).all()
    assert rare.note.endswith("no interval: in 1 cluster(s), 5 are needed")
    parity = found.loc[("demographic_parity", "all")]
    assert np.isnan([parity.low, parity.high]).all()
    assert parity.note == "no interval: in fewer than 5 clusters: rare"
    assert not np.isnan(found.loc[("tpr", "a"), "low"])


def test_a_group_of_one_row_is_not_certain():
    rng = np.random.default_rng(0)
    s = np.array(["a"] * 100 + ["b"] * 99 + ["c"])
    y = rng.normal(size=200)
    frame = pm.regression_report_frame(y, 0 * y, sensitive={"s": s}, rng=rng).set_index(
        ["metric", "group"]
    )
    one = frame.loc[("mean_residual", "c")]
    assert np.isnan([one.low, one.high]).all()
    assert one.note.endswith("no interval: too few rows to tell how much they vary")
    spread = frame.loc[("residual_sd", "all")]
    assert spread.high - spread.low > 0.5  # a mean of one row has SE 1, an SD of three .47 of it


@pytest.mark.parametrize("seed", range(3))
def test_every_interval_holds_its_value(seed):
    rng = np.random.default_rng(seed)
    n = 150
    s = rng.choice(list("abcdef"), n, p=[0.5, 0.3, 0.1, 0.05, 0.03, 0.02])
    y = rng.integers(0, 2, n)
    pred = (rng.random(n) < 0.2 + 0.6 * y).astype(int)
    for cluster in (None, rng.integers(0, 40, n)):
        frame = report(y, pred, s, cluster, n_boot=60)
        frame = frame[frame.low.notna()]
        assert (frame.low <= frame.value).all()
        assert (frame.value <= frame.high).all()
        assert (frame.low < frame.high).all()
        real = pm.regression_report_frame(
            y + rng.normal(size=n), pred, sensitive={"s": s}, cluster=cluster, rng=rng, n_boot=60
        )
        real = real[real.low.notna()]
        assert ((real.low <= real.value) & (real.value <= real.high)).all()


def test_what_does_not_vary_says_so():
    y = np.array([0.0, 1.0] * 20)
    frame = pm.regression_report_frame(
        y, y, sensitive={"s": ["a", "b"] * 20}, rng=np.random.default_rng(0)
    ).set_index(["metric", "group"])
    mse = frame.loc[("mse", "all")]
    mse = mse.iloc[0] if isinstance(mse, pd.DataFrame) else mse
    assert (mse.low, mse.high, mse.note) == (0, 0, "no row differs from the others")


def test_a_range_that_is_not_defined_has_no_say_in_equalized_odds():
    group = np.repeat(["a", "b"], 30)
    y = np.r_[np.zeros(30), np.ones(5), np.zeros(25)].astype(int)  # only b has positives
    p = np.random.default_rng(0).random(60)
    rng = np.random.default_rng(0)
    frame = pm.classification_report_frame(
        y, p, (p > 0.5).astype(int), sensitive={"s": group}, rng=rng
    )
    line = frame[frame["metric"] == "equalized_odds_difference"].iloc[0]  # no RuntimeWarning
    assert line["low"] <= line["value"] <= line["high"] < 1


def test_a_rate_that_gets_to_its_limit_stays_there_and_the_others_go_on():
    """Of .05 and .5 a range of .7: .05 can give .05 of the missing .25, and .5 makes the rest."""
    parts, goals = np.array([[0.05, 0.5]]), np.linspace(0.45, 0.7, 20)
    found = nearest(parts, group_range, lambda _: np.array([[1.0, 0.1]]), goals, (0.0, 1.0))
    assert found.min() == 0
    assert group_range(found[-1]) == pytest.approx(0.7, abs=1e-6)
    assert found[-1, 0] == pytest.approx([0, 0.7], abs=1e-6)


def test_blocks_of_parts_have_the_slopes_of_all_at_once(monkeypatch):
    parts = np.random.default_rng(0).random((3, 40))
    value, whole = nearest_parts._value_and_slopes(parts, group_sd)
    centred = parts - parts.mean(1, keepdims=True)
    exact = centred / group_sd(parts)[:, None] / 40
    np.testing.assert_allclose(whole, exact, atol=1e-9)
    np.testing.assert_array_equal(value, group_sd(parts))
    monkeypatch.setattr(nearest_parts, "_BLOCK", 1000)
    np.testing.assert_array_equal(nearest_parts._value_and_slopes(parts, group_sd)[1], whole)
