"""Levels that could be taken for each other stay apart, in whatever role and company."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyfairme.data import Design, Schema
from pyfairme.data.columns import label_of
from pyfairme.notices import DataWarning

PIECES = [" ", "&", ":", "\\", '"', "a", "1", "2.5", "(missing)", "(new level)", "all", "nan"]
TEXT = st.lists(st.sampled_from(PIECES), max_size=3).map("".join)
LEVEL = st.one_of(TEXT, st.sampled_from([1, 2, 2.5, None, "1", '"1"', "2.5"]))
LEVELS = st.lists(LEVEL, min_size=3, max_size=6, unique=True).filter(
    lambda levels: any(isinstance(level, str) for level in levels)  # numbers alone are one kind
)


def table(levels):
    """Every pair of levels, twice."""
    first, second = np.meshgrid(np.arange(len(levels)), np.arange(len(levels)))
    columns = {}
    for name, at in (("a", first), ("b", second)):
        values = np.empty(2 * at.size, dtype=object)
        values[:] = [levels[i] for i in at.ravel()] * 2
        columns[name] = values
    return pd.DataFrame(columns).assign(x=np.arange(2.0 * first.size))


def learn(frame, **roles):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return Design.fit(frame, Schema.infer(frame, **roles))


@settings(max_examples=10, deadline=None, derandomize=True)
@given(LEVELS)
def test_levels_in_are_levels_out(levels):
    frame = table(levels)
    pairs = learn(frame, sensitive=[("a", "b")])
    known = [level for level in levels if level is not None]
    clusters = learn(frame, cluster=[("a", "b")])
    assert len(set(pairs.attributes[0].levels)) == len(levels) ** 2
    assert len(set(clusters.clusters["a"])) == len(known)
    assert len(set(clusters.clusters["a:b"])) == len(known) ** 2
    assert len({column.name for column in pairs.columns}) == 1 + 2 * len(levels)

    for design in (pairs, clusters):
        again = Design.from_state(json.loads(json.dumps(design.to_state())))
        assert again == design
        text = [isinstance(a, str) for a in levels].index(True) * (len(levels) + 1)  # both columns
        some = [text, 0, len(levels), len(frame) - 1]
        whole, part = again.encode(frame, quiet=True), again.encode(frame.iloc[some], quiet=True)
        for every, few in zip(whole, part, strict=True):  # whatever rows are beside it
            if every is not None:
                np.testing.assert_array_equal(few, every[some])


def test_a_number_and_its_text_are_two_levels_and_said_so():
    frame = table([1, "1", "b"])[["a", "x"]]
    with pytest.warns(DataWarning, match=r"'a' has 1 both as text .*\[levels-alike\]$"):
        design = Design.fit(frame, Schema.infer(frame, cluster="a"))
    assert design.clusters["a"] == ("1", '"1"', "b")
    rows = pd.DataFrame({"a": ["1", 1, "b", "2"], "x": 0.0})
    assert design.encode(rows, quiet=True).cluster.ravel().tolist() == [1, 0, 2, -1]
    assert design.encode(rows[:1], quiet=True).cluster.ravel().tolist() == [1]


def test_a_model_of_one_kind_and_files_of_before_take_both_for_one():
    frame = table(["1", "2", '"1"'])  # no number: the quotation marks are the text's own
    design = learn(frame, cluster="a", sensitive="b")
    assert design.clusters["a"] == ("1", "2", '"1"')
    state = json.loads(json.dumps(design.to_state()))
    for owner in (*state["factors"], *state["terms"], state["attributes"][0]["components"][0]):
        owner.pop("doubled", None)  # as files of before have it
    before = Design.from_state(state)
    assert before == design
    rows = pd.DataFrame({"a": ["1", 1, '"1"'], "b": "1", "x": 0.0})
    assert before.encode(rows, quiet=True).cluster.ravel().tolist() == [0, 0, 2]


def test_ordinary_labels_look_as_they_are():
    assert [label_of(value) for value in (7.0, 7, "7", "b", True)] == ["7", "7", "7", "b", "True"]
    frame = table(["Black & Tan", "nurse", "2:1"])
    assert learn(frame, cluster="a").clusters["a"] == ("2:1", "Black & Tan", "nurse")
