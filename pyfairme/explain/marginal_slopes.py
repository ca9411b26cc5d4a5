"""How fast predictions move with a number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pyfairme.data.input_types import Table
from pyfairme.estimators.base import FairMixedEffects
from pyfairme.explain.contrasts import requested
from pyfairme.explain.estimates import Estimates
from pyfairme.explain.explained_variable import ExplainedVariable
from pyfairme.explain.question import DRAWS, Question
from pyfairme.explain.row_groups import By, RowGroups

STEP = 0.01  # training SDs: truncation and rounding in single precision are then both below 1e-5


def avg_slopes(
    estimator: FairMixedEffects,
    X: Table,
    variables: Any = None,
    *,
    by: By = None,
    effects: str = "mixed",
    level: float = 0.9,
    draws: int = DRAWS,
    sample_weight: ArrayLike | None = None,
) -> Estimates:
    """Average over rows the derivative of the prediction by a number.

    For each posterior draw, by central differences over a hundredth of a training SD,

        mean_i [mu_i(x_i + h / 2) - mu_i(x_i - h / 2)] / h

    so that a row at a knot of a spline has the mean of the slopes on its two sides.

    Parameters
    ----------
    estimator, X, by, effects, level, draws, sample_weight
        As for `avg_comparisons`.
    variables
        Numeric covariates: a name or a list; None for all. Rows without a value are left out.

    Returns
    -------
    Estimates
        Its frame has a line per group and variable: columns of ``by``, term, class (with more than
        two classes), estimate, sd, low, high, n; in the target's units (a probability) per unit of
        the column.

    Raises
    ------
    ValueError
        For a column that is no number, absent, or not used by the model.

    Examples
    --------
    >>> import pyfairme as pf
    >>> data = pf.datasets.make_clustered(600, clusters=6, likelihood="normal", random_state=0)
    >>> reg = pf.FairMixedEffectsRegressor(
    ...     "cluster",
    ...     hidden=(),
    ...     random_slopes=["x1"],
    ...     min_steps=100,
    ...     guide="mean_field",
    ...     random_state=0,
    ... ).fit(data.frame, data.target)
    >>> found = pf.explain.avg_slopes(reg, data.frame, "x1", by="cluster")
    >>> found.frame.columns.tolist()
    ['cluster', 'term', 'estimate', 'sd', 'low', 'high', 'n']
    """
    asked = Question.ask(estimator, X, effects, draws, level, sample_weight)
    groups = RowGroups.read(estimator, asked.frame, by)
    keys, values, n = [], [], []
    for variable in _numeric(estimator, asked.frame, variables):
        there = groups.only(_there(variable))
        keys.append(there.keys.assign(term=variable.name))
        values.append(_slope(asked, variable, there, loud=not values))
        n.append(there.counts)
    frame: pd.DataFrame = pd.concat(keys, ignore_index=True)
    return asked.answer(frame, np.concatenate(values), np.concatenate(n), 0.0)


def slopes(
    estimator: FairMixedEffects,
    X: Table,
    variables: Any,
    *,
    effects: str = "mixed",
    level: float = 0.9,
    draws: int = DRAWS,
) -> Estimates:
    """Return the derivative of every row's prediction by a number, see `avg_slopes`.

    Parameters
    ----------
    estimator, variables, effects, level, draws
        As for `avg_slopes`.
    X
        Rows, (n, columns).

    Returns
    -------
    Estimates
        Its frame has a line per row and variable, indexed like X: term, class (with more than two
        classes), estimate, sd, low, high. A row without a value has none in its line.
    """
    asked = Question.ask(estimator, X, effects, draws, level)
    chosen = _numeric(estimator, asked.frame, variables)
    asked.check_size(len(asked.frame) * len(chosen))
    each = RowGroups.each(len(asked.frame))
    keys, values = [], []
    for variable in chosen:
        found = _slope(asked, variable, each, loud=not values)
        found[~_there(variable)] = np.nan
        keys.append(each.keys.set_axis(asked.frame.index).assign(term=variable.name))
        values.append(found)
    return asked.answer(pd.concat(keys), np.concatenate(values), None, 0.0)


def _numeric(
    estimator: FairMixedEffects, frame: pd.DataFrame, variables: Any
) -> list[ExplainedVariable]:
    found = [variable for variable, _ in requested(estimator, frame, variables)]
    if variables is None:
        found = [variable for variable in found if variable.numbers is not None]
    levels = [variable.name for variable in found if variable.numbers is None]
    if levels or not found:
        raise ValueError(
            f"A slope needs a numeric covariate, and {', '.join(map(repr, levels)) or 'the model'} "
            "has levels: compare them by avg_comparisons. [slope-of-levels]"
        )
    for variable in found:
        if not _there(variable).any():
            raise ValueError(
                f"{variable.name!r} is missing in every row, so there is no value to start from: "
                "give rows that have one. [all-missing]"
            )
    return found


def _there(variable: ExplainedVariable) -> np.ndarray:
    return ~np.isnan(np.asarray(variable.numbers))


def _slope(
    asked: Question, variable: ExplainedVariable, groups: RowGroups, *, loud: bool
) -> np.ndarray:
    numbers, half = np.asarray(variable.numbers), STEP * variable.unit / 2
    above = asked.averages(groups, variable.put(asked.frame, numbers + half), loud=loud)
    below = asked.averages(groups, variable.put(asked.frame, numbers - half))
    return (above - below) / (2 * half)
