"""How a policy tells the groups of a row: read, inferred, or read where they are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pyfairme.data.attributes import Attribute
from pyfairme.data.columns import pick
from pyfairme.data.input_types import Table
from pyfairme.data.schema import Sensitive
from pyfairme.postprocessing import policy_inputs
from pyfairme.postprocessing.decided_classifier import Decided
from pyfairme.postprocessing.inferred_groups import infer, learn
from pyfairme.postprocessing.joint_rule import Members
from pyfairme.postprocessing.policy_classifier import columns_of, masked
from pyfairme.postprocessing.policy_rows import PolicyRows

READ, INFERRED, PARTLY = "read", "inferred", "read_or_inferred"
WAYS = (READ, INFERRED, PARTLY)
OTHERWISE = "leave the attribute out of limits."
NOT_READ = 0.5  # stands for probabilities that read S, as nothing that groups are inferred from may
TINY = 1e-12
GAPS = "{} (missing)"  # of an attribute, the rows that lack it


class GroupedRows(NamedTuple):
    """Rows, their probabilities ``p`` (n,), and their groups by attribute.

    ``odds`` (n,) are what a known group has multiplied the odds of p by, 1 where it has not.
    """

    rows: PolicyRows
    p: np.ndarray
    members: dict[str, Members]
    odds: np.ndarray | float = 1.0


class GroupReading(NamedTuple):
    """How the groups of each attribute are told.

    ``way`` is one of `WAYS`. ``features`` are what groups are inferred from and ``chances`` what
    was learnt of each attribute, empty where all are read. ``blind`` says that the classifier reads
    none of the attributes: then, where some rows' groups are read and others' inferred, those that
    are read bring p up to date. ``split`` names the attributes that some rows of `fit` lacked:
    their limits hold among the rows that have them, and among the others, which have parts of their
    own. (Were they to hold among all rows only, those with a known group would be decided the more
    unequally, to make up for the others.)
    """

    way: str
    groups: Mapping[str, Attribute]
    features: Any = None
    chances: Mapping[str, Any] = {}
    blind: bool = False
    split: tuple[str, ...] = ()

    @property
    def parts(self) -> dict[str, Attribute]:
        """The groups that have parts in a threshold, by attribute, or its gaps."""
        gaps = {GAPS.format(name): self.groups[name] for name in self.split}
        return {**self.groups, **gaps}

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that groups are read from."""
        return tuple(dict.fromkeys(c for one in self.groups.values() for c in one.columns))

    @property
    def corrects(self) -> bool:
        """Whether known groups bring the classifier's probability up to date."""
        return self.way == PARTLY and self.blind

    @property
    def read_of_rows(self) -> tuple[Attribute, ...]:
        """The attributes that are read of rows to be decided."""
        return () if self.way == INFERRED else tuple(self.groups.values())

    def read(self, decided: Decided, X: Table, apart: Any, unknown: str) -> GroupedRows:
        """Read new rows; ``unknown`` is what becomes of groups that `fit` did not see."""
        if self.way == INFERRED:
            rows = decided.rows(X, None, (), self.columns)
            p = decided.probability(rows)
            of = decided.features(self.features, rows, p)
            return GroupedRows(rows, p, {n: infer(one, of) for n, one in self.chances.items()})
        rows = decided.rows(X, apart, self.columns)
        codes = {}
        for name, one in self.groups.items():
            gaps = missing(one, rows.frame) if self.way == PARTLY else None
            codes[name] = policy_inputs.codes_of(one, rows.frame, OTHERWISE, unknown, gaps)
        p = decided.probability(rows)
        if self.way == READ:
            members = {n: Members.of(codes[n], len(one.levels)) for n, one in self.groups.items()}
            return GroupedRows(rows, p, members)
        return GroupedRows(rows, *self.partly(decided, X, rows, p, codes))

    def partly(
        self,
        decided: Decided,
        X: Table,
        rows: PolicyRows,
        p: np.ndarray,
        codes: Mapping[str, np.ndarray],
    ) -> tuple[np.ndarray, dict[str, Members], np.ndarray | float]:
        """Return p and groups where those of some rows are known and of others inferred.

        By Bayes' theorem a known group g multiplies the odds of a positive outcome by
        P(g | x, y = 1) / P(g | x, y = 0), if p reads x alone; attributes are taken to be
        independent given x and y. These factors come last.
        """
        of = _masked_features(decided, self, X, p)
        odds, members = np.ones(len(p)), {}
        for name, one in self.groups.items():
            found = infer(self.chances[name], of)
            gaps = missing(one, rows.frame)
            at = np.flatnonzero(codes[name] >= 0)
            odds[at] *= np.maximum(found.positive[at, codes[name][at]], TINY)
            odds[at] /= np.maximum(found.negative[at, codes[name][at]], TINY)
            sure = Members.of(codes[name], len(one.levels)).positive
            if name in self.split:
                members[name] = Members(sure, sure)
                members[GAPS.format(name)] = Members(*(part * gaps[:, None] for part in found))
            else:
                both = [np.where(gaps[:, None], part, sure) for part in found]
                members[name] = Members(*both)
        if not self.blind:
            return p, members, 1.0
        return p * odds / (p * odds + (1 - p)), members, odds


def missing(attribute: Attribute, frame: pd.DataFrame) -> np.ndarray:
    """Return in which rows a column of the attribute is missing, (n,)."""
    policy_inputs.check_columns(attribute.name, attribute.columns, frame, OTHERWISE)
    return np.logical_or.reduce([pick(frame, c).isna().to_numpy() for c in attribute.columns])


def learn_groups(
    entries: Mapping[str, Sensitive], frame: pd.DataFrame, way: str
) -> dict[str, Attribute]:
    """Learn the groups of every attribute; where groups are inferred, of the rows without gaps."""
    found = {}
    for name, entry in entries.items():
        there: Any = frame
        if way != READ:
            columns = list(columns_of([entry]))
            policy_inputs.check_columns(name, columns, frame, OTHERWISE)
            known = np.logical_and.reduce([pick(frame, c).notna().to_numpy() for c in columns])
            if not known.any():
                raise ValueError(
                    f"{name!r} is missing in all {len(frame)} rows, so its groups cannot be "
                    f"learned. Give rows of which it is known, or {OTHERWISE} [no-groups]"
                )
            there = frame[known]
        found[name] = policy_inputs.learn_groups(entry, there, OTHERWISE)
    return found


def learn_reading(
    way: str,
    groups: Mapping[str, Attribute],
    decided: Decided,
    table: tuple[Table, PolicyRows, np.ndarray | None],
    known: tuple[np.ndarray, np.ndarray | None],
    model: Any = None,
) -> tuple[GroupReading, GroupedRows]:
    """Learn how groups are told, and tell those of the rows of `fit`.

    ``table`` are X, its rows with S, and probabilities (n,) by classifiers that did not see the
    rows, or None; ``known`` the weights (n,) and outcomes (n,) of the rows; ``model`` a classifier
    that groups are inferred by.
    """
    X, rows, p = table
    mass, outcome = known
    reading = GroupReading(way, groups)
    codes = {name: one.encode(rows.frame) for name, one in groups.items()}
    if way == READ:
        members = {name: Members.of(codes[name], len(one.levels)) for name, one in groups.items()}
        p = decided.probability(rows) if p is None else p
        return reading, GroupedRows(rows, p, members)
    outcome = _checked(way, groups, decided, rows, outcome)
    if way == INFERRED:
        bare = decided.rows(X, None, (), reading.columns)
        p = decided.probability(bare) if p is None else p
        features = decided.learn_features(bare, reading.columns)
        of = decided.features(features, bare, p)
        chances = _chances(groups, codes, (outcome, of, mass), model)
        reading = reading._replace(features=features, chances=chances, blind=True)
        return reading, GroupedRows(bare, p, {n: infer(one, of) for n, one in chances.items()})
    p = decided.probability(rows) if p is None else p
    blind = not any(decided.reads(column, rows) for column in reading.columns)
    bare = decided.rows(masked(X, reading.columns))
    features = decided.learn_features(bare, reading.columns)
    reading = reading._replace(features=features, blind=blind)
    of = _masked_features(decided, reading, X, p)
    chances = _chances(groups, codes, (outcome, of, mass), model)
    split = tuple(name for name, one in groups.items() if missing(one, rows.frame).any())
    reading = reading._replace(chances=chances, split=split)
    return reading, GroupedRows(rows, *reading.partly(decided, X, rows, p, codes))


def _chances(
    groups: Mapping[str, Attribute],
    codes: Mapping[str, np.ndarray],
    table: tuple[np.ndarray, np.ndarray, np.ndarray],
    model: Any,
) -> dict[str, Any]:
    """Learn the chances of each attribute's groups: ``table`` is outcomes, features and weights.

    Rows whose ``codes`` (n,) are -1 belong to no group, and are left out.
    """
    found = {}
    for name, one in groups.items():
        at = codes[name] >= 0
        outcome, of, mass = (part[at] for part in table)
        found[name] = learn(one, codes[name][at], outcome, of, mass, model)
    return found


def _masked_features(
    decided: Decided, reading: GroupReading, X: Table, p: np.ndarray
) -> np.ndarray:
    bare = decided.rows(masked(X, reading.columns))
    return decided.features(
        reading.features, bare, p if reading.blind else np.full(len(p), NOT_READ)
    )


def _checked(
    way: str,
    groups: Mapping[str, Attribute],
    decided: Decided,
    rows: PolicyRows,
    outcome: np.ndarray | None,
) -> np.ndarray:
    """Raise without outcomes to learn from, or when the classifier reads what it may not."""
    if outcome is None:
        raise ValueError(
            f"sensitive={way!r} learns who belongs to which group from X and y: give fit(X, y), "
            "or choose sensitive='read'. [inferred-without-y]"
        )
    if way == PARTLY:
        return outcome
    for column in (column for one in groups.values() for column in one.columns):
        if decided.always_reads(column):
            raise ValueError(
                f"The classifier reads {column!r}, so that sensitive='inferred' would not keep it "
                f"out of decisions: {decided.cure(column)}choose sensitive='read'."
                " [classifier-reads-attribute]"
            )
    return outcome
