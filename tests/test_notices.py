"""Warnings point at the user's line."""

import re
import threading
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.model_selection import cross_val_score

import pyfairme as pf
from pyfairme import notices
from pyfairme.notices import DataWarning, errors_alone, noted, shown, unsaid, warn


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


def test_values_are_shown_in_a_few_words():
    assert shown(pd.Series(range(300))) == "a Series of shape (300,)"
    assert shown(np.float64(2.5)) == repr(np.float64(2.5))
    assert shown(list(range(21))) == "a list of 21 items"
    assert shown(("a", 1)) == "('a', 1)"
    assert len(shown("x" * 1000)) < 130


def test_warnings_of_a_fit_point_at_the_line_that_called_it():
    X = pd.DataFrame({"x": np.arange(30.0) / 4, "one": 1.0})
    y = np.arange(30) % 2
    model = pf.FairMixedEffectsClassifier(hidden=(), min_steps=2, epochs=1, progress=False)
    with pytest.warns(UserWarning, match=r"left out: 'one'\. \[constant-column\]") as caught:
        model.fit(X, y)
    with pytest.warns(UserWarning, match=r"\[unlike-training\]") as later:
        model.predict(X.assign(x=np.nan))
    assert {w.filename for w in [*caught, *later]} == {__file__}


def test_every_warning_goes_through_notices():
    root = Path(notices.__file__).parent
    others = [f for f in root.rglob("*.py") if re.search(r"warnings\.warn\(", f.read_text())]
    assert others == [Path(notices.__file__)]


def test_what_one_thread_leaves_unsaid_another_says():
    here, there = threading.Event(), threading.Event()

    def other():
        with unsaid("code"):
            here.set()
            there.wait(60)  # the first thread comes in, and goes, in between

    filters = list(warnings.filters)
    thread = threading.Thread(target=other)
    thread.start()
    assert here.wait(60)
    with pytest.warns(UserWarning, match="odd"):
        warn("odd [code]")
    with unsaid("code"):
        warn("odd [code]")
        with pytest.warns(UserWarning, match="other"), unsaid("third"):
            warn("other [of-a-code]")
        there.set()
        thread.join()
        with unsaid():
            warn("all [of-a-code]")
    with pytest.warns(UserWarning, match="again"):
        warn("again [code]")
    assert warnings.filters == filters


def test_what_is_said_is_noted_whatever_filters_do():
    with warnings.catch_warnings(), noted() as outer, noted() as inner:
        warnings.simplefilter("ignore")
        warn("odd [code]")
        with unsaid("code"):
            warn("left out [code]")
    assert outer == inner == ["odd [code]"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warn("later [code]")
    assert outer == ["odd [code]"]


def test_an_error_comes_without_the_warnings_before_it():
    @errors_alone
    def outer(wrong: bool) -> str:
        warn("odd [code]", DataWarning)
        with unsaid("other"):
            warn("left out [other]")
        return inner(wrong)

    @errors_alone
    def inner(wrong: bool) -> str:
        warn("odd [code]", DataWarning)
        if wrong:
            raise ValueError("wrong [error]")
        return "made"

    with noted() as messages, pytest.warns(DataWarning, match=r"odd \[code\]") as caught:
        assert outer(False) == "made"
    assert messages == ["odd [code]"]  # once
    assert [w.filename for w in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="wrong"):
            outer(True)
    with pytest.warns(UserWarning, match="still"):
        warn("still [code]")


def test_a_fit_that_is_refused_says_only_why():
    X = pd.DataFrame({"g": ["a", "b", "c", None] * 20, "age": range(80), "one": 1.0})
    model = pf.FairMixedEffectsClassifier(cluster="g", sensitive="age")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=r"'age' has 60 distinct numbers.*\[many-numbers\]"):
            model.fit(X, np.arange(80) % 2)
