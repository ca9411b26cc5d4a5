"""Roles of columns, checked once, with errors a person can act on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pyfairme.data.brackets import Binned, Brackets, Continuous
from pyfairme.data.checks import check_any_row, check_present, check_unique_columns
from pyfairme.data.columns import column_kind, pick
from pyfairme.data.frame import as_frame
from pyfairme.data.grouping_factors import Grouping, factor_columns, factor_name, factors_of
from pyfairme.data.input_types import Table
from pyfairme.notices import shown

TASKS = ("classification", "regression")


Sensitive = str | Binned | Continuous | tuple[str | Binned, ...]


def components(entry: Sensitive) -> tuple[str | Binned | Continuous, ...]:
    """Return the parts of a sensitive entry: several for a tuple (an intersection)."""
    return entry if isinstance(entry, tuple) else (entry,)


def check_sensitive(entries: Iterable[Any]) -> None:
    """Refuse a sensitive attribute of another form than `Sensitive` says."""
    for entry in entries:
        if isinstance(entry, Continuous):
            continue
        parts = entry if isinstance(entry, tuple) else (entry,)
        if any(isinstance(part, Continuous) for part in parts):
            raise ValueError(
                f"An intersection takes columns and Binned, got {shown(entry)}: cut the number "
                "into brackets, Binned(column, edges). [continuous-intersection]"
            )
        if parts and all(isinstance(part, str | Binned) for part in parts):
            continue
        meant = ""
        if isinstance(entry, list) and entry and all(isinstance(p, str | Binned) for p in entry):
            meant = f" For the intersection of these columns write the tuple {tuple(entry)!r}."
        raise ValueError(
            f"Invalid sensitive attribute: {shown(entry)}. Expected the name of a column, "
            "Binned(column, edges), Continuous(column), or a tuple of at least one column or "
            f"Binned.{meant} "
            "[sensitive-attribute]"
        )


def attribute_name(entry: Sensitive) -> str:
    """Return the name of a sensitive attribute.

    Examples
    --------
    >>> attribute_name(("sex", Binned("age", (40,))))
    'sex x age_bin'
    """
    return " x ".join(p.label if isinstance(p, Brackets) else str(p) for p in components(entry))


def source(part: str | Brackets) -> str:
    """Return the column that a component of a sensitive attribute is read from."""
    return part.column if isinstance(part, Brackets) else part


@dataclass(frozen=True)
class Schema:
    """Roles of the columns of a table.

    Parameters
    ----------
    target
        Name of the target, if it has one.
    task
        "classification" or "regression".
    cluster
        Grouping factors, a column each, or for a nested one the path of columns down to it:
        ``("school", ("school", "class"))``. Their columns are no covariates.
    sensitive
        Column names, `Binned`, `Continuous`, or tuples for intersections.
    numeric, categorical
        The covariates. A sensitive column named as it is counts as categorical whatever its dtype:
        codes of groups are levels, not amounts.
    """

    target: str | None
    task: str
    cluster: tuple[Grouping, ...]
    sensitive: tuple[Sensitive, ...]
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]

    @classmethod
    def infer(
        cls,
        frame: Table,
        *,
        cluster: str | Sequence[Grouping] = (),
        sensitive: Sensitive | Sequence[Sensitive] = (),
        target: str | None = None,
        task: str = "classification",
        categorical: str | Sequence[str] = (),
        drop: str | Sequence[str] = (),
    ) -> Schema:
        """Assign the roles of a frame's columns from their dtypes.

        Parameters
        ----------
        frame
            The table, pandas or polars, shape (n, columns). If it holds the target, that is not a
            covariate.
        cluster
            Name or names of the grouping factors, which are crossed. A tuple inside the sequence
            is a path of nested ones: ``[("school", "class")]``, with classes numbered anew in each
            school, gives the factors "school" and "school:class".
        sensitive
            One sensitive attribute or a sequence of them; a tuple inside is an intersection.
        target, task
            As the attributes.
        categorical
            Name or names of columns of numbers that are codes of levels, not amounts.
        drop
            Name or names of columns that have no role: row numbers, names, what is known only
            after the outcome.

        Raises
        ------
        ValueError
            For an empty frame, an unknown task, columns that are absent or duplicated, a cluster
            that is sensitive too, an attribute given twice, brackets of a column that is not
            numeric, a column in ``drop`` or ``categorical`` that has another role, and for dates,
            times and complex numbers.
        TypeError
            For column names that are not strings and for nested values.
        """
        clusters = factors_of(cluster)
        entries = (sensitive,) if isinstance(sensitive, str | Brackets) else tuple(sensitive)
        frame = as_frame(frame)
        _check_frame(frame)
        _check_roles(frame, clusters, entries, task)
        codes, dropped = names_of(categorical), names_of(drop)
        _check_codes_and_dropped(frame, clusters, entries, codes, dropped)
        grouping = {name for entry in clusters for name in factor_columns(entry)}
        parts = [part for entry in entries for part in components(entry)]
        roles = dict.fromkeys(map(source, parts), "sensitive attribute")
        kinds = {
            name: column_kind(pick(frame, name), roles.get(name, "covariate"))
            for name in frame.columns
            if name not in grouping and name not in dropped
        }
        _check_binned(kinds, entries)
        kinds |= {part: "categorical" for part in parts if isinstance(part, str)}
        kinds |= dict.fromkeys(codes, "categorical")
        covariates = [name for name in kinds if name != target]
        numeric = tuple(name for name in covariates if kinds[name] == "numeric")
        categorical = tuple(name for name in covariates if kinds[name] != "numeric")
        return cls(target, task, clusters, entries, numeric, categorical)

    def summary(self) -> Any:
        """Return the roles of the columns: text, or HTML in a notebook."""
        from pyfairme.report.display.shown import facts_of

        return facts_of(self)

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    @property
    def factor_names(self) -> tuple[str, ...]:
        """Names of the grouping factors: of nested ones such as "school:class"."""
        return tuple(map(factor_name, self.cluster))

    @property
    def cluster_columns(self) -> tuple[str, ...]:
        """Columns that grouping factors are read from, each once."""
        return tuple(
            dict.fromkeys(name for entry in self.cluster for name in factor_columns(entry))
        )

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """Names of the sensitive attributes."""
        return tuple(attribute_name(entry) for entry in self.sensitive)

    @property
    def sensitive_columns(self) -> tuple[str, ...]:
        """Columns that sensitive attributes are read from, each once."""
        parts = (part for entry in self.sensitive for part in components(entry))
        return tuple(dict.fromkeys(source(part) for part in parts))


def _check_frame(frame: pd.DataFrame) -> None:
    check_any_row(frame)
    odd = [name for name in frame.columns if not isinstance(name, str)]
    if odd:
        raise TypeError(
            f"Expected column names that are strings, got {odd[:3]}: rename them, for example "
            "frame.columns = frame.columns.astype(str). [column-names]"
        )
    check_unique_columns(frame)


def _check_roles(
    frame: pd.DataFrame, clusters: tuple[Grouping, ...], entries: tuple[Sensitive, ...], task: str
) -> None:
    if task not in TASKS:
        raise ValueError(f"Expected task to be one of {TASKS}, got {task!r}. [unknown-choice]")
    check_sensitive(entries)
    parts = [part for entry in entries for part in components(entry)]
    sources = [source(part) for part in parts]
    grouping = [name for entry in clusters for name in factor_columns(entry)]
    check_present(dict.fromkeys(grouping), frame.columns, "cluster")
    check_present(sources, frame.columns, "sensitive")
    _refuse_repeats(map(factor_name, clusters), "cluster column")
    for entry in clusters:
        _refuse_repeats(factor_columns(entry), "column of a nested factor")
    _refuse_repeats([attribute_name(entry) for entry in entries], "sensitive attribute")
    for entry in entries:
        _refuse_repeats([source(p) for p in components(entry)], "column of an intersection")
    both = sorted(set(grouping) & set(sources))
    if both:
        raise ValueError(
            f"Column {both[0]!r} is both cluster and sensitive: the cluster is never an input of "
            "the network, a sensitive attribute may be. Choose one role, or copy the "
            "column. [two-roles]"
        )
    plain = {part for part in parts if isinstance(part, str)}
    mixed = [p.column for p in parts if isinstance(p, Brackets) and p.column in plain]
    if mixed:
        raise ValueError(
            f"Column {mixed[0]!r} is sensitive both as it is and binned: choose one of the two."
            " [two-roles]"
        )


def names_of(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return one name, several or None as a tuple."""
    return (given,) if isinstance(given, str) else tuple(given or ())


def _check_codes_and_dropped(
    frame: pd.DataFrame,
    clusters: tuple[Grouping, ...],
    entries: tuple[Sensitive, ...],
    codes: tuple[str, ...],
    dropped: tuple[str, ...],
) -> None:
    for role, names in (("categorical", codes), ("drop", dropped)):
        check_present(names, frame.columns, role)
        _refuse_repeats(names, f"column in {role}")
    grouping = {name: "cluster" for entry in clusters for name in factor_columns(entry)}
    parts = [part for entry in entries for part in components(entry)]
    cut = {p.column: "cut into brackets" for p in parts if isinstance(p, Brackets)}
    plain = {part: "sensitive" for part in parts if isinstance(part, str)}
    for role, names, others in (
        ("dropped", dropped, {**dict.fromkeys(codes, "categorical"), **plain, **cut, **grouping}),
        ("categorical", codes, {**cut, **grouping}),
    ):
        for name in names:
            if name in others:
                raise ValueError(
                    f"Column {name!r} is {role} and {others[name]}: a column has one role. "
                    "[two-roles]"
                )


def _refuse_repeats(names: Iterable[str], what: str) -> None:
    names = list(names)
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"The {what} {repeated[0]!r} is given twice: name it once. [given-twice]")


def _check_binned(kinds: dict[str, str], entries: tuple[Sensitive, ...]) -> None:
    for part in (part for entry in entries for part in components(entry)):
        if isinstance(part, Brackets) and kinds[part.column] != "numeric":
            raise ValueError(
                f"{type(part).__name__} expected a numeric column, but {part.column!r} is "
                f"{kinds[part.column]}: "
                "name the column itself to use its levels, or convert it to numbers. "
                "[binned-not-numeric]"
            )
