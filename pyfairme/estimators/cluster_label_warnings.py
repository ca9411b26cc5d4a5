"""Cluster labels that are probably not what the user takes them for: misspelt, or all new."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pyfairme.data.columns import lookup, sameness
from pyfairme.data.grouping_factors import Factor, Grouping, factor_columns, read_clusters
from pyfairme.notices import DataWarning, unsaid, warn

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects

SHOWN = 3
MOST = 0.5  # share of rows in unknown clusters above which it looks like a mistake
FEWEST_ROWS = 20  # fewer rows of a new cluster are an ordinary question


@contextmanager
def expecting_new_clusters() -> Iterator[None]:
    """Say nothing of rows that are mostly of new clusters: whoever asks says it, or means it."""
    with unsaid("mostly-unseen"):
        yield


def warn_of_clusters(estimator: FairMixedEffects, frame: pd.DataFrame, effects: str) -> None:
    """Warn of clusters among rows to predict that look like a mistake, where they have effects."""
    if effects == "fixed":
        return
    factors = [estimator.design_.factor(one.name) for one in estimator.fit_.spec.factors]
    warn_of_unknown_labels(factors, frame)
    if estimator.unseen == "infer":  # any other policy was chosen for new clusters
        warn_of_unknown_clusters(factors, frame)


def warn_of_similar_labels(frame: pd.DataFrame, cluster: Iterable[Grouping]) -> None:
    """Warn of training clusters whose labels differ only in case, spaces or way of writing."""
    columns = dict.fromkeys(name for entry in cluster for name in factor_columns(entry))
    for column in columns:
        if column not in frame.columns:
            continue  # said with its near matches later
        labels = sorted(read_clusters(frame, column).names)
        first: dict[object, str] = {}
        pairs = []
        for label in labels:
            other = first.setdefault(sameness(label), label)
            pairs += [(label, other)] if other != label else []
        if pairs:
            warn(
                f"The cluster column {column!r} has labels that differ only in case, spaces or the "
                f"way a number is written, and are clusters of their own: {_shown(pairs)}. If they "
                "are one, write them alike before fit, for example with "
                ".str.strip().str.casefold(). [similar-labels]",
                DataWarning,
            )


def warn_of_unknown_labels(factors: Sequence[Factor], frame: pd.DataFrame) -> None:
    """Warn of new labels that equal a known one but for case, spaces or way of writing."""
    for factor in factors:
        column, known, labels = factor.column, factor.levels, factor.read(frame)
        there = set(known)
        new = [label for label in labels.names if label not in there]
        if not new:
            continue
        alike = {sameness(label): label for label in known}
        pairs = [(label, alike[key]) for label in new if (key := sameness(label)) in alike]
        if pairs:
            mistaken = {label for label, _ in pairs}
            rows = np.isin(np.array([*labels.names, ""], dtype=object)[labels.codes], [*mistaken])
            warn(
                f"The cluster column {column!r} has labels that training did not have, but for "
                f"case, spaces or the way a number is written: {_shown(pairs)}. {rows.sum():,} of "
                f"{len(frame):,} rows are taken to be of new clusters: write the labels as in "
                "training. [similar-labels]",
                DataWarning,
            )


def warn_of_unknown_clusters(factors: Sequence[Factor], frame: pd.DataFrame) -> None:
    """Warn where most of many rows are of clusters that training did not have."""
    if len(frame) < FEWEST_ROWS:
        return
    for factor in factors:
        column, known, labels = factor.column, factor.levels, factor.read(frame)
        if factor.nameless:  # all rows are of new clusters, as whoever saved the model wanted
            continue
        new = lookup(labels, known) < 0
        if new.mean() <= MOST:
            continue
        there = set(known)
        names = [name for name in labels.names if name not in there][:SHOWN]
        example = f"new ones such as {', '.join(map(repr, names))}" if names else "missing values"
        known_ones = ", ".join(map(repr, known[:SHOWN]))
        warn(
            f"{new.sum():,} of {len(frame):,} rows are of no cluster that training had in "
            f"{column!r}: {example}; known are {known_ones}, ... If they should be known, compare "
            "how both tables write them. If they are new, they are predicted by unseen='infer'; "
            "another policy says so without this warning, and adapt learns new clusters from "
            "labelled rows. [mostly-unseen]",
            DataWarning,
        )


def _shown(pairs: Iterable[tuple[str, str]]) -> str:
    pairs = list(pairs)
    more = f" and {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else ""
    return ", ".join(f"{one!r} for {other!r}" for one, other in pairs[:SHOWN]) + more
