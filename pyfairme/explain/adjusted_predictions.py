"""What the model predicts: of rows as they are, and with some values set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pyfairme.data.input_types import Table
from pyfairme.estimators.base import FairMixedEffects
from pyfairme.estimators.number_checks import is_number
from pyfairme.explain.contrasts import requested
from pyfairme.explain.estimates import OWN_COLUMNS, Estimates
from pyfairme.explain.explained_variable import ExplainedVariable
from pyfairme.explain.question import DRAWS, Question
from pyfairme.explain.row_groups import By, RowGroups
from pyfairme.metrics.names import apart
from pyfairme.notices import shown

FIVE = (0.0, 0.25, 0.5, 0.75, 1.0)  # Tukey's five numbers


def avg_predictions(
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
    """Average the predicted mean over rows, as they are or with some values set.

    Parameters
    ----------
    estimator, X, by, effects, level, draws, sample_weight
        As for `avg_comparisons`.
    variables
        What every row is set to before it is predicted: a column, an attribute or the cluster, a
        list of these, or {variable: values}; of several every combination. By default all levels
        (of X's clusters, all that are known), and of a number the five numbers minimum, quartiles
        and maximum of X. None: rows stay as they are.

    Returns
    -------
    Estimates
        Its frame has a line per group and value: columns of ``by``, the variables that were set,
        class (with more than two classes), estimate, sd, low, high, n.

    Raises
    ------
    ValueError
        For a column that is absent or not used, an unknown level or cluster, or bad values.

    Examples
    --------
    >>> import pyfairme as pf
    >>> data = pf.datasets.make_clustered(rows=600, clusters=6, random_state=0)
    >>> clf = pf.FairMixedEffectsClassifier(
    ...     "cluster",
    ...     "group1",
    ...     network_posterior="none",
    ...     guide="mean_field",
    ...     min_steps=100,
    ...     random_state=0,
    ... ).fit(data.frame, data.target)
    >>> pf.explain.avg_predictions(clf, data.frame, by="group1").frame["group1"].tolist()
    ['g0', 'g1']
    >>> set_to = pf.explain.avg_predictions(clf, data.frame, {"x1": [-1, 1], "group1": None})
    >>> set_to.frame[["x1", "group1", "n"]].to_numpy().tolist()
    [[-1, 'g0', 600], [-1, 'g1', 600], [1, 'g0', 600], [1, 'g1', 600]]
    """
    asked = Question.ask(estimator, X, effects, draws, level, sample_weight)
    groups = RowGroups.read(estimator, asked.frame, by)
    keys, values = [], []
    for chosen, frame in settings(asked, variables, groups.keys):
        keys.append(groups.keys.assign(**chosen))
        values.append(asked.averages(groups, frame, loud=not values))
    n = np.tile(groups.counts, len(keys))
    return asked.answer(pd.concat(keys, ignore_index=True), np.concatenate(values), n)


def predictions(
    estimator: FairMixedEffects,
    X: Table,
    variables: Any = None,
    *,
    effects: str = "mixed",
    level: float = 0.9,
    draws: int = DRAWS,
) -> Estimates:
    """Return the predicted mean of every row, as it is or with some values set.

    Parameters
    ----------
    estimator, variables, effects, level, draws
        As for `avg_predictions`.
    X
        Rows to predict, (n, columns).

    Returns
    -------
    Estimates
        Its frame has a line per row and combination of values, indexed like X: the variables that
        were set, class (with more than two classes), estimate, sd, low, high.

    Raises
    ------
    ValueError
        As `avg_predictions`; and where the draws of all rows would be more than 1e8 numbers.
    """
    asked = Question.ask(estimator, X, effects, draws, level)
    each = RowGroups.each(len(asked.frame))
    every = list(settings(asked, variables, each.keys))
    asked.check_size(len(asked.frame) * len(every))
    keys, values = [], []
    for chosen, frame in every:
        keys.append(each.keys.set_axis(asked.frame.index).assign(**chosen))
        values.append(asked.averages(each, frame, loud=not values))
    return asked.answer(pd.concat(keys), np.concatenate(values), None)


def settings(
    asked: Question, variables: Any, keys: pd.DataFrame
) -> Iterator[tuple[dict[str, Any], pd.DataFrame | None]]:
    """Yield every combination of values, by the name of a column of the answer, with its rows."""
    if variables is None:
        yield {}, None
        return
    wanted = requested(asked.estimator, asked.frame, variables)
    values = [_values(variable, spec) for variable, spec in wanted]
    names = [apart(variable.name, (*OWN_COLUMNS, *keys.columns)) for variable, _ in wanted]
    for combination in product(*values):
        frame = asked.frame
        for (variable, _), value in zip(wanted, combination, strict=True):
            frame = variable.put(frame, value)
        yield dict(zip(names, combination, strict=True)), frame


def _values(variable: ExplainedVariable, spec: Any) -> Sequence[Any]:
    if variable.numbers is None:
        if spec is None:
            variable.check_named()
            return variable.levels
        return variable.check_levels([spec] if isinstance(spec, str) else _listed(variable, spec))
    known = variable.numbers[~np.isnan(variable.numbers)]
    if spec is None:
        if len(known) == 0:
            raise _no_values(variable, "nothing but missing values")
        return list(dict.fromkeys(np.quantile(known, FIVE).tolist()))
    values = [spec] if is_number(spec) else _listed(variable, spec)
    if not all(map(is_number, values)):
        raise _no_values(variable, shown(spec))
    return values


def _listed(variable: ExplainedVariable, spec: Any) -> list[Any]:
    if isinstance(spec, str | Mapping) or not hasattr(spec, "__iter__"):
        raise _no_values(variable, shown(spec))
    values = list(spec)
    if not values:
        raise _no_values(variable, shown(spec))
    return values


def _no_values(variable: ExplainedVariable, came: str) -> ValueError:
    kind = "levels" if variable.numbers is None else "numbers"
    return ValueError(
        f"{variable.name!r} takes {kind} to be set to, got {came}: give a list, for example "
        f"variables={{{variable.name!r}: [{'0, 1' if kind == 'numbers' else '...'}]}}. "
        "[no-values]"
    )
