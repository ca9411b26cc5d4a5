"""Roles of columns: inference and its errors."""

import re

import numpy as np
import pandas as pd
import pytest

from pyfairme.data.schema import Binned, Schema, attribute_name


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age": [20, 35, 50],
            "flag": [True, False, True],
            "job": pd.Categorical(["a", "b", "a"]),
            "sex": ["F", "M", "F"],
            "code": [1, 2, 1],
            "school": [7, 8, 7],
        }
    )


class TestBinned:
    def test_brackets_are_closed_on_the_right(self):
        bracket = Binned("age", (30, 45.5))
        assert bracket.label == "age_bin"
        assert bracket.levels == ("<=30", "(30, 45.5]", ">45.5")
        column = pd.Series([30, 30.1, 45.5, 46, np.nan], index=list("abcde"))
        labels = bracket.apply(column)
        assert labels.tolist() == ["<=30", "(30, 45.5]", "(30, 45.5]", ">45.5", None]
        assert labels.index.tolist() == list("abcde")

    def test_one_edge_and_a_name(self):
        assert Binned("age", (40,), name="old").levels == ("<=40", ">40")
        assert Binned("age", (40,), name="old").label == "old"

    @pytest.mark.parametrize("edges", [(), (3, 3), (3, 2), (np.nan,), (1, np.inf)])
    def test_wrong_edges(self, edges):
        with pytest.raises(ValueError, match="at least one finite edge in strictly increasing"):
            Binned("age", edges)

    def test_is_hashable_and_equal_by_value(self):
        assert {Binned("age", (30, 45))} == {Binned("age", (30.0, 45.0))}


def test_roles_from_dtypes(frame):
    schema = Schema.infer(frame, cluster="school", sensitive=["sex", Binned("age", (30,))])
    assert schema.numeric == ("age", "flag", "code")
    assert schema.categorical == ("job", "sex")
    assert schema.cluster == ("school",)
    assert schema.attribute_names == ("sex", "age_bin")
    assert schema.sensitive_columns == ("sex", "age")


def test_a_sensitive_code_is_a_level_not_an_amount(frame):
    schema = Schema.infer(frame, sensitive=("code",))
    assert "code" in schema.categorical
    assert "code" not in schema.numeric


def test_an_intersection_has_a_joined_name(frame):
    entry = ("sex", Binned("age", (30,), name="age_bracket"))
    schema = Schema.infer(frame, sensitive=("sex", entry))
    assert attribute_name(entry) == "sex x age_bracket"
    assert schema.attribute_names == ("sex", "sex x age_bracket")


def test_the_target_is_not_a_covariate(frame):
    schema = Schema.infer(frame, target="code", task="regression")
    assert "code" not in schema.numeric


def test_an_object_column_of_numbers_is_numeric():
    frame = pd.DataFrame({"a": pd.Series([1, None, 2.5], dtype=object), "b": ["x", None, "y"]})
    schema = Schema.infer(frame)
    assert (schema.numeric, schema.categorical) == (("a",), ("b",))


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ({"cluster": "scool"}, "The cluster column 'scool' is not in the frame. Did you mean"),
        ({"sensitive": "zzz"}, "is not in the frame. Available columns: 'age', 'flag'"),
        ({"sensitive": [Binned("agee", (3,))]}, "'agee' is not in the frame. Did you mean 'age'"),
        ({"cluster": "sex", "sensitive": "sex"}, "Column 'sex' is both cluster and sensitive"),
        ({"sensitive": [Binned("sex", (1,))]}, "Binned expected a numeric column, but 'sex' is"),
        ({"sensitive": ["sex", "sex"]}, "The sensitive attribute 'sex' is given twice"),
        ({"cluster": ["sex", "sex"]}, "The cluster column 'sex' is given twice"),
        ({"sensitive": [("sex", "sex")]}, "column of an intersection 'sex' is given twice"),
        ({"sensitive": ["age", Binned("age", (3,))]}, "sensitive both as it is and binned"),
        ({"task": "ranking"}, "Expected task to be one of"),
    ],
)
def test_wrong_roles(frame, roles, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Schema.infer(frame, **roles)


def test_duplicated_columns(frame):
    double = pd.concat([frame, frame[["age"]]], axis=1)
    with pytest.raises(ValueError, match="unique column names, got duplicated ones: 'age'"):
        Schema.infer(double)


def test_column_names_must_be_text():
    with pytest.raises(TypeError, match=r"Expected column names that are strings, got \[0\]"):
        Schema.infer(pd.DataFrame({0: [1, 2]}))


def test_empty_frame(frame):
    with pytest.raises(ValueError, match="at least one row, got 0 rows"):
        Schema.infer(frame.iloc[:0])


@pytest.mark.parametrize(
    "values",
    [
        pd.to_datetime(["2020-01-01", "2021-01-01"]),
        pd.to_timedelta([1, 2], unit="D"),
        pd.period_range("2020", periods=2, freq="M"),
        pd.Series([pd.Timestamp("2020-01-01").date()] * 2, dtype=object),
    ],
)
def test_dates_and_times(values):
    with pytest.raises(ValueError, match=r"'when' holds dates, times or intervals .*days since"):
        Schema.infer(pd.DataFrame({"when": values}))


@pytest.mark.parametrize("dtype", [complex, object])
def test_complex_numbers(dtype):
    frame = pd.DataFrame({"z": np.array([1j, 2j], dtype=dtype)})
    with pytest.raises(ValueError, match="Complex data not supported: column 'z'"):
        Schema.infer(frame)


@pytest.mark.parametrize("value", [{"a": 1}, [1, 2], np.zeros(2)])
def test_nested_values(value):
    frame = pd.DataFrame({"n": pd.Series([value, value], dtype=object)})
    with pytest.raises(TypeError, match=r"'n' holds values of type .* string, a number"):
        Schema.infer(frame)


def test_codes_are_levels_and_dropped_columns_have_no_role():
    frame = pd.DataFrame({"g": list("ab"), "code": [1, 2], "age": [20, 30], "day": pd.NaT})
    schema = Schema.infer(frame, cluster="g", categorical="code", drop=["day"])
    assert (schema.numeric, schema.categorical) == (("age",), ("code",))
    bracket = Binned("age", (25,))
    for options, message in (
        ({"drop": "days"}, r"drop column 'days' is not in the frame. Did you mean 'day'.*absent"),
        ({"categorical": "cod"}, r"categorical column 'cod' is not.*\[absent-column\]"),
        ({"drop": ["g", "day"]}, r"'g' is dropped and cluster.*\[two-roles\]"),
        ({"categorical": "g", "drop": "day"}, r"'g' is categorical and cluster.*\[two-roles\]"),
        ({"drop": ["age", "day"], "sensitive": bracket}, r"dropped and cut into brackets"),
        ({"categorical": "age", "drop": "day", "sensitive": bracket}, r"categorical and cut into"),
        ({"drop": ["code"], "categorical": "code"}, r"'code' is dropped and categorical"),
        ({"drop": ["day", "day"]}, r"column in drop 'day' is given twice.*\[given-twice\]"),
    ):
        with pytest.raises(ValueError, match=message):
            Schema.infer(frame, **{"cluster": "g", **options})
