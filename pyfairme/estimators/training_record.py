"""What a fit saw and said: numbers of rows, sizes of clusters, gaps, and its warnings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
import pandas as pd

from pyfairme.data import Batch, Design
from pyfairme.data.columns import pick
from pyfairme.notices import noted

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class FactorSizes:
    """Training rows of the clusters of one factor.

    Parameters
    ----------
    factor
        Its name.
    clusters
        Clusters with training rows.
    fewest, median, most
        Rows per cluster.
    """

    factor: str
    clusters: int
    fewest: int
    median: float
    most: int


@dataclass(frozen=True)
class TrainingRecord:
    """What a fit saw and said.

    Parameters
    ----------
    rows
        Rows that were trained on.
    held_out
        Rows kept for the history, early stopping and the threshold.
    left_out
        Rows without a cluster or of weight 0.
    base
        What a constant would predict: the shares of the classes among the training rows, or the
        mean of a real target.
    groups, groups_held_out
        How many groups of rows that belong together there were, and were held out; None: none were
        given.
    factors
        Sizes of clusters, factor by factor.
    gaps
        (column, missing values in the training rows) of covariates that have any.
    warnings
        What it warned of, each message with its code.
    """

    rows: int
    held_out: int
    left_out: int
    factors: tuple[FactorSizes, ...] = ()
    gaps: tuple[tuple[str, int], ...] = ()
    warnings: tuple[str, ...] = ()
    base: tuple[float, ...] | None = None
    groups: int | None = None
    groups_held_out: int | None = None


def record_of(
    design: Design,
    frame: pd.DataFrame,
    training: Batch,
    held_out: int,
    given: int,
    groups: np.ndarray | None = None,
    apart: np.ndarray | None = None,
    base: tuple[float, ...] | None = None,
) -> TrainingRecord:
    """Return the record of a fit.

    Parameters
    ----------
    design
        What it learned.
    frame, training
        Training rows (n, columns), and the same encoded.
    held_out
        Number of validation rows.
    given
        Number of rows that `fit` was called with.
    base
        As of the record.
    groups, apart
        Numbers (n,) that rows which belong together share, or None, and which rows are held out.
    """
    sizes = (np.bincount(codes[codes >= 0]) for codes in np.asarray(training.cluster).T)
    counts = [each[each > 0] for each in sizes]
    factors = [
        FactorSizes(f.column, len(n), int(n.min()), float(np.median(n)), int(n.max()))
        for f, n in zip(design.factors, counts, strict=True)
        if len(n)
    ]
    gaps = ((t.column, int(pick(frame, t.column).isna().sum())) for t in design.terms)
    rows = len(frame)
    return TrainingRecord(
        rows=rows,
        held_out=held_out,
        left_out=given - rows - held_out,
        factors=tuple(factors),
        gaps=tuple((name, n) for name, n in gaps if n),
        base=base,
        groups=None if groups is None else len(np.unique(groups)),
        groups_held_out=None if groups is None else len(np.unique(groups[apart])),
    )


def with_warnings(fit: Callable[P, R]) -> Callable[P, R]:
    """Let the method ``fit`` keep what it warns of in the estimator's record."""

    @wraps(fit)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        estimator: Any = args[0]
        with noted() as messages:
            found = fit(*args, **kwargs)
        estimator._record = replace(estimator._record, warnings=tuple(dict.fromkeys(messages)))
        return found

    return wrapped
