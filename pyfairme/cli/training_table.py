"""A table with roles: what is to be learned from what, and which rows are held out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.cli.describe import describe_table
from pyfairme.cli.roles import (
    Roles,
    check_roles,
    choose_task,
    find_positive,
    read_target,
    read_weight,
)
from pyfairme.data import Schema
from pyfairme.data.columns import pick
from pyfairme.data.target import ClassTarget
from pyfairme.estimators.validation_rows import split


@dataclass(frozen=True)
class Split:
    """Row numbers to train on and to judge with."""

    training: np.ndarray
    held: np.ndarray


@dataclass(frozen=True)
class Learning:
    """What is to be learned from a table.

    Parameters
    ----------
    frame
        The rows that have a target, with all columns of the file.
    covariates
        The columns that the estimator sees.
    y
        The target.
    weight
        Weights of the rows, which sum to the effective number of rows, or None.
    roles, schema
        Roles of the columns, as given and as read.
    left_out
        How many rows had no target.
    positive
        The positive class, where one was named.
    """

    frame: pd.DataFrame
    covariates: pd.DataFrame
    y: pd.Series
    roles: Roles
    schema: Schema
    left_out: int
    weight: pd.Series | None = None
    positive: Any = None

    def weights(self, rows: np.ndarray) -> np.ndarray | None:
        """Return the weights of some rows, or None where rows count alike."""
        return None if self.weight is None else self.weight.to_numpy(np.float64)[rows]

    def described(self) -> str:
        """Say which column has which role."""
        counted = None if self.weight is None else float(self.weight.sum())
        table = (self.roles, self.covariates, self.y, self.schema, self.positive)
        return describe_table(*table, counted=counted)

    def groups(self, column: str | None, rows: np.ndarray) -> np.ndarray | None:
        """Return a number for some rows (m,) that those with one value of a column share."""
        return None if column is None else _groups(self.frame, column)[rows]

    def split(self, share: float, seed: int, together: str | None = None) -> Split:
        """Hold out a random share of the rows, stratified by class, of which training keeps one.

        Rows with one value of the column ``together`` are on one side; then nothing is stratified.

        Raises
        ------
        ValueError
            When the column is absent or has gaps, or none of its groups is as small as that.
        """
        classes = None
        if self.schema.task == "classification":
            classes = ClassTarget.fit(self.y).encode(self.y)
        if together is None:
            return Split(*split(self.covariates, self.schema, classes, share, seed))
        groups = _groups(self.frame, together)
        found = Split(*split(self.covariates, self.schema, classes, share, seed, groups))
        if share and not len(found.held):
            raise ValueError(
                f"--hold-out-groups {together}: each of its {len(np.unique(groups)):,} values has "
                f"more rows than the share of {share:g} that is held out, or training cannot do "
                "without it: give a larger --hold-out, or --hold-out 0. [few-groups]"
            )
        return found

    def rarer_share(self) -> float:
        """Return the share of the rarer of two classes; 1 where there are not two."""
        if self.schema.task != "classification" or self.y.nunique() != 2:
            return 1.0
        return float(self.y.value_counts(normalize=True).min())

    def row_numbers(self) -> list[str]:
        """Name columns of whole numbers of which no two rows have the same."""
        whole = [c for c in self.schema.numeric if self.covariates[c].dtype.kind in "iu"]
        return [c for c in whole if self.covariates[c].is_unique]


def _groups(frame: pd.DataFrame, column: str) -> np.ndarray:
    """Return a number (n,) per row that rows with one value of the column share."""
    values = pick(frame, column)
    if gaps := int(values.isna().sum()):
        raise ValueError(
            f"--hold-out-groups {column}: {gaps:,} rows have no value, so that nothing says which "
            "rows they belong to: fill in one of its own for each. [missing-label]"
        )
    return pd.factorize(values)[0]


def read_learning(
    frame: pd.DataFrame, roles: Roles, task: str, likelihood: str | None, *, drop_missing: bool
) -> Learning:
    """Check roles and target of a table.

    Parameters
    ----------
    frame
        The table.
    roles
        Roles of its columns.
    task
        "auto", "classification" or "regression".
    likelihood
        That of a regression, or None.
    drop_missing
        Whether rows without a target are left out.

    Raises
    ------
    ValueError
        For columns that are absent or cannot have their role, and for a target that cannot be
        learned.
    """
    check_roles(roles, frame)
    rows, y = read_target(frame, roles.target, drop_missing=drop_missing)
    chosen = choose_task(y, task, likelihood)
    covariates = roles.covariates(rows)
    return Learning(
        frame=rows,
        covariates=covariates,
        y=y,
        roles=roles,
        schema=roles.schema(covariates, chosen),
        left_out=len(frame) - len(rows),
        weight=_of_a_survey(read_weight(rows, roles.weight)),
        positive=find_positive(y, roles.positive, chosen),
    )


def _of_a_survey(weight: pd.Series | None) -> pd.Series | None:
    """Scale weights so that they sum to the effective number of rows (Kish 1965).

    A row of weight w is w rows to a fit, and a row of a survey is one row, however many people it
    speaks for. Weights that cannot be scaled, all of them 0, are refused later on.
    """
    if weight is None or not weight.max() > 0:
        return weight
    shares = weight.astype(np.float64) / weight.max()
    return shares * (shares.sum() / (shares**2).sum())
