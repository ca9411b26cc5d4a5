"""Roles of columns as a person types them, checked against the table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.cli.table_files import check_columns
from pyfairme.data import Binned, Continuous, Schema
from pyfairme.data.attributes import MOST_NUMERIC_LEVELS
from pyfairme.data.brackets import Brackets
from pyfairme.data.columns import column_kind, label_of, pick
from pyfairme.data.grouping_factors import Grouping, factor_columns
from pyfairme.data.schema import Sensitive, components
from pyfairme.data.target import ClassTarget, class_order

MOST_CLASSES = 50
CONTINUOUS = "continuous"  # in place of edges: see `pyfairme.Continuous`


@dataclass(frozen=True)
class Roles:
    """What the columns of a table are for.

    Parameters
    ----------
    target
        The column to predict.
    cluster
        Grouping factors.
    sensitive
        Sensitive attributes as the estimators take them.
    dropped
        Columns that are not used.
    categorical
        Columns of numbers that are codes of levels.
    weight
        The column with the weights of the rows, if there is one.
    positive
        The positive class as it is typed; None: the last one.
    """

    target: str
    cluster: tuple[Grouping, ...]
    sensitive: tuple[Sensitive, ...]
    dropped: tuple[str, ...]
    categorical: tuple[str, ...]
    weight: str | None = None
    positive: str | None = None

    def covariates(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return all columns but target and weight; codes and groups become categories."""
        weight = () if self.weight is None else (self.weight,)
        kept = frame.drop(columns=[self.target, *weight])
        groups = {name: _levels(pick(kept, name)) for name in self.groups()}
        for name in groups.keys() - {*self.categorical}:
            _refuse_many_numbers(groups[name])
        codes = {name: _levels(pick(kept, name)).astype("category") for name in self.categorical}
        return kept.assign(**(groups | codes))

    def without_groups(self, column: str | None, frame: pd.DataFrame) -> "Roles":
        """Return the roles where a column says which rows belong together: it is no covariate.

        Raises
        ------
        ValueError
            When there is no such column, or it is the target or the weight.
        """
        if column is None:
            return self
        option = "--hold-out-groups"
        check_columns([column], frame, option)
        _one_role(option, [column], "--target", [self.target])
        _one_role(option, [column], "--weight", [self.weight or ""])
        used = {*_columns(self.cluster), *_sources(self.sensitive), *self.dropped}
        return self if column in used else replace(self, dropped=(*self.dropped, column))

    def groups(self) -> list[str]:
        """Return the columns that are sensitive as they are, not cut into brackets."""
        parts = [part for entry in self.sensitive for part in components(entry)]
        return list(dict.fromkeys(part for part in parts if isinstance(part, str)))

    def as_text(self) -> set[str]:
        """Return the columns that are text for their role, whatever they hold."""
        return {*_columns(self.cluster), *self.groups(), *self.categorical}

    def schema(self, covariates: pd.DataFrame, task: str) -> Schema:
        """Return the schema; raise ValueError for columns that cannot have their role."""
        try:
            return Schema.infer(
                covariates,
                cluster=self.cluster,
                sensitive=self.sensitive,
                task=task,
                categorical=self.categorical,
                drop=self.dropped,
            )
        except TypeError as error:  # nested values of a Parquet file
            raise ValueError(str(error)) from error


def _levels(column: pd.Series) -> pd.Series:
    """Return a column as levels: of numbers, where its texts are the labels of numbers.

    A model then takes the numbers as well, as pandas would read them.
    """
    if pd.api.types.is_bool_dtype(column.dtype):
        return column
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.astype("category")
    texts = [str(text) for text in column.dropna().unique()]
    numbers = np.array([_to_float(text) for text in texts])
    if not texts or not np.isfinite(numbers).all() or list(map(label_of, numbers)) != texts:
        return column
    table = dict(zip(texts, numbers, strict=True))
    return column.map(table).astype("category")


def _refuse_many_numbers(groups: pd.Series) -> None:
    """Refuse a sensitive column of which each of many numbers would be a group."""
    if groups.dtype != "category" or groups.nunique() <= MOST_NUMERIC_LEVELS:
        return
    if pd.api.types.is_numeric_dtype(groups.cat.categories.dtype):
        raise ValueError(
            f"--sensitive {groups.name}: each of {groups.nunique()} distinct numbers would be a "
            f"group (at most {MOST_NUMERIC_LEVELS} are taken): give brackets, --sensitive "
            f"{groups.name}:30,45. Where they are codes of groups, add --categorical "
            f"{groups.name}. [many-numbers]"
        )


def _to_float(text: str) -> float:
    """Return a text as a number, NaN if it is none."""
    try:
        return float(text)
    except ValueError:
        return np.nan


def parse_clusters(texts: Sequence[str], frame: pd.DataFrame) -> tuple[Grouping, ...]:
    """Read grouping factors as they are typed: ``school/class`` is nested, a column's name itself.

    Examples
    --------
    >>> parse_clusters(["school/class"], pd.DataFrame({"school": [1], "class": [1]}))
    (('school', 'class'),)
    """
    found: list[Grouping] = []
    for text in texts:
        path = tuple(_stripped(part, frame) for part in text.split("/"))
        nested = text not in frame.columns and len(path) > 1
        found.append(path if nested else text)
    return tuple(found)


def parse_sensitive(
    texts: Sequence[str], frame: pd.DataFrame, option: str = "--sensitive"
) -> tuple[Sensitive, ...]:
    """Read sensitive attributes as they are typed.

    Parameters
    ----------
    texts
        One per attribute: ``sex`` is a column, ``age:30,45`` are brackets of a number with their
        upper ends (<=30, 31-45, >45), ``generation=age:30,45`` gives these a name,
        ``age:continuous`` is the number itself,
        ``sex*race`` is an intersection. A text that is a column's name is that column.
    frame
        The table.
    option
        Name of the option, for errors.

    Returns
    -------
    tuple
        Column names, `Binned`, or tuples of these.

    Raises
    ------
    ValueError
        For unknown columns and brackets that are not increasing numbers.

    Examples
    --------
    >>> people = pd.DataFrame({"sex": ["f"], "age": [41]})
    >>> parse_sensitive(["sex", "sex*age:40"], people)
    ('sex', ('sex', Binned(column='age', edges=(40.0,), name=None)))
    """
    return tuple(_attribute(text, frame, option) for text in texts)


def role_names(cluster: Iterable[str], sensitive: Iterable[str]) -> list[str]:
    """Return the columns that may hold names of clusters or groups, as options spell them.

    Columns that are cut into brackets hold numbers and are not among them. A text may also be the
    name of a column as it stands.

    Examples
    --------
    >>> role_names(["school/class"], ["sex", "race*age:30"])
    ['school/class', 'school', 'class', 'sex', 'race*age:30', 'race']
    """
    names: list[str] = []
    for text, mark in [*((c, "/") for c in cluster), *((s, "*") for s in sensitive)]:
        parts = [part.strip() for part in text.split(mark)]
        names += [text, *(part for part in parts if part != text and ":" not in part)]
    return names


def number_names(sensitive: Iterable[str], *columns: str | None) -> list[str]:
    """Return the columns that must hold numbers: those cut into brackets, and others by name.

    Examples
    --------
    >>> number_names(["sex", "race*generation=age:30"], "log_hours", None)
    ['age', 'log_hours']
    """
    parts = [part for text in sensitive for part in text.split("*") if ":" in part]
    sources = [part.rpartition(":")[0].rpartition("=")[2].strip() for part in parts]
    return [*sources, *(name for name in columns if name is not None)]


def _attribute(text: str, frame: pd.DataFrame, option: str) -> Sensitive:
    if text in frame.columns:
        return text
    parts: Any = tuple(_part(_stripped(part, frame), frame, option) for part in text.split("*"))
    return parts[0] if len(parts) == 1 else parts


def _stripped(part: str, frame: pd.DataFrame) -> str:
    """Return a part without blanks around it, unless they belong to a column's name."""
    return part if part in frame.columns else part.strip()


def _part(text: str, frame: pd.DataFrame, option: str) -> str | Brackets:
    if text in frame.columns or ":" not in text:
        check_columns([text], frame, option)
        return text
    column, edges = text.rsplit(":", 1)
    name, sign, source = column.partition("=")
    if column in frame.columns or not sign:
        name, source = "", column
    check_columns([source], frame, option)
    if column_kind(pick(frame, source)) != "numeric":
        raise ValueError(
            f"{option} {text!r}: brackets need numbers, and column {source!r} is text. Give "
            f"{option} {source} to use its levels. [binned-not-numeric]"
        )
    if edges.strip() == CONTINUOUS:
        return Continuous(source, name=name or None)
    return Binned(source, _edges(edges, text, option), name=name or None)


def _edges(text: str, whole: str, option: str) -> tuple[float, ...]:
    try:
        return tuple(float(edge) for edge in text.split(","))
    except ValueError as error:
        raise ValueError(
            f"{option} {whole!r}: expected increasing numbers after the colon, as in age:30,45, or "
            f"the word {CONTINUOUS}; got {text!r}. [binned-edges]"
        ) from error


def check_roles(roles: Roles, frame: pd.DataFrame) -> None:
    """Refuse names that are not columns, and columns with two roles.

    Raises
    ------
    ValueError
        With the option's name and the nearest column.
    """
    check_columns([roles.target], frame, "--target")
    grouping = _columns(roles.cluster)
    check_columns(grouping, frame, "--cluster")
    check_columns(roles.dropped, frame, "--drop")
    check_columns(roles.categorical, frame, "--categorical")
    _one_role("--target", [roles.target], "--cluster", grouping)
    for option, names in (("--target", [roles.target]), ("--cluster", grouping)):
        _one_role(option, names, "--sensitive", _sources(roles.sensitive))
    named = [roles.target, *grouping]
    used = [*named, *_sources(roles.sensitive), *roles.categorical]
    _one_role("--drop", roles.dropped, "something that is used", used)
    _one_role("--categorical", roles.categorical, "--target or --cluster", named)
    if roles.weight is not None:
        check_columns([roles.weight], frame, "--weight")
        _one_role("--weight", [roles.weight], "something else", [*used, *roles.dropped])


def _columns(cluster: Iterable[Grouping]) -> list[str]:
    return list(dict.fromkeys(name for entry in cluster for name in factor_columns(entry)))


def _sources(sensitive: Iterable[Sensitive]) -> list[str]:
    parts = [part for entry in sensitive for part in components(entry)]
    return [part.column if isinstance(part, Brackets) else part for part in parts]


def _one_role(one: str, names: Iterable[str], other: str, taken: Iterable[str]) -> None:
    both = sorted(set(names) & set(taken))
    if both:
        raise ValueError(
            f"column {both[0]!r} is given as {one} and as {other}: a column has one role. "
            "[two-roles]"
        )


def read_target(
    frame: pd.DataFrame, target: str, *, drop_missing: bool
) -> tuple[pd.DataFrame, pd.Series]:
    """Return the rows that have a target, and the target.

    Whole numbers that became float through gaps are whole again, so classes are 0 and 1, not 0.0.

    Raises
    ------
    ValueError
        When targets are missing and rows must not be dropped, or all are missing.
    """
    y = pick(frame, target)
    gaps = y.isna().to_numpy()
    if gaps.all():
        raise ValueError(f"the target {target!r} is missing in every row. [missing-target]")
    if gaps.any() and not drop_missing:
        raise ValueError(
            f"the target {target!r} is missing in {gaps.sum():,} of {len(frame):,} rows: leave "
            "them out with --drop-missing-target, or fill them in the file. [missing-target]"
        )
    if gaps.any():
        frame = frame.loc[~gaps].reset_index(drop=True)
        y = pick(frame, target)
    if y.dtype.kind == "f" and np.isinf(y).any():
        raise ValueError(
            f"the target {target!r} has {np.isinf(y).sum()} infinite values: correct them, or "
            "leave their rows out. [infinite-target]"
        )
    if y.dtype.kind == "f" and (y % 1 == 0).all():
        y = y.astype(np.int64)
    return frame, y


def read_weight(frame: pd.DataFrame, weight: str | None) -> pd.Series | None:
    """Return the column of weights, or None for no name.

    Raises
    ------
    ValueError
        When the column is absent, is text, or holds gaps or negative numbers.
    """
    if weight is None:
        return None
    check_columns([weight], frame, "--weight")
    column = pick(frame, weight)
    if column_kind(column) != "numeric":
        raise ValueError(
            f"--weight needs numbers, and column {weight!r} has {_first_text(column)!r}: correct "
            "it, or name another column. [weight-not-numeric]"
        )
    wrong = column.isna() | (column < 0) | np.isinf(column.astype(np.float64))
    if wrong.any():
        raise ValueError(
            f"--weight {weight}: {wrong.sum():,} rows have no finite weight of at least 0: correct "
            "them, or leave these rows out. [weight-not-finite]"
        )
    return column


def find_positive(y: pd.Series, positive: str | None, task: str) -> Any:
    """Return the class that is called ``positive``, None for None.

    Raises
    ------
    ValueError
        For a regression, and when there is no such class of two.
    """
    if positive is None:
        return None
    classes = list(ClassTarget.fit(y, class_order(y)).classes) if task == "classification" else []
    if len(classes) != 2:
        raise ValueError(
            f"--positive {positive} is for a target of two classes, and {y.name!r} has "
            f"{len(classes) or 'amounts'}: leave it out. [pos-label]"
        )
    for label in classes:
        if label_of(label) == positive:
            return label
    raise ValueError(
        f"--positive {positive} is none of the classes of {y.name!r}: "
        f"{', '.join(map(label_of, classes))}. [pos-label]"
    )


def choose_task(y: pd.Series, task: str, likelihood: str | None) -> str:
    """Return "classification" or "regression", from the target where the task is "auto".

    Text, booleans and two distinct values are classes, other numbers are amounts.

    Raises
    ------
    ValueError
        For an unknown task, a constant target, text to be a number, a likelihood of a
        regression with classes, and classes that are too many to be any.
    """
    if task not in ("auto", "classification", "regression"):
        raise ValueError(
            f"--task is auto, classification or regression; got {task!r}. [unknown-choice]"
        )
    distinct = y.nunique()
    if distinct < 2:
        only = label_of(y.iloc[0])
        raise ValueError(
            f"the target {y.name!r} has one value only, {only}: nothing to learn. [one-class]"
        )
    numeric = column_kind(y) == "numeric"
    if task == "auto":
        amounts = numeric and (distinct > 2 or likelihood is not None)
        task = "regression" if amounts and y.dtype.kind != "b" else "classification"
    if task == "classification":
        _check_classes(y, distinct, likelihood, numeric)
    elif not numeric:
        raise ValueError(
            f"--task regression needs numbers, and the target {y.name!r} has {_first_text(y)!r}: "
            "correct it, or use --task classification. [text-for-numbers]"
        )
    return task


def _check_classes(y: pd.Series, distinct: int, likelihood: str | None, numeric: bool) -> None:
    if likelihood is not None:
        raise ValueError(
            f"--likelihood {likelihood} is for regression, and the target {y.name!r} has "
            "classes: leave it out. [likelihood-of-classes]"
        )
    if distinct > MOST_CLASSES:
        advice = (
            "use --task regression." if numeric
            else f"if it should be numbers, correct values such as {_first_text(y)!r}."
        )  # fmt: skip
        raise ValueError(
            f"the target {y.name!r} has {distinct:,} distinct values, too many for classes "
            f"(at most {MOST_CLASSES}): {advice} [many-classes]"
        )


def _first_text(y: pd.Series) -> Any:
    """Return the first value that is no number."""
    numbers = pd.Series(pd.to_numeric(y, errors="coerce"))
    strange = np.flatnonzero(numbers.isna())
    return y.iloc[strange[0] if len(strange) else 0]
