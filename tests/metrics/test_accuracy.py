import itertools

import numpy as np
import pytest

import pyfairme.metrics as pm
from pyfairme.metrics.group_sums import totals, ungrouped
from pyfairme.metrics.metric import registered


def test_against_the_formulas():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 50)
    prob = rng.integers(1, 8, 50) / 8
    w = rng.integers(1, 4, 50)
    pred = (prob > 0.5).astype(int)
    pairs = list(itertools.product(np.flatnonzero(y == 1), np.flatnonzero(y == 0)))
    won = sum(w[i] * w[j] * ((prob[i] > prob[j]) + (prob[i] == prob[j]) / 2) for i, j in pairs)
    given = np.where(y == 1, prob, 1 - prob)
    expected = {
        pm.auroc: won / sum(w[i] * w[j] for i, j in pairs),
        pm.log_loss: -(w * np.log(given)).sum() / w.sum(),
        pm.brier: (w * (prob - y) ** 2).sum() / w.sum(),
    }
    for metric, value in expected.items():
        assert metric(y, prob, sample_weight=w) == pytest.approx(value, abs=1e-12)
    recalls = [np.average(pred[y == k] == k, weights=w[y == k]) for k in (0, 1)]
    assert pm.balanced_accuracy(y, pred, sample_weight=w) == pytest.approx(np.mean(recalls))
    real = rng.normal(size=50)
    error = np.average((real - prob) ** 2, weights=w)
    centred = real - np.average(real, weights=w)
    assert pm.mse(real, prob, sample_weight=w) == pytest.approx(error)
    assert pm.r2(real, prob, sample_weight=w) == pytest.approx(
        1 - error / np.average(centred**2, weights=w)
    )


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_what_the_bootstrap_reduces_is_what_scikit_learn_computes(task):
    """Weights stand for how often a replicate holds a row, 0 included."""
    rng = np.random.default_rng(1)
    weight = rng.integers(0, 3, 400).astype(float)
    if task == "classification":
        y = rng.integers(0, 2, 400).astype(float)
        prob = np.clip(np.round(rng.random(400) * 0.6 + 0.3 * y, 2), 0, 1)
        rows = ungrouped(y, (prob > 0.5).astype(float), prob)
    else:
        y = 1e4 + rng.normal(size=400)
        rows = ungrouped(y, y + rng.normal(size=400))
    overall = [m for m in registered() if (m.task, m.scope) == (task, "overall") and not m.needs]
    assert len(overall) == {"classification": 4, "regression": 4}[task]
    for metric in overall:
        found = metric.reduce(totals(metric.tabulate(rows), weight))
        scored = metric.name in ("auroc", "log_loss", "brier")
        prediction = rows.y_prob if scored else rows.y_pred
        expected = getattr(pm, metric.name)(y, prediction, sample_weight=weight)
        assert found == pytest.approx(expected, rel=1e-9), metric.name


def test_certain_and_wrong_is_finite_and_agrees():
    rows = ungrouped(np.array([1.0, 0.0]), np.array([0.0, 0.0]), np.array([0.0, 0.0]))
    metric = next(m for m in registered() if m.name == "log_loss")
    found = metric.reduce(totals(metric.tabulate(rows)))
    assert found == pytest.approx(pm.log_loss([1, 0], [0.0, 0.0]))


@pytest.mark.parametrize("metric", [pm.auroc, pm.balanced_accuracy])
def test_one_outcome_is_refused(metric):
    with pytest.raises(ValueError, match="needs both outcomes in y_true, got only 1; evaluate on"):
        metric([1, 1], [1, 0])


def test_a_constant_outcome_is_refused():
    with pytest.raises(ValueError, match="r2 needs outcomes that vary, got the same value"):
        pm.r2([2.0, 2.0], [1.0, 2.0])
