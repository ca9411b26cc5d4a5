"""The published results of the paper, as far as its text states them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import NamedTuple

import pandas as pd

NAN = float("nan")
# ACS person files are the source of the paper's IPUMS extract: other years of the same survey.
COUNTERPARTS = {"adult": "adult", "acs": "ipums", "ipums": "ipums", "heritage": "heritage"}


class PaperCell(NamedTuple):
    """What the paper prints about one cell of its tables; NaN where it prints nothing."""

    value: float
    change_percent: float
    difference: float
    direction: float  # -1: said to fall, without a number
    derived: bool  # the change was computed by us from the two printed values


def paper_values() -> pd.DataFrame:
    """Return every number that the text of the paper (arXiv 2310.03146) gives about its results.

    Returns
    -------
    DataFrame
        One row per number: dataset (``"all"``: over the three), variant and baseline (our names of
        the models), effects, clusters, attribute, metric, kind, value, source (where it stands),
        note. Kinds: ``value``; ``change_percent`` and ``difference`` against the baseline;
        ``count``; ``p_value_below``; ``direction``, -1 for a disparity that is said to fall
        without a number. A note that starts with "derived" marks what we computed from the printed
        numbers. The supplement's tables are not public, so most cells are missing.

    Examples
    --------
    >>> known = paper_values()
    >>> age = known[(known["dataset"] == "adult") & (known["attribute"] == "age_bracket")]
    >>> age.loc[age["kind"] == "value", ["variant", "metric", "value"]]
        variant  metric  value
    6      medl  tpr_sd  0.174
    7  medl_adb  tpr_sd  0.097
    """
    return _read().copy()


@cache
def _read() -> pd.DataFrame:
    resource = files("pyfairme.report") / "paper_values.csv"
    with resource.open(encoding="utf-8") as stream:
        return pd.read_csv(stream, keep_default_na=False).astype({"value": float})


def paper_dataset(dataset: str) -> str:
    """Return the paper's name of a data set; empty where the paper has none like it.

    Examples
    --------
    >>> paper_dataset("acs_income"), paper_dataset("my_table")
    ('ipums', '')
    """
    first = dataset.split("_")[0].lower()
    return COUNTERPARTS.get(first, "")


def paper_cell(key: tuple[str, ...], baseline: str) -> PaperCell:
    """Return what the paper prints about one cell.

    Parameters
    ----------
    key
        Dataset (our name; ACS is read against the paper's IPUMS), variant, effects, clusters,
        attribute, metric.
    baseline
        The model that changes and differences refer to.
    """
    place = (paper_dataset(key[0]), *key[1:])
    alone, against = _cells().get((*place, ""), {}), _cells().get((*place, baseline), {})
    change, note = against.get("change_percent", (NAN, ""))
    return PaperCell(
        alone.get("value", (NAN, ""))[0],
        change,
        against.get("difference", (NAN, ""))[0],
        against.get("direction", (NAN, ""))[0],
        note.startswith("derived"),
    )


@cache
def _cells() -> dict[tuple[str, ...], dict[str, tuple[float, str]]]:
    """Kind to number and note, by cell and baseline."""
    keys = ["dataset", "variant", "effects", "clusters", "attribute", "metric", "baseline"]
    cells: dict[tuple[str, ...], dict[str, tuple[float, str]]] = {}
    for row in _read().to_dict("records"):
        key = tuple(str(row[name]) for name in keys)
        cells.setdefault(key, {})[str(row["kind"])] = (float(row["value"]), str(row["note"]))
    return cells
