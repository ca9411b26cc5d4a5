"""Occupation groups: the borders of the code ranges, and every code of real data."""

import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from pyfairme.datasets.occupations import BLOCKS, occupation_groups

# first and last code of each major group in the 2018 code list, and its prefix in the PUMS
BORDERS = {
    "MGR": (10, 440),
    "BUS": (500, 750),
    "FIN": (800, 960),
    "CMM": (1005, 1240),
    "ENG": (1305, 1560),
    "SCI": (1600, 1980),
    "CMS": (2001, 2060),
    "LGL": (2100, 2180),
    "EDU": (2205, 2555),
    "ENT": (2600, 2920),
    "MED": (3000, 3550),
    "HLS": (3601, 3655),
    "PRT": (3700, 3960),
    "EAT": (4000, 4160),
    "CLN": (4200, 4255),
    "PRS": (4330, 4655),
    "SAL": (4700, 4965),
    "OFF": (5000, 5940),
    "FFF": (6005, 6130),
    "CON": (6200, 6765),
    "EXT": (6800, 6950),
    "RPR": (7000, 7640),
    "PRD": (7700, 8990),
    "TRN": (9005, 9760),
    "MIL": (9800, 9830),
}


def test_borders_of_every_group():
    names = {block.prefix: block for block in BLOCKS}
    assert len(BORDERS) == 25
    for prefix, codes in BORDERS.items():
        assert list(occupation_groups(pd.Series(codes))) == [names[prefix].major] * 2
        assert list(occupation_groups(pd.Series(codes), "broad")) == [names[prefix].broad] * 2


def test_blocks_follow_each_other():
    for before, after in pairwise(BLOCKS[:-1]):
        assert after.first == before.last + 1
    assert len({block.major for block in BLOCKS}) == 26
    assert len({block.broad for block in BLOCKS}) == 18


def test_text_gaps_and_the_index_stay():
    codes = pd.Series(["0440", None, "9920"], index=[5, 6, 7], name="OCCP")
    groups = occupation_groups(codes)
    assert groups.index.tolist() == [5, 6, 7]
    assert groups.tolist() == ["Management", np.nan, "Unemployed"]
    assert list(groups.cat.categories) == ["Management", "Unemployed"]


@pytest.mark.parametrize("code", [0, 9, 9900, 9919, 9921, 51_111])
def test_codes_of_no_group_are_refused(code):
    with pytest.raises(ValueError, match=f"from 10 to 9899 .* in column 'OCCP', got {code}:"):
        occupation_groups(pd.Series([10, code], name="OCCP"))


def test_an_unknown_grouping_is_refused():
    message = "Expected groups to be one of ('major', 'broad'), got 'soc'."
    with pytest.raises(ValueError, match=re.escape(message)):
        occupation_groups(pd.Series([10]), "soc")


def test_all_codes_of_acs_2018_have_a_group(needs_data):
    names = ("ACSIncome.test.parquet", "ACSIncome.validation.parquet")
    files = [needs_data(f"acs_income/{name}") for name in names]
    codes = pd.concat([pd.read_parquet(file, columns=["OCCP"])["OCCP"] for file in files])
    distinct = pd.Series(codes.unique())
    assert len(distinct) == 529
    assert occupation_groups(distinct).nunique() == 25
    inside = [any(low <= code <= high for low, high in BORDERS.values()) for code in distinct]
    assert all(inside)
