"""Missing, infinite, constant, new and mistyped values: each has a defined outcome."""

import numpy as np
import pandas as pd
import pytest

from pyfairme.data.design import Design
from pyfairme.data.schema import Binned, Schema


def base(rows: int = 6) -> pd.DataFrame:
    half = rows // 2
    return pd.DataFrame(
        {
            "x": np.arange(rows, dtype=float),
            "job": ["a", "b"] * half,
            "sex": ["F"] * half + ["M"] * half,
            "site": ["u", "v"] * half,
        }
    )


def fit(frame: pd.DataFrame, sensitive=("sex",), **options) -> Design:
    return Design.fit(frame, Schema.infer(frame, cluster="site", sensitive=sensitive), **options)


def with_gap(column: str, row: int = 1) -> pd.DataFrame:
    frame = base()
    frame.loc[row, column] = np.nan if column == "x" else None
    return frame


class TestMissingAsCategory:
    def test_number_in_training_gets_median_and_indicator(self):
        frame = with_gap("x")
        design = fit(frame)
        batch = design.encode(frame)
        assert [c.name for c in design.columns[:2]] == ["x", "x missing"]
        assert design.columns[1].term == "x"
        there = frame["x"].dropna()
        expected = (there.median() - there.mean()) / there.std(ddof=0)
        assert batch.x[1, 0] == pytest.approx(expected)
        assert batch.x[:, 1].tolist() == [0, 1, 0, 0, 0, 0]

    def test_number_only_at_encoding_gets_median_and_one_warning(self):
        design = fit(base())
        with pytest.warns(UserWarning, match="'x': 1 missing, replaced by the median") as caught:
            batch = design.encode(with_gap("x"))
        assert len(caught) == 1
        assert batch.x[1, 0] == 0  # the median of 0..5 is its mean

    @pytest.mark.parametrize("gap", [None, np.nan, pd.NA])
    def test_level_in_training_is_a_level_of_its_own(self, gap):
        frame = base().assign(job=pd.Series(["a", gap, "b", "a", "b", gap], dtype=object))
        design = fit(frame)
        assert [c.name for c in design.columns[1:4]] == ["job[a]", "job[b]", "job[(missing)]"]
        assert design.encode(frame).x[:, 3].tolist() == [0, 1, 0, 0, 0, 1]

    def test_level_only_at_encoding_is_zero_with_one_warning(self):
        with pytest.warns(UserWarning, match=r"'job': levels unknown in training: \(missing\)"):
            batch = fit(base()).encode(with_gap("job"))
        assert batch.x[1, 1:3].tolist() == [0, 0]

    def test_cluster(self):
        frame = with_gap("site")
        trained = fit(frame)
        assert trained.clusters["site"] == ("u", "v")  # rows without a cluster are none together
        assert trained.encode(frame).cluster[1, 0] == -1
        assert fit(base()).encode(frame).cluster[1, 0] == -1

    @pytest.mark.filterwarnings("ignore:Unlike the training rows")
    def test_sensitive(self):
        frame = with_gap("sex")
        trained = fit(frame)
        assert trained.attributes[0].levels == ("F", "M", "(missing)")
        assert trained.encode(frame).sensitive[1, 0] == 2
        assert fit(base()).encode(frame).sensitive[1, 0] == -1

    @pytest.mark.filterwarnings("ignore:Unlike the training rows")
    def test_brackets(self):
        brackets = (Binned("x", (2,)),)
        frame = with_gap("x")
        trained = fit(frame, brackets)
        assert trained.attributes[0].levels == ("<=2", ">2", "(missing)")
        assert trained.encode(frame).sensitive[1, 0] == 2
        assert fit(base(), brackets).encode(frame).sensitive[1, 0] == -1

    def test_offset_is_never_guessed(self):
        with pytest.raises(ValueError, match=r"'x' has 1 missing .* offset cannot be guessed"):
            fit(with_gap("x"), offset="x")

    def test_question_marks_are_ordinary_levels(self):
        frame = base().assign(job=["a", "?"] * 3)
        assert "job[?]" in [c.name for c in fit(frame).columns]


@pytest.mark.parametrize("column", ["x", "job", "sex", "site"])
def test_missing_raise_names_column_count_and_rows(column):
    frame = with_gap(column)
    frame.index = list("abcdef")
    message = rf"Column '{column}' has 1 missing values \(NaN or null\), first at rows b: fill"
    with pytest.raises(ValueError, match=message):
        fit(frame, missing="raise")
    with pytest.raises(ValueError, match=message):
        fit(base(), missing="raise").encode(frame)


@pytest.mark.parametrize("column", ["x", "site"])
def test_infinite_numbers_are_always_refused(column):
    frame = base().assign(**{column: [0.0, 1, np.inf, 2, -np.inf, 1]})
    with pytest.raises(ValueError, match=f"'{column}' has 2 infinite .* first at rows 2, 4"):
        fit(frame)


def test_constant_columns_are_left_out_with_one_warning():
    frame = base().assign(one=1.0, same="s")
    with pytest.warns(UserWarning, match="Constant in the training rows, left out: 'one', 'same'"):
        design = fit(frame)
    assert {c.term for c in design.columns} == {"x", "job", "sex"}
    design.encode(frame.drop(columns=["one", "same"]))  # not needed any more


def test_a_slope_on_a_constant_column():
    frame = base().assign(one=1.0)
    with pytest.raises(ValueError, match="slope was asked for 'one', which is constant"):
        fit(frame, slopes={"site": ("one",)})


def test_a_constant_cluster():
    with pytest.raises(ValueError, match=r"'site' needs at least two clusters .* got 1"):
        fit(base().assign(site="u"))


def test_a_constant_sensitive_attribute():
    with pytest.raises(ValueError, match=r"'sex' has one level only \('F'\)"):
        fit(base().assign(sex="F"))
    with pytest.raises(ValueError, match=r"'x_bin' has one level only \('<=99'\)"):
        fit(base(), (Binned("x", (99,)),))


@pytest.mark.parametrize("gap", [np.nan, None])
def test_columns_without_any_value(gap):
    with pytest.raises(ValueError, match="Column 'void' has no value at all"):
        fit(base().assign(void=gap))


def test_identifiers_are_refused():
    frame = base(100).assign(name=[f"n{i}" for i in range(100)])
    with pytest.raises(ValueError, match=r"'name' has 100 levels .* looks like an identifier"):
        fit(frame)


def test_a_sensitive_amount_needs_brackets():
    frame = base(60).assign(income=np.arange(60))
    with pytest.raises(ValueError, match=r"'income' has 60 distinct numbers .* Binned\('income'"):
        fit(frame, ("income",))


def test_new_levels_are_named_in_one_warning():
    design = fit(base())
    frame = base().assign(job=["c", "d", "a", "b", "a", "b"], sex=["X", *"FFFMM"])
    message = r"'job': levels unknown in training: c, d; 'sex': levels unknown in training: X"
    with pytest.warns(UserWarning, match=message) as caught:
        batch = design.encode(frame)
    assert len(caught) == 1
    assert batch.x[0, 1:].tolist() == [0, 0, 0, 0]
    assert batch.sensitive[:, 0].tolist() == [-1, 0, 0, 0, 1, 1]


def test_text_where_training_had_numbers():
    with pytest.raises(ValueError, match=r"Expected numbers in column 'x', got text .*'0.0'"):
        fit(base()).encode(base().astype({"x": str}))


def test_numbers_where_training_had_text():
    with pytest.raises(ValueError, match="Expected text in column 'job', as in training, got num"):
        fit(base()).encode(base().assign(job=1))


def test_booleans_stay_numbers_when_gaps_make_them_objects():
    frame = base().assign(flag=[True, False] * 3)
    design = fit(frame)
    rows = base().assign(flag=pd.Series([True, None, True, False, True, False], dtype=object))
    with pytest.warns(UserWarning, match="'flag': 1 missing"):
        batch = design.encode(rows)
    assert design.columns[1].name == "flag"
    np.testing.assert_allclose(batch.x[[0, 3], 1], [1, -1])


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "float32", "int8"])
def test_other_numeric_dtypes_encode_alike(dtype):
    design = fit(base())
    np.testing.assert_array_equal(
        design.encode(base()).x, design.encode(base().astype({"x": dtype})).x
    )


@pytest.mark.parametrize("dtype", ["category", "string", object])
def test_other_text_dtypes_encode_alike(dtype):
    design = fit(base())
    other = base().astype(dict.fromkeys(["job", "sex", "site"], dtype))
    for ours, theirs in zip(design.encode(base()), design.encode(other), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_missing_duplicated_and_empty_at_encoding():
    design = fit(base())
    with pytest.raises(ValueError, match="The required column 'x' is not in the frame"):
        design.encode(base().drop(columns="x"))
    with pytest.raises(ValueError, match="got duplicated ones: 'x'"):
        design.encode(pd.concat([base(), base()[["x"]]], axis=1))
    with pytest.raises(ValueError, match="at least one row, got 0 rows"):
        design.encode(base().iloc[:0])
