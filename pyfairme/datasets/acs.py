"""ACSIncome: people in work in the American Community Survey, income above 50,000 dollars."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from pyfairme.data.columns import pick
from pyfairme.data.schema import Binned, Schema
from pyfairme.datasets.census import (
    CLASS_OF_WORKER,
    MARITAL_STATUS,
    RACE,
    RELP,
    RELSHIPP,
    SEX,
    label_codes,
    world_area,
)
from pyfairme.datasets.code_columns import read_codes
from pyfairme.datasets.dataset import NETWORK, Dataset
from pyfairme.datasets.locate import Origin, Paths, files_of, missing_file, readable
from pyfairme.datasets.occupations import check_groups, occupation_groups

__all__ = ["load_acs_income"]

TARGET = "income_over_50k"
ORIGIN = Origin(
    name="ACSIncome",
    folder="acs_income",
    files="ACSIncome*.parquet, or PUMS person files psam_p*.csv or csv_p*.zip",
    source=(
        "PUMS person files of the 2018 ACS, one zip a state, from "
        "https://www2.census.gov/programs-surveys/acs/data/pums/2018/1-Year/ ; or the folktables "
        "package, https://github.com/socialfoundations/folktables, whose "
        "ACSDataSource.get_data(download=True) gives a frame that load_acs_income takes."
    ),
    terms="US Census Bureau, public domain.",
)
COLUMNS = ("AGEP", "COW", "SCHL", "MAR", "OCCP", "POBP", "WKHP", "SEX", "RAC1P", "PINCP")
RELATIONSHIP = {"RELP": RELP, "RELSHIPP": RELSHIPP}
OPTIONAL = (*RELATIONSHIP, "PWGTP")
ATTRIBUTION = (
    "U.S. Census Bureau, American Community Survey, Public Use Microdata Sample; task ACSIncome: "
    "Ding, F., Hardt, M., Miller, J. & Schmidt, L. (2021), Retiring Adult, NeurIPS 34."
)

TUNED = {
    "medl": NETWORK,
    # pyfairme tune acs --settings tests/benchmarks/tune.json --search fairness_weight
    #   --max-cost 0.01 --trials 30 --folds 5 --rows 60000
    #   (validation: worst SD .270 -> .147 for .50 points)
    "medl_adb": {
        **NETWORK,
        "fairness": "decision_adversarial",
        "fairness_weight": {
            "sex": 0.0182,
            "race": 2.30,
            "marital_status": 0.0169,
            "age_bracket": 0.0205,
        },
    },
}


def load_acs_income(path: Paths | pd.DataFrame | None = None, *, groups: str = "major") -> Dataset:
    """Load ACSIncome from its files, raw PUMS person files or a folktables frame.

    The cluster is `occupation`: OCCP grouped by Census code ranges. Sensitive are sex, race (9
    levels), marital status (5) and the age bracket (<=30, 31-45, >45). Raw records are filtered as
    folktables does: AGEP > 16, PINCP > 100, WKHP > 0 and PWGTP >= 1, with the target PINCP > 50000.
    Tables in which PINCP is 0 or 1 are taken as filtered already; a RAC1P that starts at 0 is
    moved back to the codes 1-9.

    Parameters
    ----------
    path
        A parquet, CSV or zip file, a folder of them or several; a frame with the PUMS columns; None
        for the folder "acs_income" below the one that PYFAIRME_DATA names. Files are concatenated.
    groups
        Occupation groups: "major" (25) or "broad" (17), see `occupation_groups`.

    Returns
    -------
    Dataset
        Columns age (years), class_of_worker, education (ordinal, SCHL 1-24), marital_status,
        occupation, place_of_birth (8 world areas), relationship, hours_per_week, sex, race; target
        `income_over_50k` (int, 0 or 1).

    Raises
    ------
    FileNotFoundError
        When there is no file: says where to get them, under which terms, and where to put them.
    ValueError
        For columns that are absent, codes that the data dictionary lacks, or when no row is left.

    References
    ----------
    Ding, F., Hardt, M., Miller, J. & Schmidt, L. (2021). Retiring Adult: New Datasets for Fair
    Machine Learning. NeurIPS 34.

    Examples
    --------
    >>> data = load_acs_income("folder/of/the/files")  # doctest: +SKIP
    >>> data.describe()  # doctest: +SKIP
    """
    check_groups(groups)
    table = path if isinstance(path, pd.DataFrame) else _read_files(path)
    relation = _check_columns(table)
    _one_relationship(table)
    done = bool(np.isin(read_codes(pick(table, "PINCP")), (0, 1)).all())
    table = (table if done else _filter_rows(table)).reset_index(drop=True)
    income = read_codes(pick(table, "PINCP"))
    target = (income == 1 if done else income > 50_000).astype("int64")
    frame = _covariates(table, relation, groups)
    return Dataset(
        frame=frame,
        target=pd.Series(target, name=TARGET),
        schema=_schema(frame),
        tuned=TUNED,
        name="acs_income",
        licence="public domain (US Census Bureau)",
        attribution=ATTRIBUTION,
    )


def _read_files(path: Paths | None) -> pd.DataFrame:
    files = [found for item in files_of(ORIGIN, path) for found in _expand(item)]
    tables = []
    for file in files:
        with readable(file):
            tables.append(_read(file))
    return pd.concat(tables, ignore_index=True)


def _one_relationship(table: pd.DataFrame) -> None:
    """Refuse a mix of years before and from 2019 on, which code relationships differently."""
    both = [name for name in RELATIONSHIP if name in table and bool(np.any(pd.notna(table[name])))]
    if len(both) > 1:
        raise ValueError(
            f"The files mix years: some have {both[0]}, others {both[1]}, which code relationships "
            "differently. Pass the files of one year. [mixed-years]"
        )


def _expand(path: Path) -> Iterator[Path]:
    """Yield the files of a folder, prepared ones first; a file is itself."""
    if path.is_file():
        yield path
        return
    prepared = sorted(path.glob("ACSIncome*.parquet"))
    # folktables keeps its files in folders by year and horizon
    raw = sorted({*path.rglob("psam_p*.csv"), *path.rglob("csv_p*.zip")})
    if not prepared and not raw:
        raise missing_file(ORIGIN, f"the folder {str(path)!r} has none")
    unzipped = {file.parent for file in raw if file.suffix == ".csv"}
    # a folder with both is a download that was unpacked: reading both would double its rows
    yield from prepared or [f for f in raw if f.suffix == ".csv" or f.parent not in unzipped]


def _read(file: Path) -> pd.DataFrame:
    wanted = {*COLUMNS, *OPTIONAL}
    if file.suffix == ".parquet":
        return pd.read_parquet(file)
    if file.suffix != ".zip":
        return pd.read_csv(file, usecols=lambda name: name in wanted)
    with zipfile.ZipFile(file) as archive:  # it holds a note in PDF as well
        names = [name for name in archive.namelist() if name.lower().endswith(".csv")]
        tables = []
        for name in names:
            with archive.open(name) as stream:
                tables.append(pd.read_csv(stream, usecols=lambda column: column in wanted))
    if not tables:
        raise ValueError(
            f"Expected a CSV file in {str(file)!r}, found none: download it again. [damaged-file]"
        )
    return pd.concat(tables, ignore_index=True)


def _check_columns(table: pd.DataFrame) -> str:
    absent = [name for name in COLUMNS if name not in table]
    relation = next((name for name in RELATIONSHIP if name in table), None)
    if absent or relation is None:
        names = ", ".join([*absent, *["RELP (or RELSHIPP)"] * (relation is None)])
        raise ValueError(
            f"Expected the person columns of the PUMS, but {names} are absent: pass a person file "
            "(psam_p...), not a housing file, or the frame that folktables' get_data returns. "
            "[absent-column]"
        )
    return relation


def _filter_rows(table: pd.DataFrame) -> pd.DataFrame:
    lowest = {"AGEP": 17, "PINCP": 101, "WKHP": 1, **({"PWGTP": 1} if "PWGTP" in table else {})}
    kept = np.ones(len(table), dtype=bool)
    for name, least in lowest.items():
        kept &= read_codes(pick(table, name)) >= least  # False where missing
    kept = table.loc[kept]
    if kept.empty:
        raise ValueError(
            f"No row of {len(table)} is left by the filter of ACSIncome (AGEP > 16, PINCP > 100, "
            "WKHP > 0, PWGTP >= 1): pass raw person records. [no-rows]"
        )
    return kept


def _covariates(table: pd.DataFrame, relation: str, groups: str) -> pd.DataFrame:
    race = read_codes(pick(table, "RAC1P"))
    race = pd.Series(race + (np.nanmin(race) == 0), name="RAC1P")
    labelled = {
        "marital_status": (pick(table, "MAR"), MARITAL_STATUS),
        "class_of_worker": (pick(table, "COW"), CLASS_OF_WORKER),
        "relationship": (pick(table, relation), RELATIONSHIP[relation]),
        "sex": (pick(table, "SEX"), SEX),
        "race": (race, RACE),
    }
    levels = {name: label_codes(codes, text, name) for name, (codes, text) in labelled.items()}
    numbers = {"age": "AGEP", "education": "SCHL", "hours_per_week": "WKHP"}
    columns = {
        **{name: _small(pick(table, code)) for name, code in numbers.items()},
        **levels,
        "occupation": occupation_groups(pick(table, "OCCP"), groups),
        "place_of_birth": world_area(pick(table, "POBP")),
    }
    order = [
        *("age", "class_of_worker", "education", "marital_status", "occupation"),
        *("place_of_birth", "relationship", "hours_per_week", "sex", "race"),
    ]
    return pd.DataFrame({name: columns[name] for name in order})


def _small(series: pd.Series) -> pd.Series:
    """Keep whole numbers below 100 in float32: missing values stay, 665,800 rows are 2.7 MB."""
    return pd.Series(read_codes(series).astype(np.float32), index=series.index)


def _schema(frame: pd.DataFrame) -> Schema:
    return Schema.infer(
        frame,
        cluster="occupation",
        sensitive=("sex", "race", "marital_status", Binned("age", (30, 45), name="age_bracket")),
        target=TARGET,
    )
