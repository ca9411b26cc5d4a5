"""How the average prediction moves with one variable, also cluster by cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.data.input_types import Table
from pyfairme.estimators.base import FairMixedEffects
from pyfairme.estimators.number_checks import is_number
from pyfairme.explain.adjusted_predictions import settings
from pyfairme.explain.estimates import Estimates
from pyfairme.explain.explained_variable import ExplainedVariable
from pyfairme.explain.gap_decomposition import only_factor
from pyfairme.explain.question import DRAWS, Question
from pyfairme.explain.row_groups import RowGroups
from pyfairme.metrics.array_inputs import check_count

ENDS = (0.05, 0.95)  # quantiles between which a number's values lie: few rows support more


def partial_dependence(
    estimator: FairMixedEffects,
    X: Table,
    variable: Any,
    clusters: str | Sequence[Any] | None = None,
    *,
    grid: int | Sequence[float] = 15,
    rows: int = 200,
    effects: str = "mixed",
    level: float = 0.9,
    draws: int = DRAWS,
) -> Estimates:
    """Average the prediction with one variable set to each of a number of values.

    Friedman's partial dependence: the mean over rows of the prediction with the variable set to v
    and all else as it is, for each v. With ``clusters`` every row is also set to each cluster in
    turn, so that curves differ by what the clusters do and by nothing else; covariates of the rows
    are the same for all. Combinations that no row has are predicted too: look at the curves where
    the data are.

    Parameters
    ----------
    estimator
        A fitted classifier or regressor.
    X
        Rows to average over, (n, columns).
    variable
        A covariate or a sensitive attribute.
    clusters
        "all", or labels of clusters, of a model with one cluster column. None: every row in its
        own.
    grid
        How many values of a number, evenly spaced from its 5 % to its 95 % quantile in X; all of
        its values where they are as few. Or the values themselves. Levels are all taken.
    rows
        At most so many rows are averaged over, drawn at random (the same in every call): a curve
        costs as many predictions as values times rows.
    effects, level, draws
        As for `avg_comparisons`.

    Returns
    -------
    Estimates
        Its frame has a line per cluster and value: the cluster column (with ``clusters``), the
        variable's, class (with more than two classes), estimate, sd, low, high, n.
        `pyfairme.plots.plot_partial_dependence` draws it.

    Raises
    ------
    ValueError
        For a column that is absent or not used, or clusters that the model does not know.

    References
    ----------
    Friedman, "Greedy function approximation: a gradient boosting machine", Annals of Statistics 29,
    2001.

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
    >>> found = pf.explain.partial_dependence(reg, data.frame, "x1", "all", grid=[-1, 0, 1])
    >>> found.frame[["cluster", "x1"]].shape
    (18, 2)
    """
    asked = _fewer_rows(Question.ask(estimator, X, effects, draws, level), rows)
    chosen = ExplainedVariable.find(estimator, asked.frame, variable)
    wanted: dict[Any, Any] = {variable: _values(chosen, grid)}
    if clusters is not None:
        labels = None if isinstance(clusters, str) and clusters == "all" else clusters
        wanted = {only_factor(estimator): labels, **wanted}
    every = list(settings(asked, wanted, pd.DataFrame()))
    size = len(asked.frame)
    stacked = pd.concat([x for _, x in every if x is not None], ignore_index=True)
    codes = np.repeat(np.arange(len(every)), size)
    groups = RowGroups(pd.DataFrame([keys for keys, _ in every]), codes, np.bincount(codes))
    whole = replace(asked, frame=stacked, weight=np.ones(len(stacked)))
    return whole.answer(groups.keys, whole.averages(groups), groups.counts)


def _fewer_rows(asked: Question, rows: int) -> Question:
    check_count(rows, "rows", 1)
    if len(asked.frame) <= rows:
        return asked
    picked = np.sort(np.random.default_rng(0).choice(len(asked.frame), rows, replace=False))
    return replace(asked, frame=asked.frame.iloc[picked], weight=asked.weight[picked])


def _values(variable: ExplainedVariable, grid: int | Sequence[float]) -> Any:
    if variable.numbers is None:
        return None
    if not is_number(grid):
        return grid
    number = check_count(grid, "grid", 2)
    known = np.unique(variable.numbers[~np.isnan(variable.numbers)])
    if len(known) <= number:
        return known.tolist() or None
    low, high = np.quantile(variable.numbers[~np.isnan(variable.numbers)], ENDS)
    return np.linspace(low, high, number).tolist()
