"""Which values of a variable are compared with which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.estimators.base import FairMixedEffects
from pyfairme.estimators.number_checks import is_number
from pyfairme.explain.explained_variable import ExplainedVariable
from pyfairme.notices import shown

LEVEL_CONTRASTS = ("reference", "pairwise", "sequential", "mean")
NUMBER_CONTRASTS = ("sd", "iqr", "minmax")


@dataclass(frozen=True)
class Contrast:
    """A contrast of one variable: its name, and the places of the values that it compares.

    ``low`` None: the mean of all values.
    """

    name: str
    high: int
    low: int | None


@dataclass(frozen=True)
class ContrastPlan:
    """Contrasts of one variable.

    Attributes
    ----------
    variable
        What is changed.
    values
        What rows are set to, in turn; None: they stay as they are.
    contrasts
        Which of these are compared.
    there
        bool[n]: rows that have a value to start from.
    """

    variable: ExplainedVariable
    values: list[Any]
    contrasts: list[Contrast]
    there: np.ndarray


def requested(
    estimator: FairMixedEffects, frame: pd.DataFrame, variables: Any
) -> list[tuple[ExplainedVariable, Any]]:
    """Return every variable that is asked for, with what is asked of it (None: the default)."""
    if variables is None:
        return [(found, None) for found in ExplainedVariable.every(estimator, frame)]
    if isinstance(variables, Mapping):
        asked: Iterable[tuple[Any, Any]] = variables.items()
    else:
        asked = [
            (entry, None) for entry in (variables if isinstance(variables, list) else [variables])
        ]
    found = [(ExplainedVariable.find(estimator, frame, entry), spec) for entry, spec in asked]
    if not found:
        raise ValueError(
            f"variables={shown(variables)} names none: give a column, a list of columns or a "
            "dictionary {column: values}; None for all covariates. [no-variables]"
        )
    return found


def plan(variable: ExplainedVariable, spec: Any, rows: int) -> ContrastPlan:
    """Return the contrasts of a variable: those asked for, or the default of its kind."""
    if variable.numbers is None:
        values, contrasts = _of_levels(variable, spec)
        return ContrastPlan(variable, values, contrasts, np.ones(rows, bool))
    there = ~np.isnan(variable.numbers)
    if not there.any():
        raise ValueError(
            f"{variable.name!r} is missing in every row, so there is no value to start from: give "
            "rows that have one. [all-missing]"
        )
    values, name = _of_numbers(variable, variable.numbers, spec, there)
    return ContrastPlan(variable, values, [Contrast(name, 1, 0)], there)


def _of_levels(variable: ExplainedVariable, spec: Any) -> tuple[list[Any], list[Contrast]]:
    spec = ("mean" if variable.is_cluster else "reference") if spec is None else spec
    if isinstance(spec, str) and spec in LEVEL_CONTRASTS:
        variable.check_named()
        levels = list(variable.levels)
    elif isinstance(spec, list | tuple) and len(spec) == 2:
        levels, spec = variable.check_levels(spec), "sequential"
    else:
        raise _bad(variable, spec, f"{list(LEVEL_CONTRASTS)} or two of its levels")
    if len(set(levels)) < 2:
        raise ValueError(
            f"{variable.name!r} has one level only, {levels}: a comparison takes two. [one-level]"
        )
    numbers = range(len(levels))
    if spec == "mean":
        return levels, [Contrast(f"{levels[i]} - mean", i, None) for i in numbers]
    pairs = {
        "reference": [(0, i) for i in numbers[1:]],
        "sequential": list(pairwise(numbers)),
        "pairwise": list(combinations(numbers, 2)),
    }[spec]
    return levels, [Contrast(f"{levels[high]} - {levels[low]}", high, low) for low, high in pairs]


def _of_numbers(
    variable: ExplainedVariable, numbers: np.ndarray, spec: Any, there: np.ndarray
) -> tuple[list[Any], str]:
    """Return the low and the high value, and the contrast's name."""
    known = numbers[there]
    named = isinstance(spec, str)
    if spec is None and np.isin(known, (0.0, 1.0)).all():
        spec = (0, 1)  # a mark: one more of it means nothing
    spec = 1 if spec is None else spec
    if is_number(spec) and spec != 0:
        return [None, numbers + spec], f"{spec:+.6g}"
    if named and spec == "sd":
        half = variable.unit / 2
        return [numbers - half, numbers + half], "sd"
    if named and spec in ("iqr", "minmax"):
        at = (0.25, 0.75) if spec == "iqr" else (0.0, 1.0)
        low, high = np.quantile(known, at)
        return [float(low), float(high)], f"{high:.6g} - {low:.6g}"
    pair = list(spec) if isinstance(spec, list | tuple) else []
    if len(pair) == 2 and all(map(is_number, pair)):
        low, high = pair
        return [float(low), float(high)], f"{high:.6g} - {low:.6g}"
    raise _bad(
        variable, spec, f"a step, two numbers [low, high], or one of {list(NUMBER_CONTRASTS)}"
    )


def _bad(variable: ExplainedVariable, spec: Any, valid: str) -> ValueError:
    return ValueError(
        f"{variable.name!r} cannot be compared by {shown(spec)}: give {valid}. [contrast]"
    )
