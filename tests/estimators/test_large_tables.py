"""A large table, whose rows are encoded as they are taken, or read from Parquet: the same fit."""

import jax
import numpy as np
import pandas as pd
import pyarrow.dataset
import pytest

import pyfairme as pf
from pyfairme.data import encoded_later
from pyfairme.data.columns import is_category
from pyfairme.data.parquet_rows import ParquetRows
from pyfairme.data.target import class_order
from pyfairme.estimators import table_fit
from pyfairme.inference import training_rows

ROWS = 3000
SETTINGS = {
    "cluster": "school",
    "sensitive": ["sex"],
    "random_slopes": ["score"],
    "guide": "mean_field",
    "network_posterior": "none",
    "hidden": (8,),
    "epochs": 2,
    "min_steps": 200,
    "threshold": "balanced_accuracy",
    "random_state": 0,
}


@pytest.fixture(scope="module")
def table():
    draw = np.random.default_rng(3)
    school, score, hours = (
        draw.integers(12, size=ROWS),
        draw.normal(size=ROWS),
        draw.exponential(size=ROWS),
    )
    frame = pd.DataFrame(
        {
            "school": [f"s{i}" for i in school],
            "score": score,
            "hours": np.where(draw.uniform(size=ROWS) < 0.05, np.nan, hours),
            "sort": draw.choice(["low", "mid", "high"], ROWS),
            "sex": draw.choice(["f", "m"], ROWS),
        }
    )
    link = np.sin(2 * score) + 0.3 * school / 12 + 0.5 * (frame["sex"] == "m")
    frame["passed"] = (draw.uniform(size=ROWS) < 1 / (1 + np.exp(-link))).astype(int)
    return frame


def fitted(table, **settings):
    model = pf.FairMixedEffectsClassifier(**(SETTINGS | settings))
    return model.fit(table.drop(columns="passed"), table["passed"])


@pytest.fixture
def taken_in_parts(monkeypatch):
    """Let every table be large, and some steps be what the device holds."""
    monkeypatch.setattr(table_fit, "LARGEST_HELD", 0)
    monkeypatch.setattr(training_rows, "TAKEN_BYTES", 2**20)
    monkeypatch.setattr(encoded_later, "BLOCK", 1000)


def assert_same_fit(one, other):
    for a, b in zip(
        jax.tree.leaves(one.fit_.network), jax.tree.leaves(other.fit_.network), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=2e-5)
    for name, drawn in one.fit_.draws.items():
        np.testing.assert_allclose(drawn, other.fit_.draws[name], atol=2e-5, err_msg=name)
    np.testing.assert_allclose(one.fit_.centre, other.fit_.centre, atol=2e-5)
    pd.testing.assert_frame_equal(one.history_, other.history_, rtol=1e-4, atol=1e-5)
    assert one.threshold_ == pytest.approx(other.threshold_, abs=1e-4)
    np.testing.assert_allclose(one._input_sd, other._input_sd, rtol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize(("members", "fairness"), [(1, "adversarial"), (2, "moment")])
def test_rows_encoded_as_they_are_taken_give_the_same_fit(table, members, fairness, request):
    whole = fitted(table, ensemble=members, fairness=fairness)
    request.getfixturevalue("taken_in_parts")
    parts = fitted(table, ensemble=members, fairness=fairness)
    assert parts._training is None  # it was not encoded all at once
    assert whole._training is not None
    assert_same_fit(whole, parts)


@pytest.fixture(scope="module")
def in_memory(table):
    return fitted(table)


@pytest.fixture(scope="module")
def folder(table, tmp_path_factory):
    """Two files of several row groups; the level "high" and school s11 are in the last one only."""
    path = tmp_path_factory.mktemp("rows")
    late = (table["sort"] == "high") | (table["school"] == "s11")
    table = table.sort_index(key=lambda index: late[index])
    for name, part, size in (("a", table[:1234], 500), ("b", table[1234:], 701)):
        part.to_parquet(path / f"{name}.parquet", row_group_size=size, index=False)
    return path


@pytest.mark.long
def test_files_give_the_fit_of_their_rows_in_memory(folder, request):
    frame = pd.read_parquet(folder)
    assert set(frame["sort"][:1234]) == {"low", "mid"}  # else the test shows less than it says
    whole = fitted(frame)
    files = pf.FairMixedEffectsClassifier(**SETTINGS).fit(folder, "passed")
    assert_same_fit(whole, files)
    assert files.classes_.dtype == whole.classes_.dtype
    assert list(files.feature_names_in_) == list(whole.feature_names_in_)
    rows = frame.drop(columns="passed")
    np.testing.assert_allclose(files.predict_proba(folder), whole.predict_proba(rows), atol=1e-5)
    assert (files.predict(str(folder)) == whole.predict(rows)).mean() > 0.999
    request.getfixturevalue("taken_in_parts")
    dataset = pyarrow.dataset.dataset(folder)
    assert_same_fit(whole, pf.FairMixedEffectsClassifier(**SETTINGS).fit(dataset, "passed"))


def test_reading_keeps_every_value_in_the_least_width(tmp_path):
    frame = pd.DataFrame(
        {
            "short": [1, 2, 3, 100],
            "long": [1, 2**40, 3, 2**53 + 1],  # wide only from the second row group on
            "half": [0.5, 1.25, np.nan, 3.0],
            "exact": [0.5, 0.5, 0.1, np.nan],
            "flag": [True, False, True, True],
            "gaps": pd.array([2**53 + 1, None, 3, 4], "Int64"),
            "perhaps": pd.array([True, None, False, True], "boolean"),
            "text": ["a", "7", None, "late"],
            "kind": pd.Categorical(["x", "y", "x", "z"], ["z", "y", "x"], ordered=True),
            "day": pd.to_datetime(["2024-01-01"] * 3 + [None]),
        }
    )
    frame.to_parquet(tmp_path / "rows.parquet", row_group_size=2)
    rows = ParquetRows.open(tmp_path / "rows.parquet")
    found = rows.read(as_they_are=["flag"], unread=["short"])
    assert found["short"].tolist() == [0] * 4
    found = rows.read(as_they_are=["short"])
    dtypes = found.dtypes.astype(str).to_dict()
    wanted = ("int64", "int64", "float32", "float64", "bool", "Int64", "boolean")
    assert tuple(dtypes.values())[:7] == wanted
    assert rows.read()["short"].dtype == np.int8
    for name, values in frame.items():
        assert found[name].isna().tolist() == values.isna().tolist()
        assert found[name].dropna().tolist() == values.dropna().tolist()
    assert found["text"].cat.codes.dtype == np.int8
    assert not is_category(found["text"])
    assert is_category(found["kind"])
    assert class_order(found["kind"]) == ("z", "y", "x")
    blocks = list(rows.blocks(["text", "long"]))
    assert pd.concat(blocks)["long"].tolist() == frame["long"].tolist()


def write(path, **columns):
    pd.DataFrame(columns).to_parquet(path, index=False)


def test_files_that_are_no_table_are_refused(tmp_path, in_memory, folder):
    model = pf.FairMixedEffectsClassifier("school", "sex")
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nowhere.parquet.*\[no-file\]"):
        model.fit(str(tmp_path / "nowhere.parquet"), "passed")
    with pytest.raises(ValueError, match=r"target column 'pased' .*mean 'passed'.*\[absent"):
        model.fit(folder, "pased")
    with pytest.raises(ValueError, match=r"required column 'score' is not in the frame.*\[absent-"):
        in_memory.predict_proba(only(folder, tmp_path, ["school", "sex", "sort", "hours"]))
    with pytest.raises(TypeError, match=r"and predict_proba read Parquet .*\[x-not-rows"):
        in_memory.predict_interval(folder)
    with pytest.raises(ValueError, match=r"y should be|one target per row|inconsistent"):
        model.fit(folder, np.zeros(7))
    write(tmp_path / "none.parquet", school=["a"][:0], passed=[0][:0])
    with pytest.raises(ValueError, match=r"none.parquet has no rows.*\[no-rows\]"):
        model.fit(tmp_path / "none.parquet", "passed")
    (tmp_path / "text.parquet").write_text("school,passed\na,1\n")
    with pytest.raises(ValueError, match=r"text.parquet is not a readable.*\[damaged-file\]"):
        model.fit(tmp_path / "text.parquet", "passed")


def only(folder, tmp_path, columns):
    path = tmp_path / "some.parquet"
    pd.read_parquet(folder, columns=columns).to_parquet(path)
    return path


def test_files_of_one_folder_must_agree(tmp_path):
    write(tmp_path / "1.parquet", size=[1, 2], name=["a", "b"])
    write(tmp_path / "2.parquet", size=[1.5, None], name=["a", "b"])
    found = ParquetRows.open(tmp_path).read()  # numbers are numbers
    assert found["size"].tolist()[:3] == [1.0, 2.0, 1.5]
    write(tmp_path / "3.parquet", size=["1", "2"], name=["a", "b"])
    with pytest.raises(ValueError, match=r"'size' is .*string in 3.parquet.*\[files-differ\]"):
        ParquetRows.open(tmp_path)
    write(tmp_path / "3.parquet", size=[1, 2])
    with pytest.raises(ValueError, match=r"3.parquet has no column 'name'.*\[files-differ\]"):
        ParquetRows.open(tmp_path)


def test_gaps_in_a_target_and_numbers_too_large_are_said_before_the_training(
    table, tmp_path, taken_in_parts
):
    model = pf.FairMixedEffectsClassifier(**SETTINGS)
    path = tmp_path / "rows.parquet"
    gaps = table.astype({"passed": "Int64"})
    gaps.loc[5, "passed"] = None
    gaps.to_parquet(path)
    with pytest.raises(ValueError, match=r"y has 1 missing values.*\[missing-target\]"):
        model.fit(path, "passed")
    table.assign(score=table["score"].where(table.index != 7, np.inf)).to_parquet(path)
    with pytest.raises(ValueError, match=r"'score' has 1 infinite .*\[infinite-values\]"):
        model.fit(path, "passed")


def test_weights_are_a_column_and_text_that_reads_as_numbers_is_named(table, tmp_path):
    path = tmp_path / "rows.parquet"
    weight = np.where(table["sex"] == "f", 0.5, 2.0)
    coded = table.assign(sort=table["sort"].map({"low": "1.5", "mid": "2", "high": "3"}), w=weight)
    coded.to_parquet(path)
    settings = SETTINGS | {"min_steps": 100, "epochs": 1, "threshold": 0.5}
    with pytest.warns(pf.DataWarning, match=r"'sort' is text that reads as numbers"):
        files = pf.FairMixedEffectsClassifier(**settings).fit(path, "passed", sample_weight="w")
    with pytest.warns(pf.DataWarning, match=r"'sort' is text that reads as numbers"):
        whole = pf.FairMixedEffectsClassifier(**settings).fit(
            coded.drop(columns=["passed", "w"]), coded["passed"], sample_weight=weight
        )
    assert list(files.feature_names_in_) == list(whole.feature_names_in_)
    assert_same_fit(whole, files)
