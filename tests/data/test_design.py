"""Design: what is learned from training rows and how rows are encoded."""

import json
import re
import time

import numpy as np
import pandas as pd
import polars as pl
import pytest

from pyfairme.data.design import Design
from pyfairme.data.schema import Binned, Schema
from pyfairme.notices import DataWarning


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age": [20.0, 40.0, 60.0, 40.0],
            "job": ["b", "a", "b", "c"],
            "sex": ["F", "M", "F", "M"],
            "school": [10, 9, 9, 10],
            "size": [0.1, 0.2, 0.3, 0.4],
        }
    )


ROLES = {"cluster": "school", "sensitive": ("sex", Binned("age", (30, 50), name="bracket"))}


def fit(frame: pd.DataFrame, **options) -> Design:
    roles = {name: options.pop(name) for name in ("cluster", "sensitive") if name in options}
    return Design.fit(frame, Schema.infer(frame, **(ROLES | roles)), **options)


def names(design: Design) -> list[str]:
    return [column.name for column in design.columns]


def test_shapes_dtypes_and_values(frame):
    design = fit(frame, slopes={"school": ("age", "sex")}, offset="size")
    batch = design.encode(frame, y=[0, 1, 0, 1], weight=[1, 2, 3, 4])
    assert names(design) == ["age", "job[a]", "job[b]", "job[c]", "sex[F]", "sex[M]"]
    scale = np.std([20, 40, 60, 40])
    np.testing.assert_allclose(batch.x[:, 0], (frame["age"] - 40) / scale, rtol=1e-6)
    assert batch.x[:, 1:4].tolist() == [[0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    np.testing.assert_array_equal(batch.slopes[:, 0], batch.x[:, 0])  # no age is 0
    assert batch.slopes[:, 1:].tolist() == batch.x[:, 4:].tolist()
    assert batch.cluster.tolist() == [[1], [0], [0], [1]]
    assert batch.sensitive.tolist() == [[0, 0], [1, 1], [0, 2], [1, 1]]
    assert batch.weight.tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(batch.offset, frame["size"], rtol=1e-6)
    kinds = [np.float32, np.int32, np.int32, np.float32, np.int32, np.float32, np.float32]
    assert [array.dtype for array in batch] == kinds
    assert design.encode(frame, y=[0.5, 1, 2, 3]).y.dtype == np.float32
    assert design.encode(frame).y is None
    assert all(type(array) is np.ndarray for array in batch)


def test_columns_carry_term_level_and_scaling(frame):
    design = fit(frame)
    age, job = design.columns[0], design.columns[2]
    assert (age.name, age.term, age.level, age.mean) == ("age", "age", None, 40.0)
    assert age.scale == pytest.approx(np.std(frame["age"]))
    assert (job.name, job.term, job.level, job.mean, job.scale) == ("job[a]", "job", "a", 0, 1)


def test_the_cluster_is_never_an_input(frame):
    assert not [column for column in fit(frame).columns if column.term == "school"]


def test_learned_from_training_rows_only(frame):
    train = frame.iloc[:2]
    design = fit(train)
    test = frame.iloc[2:]
    with pytest.warns(
        UserWarning, match=r"Unlike the training rows: 'job': levels .*: c\. \[unlike"
    ):
        batch = design.encode(test)
    assert design.columns[0].mean == 30.0
    assert batch.x[1, 2:5].tolist() == [0, 0, 0]  # job c: all its columns are 0
    np.testing.assert_allclose(batch.x[:, 0], [3, 1])
    assert batch.sensitive[:, 1].tolist() == [-1, 1]  # nobody above 50 in training


def test_unseen_clusters_are_minus_one_and_labels_are_text(frame):
    design = fit(frame)
    assert design.clusters == {"school": ("9", "10")}
    for column in (["9", "10", "11", None], [9.0, 10.0, 11.0, np.nan], [9, 10, 11, 12]):
        rows = frame.assign(school=pd.Series(column))
        assert design.encode(rows).cluster[:, 0].tolist() == [0, 1, -1, -1]


def test_two_factors(frame):
    two = frame.assign(district=["x", "y", "x", "y"])
    design = fit(two, cluster=("school", "district"), slopes={"district": "all", "school": "age"})
    batch = design.encode(two)
    assert batch.cluster.tolist() == [[1, 0], [0, 1], [0, 0], [1, 1]]
    p = len(design.columns)
    assert design.factor_slopes == {"school": (0,), "district": tuple(range(p))}
    assert [column.name for column in design.slope_columns] == names(design)


def test_slopes_start_at_zero_where_it_is_among_the_values_else_at_their_mean(frame):
    table = frame.assign(below=-frame["age"], zero=frame["age"] - 20, both=frame["size"] - 0.25)
    design = fit(table, slopes={"school": "all"})
    origins = {c.name: c.origin for c in design.slope_columns if c.level is None}
    assert origins == {"age": 40.0, "below": -40.0, "size": 0.25, "zero": 0.0, "both": 0.0}
    slopes = dict(zip(names(design), design.encode(table).slopes.T, strict=True))
    for column in design.slope_columns[:5]:
        own = (table[column.name] - column.origin) / column.scale
        np.testing.assert_allclose(slopes[column.name], own, rtol=1e-6, atol=1e-7)
    stay = fit(table, slopes={"school": "all"}, move_origins=False)
    assert not any(column.origin for column in stay.slope_columns)
    np.testing.assert_allclose(stay.encode(table).slopes[:, 0] * design.columns[0].scale, frame.age)


def test_a_state_without_origins_starts_at_zero(frame):
    design = fit(frame, slopes={"school": "all"})
    state = design.to_state()
    for term in state["terms"]:
        term.pop("origin", None)  # as older files have it
    assert not any(column.origin for column in Design.from_state(state).columns)


def test_slopes_on_what_is_constant_within_clusters_are_warned_of():
    rng = np.random.default_rng(0)
    school = np.arange(40).repeat(5)
    table = pd.DataFrame(
        {
            "school": school,
            "funds": rng.normal(size=40)[school],
            "kind": rng.choice(["state", "private"], 40)[school],
            "age": rng.integers(6, 19, 200),
        }
    )
    slopes = {"school": ["age", "funds", "kind"]}
    with pytest.warns(DataWarning) as caught:
        fit(table, sensitive=(), slopes=slopes)
    said = [str(one.message) for one in caught]
    assert len(said) == 2
    for name, message in zip(("funds", "kind"), said, strict=True):
        assert message.startswith(f"A random slope was asked for {name!r}, which varies within 0 ")
        assert "of 40 clusters of 'school'" in message
        assert message.endswith("in the fixed part. [constant-slope]")
    one_typo = table.assign(funds=table["funds"].where(table.index != 7, 0.0))
    with pytest.warns(DataWarning, match="'funds', which varies within 1 of 40 clusters"):
        fit(one_typo, sensitive=(), slopes={"school": "funds"})
    fit(table, sensitive=(), slopes={"school": "all"})  # nobody has named it
    fit(table, sensitive=(), slopes={"school": ["age"]})
    fit(table.assign(school=range(200)), sensitive=(), slopes={"school": "age"})  # no two rows


def test_numbers_far_outside_the_training_range_are_named(frame):
    rng = np.random.default_rng(0)
    ages = pd.DataFrame({"school": rng.integers(0, 9, 900), "age": rng.integers(18, 91, 900)})
    design = fit(ages, sensitive=())
    new = ages[:300].assign(age=[999] * 6 + ages["age"][6:300].tolist())
    expected = (
        "Unlike the training rows: 'age': 6 of 300 rows lie far outside the training range 18 to "
        "90, such as 999: check the unit, and codes such as 999. [unlike-training]"
    )
    with pytest.warns(UserWarning, match=re.escape(expected)):
        design.encode(new)
    design.encode(new, quiet=True)
    long_tail = ages[:300].assign(age=[200, *ages["age"][1:300].tolist()])
    design.encode(long_tail)  # one row of 300, 1.5 ranges beyond: long tails have such
    with pytest.warns(UserWarning, match="1 of 300 rows lie far .*, such as 3600: check"):
        design.encode(long_tail.replace({"age": {200: 3600}}))
    state = design.to_state()
    for term in state["terms"]:
        del term["low"], term["high"]  # as older files have it
    Design.from_state(state).encode(new)


def test_covariates_of_many_rare_levels_are_named():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"school": rng.integers(0, 9, 2000), "post": rng.integers(0, 60, 2000)})
    table["post"] = "p" + table["post"].astype(str)
    fit(table, sensitive=())  # 33 rows a level
    with pytest.warns(
        DataWarning, match=r"^The covariate 'post' has 60 levels, half .*many-levels\]$"
    ):
        fit(table[:900], sensitive=())  # 15 rows a level
    comma = table[:900].assign(post=table["post"].str[1:] + ",5")
    with pytest.warns(DataWarning, match=r"such as '\d+,5', read it .*decimal=','\)\. \[many-lev"):
        fit(comma, sensitive=())
    common = table[:900].assign(post=table["post"].where(table["post"] < "p5", "other"))
    fit(common, sensitive=())  # fewer levels


@pytest.mark.parametrize(
    ("texts", "cure"),
    [
        (["1,5", "2,5", "3"], r"such as '1,5'.*read_csv\(\.\.\., decimal=','\)"),
        (["1.5", "2.5", "n/a!", "3", "4", "5"], r"such as '1\.5'.*to_numeric"),
        (["1,500", "12,000"], r"such as '1,500'.*thousands=','\)"),
        (["1.500,5", "12.000,0"], r"such as '1\.500,5'.*decimal=',', thousands='\.'\)"),
        ([*map(str, range(24)), "unknown"], r"such as '0': each of its 25 values.*to_numeric"),
        ([*map(str, range(24))], r"such as '0': each of its 24 values.*to_numeric"),
    ],
)
def test_numbers_that_were_read_as_text_are_named(texts, cure):
    table = pd.DataFrame({"school": [0, 1] * 60, "size": (texts * 120)[:120]})
    with pytest.warns(DataWarning, match=rf"'size' is text .*{cure}.*\[numbers-as-text\]$"):
        fit(table, sensitive=())
    fit(table.astype({"size": "category"}), sensitive=())  # levels are meant


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%d.%m.%Y", "%m/%d/%y"])
def test_dates_that_were_read_as_text_are_named(form):
    days = pd.Series(pd.date_range("2011-05-01", periods=24)).dt.strftime(form)
    table = pd.DataFrame({"school": [0, 1] * 60, "day": days.tolist() * 5})
    with pytest.warns(DataWarning, match=r"'day' is text that reads as dates.*its 24 values.*text"):
        fit(table, sensitive=())
    fit(table.astype({"day": "category"}), sensitive=())  # levels are meant
    fit(table.assign(day=table["day"].isin(days[:9]).map({True: days[0], False: days[1]})),
        sensitive=())  # two waves of a survey  # fmt: skip
    many = pd.Series(pd.date_range("2011-05-01", periods=120)).dt.strftime(form)
    with pytest.raises(ValueError, match=r"If it holds dates, such as.*\[identifier\]"):
        fit(table.assign(day=many), sensitive=())


@pytest.mark.parametrize(
    "texts", [["1", "2", "3"], ["01,5", "a"], ["1,5", "b", "c"], [*map(str, range(20))]]
)
def test_codes_of_levels_are_no_numbers(texts):
    fit(pd.DataFrame({"school": [0, 1] * 60, "size": (texts * 120)[:120]}), sensitive=())


def test_text_in_place_of_numbers_is_refused_with_the_cure():
    table = pd.DataFrame({"school": [0, 1] * 60, "size": np.arange(120) / 2})
    design = fit(table, sensitive=())
    for texts, cure in (
        (["1,5", "2"], r"read_csv\(\.\.\., decimal=','\)"),
        (["1.5", "2"], "to_num"),
    ):
        with pytest.raises(ValueError, match=rf"numbers in column 'size'.*pandas\.{cure}"):
            design.encode(table.assign(size=texts * 60))


def test_slope_columns_are_the_union_in_order_of_x(frame):
    two = frame.assign(district=["x", "y", "x", "y"])
    chosen = {"school": ("sex",), "district": ("size", "age")}
    design = fit(two, cluster=("school", "district"), slopes=chosen)
    assert [column.name for column in design.slope_columns] == ["age", "size", "sex[F]", "sex[M]"]
    assert design.factor_slopes == {"school": (2, 3), "district": (0, 1)}
    assert design.encode(two).slopes.shape == (4, 4)


def test_drop_sensitive_hides_columns_but_keeps_codes(frame):
    design = fit(frame, drop_sensitive=True)
    assert names(design) == ["size", "job[a]", "job[b]", "job[c]"]
    assert design.encode(frame).sensitive[:, 0].tolist() == [0, 1, 0, 1]
    assert (design.encode(frame.drop(columns="sex")).sensitive[:, 0] == -1).all()
    with pytest.raises(ValueError, match="'sex' is not in the frame"):
        fit(frame).encode(frame.drop(columns="sex"))


def test_drop_first_is_treatment_coding(frame):
    design = fit(frame, drop_first=True)
    assert names(design) == ["age", "size", "job[b]", "job[c]", "sex[M]"]
    assert design.encode(frame).x[:, 2:4].tolist() == [[1, 0], [0, 0], [1, 0], [0, 1]]


def test_no_covariates_at_all():
    frame = pd.DataFrame({"plate": ["a", "b", "a"]})
    design = fit(frame, cluster="plate", sensitive=())
    batch = design.encode(frame)
    assert batch.x.shape == (3, 0)
    assert batch.slopes.shape == (3, 0)
    assert batch.sensitive.shape == (3, 0)
    assert batch.cluster.tolist() == [[0], [1], [0]]


def test_polars_and_pandas_give_identical_batches(frame):
    wide = frame.assign(age=[20, None, 60, 40], job=["b", None, "b", "c"], flag=[True, False] * 2)
    design = fit(wide, slopes={"school": "all"})
    values = wide.astype(object).where(wide.notna(), None)
    table = pl.DataFrame({name: values[name].tolist() for name in wide})
    schema = Schema.infer(table, **ROLES)
    other = Design.fit(table, schema, slopes={"school": "all"})
    assert other == design
    for ours, theirs in zip(design.encode(wide), design.encode(table), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_extra_columns_and_order_do_not_matter(frame):
    design = fit(frame)
    other = frame[frame.columns[::-1]].assign(extra=pd.Timestamp("2020-01-01"))
    np.testing.assert_array_equal(design.encode(frame).x, design.encode(other).x)


def test_state_round_trip_through_json(frame):
    gaps = frame.assign(job=["b", None, "b", "c"], age=[20.0, None, 60.0, 40.0])
    design = fit(
        gaps,
        sensitive=("sex", ("sex", Binned("age", (30,)))),
        slopes={"school": "all"},
        offset="size",
        drop_first=True,
    )
    again = Design.from_state(json.loads(json.dumps(design.to_state())))
    assert again == design
    for ours, theirs in zip(design.encode(gaps), again.encode(gaps), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_fitting_and_encoding_leave_the_frame_alone(frame):
    before = frame.copy(deep=True)
    fit(frame).encode(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_level_counts(frame):
    counts = fit(frame).level_counts
    assert [c.tolist() for c in counts] == [[2, 2], [1, 2, 1]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"slopes": {"scholl": "all"}},
            "cluster column 'scholl' is not in the frame. Did",
        ),
        ({"slopes": {"school": ("agee",)}}, "covariate column 'agee' is not in the frame. Did you"),
        ({"slopes": {"school": ("school",)}}, "covariate column 'school' is not in the frame"),
        ({"slopes": {"school": "size"}, "offset": "size"}, "covariate column 'size' is not in"),
        ({"missing": "drop"}, "Expected missing to be one of ('category', 'raise'), got 'drop'"),
        ({"offset": "school"}, "The offset 'school' is a cluster or sensitive column too"),
        ({"offset": "none"}, "'none' is not in the frame"),
        ({"offset": "job"}, "Expected numbers in column 'job', got text"),
    ],
)
def test_wrong_options(frame, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        fit(frame, **options).encode(frame)


def test_wrong_y_and_weights(frame):
    design = fit(frame)
    with pytest.raises(ValueError, match=r"Expected y of shape \(4,\), .* got shape \(3,\)"):
        design.encode(frame, y=[1, 2, 3])
    with pytest.raises(ValueError, match="Expected a numeric y"):
        design.encode(frame, y=["a"] * 4)
    with pytest.raises(ValueError, match="y holds NaN or infinite values"):
        design.encode(frame, y=[1.0, np.nan, 0, 0])
    for weight in ([1, 1, 1, -1], [0] * 4, [np.nan, 1, 1, 1]):
        with pytest.raises(ValueError, match="finite, not negative and not all zero"):
            design.encode(frame, weight=weight)


def test_a_column_name_clash_is_named(frame):
    clash = frame.assign(**{"job[a]": [1.0, 2, 3, 5]})
    with pytest.raises(ValueError, match=r"would both be called 'job\[a\]': rename"):
        fit(clash)


def test_large_tables_are_fast_enough_to_be_vectorised(frame):
    big = frame.iloc[np.tile(np.arange(4), 50_000)].reset_index(drop=True)
    start = time.perf_counter()
    batch = fit(big).encode(big)
    assert time.perf_counter() - start < 3  # about 0.1 s when vectorised
    np.testing.assert_array_equal(batch.x[:4], batch.x[-4:])
