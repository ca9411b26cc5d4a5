"""Each metric against a plain-Python evaluation of its formula, on tables with empty cells."""

import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pyfairme.metrics as pm
from pyfairme.metrics.metric import find

LEVELS = "abcdefg"
decision_rows = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 1), st.sampled_from(LEVELS), st.integers(1, 4)),
    min_size=1,
    max_size=40,
)
numbers = st.integers(-8, 8).map(lambda value: value / 4)
real_rows = st.lists(
    st.tuples(numbers, numbers, st.sampled_from(LEVELS), st.integers(1, 4)),
    min_size=1,
    max_size=40,
)
derandomised = settings(derandomize=True, deadline=None, max_examples=120)


def rate(pairs):
    """Weighted mean of (value, weight), None without any."""
    total = sum(weight for _, weight in pairs)
    return sum(value * weight for value, weight in pairs) / total if total else None


def by_group(rows, value, keep=lambda row: True):
    groups = sorted({row[2] for row in rows})
    means = [rate([(value(r), r[3]) for r in rows if r[2] == g and keep(r)]) for g in groups]
    return [mean for mean in means if mean is not None]


def spread(values):
    return statistics.pstdev(values) if len(values) > 1 else math.nan


def pairwise(values):
    gaps = [abs(a - b) for a, b in itertools.combinations(values, 2)]
    return sum(gaps) / len(gaps) if gaps else math.nan


def unpack(rows):
    y, pred, group, weight = (list(column) for column in zip(*rows, strict=True))
    return (y, pred), {"sensitive_features": group, "sample_weight": weight}


def check(metric, rows, expected):
    args, keywords = unpack(rows)
    assert metric(*args, **keywords) == pytest.approx(expected, abs=1e-12, nan_ok=True)


@derandomised
@given(decision_rows)
def test_rates_of_decisions(rows):
    check(pm.tpr_sd, rows, spread(by_group(rows, lambda r: r[1], lambda r: r[0] == 1)))
    check(pm.fpr_sd, rows, spread(by_group(rows, lambda r: r[1], lambda r: r[0] == 0)))
    check(pm.demographic_parity, rows, pairwise(by_group(rows, lambda r: r[1])))
    check(pm.worst_group_accuracy, rows, min(by_group(rows, lambda r: r[0] == r[1])))


@derandomised
@given(real_rows)
def test_errors_of_regressions(rows):
    check(pm.mse_sd, rows, spread(by_group(rows, lambda r: (r[0] - r[1]) ** 2)))
    check(pm.residual_sd, rows, spread(by_group(rows, lambda r: r[0] - r[1])))
    check(pm.demographic_parity, rows, pairwise(by_group(rows, lambda r: r[1])))


@derandomised
@given(real_rows, st.integers(1, 6))
def test_conditional_demographic_disparity(rows, bins):
    (y, pred), keywords = unpack(rows)
    cuts = np.quantile(y, np.arange(1, bins) / bins)
    parts = {}
    for row in rows:
        parts.setdefault(sum(cut < row[0] for cut in cuts), []).append(row)
    total = weight = 0.0
    for part in parts.values():
        gap = pairwise(by_group(part, lambda r: r[1]))
        if not math.isnan(gap):
            mass = sum(row[3] for row in part)
            total, weight = total + mass * gap, weight + mass
    expected = total / weight if weight else math.nan
    found = pm.conditional_demographic_disparity(y, pred, bins=bins, **keywords)
    assert found == pytest.approx(expected, abs=1e-12, nan_ok=True)


@derandomised
@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 64), st.sampled_from(LEVELS), st.just(1)),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 12),
)
def test_calibration_error(rows, bins):
    y = [row[0] for row in rows]
    prob = [row[1] / 64 for row in rows]
    group = [row[2] for row in rows]
    expected = {}
    for name in sorted(set(group)):
        cells = {}
        for outcome, p, g in zip(y, prob, group, strict=True):
            if g == name:
                cells.setdefault(min(math.floor(p * bins), bins - 1), []).append(outcome - p)
        size = sum(len(cell) for cell in cells.values())
        expected[name] = sum(len(c) / size * abs(sum(c) / len(c)) for c in cells.values())
    found = pm.calibration_error_by_group(y, prob, sensitive_features=group, bins=bins)
    assert found.to_dict() == pytest.approx(expected, abs=1e-12)
    worst = pm.worst_group_calibration_error(y, prob, sensitive_features=group, bins=bins)
    assert worst == pytest.approx(max(expected.values()), abs=1e-12)


@derandomised
@given(st.lists(st.tuples(*[st.floats(0, 1)] * 4), min_size=1, max_size=20))
def test_counterfactual_gap(rows):
    gaps = [abs(row[0] - other) for row in rows for other in row[1:]]
    found = pm.counterfactual_gap([row[0] for row in rows], [row[1:] for row in rows])
    assert found == pytest.approx(sum(gaps) / len(gaps), abs=1e-12)


def test_corrected_sd_follows_its_formula():
    # positives 4, 2, 1 with 3, 1, 0 accepted; pooled rate 4/7
    y, pred = [1] * 7, [1, 1, 1, 0, 1, 0, 0]
    group = list("aaaabbc")
    noise = [0.75 * 0.25 / 3, 0.5 * 0.5 / 1, 4 / 7 * 3 / 7]
    expected = statistics.pvariance([0.75, 0.5, 0.0]) - 2 / 9 * sum(noise)
    assert expected < 0
    assert pm.tpr_sd_corrected(y, pred, sensitive_features=group) == 0.0
    zeros = [0] * 70
    many = pm.fpr_sd_corrected(zeros, pred * 10, sensitive_features=group * 10)
    noise = [0.75 * 0.25 / 39, 0.5 * 0.5 / 19, 0.0]
    expected = math.sqrt(statistics.pvariance([0.75, 0.5, 0.0]) - 2 / 9 * sum(noise))
    assert many == pytest.approx(expected, abs=1e-12)


def test_expected_noise_is_unbiased_over_all_samples():
    """Sum over every outcome of three small binomial groups, weighted by its probability."""
    from pyfairme.metrics.equalized_odds_corrected import expected_noise

    sizes, rates = (2, 3, 5), (0.2, 0.5, 0.9)
    outcomes = list(itertools.product(*(range(n + 1) for n in sizes)))
    accepted, n = np.array(outcomes, float), np.array(sizes, float)
    probability = np.array(
        [
            math.prod(
                math.comb(size, k) * p**k * (1 - p) ** (size - k)
                for size, p, k in zip(sizes, rates, outcome, strict=True)
            )
            for outcome in outcomes
        ]
    )
    excess = (accepted / n).var(axis=1) - expected_noise(
        accepted, np.broadcast_to(n, accepted.shape)
    )
    assert probability @ excess == pytest.approx(np.var(rates), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_fairlearns_differences_are_fairlearns(seed):
    from fairlearn import metrics as fl

    rng = np.random.default_rng(seed)
    y, pred = rng.integers(0, 2, (2, 60))
    group, weight = rng.integers(0, 4, 60), rng.integers(1, 5, 60)
    keywords = {"sensitive_features": group, "sample_weight": weight}
    for name in ("equalized_odds_difference", "demographic_parity_difference"):
        expected = getattr(fl, name)(y, pred, **keywords)
        assert getattr(pm, name)(y, pred, **keywords) == pytest.approx(expected, abs=1e-12)


def test_a_rate_that_is_not_defined_makes_no_difference():
    """Every TPR is .8 and every FPR .2; the third group has no positives, fairlearn says .8."""
    y = np.repeat([1, 0, 1, 0, 0], [100, 100, 100, 100, 40])
    group = np.repeat(["a", "b", "c"], [200, 200, 40])
    accepted = ((100, 80), (100, 20), (100, 80), (100, 20), (40, 8))
    pred = np.concatenate([np.arange(n) < k for n, k in accepted]).astype(int)
    assert pm.equalized_odds_difference(y, pred, sensitive_features=group) == pytest.approx(0)
    assert pm.tpr_sd(y, pred, sensitive_features=group) == pytest.approx(0)
    one = np.zeros(440)
    assert np.isnan(pm.equalized_odds_difference(y, pred, sensitive_features=one))
    assert np.isnan(pm.demographic_parity_difference(y, pred, sensitive_features=one))


@pytest.mark.parametrize("seed", range(5))
def test_what_the_bootstrap_reduces_is_what_fairlearn_computes(seed):
    from pyfairme.metrics.confusion import confusion, decision_rows
    from pyfairme.metrics.group_sums import totals

    rng = np.random.default_rng(seed)
    y, pred, group = rng.integers(0, 2, 40), rng.integers(0, 2, 40), rng.integers(0, 6, 40)
    y[group == 5] = 1
    sums = totals(confusion(decision_rows(y, pred, group)))
    for name in ("equalized_odds_difference", "demographic_parity_difference"):
        public = getattr(pm, name)(y, pred, sensitive_features=group)
        assert find(name, "classification").reduce(sums) == pytest.approx(public, abs=1e-12)


def test_rates_per_group_are_fairlearns():
    from fairlearn import metrics as fl

    from pyfairme.metrics.confusion import confusion, decision_rows, fpr, selection_rate, tpr
    from pyfairme.metrics.group_sums import totals

    rng = np.random.default_rng(3)
    y, pred, group = rng.integers(0, 2, 200), rng.integers(0, 2, 200), rng.integers(0, 4, 200)
    named = {
        "tpr": fl.true_positive_rate,
        "fpr": fl.false_positive_rate,
        "rate": fl.selection_rate,
    }
    frame = fl.MetricFrame(metrics=named, y_true=y, y_pred=pred, sensitive_features=group).by_group
    sums = totals(confusion(decision_rows(y, pred, group)))
    ours = np.column_stack([tpr(sums), fpr(sums), selection_rate(sums)])
    np.testing.assert_allclose(ours, frame.to_numpy(float), atol=1e-12)


@pytest.mark.parametrize("metric", [pm.tpr_sd, pm.fpr_sd, pm.tpr_sd_corrected, pm.fpr_sd_corrected])
def test_groups_without_rows_to_rate_are_left_out(metric):
    outcome = 1.0 if metric in (pm.tpr_sd, pm.tpr_sd_corrected) else 0.0
    y = np.array([outcome] * 40 + [1 - outcome] * 10)
    pred = np.tile([1, 1, 0, 0, 1], 10)
    group = np.repeat(["a", "b", "none"], [20, 20, 10])
    rated = y == outcome
    expected = metric(y[rated], pred[rated], sensitive_features=group[rated])
    assert metric(y, pred, sensitive_features=group) == expected
    assert math.isnan(metric(y, pred, sensitive_features=np.where(rated, "a", "none")))


def test_renaming_groups_and_reordering_rows_changes_nothing():
    rng = np.random.default_rng(0)
    y, pred, group = rng.integers(0, 2, 300), rng.integers(0, 2, 300), rng.integers(0, 6, 300)
    order, names = rng.permutation(300), np.array(list("zqkbxa"))
    for metric in (pm.tpr_sd, pm.fpr_sd_corrected, pm.demographic_parity, pm.residual_sd):
        expected = metric(y, pred, sensitive_features=group)
        renamed = metric(y[order], pred[order], sensitive_features=names[group[order]])
        assert renamed == pytest.approx(expected, abs=1e-12)


def test_bins_are_checked():
    with pytest.raises(ValueError, match="bins must be a whole number of at least 1, got 0"):
        pm.conditional_demographic_disparity([0], [0], sensitive_features=["a"], bins=0)
    with pytest.raises(ValueError, match="bins must be a whole number of at least 1, got 0"):
        pm.calibration_error_by_group([0], [0], sensitive_features=["a"], bins=0)
