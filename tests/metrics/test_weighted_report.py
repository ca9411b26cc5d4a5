"""Reports of weighted rows: values, sizes, null bands."""

import numpy as np
import pandas as pd
import pytest

import pyfairme.metrics as pm
from pyfairme.metrics.confusion import confusion
from pyfairme.metrics.group_moments import moments
from pyfairme.metrics.group_sums import PredictedRows, counted, effective_rows, tabulated, totals
from pyfairme.metrics.null_value import equal_rates, permuted_groups

N = 600
COLUMNS = ["y", "prob", "pred", "s", "cluster"]


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, N)
    prob = np.clip(0.3 + 0.4 * y + 0.2 * rng.normal(size=N), 0, 1)
    return pd.DataFrame(
        {
            "y": y,
            "prob": prob,
            "pred": (prob > 0.5).astype(int),
            "s": rng.choice(["a", "b", "c"], N, p=[0.6, 0.3, 0.1]),
            "cluster": rng.integers(0, 6, N),
            "weight": rng.integers(1, 5, N),
        }
    )


def classification(table, weight=None, n_boot=0):
    return pm.classification_report_frame(
        table.y,
        table.prob,
        table.pred,
        sensitive={"s": table.s},
        cluster=table.cluster,
        gap={"s": table.prob / 7},
        sample_weight=weight,
        rng=np.random.default_rng(1),
        n_boot=n_boot,
    )


def regression(table, weight=None, n_boot=0):
    return pm.regression_report_frame(
        table.y + table.prob,
        2 * table.prob,
        sensitive={"s": table.s},
        cluster=table.cluster,
        sample_weight=weight,
        log_density=-table.prob,
        rng=np.random.default_rng(1),
        n_boot=n_boot,
    )


@pytest.mark.parametrize("frame", [classification, regression])
def test_equal_weights_change_nothing(table, frame):
    plain = frame(table, n_boot=20)
    for weight in (np.ones(N), np.full(N, 2.5)):
        pd.testing.assert_frame_equal(frame(table, weight, n_boot=20), plain)


@pytest.mark.parametrize("frame", [classification, regression])
def test_whole_weights_give_the_values_of_repeated_rows(table, frame):
    """Values, but not sizes, null bands and what is taken off for noise: rows stay as few."""
    weighted = frame(table, table.weight)
    repeated = frame(table.loc[table.index.repeat(table.weight)].reset_index(drop=True))
    # quantiles of the outcome cut the unweighted rows
    same = ~weighted.metric.str.contains("corrected|conditional")
    pd.testing.assert_series_equal(weighted.value[same], repeated.value[same])
    pd.testing.assert_series_equal(weighted.n, frame(table).n)


def test_rows_of_weight_zero_are_not_counted(table):
    weight = np.where(table.s == "b", 0.0, 1.0)
    found = classification(table, weight).set_index(["metric", "group"])
    assert found.loc[("accuracy", "b"), "n"] == 0
    assert np.isnan(found.loc[("accuracy", "b"), "value"])
    others = classification(table[table.s != "b"]).set_index(["metric", "group"])
    assert found.loc[("tpr_sd", "all"), "value"] == pytest.approx(
        others.loc[("tpr_sd", "all"), "value"]
    )


def test_a_survey_is_weighted_to_its_population():
    """Rows sampled by group and decision: parity is .02 in the sample, .26 in the population."""
    rng = np.random.default_rng(0)
    s = np.repeat(["a", "b"], 50_000)
    pred = rng.random(100_000) < np.where(s == "a", 0.50, 0.24)
    chance = np.where(s == "a", 0.01, np.where(pred, 0.0317, 0.0107))  # half of b's sample accepted
    taken = rng.random(100_000) < chance
    frame = pd.DataFrame({"s": s, "pred": pred.astype(int), "w": 1 / chance})[taken]
    y = rng.integers(0, 2, len(frame))

    def parity(weight):
        return pm.demographic_parity(
            y, frame.pred, sensitive_features=frame.s, sample_weight=weight
        )

    # the SE of a difference of two rates of 500 and 800 rows is .03
    assert parity(None) == pytest.approx(0.02, abs=0.06)
    assert parity(frame.w) == pytest.approx(0.26, abs=0.08)
    report = pm.classification_report_frame(
        y,
        np.full(len(y), 0.5),
        frame.pred,
        sensitive={"s": frame.s},
        sample_weight=frame.w,
        rng=rng,
        n_boot=0,
    ).set_index("metric")
    assert report.loc["demographic_parity", "value"] == pytest.approx(parity(frame.w))


def test_the_effective_number_of_rows_is_that_of_kish():
    rows = PredictedRows(np.ones(4), np.ones(4), np.array([0, 0, 0, 1]), ("a", "b"))
    weight = np.array([1.0, 1.0, 4.0, 0.0])
    sums = totals(tabulated(confusion, rows._replace(weight=weight)))
    assert effective_rows(sums, 2)[:, 1].tolist() == [36 / 18, 0]
    assert counted(tabulated(confusion, rows._replace(weight=weight)))[:, 1, 0].tolist() == [3, 0]


def test_null_rates_vary_as_those_of_weighted_rows():
    """The SD of a weighted rate of independent rows is sqrt(p (1 - p) sum w²) / sum w."""
    rng = np.random.default_rng(0)
    weight = rng.choice([1.0, 10.0], 400)
    pred = (rng.random(400) < 0.3).astype(float)
    rows = PredictedRows(np.ones(400), pred, np.arange(400) % 2, ("a", "b"), weight=weight)
    drawn = equal_rates(tabulated(confusion, rows), rng, 4000)
    rate = drawn[:, :, 1, 1] / drawn[:, :, 1, 0]
    p = np.average(pred, weights=weight)
    for group in (0, 1):
        w = weight[group::2]
        expected = np.sqrt(p * (1 - p) * (w**2).sum()) / w.sum()
        # relative SE of an SD of 4,000 draws: .011; the effective number is rounded to whole rows
        assert rate[:, group].std() == pytest.approx(expected, rel=0.05)
        assert rate[:, group].mean() == pytest.approx(p, abs=4 * expected / np.sqrt(4000))


def test_shuffled_values_meet_the_weights_of_their_new_place():
    rng = np.random.default_rng(0)
    weight = np.tile([1.0, 5.0], 100)
    y = rng.normal(size=200)
    rows = PredictedRows(y, np.zeros(200), np.arange(200) % 2, ("a", "b"), weight=weight)
    drawn = permuted_groups(tabulated(moments, rows), rng, 400)
    assert np.allclose(drawn[..., 0], [100, 500])
    means = drawn[..., 1] / drawn[..., 0]
    assert np.allclose(means.mean(1), y.mean())  # groups of equal size share all values
    assert means.std(0) == pytest.approx(y.std() / np.sqrt(200), rel=0.15)  # of 400 draws: SE .035


def test_weights_leave_less_to_take_off():
    """Two thirds of the rows in effect make the noise that is taken off half as large again."""
    y, pred = np.ones(400), np.tile([1, 1, 1, 0], 100)
    pred[200:300] = 1
    s = np.repeat(["a", "b"], 200)
    # two such rows are worth (1 + c)² / (1 + c²) = 4/3
    weight = np.tile(np.repeat([1.0, 3.0 + 2 * np.sqrt(2)], 4), 50)
    plain = pm.tpr_sd(y, pred, sensitive_features=s, sample_weight=weight) ** 2
    less = plain - pm.tpr_sd_corrected(y, pred, sensitive_features=s, sample_weight=weight) ** 2
    even = (
        pm.tpr_sd(y, pred, sensitive_features=s) ** 2
        - pm.tpr_sd_corrected(y, pred, sensitive_features=s) ** 2
    )
    assert less / even == pytest.approx(3 / 2, rel=0.03)
