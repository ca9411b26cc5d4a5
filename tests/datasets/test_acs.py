"""ACSIncome from prepared files, raw person files and frames."""

import re
import time
import zipfile
from io import StringIO

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme.data.design import Design
from pyfairme.datasets.acs import load_acs_income

COLUMNS = [
    *("age", "class_of_worker", "education", "marital_status", "occupation", "place_of_birth"),
    *("relationship", "hours_per_week", "sex", "race"),
]
# generated person records; the last five are outside the task
RAW = """SERIALNO,AGEP,COW,SCHL,MAR,OCCP,POBP,RELP,WKHP,SEX,RAC1P,PINCP,PWGTP
2018GQ1,17,1,16,5,0010,6,17,40,1,1,50000,1
2018HU2,46,7,21,1,9830,303,0,99,2,9,50001,88
2018HU3,30,2,1,3,4700,158,13,1,2,6,101,5
2018HU4,16,1,16,5,0010,6,2,40,1,1,60000,1
2018HU5,50,1,16,5,0010,6,0,40,1,1,100,1
2018HU6,50,1,16,5,0010,6,0,,1,1,60000,1
2018HU7,50,,16,5,,6,0,,1,1,60000,1
2018HU8,50,1,16,5,0010,6,0,40,1,1,60000,0
"""
EXPECTED = {
    "age": [17, 46, 30],
    "class_of_worker": [
        "Private, for profit",
        "Self-employed, incorporated",
        "Private, not for profit",
    ],
    "education": [16, 21, 1],
    "marital_status": ["Never married", "Married", "Divorced"],
    "occupation": ["Management", "Military", "Sales"],
    "place_of_birth": ["United States", "Latin America", "Asia"],
    "relationship": [
        "Noninstitutional group quarters",
        "Reference person",
        "Unmarried partner",
    ],
    "hours_per_week": [40, 99, 1],
    "sex": ["Male", "Female", "Female"],
    "race": ["White", "Two or more races", "Asian"],
}


@pytest.fixture
def raw(tmp_path):
    file = tmp_path / "2018" / "1-Year" / "psam_p06.csv"
    file.parent.mkdir(parents=True)
    file.write_text(RAW)
    return file


def check(data):
    assert list(data.frame.columns) == COLUMNS
    expected = pd.DataFrame(EXPECTED)
    pd.testing.assert_frame_equal(data.frame.astype(expected.dtypes.to_dict()), expected)
    assert data.target.tolist() == [0, 1, 0]
    assert data.target.name == "income_over_50k"


def test_raw_person_records_are_filtered_and_named(raw, tmp_path):
    check(load_acs_income(raw))
    check(load_acs_income(str(tmp_path)))  # as folktables lays files out


def test_frames_of_folktables_and_text_columns():
    check(load_acs_income(pd.read_csv(StringIO(RAW))))
    text = pd.read_csv(StringIO(RAW), dtype={"OCCP": str, "RELP": str, "SEX": str})
    check(load_acs_income(text.set_index("SERIALNO")))


def test_zipped_person_files(raw):
    archive = raw.with_name("csv_pca.zip")
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("ACS2018_PUMS_README.pdf", b"%PDF")
        out.writestr("psam_p06.csv", RAW)
    check(load_acs_income(archive))
    check(load_acs_income(raw.parent))  # the unpacked file once, not twice
    raw.unlink()
    check(load_acs_income(raw.parent))


def test_several_files_are_concatenated(raw):
    other = raw.with_name("psam_p08.csv")
    other.write_text(RAW)
    assert len(load_acs_income([raw, other]).frame) == 6
    assert load_acs_income(raw.parent).frame.index.tolist() == list(range(6))


def test_relationship_codes_from_2019_on(raw):
    table = pd.read_csv(raw).rename(columns={"RELP": "RELSHIPP"})
    table["RELSHIPP"] = 20
    assert set(load_acs_income(table).frame["relationship"]) == {"Reference person"}


def test_prepared_tables_are_taken_as_they_are(raw):
    table = pd.read_csv(raw).iloc[:3]
    prepared = table.assign(PINCP=[0, 1, 0], RAC1P=table["RAC1P"] - 1, WKHP=0)
    data = load_acs_income(prepared)
    assert data.target.tolist() == [0, 1, 0]
    assert data.frame["race"].tolist() == EXPECTED["race"]


def test_wrong_tables_are_explained(raw):
    table = pd.read_csv(raw)
    with pytest.raises(ValueError, match=r"but SCHL, RELP \(or RELSHIPP\) are absent: pass a pers"):
        load_acs_income(table.drop(columns=["SCHL", "RELP"]))
    with pytest.raises(ValueError, match=r"codes 1 to 9 .* column 'COW', got 12: pass it as"):
        load_acs_income(table.assign(COW=12))
    with pytest.raises(ValueError, match=r"No row of 8 is left by the filter of ACSIncome"):
        load_acs_income(table.assign(AGEP=3))


def test_missing_files_say_where_to_get_them(tmp_path, monkeypatch):
    monkeypatch.delenv("PYFAIRME_DATA", raising=False)
    for path, found in (
        (tmp_path, "the folder "),
        (tmp_path / "psam_p06.csv", "there is no "),
        ([], "the list of files is empty"),
        (None, "no path was given and PYFAIRME_DATA is not set"),
    ):
        with pytest.raises(FileNotFoundError) as caught:
            load_acs_income(path)
        for part in (found, "www2.census.gov", "public domain", "PYFAIRME_DATA", "'acs_income'"):
            assert part in str(caught.value)
    monkeypatch.setenv("PYFAIRME_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=re.escape("which has no 'acs_income'")):
        load_acs_income()


@pytest.fixture(scope="module")
def acs(data_dir):
    if not (data_dir / "acs_income").is_dir():
        pytest.skip(f"real data: no 'acs_income' in {data_dir}")
    return load_acs_income(data_dir / "acs_income")


def test_rows_and_levels_of_acs_2018(acs):
    assert acs.frame.shape == (665_800, 10)
    assert acs.target.sum() == 245_514
    assert not acs.frame.isna().any(axis=None)
    levels = {name: acs.frame[name].nunique() for name in acs.schema.categorical}
    assert levels == {
        "class_of_worker": 8,
        "marital_status": 5,
        "place_of_birth": 8,
        "relationship": 18,
        "sex": 2,
        "race": 9,
    }
    assert acs.frame["race"].value_counts().iloc[:2].to_dict() == {
        "White": 519_017,
        "Black": 59_124,
    }
    assert acs.schema.attribute_names == ("sex", "race", "marital_status", "age_bracket")


def test_share_of_the_five_largest_occupation_groups(acs, data_dir):
    shares = acs.frame["occupation"].value_counts(normalize=True)
    assert len(shares) == 25
    assert shares.head(5).sum() == pytest.approx(0.458, abs=1e-3)
    broad = load_acs_income(data_dir / "acs_income", groups="broad")
    shares = broad.frame["occupation"].value_counts(normalize=True)
    assert len(shares) == 17
    assert shares.head(5).sum() == pytest.approx(0.564, abs=1e-3)
    assert shares.head(7).sum() == pytest.approx(0.685, abs=1e-3)


def test_loading_is_quick_and_small(data_dir, needs_data):
    needs_data("acs_income/ACSIncome.test.parquet")
    start = time.perf_counter()
    data = load_acs_income(data_dir / "acs_income")
    assert time.perf_counter() - start < 5.0  # about 0.5 s on an idle machine
    assert data.frame.memory_usage(deep=True).sum() < 20e6
    x = Design.fit(data.frame, data.schema).encode(data.frame.head(1_000)).x
    assert x.shape[1] * len(data.frame) * 4 < 1e9


@pytest.mark.slow
def test_a_quick_fit(acs):
    rows = acs.frame.sample(2_000, random_state=0).index
    model = pf.FairMixedEffectsClassifier(
        guide="mean_field",
        cluster=acs.schema.cluster,
        sensitive=acs.schema.sensitive,
        hidden=(8,),
        epochs=1,
        min_steps=20,
        random_state=0,
        progress=False,
    ).fit(acs.frame.loc[rows], acs.target[rows])
    assert np.isfinite(model.predict_proba(acs.frame.loc[rows])).all()
    assert set(model.cluster_effects_["cluster"]) <= set(acs.frame["occupation"])
