"""Which clusters training sees, and which rows train, validate and test."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from pyfairme.data.columns import MISSING, lookup
from pyfairme.data.grouping_factors import factor_columns, read_clusters
from pyfairme.datasets import Dataset
from pyfairme.metrics.array_inputs import as_groups
from pyfairme.study.arguments import check_folds

BINS = 10  # of a real target, by rank


class Rotation(NamedTuple):
    """Row numbers of one rotation of the folds, each part sorted.

    Attributes
    ----------
    training
        Rows of all folds but two.
    validation
        Rows of the fold after the test fold (of the first one after the last).
    test
        Rows of one fold.

    Examples
    --------
    >>> first, *_ = rotations([0, 1] * 10, folds=5, seed=0)
    >>> first.test.shape
    (4,)
    """

    training: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def seen_clusters(dataset: Dataset, number: int) -> tuple[str, ...]:
    """Choose the clusters that training sees: those with the most rows.

    Parameters
    ----------
    dataset
        Data with exactly one cluster column, or nested ones: then the outermost is split by.
    number
        How many clusters to choose.

    Returns
    -------
    tuple of str
        Labels from large to small, as `Dataset.describe` lists them; equally large ones in the
        natural order of their labels. Rows without a label are no cluster.

    Raises
    ------
    ValueError
        When the data have no cluster column or several, or not more clusters than ``number``.

    Examples
    --------
    >>> import pyfairme as pf
    >>> seen_clusters(pf.datasets.load_adult(), 2)
    ('Prof-specialty', 'Craft-repair')
    """
    outermost = {factor_columns(entry)[0] for entry in dataset.schema.cluster}
    if len(outermost) != 1:
        raise ValueError(
            f"Expected one cluster column to split by, got {list(dataset.schema.cluster)}: crossed "
            "factors cannot be split by one of them alone. [split-by-cluster]"
        )
    table = dataset.describe()
    first = (table["role"] == "cluster") & (table["feature"] == next(iter(outermost)))
    labels = table.loc[first & (table["category"] != MISSING), "category"]
    if not 0 < number < len(labels):
        raise ValueError(
            f"The number of seen clusters must lie between 1 and {len(labels) - 1}, so that some "
            f"of the {len(labels)} clusters are seen and some are not; got {number}. "
            "[seen-clusters]"
        )
    return tuple(labels.head(number))


def rotations(
    y: ArrayLike, folds: int = 10, seed: int = 0, groups: object = None
) -> tuple[Rotation, ...]:
    """Split rows into stratified folds, each of which is the test fold once.

    With ten folds: eight train, one validates, one tests, rotated ten times.

    Parameters
    ----------
    y
        Classes of the rows, shape (n,); their shares are alike in all folds.
    folds
        Number of folds and of rotations, at least 3.
    seed
        Seeds the assignment of rows to folds.
    groups
        Labels (n,) of rows that belong together: all rows of a group are in one fold, and the
        shares of the classes as alike as that allows (scikit-learn's StratifiedGroupKFold). None:
        every row by itself.

    Returns
    -------
    tuple of Rotation
        Rotation k tests on fold k and validates on fold k + 1.

    Raises
    ------
    ValueError
        When there are fewer than three folds, or a class has fewer rows than folds; when the groups
        leave a fold empty.

    Examples
    --------
    >>> first, *_ = rotations([0, 1] * 10, folds=5, seed=0)
    >>> [len(part) for part in first]
    [12, 4, 4]
    """
    labels = np.asarray(y)
    check_folds(folds, None)
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < folds:
        smallest = classes[counts.argmin()]
        raise ValueError(
            f"Class {smallest!s} has {counts.min()} rows, fewer than the {folds} folds: use fewer "
            "folds or merge classes. [small-class]"
        )
    if groups is None:
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
        tests = [test for _, test in splitter.split(np.zeros(len(labels)), labels)]
    else:
        codes = as_groups(groups, "groups", len(labels)).codes
        tests = _folds_of_groups(labels, codes, folds, seed)
    every = np.arange(len(labels))
    found = []
    for number, test in enumerate(tests):
        validation = tests[(number + 1) % folds]
        training = np.setdiff1d(every, np.concatenate([test, validation]))
        found.append(Rotation(training, validation, test))
    return tuple(found)


def _folds_of_groups(
    labels: np.ndarray, groups: np.ndarray, folds: int, seed: int
) -> list[np.ndarray]:
    number, tests = len(np.unique(groups)), []
    if number >= folds:
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        tests = [test for _, test in splitter.split(np.zeros(len(labels)), labels, groups)]
    if not tests or not all(map(len, tests)):
        raise ValueError(
            f"The rows are of {number:,} groups, which leave one of {folds} folds empty: use fewer "
            "folds, or smaller groups. [few-groups]"
        )
    return tests


def strata(dataset: Dataset) -> np.ndarray:
    """Return the class of each row for stratified folds, (n,): of a real target its tenth.

    Tenths that share their limits (a count that is mostly 0) are one.
    """
    if dataset.schema.task == "classification":
        return dataset.target.to_numpy()
    return np.asarray(pd.qcut(dataset.target, BINS, labels=False, duplicates="drop"))


def seen_rows(dataset: Dataset, seen: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return positions of the rows of the seen clusters, and of all others; none given: all seen.

    Rows without a label are none of the seen clusters'.
    """
    rows = np.arange(len(dataset.frame))
    if not seen:
        return rows, rows[:0]
    column = read_clusters(dataset.frame, dataset.schema.cluster[0])
    inside = (lookup(column, list(seen)) >= 0) & (column.codes >= 0)
    return rows[inside], rows[~inside]


def judged_as_seen(
    dataset: Dataset, seen: Sequence[str], groups: np.ndarray | None = None
) -> np.ndarray:
    """Return whether each row is of clusters that training sees, (n,).

    Where every cluster is seen, rows without one are not: a fit leaves them out, and predicts them
    as of a new cluster. Nor are those of a cluster all of whose rows belong together, by
    ``groups`` (n,): it is never both trained on and judged.
    """
    found = np.isin(np.arange(len(dataset.frame)), seen_rows(dataset, seen)[0])
    for entry in dataset.schema.cluster:
        codes = read_clusters(dataset.frame, entry).codes
        found &= codes >= 0
        if groups is not None:
            pairs = np.unique(np.stack([codes, groups]), axis=1)
            found &= np.bincount(pairs[0] + 1)[codes + 1] > 1
    return found


def some_rows(dataset: Dataset, rows: int | None, seed: int = 0) -> Dataset:
    """Return a random part of the data in their order; all of it for None."""
    if rows is None or rows >= len(dataset.frame):
        return dataset
    chosen = np.sort(np.random.default_rng(seed).permutation(len(dataset.frame))[:rows])
    return replace(
        dataset,
        frame=dataset.frame.iloc[chosen].reset_index(drop=True),
        target=dataset.target.iloc[chosen].reset_index(drop=True),
        weight=None if dataset.weight is None else pd.Series(np.asarray(dataset.weight)[chosen]),
    )
