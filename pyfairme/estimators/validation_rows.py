"""Which rows are held out of training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from pyfairme.data import Schema
from pyfairme.data.attributes import Attribute
from pyfairme.data.columns import pick, read_labels
from pyfairme.data.grouping_factors import read_clusters

LARGEST = 1 / 3  # of the rows, up to which a group is held out where none is as small as asked
DRAWS = 20  # of whole groups, of which the one most like all rows is kept


def split(
    frame: pd.DataFrame,
    schema: Schema,
    classes: np.ndarray | None,
    fraction: float,
    seed: int,
    groups: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of training and validation rows of a table, see `held_out`."""
    keys = keys_of(frame, schema) if fraction else []
    return held_out(keys, classes, len(frame), fraction, seed, groups)


def keys_of(frame: pd.DataFrame, schema: Schema) -> Iterator[np.ndarray]:
    """Yield codes (n,) of clusters, groups, categorical covariates, and gaps in numeric ones."""
    for entry in schema.cluster:
        yield read_clusters(frame, entry).codes
    for name in schema.categorical:
        yield read_labels(pick(frame, name)).codes
    for attribute in schema.sensitive:
        yield Attribute.fit(frame, attribute).encode(frame)
    for name in schema.numeric:
        gaps = pick(frame, name).isna().to_numpy()
        if gaps.any():
            yield gaps.astype(np.int8)


def held_out(
    keys: Iterable[np.ndarray],
    classes: np.ndarray | None,
    rows_in_all: int,
    fraction: float,
    seed: int,
    groups: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw validation rows at random, stratified by class: return training and validation rows.

    Validation rows stand for rows to come, so a rare cluster, group or level may be theirs alone.
    Only what training cannot do without is kept for it: a row of every class, and of every key
    (see `keys_of`) that varies, rows with two values.

    Parameters
    ----------
    keys
        Codes (n,) of columns.
    classes
        Class codes (n,), or None.
    rows_in_all, fraction, seed
        How many rows there are, what part of them validates, and the seed of the draw. No row is
        held out where there are too few.
    groups
        Numbers (n,) that rows which belong together share: a group is held out whole or not at all.
        Of some draws that one is taken whose classes are the most like those of all rows. None:
        rows do not belong together.
    """
    rows = np.arange(rows_in_all)
    number = round(fraction * len(rows))
    if number < 2 or len(rows) - number < 2:
        return rows, rows[:0]
    if groups is None:
        validation = _drawn_rows(classes, len(rows), number, seed)
    else:
        validation = _drawn_groups(groups, classes, number, seed)
    back = [] if classes is None else _without_training(classes, validation)
    for key in keys:
        back += _constant_in_training(key, validation)
    if groups is not None:
        back = np.flatnonzero(np.isin(groups, groups[back])).tolist()
    apart = np.zeros(rows_in_all, bool)
    apart[validation] = True
    apart[np.asarray(back, int)] = False
    return np.flatnonzero(~apart), np.flatnonzero(apart)


def _drawn_rows(classes: np.ndarray | None, among: int, number: int, seed: int) -> np.ndarray:
    """Draw so many rows, stratified by class where every class has enough."""
    from sklearn.model_selection import train_test_split  # slow to import

    rows = np.arange(among)
    drawn, strata = rows, None
    if classes is not None:
        drawn = rows[np.bincount(classes)[classes] > 1]  # the only row of its class trains
        many = len(np.unique(classes[drawn]))
        if len(drawn) - number >= many and number >= many:
            strata = classes[drawn]
        else:
            drawn = rows
    split = train_test_split(drawn, test_size=number, random_state=seed, stratify=strata)
    return np.asarray(split[1])


def _drawn_groups(
    groups: np.ndarray, classes: np.ndarray | None, number: int, seed: int
) -> np.ndarray:
    """Draw groups at random for as long as they have at most so many rows together.

    Of several draws that one is kept whose numbers of rows by class are nearest to what stratified
    rows would have, in the sense of Pearson's chi squared. Where every group has more rows than
    that, it is the smallest one alone, if it has at most a third of all.
    """
    codes = np.zeros(len(groups), np.int64) if classes is None else np.asarray(classes, np.int64)
    many = int(codes.max()) + 1
    names, groups = np.unique(groups, return_inverse=True)
    table = np.bincount(groups * many + codes, minlength=len(names) * many)
    table = table.reshape(len(names), many)  # rows by group and class
    wanted = table.sum(axis=0) * (number / len(groups))
    generator = np.random.default_rng(seed)
    best, least = np.empty(0, np.int64), np.inf
    for _ in range(DRAWS):
        chosen = _as_many_as_fit(generator.permutation(len(names)), table.sum(axis=1), number)
        short = table[chosen].sum(axis=0) - wanted
        distance = float((short**2 / np.maximum(wanted, 1)).sum())
        if distance < least:
            best, least = chosen, distance
    sizes = table.sum(axis=1)
    if not len(best) and sizes.min() <= LARGEST * len(groups):
        best = np.array([int(sizes.argmin())])
    return np.flatnonzero(np.isin(groups, best))


def _as_many_as_fit(order: np.ndarray, sizes: np.ndarray, number: int) -> np.ndarray:
    """Go through groups in their order, and take each that leaves the sum at most ``number``."""
    taken: list[np.ndarray] = []
    left = number
    while True:
        order = order[sizes[order] <= left]
        if not len(order):
            return np.concatenate(taken) if taken else order
        sums = np.cumsum(sizes[order])
        fit = int(np.searchsorted(sums, left, side="right"))
        taken.append(order[:fit])
        left -= int(sums[fit - 1])
        order = order[fit + 1 :]


def _without_training(key: np.ndarray, validation: np.ndarray) -> list[int]:
    """Return one validation row of every value that no training row has."""
    training = np.delete(key, validation)
    values, first = np.unique(key[validation], return_index=True)
    return validation[first[~np.isin(values, training)]].tolist()


def _constant_in_training(key: np.ndarray, validation: np.ndarray) -> list[int]:
    """Return a validation row with another value, where training rows have one and others exist."""
    training = np.delete(key, validation)
    if (training != training[0]).any():
        return []
    return validation[key[validation] != training[0]][:1].tolist()
