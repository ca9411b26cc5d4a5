"""How predictions differ when a covariate, a group or a cluster is another one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pyfairme.data.input_types import Table
from pyfairme.estimators.base import FairMixedEffects
from pyfairme.estimators.estimator_keywords import check_choice
from pyfairme.explain.contrasts import ContrastPlan, plan, requested
from pyfairme.explain.estimates import Estimates
from pyfairme.explain.question import DRAWS, Question
from pyfairme.explain.row_groups import By, RowGroups

COMPARISONS = ("difference", "ratio")
EQUAL = {"difference": 0.0, "ratio": 1.0}  # what means no difference
UNCHANGED = "unchanged"


def avg_comparisons(
    estimator: FairMixedEffects,
    X: Table,
    variables: Any = None,
    *,
    by: By = None,
    comparison: str = "difference",
    effects: str = "mixed",
    level: float = 0.9,
    draws: int = DRAWS,
    sample_weight: ArrayLike | None = None,
) -> Estimates:
    r"""Average over rows how the prediction differs between two values of a variable.

    Every row is predicted twice, with the variable set to b and to a and all else as it is:

        difference = mean_i mu_i(b) - mean_i mu_i(a),      ratio = mean_i mu_i(b) / mean_i mu_i(a)

    for each posterior draw, mu being the mean: a probability, or in the target's units. For a
    sensitive attribute that is an attribute flip, not a causal effect.

    Parameters
    ----------
    estimator
        A fitted classifier or regressor.
    X
        Rows to average over, (n, columns).
    variables
        What is changed: a column, a sensitive attribute (its name, a `Binned`, a tuple), or the
        cluster column; a list of these, or {variable: which values}. None: every covariate.

        - Numbers: a step, added to each row's value (default 1; columns of 0 and 1 are set to
          these); ``[low, high]``; "sd" (a training SD around each value), "iqr" or "minmax" (set to
          the quartiles, or the extremes, of X). Rows without a value are left out.
        - Levels: "reference" (each against the first, the default), "sequential", "pairwise", or
          "mean" (each against the mean of all levels, the default for clusters); or two levels
          ``[from, to]``. A `Binned` sets its number to the training median of each bracket.
    by
        Averages by a column, a sensitive attribute, the cluster, or a list of these.
    comparison
        "difference" or "ratio".
    effects
        Predictions to compare: "mixed" (the random effects of each row's cluster), "fixed" (at
        zero), "integrated" (averaged over new clusters, as ``unseen="sample"`` draws them), or
        "random".
        Clusters that training never saw follow ``unseen``.
    level
        Coverage of the intervals.
    draws
        Posterior draws, spread over an ensemble's members.
    sample_weight
        Weight of each row in the averages, (n,).

    Returns
    -------
    Estimates
        Its frame has a line per group, variable and contrast: columns of ``by``, term, contrast,
        class (with more than two classes), estimate, sd, low, high, n.

    Raises
    ------
    ValueError
        For a column that is absent, or not used; an unknown level or cluster; values that are not
        of the variable's kind.

    References
    ----------
    Arel-Bundock, Greifer & Heiss, "How to interpret statistical models using marginaleffects for R
    and Python", Journal of Statistical Software 111 (9), 2024.

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
    >>> found = pf.explain.avg_comparisons(clf, data.frame, ["x1", "group1"])
    >>> found.frame[["term", "contrast", "n"]].to_numpy().tolist()
    [['x1', '+1', 600], ['group1', 'g1 - g0', 600]]
    """
    check_choice("comparison", comparison, COMPARISONS)
    asked = Question.ask(estimator, X, effects, draws, level, sample_weight)
    groups = RowGroups.read(estimator, asked.frame, by)
    keys, values, n = [], [], []
    same: dict[str, np.ndarray] = {}
    for variable, spec in requested(estimator, asked.frame, variables):
        chosen = plan(variable, spec, len(asked.frame))
        there = groups.only(chosen.there)
        kept = same if there is groups else {}
        found = _contrasted(asked, chosen, there, comparison, kept, loud=not keys)
        for contrast, draws_of in zip(chosen.contrasts, found, strict=True):
            keys.append(there.keys.assign(term=variable.name, contrast=contrast.name))
            values.append(draws_of)
            n.append(there.counts)
    frame: pd.DataFrame = pd.concat(keys, ignore_index=True)
    return asked.answer(frame, np.concatenate(values), np.concatenate(n), EQUAL[comparison])


def comparisons(
    estimator: FairMixedEffects,
    X: Table,
    variables: Any,
    *,
    comparison: str = "difference",
    effects: str = "mixed",
    level: float = 0.9,
    draws: int = DRAWS,
) -> Estimates:
    """Compare the prediction of every row between two values of a variable.

    Parameters
    ----------
    estimator, variables, comparison, effects, level, draws
        As for `avg_comparisons`; one variable or several.
    X
        Rows to compare, (n, columns).

    Returns
    -------
    Estimates
        Its frame has a line per row and contrast, indexed like X: term, contrast, class (with more
        than two classes), estimate, sd, low, high. A row without a value has none in its line.

    Raises
    ------
    ValueError
        As `avg_comparisons`; and where the draws of all rows would be more than 1e8 numbers.
    """
    check_choice("comparison", comparison, COMPARISONS)
    asked = Question.ask(estimator, X, effects, draws, level)
    plans = [
        plan(variable, spec, len(asked.frame))
        for variable, spec in requested(estimator, asked.frame, variables)
    ]
    asked.check_size(len(asked.frame) * sum(len(one.contrasts) for one in plans))
    each = RowGroups.each(len(asked.frame))
    keys, values = [], []
    same: dict[str, np.ndarray] = {}
    for chosen in plans:
        found = _contrasted(asked, chosen, each, comparison, same, loud=not keys)
        for contrast, draws_of in zip(chosen.contrasts, found, strict=True):
            name = chosen.variable.name
            draws_of[~chosen.there] = np.nan
            keys.append(
                each.keys.set_axis(asked.frame.index).assign(term=name, contrast=contrast.name)
            )
            values.append(draws_of)
    return asked.answer(pd.concat(keys), np.concatenate(values), None, EQUAL[comparison])


def _contrasted(
    asked: Question,
    chosen: ContrastPlan,
    groups: RowGroups,
    comparison: str,
    same: dict[str, np.ndarray],
    *,
    loud: bool,
) -> list[np.ndarray]:
    """Return the draws (groups, K, draws) of every contrast of a variable.

    ``same`` keeps the averages of rows as they are, for the next variable of these groups.
    """
    means = []
    for place, value in enumerate(chosen.values):
        if value is None:
            if UNCHANGED not in same:
                same[UNCHANGED] = asked.averages(groups, loud=loud)
            means.append(same[UNCHANGED])
        else:
            rows = chosen.variable.put(asked.frame, value)
            means.append(asked.averages(groups, rows, loud=loud and not place))
    found = []
    for contrast in chosen.contrasts:
        base = np.mean(means, axis=0) if contrast.low is None else means[contrast.low]
        high = means[contrast.high]
        found.append(high / base if comparison == "ratio" else high - base)
    return found
