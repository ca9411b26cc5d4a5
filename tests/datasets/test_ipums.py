"""IPUMS extracts: a generated one through the loader, real ones through the reader."""

import gzip
import re

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme.datasets.ipums import load_ipums, read_ipums_extract

# name, width, labels: as in a codebook of IPUMS USA, shortened
VARIABLES = {
    "YEAR": (4, {2006: "2006"}),
    "PERWT": (6, {}),
    "AGE": (3, {0: "Less than 1 year old", 16: "16", 17: "17", 30: "30", 46: "46"}),
    "SEX": (1, {1: "Male", 2: "Female"}),
    "RACE": (1, {1: "White", 4: "Chinese", 5: "Japanese", 8: "Two major races"}),
    "MARST": (1, {1: "Married, spouse present", 6: "Never married/single"}),
    "EDUC": (2, {0: "N/A or no schooling", 6: "Grade 12", 11: "5+ years of college"}),
    "CLASSWKR": (1, {0: "N/A", 1: "Self-employed", 2: "Works for wages"}),
    "UHRSWORK": (2, {0: "N/A", 99: "99 (Topcode)"}),
    "BPL": (3, {6: "California", 500: "China", 200: "Mexico"}),
    "OCC2010": (4, {9999: "Unknown"}),
    "INCTOT": (7, {9999999: "N/A"}),
}
ROWS = [  # the first four are kept
    (2006, 100, 17, 1, 1, 6, 6, 2, 40, 6, 10, 50000),
    (2006, 12345, 46, 2, 4, 1, 11, 1, 99, 500, 2205, 50001),
    (2006, 100, 30, 2, 8, 1, 0, 2, 1, 200, 9830, 101),
    (2006, 100, 30, 1, 5, 1, 6, 2, 1, 900, 4965, 60000),
    (2006, 100, 16, 1, 1, 6, 6, 2, 40, 6, 10, 60000),
    (2006, 100, 30, 1, 1, 6, 6, 2, 40, 6, 10, 100),
    (2006, 100, 30, 1, 1, 6, 6, 2, 40, 6, 10, 9999999),
    (2006, 100, 30, 1, 1, 6, 6, 2, 0, 6, 10, 60000),
    (2006, 100, 30, 1, 1, 6, 6, 2, 40, 6, 9920, 60000),
    (2006, 99, 30, 1, 1, 6, 6, 2, 40, 6, 10, 60000),
    (2006, 100, 30, 1, 1, 6, 6, 2, 40, 6, 10, -5000),
]
EXPECTED = {
    "age": [17, 46, 30, 30],
    "education": [6, 11, 0, 6],
    "hours_per_week": [40, 99, 1, 1],
    "sex": ["Male", "Female", "Female", "Male"],
    "race": ["White", "Chinese", "Two major races", "Japanese"],
    "marital_status": ["Never married/single", *["Married, spouse present"] * 3],
    "class_of_worker": ["Works for wages", "Self-employed", "Works for wages", "Works for wages"],
    "occupation": ["Management", "Education, Library", "Military", "Sales"],
    "place_of_birth": ["United States", "Asia", "Latin America", "Elsewhere or unknown"],
}

CODEBOOK = """<?xml version="1.0" encoding="UTF-8"?>
<codeBook version="2.5" xmlns="ddi:codebook:2_5"><stdyDscr>
<citation><serStmt><serName abbr="usa">IPUMS USA</serName><serInfo>DOI</serInfo></serStmt>
</citation><stdyInfo><notes>Additional notes: generated</notes></stdyInfo>
<dataAccs><useStmt><citReq>Cite IPUMS
as asked.</citReq><conditions>For good.</conditions></useStmt></dataAccs></stdyDscr>
<fileDscr><fileTxt><fileName>usa_1.dat</fileName><fileCont>Microdata records</fileCont>
<fileStrc type="rectangular"/><fileType charset="ISO-8859-1">data file</fileType>
<format>fixed length fields</format><filePlac>IPUMS</filePlac></fileTxt></fileDscr>
<dataDscr>{variables}</dataDscr></codeBook>"""
VARIABLE = """<var ID="{name}" name="{name}" files="ExtractData" intrvl="discrete"
dcml="{decimals}"><location StartPos="{start}" EndPos="{end}" width="{width}"/>
<labl>{name}</labl><txt>{name}</txt>
{levels}<concept vocab="IPUMS">C</concept><varFormat schema="other" type="numeric"/></var>"""
LEVEL = "<catgry><catValu>{code}</catValu><labl>{label}</labl></catgry>"


def write_extract(folder, rename=None, rows=ROWS):
    """Write a codebook and a fixed-width file; columns renamed to None are left out."""
    names = [(rename or {}).get(name, name) for name in VARIABLES]
    described, start = [], 1
    for name, (width, levels) in zip(names, VARIABLES.values(), strict=True):
        if name is None:
            continue
        text = "".join(LEVEL.format(code=code, label=label) for code, label in levels.items())
        place = {"start": start, "end": start + width - 1, "width": width}
        decimals = 2 if name == "PERWT" else 0
        described.append(VARIABLE.format(name=name, decimals=decimals, levels=text, **place))
        start += width
    widths = [width for name, (width, _) in zip(names, VARIABLES.values(), strict=True)]
    lines = [
        "".join(
            f"{value:0{width}d}"
            for name, value, width in zip(names, row, widths, strict=True)
            if name is not None
        )
        for row in rows
    ]
    book = folder / "usa_1.xml"
    book.write_text(CODEBOOK.format(variables="".join(described)))
    with gzip.open(folder / "usa_1.dat.gz", "wt") as stream:
        stream.write("\n".join([*lines, ""]))
    return book


def check(data):
    expected = pd.DataFrame(EXPECTED)
    assert list(data.frame.columns) == list(expected.columns)
    pd.testing.assert_frame_equal(data.frame.astype(expected.dtypes.to_dict()), expected)
    assert data.target.tolist() == [0, 1, 0, 1]


def test_a_fixed_width_extract(tmp_path):
    book = write_extract(tmp_path)
    check(load_ipums(book))
    check(load_ipums(tmp_path))
    check(load_ipums([book, tmp_path / "usa_1.dat.gz"]))


def test_a_csv_extract(tmp_path):
    book = write_extract(tmp_path)
    (tmp_path / "usa_1.dat.gz").unlink()
    table = pd.DataFrame(ROWS, columns=list(VARIABLES))
    table.assign(PERWT=table["PERWT"] / 100).to_csv(tmp_path / "usa_1.csv.gz", index=False)
    check(load_ipums(book))


def test_roles_and_citation(tmp_path):
    data = load_ipums(write_extract(tmp_path))
    assert data.schema.cluster == ("occupation",)
    assert data.schema.attribute_names == ("sex", "race", "marital_status", "age_bracket")
    assert data.attribution == "Cite IPUMS as asked."
    assert "education" in data.schema.numeric


def test_occ_of_three_digits_is_the_list_of_2000(tmp_path):
    rows = [(*row[:10], row[10] // 10, row[11]) for row in ROWS]
    check(load_ipums(write_extract(tmp_path, {"OCC2010": "OCC"}, rows)))


def test_occ_of_four_digits(tmp_path):
    check(load_ipums(write_extract(tmp_path, {"OCC2010": "OCC"})))


def test_occ_of_before_2000_is_refused(tmp_path):
    rows = [(1990, *row[1:]) for row in ROWS]
    with pytest.raises(ValueError, match=r"OCC has other codes before 2000 .* request OCC2010"):
        load_ipums(write_extract(tmp_path, {"OCC2010": "OCC"}, rows))


def test_optional_variables_may_be_absent(tmp_path):
    absent = dict.fromkeys(("EDUC", "CLASSWKR", "BPL", "YEAR"))
    frame = load_ipums(write_extract(tmp_path, absent)).frame
    assert list(frame.columns) == [
        *("age", "hours_per_week", "sex", "race", "marital_status", "occupation")
    ]
    assert frame["race"].tolist() == EXPECTED["race"]


def test_required_variables_are_named(tmp_path):
    book = write_extract(tmp_path, {"RACE": None, "OCC2010": None})
    with pytest.raises(ValueError, match=r"usa_1.xml lacks RACE, OCC2010 \(or OCC\): revise it at"):
        load_ipums(book)
    with pytest.raises(ValueError, match=r"No row of 1 is left: expected people with AGE > 16"):
        load_ipums(write_extract(tmp_path, rows=ROWS[-1:-2:-1]))


def test_missing_files_say_where_to_get_them(tmp_path, monkeypatch):
    monkeypatch.delenv("PYFAIRME_DATA", raising=False)
    book = write_extract(tmp_path)
    (tmp_path / "usa_1.dat.gz").unlink()
    empty = tmp_path / "empty"
    empty.mkdir()
    for path, found in (
        (book, "there is no data file beside "),
        (empty, "is no codebook and no folder with one"),
        (tmp_path / "usa_2.xml", "there is no "),
        (None, "no path was given and PYFAIRME_DATA is not set"),
    ):
        with pytest.raises(FileNotFoundError) as caught:
            load_ipums(path)
        for part in (found, "https://usa.ipums.org", "OCC2010", "Terms: IPUMS conditions of use"):
            assert part in str(caught.value)
    (tmp_path / "usa_3.xml").write_text("")
    with pytest.raises(ValueError, match=r"got usa_1.xml, usa_3.xml: pass one of them"):
        load_ipums(tmp_path)


def test_without_ipumspy_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ipumspy", None)
    with pytest.raises(ImportError, match=re.escape("pip install 'pyfairme[ipums]'")):
        load_ipums(write_extract(tmp_path))


def test_the_reader_labels_levels_and_keeps_amounts(tmp_path):
    table = read_ipums_extract(write_extract(tmp_path))
    assert list(table.columns) == list(VARIABLES)
    assert table["SEX"].tolist()[:3] == ["Male", "Female", "Female"]
    assert table["AGE"].tolist()[:3] == [17, 46, 30]
    assert table["PERWT"].tolist()[1] == 123.45
    assert table["INCTOT"].tolist()[-1] == -5000
    numbers = table.select_dtypes("number").columns
    assert list(numbers) == ["YEAR", "PERWT", "AGE", "UHRSWORK", "BPL", "OCC2010", "INCTOT"]


def test_real_extracts_of_ipums(needs_data):
    people = read_ipums_extract(needs_data("ipums/usa_00196.xml"))
    assert len(people) == 33_057
    assert people["SEX"].value_counts().to_dict() == {"Female": 17_372, "Male": 15_685}
    assert pd.api.types.is_integer_dtype(people["AGE"])
    assert people["PERWT"].min() > 0
    book, data = needs_data("ipums/usa_00468.xml"), needs_data("ipums/usa_00468.dat.gz")
    races = read_ipums_extract(book, data)
    assert len(races) == 910
    assert races["RACE"].value_counts().iloc[0] == 787
    assert races["RACE"].value_counts().index[0] == "Two major races"


def test_real_extracts_lack_variables_that_the_error_names(needs_data):
    expected = r"usa_00468.xml lacks AGE, SEX, MARST, INCTOT, OCC2010 \(or OCC\)"
    with pytest.raises(ValueError, match=expected):
        load_ipums(needs_data("ipums/usa_00468.xml"))


@pytest.mark.slow
def test_a_quick_fit(tmp_path):
    data = load_ipums(write_extract(tmp_path, rows=ROWS[:4] * 500))
    model = pf.FairMixedEffectsClassifier(
        guide="mean_field",
        cluster=data.schema.cluster,
        sensitive=data.schema.sensitive,
        fairness=None,  # four people repeated: no adversary could be judged on them
        hidden=(8,),
        epochs=1,
        min_steps=20,
        random_state=0,
        progress=False,
    ).fit(data.frame, data.target)
    assert np.isfinite(model.predict_proba(data.frame)).all()
    assert len(model.cluster_effects_["cluster"].unique()) == 4
