"""Labels that are probably not what they are taken for: named, with the cure."""

import warnings

import numpy as np
import pandas as pd
import pytest

from pyfairme.data.grouping_factors import Factor
from pyfairme.estimators.cluster_label_warnings import (
    warn_of_similar_labels,
    warn_of_unknown_clusters,
    warn_of_unknown_labels,
)
from pyfairme.notices import DataWarning

KNOWN = Factor("town", ("7", "8", "0.1", "Oslo"))


def frame(*labels):
    return pd.DataFrame({"town": pd.Series(labels, dtype=object)})


@pytest.mark.parametrize("label", ["Oslo ", "OSLO", "07", "7.00", " 7"])
def test_a_known_label_spelt_otherwise_is_named(label):
    with pytest.warns(DataWarning, match=r"'town' has labels.*\[similar-labels\]") as said:
        warn_of_unknown_labels([KNOWN], frame(label, "8", "8"))
    assert repr(label) in str(said[0].message)
    assert "1 of 3 rows" in str(said[0].message)


def test_ids_that_went_through_float32_are_named():
    short = pd.DataFrame({"town": np.array([0.1, 8.0], np.float32)})
    with pytest.warns(DataWarning, match=r"0\.1000000.*' for '0\.1'"):
        warn_of_unknown_labels([KNOWN], short)


def test_whole_numbers_that_float32_cannot_tell_apart_are_not():
    large = Factor("town", ("16777216", "100000001"))
    warn_of_unknown_labels([large], frame("16777217", "100000002"))


def test_what_is_new_or_known_is_not():
    warn_of_unknown_labels([KNOWN], frame("Bergen", "Oslo", 7, 7.0, "9", None))


def test_training_labels_that_differ_in_case_or_spaces_are_named():
    with pytest.warns(DataWarning, match=r"'oslo' for 'Oslo'.*\[similar-labels\]"):
        warn_of_similar_labels(frame("Bergen", "Oslo", "oslo", None), ["town"])
    warn_of_similar_labels(frame("1", 1, "2", "10", "Oslo", "Os lo"), ["town"])


def test_mostly_unknown_clusters_are_named():
    rows = frame(*["x"] * 15, *["8"] * 10)
    text = r"15 of 25 rows are of no cluster.*new ones such as 'x'; known are '7', '8'.*-unseen\]"
    with pytest.warns(DataWarning, match=text):
        warn_of_unknown_clusters([KNOWN], rows)
    with pytest.warns(DataWarning, match=r"20 of 20 rows .* missing values"):
        warn_of_unknown_clusters([KNOWN], frame(*[None] * 20))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_unknown_clusters([KNOWN], rows.iloc[5:])  # half of them
        warn_of_unknown_clusters([KNOWN], frame("x", "y"))  # an ordinary question


def test_predictions_warn_and_reports_and_other_policies_do_not(clf, binary):
    with pytest.warns(DataWarning, match=r"\[mostly-unseen\]"):
        clf.predict(binary.unseen)
    with pytest.warns(DataWarning, match=r"'C0 ' for 'c0'.*\[similar-labels\]"):
        clf.predict(binary.test.assign(cluster=binary.test["cluster"].replace("c0", "C0 ")))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf.fairness_report(binary.unseen, binary.y_unseen, n_boot=0)
        clf.predict_proba(binary.unseen, effects="fixed")
        clf.set_params(unseen="sample")
        try:
            clf.predict(binary.unseen)
        finally:
            clf.set_params(unseen="infer")
