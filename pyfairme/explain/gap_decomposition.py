"""The gap between two groups: which clusters people are in, and how they are treated there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pyfairme.data.input_types import Table
from pyfairme.estimators.base import FairMixedEffects
from pyfairme.explain.estimates import Estimates
from pyfairme.explain.question import DRAWS, Question
from pyfairme.explain.row_groups import RowGroups
from pyfairme.metrics.names import ALL, apart, listed
from pyfairme.notices import shown

COMPONENTS = ("gap", "within clusters", "between clusters")


class GroupsByClusters(NamedTuple):
    """Groups by clusters: ``mean`` (groups, clusters, K, draws), ``weight`` and ``rows`` of each.

    ``groups`` and ``clusters`` are their labels.
    """

    mean: np.ndarray
    weight: np.ndarray
    rows: np.ndarray
    groups: list[Any]
    clusters: list[Any]


def gap_decomposition(
    estimator: FairMixedEffects,
    X: Table,
    attribute: Any,
    groups: Sequence[Any] | None = None,
    *,
    cluster: Any = None,
    by_cluster: bool = False,
    effects: str = "mixed",
    level: float = 0.9,
    draws: int = DRAWS,
    sample_weight: ArrayLike | None = None,
) -> Estimates:
    r"""Split the gap between two groups' mean predictions into within and between clusters.

    Of group g, a share w_gk is in cluster k, with mean prediction m_gk. For groups a and b and each
    posterior draw

        gap     = sum_k w_bk m_bk - sum_k w_ak m_ak = within + between
        within  = sum_k (w_ak + w_bk) / 2 (m_bk - m_ak)
        between = sum_k (w_bk - w_ak) [(m_ak + m_bk) / 2 - c]

    Within: people of the same cluster are predicted differently. Between: the groups are in
    different clusters. It is Kitagawa's (1955) decomposition, symmetric in the groups: exchanged
    they have the same parts with the other sign. The constant c, the mean of (m_ak + m_bk) / 2
    under the weights of ``within``, changes no sum, as the shares' differences add up to 0; it lets
    a cluster's part of ``between`` be read: positive where group b is over-represented in a cluster
    that is predicted high, or under-represented in one that is predicted low. In a cluster with
    people of one group only, the other's m is set to theirs: nothing there is within.

    Parameters
    ----------
    estimator
        A fitted classifier or regressor.
    X
        Rows, (n, columns).
    attribute
        What forms the groups: a column, a sensitive attribute (name, `Binned`, tuple).
    groups
        Labels of two groups [a, b]; the gap is that of b less a. None: every pair.
    cluster
        What forms the clusters, by default the model's cluster column; any other column may do.
    by_cluster
        Add each cluster's part.
    effects, level, draws, sample_weight
        As for `avg_comparisons`.

    Returns
    -------
    Estimates
        Its frame has for each pair a line "gap", "within clusters" and "between clusters": term
        (the attribute), contrast, component, cluster ("all", or a label), class (with more than two
        classes), estimate, sd, low, high, n (rows of both groups).

    Raises
    ------
    ValueError
        For an attribute of one group, an unknown group or column, or several cluster columns to
        choose from.

    References
    ----------
    Kitagawa, "Components of a difference between two rates", Journal of the American Statistical
    Association 50, 1955. Oaxaca, International Economic Review 14, 1973; Blinder, Journal of Human
    Resources 8, 1973.

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
    >>> found = pf.explain.gap_decomposition(clf, data.frame, "group1")
    >>> gap, within, between = found.frame["estimate"]
    >>> round(within + between - gap, 9) == 0
    True
    """
    asked = Question.ask(estimator, X, effects, draws, level, sample_weight)
    cluster = only_factor(estimator) if cluster is None else cluster
    name, cells = _cells(asked, attribute, cluster)
    lines, values, n = [], [], []
    for a, b in _pairs(name, cells.groups, groups):
        pair = {"term": name, "contrast": f"{cells.groups[b]} - {cells.groups[a]}"}
        for component, where, part, rows in _components(cells, a, b):
            if where == ALL or by_cluster:
                lines.append({**pair, "component": component, "cluster": where})
                values.append(part)
                n.append(rows)
    return asked.answer(pd.DataFrame(lines), np.stack(values), n, 0.0)


def only_factor(estimator: FairMixedEffects) -> Any:
    """Return the cluster column of the model; raise ValueError unless it has exactly one."""
    factors = estimator.design_.factors
    if len(factors) != 1:
        known = ", ".join(repr(factor.column) for factor in factors) or "none"
        raise ValueError(
            "Expected the model to have one cluster column to split a gap by, and it has "
            f"{known}: choose a column with cluster='...'. [choose-one]"
        )
    return factors[0].entry


def _cells(asked: Question, attribute: Any, cluster: Any) -> tuple[str, GroupsByClusters]:
    """Return the attribute's name, and its groups by clusters."""
    first, second = (
        RowGroups.read(asked.estimator, asked.frame, [entry]) for entry in (attribute, cluster)
    )
    name = str(first.keys.columns[0])
    labels, places = (list(one.keys.iloc[:, 0]) for one in (first, second))
    shape = (len(labels), len(places))
    codes = first.codes * shape[1] + second.codes
    rows = np.bincount(codes, minlength=shape[0] * shape[1])
    weight = np.bincount(codes, asked.weight, minlength=len(rows))
    each = RowGroups(pd.DataFrame(index=range(len(rows))), codes, rows)
    mean = asked.averages(each, loud=True)
    cells = GroupsByClusters(
        mean.reshape(*shape, *mean.shape[1:]),
        weight.reshape(shape),
        rows.reshape(shape),
        labels,
        places,
    )
    there = cells.weight.sum(axis=1) > 0
    if there.sum() < 2:
        raise ValueError(
            f"{name!r} has one group only ({', '.join(listed(map(str, labels)))}) in these rows, "
            "and a gap is between two: give rows of both. [one-group]"
        )
    return name, cells


def _pairs(name: str, known: list[Any], groups: Sequence[Any] | None) -> Iterator[tuple[int, int]]:
    """Yield the places of the groups of every pair that is asked for."""
    if groups is None:
        yield from combinations(range(len(known)), 2)
        return
    labels = [str(label) for label in known]
    chosen = [] if isinstance(groups, str) else [str(label) for label in groups]
    if len(chosen) != 2 or len(set(chosen)) != 2 or not set(chosen) <= set(labels):
        raise ValueError(
            f"groups={shown(groups)}: expected two groups of {name!r} that are among these rows, "
            f"{', '.join(listed(labels[:30]))}. [two-groups]"
        )
    yield labels.index(chosen[0]), labels.index(chosen[1])


def _components(
    cells: GroupsByClusters, a: int, b: int
) -> Iterator[tuple[str, str, np.ndarray, int]]:
    """Yield component, cluster, draws (K, draws) and rows of one pair."""
    weight = cells.weight[[a, b]]
    share = (weight / weight.sum(axis=1, keepdims=True))[:, :, None, None]
    first, second = cells.mean[a], cells.mean[b]
    lone = weight == 0
    first = np.where(lone[0][:, None, None], second, first)
    second = np.where(lone[1][:, None, None], first, second)
    nobody = lone.all(axis=0)[:, None, None]
    first, second = (np.where(nobody, 0.0, one) for one in (first, second))
    middle, both = (first + second) / 2, share.mean(axis=0)
    within = both * (second - first)
    between = (share[1] - share[0]) * (middle - (both * middle).sum(axis=0))
    gap = (share[1] * second - share[0] * first).sum(axis=0)
    rows = cells.rows[[a, b]].sum(axis=0)
    parts = dict(zip(COMPONENTS[1:], (within, between), strict=True))
    yield COMPONENTS[0], ALL, gap, int(rows.sum())
    for component, part in parts.items():
        yield component, ALL, part.sum(axis=0), int(rows.sum())
    for component, part in parts.items():
        for place, label in enumerate(cells.clusters):
            if rows[place]:
                yield component, apart(str(label), (ALL,)), part[place], int(rows[place])
