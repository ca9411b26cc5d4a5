"""Grouping factors: crossed or nested ones, and the clusters that training rows have."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from pyfairme.data.columns import (
    MISSING,
    Labels,
    doubled_labels,
    lookup,
    natural_order,
    pick,
    read_labels,
    times_as_text,
)
from pyfairme.data.hidden_names import derived, hashed

Grouping = str | tuple[str, ...]  # a column, or the path of columns down to a nested factor
JOINER = ":"


def factors_of(cluster: str | Iterable[Grouping]) -> tuple[Grouping, ...]:
    """Return every grouping factor: of a path of nested columns one for each of its steps.

    Parameters
    ----------
    cluster
        A column, or a sequence of columns (crossed) and of tuples: ``("school", "class")`` is
        lme4's ``school/class``, classes that are numbered anew in each school.

    Examples
    --------
    >>> factors_of([("school", "class"), "rater"])
    ('school', ('school', 'class'), 'rater')
    >>> factors_of(("school", "rater"))
    ('school', 'rater')
    """
    entries = (cluster,) if isinstance(cluster, str) else tuple(cluster)
    found: list[Grouping] = []
    for position, entry in enumerate(entries):
        if not isinstance(entry, tuple):
            if entry not in found or entry in entries[:position]:  # a repeat is refused later
                found.append(entry)
            continue
        for depth in range(1, len(entry) + 1):
            step = entry[0] if depth == 1 else entry[:depth]
            if step not in found:  # paths may share their beginning
                found.append(step)
    return tuple(found)


def factor_columns(entry: Grouping) -> tuple[str, ...]:
    """Return the columns that a factor is read from."""
    return entry if isinstance(entry, tuple) else (entry,)


def factor_name(entry: Grouping) -> str:
    """Return the name of a factor.

    Examples
    --------
    >>> factor_name(("school", "class")), factor_name("school")
    ('school:class', 'school')
    """
    return JOINER.join(map(str, factor_columns(entry)))


def read_clusters(
    frame: pd.DataFrame, entry: Grouping, doubled: Sequence[Sequence[str]] | None = None
) -> Labels:
    r"""Return each row's cluster of one factor.

    A nested one is called by its whole path, such as "7:2" for class 2 of school 7; a colon within
    a label is written "\:", so that two paths never share a name. Where one step is missing, so
    is the cluster. Dates and times are labels like any other. ``doubled`` has an entry per column,
    see `read_labels`.
    """
    columns = [times_as_text(pick(frame, name)) for name in factor_columns(entry)]
    known = [None] * len(columns) if doubled is None else doubled
    steps = [read_labels(column, own) for column, own in zip(columns, known, strict=True)]
    if len(steps) == 1:
        return steps[0]
    shape = tuple(len(step.names) for step in steps)
    gaps = np.logical_or.reduce([step.codes < 0 for step in steps])
    if 0 in shape:
        return Labels(np.full(len(frame), -1), [], [])
    joint = np.ravel_multi_index([np.maximum(step.codes, 0) for step in steps], shape)
    distinct, codes = np.unique(np.where(gaps, -1, joint), return_inverse=True)
    there = distinct >= 0
    paths = np.stack(np.unravel_index(distinct[there], shape), axis=1)
    names = [_path_name([step.names[i] for step, i in zip(steps, p, strict=True)]) for p in paths]
    place = np.where(there, np.cumsum(there) - 1, -1)
    return Labels(place[codes], names, list(names))


def _path_name(labels: list[str]) -> str:
    escaped = [label.replace("\\", "\\\\").replace(JOINER, "\\" + JOINER) for label in labels]
    return JOINER.join(escaped)


def _in_order(names: list[str], entry: Grouping) -> list[str]:
    """Sort labels naturally, paths step by step."""
    if not isinstance(entry, tuple):
        return natural_order(names)
    steps = {name: re.findall(r"(?:^|:)((?:[^:\\]|\\.)*)", name) for name in set(names)}
    ordered = natural_order(step for path in steps.values() for step in path)
    place = {step: i for i, step in enumerate(ordered)}
    return sorted(steps, key=lambda name: (name == MISSING, [place[s] for s in steps[name]]))


@dataclass(frozen=True)
class Factor:
    """A grouping factor.

    Parameters
    ----------
    column
        Its name: that of its column, or of its path, such as "school:class".
    levels
        Labels of the training clusters in natural order. A label is `str(value)`, whole numbers
        without ".0": 7, 7.0 and "7" are one cluster; see `read_clusters` for nested ones. A missing
        value is none of them.
    path
        The columns of a nested factor from the outermost to its own; () for a factor of one column.
    doubled
        By column, the labels that training rows had both as text and as another value.
    salt
        None where levels are names. In a private model they are hashes of names: with "" nobody can
        match a name with one, else `unlocked` can.
    secret
        What names are hashed with; never saved.
    """

    column: str
    levels: tuple[str, ...]
    path: tuple[str, ...] = ()
    doubled: tuple[tuple[str, ...], ...] = ()
    salt: str | None = None
    secret: bytes | None = field(default=None, repr=False, compare=False, metadata={"saved": False})

    @classmethod
    def fit(cls, frame: pd.DataFrame, entry: Grouping) -> "Factor":
        """Learn from the training rows; raise ValueError when they have one cluster only."""
        levels = tuple(_in_order(read_clusters(frame, entry).names, entry))
        name = factor_name(entry)
        if len(levels) < 2:
            raise ValueError(
                f"The cluster column {name!r} needs at least two clusters in the training "
                f"rows to have random effects, got {len(levels)} ({', '.join(levels)}): drop it "
                "from cluster, or give rows of other clusters. [one-cluster]"
            )
        columns = factor_columns(entry)
        doubled = tuple(doubled_labels(times_as_text(pick(frame, column))) for column in columns)
        path = entry if isinstance(entry, tuple) else ()
        return cls(name, levels, path, doubled if any(doubled) else ())

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it is read from."""
        return self.path or (self.column,)

    @property
    def entry(self) -> Grouping:
        """The factor as `Schema.cluster` has it."""
        return self.path or self.column

    def read(self, frame: pd.DataFrame) -> Labels:
        """Return each row's cluster, as it is called in `levels`."""
        labels = read_clusters(frame, self.entry, self.doubled or ((),) * len(self.columns))
        if self.secret is None:
            return labels
        return labels._replace(names=hashed(labels.names, self.secret))

    @property
    def nameless(self) -> bool:
        """Whether no row can be of a known cluster: their names are hidden."""
        return self.salt is not None and self.secret is None

    def unlocked(self, key: bytes) -> "Factor":
        """Return the factor with the secret that its names were hashed with, if it has one."""
        return replace(self, secret=derived(key, self.salt)) if self.salt else self

    def encode(self, frame: pd.DataFrame) -> np.ndarray:
        """Return int64[n] codes, -1 for a cluster that training rows do not have, and for none."""
        return lookup(self.read(frame), self.levels)
