"""Adult (Census Income), 1994: 32,561 people, income above 50,000 dollars a year."""

import gzip
from importlib.resources import files
from pathlib import Path

import pandas as pd

from pyfairme.atomic import replacing
from pyfairme.data.schema import Binned, Schema
from pyfairme.datasets.dataset import NETWORK, Dataset

__all__ = ["load_adult"]

COLUMNS = (
    "age,workclass,fnlwgt,education,education_num,marital_status,occupation,relationship,race,sex,"
    "capital_gain,capital_loss,hours_per_week,native_country,income"
)
TARGET = "income_over_50k"
ATTRIBUTION = (
    "Becker, B. & Kohavi, R. (1996). Adult [Dataset]. UCI Machine Learning Repository. "
    "https://doi.org/10.24432/C5XW20. CC BY 4.0."
)
TUNED = {
    "medl": NETWORK,
    # pyfairme tune adult --settings tests/benchmarks/tune.json --search fairness_weight
    #   --max-cost 0.01 --trials 40 --folds 5 (validation: worst SD .192 -> .127 for .75 points)
    "medl_adb": {
        **NETWORK,
        "fairness": "decision_adversarial",
        "fairness_weight": {
            "sex": 0.0137,
            "race": 0.0,
            "marital_status": 0.389,
            "age_bracket": 0.0466,
        },
    },
}


def load_adult(*, deduplicate: bool = True) -> Dataset:
    """Load the Adult data that come with the package.

    The cluster is `occupation` (15 levels). Sensitive are sex, race, marital status and the age
    bracket (<=30, 31-45, >45). Two levels are cleaned: a "Married-AF-spouse" counts as
    "Married-civ-spouse", and "?" is the level "Unknown" of its column (for occupation one more
    cluster, not a missing value).

    Parameters
    ----------
    deduplicate
        Drop the 24 rows that repeat another one in every column: 32,537 of 32,561 rows stay.

    Returns
    -------
    Dataset
        14 columns and the target `income_over_50k` (int, 0 or 1).

    References
    ----------
    Becker, B. & Kohavi, R. (1996). Adult. UCI Machine Learning Repository, CC BY 4.0.

    Examples
    --------
    >>> adult = load_adult()
    >>> adult.frame.shape, int(adult.target.sum())
    ((32537, 14), 7839)
    """
    resource = files("pyfairme.datasets") / "files" / "adult.csv.gz"
    with resource.open("rb") as stream:
        table = pd.read_csv(stream, compression="gzip", keep_default_na=False)
    if deduplicate:
        table = table.drop_duplicates(ignore_index=True)
    frame = _clean(table.drop(columns="income"))
    target = pd.Series((table["income"] == ">50K").astype("int64"), name=TARGET)
    return Dataset(
        frame=frame,
        target=target,
        schema=_schema(frame),
        tuned=TUNED,
        name="adult",
        licence="CC BY 4.0",
        attribution=ATTRIBUTION,
    )


def write_bundle(source: Path, destination: Path) -> None:
    """Make the bundled file from the `adult.data` of the UCI repository (plain or gzip).

    Adds the header, drops the blanks after commas and empty lines, changes no value. The bytes do
    not depend on when or where it is run.
    """
    opener = gzip.open if source.suffix == ".gz" else open
    with opener(source, "rt", encoding="ascii") as stream:
        rows = [line.strip().replace(", ", ",") for line in stream if line.strip()]
    text = "\n".join([COLUMNS, *rows, ""])
    with replacing(destination) as file:
        file.write(gzip.compress(text.encode("ascii"), compresslevel=9, mtime=0))


def _clean(frame: pd.DataFrame) -> pd.DataFrame:
    merged = {"Married-AF-spouse": "Married-civ-spouse"}
    text = frame.select_dtypes(exclude="number").replace("?", "Unknown")
    return frame.assign(**text).assign(marital_status=text["marital_status"].replace(merged))


def _schema(frame: pd.DataFrame) -> Schema:
    return Schema.infer(
        frame,
        cluster=("occupation",),
        sensitive=("sex", "race", "marital_status", Binned("age", (30, 45), name="age_bracket")),
        target=TARGET,
    )
