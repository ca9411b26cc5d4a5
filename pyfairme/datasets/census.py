"""Readable names for the codes of the American Community Survey's person records (PUMS)."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from pyfairme.datasets.code_columns import read_codes, shown

# PUMS data dictionary 2018, U.S. Census Bureau; labels shortened.
SEX = {1: "Male", 2: "Female"}
RACE = {
    1: "White",
    2: "Black",
    3: "American Indian",
    4: "Alaska Native",
    5: "American Indian or Alaska Native, tribe not given",
    6: "Asian",
    7: "Native Hawaiian or Pacific Islander",
    8: "Other race",
    9: "Two or more races",
}
MARITAL_STATUS = {1: "Married", 2: "Widowed", 3: "Divorced", 4: "Separated", 5: "Never married"}
CLASS_OF_WORKER = {
    1: "Private, for profit",
    2: "Private, not for profit",
    3: "Local government",
    4: "State government",
    5: "Federal government",
    6: "Self-employed, not incorporated",
    7: "Self-employed, incorporated",
    8: "Family business without pay",
    9: "Unemployed",
}
RELP = {  # up to 2018
    0: "Reference person",
    1: "Husband or wife",
    2: "Biological child",
    3: "Adopted child",
    4: "Stepchild",
    5: "Brother or sister",
    6: "Father or mother",
    7: "Grandchild",
    8: "Parent-in-law",
    9: "Child-in-law",
    10: "Other relative",
    11: "Roomer or boarder",
    12: "Housemate or roommate",
    13: "Unmarried partner",
    14: "Foster child",
    15: "Other nonrelative",
    16: "Institutional group quarters",
    17: "Noninstitutional group quarters",
}
RELSHIPP = {  # from 2019
    20: "Reference person",
    21: "Husband or wife",
    22: "Unmarried partner",
    23: "Husband or wife",
    24: "Unmarried partner",
    25: "Biological child",
    26: "Adopted child",
    27: "Stepchild",
    28: "Brother or sister",
    29: "Father or mother",
    30: "Grandchild",
    31: "Parent-in-law",
    32: "Child-in-law",
    33: "Other relative",
    34: "Housemate or roommate",
    35: "Foster child",
    36: "Other nonrelative",
    37: "Institutional group quarters",
    38: "Noninstitutional group quarters",
}

# First POBP code of each run: the areas of the PUMS variable WAOB. Armenia and Azerbaijan (158,
# 159) and Georgia (161) lie among European codes but count as Asia.
PUMS_AREAS = (
    (1, "United States"),
    (60, "US island areas"),
    (100, "Europe"),
    (158, "Asia"),
    (160, "Europe"),
    (161, "Asia"),
    (162, "Europe"),
    (200, "Asia"),
    (300, "Northern America"),
    (303, "Latin America"),
    (400, "Africa"),
    (500, "Oceania and at sea"),
)
# The same areas for the general version of IPUMS USA's BPL; from 900 on the area is not known.
IPUMS_AREAS = (
    (1, "United States"),
    (100, "US island areas"),
    (150, "Northern America"),
    (200, "Latin America"),
    (400, "Europe"),
    (500, "Asia"),
    (600, "Africa"),
    (700, "Oceania and at sea"),
    (800, "Elsewhere or unknown"),
)


def label_codes(codes: pd.Series, labels: Mapping[int, str], name: str) -> pd.Series:
    """Return codes as a categorical column of labels; missing stays missing.

    Raises
    ------
    ValueError
        For a code without a label.
    """
    numbers = read_codes(codes)
    levels = list(dict.fromkeys(labels.values()))
    known = np.array(sorted(labels))
    place = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
    missing = np.isnan(numbers)
    unknown = ~missing & (known[place] != numbers)
    if unknown.any():
        raise ValueError(
            f"Expected the codes {known[0]} to {known[-1]} of the data dictionary in column "
            f"{codes.name!r}, got {shown(numbers[unknown])}: pass it as the source gives it. "
            "[unknown-code]"
        )
    positions = np.array([levels.index(labels[int(code)]) for code in known])
    return _categorical(np.where(missing, -1, positions[place]), levels, codes, name)


def world_area(codes: pd.Series, areas: Sequence[tuple[int, str]] = PUMS_AREAS) -> pd.Series:
    """Return the world area of place-of-birth codes: 8 levels for some 220 codes.

    Parameters
    ----------
    codes
        POBP of the PUMS, or BPL of IPUMS with `IPUMS_AREAS`, shape (n,); missing stays missing.
    areas
        The first code of each run and its area.
    """
    numbers = read_codes(codes)
    levels = list(dict.fromkeys(area for _, area in areas))
    positions = np.array([-1, *(levels.index(area) for _, area in areas)])
    run = np.searchsorted([first for first, _ in areas], numbers, side="right")
    place = np.where(np.isnan(numbers), -1, positions[run])
    return _categorical(place, levels, codes, "place_of_birth")


def _categorical(
    place: np.ndarray, levels: Sequence[str], codes: pd.Series, name: str
) -> pd.Series:
    values = pd.Categorical.from_codes(place, categories=list(levels)).remove_unused_categories()
    return pd.Series(values, index=codes.index, name=name)
