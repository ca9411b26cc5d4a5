"""IPUMS USA extracts: the paper's income table from a census or ACS sample of one's own."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from pyfairme.data.columns import pick
from pyfairme.data.schema import Binned, Schema
from pyfairme.datasets.census import IPUMS_AREAS, world_area
from pyfairme.datasets.code_columns import read_codes
from pyfairme.datasets.dataset import Dataset
from pyfairme.datasets.locate import Origin, Paths, files_of, missing_file
from pyfairme.datasets.occupations import occupation_groups

__all__ = ["load_ipums"]

TARGET = "income_over_50k"
ORIGIN = Origin(
    name="an IPUMS USA extract",
    folder="ipums",
    files="the codebook usa_NNNNN.xml and, beside it, usa_NNNNN.dat.gz or usa_NNNNN.csv.gz",
    source=(
        "make an extract at https://usa.ipums.org (free account; the paper: sample 2006 ACS) with "
        "the variables AGE, SEX, RACE, MARST, INCTOT, OCC2010, and if wanted EDUC, CLASSWKR, "
        "UHRSWORK, BPL, RELATE, HISPAN, NCHILD, CITIZEN; download the data and the DDI codebook."
    ),
    terms="IPUMS conditions of use: cite it, do not redistribute the microdata.",
)
ENDINGS = (".dat.gz", ".csv.gz", ".dat", ".csv", ".parquet")
REQUIRED = ("AGE", "SEX", "RACE", "MARST", "INCTOT")
OCCUPATIONS = ("OCC2010", "OCC")
AMOUNTS = {"AGE": "age", "EDUC": "education", "UHRSWORK": "hours_per_week", "NCHILD": "children"}
LABELLED = {
    "SEX": "sex",
    "RACE": "race",
    "MARST": "marital_status",
    "CLASSWKR": "class_of_worker",
    "RELATE": "relationship",
    "HISPAN": "hispanic_origin",
    "CITIZEN": "citizenship",
}
USED = (*REQUIRED, *OCCUPATIONS, *AMOUNTS, *LABELLED, "BPL", "PERWT", "YEAR")
INCOME_UNKNOWN = 9_999_998  # this code, and 9999999 "not applicable"
NO_OCCUPATION = (0, 9920, 9999)
LOWEST = {"AGE": 17, "UHRSWORK": 1, "PERWT": 1}


class Extract(NamedTuple):
    """The codes of an extract, the label of each code, and whom to cite."""

    codes: pd.DataFrame
    labels: Mapping[str, Mapping[int, str]]
    citation: str


def load_ipums(path: Paths | None = None, *, groups: str = "major") -> Dataset:
    """Load people in work from an IPUMS USA extract, as in the paper's 2006 ACS table.

    The cluster is `occupation`: OCC2010 (or OCC of a year from 2000 on) grouped by Census code
    ranges. Sensitive are sex, race (RACE has Chinese, Japanese and mixed races apart), marital
    status (6 levels) and the age bracket (<=30, 31-45, >45). The paper does not say how it chose
    its 1,572,387 rows; here rows have AGE > 16, INCTOT > 100 and known, an occupation, and, where
    the extract has them, UHRSWORK > 0 and PERWT >= 1. The target is INCTOT > 50000.

    Parameters
    ----------
    path
        The codebook (.xml), with its data file beside it, a folder that holds one codebook, or the
        pair (codebook, data file); None for the folder "ipums" below the one that PYFAIRME_DATA
        names. Data: fixed width or CSV, plain or gzip.
    groups
        Occupation groups: "major" (25) or "broad" (17), see `occupation_groups`.

    Returns
    -------
    Dataset
        Columns age, sex, race, marital_status, occupation and, if the extract has them, education
        (ordinal, EDUC 0-11), hours_per_week, children, class_of_worker, relationship,
        hispanic_origin, citizenship, place_of_birth (world areas); target `income_over_50k` (int).

    Raises
    ------
    FileNotFoundError
        When there is no codebook or no data file: says how to get them.
    ValueError
        For variables that the extract lacks (names what to request), several codebooks in a folder,
        occupation codes of before 2000, or when no row is left.
    ImportError
        When ipumspy is not installed.

    References
    ----------
    IPUMS USA, University of Minnesota, www.ipums.org; the codebook's citation is in `attribution`.

    Examples
    --------
    >>> data = load_ipums("folder/of/the/files")  # doctest: +SKIP
    >>> data.describe()  # doctest: +SKIP
    """
    ddi, data = _pair(path)
    extract = _read(ddi, data, USED)
    _check_variables(extract.codes, ddi)
    codes = _filter_rows(extract.codes)
    frame = _covariates(codes, extract.labels, groups)
    income = read_codes(pick(codes, "INCTOT"))
    return Dataset(
        frame=frame,
        target=pd.Series((income > 50_000).astype("int64"), name=TARGET),
        schema=_schema(frame),
        name="ipums",
        licence="IPUMS USA conditions of use: no redistribution",
        attribution=extract.citation,
    )


def read_ipums_extract(ddi: str | Path, data: str | Path | None = None) -> pd.DataFrame:
    """Read every variable of an IPUMS extract, with the labels of its codebook.

    Parameters
    ----------
    ddi
        The codebook (.xml).
    data
        The data file; by default the one beside the codebook.

    Returns
    -------
    DataFrame
        One row per person. A variable is categorical, with labels, when the codebook labels all
        codes that occur and these labels are not the numbers themselves (SEX, RACE); otherwise it
        is a number (AGE, INCTOT, PERWT).

    Raises
    ------
    FileNotFoundError, ImportError
        As `load_ipums`.
    """
    extract = _read(*_pair(ddi if data is None else (ddi, data)), None)
    return pd.DataFrame(
        {
            name: _labelled(column, extract.labels.get(str(name), {}))
            if _is_label(column, extract.labels.get(str(name), {}))
            else column
            for name, column in extract.codes.items()
        }
    )


def _pair(path: Paths | None) -> tuple[Path, Path]:
    files = files_of(ORIGIN, path)
    if len(files) > 2:
        raise ValueError(
            f"Expected a codebook and its data file, got {len(files)} files. [data-path]"
        )
    ddi = _codebook(next((file for file in files if file.suffix == ".xml"), files[0]))
    others = [file for file in files if file.suffix != ".xml"] if len(files) == 2 else []
    candidates = others or [ddi.with_name(ddi.stem + ending) for ending in ENDINGS]
    found = next((file for file in candidates if file.exists()), None)
    if found is None:
        raise missing_file(ORIGIN, f"there is no data file beside {str(ddi)!r}")
    return ddi, found


def _codebook(path: Path) -> Path:
    books = sorted(path.glob("*.xml")) if path.is_dir() else [path] * (path.suffix == ".xml")
    if not books:
        raise missing_file(ORIGIN, f"{str(path)!r} is no codebook and no folder with one")
    if len(books) > 1:
        names = ", ".join(book.name for book in books)
        raise ValueError(
            f"Expected one codebook in {str(path)!r}, got {names}: pass one of them. [data-path]"
        )
    return books[0]


def _read(ddi: Path, data: Path, variables: Sequence[str] | None) -> Extract:
    try:
        from ipumspy import readers
    except ImportError as error:
        raise ImportError(
            "IPUMS extracts are read by ipumspy, which is not installed: pip install "
            "'pyfairme[ipums]'. [not-installed]"
        ) from error
    with warnings.catch_warnings():
        # the terms and the citation that it reminds of are in the data set's attribution
        warnings.filterwarnings("ignore", category=readers.CitationWarning)
        book = readers.read_ipums_ddi(ddi)
    there = [item.name for item in book.data_description]
    subset = there if variables is None else [name for name in there if name in variables]
    table = readers.read_microdata(book, data, subset=subset)
    labels = {
        item.name: {int(code): str(label) for label, code in item.codes.items()}
        for item in book.data_description
        if item.codes and item.vartype != "string" and item.name in subset
    }
    return Extract(_plain_numbers(table), labels, " ".join(str(book.ipums_citation).split()))


def _plain_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Turn nullable numbers into NumPy ones: float64 only where values are missing."""
    frame = pd.DataFrame(table)
    kinds = {
        name: "float64" if column.isna().any() or column.dtype.kind == "f" else "int64"
        for name, column in frame.items()
        if pd.api.types.is_numeric_dtype(column)
    }
    return frame.astype(kinds)


def _is_label(column: pd.Series, labels: Mapping[int, str]) -> bool:
    codes = set(column.dropna().unique()) if labels else set()
    if not codes <= set(labels):
        return False
    same = sum(text.strip() == str(code) for code, text in labels.items())
    return bool(labels) and same <= len(labels) / 2


def _labelled(column: pd.Series, labels: Mapping[int, str]) -> pd.Series:
    """Return codes as labels in the order of the codes; a code without a label is its number."""
    values, codes = np.unique(column.dropna().to_numpy(), return_inverse=True)
    names = [labels.get(int(value), f"{value:g}") for value in values]
    levels = list(dict.fromkeys(names))
    place = np.full(len(column), -1)
    place[column.notna().to_numpy()] = np.array([levels.index(name) for name in names])[codes]
    return pd.Series(
        pd.Categorical.from_codes(place, categories=levels), index=column.index, name=column.name
    )


def _check_variables(codes: pd.DataFrame, ddi: Path) -> None:
    absent = [name for name in REQUIRED if name not in codes]
    occupation = any(name in codes for name in OCCUPATIONS)
    if absent or not occupation:
        names = ", ".join([*absent, *["OCC2010 (or OCC)"] * (not occupation)])
        raise ValueError(
            f"The extract of {ddi.name} lacks {names}: revise it at https://usa.ipums.org, request "
            "these variables and download it again. [absent-column]"
        )


def _filter_rows(codes: pd.DataFrame) -> pd.DataFrame:
    work = _occupation_codes(codes)
    income = read_codes(pick(codes, "INCTOT"))
    kept = (income > 100) & (income < INCOME_UNKNOWN)
    kept &= ~np.isnan(work) & ~np.isin(work, NO_OCCUPATION)
    for name, lowest in LOWEST.items():
        if name in codes:
            kept &= read_codes(pick(codes, name)) >= lowest
    if not kept.any():
        raise ValueError(
            f"No row of {len(codes)} is left: expected people with AGE > 16, INCTOT > 100, an "
            "occupation and UHRSWORK > 0; choose a sample that has them. [no-rows]"
        )
    return codes.assign(OCCUPATION=work).loc[kept].reset_index(drop=True)


def _occupation_codes(codes: pd.DataFrame) -> np.ndarray:
    """Return four-digit codes of the lists from 2000 on."""
    if "OCC2010" in codes:
        return read_codes(pick(codes, "OCC2010"))
    year = read_codes(pick(codes, "YEAR")) if "YEAR" in codes else np.zeros(len(codes))
    if (year < 2000).any():
        raise ValueError(
            "OCC has other codes before 2000 (or YEAR is not in the extract): request OCC2010, "
            "which has the same codes in every year. [mixed-years]"
        )
    work = read_codes(pick(codes, "OCC"))
    # the list of 2000 has three digits in some samples, the same codes times ten in later ones
    short = [value for value in np.unique(year) if np.nanmax(work[year == value]) <= 999]
    return np.where(np.isin(year, short), work * 10, work)


def _covariates(
    codes: pd.DataFrame, labels: Mapping[str, Mapping[int, str]], groups: str
) -> pd.DataFrame:
    columns = {
        column: codes[name].astype("float32") for name, column in AMOUNTS.items() if name in codes
    }
    columns |= {
        column: _labelled(pick(codes, name), labels.get(name, {}))
        for name, column in LABELLED.items()
        if name in codes
    }
    columns["occupation"] = occupation_groups(pick(codes, "OCCUPATION"), groups)
    if "BPL" in codes:
        columns["place_of_birth"] = world_area(pick(codes, "BPL"), IPUMS_AREAS)
    return pd.DataFrame(columns)


def _schema(frame: pd.DataFrame) -> Schema:
    return Schema.infer(
        frame,
        cluster="occupation",
        sensitive=("sex", "race", "marital_status", Binned("age", (30, 45), name="age_bracket")),
        target=TARGET,
    )
