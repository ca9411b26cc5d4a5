"""Importance by shuffling: beside scikit-learn's, with the sampling error of its score."""

import numpy as np
import pytest
from sklearn.inspection import permutation_importance as by_sklearn
from sklearn.metrics import roc_auc_score

from pyfairme.explain import permutation_importance
from pyfairme.explain.permutation_importance import auroc_parts
from tests.bad_inputs import tiny


@pytest.mark.long
@pytest.mark.parametrize(("which", "metric", "scoring"), [
    ("clf", "log_loss", "neg_log_loss"),
    ("clf", "auroc", "roc_auc"),
    ("reg", "mse", "neg_mean_squared_error"),
])  # fmt: skip
def test_importance_is_that_of_scikit_learn(which, metric, scoring, request, binary, real):
    model, case = request.getfixturevalue(which), binary if which == "clf" else real
    X, y = case.test, case.y_test
    found = permutation_importance(model, X, y, metric=metric, repeats=32).set_index("feature")
    assert list(found["rank"]) == list(range(1, len(found) + 1))
    assert found["importance"].is_monotonic_decreasing
    names = list(found.index)
    assert set(names) == set(X.columns)  # the cluster is a feature
    other = by_sklearn(model, X, y, scoring=scoring, n_repeats=32, random_state=1)
    theirs = dict(zip(X.columns, zip(other.importances_mean, other.importances_std, strict=True),
                      strict=True))  # fmt: skip
    for name in names:
        mean, sd = theirs[name]
        noise = sd * np.sqrt(2 / 32)
        assert found.loc[name, "importance"] == pytest.approx(mean, abs=4 * noise + 2e-3), name
    assert found["gradient"].drop("cluster").sum() == pytest.approx(1)
    assert np.isnan(found.loc["cluster", "gradient"])


def test_the_fixed_part_has_no_cluster(clf, binary):
    found = permutation_importance(clf, binary.test, binary.y_test, repeats=1, effects="fixed")
    assert "cluster" not in set(found["feature"])
    assert (found["low"] < found["high"]).all()


def test_parts_of_auroc_give_its_value_and_its_sampling_error():
    rng = np.random.default_rng(0)
    positive = rng.random(400) < 0.3
    score = np.round(positive + rng.normal(size=400), 1)  # with ties
    parts = auroc_parts(score, positive)
    assert parts.whole == pytest.approx(1 - roc_auc_score(positive, score))
    assert [one.mean() for one in parts.samples] == pytest.approx([parts.whole] * 2)
    sd = np.sqrt(sum(one.var(ddof=1) / len(one) for one in parts.samples))
    rows = [np.flatnonzero(positive), np.flatnonzero(~positive)]
    again = []
    for _ in range(500):
        drawn = np.concatenate([rng.choice(own, len(own)) for own in rows])
        again.append(roc_auc_score(positive[drawn], score[drawn]))
    assert sd == pytest.approx(np.std(again), rel=0.1)


def test_the_interval_holds_what_other_rows_show():
    """A feature without use has an interval around 0; over tables 90 % of them hold the mean."""
    found = []
    model, X, y = tiny.clean(), tiny.rows(), tiny.target()
    rng = np.random.default_rng(0)
    for seed in range(20):
        rows = rng.choice(len(X), len(X))
        one = permutation_importance(model, X.iloc[rows], y[rows], repeats=2, random_state=seed)
        found.append(one.set_index("feature")[["importance", "low", "high"]])
    for feature in ("x1", "x2", "group1"):
        lines = [one.loc[feature] for one in found]
        mean = np.mean([line["importance"] for line in lines])
        held = np.mean([line["low"] <= mean <= line["high"] for line in lines])
        assert held >= 0.7, feature  # of 20; .9 is meant


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"metric": "mse"}, r"Invalid value of metric: 'mse'.*log_loss.*auroc.*unknown-choice"),
        ({"repeats": 0}, r"repeats"),
        ({"effects": "integrated"}, r"'integrated'.*unknown-choice"),
        ({"metric": "auroc", "y": np.ones(tiny.ROWS, int)}, r"y has one:.*\[one-class-auroc\]"),
        ({"rows": slice(1), "y": [1]}, r"X has one: give more rows.*\[one-row-importance\]"),
    ],
)
def test_what_has_no_importance_is_refused(options, text):
    X, y = tiny.rows()[options.pop("rows", slice(None))], options.pop("y", tiny.target())
    with pytest.raises(ValueError, match=text):
        permutation_importance(tiny.clean(), X, y, **options)
