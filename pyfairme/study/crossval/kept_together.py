"""Rows that belong together: visits of one patient, applications to one advertisement."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pyfairme.data.checks import check_present
from pyfairme.data.columns import pick
from pyfairme.data.grouping_factors import factor_columns
from pyfairme.datasets import Dataset
from pyfairme.estimators.estimator_keywords import check_choice
from pyfairme.metrics.array_inputs import as_groups

HELD_OUT = ("rows", "clusters")


def group_codes(dataset: Dataset, groups: ArrayLike | str | None) -> np.ndarray | None:
    """Return a number (n,) per row that rows which belong together share; None for None.

    Parameters
    ----------
    dataset
        The data.
    groups
        Labels of the rows, shape (n,), or the name of a column of the data set's frame.

    Raises
    ------
    ValueError
        When there is no such column, the length is another one, or a label is missing.
    """
    if groups is None:
        return None
    if isinstance(groups, str):
        check_present([groups], dataset.frame.columns, "groups")
        groups = pick(dataset.frame, groups)
    codes = as_groups(groups, "groups").codes
    if len(codes) != len(dataset.frame):
        raise ValueError(
            f"groups has {len(codes):,} rows, and the data set {len(dataset.frame):,}: give the "
            "group of every row, or the name of a column. [other-length]"
        )
    return pd.factorize(codes)[0].astype(np.int64)  # by first row: other labels, the same split


def held_out_together(
    dataset: Dataset, groups: ArrayLike | str | None, hold_out: str
) -> np.ndarray | None:
    """Return `group_codes`, with ``hold_out="clusters"`` those of the clusters.

    Rows without a cluster belong together with none.

    Raises
    ------
    ValueError
        As `group_codes`; for another value of ``hold_out``, groups beside "clusters", and data
        without a cluster column or with crossed ones.
    """
    check_choice("hold_out", hold_out, HELD_OUT)
    if hold_out == "rows":
        return group_codes(dataset, groups)
    if groups is not None:
        raise ValueError(
            "hold_out='clusters' and groups= both say which rows are held out together: give one "
            "of them. [two-roles]"
        )
    outermost = {factor_columns(entry)[0] for entry in dataset.schema.cluster}
    if len(outermost) != 1:
        raise ValueError(
            f"hold_out='clusters' needs one cluster column, got {list(dataset.schema.cluster)}: "
            "name it in the schema, or give groups= a column. [split-by-cluster]"
        )
    labels = pick(dataset.frame, next(iter(outermost)))
    codes = pd.factorize(labels)[0].astype(np.int64)
    gaps = codes < 0
    codes[gaps] = codes.max() + 1 + np.arange(gaps.sum())
    return codes


def digest(codes: np.ndarray | None) -> dict[str, str]:
    """Return what a study's settings hold of its groups: nothing without any.

    Fits of studies that held out single rows of a group had another hash.
    """
    if codes is None:
        return {}
    return {"groups": hashlib.sha256(b"whole groups" + codes.tobytes()).hexdigest()[:16]}


def check_training(
    dataset: Dataset, rows: np.ndarray, parts: Iterable[np.ndarray], groups: np.ndarray
) -> None:
    """Refuse training rows without one of the classes, as all its rows are of a few groups.

    Parameters
    ----------
    dataset
        The data.
    rows
        Numbers of the rows that are trained on in one of the fits or another.
    parts
        Training rows of each fit.
    groups
        Of all rows, (n,).

    Raises
    ------
    ValueError
        With the class and the number of its groups.
    """
    if dataset.schema.task != "classification":
        return
    labels = dataset.target.to_numpy()
    classes = pd.unique(labels[rows])
    for training in parts:
        for label in classes[~pd.Series(classes).isin(labels[training])]:
            number = len(np.unique(groups[labels == label]))
            raise ValueError(
                f"The rows of class {label!s} are of {number:,} groups, and none of these is left "
                "to train on in one of the folds: use smaller groups, another seed, or merge "
                "classes. [few-groups]"
            )


def deal(
    rows: np.ndarray, folds: Sequence[np.ndarray], groups: np.ndarray, seed: int
) -> list[np.ndarray]:
    """Deal further rows to folds, where their group is judged; groups of no fold at random.

    Parameters
    ----------
    rows
        Numbers of the rows that are dealt.
    folds
        Numbers of the rows that each fold judges already.
    groups
        Of all rows, (n,).
    seed
        Of the draw.
    """
    place = np.full(groups.max() + 1, -1)
    for number, fold in enumerate(folds):
        place[groups[fold]] = number
    free = np.unique(groups[rows][place[groups[rows]] < 0])
    for number, part in enumerate(
        np.array_split(np.random.default_rng(seed).permutation(free), len(folds))
    ):
        place[part] = number
    return [rows[place[groups[rows]] == number] for number in range(len(folds))]
