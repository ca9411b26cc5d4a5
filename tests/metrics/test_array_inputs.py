import numpy as np
import pandas as pd
import polars as pl
import pytest

from pyfairme.metrics import tpr_sd
from pyfairme.metrics.array_inputs import (
    as_binary,
    as_flipped,
    as_groups,
    as_probability,
    as_real,
    as_rng,
    check_count,
    check_share,
)
from pyfairme.metrics.array_inputs import as_weight as weight


def test_levels_are_sorted_by_value_not_by_text():
    groups = as_groups([10, 9, 10])
    assert groups.levels == ("9", "10")
    assert groups.codes.tolist() == [1, 0, 1]


def test_labels_of_mixed_types_stay_apart():
    assert as_groups([1, "1", "b"]).levels == ("1", '"1"', "b")
    assert as_groups(pd.Categorical([1, "1"])).levels == ("1", '"1"')


@pytest.mark.parametrize("last", ["(missing)", "(new level)", "others"])
def test_brackets_keep_their_order_beside_other_levels(last):
    given = [last, "(9, 30]", ">30", "<=9"]
    assert as_groups(given).levels == ("<=9", "(9, 30]", ">30", last)
    both = [f"m & {level}" for level in given] + ["f & (9, 30]", "f & <=9"]
    right = ["f & <=9", "f & (9, 30]", "m & <=9", "m & (9, 30]", "m & >30", f"m & {last}"]
    assert list(as_groups(both).levels) == right


def test_text_that_is_no_bracket_is_sorted_as_text():
    assert as_groups(["b", "(missing)", "a"]).levels == ("(missing)", "a", "b")
    assert as_groups(["<=5", "b", "(missing)"]).levels == ("(missing)", "<=5", "b")


def test_labels_of_two_classes_are_asked_which_is_positive():
    truth, guess, groups = ["yes", "no"] * 2, ["yes", "yes", "no", "no"], ["a", "a", "b", "b"]
    with pytest.raises(ValueError, match=r"such as pos_label='yes'\. \[not-numeric\]"):
        tpr_sd(truth, guess, sensitive_features=groups)
    assert tpr_sd(truth, guess, sensitive_features=groups, pos_label="yes") == 0.5
    with pytest.raises(ValueError, match="numbers only") as caught:
        tpr_sd(["a", "b", "c"], [0, 1, 0], sensitive_features=["a", "a", "b"])
    assert "pos_label" not in str(caught.value)
    with pytest.raises(ValueError, match=r"say which label is positive: pos_label"):
        tpr_sd([1, 2, 1, 2], [1, 1, 2, 2], sensitive_features=groups)


def test_categorical_keeps_order_and_empty_levels():
    labels = pd.Categorical(["old", "young"], categories=["young", "old", "none"], ordered=True)
    groups = as_groups(labels)
    assert groups.levels == ("young", "old", "none")
    assert groups.codes.tolist() == [1, 0]
    assert as_groups(pd.Series(labels, index=[7, 3]))[0].tolist() == [1, 0]


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_a_frame_is_the_intersection_of_its_columns(frame):
    table = frame({"race": ["B", "W", "B", "W"], "sex": [1, 0, 0, 0]})
    groups = as_groups(table)
    assert groups.levels == ("B & 0", "B & 1", "W & 0")
    assert groups.codes.tolist() == [1, 2, 0, 2]


def test_labels_with_the_joiner_in_them_do_not_melt():
    parts = [("p & q", "r"), ("p", "q & r"), ("p &", "r"), ("p", "& r"), ('"p', "r"), ('""p', "r")]
    groups = as_groups(np.array(parts, dtype=object))
    assert len(set(groups.levels)) == len(parts)
    assert {'"p & q" & r', 'p & "q & r"'} < set(groups.levels)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (np.array([1, 0], complex), "complex-values"),
        ([1j, 0], "complex-values"),
        (np.array([1j, 0], dtype=object), "complex-values"),
        (np.ma.array([1.0, 0.0], mask=[True, False]), "masked-values"),
        (pd.to_datetime(["2020-01-01", "2020-01-02"]), "dates-as-numbers"),
        (pd.to_timedelta([1, 2], unit="D"), "dates-as-numbers"),
        (np.array(["2020-01-01", "NaT"], "datetime64[s]"), "dates-as-numbers"),
        (np.array([np.datetime64("2020-01-01"), 1], dtype=object), "dates-as-numbers"),
        (pl.Series([1, 0]).cast(pl.Date), "dates-as-numbers"),
    ],
)
@pytest.mark.parametrize("check", [as_real, as_binary, as_probability, lambda v, _: weight(v, 2)])
def test_what_only_looks_like_numbers_is_refused(check, values, code):
    with pytest.raises(ValueError, match=rf"\[{code}\]$"):
        check(values, "y")


def test_a_mask_that_hides_nothing_is_no_mask():
    assert as_real(np.ma.array([1.0, 2.0], mask=[False, False]), "y").tolist() == [1, 2]


def test_hidden_labels_are_missing():
    labels = np.ma.array(["a", "b"], mask=[True, False])
    with pytest.raises(ValueError, match="has 1 missing label"):
        as_groups(labels)
    with pytest.raises(ValueError, match="has 1 missing label"):
        as_groups(np.ma.array([["a", "b"], ["c", "d"]], mask=[[1, 0], [0, 0]]))


@pytest.mark.parametrize("value", [1.5, -1, "x", True, None, np.nan])
def test_what_is_no_count_is_refused(value):
    with pytest.raises(ValueError, match=r"bins must be a whole number of at least 1.*-count\]$"):
        check_count(value, "bins", 1)


@pytest.mark.parametrize("value", [0, 1, "x", True, None, np.nan])
def test_what_is_no_share_is_refused(value):
    with pytest.raises(ValueError, match=r"level must lie between 0 and 1.*\[level\]$"):
        check_share(value)


def test_a_seed_is_a_generator():
    assert as_rng(3).random() == np.random.default_rng(3).random()
    for rng in (None, -1, 1.5, "x", np.random.RandomState(0)):
        with pytest.raises(ValueError, match=r"Generator or a seed.*\[no-generator\]$"):
            as_rng(rng)


def test_a_matrix_is_the_intersection_of_its_columns():
    groups = as_groups(np.array([["B", "m"], ["W", "f"], ["B", "f"]]))
    assert groups.levels == ("B & f", "B & m", "W & f")


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_missing_labels_are_refused(missing):
    with pytest.raises(ValueError, match=r"sensitive_features has 1 missing label\(s\); drop"):
        as_groups(["a", missing, "b"])


def test_missing_labels_of_a_categorical_and_of_a_frame_are_refused():
    column = pd.Series(["a", None], dtype="category")
    for labels in (column, pd.DataFrame({"x": [1, 2], "y": column})):
        with pytest.raises(ValueError, match="has 1 missing label"):
            as_groups(labels)


@pytest.mark.parametrize(
    ("check", "values", "message"),
    [
        (as_real, ["a"], "y must hold numbers only, got list"),
        (as_real, pd.array([1, None], dtype="Int64"), r"y has 1 missing or infinite value\(s\)"),
        (as_real, [[1.0]], r"y must be one-dimensional, got shape \(1, 1\)"),
        (as_real, [], "y is empty; at least one row is needed"),
        (as_real, [1.0, np.inf, np.nan], r"y has 2 missing or infinite value\(s\); drop or fill"),
        (as_binary, [0, 1, 2], "y must be 0 or 1 in every row, got 2 among others; apply"),
        (as_probability, [0.5, -1], "y must lie between 0 and 1, got -1 among others; pass"),
    ],
)
def test_wrong_vectors_are_refused(check, values, message):
    with pytest.raises(ValueError, match=message):
        check(values, "y")


def test_wrong_lengths_are_refused():
    with pytest.raises(ValueError, match="y_pred has 2 rows, expected 3: one for each row of y_tr"):
        as_real([1, 2], "y_pred", 3)
    with pytest.raises(ValueError, match="sensitive_features has 2 rows, expected 3"):
        as_groups(["a", "b"], n=3)


def test_wrong_weights_are_refused():
    with pytest.raises(ValueError, match="non-negative with a positive sum, got minimum -1"):
        weight([1, -1], 2)
    with pytest.raises(ValueError, match="got minimum 0 and sum 0"):
        weight([0, 0], 2)
    assert weight(None, 2) is None


def test_wrong_flips_are_refused():
    with pytest.raises(ValueError, match=r"flip must have shape \(n, number of levels - 1\), got"):
        as_flipped([0.5, 0.5], "flip", 2)
    with pytest.raises(ValueError, match="a level that a row cannot take must be dropped"):
        as_flipped([[0.5], [np.nan]], "flip", 2)
    with pytest.raises(ValueError, match="flip has 1 rows, expected 2"):
        as_flipped([[0.5]], "flip", 2)


def test_bools_and_series_with_an_index_are_read_by_position():
    assert as_binary(pd.Series([True, False], index=[5, 2]), "y").tolist() == [1, 0]


def test_brackets_are_ordered_by_where_they_begin():
    found = as_groups([">45", "(9, 30]", "<=9", "(30, 45]", "(9, 30]"])
    assert found.levels == ("<=9", "(9, 30]", "(30, 45]", ">45")
    assert found.codes.tolist() == [3, 1, 0, 2, 1]
    assert as_groups(["b", ">45", "<=9"]).levels == ("<=9", ">45", "b")
