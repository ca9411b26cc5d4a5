"""Heritage: the yearly table by hand, the members' aggregate, and what is missing."""

import re

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme.datasets.heritage import load_heritage
from pyfairme.datasets.heritage_claims import yearly_summary

HEADER = (
    "MemberID,ProviderID,Vendor,PCP,Year,Specialty,PlaceSvc,PayDelay,LengthOfStay,DSFS,"
    "PrimaryConditionGroup,CharlsonIndex,ProcedureGroup,SupLOS"
)
# generated; members 1 to 4, and 5 who has claims in another year only
CLAIMS = f"""{HEADER}
1,77,10,5,Y1,Surgery,Office,28,,0- 1 month,NEUMENT,0,MED,0
1,77,10,5,Y1,Surgery,Inpatient Hospital,162+,2- 4 weeks,8- 9 months,HEART2,1-2,SCS,0
1,88,11,5,Y1,Laboratory,Independent Lab,50,,8- 9 months,,1-2,PL,0
1,99,11,6,Y2,Surgery,Office,50,,0- 1 month,NEUMENT,5+,MED,0
2,88,11,,Y1,Laboratory,Independent Lab,10,,0- 1 month,NEUMENT,0,PL,0
2,66,12,5,Y1,Internal,Office,20,1 day,11-12 months,NEUMENT,5+,EM,0
3,,,,Y1,,Office,,,3- 4 months,METAB3,3-4,,1
4,66,12,5,Y1,Internal,Office,30,,0- 1 month,NEUMENT,0,EM,0
4,55,12,5,Y1,Internal,Office,30,,0- 1 month,NEUMENT,0,EM,0
4,44,12,5,Y1,Internal,Home,30,6 days,1- 2 months,NEUMENT,0,EM,0
4,44,12,5,Y1,Internal,Home,33,26+ weeks,1- 2 months,NEUMENT,0,EM,0
5,44,12,5,Y2,Internal,Home,33,,1- 2 months,NEUMENT,0,EM,0
"""
MEMBERS = """MemberID,AgeAtFirstClaim,Sex
1,70-79,M
2,80+,
3,,F
4,20-29,F
5,40-49,F
"""
DAYS = """MemberID,ClaimsTruncated,DaysInHospital
4,0,0
2,1,15
1,0,3
3,0,1
5,0,2
"""
# rows in the order of the target file: members 4, 2, 1, 3; member 5 has no claim in Y1
BY_HAND = {
    # 44 has two of the four claims; 66 and 88 have one each and two of all members': lowest id;
    # 77 has two; no provider is known
    "primary_provider": ["44", "66", "77", "NA"],
    "sex": ["F", "NA", "M", "F"],
    "age_bracket": ["0-29", "80+", "70-79", "NA"],
    "claims_truncated": [0, 1, 0, 0],
    "claims": [4, 2, 3, 1],
    "providers": [3, 2, 2, 0],
    "vendors": [1, 2, 2, 0],
    "pcps": [1, 1, 1, 0],
    "specialties": [1, 2, 2, 0],
    "places": [2, 2, 3, 1],
    "condition_groups": [1, 1, 2, 1],
    "procedure_groups": [1, 2, 3, 0],
    "pay_delay": [30.75, 15, 80, np.nan],
    "length_of_stay": [182, 1, 21, 0],
    "months_of_claims": [2, 12, 9, 4],
    "charlson_index": [0, 6, 2, 4],
    "specialty: Internal": [4, 1, 0, 0],
    "specialty: Laboratory": [0, 1, 1, 0],
    "specialty: Surgery": [0, 0, 2, 0],
    "specialty: NA": [0, 0, 0, 1],
    "place: Home": [2, 0, 0, 0],
    "place: Independent Lab": [0, 1, 1, 0],
    "place: Inpatient Hospital": [0, 0, 1, 0],
    "place: Office": [2, 1, 1, 1],
    "condition: HEART2": [0, 0, 1, 0],
    "condition: METAB3": [0, 0, 0, 1],
    "condition: NEUMENT": [4, 2, 1, 0],
    "condition: NA": [0, 0, 1, 0],
    "procedure: EM": [4, 1, 0, 0],
    "procedure: MED": [0, 0, 1, 0],
    "procedure: PL": [0, 1, 1, 0],
    "procedure: SCS": [0, 0, 1, 0],
    "procedure: NA": [0, 0, 0, 1],
}


@pytest.fixture
def raw(tmp_path):
    (tmp_path / "Claims.csv").write_text(CLAIMS)
    (tmp_path / "DaysInHospital_Y2.csv").write_text(DAYS)
    pd.read_csv(tmp_path / "DaysInHospital_Y2.csv", dtype=str).to_csv(
        tmp_path / "DaysInHospital_Y2.csv.gz", index=False
    )
    (tmp_path / "DaysInHospital_Y2.csv").unlink()
    (tmp_path / "Members.csv").write_text(MEMBERS)
    return tmp_path


def test_raw_claims_give_the_table_computed_by_hand(raw):
    data = load_heritage(raw)
    expected = pd.DataFrame(BY_HAND)
    assert list(data.frame.columns) == list(expected.columns)
    text = ["primary_provider", "sex", "age_bracket"]
    assert data.frame[text].astype(str).equals(expected[text].astype(str))
    numbers = expected.columns.drop(text)
    np.testing.assert_array_equal(data.frame[numbers], expected[numbers].astype("float32"))
    assert data.target.tolist() == [0, 15, 3, 1]
    assert data.target.name == "days_in_hospital"


def test_the_features_are_nineteen_with_a_family_as_one(raw):
    frame = load_heritage(raw).frame.drop(columns="primary_provider")
    assert len({name.split(":")[0] for name in frame}) == 19


def test_roles_of_raw_claims(raw):
    schema = load_heritage([raw / "Claims.csv", *sorted(raw.glob("[DM]*"))]).schema
    assert schema.cluster == ("primary_provider",)
    assert schema.attribute_names == ("sex", "age_bracket")
    assert schema.task == "regression"


def test_values_of_another_release_are_named(raw):
    text = CLAIMS.replace("1,77,10,5,Y1,Surgery,Office,28,,0- 1 month", "1,77,10,5,Y1,S,O,28,,soon")
    (raw / "Claims.csv").write_text(text)
    with pytest.raises(
        ValueError, match=r"Expected the values 0- 1 month, .* column 'DSFS' .* got soon"
    ):
        load_heritage(raw)
    (raw / "Claims.csv").write_text(CLAIMS.replace("Vendor", "vendor"))
    with pytest.raises(ValueError, match=r"release 3 in Claims.csv, but Vendor are absent"):
        load_heritage(raw)
    (raw / "Claims.csv").write_text(CLAIMS.replace("Y1", "Y3"))
    with pytest.raises(ValueError, match=r"Expected claims of Year Y1 in Claims.csv, found none"):
        load_heritage(raw)


def test_the_published_schema_is_the_generated_one(needs_data):
    sample = needs_data("heritage/Claims.sample.csv")
    assert sample.read_text().splitlines()[0] == HEADER
    summary = yearly_summary(pd.read_csv(sample))
    assert summary.provider.tolist() == ["8013252", "3316066"]
    assert summary.features["months_of_claims"].tolist() == [9, 8]


def test_missing_files_say_where_to_get_them(raw, monkeypatch, tmp_path):
    (raw / "Members.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"Members.csv is not beside Claims.csv"):
        load_heritage(raw)
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.delenv("PYFAIRME_DATA", raising=False)
    for path, found in (
        (empty, "neither Claims.csv nor members_y1.parquet is there"),
        (empty / "x.csv", "there is no "),
        (None, "no path was given and PYFAIRME_DATA is not set"),
    ):
        with pytest.raises(FileNotFoundError) as caught:
            load_heritage(path)
        for part in (
            found,
            "https://foreverdata.org/1015",
            "Terms: Heritage Provider",
            "'heritage'",
        ):
            assert part in str(caught.value)
    monkeypatch.setenv("PYFAIRME_DATA", str(empty))
    with pytest.raises(FileNotFoundError, match=re.escape("which has no 'heritage'")):
        load_heritage()


@pytest.fixture(scope="module")
def members(data_dir):
    path = data_dir / "heritage" / "members_y1.parquet"
    if not path.exists():
        pytest.skip(f"real data: no {path.name!r} in {data_dir}")
    return load_heritage(path)


def test_the_aggregate_of_members(members):
    assert members.frame.shape == (59_997, 89)
    assert members.target.mean() == pytest.approx(0.353, abs=5e-4)
    assert (members.target.min(), members.target.max()) == (0, 15)
    assert members.schema.cluster == ("specialty",)
    assert not [name for name in members.frame if name.startswith("specialty:")]
    assert "proxy" in members.attribution
    counts = members.frame["specialty"].value_counts()
    assert len(counts) == 13
    assert counts.head(3).to_dict() == {
        "Internal": 16_673,
        "General Practice": 16_199,
        "Laboratory": 14_456,
    }


def test_each_family_of_the_aggregate_sums_to_the_claims(members):
    for family in ("place", "condition", "procedure"):
        counts = members.frame.filter(regex=f"^{family}: ")
        assert (counts.sum(axis=1) == members.frame["claims"]).all()


def test_shares_against_table_2_of_the_paper(members, needs_data):
    """Table 2 has members of known and unknown age and sex: the raw files do, the aggregate not."""
    table = members.describe().set_index(["feature", "category"])
    assert table.loc["sex", "count"].to_dict() == {"F": 33_055, "M": 26_942}
    days = pd.read_csv(needs_data("heritage/DaysInHospital_Y2.csv.gz"))
    people = pd.read_csv(needs_data("heritage/Members.csv.gz"))
    joined = days.merge(people, on="MemberID", how="left")
    assert len(joined) == 76_038  # paper: 76,013
    assert joined["DaysInHospital"].agg(["mean", "std"]).tolist() == pytest.approx(
        [0.46, 1.62], abs=0.02
    )
    shares = 100 * joined["Sex"].value_counts(normalize=True, dropna=False)
    assert shares["F"] == pytest.approx(46.28, abs=1.5)  # paper, in the 50 largest providers
    assert shares["M"] == pytest.approx(36.35, abs=1.5)


def test_describe_has_mean_and_spread_of_a_real_target(members):
    row = members.describe().iloc[-1]
    assert row[["role", "feature", "category", "count"]].tolist() == [
        "target",
        "days_in_hospital",
        "",
        59_997,
    ]
    spread = row[["mean", "sd", "low", "high"]].tolist()
    assert spread == pytest.approx([0.35325, 1.42598, 0, 15], abs=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Constant in the training rows")  # rare conditions, few rows
def test_a_quick_fit(members):
    rows = members.frame.sample(2_000, random_state=0).index
    model = pf.FairMixedEffectsRegressor(
        guide="mean_field",
        cluster=members.schema.cluster,
        sensitive=members.schema.sensitive,
        hidden=(8,),
        epochs=1,
        min_steps=20,
        random_state=0,
        progress=False,
    ).fit(members.frame.loc[rows], members.target[rows])
    assert np.isfinite(model.predict(members.frame.loc[rows])).all()
    assert set(model.cluster_effects_["cluster"]) <= set(members.frame["specialty"])
