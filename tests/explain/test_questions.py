"""What cannot be meant is refused at once, with what to do."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from pyfairme.explain import (
    avg_comparisons,
    avg_predictions,
    avg_slopes,
    comparisons,
    predictions,
)
from tests.bad_inputs import tiny

WITH_GAPS = {"x1": np.nan}


@pytest.mark.parametrize(
    ("call", "options", "text"),
    [
        (avg_predictions, {"by": "nope"}, r"by column 'nope' is not in the frame.*absent-column"),
        (avg_predictions, {"by": [3]}, r"sensitive attribute: 3.*\[sensitive-attribute"),
        (avg_predictions, {"variables": "x9"}, r"'x9' is not in the frame.*absent-column"),
        (avg_predictions, {"variables": "spare"}, r"does not use the column 'spare'.*\[not-used"),
        (avg_predictions, {"variables": []}, r"variables=\[\] names none.*\[no-variables"),
        (avg_predictions, {"variables": {"x1": "high"}}, r"'x1' takes numbers.*'high'.*\[no-value"),
        (avg_predictions, {"variables": {"x1": []}}, r"'x1' takes numbers.*\[no-values"),
        (avg_predictions, {"variables": {"x1": [1, None]}}, r"got \[1, None\].*\[no-values"),
        (avg_predictions, {"variables": {"cluster": "z"}}, r"no cluster 'z'.*c0.*\[not-a-level"),
        (avg_predictions, {"effects": "all"}, r"Invalid value of effects: 'all'.*unknown-choice"),
        (avg_predictions, {"level": 90}, r"level must lie between 0 and 1, got 90.*\[level"),
        (avg_predictions, {"draws": 0}, r"draws.*0"),
        (avg_predictions, {"sample_weight": [1]}, r"\[weights"),
        (avg_comparisons, {"variables": {"x1": "big"}}, r"'x1' cannot be compared by 'big'.*\[con"),
        (avg_comparisons, {"variables": {"x1": 0}}, r"compared by 0: give a step.*\[contrast"),
        (avg_comparisons, {"variables": {"group1": "sd"}}, r"give \['reference', .*\[contrast"),
        (avg_comparisons, {"variables": {"group1": ["g0", "q"]}}, r"no level 'q'.*\[not-a-level"),
        (avg_comparisons, {"variables": {"group1": ["g0", "g0"]}}, r"one level only.*\[one-level"),
        (avg_comparisons, {"variables": "x1", "comparison": "lift"}, r"'lift'.*unknown-choice"),
        (
            avg_comparisons,
            {"variables": "x1", "change": WITH_GAPS},
            r"missing in every row.*all-missing",
        ),
        (avg_slopes, {"variables": "group1"}, r"'group1' has levels.*\[slope-of-levels"),
        (avg_slopes, {"variables": ["x1", "cluster"]}, r"'cluster' has levels.*\[slope-of-levels"),
        (
            avg_slopes,
            {"variables": "x1", "change": WITH_GAPS},
            r"missing in every row.*all-missing",
        ),
        (predictions, {"draws": 10**6}, r"draws=1000000 of 120 lines are 1.2e\+08.*too-many-draws"),
        (comparisons, {"variables": None, "draws": 10**6}, r"avg_comparisons.*too-many-draws"),
    ],
)
def test_a_bad_question_is_refused(call, options, text):
    X = tiny.rows().assign(spare=1.0, **options.pop("change", {}))
    with pytest.raises(ValueError, match=text):
        call(tiny.clean(), X, **options)


def test_another_model_is_refused():
    with pytest.raises(TypeError, match=r"got LogisticRegression\(\).*\[no-fitted-model\]"):
        avg_predictions(LogisticRegression(), tiny.rows())


def test_without_random_effects_nothing_is_integrated():
    plain = tiny.fit(random_intercepts=False)
    with pytest.raises(ValueError, match=r"averages over clusters.*\[no-random-effects\]"):
        avg_predictions(plain, tiny.rows(), effects="integrated")
    with pytest.raises(ValueError, match=r"no random effects of 'cluster'.*\[no-random-effects\]"):
        avg_comparisons(plain, tiny.rows(), "cluster")
    assert len(avg_predictions(plain, tiny.rows(), by="cluster")) == 4


def test_hundreds_of_levels_have_to_be_named(monkeypatch):
    monkeypatch.setattr("pyfairme.explain.explained_variable.MOST_LEVELS", 3)
    with pytest.raises(ValueError, match=r"4 levels, more than 3: name.*\[levels-to-compare\]"):
        avg_comparisons(tiny.clean(), tiny.rows(), "cluster")
    named = avg_comparisons(tiny.clean(), tiny.rows(), {"cluster": ["c0", "c2"]})
    assert named.frame["contrast"].item() == "c2 - c0"
