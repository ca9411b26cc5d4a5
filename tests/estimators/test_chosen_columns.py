"""Columns of codes and columns that are not used, named on the estimator."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import pyfairme as pf


@pytest.fixture(scope="module")
def case(binary):
    def more(X):
        code = X["x1"].rank().astype(int) % 3 + 1
        return X.assign(code=code, day=pd.Timestamp("2026-01-01"), number=np.arange(len(X)))

    return more(binary.X), binary.y, more(binary.test), binary.y_test


@pytest.fixture(scope="module")
def chosen(case, classifier):
    return classifier(categorical="code", drop=["day", "number"]).fit(*case[:2])


def test_a_fit_is_that_of_a_table_made_so_by_hand(case, chosen, classifier):
    X, y, test, y_test = case

    def by_hand(frame):
        return frame.drop(columns=["day", "number"]).assign(code=frame["code"].astype(str))

    clf = classifier().fit(by_hand(X), y)
    expected = clf.predict_proba(by_hand(test))
    np.testing.assert_array_equal(chosen.predict_proba(test), expected)
    np.testing.assert_array_equal(chosen.predict_proba(by_hand(test)), expected)
    assert chosen.n_features_in_ == X.shape[1]
    report = chosen.fairness_report(test, y_test, attributes=["group1", "code"], n_boot=0)
    assert set(report["attribute"]) == {"all", "group1", "code"}  # beside a column of dates


def test_it_is_said_kept_and_cloned(case, chosen, tmp_path):
    text = " ".join(str(chosen.summary()).split())
    assert "code (3 levels)" in text
    assert "left out as asked: day, number" in text
    chosen.save(tmp_path / "m.pyfairme")
    for copy in (pf.load(tmp_path / "m.pyfairme"), clone(chosen)):
        assert (copy.categorical, copy.drop) == ("code", ["day", "number"])


def test_what_cannot_be_meant_is_refused(case, classifier):
    X, y, *_ = case
    for keywords, message in (
        ({"drop": "days"}, r"drop column 'days' is not in the frame.*\[absent-column\]"),
        ({"drop": 3}, r"Invalid value of drop: 3.*\[column-list\]"),
        ({"categorical": [""]}, r"Invalid value of categorical.*\[column-list\]"),
        ({"drop": "x1", "offset": "x1"}, r"offset 'x1' is in drop too.*\[two-roles\]"),
        ({"drop": "group1"}, r"'group1' is dropped and sensitive.*\[two-roles\]"),
    ):
        with pytest.raises(ValueError, match=message):
            classifier(**keywords).fit(X, y)
    plain = pf.FairMixedEffectsClassifier(drop="x1")
    with pytest.raises(ValueError, match=r"categorical and drop are names of columns.*\[array"):
        plain.fit(np.zeros((9, 2)), np.arange(9) % 2)
