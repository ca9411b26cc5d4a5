"""A number as a sensitive attribute: groups of equal size, and places between them."""

import re

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme.data.attributes import Attribute
from pyfairme.data.brackets import Continuous, mass_of_groups, shares_of_groups
from pyfairme.data.design import Design
from pyfairme.data.design_state import check_attribute, plain, rebuilt
from pyfairme.data.schema import Binned, Schema


def frame_of(values):
    return pd.DataFrame({"age": np.asarray(values, float), "w": np.arange(len(values)) / 7.0})


QUARTERS = Continuous("age", groups=4)


def fitted(values, entry=QUARTERS, **options):
    frame = frame_of(values)
    return Design.fit(frame, Schema.infer(frame, sensitive=entry), **options), frame


def test_groups_are_of_equal_size_and_named_by_their_edges():
    design, frame = fitted(np.random.default_rng(0).uniform(20, 70, 400))
    (attribute,) = design.attributes
    assert attribute.name == "age"
    assert attribute.counts == (100.0,) * 4
    assert all(re.match(r"<=|\(|>", level) for level in attribute.levels)
    assert np.bincount(attribute.encode(frame)).tolist() == [100] * 4


def test_places_are_interpolated_between_the_medians_of_groups():
    """Against numpy.interp of the medians by hand; beyond the outer ones the place stays."""
    design, _ = fitted(np.arange(1.0, 41.0))  # 1..10, 11..20, ...: medians 5.5, 15.5, 25.5, 35.5
    new = frame_of([5.5, 10.5, 15.5, 18.0, 35.5, -100.0, 1e9, np.nan])
    found = design.encode(new, quiet=True).sensitive
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:, 0], [0, 0.5, 1, 1.25, 3, 0, 3, -1])
    shares = shares_of_groups(found[:, 0], 4)
    np.testing.assert_allclose(shares.sum(axis=1), [1, 1, 1, 1, 1, 1, 1, 0])
    np.testing.assert_allclose(shares[3], [0, 0.75, 0.25, 0])


def test_repeated_values_make_fewer_groups():
    design, _ = fitted([0.0] * 60 + [1.0] * 30 + [2.0] * 10)
    assert design.attributes[0].levels == ("<=0", "(0, 1]", ">1")
    assert design.attributes[0].counts == (60.0, 30.0, 10.0)
    two, _ = fitted([0.0] * 5 + [1.0] * 95)
    assert two.attributes[0].levels == ("<=0", ">0")


def test_rows_without_the_number_are_reported_and_in_no_penalty():
    design, frame = fitted([*np.arange(40.0), *[np.nan] * 8])
    (attribute,) = design.attributes
    assert attribute.levels[-1] == "(missing)"
    assert attribute.groups == attribute.levels[:-1]
    assert attribute.group_counts == (10.0,) * 4
    assert (design.encode(frame).sensitive[-8:] == -1).all()
    assert (attribute.encode(frame)[-8:] == 4).all()


def test_the_number_is_a_covariate_like_any_other_and_can_be_hidden():
    design, _ = fitted(np.arange(40.0))
    hidden, _ = fitted(np.arange(40.0), drop_sensitive=True)
    assert "age" in design.schema.numeric
    assert [term.column for term in hidden.terms] == ["w"]


def test_flips_set_the_number_to_a_group_s_median():
    design, frame = fitted(np.arange(1.0, 41.0))
    third = dict(design.flip(frame, "age"))["(20, 30]"]
    assert third["age"].tolist() == [25.5] * 20 + list(np.arange(21.0, 31.0)) + [25.5] * 10


def test_one_column_with_other_attributes_stands_beside_their_codes():
    frame = frame_of(np.arange(40.0)).assign(sex=list("FM") * 20)
    both = Schema.infer(frame, sensitive=["sex", Continuous("age", groups=2)])
    found = Design.fit(frame, both).encode(frame).sensitive
    assert found[:, 0].tolist() == [0, 1] * 20
    assert 0 < found[20, 1] < 1


def test_state_is_read_back_and_contradictions_are_refused():
    design, frame = fitted([*np.arange(40.0), np.nan])
    (attribute,) = design.attributes
    state = plain(attribute)
    again = rebuilt(Attribute, state)
    check_attribute(again)
    assert again == attribute
    np.testing.assert_array_equal(again.group_positions(frame), attribute.group_positions(frame))
    state["components"][0]["values"][0] = 1e6
    with pytest.raises(ValueError, match="groups out of order"):
        check_attribute(rebuilt(Attribute, state))


@pytest.mark.parametrize(
    ("entry", "values", "text"),
    [
        (Continuous("age"), [3.0] * 20, "found the one value 3 in 20 training rows"),
        (Continuous("age"), [np.nan] * 20, "found no value in 20 training rows"),
        ((Continuous("age"), "w"), range(20), "An intersection takes columns and Binned"),
        (["age", Continuous("age", name="a")], range(20), "sensitive both as it is and binned"),
    ],
)
def test_what_cannot_be_compared_is_refused(entry, values, text):
    entries = entry if isinstance(entry, list) else [entry]
    frame = frame_of(list(values))
    with pytest.raises(ValueError, match=re.escape(text)):
        Design.fit(frame, Schema.infer(frame, sensitive=entries))


@pytest.mark.parametrize("groups", [1, 51, 2.5, "8", True])
def test_the_number_of_groups_is_checked(groups):
    with pytest.raises(ValueError, match=r"a whole number from 2 to 50.*\[continuous-groups\]"):
        Continuous("age", groups=groups)


def test_text_is_no_number():
    frame = pd.DataFrame({"age": list("abcd"), "w": np.arange(4.0)})
    with pytest.raises(ValueError, match="Continuous expected a numeric column, but 'age' is"):
        Schema.infer(frame, sensitive=[Continuous("age")])


@pytest.mark.parametrize("keyword", ["exclude", "merge"])
def test_groups_of_reports_cannot_be_left_out_or_merged(keyword):
    data = pf.datasets.make_clustered(200, 4, random_state=0)
    level = {"exclude": {"x1": "<=0"}, "merge": {"x1": {"low": ["<=0"]}}}[keyword]
    number = data.frame["x1"].round()
    model = pf.FairMixedEffectsClassifier(
        "cluster", [Continuous("x1")], min_steps=100, **{keyword: level}
    )
    with pytest.raises(ValueError, match=r"\[(continuous-levels|unknown-level)\]"):
        model.fit(data.frame.assign(x1=number), data.target)


def test_brackets_of_a_user_stay_groups():
    design, _ = fitted(np.arange(40.0), Binned("age", (10, 20)))
    assert design.encode(frame_of([10.0, 11.0, 30.0])).sensitive[:, 0].tolist() == [0, 1, 2]
    assert design.encode(frame_of([10.0])).sensitive.dtype == np.int32


@pytest.mark.parametrize("whole", [False, True])
def test_the_mass_of_groups_is_the_sum_of_shares(whole):
    rng = np.random.default_rng(5)
    place = rng.integers(-1, 6, 500) if whole else rng.uniform(0, 5, 500).astype(np.float32)
    place[:3] = [-1, 0, 5]
    weight = rng.uniform(size=500)
    expected = weight @ shares_of_groups(place, 6)
    np.testing.assert_allclose(mass_of_groups(place, weight, 6), expected, rtol=1e-6)


def test_edges_are_short_and_between_values_of_rows():
    """So that a report reads well, and a private file does not hold a row's number."""
    values = np.random.default_rng(6).normal(size=3000)
    brackets = Continuous("age").brackets(values)
    assert all(len(level) < 22 for level in brackets.levels)
    assert not np.isin(brackets.edges, values).any()
    assert np.ptp(np.bincount(brackets.codes(values))) <= 1
    close = np.array([1.00000001, 1.00000002, 1.00000003, 1.00000004])
    assert np.bincount(Continuous("age", groups=2).brackets(close).codes(close)).tolist() == [2, 2]
