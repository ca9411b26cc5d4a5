"""What a trial is judged by: the figures that a frontier trades."""

import numpy as np
import pytest

from pyfairme import metrics
from pyfairme.study.evaluation.bootstrap_replicates import replicate
from pyfairme.study.frontier.frontier_points import curves
from pyfairme.study.tuning.trials import FoldRows, metrics_of


def as_folds(pooled, classes):
    """Rows of a study as those of three validation folds."""
    judged = pooled.judged
    names = {name: np.unique(labels) for name, labels in judged.sensitive.items()}
    whole = {
        "y": judged.y,
        "prediction": judged.prediction["mixed"],
        "decision": judged.decision.get("mixed", np.empty(0)),
        "log_density": judged.log_density.get("mixed", np.empty(0)),
        "weight": np.ones(len(judged.y)),
    }
    codes = {name: np.searchsorted(names[name], judged.sensitive[name]) for name in names}
    parts = np.array_split(np.flatnonzero(judged.seen), 3)
    return [
        FoldRows(
            **{name: values[at] if len(values) else values for name, values in whole.items()},
            sensitive={name: code[at] for name, code in codes.items()},
            classes=classes,
            seconds=0.0,
            warnings=(),
        )
        for at in parts
    ]


@pytest.mark.parametrize("classes", [(0, 1), ("a", "b", "c"), ()])
def test_accuracy_and_worst_sd_are_those_of_a_frontier(make_runs, classes):
    runs = make_runs({"one": {"bias": 0 if len(classes) > 2 else 0.7}}, classes=classes)
    found = metrics_of(as_folds(runs["one", 0], len(classes)))
    (point,) = curves(replicate(runs, n_boot=0))["mixed", "seen"].points.values()
    goal = "balanced_accuracy" if classes else "r2"
    unit = 1.0
    if not classes:
        judged = runs["one", 0].judged
        unit = np.std(judged.y[judged.seen])
    assert found["accuracy"] == pytest.approx(point.overall[goal].value)
    assert found["worst_sd"] == pytest.approx(point.worst.value / unit)
    for (metric, attribute), spread in point.spreads.items():
        if not metric.endswith("_corrected"):
            of = unit**2 if metric == "mse_sd" else unit
            assert found[f"{metric}[{attribute}]"] == pytest.approx(spread.value / of)


def test_noise_of_a_group_is_no_unfairness_of_a_regression():
    rng = np.random.default_rng(0)
    group = rng.integers(2, size=3000)
    y = rng.normal(size=3000) * np.where(group, 2.0, 1.0)
    y -= np.array([y[group == g].mean() for g in (0, 1)])[group]
    none, zero, ones = np.empty(0), np.zeros(3000), np.ones(3000)
    fold = FoldRows(y, zero, none, zero, {"g": group}, ones, 0, 0.0, ())
    found = metrics_of([fold])
    assert found["worst_sd"] == found["residual_sd[g]"] == pytest.approx(0, abs=1e-12)
    expected = metrics.mse_sd(y, np.zeros(3000), sensitive_features=group) / np.var(y)
    assert found["mse_sd[g]"] == pytest.approx(expected)
    assert expected > 0.5
    twice = np.where(group, 2.0, 1.0)
    rows = np.repeat(np.arange(3000), 1 + group)
    many = np.zeros(len(rows))
    repeated = FoldRows(y[rows], many, none, many, {"g": group[rows]}, many + 1, 0, 0.0, ())
    weighted, doubled = metrics_of([fold._replace(weight=twice)]), metrics_of([repeated])
    assert weighted["mse_sd[g]"] == pytest.approx(doubled["mse_sd[g]"])
    assert weighted["mse_sd[g]"] != pytest.approx(expected)
    scaled = metrics_of([fold._replace(y=10 * y + group, prediction=np.zeros(3000))])
    again = metrics_of([fold._replace(y=y + group / 10, prediction=np.zeros(3000))])
    assert scaled["worst_sd"] == pytest.approx(again["worst_sd"])
    assert scaled["worst_sd"] > 0.01
