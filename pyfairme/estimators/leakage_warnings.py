"""Warn of covariates that give the target, a group or the cluster away, or number the rows."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from pyfairme.data import Batch, Design
from pyfairme.data.columns import column_kind, pick, read_numbers
from pyfairme.data.standardising import power_of_two
from pyfairme.estimators.telling_columns import telling_columns
from pyfairme.notices import DataWarning, warn

FEWEST_ROWS = 20
FEWEST_CLUSTERS = 5
THERE = 0.95  # share of rows in which a copy has a value
EXACT = 1 - 1e-9  # correlation with a real target
ENCODED = 0.995  # correlation with the clusters' mean targets
CLUSTERS_TO_CORRELATE = 8
FEWEST_OF_CLASS = 20  # rows of each class, before a number that parts them is no chance
NEARLY = 0.02  # share of rows in which a near copy of the target errs
DISTINCT = 0.95  # share of rows with a whole number of their own, of an identifier
FEWEST_IDENTIFIERS = 20  # different numbers of a column that is named as one
NAMED_AS_ONE = re.compile(r"(?:^|[^A-Za-z])(?:id|Id|ID)$|[a-z](?:Id|ID)$")


def warn_of_copies(
    design: Design, frame: pd.DataFrame, training: Batch, drop_sensitive: bool = False
) -> None:
    """Warn of columns that tell the target or a cluster, hold a mean of y, or number the rows.

    With ``drop_sensitive`` also of those that tell a group. ``frame`` are the training rows,
    ``training`` the same encoded.
    """
    y = np.asarray(training.y, np.float64)
    if len(y) < FEWEST_ROWS:
        return
    sensitive = set(design.schema.sensitive_columns)
    columns = dict.fromkeys(term.column for term in design.terms)
    found = [name for name in columns if name not in sensitive]
    task, outcomes = design.schema.task, len(np.unique(y))
    copies = [name for name in found if _is_target(pick(frame, name), y, task, outcomes)]
    if copies:
        warn(
            f"{_named(copies)} the target under another name: each value goes with one value of y. "
            f"A model of it says nothing about rows whose outcome is still unknown. Leave it out "
            f"of X. "
            "[target-copy]",
            DataWarning,
        )
    others = [name for name in found if name not in copies]
    two = task == "classification" and outcomes == 2
    parting = [name for name in others if two and _parts_classes(pick(frame, name), y)]
    if parting:
        warn(
            f"{_named(parting)} as good as the target: one cut of its values parts the classes "
            "without an error. Is it known only once the outcome is? Then leave it out of X. "
            "[target-copy]",
            DataWarning,
        )
    coded = y if design.schema.task == "classification" else None
    told = _warn_of_tellers(
        design, frame, [n for n in others if n not in parting], coded, training, drop_sensitive
    )
    others = [name for name in others if name not in told]
    _warn_of_identifiers(design, frame, others)
    counting = [name for name in others if _numbers_rows(pick(frame, name))]
    if counting:
        warn(
            f"{_named(counting)} a count of the rows (whole numbers with hardly a gap, none of "
            "them twice): the network takes an identifier for a quantity. Leave it out of X, "
            "unless it is one. [row-number]",
            DataWarning,
        )
    for factor, codes in zip(design.factors, training.cluster.T, strict=True):
        names = [name for name in others if _is_cluster(pick(frame, name), codes)]
        if names:
            warn(
                f"{_named(names)} the cluster {factor.column!r} under another name, one value for "
                f"each cluster: the network then memorises the clusters, and fixed effects are no "
                f"longer what holds in all clusters. Leave it out of X. [cluster-copy]",
                DataWarning,
            )
        means = [name for name in others if _is_mean(pick(frame, name), codes, y)]
        if means:
            warn(
                f"{_named(means)} almost the mean of y in each cluster of {factor.column!r} "
                "(target encoding?): the outcomes of training rows are then among their own "
                "covariates. Leave it out of X. [target-encoded]",
                DataWarning,
            )


def _warn_of_tellers(
    design: Design,
    frame: pd.DataFrame,
    columns: list[str],
    y: np.ndarray | None,
    training: Batch,
    drop_sensitive: bool,
) -> list[str]:
    """Warn of near copies of classes y, and of what tells a group; return the near copies."""
    attributes = design.attributes if drop_sensitive else ()
    places = np.asarray(training.sensitive)
    groups = [np.rint(places[:, k]).astype(np.int32) for k in range(len(attributes))]
    classes = [] if y is None or np.bincount(y.astype(int)).min() < FEWEST_OF_CLASS else [y]
    if not columns or not (classes or groups):
        return []
    found = list(telling_columns(frame, columns, [*classes, *groups]))
    copies = [one for one in found[0] if one.nearly(wrong=NEARLY)] if classes else []
    if copies:
        share = min(one.share for one in copies)
        warn(
            f"{_named([one.column for one in copies])} nearly the target: in {share:.1%} of the "
            f"training rows a value goes with one value of y (the commonest alone: "
            f"{copies[0].common:.1%}). Is it known only once the outcome is? Then leave it out of "
            "X. [target-copy]",
            DataWarning,
        )
    for attribute, each in zip(attributes, found[len(classes) :], strict=True):
        tellers = [one for one in each if one.nearly()]
        if tellers:
            shown = ", ".join(f"{one.column!r} ({one.share:.0%})" for one in tellers[:5])
            more = ", ..." if len(tellers) > 5 else ""
            warn(
                f"drop_sensitive hides {attribute.name!r} from the network, and other columns tell "
                f"it for nearly all rows: {shown}{more}; the largest group alone would be "
                f"{tellers[0].common:.0%}. Predictions can follow the groups all the same. Leave "
                "these columns out too (drop=), and read the report, which compares the groups "
                "either way. [proxy]",
                DataWarning,
            )
    return [one.column for one in copies]


def _warn_of_identifiers(design: Design, frame: pd.DataFrame, columns: list[str]) -> None:
    numeric = [name for name in columns if name in design.schema.numeric]
    found = {name: _identifies(pick(frame, name), name) for name in numeric}
    names = [name for name, number in found.items() if number]
    if names:
        warn(
            f"{_named(names)} probably an identifier ({found[names[0]]:,} different whole numbers):"
            " the network takes it for a quantity. Leave it out of X (drop=); where rows with one "
            "number belong together, make it a cluster, and give it to groups= of a study. If it "
            "is a quantity, give it a name that does not end in id. [row-number]",
            DataWarning,
        )


def _identifies(series: pd.Series, name: str) -> int:
    """Return how many whole numbers a column holds that number rows, 0 if they seem a quantity.

    It is named as an identifier; or nearly each row has a number of its own, and they only rise or
    only fall from row to row.
    """
    by_name = bool(NAMED_AS_ONE.search(name))
    if not by_name and not (_one_way(series.iloc[:FEWEST_ROWS]) and _one_way(series)):
        return 0
    values = read_numbers(series)
    values = values[~np.isnan(values)]
    if (values % 1 != 0).any() or _numbers_rows(series):
        return 0
    number = len(np.unique(values))
    return number if number >= (FEWEST_IDENTIFIERS if by_name else DISTINCT * len(series)) else 0


def _one_way(series: pd.Series) -> bool:
    """Whether numbers only rise or only fall."""
    return bool(series.is_monotonic_increasing or series.is_monotonic_decreasing)


def _named(columns: list[str]) -> str:
    names = ", ".join(map(repr, columns[:5])) + (", ..." if len(columns) > 5 else "")
    return f"Column {names} is" if len(columns) == 1 else f"Columns {names} are"


def _is_target(series: pd.Series, y: np.ndarray, task: str, outcomes: int) -> bool:
    if task == "classification":
        codes, distinct = pd.factorize(series)  # names of each of many numbers take seconds
        return len(distinct) == outcomes and _one_to_one(codes, y)
    if column_kind(series) != "numeric":
        return False
    values = read_numbers(series)
    there = ~np.isnan(values)
    if there.mean() < THERE or np.ptp(values[there]) == 0 or np.ptp(y[there]) == 0:
        return False
    if len(np.unique(y[there])) < FEWEST_CLUSTERS:
        return bool(_one_to_one(pd.factorize(values)[0], y))
    return _correlation(values[there], y[there]) > EXACT


def _parts_classes(series: pd.Series, y: np.ndarray) -> bool:
    """Whether all values of one of two classes lie above all values of the other."""
    if column_kind(series) != "numeric":
        return False
    values = read_numbers(series)
    there, low = ~np.isnan(values), y == y.min()
    one, two = values[there & low], values[there & ~low]
    if there.mean() < THERE or min(len(one), len(two)) < FEWEST_OF_CLASS:
        return False
    return bool(one.max() < two.min() or two.max() < one.min())


def _numbers_rows(series: pd.Series) -> bool:
    """Whether the values are distinct whole numbers that leave out less than half of their range.

    Rows that were held out or dropped leave gaps.
    """
    if column_kind(series) != "numeric":
        return False
    values = read_numbers(series)
    if np.isnan(values).any() or (values % 1 != 0).any():
        return False
    return len(np.unique(values)) == len(values) > np.ptp(values) / 2


def _is_cluster(series: pd.Series, codes: np.ndarray) -> bool:
    """Whether labels, or numbers that count up, are one-to-one with the clusters."""
    own, distinct = pd.factorize(series)
    clusters = np.count_nonzero(np.bincount(codes[codes >= 0]))
    if clusters < FEWEST_CLUSTERS or len(distinct) != clusters:
        return False
    if column_kind(series) == "numeric":  # a size or an income may differ in every cluster too
        values = np.unique(read_numbers(series)[own >= 0])
        if np.ptp(values) != clusters - 1 or (values % 1 != 0).any():
            return False
    return _one_to_one(own, codes)


def _is_mean(series: pd.Series, codes: np.ndarray, y: np.ndarray) -> bool:
    there = codes >= 0
    place = codes[there]
    rows = np.bincount(place)
    if np.count_nonzero(rows) < CLUSTERS_TO_CORRELATE or column_kind(series) != "numeric":
        return False
    values = read_numbers(series)[there]
    mean, of_y = (np.bincount(place, one) / np.maximum(rows, 1) for one in (values, y[there]))
    constant = np.allclose(values, mean[place], rtol=1e-9)  # within clusters; NaN: not
    mean, of_y = mean[rows > 0], of_y[rows > 0]
    if not constant or np.ptp(mean) == 0 or np.ptp(of_y) == 0:
        return False
    return _correlation(mean, of_y) > ENCODED


def _correlation(one: np.ndarray, two: np.ndarray) -> float:
    """Return the absolute correlation of numbers of any size, whose squares may overflow."""
    one, two = (values / power_of_two(values) for values in (one, np.asarray(two, float)))
    return float(abs(np.corrcoef(one, two)[0, 1]))


def _one_to_one(one: np.ndarray, two: np.ndarray) -> bool:
    """Whether each value of one goes with one of the other, (n,) both; negative: no value."""
    there = (one >= 0) & (two >= 0) if two.dtype.kind in "iu" else one >= 0
    if there.mean() < THERE:
        return False
    pairs = pd.DataFrame({"one": one[there], "two": two[there]}).drop_duplicates()
    return bool(pairs["one"].is_unique and pairs["two"].is_unique)
