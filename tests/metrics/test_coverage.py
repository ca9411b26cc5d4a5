import numpy as np
import pytest
from scipy import stats

from pyfairme.metrics import coverage_table
from pyfairme.metrics.predictive_draws import NUMBERS


def test_the_right_model_covers_what_it_says():
    rng = np.random.default_rng(0)
    mean = rng.normal(size=4000)
    y, draws = mean + rng.normal(size=4000), mean + rng.normal(size=(1000, 4000))
    table = coverage_table(y, draws)
    assert list(table.columns) == ["level", "attainable", "covered", "low", "high", "width", "n"]
    assert table["level"].tolist() == [0.5, 0.8, 0.9, 0.95]
    assert table["attainable"].to_numpy() == pytest.approx(table["level"].to_numpy(), abs=0.0011)
    assert ((table["low"] < table["level"]) & (table["level"] < table["high"])).all()
    width = 2 * stats.norm.ppf((1 + table["level"]) / 2)
    assert table["width"].to_numpy() == pytest.approx(width, rel=0.01)
    assert (table["n"] == 4000).all()


def test_counts_are_read_against_what_they_can_attain():
    """A Poisson(1): the central 80 % interval is [0, 2] and holds 92 %."""
    rng = np.random.default_rng(1)
    y, draws = rng.poisson(1.0, 3000), rng.poisson(1.0, (2000, 3000))
    row = coverage_table(y, draws, [0.8]).iloc[0]
    assert row["attainable"] == pytest.approx(stats.poisson.cdf(2, 1), abs=0.002)
    assert row["low"] < row["attainable"] < row["high"]
    assert row["width"] == pytest.approx(2, abs=0.01)


def test_narrow_predictions_cover_less():
    rng = np.random.default_rng(2)
    y, draws = rng.normal(size=2000), rng.normal(0, 0.5, (1000, 2000))
    row = coverage_table(y, draws, [0.9]).iloc[0]
    assert row["attainable"] == pytest.approx(0.9, abs=0.002)
    assert row["covered"] == pytest.approx(2 * stats.norm.cdf(0.8224) - 1, abs=0.03)


def test_ends_are_draws_and_belong_to_the_interval():
    draws = np.arange(1.0, 11.0)[:, None]  # 80 %: 1/10 and 9/10 are reached at 1 and 9
    for y, inside in ((0.9, 0), (1.0, 1), (9.0, 1), (9.1, 0)):
        row = coverage_table([y], draws, [0.8]).iloc[0]
        assert (row["covered"], row["width"], row["attainable"]) == (inside, 8.0, 0.9)


def test_slices_of_rows_change_nothing(monkeypatch):
    rng = np.random.default_rng(3)
    y, draws = rng.normal(size=101), rng.normal(size=(50, 101))
    whole = coverage_table(y, draws)
    monkeypatch.setattr("pyfairme.metrics.predictive_draws.NUMBERS", 50 * 7)
    assert coverage_table(y, draws).equals(whole)
    assert NUMBERS > 50 * 101


def test_clusters_widen_the_interval_of_coverage():
    rng = np.random.default_rng(4)
    codes = np.repeat(np.arange(15), 100)
    shift = rng.normal(0, 1, 15)[codes]  # an effect that the predictions do not know
    y, draws = shift + rng.normal(size=1500), rng.normal(0, 2**0.5, (500, 1500))
    rows, clusters = coverage_table(y, draws), coverage_table(y, draws, groups=codes)
    assert rows["covered"].equals(clusters["covered"])
    assert ((clusters["high"] - clusters["low"]) > 1.5 * (rows["high"] - rows["low"])).all()


def test_bad_levels_are_refused():
    with pytest.raises(ValueError, match=r"levels must lie between 0 and 1, got \[90.0\]"):
        coverage_table([1.0], [[0.0], [1.0]], [90])
