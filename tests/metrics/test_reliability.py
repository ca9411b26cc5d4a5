import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import calibration_curve

from pyfairme.metrics import calibration_error_by_group, ece, reliability_table


@pytest.fixture
def predictions():
    rng = np.random.default_rng(0)
    probability = rng.beta(1, 3, 3000)
    return (rng.random(3000) < probability**1.5).astype(int), probability


@pytest.mark.parametrize("strategy", ["quantile", "uniform"])
def test_bins_are_scikit_learns(predictions, strategy):
    observed, mean = calibration_curve(*predictions, n_bins=8, strategy=strategy)
    table = reliability_table(*predictions, bins=8, strategy=strategy)
    assert table["observed"].to_numpy() == pytest.approx(observed)
    assert table["mean_predicted"].to_numpy() == pytest.approx(mean)
    assert table["n"].sum() == 3000
    if strategy == "quantile":
        assert (table["n"] == 375).all()


def test_the_error_is_the_tables(predictions):
    for strategy in ("quantile", "uniform"):
        table = reliability_table(*predictions, strategy=strategy)
        gap = (table["observed"] - table["mean_predicted"]).abs()
        expected = (gap * table["n"]).sum() / 3000
        assert ece(*predictions, strategy=strategy) == pytest.approx(expected)


def test_equally_wide_bins_are_those_of_the_fairness_report(predictions):
    groups = np.zeros(3000, int)
    report = calibration_error_by_group(*predictions, sensitive_features=groups)
    assert ece(*predictions, strategy="uniform") == pytest.approx(report.item())


def test_a_calibrated_model_is_near_the_diagonal():
    rng = np.random.default_rng(1)
    probability = rng.random(20_000)
    y = (rng.random(20_000) < probability).astype(int)
    table = reliability_table(y, probability, level=0.99)
    assert table["mean_predicted"].between(table["low"], table["high"]).all()
    assert ece(y, probability) < 0.015
    assert ece(y, np.clip(probability + 0.1, 0, 1)) > 0.08


def test_ties_make_fewer_bins_and_empty_bins_are_left_out():
    table = reliability_table([0, 1, 0, 1], [0.2, 0.2, 0.2, 0.9], bins=4)
    assert table[["n", "observed"]].to_numpy().tolist() == [[3, 1 / 3], [1, 1]]
    uniform = reliability_table([0, 1], [0.05, 1.0], strategy="uniform")
    assert uniform["bin"].tolist() == [0, 9]


def test_clusters_widen_the_intervals():
    rng = np.random.default_rng(2)
    codes = np.repeat(np.arange(12), 200)
    probability = np.full(2400, 0.5)
    y = (rng.random(2400) < rng.beta(2, 2, 12)[codes]).astype(int)
    alone, grouped = (reliability_table(y, probability, groups=g) for g in (None, codes))
    assert (grouped["high"] - grouped["low"]).item() > 3 * (alone["high"] - alone["low"]).item()
    one = reliability_table(y[:200], probability[:200], groups=codes[:200])  # of one cluster only
    assert one.equals(reliability_table(y[:200], probability[:200]))
    assert isinstance(one, pd.DataFrame)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="one of quantile, uniform; got 'equal'"):
        reliability_table([0, 1], [0.1, 0.2], strategy="equal")
    with pytest.raises(ValueError, match="bins must be a whole number of at least 1, got 0"):
        ece([0, 1], [0.1, 0.2], bins=0)
    with pytest.raises(ValueError, match="y_prob must lie between 0 and 1, got 20"):
        ece([0, 1], [0.1, 20])
