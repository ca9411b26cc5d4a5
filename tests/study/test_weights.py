"""Weights of a data set reach training, judging, stores and tests of a study."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme import metrics
from pyfairme.study import compare, cross_validate
from pyfairme.study.crossval.cross_validate import fingerprint
from pyfairme.study.crossval.splits import some_rows
from pyfairme.study.tuning.trials import judge_fold, metrics_of, pose_problem

SMALL = {"hidden": (), "min_steps": 20, "epochs": 1, "progress": False, "guide": "mean_field"}


@pytest.fixture(scope="module")
def data():
    made = pf.datasets.make_clustered(rows=300, clusters=4, sensitive_levels=(2,), random_state=0)
    weight = pd.Series(np.where(made.frame["group1"] == "g0", 3.0, 1.0))
    return replace(made, weight=weight)


def model(**keywords):
    return pf.FairMixedEffectsClassifier(**{**SMALL, **keywords})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="module")
def found(data, store):
    models = {"a": model(), "b": model(fairness=None)}
    return cross_validate(models, data, folds=3, seeds=1, store=store, n_boot=20, progress=False)


@pytest.mark.long
def test_metrics_of_a_study_are_weighted(found, data):
    run = found.runs["a", 0]
    np.testing.assert_array_equal(run.judged.weight, data.weight.to_numpy()[run.row])
    judged = run.judged
    lines = found.frame.query("variant == 'a' and effects == 'mixed' and group == 'all'")
    lines = lines.set_index(["attribute", "metric"])["value"]
    p, decision = judged.prediction["mixed"], judged.decision["mixed"]
    auroc = metrics.auroc(judged.y, p, sample_weight=judged.weight)
    assert lines["all", "auroc"] == pytest.approx(auroc)
    assert metrics.auroc(judged.y, p) != pytest.approx(auroc, abs=1e-4)
    parity = metrics.demographic_parity(
        judged.y,
        decision,
        sensitive_features=judged.sensitive["group1"],
        sample_weight=judged.weight,
    )
    assert lines["group1", "demographic_parity"] == pytest.approx(parity)


@pytest.mark.long
def test_a_comparison_of_weighted_rows_has_tests(found):
    tests = compare(found, baseline="a").frame
    assert tests["p_bootstrap"].notna().any()


def test_a_stored_study_of_other_weights_is_refused(found, data, store):
    assert fingerprint(data) != fingerprint(replace(data, weight=data.weight * 2))
    with pytest.raises(ValueError, match="fingerprint"):
        cross_validate(
            {"a": model(), "b": model(fairness=None)},
            replace(data, weight=None),
            folds=3,
            seeds=1,
            store=store,
            progress=False,
        )


def test_a_part_of_the_rows_keeps_its_weights(data):
    part = some_rows(data, 50)
    share = (part.frame["group1"] == "g0").to_numpy()
    np.testing.assert_array_equal(part.weight == 3.0, share)


def test_a_trial_counts_rows_by_their_weight(data):
    problem = pose_problem(data, (), 3, 1, 0)
    fold = judge_fold(problem, model(cluster="cluster", sensitive=("group1",)), 0)
    weighted, plain = metrics_of([fold]), metrics_of([fold._replace(weight=np.ones(len(fold.y)))])
    expected = metrics.auroc(fold.y, fold.prediction, sample_weight=fold.weight)
    assert weighted["auroc"] == pytest.approx(expected)
    assert weighted["accuracy"] != plain["accuracy"]
