"""Warn of clusters whose labels start anew in each cluster of another factor."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import permutations
from string import ascii_lowercase, ascii_uppercase

import numpy as np

from pyfairme.data import Batch, Design
from pyfairme.data.columns import MISSING
from pyfairme.notices import DataWarning, warn

FEWEST_PARENTS = 3
ROWS_PER_CELL = 2.0  # visits 1, 2, ... of patients have one row each: nothing is nested
IN_ORDER = 0.9  # share of parents whose labels are the first ones, 1 to k
CELLS_DIFFER = 0.01  # p-value below which cells differ by more than two crossed effects
LABELS_DIFFER = 0.01  # p-value below which a label has an effect in all parents alike
LEAST_SPREAD = 0.1  # of the cells, in residual standard deviations
FEWEST_LABELS = 3
ROUNDS = 100


def warn_of_nested_labels(design: Design, training: Batch) -> None:
    """Warn where crossed factors look nested, as classes 1 to k of every school do."""
    found = {}
    plain = [i for i, factor in enumerate(design.factors) if not factor.path]
    for parent, child in permutations(plain, 2):
        if not is_numbering(design.factors[child].levels):
            continue
        codes = training.cluster[:, parent], training.cluster[:, child]
        worth = nesting(*codes, np.asarray(training.y, np.float64))
        if worth is not None:
            found[parent, child] = worth
    if not found:
        return
    parent, child = (design.factors[i].column for i in max(found, key=lambda pair: found[pair]))
    warn(
        f"The clusters of {child!r} look nested in {parent!r}: their labels start anew in each, "
        "and equal labels have nothing in common. They are fitted as crossed, one effect per "
        f"label. Give cluster=[({parent!r}, {child!r})] if {child!r} 1 of one {parent!r} is "
        "another one than that of the next. [looks-nested]",
        DataWarning,
    )


def is_numbering(labels: Sequence[str]) -> bool:
    """Tell whether labels only number things: 0 or 1 to k, or a to z, behind one prefix.

    Examples
    --------
    >>> is_numbering(["1", "2", "3"]), is_numbering(["class a", "class b"])
    (True, True)
    >>> is_numbering(["2", "4", "6"]), is_numbering(["maths", "music"])
    (False, False)
    """
    labels = [label for label in labels if label != MISSING]
    parts = [re.fullmatch(r"(.*?)(\d+|[A-Za-z])", label) for label in labels]
    if any(part is None for part in parts) or len({part[1] for part in parts if part}) != 1:
        return False
    ends = [part[2] for part in parts if part]
    if all(end.isdigit() for end in ends):
        numbers = sorted(map(int, ends))
        return numbers[0] in (0, 1) and numbers == list(range(numbers[0], numbers[-1] + 1))
    return "".join(sorted(ends)) in (ascii_lowercase[: len(ends)], ascii_uppercase[: len(ends)])


def nesting(parent: np.ndarray, child: np.ndarray, y: np.ndarray) -> float | None:
    """Tell whether labels of ``child`` look numbered anew in each ``parent``.

    They do when the labels of (nearly) every parent are the first ones in their order, cells of
    parent and child differ in y by more than two crossed effects explain, and a label has no effect
    of its own. Fully crossed designs pass the first of these and fail one of the others.

    Parameters
    ----------
    parent, child
        Codes (n,) in the natural order of the labels; negative where there is none.
    y
        Encoded target, (n,).

    Returns
    -------
    float or None
        The p-value of the labels' own effect; None where nothing looks nested.
    """
    there = (parent >= 0) & (child >= 0)
    parent, child, y = parent[there].astype(np.int64), child[there].astype(np.int64), y[there]
    if len(y) == 0:
        return None
    width = child.max() + 1
    cells, cell = np.unique(parent * width + child, return_inverse=True)
    outer, inner = cells // width, cells % width
    parents = np.unique(outer)
    labels = np.bincount(outer)[parents]
    last = np.zeros(outer.max() + 1, np.int64)
    np.maximum.at(last, outer, inner)
    first_ones = np.mean(labels == last[parents] + 1)
    if (
        len(parents) < FEWEST_PARENTS
        or labels.max() < FEWEST_LABELS
        or first_ones < IN_ORDER
        or len(y) < ROWS_PER_CELL * len(cells)
    ):
        return None
    return _own_effect(outer, inner, cell, y)


def _own_effect(
    outer: np.ndarray, inner: np.ndarray, cell: np.ndarray, y: np.ndarray
) -> float | None:
    """Two-way analysis of variance: the p-value of the labels where cells differ beyond them."""
    from scipy.stats import f  # slow to import

    n = np.bincount(cell)
    mean = np.bincount(cell, y) / n
    within = ((y - mean[cell]) ** 2).sum()
    free = len(y) - len(n), len(n) - len(np.unique(outer)) - len(np.unique(inner)) + 1
    if free[0] < 1 or free[1] < 1 or within <= 0:
        return None
    rest = mean - _average(mean, n, outer)[outer]
    alone = (n * rest**2).sum()  # what parents leave
    for _ in range(ROUNDS):  # weighted means in turn: the least squares of both factors
        rest = rest - _average(rest, n, inner)[inner]
        rest = rest - _average(rest, n, outer)[outer]
    crossed = (n * rest**2).sum()  # what both leave
    between = crossed / free[1]
    residual = within / free[0]
    if f.sf(between / residual, free[1], free[0]) > CELLS_DIFFER:
        return None
    if between - residual < LEAST_SPREAD**2 * residual * n.mean():  # many rows resolve trifles
        return None
    labels = len(np.unique(inner)) - 1
    own = float(f.sf((alone - crossed) / labels / between, labels, free[1]))
    return own if own > LABELS_DIFFER else None


def _average(values: np.ndarray, weight: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Weighted mean of each group, 0 for groups without members."""
    total = np.bincount(group, weight)
    return np.bincount(group, values * weight) / np.where(total > 0, total, 1)
