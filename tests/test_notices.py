"""Warnings point at the user's line."""

import warnings

import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.model_selection import cross_val_score

from pyfairme import notices
from pyfairme.notices import DataWarning, warn


def test_the_line_of_the_caller_outside_is_named():
    with pytest.warns(DataWarning, match=r"odd \[code\]") as caught:
        warn("odd [code]", DataWarning)
    assert caught[0].filename == __file__


def test_lines_of_scikit_learn_are_passed_over():
    class Estimator(BaseEstimator):
        def fit(self, X, y):
            return self

    def told(estimator, X, y):
        # a frame of ours and frames of scikit-learn stand between this file and the warning
        source = compile("warn('odd [code]')", f"{notices._OURS}/made_up.py", "exec")
        exec(source, {"warn": warn})
        return 0.0

    X = pd.DataFrame({"x": range(10)})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cross_val_score(Estimator(), X, X.x, scoring=told, cv=2)
    mine = [w for w in caught if "odd" in str(w.message)]
    assert {w.filename for w in mine} == {__file__}
