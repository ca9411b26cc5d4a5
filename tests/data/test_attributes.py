"""Sensitive attributes: codes and flips."""

import re

import numpy as np
import pandas as pd
import pytest

from pyfairme.data.design import Design
from pyfairme.data.schema import Binned, Schema

BRACKET = Binned("age", (30, 45), name="bracket")


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age": [20, 24, 29, 33, 40, 41, 50, 70],
            "sex": list("FMFMFMFM"),
            "code": [1, 2, 3, 1, 2, 3, 1, 2],
            "w": np.linspace(0, 1, 8),
        },
        index=pd.Index(list("abcdefgh")),
    )


def fit(frame, *sensitive, **options):
    return Design.fit(frame, Schema.infer(frame, sensitive=sensitive), **options)


def flips(design, frame, name):
    return dict(design.flip(frame, name))


def test_a_plain_attribute_is_set_for_every_row(frame):
    design = fit(frame, "sex")
    flipped = flips(design, frame, "sex")
    assert list(flipped) == ["F", "M"]
    for level, (name, other) in enumerate(flipped.items()):
        assert (other["sex"] == name).all()
        pd.testing.assert_frame_equal(other.drop(columns="sex"), frame.drop(columns="sex"))
        batch = design.encode(other)
        assert (batch.sensitive[:, 0] == level).all()
        np.testing.assert_array_equal(batch.x[:, 3:].argmax(axis=1), level)


def test_codes_keep_their_type_and_order(frame):
    design = fit(frame, "code")
    assert design.attributes[0].levels == ("1", "2", "3")
    assert [c.name for c in design.columns[4:]] == ["code[1]", "code[2]", "code[3]"]
    third = flips(design, frame, "code")["3"]
    assert third["code"].dtype == frame["code"].dtype
    assert (third["code"] == 3).all()


@pytest.mark.parametrize(
    ("texts", "cure"),
    [
        ([str(a) for a in range(21)], "pandas.to_numeric(..., errors='coerce')"),
        ([f"{a},5" for a in range(21)], "pandas.read_csv(..., decimal=',')"),
        ([f"{a},500" for a in range(1, 21)] + ["?"], "pandas.read_csv(..., thousands=',')"),
    ],
)
def test_many_numbers_are_no_groups_as_text_either(texts, cure):
    people = pd.DataFrame({"age": texts * 5, "w": np.linspace(0, 1, 105)})
    said = rf"'age' has 21 distinct numbers .* as text.*{re.escape(cure)}, and give brackets"
    with pytest.raises(ValueError, match=rf"{said}.*\[many-numbers\]$"):
        fit(people, "age")
    assert len(fit(people.astype({"age": "category"}), "age").attributes[0].levels) == 21
    few = people[people["age"] != texts[0]]
    assert len(fit(few, "age", drop_sensitive=True).attributes[0].levels) == 20
    codes = people.assign(age="0" + people["age"])
    assert len(fit(codes, "age", drop_sensitive=True).attributes[0].levels) == 21


def test_names_of_people_are_no_groups():
    people = pd.DataFrame({"name": [f"p{i}" for i in range(99)], "w": np.linspace(0, 1, 99)})
    with pytest.raises(ValueError, match=r"sensitive column 'name' has 99 levels.*\[identifier\]$"):
        fit(people, "name", drop_sensitive=True)


def test_brackets_take_the_training_median_of_the_target(frame):
    design = fit(frame, BRACKET)
    young = flips(design, frame, "bracket")["<=30"]
    # rows already there are untouched; the median of 20, 24, 29 is 24
    assert young["age"].tolist() == [20, 24, 29, 24, 24, 24, 24, 24]
    old = flips(design, frame, "bracket")[">45"]
    assert old["age"].tolist() == [60, 60, 60, 60, 60, 60, 50, 70]


def test_medians_are_of_the_training_rows(frame):
    design = fit(frame, BRACKET)
    rows = frame.iloc[[0, 7]].assign(age=[31, 99])
    assert flips(design, rows, "bracket")["<=30"]["age"].tolist() == [24, 24]


def test_only_seen_levels(frame):
    young = frame[frame["age"] <= 45]
    design = fit(young, BRACKET)
    assert design.attributes[0].levels == ("<=30", "(30, 45]")
    assert list(flips(design, frame, "bracket")) == ["<=30", "(30, 45]"]
    assert design.encode(frame).sensitive[:, 0].tolist() == [0, 0, 0, 1, 1, 1, -1, -1]


def test_an_intersection_flips_every_component(frame):
    design = fit(frame, "sex", ("sex", BRACKET))
    both = design.attributes[1]
    assert both.name == "sex x bracket"
    assert both.columns == ("sex", "age")
    assert both.levels[0] == "F & <=30"
    assert len(both.levels) == 6
    codes = design.encode(frame).sensitive[:, 1]
    assert codes.tolist() == [0, 3, 0, 4, 1, 4, 2, 5]
    assert design.level_counts[1].tolist() == [2, 1, 1, 1, 2, 1]
    for level, other in enumerate(flips(design, frame, both.name).values()):
        assert (design.encode(other).sensitive[:, 1] == level).all()


@pytest.mark.filterwarnings("ignore:Unlike the training rows")
def test_an_intersection_keeps_only_cells_that_occur(frame):
    some = frame[(frame["sex"] == "F") | (frame["age"] > 45)]
    design = fit(some, ("sex", BRACKET))
    assert design.attributes[0].levels == ("F & <=30", "F & (30, 45]", "F & >45", "M & >45")
    assert design.encode(frame).sensitive[:, 0].tolist() == [0, -1, 0, -1, 1, -1, 2, 3]
    strange = frame.assign(sex="X")
    assert (design.encode(strange).sensitive[:, 0] == -1).all()


def test_a_missing_level_can_be_flipped_to(frame):
    gaps = frame.assign(sex=["F", None, *"FMFMFM"], age=[np.nan, *frame["age"][1:]])
    design = fit(gaps, "sex", BRACKET)
    for name in ("sex", "bracket"):
        index = design.schema.attribute_names.index(name)
        for level, other in enumerate(flips(design, gaps, name).values()):
            assert (design.encode(other).sensitive[:, index] == level).all()


def test_flipped_columns_are_encoded_as_flipped_rows_are(frame):
    """With slopes, knots, gaps and levels that training never saw: the same arrays."""
    table = pd.concat([frame] * 5, ignore_index=True).assign(school=list("abcde") * 8)
    table["age"] = table["age"] + np.arange(40) % 7
    table.loc[3, ["sex", "age"]] = None
    schema = Schema.infer(table, cluster="school", sensitive=("sex", BRACKET, ("sex", BRACKET)))
    design = Design.fit(table, schema, slopes={"school": ("sex", "w", "age")})
    rows = table.assign(w=table["w"] + 9, code=5)
    batch = design.encode(rows, quiet=True)
    for attribute in design.attributes:
        columns = list(attribute.columns)
        for level, (_, flipped) in enumerate(attribute.flip(rows)):
            found = design.encode_changes(batch, attribute.flip_to(rows[columns], level))
            expected = design.encode(flipped, quiet=True)
            np.testing.assert_array_equal(found.x, expected.x)
            np.testing.assert_array_equal(found.slopes, expected.slopes)
            assert (found.slopes != batch.slopes).any()
    assert (batch.x == design.encode(rows, quiet=True).x).all()  # untouched


def test_the_original_frame_is_untouched(frame):
    before = frame.copy(deep=True)
    flips(fit(frame, "sex", BRACKET), frame, "bracket")
    pd.testing.assert_frame_equal(frame, before)


def test_dropped_attributes_do_not_change_x(frame):
    design = fit(frame, "sex", BRACKET, drop_sensitive=True)
    x = design.encode(frame).x
    for name in ("sex", "bracket"):
        for other in flips(design, frame, name).values():
            np.testing.assert_array_equal(design.encode(other).x, x)


def test_unknown_attribute(frame):
    with pytest.raises(ValueError, match="one of sex; got 'race'"):
        fit(frame, "sex").flip(frame, "race")
    with pytest.raises(ValueError, match="'sex' is not in the frame"):
        fit(frame, "sex").flip(frame.drop(columns="sex"), "sex")


def test_groups_are_what_is_left_out_and_put_together(frame):
    chosen = {"exclude": {"code": [1]}, "merge": {"bracket": {"up to 45": ["<=30", "(30, 45]"]}}}
    design = fit(frame, "code", BRACKET, **chosen)
    code, bracket = design.attributes
    assert code.levels == ("1", "2", "3")
    assert (code.groups, code.group_counts) == (("2", "3"), (3.0, 2.0))
    assert (bracket.groups, bracket.group_counts) == (("up to 45", ">45"), (6.0, 2.0))
    new = frame.assign(code=[1, 2, 3, 9, 2, 3, 1, 2])
    encoded = design.encode(new, quiet=True).sensitive
    assert encoded[:, 0].tolist() == [-1, 0, 1, -1, 0, 1, -1, 0]
    assert encoded[:, 1].tolist() == [0, 0, 0, 0, 0, 0, 1, 1]
    assert Design.from_state(design.to_state()) == design


def test_a_choice_of_what_is_not_there_is_refused(frame):
    for options, message in (
        ({"exclude": {"race": "A"}}, r"'race', which is no sensitive attribute.*\[unknown-attr"),
        ({"exclude": {"sex": "X"}}, r"No row has the level 'X' of 'sex'.*F, M\. \[unknown-level"),
        ({"exclude": {"sex": "F"}}, r"leave 1 group of 'sex'.*\[one-group\]"),
        ({"merge": {"sex": {"all": ["F", "M"]}}}, r"leave 1 group of 'sex'.*\[one-group\]"),
        ({"exclude": "F"}, r"Invalid value of exclude: 'F'.*\[chosen-levels\]"),
        ({"merge": {"sex": ["F"]}}, r"Invalid value of merge.*\[chosen-levels\]"),
        (
            {"exclude": {"sex": [None]}},
            r"No row has the level .\(missing\). of .sex.*\[unknown-level\]",
        ),
        ({"exclude": {"sex": "F"}, "merge": {"sex": {"a": "F"}}}, r"named twice.*\[given-twice\]"),
    ):
        with pytest.raises(ValueError, match=message):
            fit(frame, "sex", **options)
