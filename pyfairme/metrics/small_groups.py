"""Merge small groups in reports for others, so that no total reveals them.

A value of three people says something about each of them. Such groups become one, "(small groups)".
That is not enough where the rest of the report shows them by subtraction: the total minus all other
groups, or a row of men minus the Black men among them. So the group that is put together has at
least two groups and enough rows itself, and a small group that some sum or difference of reported
ones equals takes more groups with it, the smallest first, until none does (complementary
suppression, as in official statistics).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.metrics.array_inputs import as_groups
from pyfairme.metrics.names import apart

SMALL_GROUPS = "(small groups)"
ROUNDING = 1e-9


def enough(outcome: np.ndarray | None, classes: int, least: int, rows: int) -> bool:
    """Tell whether there are ``least`` rows, and as many of each class: codes from 0 on."""
    sizes = [rows] if outcome is None else np.bincount(outcome.astype(int), minlength=classes)
    return bool(np.min(sizes, initial=rows) >= least)


def merge_small_groups(
    sensitive: Mapping[Any, Any], outcome: np.ndarray | None, least: int
) -> dict[Any, Any]:
    """Return the labels of each attribute, those of small groups replaced and last.

    Parameters
    ----------
    sensitive
        For each attribute its labels, (n,); they are reported side by side.
    outcome
        Classes of the rows, (n,), when rates of each are reported; None for a real outcome.
    least
        Rows, and rows of each outcome, below which a group is small.

    Examples
    --------
    >>> labels = ["a"] * 5 + ["b"] * 4 + ["c"] * 1
    >>> print(*merge_small_groups({"s": labels}, None, 3)["s"])
    a a a a a (small groups) (small groups) (small groups) (small groups) (small groups)
    """
    first = outcome if outcome is not None else next(iter(sensitive.values()))
    groups = {
        key: as_groups(labels, f"sensitive[{key!r}]", len(first))
        for key, labels in sensitive.items()
    }
    there = {key: np.unique(one.codes, return_inverse=True) for key, one in groups.items()}
    joined = _joined({key: codes for key, (_, codes) in there.items()}, outcome, least)
    found = {}
    for key, (levels, codes) in there.items():
        names = [apart(groups[key].levels[level], (SMALL_GROUPS,)) for level in levels]
        few = joined[key]
        order = [name for i, name in enumerate(names) if i not in few]
        shown = np.array([SMALL_GROUPS if i in few else n for i, n in enumerate(names)], object)
        found[key] = pd.Categorical(shown[codes], categories=[*order, *[SMALL_GROUPS] * bool(few)])
    return found


def _joined(
    codes: Mapping[Any, np.ndarray], outcome: np.ndarray | None, least: int
) -> dict[Any, set[int]]:
    """Return the groups of each attribute that are put together."""
    sizes = {key: _sizes(own, outcome) for key, own in codes.items()}
    small = {key: set(np.flatnonzero(each.min(1) < least).tolist()) for key, each in sizes.items()}
    joined = {key: set(few) for key, few in small.items()}
    if not any(small.values()):
        return joined
    cells = np.unique(np.stack(list(codes.values()), axis=1), axis=0)
    members = {
        key: np.arange(len(sizes[key]))[:, None] == cells[:, at] for at, key in enumerate(codes)
    }
    while True:
        for key in codes:
            _fill(joined[key], sizes[key], least)
        shown = _basis(members, joined)
        known = [
            key
            for key, few in small.items()
            for group in few
            if _follows(members[key][group], shown)
        ]
        if not known or not _take_more(known, joined, sizes):
            return joined


def _sizes(codes: np.ndarray, outcome: np.ndarray | None) -> np.ndarray:
    """Return the rows of each group, (G, 1), or of each group and outcome, (G, classes)."""
    classes = np.zeros(len(codes), int)
    if outcome is not None:
        classes = np.unique(outcome, return_inverse=True)[1]
    found = np.zeros((int(codes.max()) + 1, int(classes.max()) + 1), int)
    np.add.at(found, (codes, classes.ravel()), 1)
    return found


def _fill(joined: set[int], sizes: np.ndarray, least: int) -> None:
    """Take the smallest groups in until they are two, and large enough together."""
    while joined and (len(joined) < 2 or sizes[sorted(joined)].sum(0).min() < least):
        if not _take(joined, sizes):
            return


def _take(joined: set[int], sizes: np.ndarray) -> bool:
    """Take the smallest group in that is not; return whether there was one."""
    left = [group for group in range(len(sizes)) if group not in joined]
    if left:
        joined.add(min(left, key=lambda group: int(sizes[group].sum())))
    return bool(left)


def _take_more(
    known: list[Any], joined: dict[Any, set[int]], sizes: Mapping[Any, np.ndarray]
) -> bool:
    """Take a group in of an attribute whose small groups are known, else of another one."""
    return any(_take(joined[key], sizes[key]) for key in (*known, *joined))


def _basis(members: Mapping[Any, np.ndarray], joined: Mapping[Any, set[int]]) -> np.ndarray:
    """Return an orthonormal basis of all that follows from the report, (cells, rank).

    Sums over any reported group are sums over cells, the finest parts that attributes make.
    """
    lines = [np.ones(next(iter(members.values())).shape[1])]
    for key, each in members.items():
        inside = np.isin(np.arange(len(each)), sorted(joined[key]))
        lines += [*each[~inside].astype(float), each[inside].any(0).astype(float)]
    _, scale, basis = np.linalg.svd(np.array(lines), full_matrices=False)
    return basis[scale > ROUNDING * scale[0]].T


def _follows(group: np.ndarray, basis: np.ndarray) -> bool:
    """Tell whether a group's sums follow from those that are reported."""
    line = group.astype(float)
    rest = line - basis @ (basis.T @ line)
    return bool(np.abs(rest).max() < np.sqrt(ROUNDING))
