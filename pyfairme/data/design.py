"""Learn from training rows how a table becomes arrays, and do it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pyfairme.data.attributes import Attribute
from pyfairme.data.batch import Batch, row_values, row_weights
from pyfairme.data.checks import check_options, check_present, check_rows
from pyfairme.data.chosen_levels import ChosenLevels, Exclude, Merge, read_choice
from pyfairme.data.columns import pick, read_numbers
from pyfairme.data.design_state import check_design, plain, rebuilt
from pyfairme.data.encoded_later import encoded_later
from pyfairme.data.encoders import CategoricalTerm, Column
from pyfairme.data.frame import as_frame
from pyfairme.data.grouping_factors import Factor
from pyfairme.data.input_types import Table
from pyfairme.data.schema import Schema
from pyfairme.data.slopes import resolve_slopes, warn_of_constant_slopes
from pyfairme.data.standardising import check_offset
from pyfairme.data.terms import Term, columns_of, encode_changed, encode_terms, fit_terms
from pyfairme.metrics.names import listed
from pyfairme.notices import DataWarning, warn


@dataclass(frozen=True)
class Design:
    """What was learned from the training rows: levels, means, scales, clusters, groups.

    Parameters
    ----------
    schema
        Roles of the columns.
    terms
        Encoders of the covariates: numeric ones first, each in the order of the schema.
    factors
        Grouping factors with their clusters.
    attributes
        Sensitive attributes with their levels.
    slopes
        (factor, positions in x of its slope columns) for every factor.
    missing
        "category" or "raise".
    offset
        Name of the column added on the link scale, or None.
    drop_sensitive
        Whether sensitive columns are kept out of x.

    Examples
    --------
    >>> frame = pd.DataFrame({"school": ["a", "b", "b"], "score": [1.0, 3.0, 2.0]})
    >>> design = Design.fit(frame, Schema.infer(frame, cluster="school"))
    >>> design.clusters
    {'school': ('a', 'b')}
    """

    schema: Schema
    terms: tuple[Term, ...]
    factors: tuple[Factor, ...]
    attributes: tuple[Attribute, ...]
    slopes: tuple[tuple[str, tuple[int, ...]], ...]
    missing: str
    offset: str | None
    drop_sensitive: bool

    @classmethod
    def fit(
        cls,
        frame: Table,
        schema: Schema,
        *,
        slopes: Mapping[str, str | Sequence[str]] | None = None,
        drop_sensitive: bool = False,
        drop_first: bool = False,
        numeric_encoding: str = "standard",
        shrunk: bool = False,
        move_origins: bool = True,
        missing: str = "category",
        offset: str | None = None,
        known: Any = None,
        exclude: Exclude = None,
        merge: Merge = None,
    ) -> Design:
        """Learn a design from the training rows.

        Parameters
        ----------
        frame
            Training rows, pandas or polars, shape (n, columns).
        schema
            Roles of the columns, from `Schema.infer`.
        slopes
            For a grouping factor, by name, "all" or the covariates with random slopes.
        drop_sensitive
            Keep sensitive columns (and the source of a `Binned`) out of x. They may then be absent
            from the frames of `encode`: an attribute whose column is not there has code -1.
        drop_first
            Leave out the first level of each categorical covariate (treatment coding).
        numeric_encoding
            "standard": numbers are standardised. "piecewise": they get columns of hat functions
            over knots besides (`pyfairme.data.knots`), which carry no random slopes.
        shrunk
            The model learns how far to shrink what the columns do; knots then need fewer rows.
        move_origins
            Random slopes on a number whose training values lie all above or all below 0 start at
            their mean. False: at 0, as the slopes on all other columns.
        missing
            "category": missing levels are a level "(missing)", missing numbers become the training
            median, marked by a column of their own when training rows had any. "raise": an error.
        offset
            Numeric column added on the link scale; it is not a covariate.
        known
            Rows whose clusters and groups are known by name, the training rows among them: those
            that have no training row have codes too, though nothing was learned of them. None: the
            training rows. All else is learned from the training rows, and from no others.
        exclude, merge
            Levels that penalties leave out, {attribute: levels}, and that they put together,
            {attribute: {new name: levels}}.

        Raises
        ------
        ValueError
            For columns that are absent, without any value, infinite or look like an identifier; a
            factor with one cluster; a sensitive attribute with one level; slopes on columns that
            are unknown or constant; missing values under "raise"; attributes and levels in
            ``exclude`` or ``merge`` that are not there.

        Warns
        -----
        UserWarning
            Once, naming the covariates that are constant and therefore left out.
        DataWarning
            For each slope asked for by name on a covariate that is constant within clusters, each
            categorical covariate of many levels with few rows, and for columns that hold a label
            both as text and as a number.
        """
        frame = as_frame(frame)
        check_options(missing, offset, (*schema.cluster_columns, *schema.sensitive_columns))
        used = _used_columns(schema, offset)
        check_rows(frame, used, missing, offset)
        hidden = {offset, *(schema.sensitive_columns if drop_sensitive else ())}
        every = frame if known is None else as_frame(known)
        attributes = _attributes(every, schema, read_choice(exclude, merge))
        terms = fit_terms(
            frame,
            schema,
            hidden,
            drop_first=drop_first,
            numeric_encoding=numeric_encoding,
            shrunk=shrunk,
            move_origins=move_origins,
        )
        constant = [term.column for term in terms if not term.columns]
        terms = tuple(term for term in terms if term.columns)
        columns = columns_of(terms)
        design = cls(
            schema=schema,
            terms=terms,
            factors=tuple(Factor.fit(every, entry) for entry in schema.cluster),
            attributes=attributes,
            slopes=resolve_slopes(
                slopes or {}, factors=schema.factor_names, columns=columns, constant=constant
            ),
            missing=missing,
            offset=offset,
            drop_sensitive=drop_sensitive,
        )
        if constant:
            names = ", ".join(map(repr, constant))
            warn(f"Constant in the training rows, left out: {names}. [constant-column]")
        _warn_of_doubled_labels(design)
        warn_of_constant_slopes(frame, design.factors, slopes or {})
        return design

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of x."""
        return columns_of(self.terms)

    @property
    def slope_columns(self) -> tuple[Column, ...]:
        """The columns of `Batch.slopes`: the union over factors, in the order of x."""
        columns = self.columns
        return tuple(columns[i] for i in self.slope_positions)

    @property
    def factor_slopes(self) -> dict[str, tuple[int, ...]]:
        """For each factor the positions of its slopes in `slope_columns`."""
        place = {position: i for i, position in enumerate(self.slope_positions)}
        return {factor: tuple(place[i] for i in chosen) for factor, chosen in self.slopes}

    @property
    def clusters(self) -> dict[str, tuple[str, ...]]:
        """For each factor the labels of its training clusters."""
        return {factor.column: factor.levels for factor in self.factors}

    @property
    def level_counts(self) -> tuple[np.ndarray, ...]:
        """For each sensitive attribute the float64[levels] counts of training rows."""
        return tuple(np.array(attribute.counts) for attribute in self.attributes)

    @property
    def slope_positions(self) -> tuple[int, ...]:
        """The positions in x of `slope_columns`."""
        return tuple(sorted({i for _, chosen in self.slopes for i in chosen}))

    @property
    def used_columns(self) -> tuple[str, ...]:
        """Columns that rows to encode may be read from, each once."""
        covariates = [term.column for term in self.terms]
        roles = (*self.schema.cluster_columns, *self.schema.sensitive_columns)
        return tuple(dict.fromkeys([*covariates, *roles, *_optional(self.offset)]))

    def encode(
        self,
        frame: Table,
        *,
        y: ArrayLike | None = None,
        weight: ArrayLike | None = None,
        clusters: bool = True,
        quiet: bool = False,
        later: bool = False,
    ) -> Batch:
        """Turn rows into arrays.

        Parameters
        ----------
        frame
            Rows to encode, pandas or polars; columns that are not needed are ignored.
        y
            Encoded target, shape (n,), or None.
        weight
            Row weights, shape (n,); ones by default.
        clusters
            Whether the cluster columns must be there; else the rows of an absent one have code -1.
        quiet
            Say nothing of values that are unlike those of the training rows.
        later
            Encode the covariates of rows only when these rows are taken, and say nothing of them.

        Raises
        ------
        ValueError
            For columns that are absent, duplicated or of another type than in training; infinite
            numbers; missing values under missing="raise" or in the offset; y or weights of the
            wrong length or not finite.

        Warns
        -----
        UserWarning
            Once, naming covariates with levels that training rows do not have (all their columns
            are 0), numbers missing where training rows had all (the median is used) and numbers far
            outside of the training range.
        """
        frame = as_frame(frame)
        columns = () if clusters else self.schema.cluster_columns
        absent = set(columns) - set(frame.columns)
        needed = [name for name in self._needed(frame) if name not in absent]
        check_rows(frame, needed, self.missing, self.offset)
        if later:
            x, slopes = encoded_later(self.terms, self.slope_positions, frame)
        else:
            x, slopes = encode_terms(self.terms, frame, self.slope_positions, quiet)
        rows = len(frame)
        return Batch(
            x=x,
            y=row_values(y, rows),
            cluster=_stack(
                [
                    np.full(rows, -1) if absent & set(factor.columns) else factor.encode(frame)
                    for factor in self.factors
                ],
                rows,
            ),
            slopes=slopes,
            sensitive=_stack([self._groups(item, frame) for item in self.attributes], rows),
            weight=row_weights(weight, rows),
            offset=self._offset(frame),
        )

    def encode_changes(self, batch: Batch, changed: pd.DataFrame) -> Batch:
        """Return encoded rows some of whose covariates have changed.

        Parameters
        ----------
        batch
            The n rows, as `encode` returned them.
        changed
            Shape (n, columns): the columns that have changed. Clusters and sensitive attributes
            stay as they are, and so does an offset.
        """
        x, slopes = encode_changed(self.terms, changed, batch.x, batch.slopes, self.slope_positions)
        return batch._replace(x=x, slopes=slopes)

    def flip(self, frame: Table, attribute_name: str) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield, for each level of a sensitive attribute, the frame in which every row has it.

        S is replaced in the covariates: a bracket by the training median of its rows, an
        intersection in every component. Rows that have the level are untouched. This flips an
        attribute; it is no structural-causal counterfactual.

        Parameters
        ----------
        frame
            Rows to flip, pandas or polars.
        attribute_name
            Name of one of `attributes`.

        Raises
        ------
        ValueError
            When there is no such attribute or its columns are absent.
        """
        frame = as_frame(frame)
        names = {attribute.name: attribute for attribute in self.attributes}
        if attribute_name not in names:
            raise ValueError(
                f"Expected the name of a sensitive attribute, one of {', '.join(names) or 'none'}; "
                f"got {attribute_name!r}. [unknown-attribute]"
            )
        check_present(names[attribute_name].columns, frame.columns, "sensitive")
        return names[attribute_name].flip(frame)

    def factor(self, name: str) -> Factor:
        """Return the grouping factor of a name."""
        return next(factor for factor in self.factors if factor.column == name)

    def with_clusters(self, column: str, labels: Sequence[str]) -> Design:
        """Return the design with more clusters of a factor, after those it has."""
        factors = tuple(
            replace(f, levels=(*f.levels, *labels)) if f.column == column else f
            for f in self.factors
        )
        return replace(self, factors=factors)

    def to_state(self) -> dict[str, Any]:
        """Return the design as plain data (dicts, lists, strings, numbers) for JSON."""
        return plain(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Design:
        """Rebuild a design, equal to the one that gave the state.

        Raises
        ------
        TypeError, ValueError
            When the state is of another form, or its parts contradict each other.
        """
        found = rebuilt(cls, state)
        check_design(found)
        check_options(found.missing, found.offset, found.schema.sensitive_columns)
        return found

    def _needed(self, frame: pd.DataFrame) -> list[str]:
        covariates = [term.column for term in self.terms]
        sensitive = [
            name
            for name in self.schema.sensitive_columns
            if name in frame.columns or not self.drop_sensitive
        ]
        needed = [*covariates, *self.schema.cluster_columns, *sensitive, *_optional(self.offset)]
        return list(dict.fromkeys(needed))

    def _groups(self, attribute: Attribute, frame: pd.DataFrame) -> np.ndarray:
        if not set(attribute.columns) <= set(frame.columns):
            return np.full(len(frame), -1)
        return attribute.group_positions(frame)

    def _offset(self, frame: pd.DataFrame) -> np.ndarray:
        if self.offset is None:
            return np.zeros(len(frame), np.float32)
        values = read_numbers(pick(frame, self.offset))
        check_offset(values, frame.index, self.offset)
        return values.astype(np.float32)


def _attributes(
    frame: pd.DataFrame, schema: Schema, chosen: Mapping[str, ChosenLevels]
) -> tuple[Attribute, ...]:
    names = schema.attribute_names
    if unknown := [name for name in chosen if name not in names]:
        raise ValueError(
            f"exclude and merge name {unknown[0]!r}, which is no sensitive attribute. Attributes "
            f"are {', '.join(listed(names)) or 'none'}. [unknown-attribute]"
        )
    entries = zip(schema.sensitive, names, strict=True)
    return tuple(Attribute.fit(frame, entry, chosen.get(name)) for entry, name in entries)


def _warn_of_doubled_labels(design: Design) -> None:
    """Warn of columns in which 7 and "7" stand side by side, as of files read piece by piece."""
    found = {t.column: t.doubled for t in design.terms if isinstance(t, CategoricalTerm)}
    for factor in design.factors:
        found |= dict(zip(factor.columns, factor.doubled, strict=False))
    found |= {p.column: p.doubled for attribute in design.attributes for p in attribute.components}
    for column, labels in found.items():
        if labels:
            warn(
                f"The column {column!r} has {', '.join(labels[:3])}{', ...' * (len(labels) > 3)} "
                "both as text and as a number (or another type). They are levels of their own, the "
                "text in quotation marks. If they are one, write them alike before fit, for "
                f"example frame[{column!r}].astype(str). [levels-alike]",
                DataWarning,
            )


def _optional(name: str | None) -> list[str]:
    return [] if name is None else [name]


def _stack(codes: list[np.ndarray], rows: int) -> np.ndarray:
    if not codes:
        return np.empty((rows, 0), np.int32)
    between = any(one.dtype.kind == "f" for one in codes)  # of a continuous attribute
    return np.stack(codes, axis=1).astype(np.float32 if between else np.int32)


def _used_columns(schema: Schema, offset: str | None) -> list[str]:
    covariates = (*schema.numeric, *schema.categorical)
    roles = (*covariates, *schema.cluster_columns, *schema.sensitive_columns)
    return list(dict.fromkeys([*roles, *_optional(offset)]))
