"""What may be changed in every row: a covariate, a sensitive attribute, or the cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.data import Design
from pyfairme.data.attributes import Attribute
from pyfairme.data.checks import check_present
from pyfairme.data.columns import MISSING, label_of, natural_order, pick, read_labels, read_numbers
from pyfairme.data.encoders import NumericTerm
from pyfairme.data.grouping_factors import Factor
from pyfairme.data.schema import check_sensitive
from pyfairme.estimators import fairness_report
from pyfairme.estimators.base import FairMixedEffects
from pyfairme.metrics.names import listed
from pyfairme.notices import shown

MOST_LEVELS = 100  # of a variable whose levels are compared without being named


@dataclass(frozen=True)
class ExplainedVariable:
    """One variable of a model.

    Attributes
    ----------
    name
        As lines are called.
    levels
        Levels that rows can be set to, () for a number.
    put
        Return a frame with every row set to a level, or to numbers: one, or one per row.
    numbers
        The values of the rows, NaN where missing; None for levels.
    unit
        Standard deviation over training rows; 0 for levels.
    is_cluster
        Whether it is a grouping factor.
    """

    name: str
    levels: tuple[str, ...]
    put: Callable[[pd.DataFrame, Any], pd.DataFrame]
    numbers: np.ndarray | None = None
    unit: float = 0.0
    is_cluster: bool = False

    @classmethod
    def find(
        cls, estimator: FairMixedEffects, frame: pd.DataFrame, entry: Any
    ) -> ExplainedVariable:
        """Return the variable of a name, a `Binned` or a tuple of these.

        Raises
        ------
        ValueError
            For what is no column, or a column that the model does not use.
        """
        design = estimator.design_
        for factor in design.factors:
            if entry in (factor.column, factor.entry):
                return _cluster(estimator, frame, factor)
        known = {attribute.name: attribute for attribute in design.attributes}
        if isinstance(entry, str) and entry in known:
            return _attribute(known[entry], frame)
        if not isinstance(entry, str):
            check_sensitive([entry])
            (attribute,) = fairness_report.attributes_to_judge(estimator, frame, [entry])
            return _attribute(attribute, frame)
        terms = {term.column: term for term in design.terms}
        if entry not in terms:
            raise _not_used(design, frame, entry)
        check_present([entry], frame.columns, "covariate")
        term = terms[entry]
        if isinstance(term, NumericTerm):
            numbers = read_numbers(pick(frame, entry))
            return cls(entry, (), _setter(entry, float), numbers, term.scale)
        levels = tuple(level for level in term.levels if level != MISSING)
        return cls(entry, levels, _setter(entry, _value_of(frame, entry)))

    @classmethod
    def every(cls, estimator: FairMixedEffects, frame: pd.DataFrame) -> list[ExplainedVariable]:
        """Return all covariates, and sensitive attributes that are derived from none."""
        terms = [term.column for term in estimator.design_.terms]
        return [cls.find(estimator, frame, name) for name in dict.fromkeys(terms)]

    def check_levels(self, wanted: Iterable[Any]) -> list[str]:
        """Return labels of levels; raise ValueError for one that the model does not know."""
        found = [label_of(level) for level in wanted]
        for label in found:
            if label not in self.levels:
                what = "cluster" if self.is_cluster else "level"
                raise ValueError(
                    f"{self.name!r} has no {what} {label!r} that the model has learned from: "
                    f"choose among {', '.join(listed(self.levels[:30]))}"
                    f"{', ...' * (len(self.levels) > 30)}. [not-a-level]"
                )
        return found

    def check_named(self) -> None:
        """Refuse to compare hundreds of levels that nobody asked for by name."""
        if len(self.levels) > MOST_LEVELS:
            raise ValueError(
                f"{self.name!r} has {len(self.levels)} levels, more than {MOST_LEVELS}: name those "
                f"to look at, variables={{{self.name!r}: [{self.levels[0]!r}, {self.levels[1]!r}]}}"
                ". [levels-to-compare]"
            )


def _cluster(estimator: FairMixedEffects, frame: pd.DataFrame, factor: Factor) -> ExplainedVariable:
    if not any(one.name == factor.column for one in estimator.fit_.spec.factors):
        raise ValueError(
            f"The model has no random effects of {factor.column!r}, so setting it changes nothing: "
            "fit with random_intercepts=True, or group rows with by=. [no-random-effects]"
        )
    check_present(factor.columns, frame.columns, "cluster")
    labels = factor.read(frame)
    first = pd.Series(labels.codes).drop_duplicates()
    where = {labels.names[code]: row for row, code in first.items() if code >= 0}
    levels = tuple(label for label in factor.levels if label in where)
    if len(factor.columns) == 1 and not factor.salt:  # a label is a value like any other
        levels = factor.levels

    def put(rows: pd.DataFrame, level: str) -> pd.DataFrame:
        values = frame.iloc[where[level]] if level in where else {factor.column: level}
        return rows.assign(**{name: values[name] for name in factor.columns})

    return ExplainedVariable(factor.column, levels, put, is_cluster=True)


def _attribute(attribute: Attribute, frame: pd.DataFrame) -> ExplainedVariable:
    check_present(attribute.columns, frame.columns, "sensitive")

    def put(rows: pd.DataFrame, level: str) -> pd.DataFrame:
        chosen = attribute.picks[attribute.levels.index(level)]
        changed = {
            part.column: part.flip(rows, i)
            for part, i in zip(attribute.components, chosen, strict=True)
        }
        return rows.assign(**changed)

    return ExplainedVariable(attribute.name, attribute.levels, put)


def _setter(column: str, value: Callable[[Any], Any]) -> Callable[..., pd.DataFrame]:
    def put(rows: pd.DataFrame, level: Any) -> pd.DataFrame:
        many = isinstance(level, np.ndarray)
        return rows.assign(**{column: level if many else value(level)})

    return put


def _value_of(frame: pd.DataFrame, column: str) -> Callable[[str], Any]:
    """Return what stands in the frame for a label; the label itself where nothing does."""
    labels = read_labels(pick(frame, column))
    own = dict(zip(labels.names, labels.values, strict=True))
    return lambda level: own.get(level, level)


def _not_used(design: Design, frame: pd.DataFrame, entry: str) -> ValueError:
    check_present([entry], frame.columns, "covariate")
    used = natural_order(
        [term.column for term in design.terms]
        + [factor.column for factor in design.factors]
        + [attribute.name for attribute in design.attributes]
    )
    why = " It is the offset." if entry == design.offset else ""
    return ValueError(
        f"The model does not use the column {shown(entry)}, so changing it changes nothing.{why} "
        f"It uses {', '.join(listed(used))}. [not-used]"
    )
