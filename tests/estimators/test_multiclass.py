"""More than two classes: shapes, effects, intervals, one-vs-rest reports, files."""

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme import metrics
from pyfairme.estimators import fairness_report

LABELS = np.array(["high", "low", "mid"])  # sorted: the codes are positions here


@pytest.fixture(scope="module")
def data():
    return pf.datasets.make_clustered(
        3000,
        8,
        likelihood="categorical",
        intercept_scale=2.0,
        sensitive_levels=(2, 3),
        slopes=0,
        nonlinear=False,
        random_state=5,
    )


@pytest.fixture(scope="module")
def y(data):
    return np.array(["low", "mid", "high"])[data.target]


@pytest.fixture(scope="module")
def clf(data, y):
    return pf.FairMixedEffectsClassifier(
        "cluster",
        ("group1", "group2"),
        guide="mean_field",
        fairness=("adversarial", "correlation", "moment"),
        fairness_weight=0.01,
        hidden=(),
        class_weight={"low": 1.0, "mid": 1.0, "high": 1.0},
        random_state=0,
        progress=False,
    ).fit(data.frame, y)


def test_probabilities_and_the_likeliest_class(clf, data):
    rows = data.frame[:100]
    assert list(clf.classes_) == list(LABELS)
    assert clf.threshold_ == {}
    for effects in ("fixed", "random", "mixed"):
        p = clf.predict_proba(rows, effects)
        assert p.shape == (100, 3)
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
        assert list(clf.predict(rows, effects)) == list(LABELS[p.argmax(axis=1)])


def test_it_predicts_better_than_the_fixed_effects_alone(clf, data, y):
    mixed, fixed = ((clf.predict(data.frame, e) == y).mean() for e in ("mixed", "fixed"))
    best = (np.array(["low", "mid", "high"])[(data.truth.mixed > 0) * 2] == y).mean()
    assert mixed > fixed + 0.05
    assert mixed > best - 0.02


def test_contrasts_of_effects_are_those_of_the_truth(clf, data):
    effects = clf.cluster_effects_
    assert list(effects.columns) == [
        "factor", "cluster", "term", "class", "mean", "sd", "low", "high",
    ]  # fmt: skip
    wide = effects.pivot(index="cluster", columns="class", values="mean")
    truth = data.truth.intercepts  # link of "high" - link of "low" moves by the intercept
    assert np.corrcoef((wide["high"] - wide["low"])[truth.index], truth)[0, 1] > 0.98


def test_tables_and_posterior_carry_the_class(clf):
    components, icc = clf.variance_components_, clf.icc()
    assert list(components["class"]) == list(LABELS)
    assert list(icc["class"]) == list(LABELS)
    fixed = clf.fixed_effects_
    assert set(fixed["class"]) == set(LABELS)
    assert len(fixed) == 3 * fixed["term"].nunique()
    posterior = clf.posterior_.posterior
    assert posterior["cluster_intercept"].dims == ("chain", "draw", "cluster", "class")
    assert list(posterior["class"].values) == list(LABELS)


def test_intervals_are_long_with_a_class_column(clf, data):
    rows = data.frame[7:27]
    mean = clf.predict_proba(rows)
    for kind in ("auto", "observation"):
        found = clf.predict_interval(rows, kind=kind)
        assert list(found.columns) == ["class", "mean", "low", "high"]
        assert list(found.index) == list(np.repeat(rows.index, 3))
        assert list(found["class"]) == list(LABELS) * 20
        np.testing.assert_allclose(found["mean"].to_numpy().reshape(20, 3), mean, rtol=1e-6)
        assert (found["low"] <= found["high"]).all()
    assert set(found["low"]) | set(found["high"]) <= {0.0, 1.0}


def test_drawn_classes_occur_as_often_as_predicted(clf, data):
    drawn = clf.sample_predictive(data.frame[:200], draws=400)
    share = [(drawn == code).mean().item() for code in range(3)]
    np.testing.assert_allclose(share, clf.predict_proba(data.frame[:200]).mean(axis=0), atol=0.01)


def test_importance_counts_every_class(clf, data):
    found = clf.feature_importance(data.frame[:200]).set_index("feature")["importance"]
    assert found["x1"] > found["x5"] > 0


def test_the_report_is_one_against_the_rest(clf, data, y):
    rows, seen = data.frame[:800], y[:800]
    found = clf.fairness_report(rows, seen, n_boot=20)
    assert set(found["class"]) == set(LABELS)
    p, decision = clf.predict_proba(rows), clf.predict(rows)
    flips = {
        "group1": [rows.assign(group1=g) for g in ("g0", "g1")],
        "group2": [rows.assign(group2=g) for g in ("g0", "g1", "g2")],
    }
    for code, label in enumerate(LABELS):
        gaps = {
            name: sum(np.abs(clf.predict_proba(f)[:, code] - p[:, code]) for f in each)
            / (len(each) - 1)
            for name, each in flips.items()
        }
        by_hand = metrics.classification_report_frame(
            (seen == label).astype(int),
            p[:, code],
            (decision == label).astype(int),
            sensitive={name: rows[name] for name in flips},
            cluster=rows["cluster"],
            gap=gaps,
            rng=np.random.default_rng(clf._seed),
            n_boot=20,
        )
        block = found[(found["class"] == label) & (found["effects"] == "mixed")]
        pd.testing.assert_frame_equal(
            block[by_hand.columns].reset_index(drop=True), by_hand, rtol=1e-5, atol=1e-9
        )


def test_pooling_and_its_refusal(clf, data, y):
    parts = [fairness_report.collect(clf, data.frame[i:400:2], y[i:400:2]) for i in (0, 1)]
    pooled = fairness_report.pool(parts)
    assert pooled.classes == tuple(LABELS)
    assert pooled.prediction["mixed"].shape == (400, 3)
    assert pooled.gap["mixed"]["group2"].shape == (400, 3)
    other = fairness_report.EvaluatedRows(**{**vars(parts[1]), "classes": ("a", "b", "c")})
    with pytest.raises(ValueError, match="The fits know different classes"):
        fairness_report.pool([parts[0], other])


def test_a_saved_classifier_is_the_same(clf, data, tmp_path):
    clf.save(tmp_path / "model.pyfairme")
    again = pf.load(tmp_path / "model.pyfairme")
    rows = data.frame[:50]
    np.testing.assert_array_equal(again.predict_proba(rows), clf.predict_proba(rows))
    assert list(again.predict(rows)) == list(clf.predict(rows))
    pd.testing.assert_frame_equal(again.cluster_effects_, clf.cluster_effects_)


@pytest.mark.parametrize("threshold", ["balanced_accuracy", 0.3])
def test_a_threshold_is_for_two_classes(data, y, threshold):
    estimator = pf.FairMixedEffectsClassifier("cluster", threshold=threshold)
    with pytest.raises(ValueError, match=r"is for two classes, and y has 3: .* Leave threshold"):
        estimator.fit(data.frame, y)
