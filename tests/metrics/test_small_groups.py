"""No small group can be told from a report, not even by sums and differences of its lines."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyfairme.metrics import classification_report_frame, regression_report_frame
from pyfairme.metrics.small_groups import SMALL_GROUPS, enough, merge_small_groups


def rank(lines):
    """Rank by elimination in exact fractions."""
    rows, found = [[Fraction(int(x)) for x in line] for line in lines], 0
    for column in range(len(rows[0])):
        pivot = next((i for i in range(found, len(rows)) if rows[i][column]), None)
        if pivot is None:
            continue
        rows[found], rows[pivot] = rows[pivot], rows[found]
        for i in range(found + 1, len(rows)):
            if rows[i][column]:
                times = rows[i][column] / rows[found][column]
                rows[i] = [a - times * b for a, b in zip(rows[i], rows[found], strict=True)]
        found += 1
    return found


def small_ones(labels, outcome, least):
    """Indicators of the groups of one attribute that are too small."""
    for group in np.unique(labels):
        own = labels == group
        sizes = [own.sum()] if outcome is None else [(own & (outcome == v)).sum() for v in (0, 1)]
        if min(sizes) < least:
            yield own


TABLES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 1)), min_size=1,
                  max_size=60)  # fmt: skip


@settings(max_examples=60, deadline=None, derandomize=True)
@given(TABLES, st.integers(2, 6), st.booleans())
def test_no_small_group_follows_from_what_is_reported(table, least, by_outcome):
    sex, race, y = (np.array(column) for column in zip(*table, strict=True))
    attributes = {"sex": sex, "race": race, "both": 10 * sex + race}
    outcome = y if by_outcome else None
    found = merge_small_groups(attributes, outcome, least)
    lines = [np.ones(len(y), int)]
    for labels in found.values():
        lines += [np.asarray(labels == group, int) for group in labels.categories]
    told = rank(lines)
    for labels in attributes.values():
        for own in small_ones(labels, outcome, least):
            if not own.all():  # a table of one small group: its report as a whole is too small
                assert rank([*lines, own.astype(int)]) > told


@settings(max_examples=60, deadline=None, derandomize=True)
@given(TABLES, st.integers(2, 6))
def test_what_is_put_together_is_large_enough_and_the_rest_is_as_it_was(table, least):
    labels = np.array([row[1] for row in table])
    found = merge_small_groups({"race": labels}, None, least)["race"]
    joined = np.asarray(found == SMALL_GROUPS)
    small = list(small_ones(labels, None, least))
    assert joined.any() == bool(small)
    assert all(joined[own].all() for own in small)
    assert np.array_equal(np.asarray(found)[~joined], labels[~joined].astype(str))
    if joined.any() and not joined.all():
        assert joined.sum() >= least
        assert len(np.unique(labels[joined])) >= 2


def test_a_table_whose_margins_show_a_small_cell_is_not_split():
    """One Black woman among ten women and eight Black people: no cell of the four may be shown."""
    sex = np.array(["f"] * 10 + ["m"] * 10)
    race = np.array(["b"] + ["w"] * 9 + ["b"] * 7 + ["w"] * 3)
    both = np.char.add(sex, race)
    alone = merge_small_groups({"both": both}, None, 3)["both"]
    assert list(alone.categories) == ["fw", "mb", SMALL_GROUPS]
    beside = merge_small_groups({"sex": sex, "race": race, "both": both}, None, 3)
    assert list(beside["both"].categories) == [SMALL_GROUPS]
    assert list(beside["sex"].categories) == ["f", "m"]


def test_ordinary_labels_stay_apart_from_the_word():
    labels = ["a"] * 5 + [SMALL_GROUPS] * 5 + ["c"] * 2 + ["d"] * 2
    found = merge_small_groups({"s": labels}, None, 3)["s"]
    assert list(found.categories) == [f'"{SMALL_GROUPS}"', "a", SMALL_GROUPS]


@pytest.fixture(scope="module")
def rows():
    random = np.random.default_rng(3)
    group = np.array(["a"] * 60 + ["b"] * 60 + ["c"] * 12 + ["d"] * 14)
    return random.permutation(group), np.tile([0, 1], 73), random.random(146)


def test_a_report_is_that_of_the_groups_put_together(rows):
    group, y, p = rows
    shared = {"rng": 0, "n_boot": 20}
    by_hand = pd.Series(group).replace({"c": SMALL_GROUPS, "d": SMALL_GROUPS})
    by_hand = pd.Categorical(by_hand, categories=["a", "b", SMALL_GROUPS])
    pd.testing.assert_frame_equal(
        classification_report_frame(
            y, p, p > 0.5, sensitive={"g": group}, min_group_size=10, **shared
        ),
        classification_report_frame(y, p, p > 0.5, sensitive={"g": by_hand}, **shared),
    )
    pd.testing.assert_frame_equal(
        regression_report_frame(y, p, sensitive={"g": group}, min_group_size=13, **shared),
        regression_report_frame(y, p, sensitive={"g": by_hand}, **shared),
    )
    whole = regression_report_frame(y, p, sensitive={"g": group}, **shared)
    same = regression_report_frame(y, p, sensitive={"g": group}, min_group_size=12, **shared)
    pd.testing.assert_frame_equal(whole, same)


@pytest.mark.parametrize("least", [-1, 2.5, "10", None])
def test_sizes_that_are_none(rows, least):
    group, y, p = rows
    with pytest.raises(ValueError, match=r"min_group_size must be .*\[not-a-count\]"):
        regression_report_frame(y, p, sensitive={"g": group}, rng=0, min_group_size=least)


def test_a_class_that_nobody_has_is_small():
    """Sixty of sixty: the outcome of each of them could be read off the line."""
    assert not enough(np.ones(60), 2, 10, 60)
    assert not enough(np.array([1.0] * 57 + [0.0] * 3), 2, 10, 60)
    assert enough(np.array([1.0] * 50 + [0.0] * 10), 2, 10, 60)
    assert enough(None, 0, 10, 10)


def test_labels_of_another_length_are_named():
    with pytest.raises(ValueError, match=r"sensitive\['s'\].*\[[a-z-]+\]"):
        merge_small_groups({"s": list("aabbc")}, np.array([0.0, 1.0, 0.0, 1.0]), 3)
