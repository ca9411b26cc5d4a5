"""Occupation groups from Census occupation codes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from pyfairme.datasets.code_columns import read_codes, shown

__all__ = ["occupation_groups"]


class OccupationBlock(NamedTuple):
    """A block of Census occupation codes, its major group and its broad group."""

    first: int
    last: int
    prefix: str
    major: str
    broad: str


BUSINESS = "Management, Business, Financial"
SCIENCE = "Computer, Engineering, Science"
EDUCATION = "Education, Legal, Community, Arts, Media"
BUILD = "Construction, Extraction"

# Source: the Census Bureau's 2018 occupation code list and the value labels of OCCP in the PUMS
# data dictionary 2018, whose prefixes name the major groups (major groups of the SOC, the business
# and the construction one split in two). Every list since 2000 has the same blocks, so each block
# ends here at its last possible code, not at the last one used in 2018. The broad groups are the
# second level of ACS table S2401.
BLOCKS = (
    OccupationBlock(10, 499, "MGR", "Management", BUSINESS),
    OccupationBlock(500, 799, "BUS", "Business Operations", BUSINESS),
    OccupationBlock(800, 999, "FIN", "Financial", BUSINESS),
    OccupationBlock(1000, 1299, "CMM", "Computer, Mathematical", SCIENCE),
    OccupationBlock(1300, 1599, "ENG", "Architecture, Engineering", SCIENCE),
    OccupationBlock(1600, 1999, "SCI", "Science", SCIENCE),
    OccupationBlock(2000, 2099, "CMS", "Community, Social Service", EDUCATION),
    OccupationBlock(2100, 2199, "LGL", "Legal", EDUCATION),
    OccupationBlock(2200, 2599, "EDU", "Education, Library", EDUCATION),
    OccupationBlock(2600, 2999, "ENT", "Arts, Sports, Media", EDUCATION),
    OccupationBlock(3000, 3599, "MED", "Healthcare Practitioners", "Healthcare Practitioners"),
    OccupationBlock(3600, 3699, "HLS", "Healthcare Support", "Healthcare Support"),
    OccupationBlock(3700, 3999, "PRT", "Protective Service", "Protective Service"),
    OccupationBlock(4000, 4199, "EAT", "Food Preparation, Serving", "Food Preparation, Serving"),
    OccupationBlock(4200, 4299, "CLN", "Building, Grounds Cleaning", "Building, Grounds Cleaning"),
    OccupationBlock(4300, 4699, "PRS", "Personal Care, Service", "Personal Care, Service"),
    OccupationBlock(4700, 4999, "SAL", "Sales", "Sales"),
    OccupationBlock(
        5000, 5999, "OFF", "Office, Administrative Support", "Office, Administrative Support"
    ),
    OccupationBlock(6000, 6199, "FFF", "Farming, Fishing, Forestry", "Farming, Fishing, Forestry"),
    OccupationBlock(6200, 6799, "CON", "Construction", BUILD),
    OccupationBlock(6800, 6999, "EXT", "Extraction", BUILD),
    OccupationBlock(7000, 7699, "RPR", "Installation, Repair", "Installation, Repair"),
    OccupationBlock(7700, 8999, "PRD", "Production", "Production"),
    OccupationBlock(9000, 9799, "TRN", "Transportation, Moving", "Transportation, Moving"),
    OccupationBlock(9800, 9899, "MIL", "Military", "Military"),
    OccupationBlock(9920, 9920, "", "Unemployed", "Unemployed"),
)
GROUPS = ("major", "broad")


def check_groups(groups: Sequence[str]) -> None:
    """Raise ValueError for a grouping of occupations that does not exist."""
    if groups not in GROUPS:
        raise ValueError(f"Expected groups to be one of {GROUPS}, got {groups!r}. [unknown-choice]")


def occupation_groups(codes: pd.Series, groups: str = "major") -> pd.Series:
    """Return the occupation group of Census occupation codes.

    Parameters
    ----------
    codes
        Codes of four digits as numbers or text, shape (n,), from the list of 2000 (times ten), 2010
        or 2018; missing stays missing.
    groups
        "major": the 25 groups that the prefixes of the PUMS code list name (MGR, BUS, FIN, ...).
        "broad": 17 groups, the second level of ACS table S2401 and Military. In both,
        "Unemployed" for code 9920.

    Returns
    -------
    Series
        Categorical, shape (n,), indexed like the codes; its categories are the groups that occur.

    Raises
    ------
    ValueError
        For another value of `groups`, and for codes that no group has.

    References
    ----------
    U.S. Census Bureau, 2018 Census Occupation Code List; PUMS Data Dictionary 2018, OCCP.

    Examples
    --------
    >>> list(occupation_groups(pd.Series([10, 499, 500, 9830])))
    ['Management', 'Management', 'Business Operations', 'Military']
    """
    check_groups(groups)
    numbers = read_codes(codes)
    missing = np.isnan(numbers)
    block = np.searchsorted([item.first for item in BLOCKS], numbers, side="right") - 1
    last = np.array([item.last for item in BLOCKS])
    unknown = ~missing & ((block < 0) | (numbers > last[block]))
    if unknown.any():
        raise ValueError(
            f"Expected Census occupation codes from 10 to 9899 (or 9920, unemployed) in column "
            f"{codes.name!r}, got {shown(numbers[unknown])}: use codes of four digits, "
            "and drop rows without an occupation. [unknown-code]"
        )
    names = [getattr(item, groups) for item in BLOCKS]
    levels = list(dict.fromkeys(names))
    place = np.array([levels.index(name) for name in names])
    found = pd.Categorical.from_codes(np.where(missing, -1, place[block]), categories=levels)
    return pd.Series(found.remove_unused_categories(), index=codes.index, name="occupation")
