"""Disparity of the random part, by cluster and by group, with posterior intervals.

Fixed effects can be made fair while random effects bring the bias back, wherever clusters and
groups go together. This table shows how much of it they bring, and which clusters do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from pyfairme.data.chosen_levels import EVERY_LEVEL, Exclude, Merge
from pyfairme.data.columns import MISSING, natural_order
from pyfairme.data.input_types import Attributes, Table
from pyfairme.estimators import fairness_report, table_inputs
from pyfairme.estimators.check_fitted import check_fitted
from pyfairme.estimators.chosen_groups import levels_to_compare
from pyfairme.estimators.table_predictions import table_query
from pyfairme.inference.predictions import Query
from pyfairme.inference.random_part_by_group import MEASURES, cell_sums
from pyfairme.metrics.names import ALL, apart

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects

__all__ = ["random_disparity"]

NULL_DRAWS = 1000
COLUMNS = (
    "factor", "cluster", "attribute", "group", "class", "measure", "value", "sd", "low", "high",
    "null", "null_low", "null_high", "n",
)  # fmt: skip


class Places(NamedTuple):
    """Where groups are compared: all rows, and the clusters of every factor.

    ``codes`` (n, 1 + factors) numbers the place of each row in each block; ``names`` has a
    (factor, cluster) per place.
    """

    codes: np.ndarray
    names: list[tuple[str, str]]


class Means(NamedTuple):
    """Means of one attribute's groups in every place, (places, groups, measures, draws, K).

    ``excess`` lacks the measures. ``spread`` is the SD between rows, (places, measures, K);
    ``rows`` counts, (places, groups).
    """

    group: np.ndarray
    place: np.ndarray
    excess: np.ndarray
    spread: np.ndarray
    rows: np.ndarray


def random_disparity(
    estimator: FairMixedEffects,
    X: Table,
    attributes: Attributes | None = None,
    by_cluster: bool = True,
    level: float = 0.9,
    exclude: Exclude = None,
    merge: Merge = None,
) -> pd.DataFrame:
    r"""Measure what the random effects add to the disparity between groups.

    With u_i the random part of row i (link scale), mu the likelihood's mean (a probability, for a
    real target its value), N rows in all, N_g of group g, and n_g of them in the cluster at hand
    ("all": every row)::

        random_mean     (1 / n_g) sum_{i in cluster, i in g} u_i
        tilt            (1 / n_g) sum_{i in cluster, i in g} [mu(fixed_i + u_i) - mu(fixed_i)]
        excess          (1 / N_g) sum_{i in cluster, i in g} [...]
                            - (1 / N) sum_{i in cluster} [...],   [...] as in tilt
        random_mean_sd, SD over groups g of random_mean (of tilt), ddof = 0
        tilt_sd

    ``random_mean`` and ``tilt`` of the group "all" are means over the rows of all groups. Over all
    rows ``excess`` is the group's tilt less everyone's: what random effects do for or against it. A
    cluster's ``excess`` is its part of that: they add up over the clusters of a factor. Without
    random slopes u is the same for all rows of a cluster, and the excess comes from groups that are
    unevenly spread over clusters.

    Parameters
    ----------
    estimator
        A fitted classifier or regressor with random effects.
    X
        Rows to judge, (n, columns).
    attributes
        As of ``fairness_report``: by default the estimator's sensitive attributes.
    by_cluster
        Add the lines of every cluster to those of all rows together.
    level
        Coverage of the posterior intervals.
    exclude, merge
        Levels of attributes that are left out, with their rows, or put together, as of
        ``fairness_report``: by default those of the estimator.

    Returns
    -------
    DataFrame
        Tidy: factor and cluster ("all", "all" for all rows together), attribute, group (a level or
        "all"), class, measure, value, sd, low, high, null, null_low, null_high, n. Value, sd and
        the equal-tailed interval are those of the posterior draws of the measure. A factor,
        cluster, attribute or level that is itself called "all" is ``'"all"'``. A target that is not
        of classes has the class "".

    Raises
    ------
    ValueError
        For a model without random effects, no attribute, or a bad level.

    Notes
    -----
    Intervals hold the network fixed unless ``network_posterior`` says otherwise, and the rows: they
    are about these rows, not about a population. A spread is never negative, so its interval does
    not reach 0: read it against its null band, the mean and the 5-95 % band of the spread when the
    same random parts fall to rows regardless of group, group sizes kept (group means are then
    Normal with variance SD² / n_g). Rows of unseen clusters follow ``unseen``: "infer" takes the
    mean over their membership.

    Examples
    --------
    >>> import pyfairme as pf
    >>> data = pf.datasets.make_clustered(rows=900, clusters=6, random_state=0)
    >>> clf = pf.FairMixedEffectsClassifier(
    ...     "cluster", "group1", guide="mean_field", min_steps=100, random_state=0
    ... )
    >>> found = random_disparity(clf.fit(data.frame, data.target), data.frame, by_cluster=False)
    >>> found[found["group"] == "all"]["measure"].tolist()
    ['random_mean', 'tilt', 'random_mean_sd', 'tilt_sd']
    """
    check_fitted(estimator)
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}; 0.9 means 90 %. [level]")
    if not estimator.fit_.spec.factors:
        raise ValueError(
            "The model has no random effects, so there is no random part to evaluate: give "
            "cluster='column' with random_intercepts=True or random_slopes. [no-random-effects]"
        )
    frame, query = table_query(estimator, X, joint=True)
    judged = fairness_report.attributes_to_judge(estimator, frame, attributes)
    if not judged:
        raise ValueError(
            "No attribute to evaluate: name sensitive columns with attributes=..., as the model "
            "was "
            "fitted with none. [no-attribute]"
        )
    sensitive = {a.name: fairness_report.groups_of(a, frame) for a in judged}
    chosen = levels_to_compare(estimator, sensitive, exclude, merge)
    places = _places(estimator, frame, by_cluster)
    classes = list(getattr(estimator, "classes_", [""]))
    labels = classes if len(classes) > 2 else classes[-1:]
    unit = float(estimator.target_.value_scale)
    parts = []
    for attribute in judged:
        groups = sensitive[attribute.name]
        others = [n for n in (fairness_report.NEW_LEVEL, MISSING) if n not in attribute.levels]
        levels = [*attribute.levels, *(name for name in others if (groups == name).any())]
        own, there, found = chosen.get(attribute.name, EVERY_LEVEL), places, query
        kept = ~np.isin(groups.astype(str), own.out)
        if not kept.all():
            part, found = table_query(estimator, frame[kept], joint=True)
            there = _places(estimator, part, by_cluster)
        names, _ = own.groups(levels)
        codes = pd.Index(names).get_indexer(own.relabelled(groups)[kept])
        means = _means(found, there, codes, len(names))
        named = [apart(name, (ALL,)) for name in names]
        lines = _lines(means, there, named, labels, level, unit)
        parts.append(lines.assign(attribute=apart(attribute.name, (ALL,))))
    return pd.concat(parts, ignore_index=True).reindex(columns=list(COLUMNS))


def _places(estimator: FairMixedEffects, frame: pd.DataFrame, by_cluster: bool) -> Places:
    codes = [np.zeros(len(frame), np.int64)]
    names = [(ALL, ALL)]
    factors = estimator.fit_.spec.factors if by_cluster else ()
    for factor in factors:
        labels = table_inputs.cluster_labels(frame, estimator.design_.factor(factor.name))
        ordered = natural_order(set(labels))
        position = {label: len(names) + i for i, label in enumerate(ordered)}
        codes.append(np.array([position[label] for label in labels]))
        names += [(apart(factor.name, (ALL,)), apart(label, (ALL,))) for label in ordered]
    return Places(np.stack(codes, axis=1), names)


def _means(query: Query, places: Places, group: np.ndarray, groups: int) -> Means:
    size = len(places.names) * groups
    cells = places.codes * groups + group[:, None]
    rows = np.bincount(cells.ravel(), minlength=size).reshape(-1, groups)
    found = cell_sums(query, cells, places.codes)
    sums = np.zeros((size, *found.sums.shape[1:]))
    sums[: len(found.sums)] = found.sums  # the last cells may be empty
    sums = sums.reshape(-1, groups, *sums.shape[1:])
    in_place = rows.sum(axis=1)[:, None, None, None]
    with np.errstate(invalid="ignore", divide="ignore"):  # no row of that group there
        means = sums / rows[:, :, None, None, None]
        whole = rows[0][None, :, None, None]
        tilt = sums[:, :, 1]
        excess = tilt / whole - tilt.sum(axis=1, keepdims=True) / rows[0].sum()
    place = sums.sum(axis=1) / in_place
    variance = np.maximum(found.squares / in_place - place**2, 0.0)
    return Means(means, place, excess, np.sqrt(variance).mean(axis=2), rows)


def _lines(
    means: Means, places: Places, levels: list[str], labels: list[Any], level: float, unit: float
) -> pd.DataFrame:
    """Summarise the draws: lines of groups, of all rows, and of the spread, place by place."""
    n, parts = means.rows, []
    for index, name in enumerate(MEASURES):
        parts.append((name, levels, means.group[:, :, index], n))
    parts.append(("excess", levels, means.excess, n))
    for index, name in enumerate(MEASURES):
        whole = means.place[:, None, index]
        parts.append((name, [ALL], whole, n.sum(axis=1, keepdims=True)))
    found = [_frame(name, groups, v * unit, rows, places, labels, level)
             for name, groups, v, rows in parts]  # fmt: skip
    there = n > 0
    compared = (there.sum(axis=1) > 1)[:, None]  # a spread needs two groups
    for index, name in enumerate(MEASURES):
        values = np.where(there[:, :, None, None], means.group[:, :, index], 0.0)
        counts = np.maximum(there.sum(axis=1), 1)[:, None, None]
        centre = values.sum(axis=1) / counts
        off = np.where(there[:, :, None, None], values - centre[:, None], 0.0)
        spread = np.sqrt((off**2).sum(axis=1) / counts)[:, None]
        rows = compared * n.sum(axis=1, keepdims=True)
        lines = _frame(f"{name}_sd", [ALL], spread * unit, rows, places, labels, level)
        null = _null(n[compared[:, 0]], means.spread[compared[:, 0], index] * unit)
        lines[["null", "null_low", "null_high"]] = null.reshape(-1, 3)
        found.append(lines)
    every = pd.concat(found, ignore_index=True)
    return every.sort_values("place", kind="stable", ignore_index=True)


def _frame(
    measure: str, groups: list[str], values: np.ndarray, rows: np.ndarray, places: Places,
    labels: list[Any], level: float,
) -> pd.DataFrame:  # fmt: skip
    """Lines of one measure from draws (places, groups, S, K), where there are rows."""
    place, group = np.nonzero(rows)
    draws = values[place, group]  # (lines, S, K)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=1)
    repeat = len(labels)
    names = [places.names[i] for i in place.repeat(repeat)]
    return pd.DataFrame(
        {
            "place": place.repeat(repeat),
            "factor": [factor for factor, _ in names],
            "cluster": [cluster for _, cluster in names],
            "group": [groups[i] for i in group.repeat(repeat)],
            "class": labels * len(place),
            "measure": measure,
            "value": draws.mean(axis=1).ravel(),
            "sd": draws.std(axis=1).ravel(),
            "low": low.ravel(),
            "high": high.ravel(),
            "n": rows[place, group].repeat(repeat),
        }
    )


def _null(rows: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Mean, 5 % and 95 % quantile of the SD over groups without disparity: (places, K, 3).

    ``rows`` (places, groups); ``spread`` (places, K), the SD between rows. Group means of a random
    assignment have variances SD² (1 / n_g - 1 / n) and covariances -SD² / n: those of independent
    Normals of variance SD² / n_g less a common shift, which no SD sees.
    """
    noise = np.random.default_rng(0).standard_normal((NULL_DRAWS, rows.shape[1]))
    found = []
    for counts in rows:
        means = noise[:, counts > 0] / np.sqrt(counts[counts > 0])
        sd = means.std(axis=1)
        found.append([sd.mean(), *np.quantile(sd, [0.05, 0.95])])
    return np.array(found).reshape(-1, 1, 3) * spread[:, :, None]  # of no place: no line
