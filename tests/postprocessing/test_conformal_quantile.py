"""The conformal quantile: by hand, and the exact law of its coverage."""

import numpy as np
import pytest
from scipy import stats

from pyfairme.postprocessing.conformal_quantile import CalibrationScores, fewest_units, shares


def test_it_is_the_score_of_the_rank_that_theory_says():
    scores = np.random.default_rng(0).permutation(np.arange(1.0, 100.0))  # 1, ..., 99
    found = CalibrationScores.of(scores)
    assert [found.quantile(level) for level in (0.9, 0.899, 0.901, 0.5)] == [90, 90, 91, 50]
    assert found.quantile(0.99) == 99
    assert found.quantile(0.991) == np.inf


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95, 0.99, 0.999, 2 / 3])
def test_the_fewest_rows_reach_the_level_and_one_less_does_not(level):
    n = fewest_units(level)
    assert np.isfinite(CalibrationScores.of(np.arange(float(n))).quantile(level))
    assert np.ceil(level * (n + 1) - 1e-9) <= n
    assert n == 1 or np.ceil(level * n - 1e-9) > n - 1


def test_ties_count_as_often_as_they_occur():
    found = CalibrationScores.of(np.repeat([0.0, 1.0, 2.0], [60, 30, 9]))
    assert [found.quantile(level) for level in (0.6, 0.61, 0.9, 0.91)] == [0, 1, 1, 2]


def test_coverage_has_the_beta_distribution_that_theory_says():
    """Of uniform scores the quantile is its own coverage: Beta(k, n + 1 - k), k = 45 of 49."""
    rng = np.random.default_rng(1)
    covered = [CalibrationScores.of(rng.random(49)).quantile(0.9) for _ in range(3000)]
    assert stats.kstest(covered, stats.beta(45, 5).cdf).pvalue > 0.001
    assert np.mean(covered) == pytest.approx(0.9, abs=3 * np.std(covered) / np.sqrt(3000))


def test_rows_of_a_unit_share_it():
    assert shares(np.array([4, 4, 4, 1])).tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1])
    unit = np.r_[np.full(50, 0), np.arange(1, 20)]  # one cluster of 50 rows, 19 of one
    found = CalibrationScores.of(np.r_[np.full(50, 100.0), np.arange(1.0, 20.0)], unit)
    assert found.units == 20
    assert found.quantile(0.9) == 19  # 18.9 of 21 units
    assert found.quantile(0.95) == 100


def test_a_new_cluster_is_covered_though_its_rows_are_alike():
    """Clusters differ in scale; large ones are rare and have many rows."""
    rng, hits, naive = np.random.default_rng(2), [], []
    for _ in range(1500):
        scale = rng.lognormal(0, 1, 20)
        size = np.where(scale < 1, 12, 2)  # calm clusters have the most rows
        unit = np.repeat(np.arange(19), size[:19])
        score = np.abs(rng.normal(size=len(unit))) * scale[unit]
        new = np.abs(rng.normal(size=50)) * scale[19]
        hits.append((new <= CalibrationScores.of(score, unit).quantile(0.9)).mean())
        naive.append((new <= CalibrationScores.of(score).quantile(0.9)).mean())
    error = np.std(hits) / np.sqrt(len(hits))
    assert (
        0.9 - 3 * error < np.mean(hits) < 0.9 + 3 * error + 1 / 20
    )  # at most 1 / (units + 1) more
    assert np.mean(naive) < 0.9 - 5 * error  # rows as units do not do
