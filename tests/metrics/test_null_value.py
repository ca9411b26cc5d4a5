import gzip
import os
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pyfairme.metrics as pm
from pyfairme.metrics.confusion import confusion, decision_rows, fpr, selection_rate, tpr
from pyfairme.metrics.group_moments import moments, real_rows
from pyfairme.metrics.group_sums import tabulated, totals
from pyfairme.metrics.null_value import (
    equal_rates,
    equal_selection,
    permuted_groups,
    summarise_null,
)

SIZES = np.array([400, 60, 25])


def equal_groups(rng, rate=0.8):
    """Positives of three groups of very different size, accepted at the same rate."""
    group = np.repeat([0, 1, 2], SIZES)
    return np.ones(len(group)), rng.random(len(group)) < rate, group


def test_the_band_covers_equal_groups_at_its_level():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        y, pred, group = equal_groups(rng)
        null = pm.null_value("tpr_sd", y, pred, sensitive_features=group, rng=rng, draws=200)
        inside += null.low <= pm.tpr_sd(y, pred, sensitive_features=group) <= null.high
    # binomial SE of a share of .9 over 400 trials is .015; four of them, with .01 for 200 draws
    assert inside / 400 == pytest.approx(0.9, abs=0.07)


def test_the_mean_is_the_sampling_noise_of_the_formula():
    rng = np.random.default_rng(0)
    y, pred, group = equal_groups(rng)
    draws = equal_rates(confusion(decision_rows(y, pred, group)), rng, 20_000)
    pooled = pred.mean()
    noise = 2 / 9 * (pooled * (1 - pooled) / SIZES).sum()
    assert tpr(draws).var(axis=-1).mean() == pytest.approx(noise, rel=0.05)


def test_binomial_draws_keep_sizes_and_pooled_rates():
    rng = np.random.default_rng(1)
    y, group = rng.integers(0, 2, 5000), rng.integers(0, 3, 5000)
    pred = rng.random(5000) < np.where(y == 1, 0.8, 0.1) + 0.05 * group
    table = confusion(decision_rows(y, pred, group))
    rates = equal_rates(table, rng, 3000)
    np.testing.assert_array_equal(
        rates[..., 0], np.broadcast_to(totals(table)[..., 0], (3000, 3, 2))
    )
    # SE of a group's mean rate: sqrt(.25 / 800 / 3000) = .0003
    np.testing.assert_allclose(tpr(rates).mean(0), pred[y == 1].mean(), atol=0.0015)
    np.testing.assert_allclose(fpr(rates).mean(0), pred[y == 0].mean(), atol=0.0015)
    selected = selection_rate(equal_selection(table, rng, 3000)).mean(0)
    np.testing.assert_allclose(selected, pred.mean(), atol=0.0015)


def test_shuffles_keep_sizes_and_totals_within_bins():
    from pyfairme.metrics.conditional_disparity import predictions_by_outcome

    rng = np.random.default_rng(2)
    y, pred, group = rng.normal(size=300), rng.normal(size=300), rng.integers(0, 4, 300)
    rows = real_rows(y, pred, group)
    for table in (moments(rows), predictions_by_outcome(rows, 5)):
        sums, draws = totals(table), permuted_groups(table, rng, 20)
        assert draws.shape == (20, *sums.shape)
        np.testing.assert_array_equal(
            draws[..., 0], np.broadcast_to(sums[..., 0], draws.shape[:-1])
        )
        np.testing.assert_allclose(draws.sum(1), np.broadcast_to(sums.sum(0), draws.sum(1).shape))
        assert np.ptp(draws[..., 1], axis=0).min() > 0


@pytest.mark.parametrize("weighted", [False, True])
def test_every_shuffle_is_that_of_the_plain_definition(weighted, monkeypatch):
    """Labels of groups change places within bins; with weights, what rows hold does."""
    from pyfairme.metrics.conditional_disparity import predictions_by_outcome

    # of 300 rows two draws are added up at a time, and five held
    monkeypatch.setattr(import_module("pyfairme.metrics.group_sums"), "_STRIP", 700)
    monkeypatch.setattr(import_module("pyfairme.metrics.null_value"), "_BLOCK", 1500)
    rng = np.random.default_rng(2)
    y, pred, group = rng.normal(size=300), rng.normal(size=300), rng.integers(0, 4, 300)
    rows = real_rows(y, pred, group)._replace(weight=rng.random(300) if weighted else None)
    for tabulate in (moments, lambda rows: predictions_by_outcome(rows, 5)):
        table = tabulated(tabulate, rows)
        found = permuted_groups(table, np.random.default_rng(7), 12)
        inner = int(np.prod(table.shape[1:]))
        blocks = [np.flatnonzero(table.cell % inner == code) for code in range(inner)]
        again, cells = np.random.default_rng(7), [table.cell[block] for block in blocks]
        for sums in found:
            columns, cell = table.columns.copy(), table.cell.copy()
            for block, mine in zip(blocks, cells, strict=True):
                if weighted:
                    columns[block] = table.columns[again.permutation(block)]
                else:
                    again.shuffle(mine)  # from where the last draw left them
                    cell[block] = mine
            plain = totals(table._replace(cell=cell, columns=columns))
            np.testing.assert_allclose(sums, plain, rtol=1e-12, atol=1e-12)


def test_the_shuffled_band_covers_an_unrelated_group_and_not_a_related_one():
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(200):
        y, group = rng.standard_t(3, size=120), np.repeat([0, 1, 2], 40)
        null = pm.null_value(
            "mse_sd", y, 0 * y, sensitive_features=group, rng=rng, task="regression", draws=100
        )
        inside += null.low <= pm.mse_sd(y, 0 * y, sensitive_features=group) <= null.high
    assert inside / 200 == pytest.approx(0.9, abs=0.1)  # four SE of .021, and 100 draws
    keywords = {"sensitive_features": group}
    shifted = y + 3.0 * group
    null = pm.null_value("residual_sd", shifted, 0 * y, rng=rng, task="regression", **keywords)
    assert pm.residual_sd(shifted, 0 * y, **keywords) > 2 * null.high


def test_a_metric_without_null_is_refused():
    keywords = {"sensitive_features": ["a", "b"], "rng": np.random.default_rng(0)}
    with pytest.raises(ValueError, match="worst_group_accuracy has no null value"):
        pm.null_value("worst_group_accuracy", [0, 1], [0, 1], **keywords)
    with pytest.raises(ValueError, match=r"Unknown classification metric 'mse_sd'\. Known ones: "):
        pm.null_value("mse_sd", [0, 1], [0, 1], **keywords)


def test_no_value_in_any_draw_is_nan_throughout():
    assert np.isnan(summarise_null(np.array([np.nan, np.nan]), 0.9)).all()


def adult_seen():
    path = Path(os.environ.get("PYFAIRME_DATA", "absent")) / "adult" / "adult.data.gz"
    if not path.exists():
        pytest.skip("PYFAIRME_DATA does not lead to adult/adult.data.gz")
    with gzip.open(path, "rt") as file:
        table = pd.read_csv(file, header=None, skipinitialspace=True).drop_duplicates()
    largest = table[6].value_counts().drop("?").index[:6]
    return table[table[6].isin(largest)]


@pytest.mark.parametrize(
    ("column", "mean", "low", "high"), [(8, 0.039, 0.013, 0.073), (5, 0.032, 0.013, 0.058)]
)
def test_adults_small_groups_show_the_stated_null(column, mean, low, high):
    """Race and marital status at an equal TPR of .85, as design notes computed independently."""
    seen = adult_seen()
    assert len(seen) == 23_004
    group = seen[column].replace("Married-AF-spouse", "Married-civ-spouse")
    y = (seen[14] == ">50K").to_numpy(int)
    pred = np.zeros(len(y))
    positives = np.flatnonzero(y)
    pred[positives[: round(0.85 * len(positives))]] = 1  # the pooled rate is all that matters
    rng = np.random.default_rng(0)
    null = pm.null_value("tpr_sd", y, pred, sensitive_features=group, rng=rng, draws=10_000)
    assert null == pytest.approx((mean, low, high), abs=0.003)
