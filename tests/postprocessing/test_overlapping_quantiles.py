"""Quantiles for the groups of several attributes: against the regression itself, and simulated."""

import numpy as np
import pytest
from sklearn.linear_model import QuantileRegressor

from pyfairme.postprocessing.conformal_quantile import CalibrationScores
from pyfairme.postprocessing.overlapping_quantiles import OverlappingQuantiles, distinct_columns

SIZES = (2, 3)


def rows(n, rng):
    """Groups of two attributes that go together, and scores whose scale differs by both."""
    first = rng.integers(2, size=n)
    second = np.where(rng.random(n) < 0.5, first, rng.integers(3, size=n))
    scale = np.array([1.0, 3.0])[first] * np.array([1.0, 0.5, 2.0])[second]
    return np.stack([first, second]), np.abs(rng.normal(size=n)) * scale


def test_one_attribute_has_the_quantiles_of_its_groups():
    codes, score = rows(300, np.random.default_rng(0))
    found = OverlappingQuantiles(score, np.ones(300), codes[1:], (3,), 0.9).of(np.arange(3)[None])
    own = [CalibrationScores.of(score[codes[1] == g]).quantile(0.9) for g in range(3)]
    assert found == pytest.approx(own, rel=1e-9)


def test_it_is_the_regression_with_one_row_more():
    codes, score = rows(157, np.random.default_rng(1))
    asked = np.array([[0, 0, 1, 1], [0, 2, 1, 2]])
    found = OverlappingQuantiles(score, np.ones(157), codes, SIZES, 0.83).of(asked)
    for quantile, new in zip(found, asked.T, strict=True):
        every = np.c_[codes, new]
        marks = np.stack([every[0] == 1, every[1] == 1, every[1] == 2], axis=1).astype(float)
        model = QuantileRegressor(quantile=0.83, alpha=0, solver="highs")
        model.fit(marks, np.r_[score, 1e4])  # as good as infinite
        assert quantile == pytest.approx(model.predict(marks[-1:])[0], rel=1e-6)


def test_many_rows_are_solved_by_those_near_the_fit():
    codes, score = rows(12_000, np.random.default_rng(2))
    found = OverlappingQuantiles(score, np.ones(12_000), codes, SIZES, 0.9)
    asked, place = distinct_columns(list(codes))
    values = found.of(asked)
    covered = score <= values[place]
    for mine, size in zip(codes, SIZES, strict=True):
        for group in range(size):
            here = mine == group
            assert covered[here].sum() >= 0.9 * (here.sum() + 1) - 6  # rows on the fit itself
            assert covered[here].mean() == pytest.approx(0.9, abs=6 / here.sum() + 1e-3)
    whole = QuantileRegressor(quantile=0.9, alpha=0, solver="highs")
    marks = np.stack([codes[0] == 1, codes[1] == 1, codes[1] == 2], axis=1).astype(float)
    first = slice(0, 3000)
    few = OverlappingQuantiles(score[first], np.ones(3000), codes[:, first], SIZES, 0.9)
    fitted = whole.fit(marks[first], score[first]).predict(marks[first])
    near = few.of(asked)[place[first]]
    assert near == pytest.approx(fitted, rel=0.02)  # one row more moves little


@pytest.mark.long
def test_groups_of_both_attributes_are_covered():
    """60 calibration rows of 250 tables: every group is covered, and not much more often."""
    rng, rates = np.random.default_rng(3), []
    for _ in range(250):
        codes, score = rows(60, rng)
        new, truth = rows(300, rng)
        asked, place = distinct_columns(list(new))
        quantile = OverlappingQuantiles(score, np.ones(60), codes, SIZES, 0.8).of(asked)
        hit = truth <= quantile[place]
        rates.append([hit[mine == g].mean() for mine, n in zip(new, SIZES, strict=True)
                      for g in range(n)])  # fmt: skip
    mean, error = np.mean(rates, axis=0), np.std(rates, axis=0) / np.sqrt(len(rates))
    assert (mean > 0.8 - 3.5 * error).all()
    assert (mean < 0.8 + 0.07).all()  # four numbers are fitted to 60 rows


def test_a_group_with_too_few_rows_has_no_quantile():
    codes, score = rows(200, np.random.default_rng(4))
    codes[1, codes[1] == 2] = 0
    codes[1, :8] = 2  # 8 rows, where .9 takes 9
    found = OverlappingQuantiles(score, np.ones(200), codes, SIZES, 0.9)
    assert np.isfinite(found.of(np.array([[0, 1], [0, 1]]))).all()
    assert np.isinf(found.of(np.array([[0], [2]]))).all()
