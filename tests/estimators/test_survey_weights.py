"""Rows that stand for several: policies, reports and studies count them as often."""

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme import metrics


@pytest.fixture(scope="module")
def times(binary):
    """Every row once or three times."""
    return np.where(np.random.default_rng(0).random(len(binary.test)) < 0.4, 3, 1)


def repeated(values, times):
    return values.iloc[np.repeat(np.arange(len(values)), times)].reset_index(drop=True)


@pytest.mark.parametrize("criterion", ["equalized_odds", None])
def test_weights_of_group_thresholds_are_repeated_rows(clf, binary, times, criterion):
    policy = pf.GroupThresholds(clf, "group1", criterion, grid_size=200)
    weighted = policy.fit(binary.test, binary.y_test, sample_weight=times).thresholds_
    plain = policy.fit(binary.test, binary.y_test).thresholds_
    again = policy.fit(repeated(binary.test, times), repeated(binary.y_test, times)).thresholds_
    numbers = ["ignore", "constant", "weight", "above", "or_above"]
    pd.testing.assert_frame_equal(weighted[numbers], again[numbers])
    assert criterion is None or not np.allclose(weighted["above"], plain["above"])
    assert (weighted["n"] == plain["n"]).all()  # rows, however much they weigh


@pytest.mark.filterwarnings("ignore:The classifier was fitted with fairness")
@pytest.mark.parametrize("objective", ["balanced_accuracy", "accuracy"])
def test_weights_of_joint_thresholds_are_repeated_rows(clf, binary, times, objective):
    limits = {"group1": 0.02, "group2": 0.03}
    policy = pf.JointThresholds(clf, limits, objective=objective)
    weighted = policy.fit(binary.test, sample_weight=times).predict_proba(binary.test)
    loss = policy.loss_
    again = policy.fit(repeated(binary.test, times)).predict_proba(binary.test)
    assert policy.loss_ == pytest.approx(loss, rel=1e-3)
    plain = policy.fit(binary.test).predict_proba(binary.test)
    assert np.abs(weighted - again).mean() < 0.002  # the search ends within its tolerance
    assert np.abs(plain - again).mean() > 0.005


def test_a_report_counts_rows_by_their_weight(clf, binary, times):
    one = clf.fairness_report(binary.test, binary.y_test, n_boot=0, sample_weight=times)
    X, y = repeated(binary.test, times), repeated(binary.y_test, times)
    two = clf.fairness_report(X, y, n_boot=0)
    keys = ["effects", "attribute", "group", "metric"]
    both = one.set_index(keys)["value"], two.set_index(keys)["value"]
    exact = [name for name in both[0].index if not name[3].endswith("corrected")]
    pd.testing.assert_series_equal(both[0][exact], both[1][exact], check_exact=False, rtol=1e-6)


def test_weights_of_a_survey_show_what_the_rows_hide():
    """Women of one kind stand for many: a parity of 0 among rows is 1/6 among people."""
    rng = np.random.default_rng(1)
    group = np.where(rng.random(4000) < 0.5, "f", "m")
    rich = rng.random(4000) < 0.5
    decision = rich.astype(int)
    weight = np.where((group == "f") & ~rich, 2.0, 1.0)
    args = (decision, decision)
    rows = metrics.demographic_parity(*args, sensitive_features=group)
    people = metrics.demographic_parity(*args, sensitive_features=group, sample_weight=weight)
    assert rows < 0.04
    assert people == pytest.approx(1 / 2 - 1 / 3, abs=0.04)


@pytest.mark.parametrize(
    ("weight", "text"),
    [
        (np.ones(3), "sample_weight"),
        (-np.ones(200), "[Nn]egative"),
        (np.full(200, np.nan), "NaN"),
    ],
)
def test_bad_weights_are_refused(clf, binary, weight, text):
    with pytest.raises(ValueError, match=text):
        clf.fairness_report(binary.test, binary.y_test, n_boot=0, sample_weight=weight)
    with pytest.raises(ValueError, match=text):
        pf.GroupThresholds(clf, "group1").fit(binary.test, binary.y_test, sample_weight=weight)
