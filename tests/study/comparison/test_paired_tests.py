"""Tests of paired differences against hand-computed values and against SciPy."""

import numpy as np
import pytest
from scipy import stats

from pyfairme.study.comparison.paired_tests import (
    bootstrap_interval,
    bootstrap_p,
    cohen_d,
    holm,
    nadeau_bengio_p,
)

FOLDS = np.array([0.02, 0.05, -0.01, 0.03, 0.04, 0.02, 0.00, 0.06, 0.03, 0.01])


def test_nadeau_bengio_by_hand():
    # mean .025; s² = sum (d - .025)² / 9 = .00425 / 9; t = .025 / sqrt((1/10 + 1/8) s²)
    t = 0.025 / np.sqrt((0.1 + 0.125) * 0.00425 / 9)
    assert t == pytest.approx(2.4254, abs=1e-4)
    assert nadeau_bengio_p(FOLDS, 1 / 8) == pytest.approx(2 * stats.t.sf(t, df=9), rel=1e-10)


def test_without_shared_training_rows_it_is_the_t_test():
    expected = stats.ttest_1samp(FOLDS, 0).pvalue
    assert nadeau_bengio_p(FOLDS, 0.0) == pytest.approx(expected, rel=1e-10)


def test_folds_without_a_value_are_left_out():
    holes = np.insert(FOLDS, [0, 5], np.nan)
    assert nadeau_bengio_p(holes, 1 / 8) == nadeau_bengio_p(FOLDS, 1 / 8)
    assert cohen_d(holes) == cohen_d(FOLDS)


@pytest.mark.parametrize("fold_differences", [[0.1], [np.nan, 0.2], [0.1, 0.1, 0.1]])
def test_differences_that_cannot_vary_have_no_test(fold_differences):
    some = np.array(fold_differences)
    assert np.isnan(nadeau_bengio_p(some, 1 / 8))
    assert np.isnan(cohen_d(some))


def test_no_difference_at_all():
    zero = np.zeros(10)
    assert nadeau_bengio_p(zero, 1 / 8) == 1
    assert cohen_d(zero) == 0
    assert bootstrap_p(0.0, zero) == 1
    assert bootstrap_interval(0.0, zero, 0.9) == (0, 0)


def test_no_test_without_a_ratio():
    assert np.isnan(nadeau_bengio_p(FOLDS, np.nan))


def test_cohen_d_by_hand():
    assert cohen_d(FOLDS) == pytest.approx(0.025 / np.sqrt(0.00425 / 9))


def test_p_of_drawn_clusters_has_the_tail_of_t():
    replicates = np.array([-1.0, 0.0, 1.0])  # SE 1
    assert bootstrap_p(2.0227, replicates, 39) == pytest.approx(0.05, abs=1e-5)  # t table
    low, high = bootstrap_interval(0, replicates, 0.95, 39)
    assert (low, high) == pytest.approx((-2.0227, 2.0227), abs=1e-4)


def test_bootstrap_p_and_interval_agree():
    replicates = np.random.default_rng(0).normal(0.1, 0.04, 500)
    error = replicates.std(ddof=1)
    for share in (1.6, 1.7):  # the 90 % interval ends at 1.645 SE
        low, high = bootstrap_interval(share * error, replicates, 0.9)
        assert (low > 0) == (bootstrap_p(share * error, replicates) < 0.1)
        assert high - low == pytest.approx(2 * stats.norm.ppf(0.95) * error)


def test_a_difference_that_no_draw_changes_has_no_p():
    assert np.isnan(bootstrap_p(0.1, np.full(50, 0.1)))
    assert np.isnan(bootstrap_p(0.1, np.empty(0)))
    assert np.isnan(bootstrap_p(np.nan, np.array([0.1, 0.2])))


def test_holm_by_hand():
    # sorted .005 .01 .03 .04 times 4 3 2 1: .02 .03 .06 .04, then never below the one before
    adjusted = holm([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(adjusted, [0.03, 0.06, 0.06, 0.02])


def test_holm_counts_tests_that_exist_and_stays_below_one():
    np.testing.assert_allclose(holm([np.nan, 0.5, 0.02, 0.9]), [np.nan, 1.0, 0.06, 1.0])
    assert holm([]).size == 0


def test_holm_rejects_what_the_step_down_procedure_rejects():
    rng = np.random.default_rng(1)
    for _ in range(50):
        p = rng.random(8) ** 3
        rejected = np.zeros(8, bool)
        for i, place in enumerate(np.argsort(p)):
            if p[place] > 0.05 / (8 - i):
                break
            rejected[place] = True
        assert (holm(p) <= 0.05).tolist() == rejected.tolist()
