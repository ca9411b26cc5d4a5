"""Files that an earlier version saved: they load, and predict what it predicted."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf

FILES = Path(__file__).parent / "older_files"
KEY = b"key" * 8


def predicted(kind, X):
    """Predict with a file's model as the version did that wrote it."""
    path = FILES / f"{kind}.pyfairme"
    match kind:
        case "classifier":
            return pf.load(path).predict_proba(X)
        case "private":
            return pf.load(path, key=KEY).predict_proba(X)
        case "counts":
            return pf.load(path).predict(X)
        case "group_thresholds":
            return pf.GroupThresholds.load(path).predict(X)
        case "conformal_sets":
            return pf.ConformalSets.load(path).predict_set(X, 0.8)[[0, 1]]
        case "conformal_intervals":
            X = X[["x1", "cluster", "group1"]]
            return pf.ConformalIntervals.load(path).predict_interval(X, 0.9)[["low", "high"]]
        case _:
            return pf.JointThresholds.load(path).predict(X)


@pytest.mark.parametrize(
    "kind",
    [
        "classifier",
        "private",
        "counts",
        "group_thresholds",
        "joint_thresholds",
        "conformal_sets",
        "conformal_intervals",
    ],
)
def test_predictions_are_those_of_the_version_that_saved(kind):
    X = pd.read_csv(FILES / "rows.csv")
    near_0 = 1e-5 if kind == "conformal_intervals" else 0  # ends of intervals may be anywhere
    with np.load(FILES / "predictions.npz") as found:
        np.testing.assert_allclose(predicted(kind, X), found[kind], rtol=1e-5, atol=near_0)
