"""Sensitive attributes: their levels in the training rows, codes, and flips for counterfactuals."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.data.brackets import Binned, Brackets, Continuous
from pyfairme.data.chosen_levels import EVERY_LEVEL, ChosenLevels
from pyfairme.data.columns import (
    MISSING,
    Labels,
    column_kind,
    doubled_labels,
    is_category,
    lookup,
    natural_order,
    pick,
    read_labels,
)
from pyfairme.data.columns import read_numbers as numbers_of
from pyfairme.data.schema import Sensitive, attribute_name, components, source
from pyfairme.data.text_numbers import text_numbers
from pyfairme.metrics.names import join_names

MOST_NUMERIC_LEVELS = 20
MOST_LEVELS = 50


@dataclass(frozen=True)
class Component:
    """One column behind a sensitive attribute.

    Parameters
    ----------
    column
        The column that it is read from.
    binned
        The brackets, when it is derived from a number.
    levels
        Levels that the training rows have: natural order, or brackets from low to high.
    values
        What to write into the column for each level: the level itself in its first training type,
        for a bracket the training median of its rows, None for "(missing)".
    doubled
        Labels that training rows had both as text and as another value.
    groups
        Of a `Continuous` attribute how many groups were asked for; 0 for others.
    """

    column: str
    binned: Binned | None
    levels: tuple[str, ...]
    values: tuple[str | int | float | bool | None, ...]
    doubled: tuple[str, ...] = ()
    groups: int = 0

    @classmethod
    def fit(cls, frame: pd.DataFrame, part: str | Brackets) -> "Component":
        """Learn from the training rows."""
        if isinstance(part, Continuous):
            brackets = part.brackets(numbers_of(pick(frame, part.column)))
            return replace(cls._fit_brackets(frame, brackets), groups=part.groups)
        if isinstance(part, Binned):
            return cls._fit_brackets(frame, part)
        series = pick(frame, part)
        labels = read_labels(series)
        _refuse_many(series, labels)
        value_of = dict(zip(reversed(labels.names), reversed(labels.values), strict=True))
        levels = tuple(natural_order([*labels.names, *[MISSING] * bool((labels.codes < 0).any())]))
        values = tuple(_plain(value_of.get(v)) for v in levels)
        return cls(part, None, levels, values, doubled_labels(series))

    @classmethod
    def _fit_brackets(cls, frame: pd.DataFrame, binned: Binned) -> "Component":
        numbers = numbers_of(pick(frame, binned.column))
        codes = binned.codes(numbers)
        seen = [code for code in range(len(binned.levels)) if (codes == code).any()]
        medians = [float(np.median(numbers[codes == code])) for code in seen]
        levels = [binned.levels[code] for code in seen]
        if (codes < 0).any():
            return cls(binned.column, binned, (*levels, MISSING), (*medians, None))
        return cls(binned.column, binned, tuple(levels), tuple(medians))

    def encode(self, frame: pd.DataFrame) -> np.ndarray:
        """Return int64[n] codes, -1 for a level that training rows do not have."""
        series = pick(frame, self.column)
        if self.binned is None:
            return lookup(read_labels(series, self.doubled), self.levels)
        position = {level: i for i, level in enumerate(self.levels)}
        table = [position.get(level, -1) for level in (*self.binned.levels, MISSING)]
        return np.asarray(table)[self.binned.codes(numbers_of(series))]

    def positions(self, frame: pd.DataFrame) -> np.ndarray:
        """Return float32[n] places among the medians of a `Continuous` attribute's groups.

        The numbers of groups at their medians, in between by interpolation; -1 without a value.
        """
        medians = [float(value) for value in self.values if value is not None]  # type: ignore[arg-type]
        values = numbers_of(pick(frame, self.column))
        places = np.interp(values, medians, np.arange(len(medians)))
        return np.where(np.isnan(values), -1.0, places).astype(np.float32)

    def flip(self, frame: pd.DataFrame, level: int) -> pd.Series:
        """Return the column with every row set to a level; rows already there are untouched."""
        series, value = pick(frame, self.column), self.values[level]
        stay = self.encode(frame) == level
        if stay.all():
            return series
        if self.binned is None:
            return pd.Series([value] * len(series), index=series.index, name=series.name)
        target = np.nan if value is None else value
        return pd.Series(np.where(stay, numbers_of(series), target), index=series.index)


@dataclass(frozen=True)
class Attribute:
    """A sensitive attribute.

    Parameters
    ----------
    name
        Name of the column, of the brackets, or of the parts joined with " x ".
    levels
        Levels that training rows have; those of an intersection are joined with " & ",
        a level that itself has this sign in quotation marks.
    columns
        The columns it is read from.
    counts
        Training rows of each level.
    components
        Its parts: one, or several for an intersection.
    picks
        For each level the level of each component.
    chosen
        What penalties leave out and put together.
    """

    name: str
    levels: tuple[str, ...]
    columns: tuple[str, ...]
    counts: tuple[float, ...]
    components: tuple[Component, ...]
    picks: tuple[tuple[int, ...], ...]
    chosen: ChosenLevels = EVERY_LEVEL

    @classmethod
    def fit(
        cls, frame: pd.DataFrame, entry: Sensitive, chosen: ChosenLevels | None = None
    ) -> "Attribute":
        """Learn from the training rows; raise ValueError when they have one group only."""
        name = attribute_name(entry)
        parts = tuple(Component.fit(frame, part) for part in components(entry))
        shape = tuple(len(part.levels) for part in parts)
        rows = np.bincount(np.ravel_multi_index([part.encode(frame) for part in parts], shape))
        seen = np.flatnonzero(rows)
        cells, counts = np.stack(np.unravel_index(seen, shape), axis=1), rows[seen]
        levels = [
            join_names([part.levels[i] for part, i in zip(parts, cell, strict=True)], " & ")
            for cell in cells
        ]
        if len(levels) < 2:
            raise ValueError(
                f"The sensitive attribute {name!r} has one level only ({levels[0]!r}) in the "
                "training rows: fairness compares groups, so at least two are needed. Drop it, or "
                "give training rows of other groups. [one-group]"
            )
        columns = tuple(source(part) for part in components(entry))
        picked = tuple(tuple(int(i) for i in cell) for cell in cells)
        found = cls(name, tuple(levels), columns, tuple(map(float, counts)), parts, picked)
        return found if chosen is None and not found.continuous else found._with(chosen)

    def _with(self, chosen: ChosenLevels | None) -> "Attribute":
        chosen = EVERY_LEVEL if chosen is None else chosen
        chosen.check(self.name, self.levels)
        if self.continuous:
            if set(chosen.levels) - {MISSING}:
                raise ValueError(
                    f"exclude and merge name groups of {self.name!r}, which is Continuous: its "
                    "groups are only those of reports. Choose brackets, Binned(column, edges). "
                    "[continuous-levels]"
                )
            missing = (MISSING,) if MISSING in self.levels else ()
            chosen = replace(chosen, out=missing)
        found = replace(self, chosen=chosen)
        if len(found.groups) < 2:
            raise ValueError(
                f"exclude and merge leave {len(found.groups)} group of {self.name!r} to compare, "
                "and at least two are needed: name fewer levels, or leave the attribute out of "
                "sensitive. [one-group]"
            )
        return found

    @property
    def continuous(self) -> bool:
        """Whether penalties see a number, not groups."""
        return any(part.groups for part in self.components)

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups that penalties compare: the levels, but for what was chosen."""
        return self.chosen.groups(self.levels)[0]

    @property
    def group_counts(self) -> tuple[float, ...]:
        """Training rows of each of the groups."""
        names, codes = self.chosen.groups(self.levels)
        rows = np.zeros(len(names) + 1)
        np.add.at(rows, list(codes), self.counts)  # what is left out, -1, is last
        return tuple(map(float, rows[:-1]))

    def group_positions(self, frame: pd.DataFrame) -> np.ndarray:
        """Return int32[n] codes of groups, -1 for what is left out and for unknown levels.

        Of a `Continuous` attribute float32[n], in between where a row belongs to two groups.
        """
        if self.continuous:
            return self.components[0].positions(frame)
        codes = np.array([*self.chosen.groups(self.levels)[1], -1], dtype=np.int32)
        return codes[self.encode(frame)]

    def encode(self, frame: pd.DataFrame) -> np.ndarray:
        """Return int32[n] codes, -1 for a level that training rows do not have."""
        shape = tuple(len(part.levels) + 1 for part in self.components)
        # the last cell of each axis is the level never seen: code -1 lands there by itself
        table = np.full(shape, -1, dtype=np.int32)
        for code, cell in enumerate(self.picks):
            table[cell] = code
        return table[tuple(part.encode(frame) for part in self.components)]

    def flip(self, frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield each level with the frame in which every row has it."""
        for code, level in enumerate(self.levels):
            yield level, self.flip_to(frame, code)

    def flip_to(self, frame: pd.DataFrame, level: int) -> pd.DataFrame:
        """Return the frame in which every row has the level of a code."""
        changed = {
            part.column: part.flip(frame, i)
            for part, i in zip(self.components, self.picks[level], strict=True)
        }
        return frame.assign(**changed)


def _refuse_many(series: pd.Series, labels: Labels) -> None:
    """Refuse numbers, also as text, of which each would be a group; and names of single rows."""
    column, number = series.name, len(labels.names)
    if number <= MOST_NUMERIC_LEVELS:
        return
    numeric = column_kind(series) == "numeric"
    chosen = is_category(series)
    text = None if numeric or chosen else text_numbers(labels)
    if numeric or text is not None:
        read = "" if text is None else (
            f", read as text, such as {text.example!r}: make them numbers, {text.cure}, and"
        )  # fmt: skip
        raise ValueError(
            f"The sensitive column {column!r} has {number} distinct numbers (at most "
            f"{MOST_NUMERIC_LEVELS} are taken as groups){read or ':'} give brackets, for example "
            f"Binned({column!r}, edges=(30, 45)), or Continuous({column!r}) for the number itself. "
            f"Where they are codes of groups, make it a "
            f"category: frame[{column!r}].astype('category'). [many-numbers]"
        )
    if number > MOST_LEVELS and number > len(series) / 2:
        raise ValueError(
            f"The sensitive column {column!r} has {number} levels in {len(series)} rows: it looks "
            "like an identifier, and fairness compares groups of many rows. Name a coarser "
            "column. [identifier]"
        )


def _plain(value: Any) -> str | int | float | bool | None:
    """Turn a level's value into a plain Python one that JSON can hold."""
    plain = value.item() if isinstance(value, np.generic) else value
    return plain if isinstance(plain, str | int | float | bool | None) else str(plain)
