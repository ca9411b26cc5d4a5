"""What is asked of a fitted model: rows, kind of effects, draws, level; and draws of averages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pyfairme.data.input_types import Table
from pyfairme.estimators import estimator_keywords, table_inputs
from pyfairme.estimators.base import FairMixedEffects
from pyfairme.estimators.check_fitted import check_fitted
from pyfairme.estimators.interval_kind import interval_kind, named
from pyfairme.estimators.mean_draws import INTEGRATED, MEAN_EFFECTS, mean_draws
from pyfairme.explain.estimates import Estimates, summarised
from pyfairme.explain.row_groups import RowGroups
from pyfairme.metrics.array_inputs import check_count
from pyfairme.notices import shown, unsaid

DRAWS = 500  # their quantiles at 90 % err by a tenth of the posterior SD
MOST_NUMBERS = 1e8  # of 8 bytes each, of an answer that keeps the draws of every row


@dataclass(frozen=True)
class Question:
    """Rows of a fitted model and how to look at them.

    ``frame`` has the columns of training; ``weight`` (n,) says how much each row counts.
    """

    estimator: FairMixedEffects
    frame: pd.DataFrame
    effects: str
    draws: int
    level: float
    weight: np.ndarray

    @classmethod
    def ask(
        cls,
        estimator: FairMixedEffects,
        X: Table,
        effects: str,
        draws: int,
        level: float,
        sample_weight: ArrayLike | None = None,
    ) -> Question:
        """Check what was asked; raise ValueError or TypeError where it cannot be meant."""
        check_model(estimator)
        estimator_keywords.check_choice("effects", effects, MEAN_EFFECTS)
        estimator_keywords.check_level(level)
        check_count(draws, "draws", 1)
        if effects == INTEGRATED and not estimator.fit_.spec.factors:
            raise ValueError(
                "effects='integrated' averages over clusters, and the model has no random effects: "
                "ask for effects='mixed', or fit with cluster='column'. [no-random-effects]"
            )
        frame = table_inputs.new_frame(estimator, X, allow_nan=estimator.missing == "category")
        weight = table_inputs.sample_weights(sample_weight, len(frame))
        return cls(
            estimator,
            frame,
            effects,
            int(draws),
            float(level),
            np.ones(len(frame)) if weight is None else weight,
        )

    @property
    def classes(self) -> list[Any]:
        """The classes of lines with more than two of them, or nothing."""
        classes = list(getattr(self.estimator, "classes_", ()))
        return classes if len(classes) > 2 else []

    @property
    def kind(self) -> str:
        """What intervals cover: "mean", or "cluster" where the network is a point estimate."""
        return interval_kind("auto", self.estimator.fit_.spec)

    @property
    def spread(self) -> bool:
        """Whether the draws say anything of the uncertainty."""
        still = self.effects == "fixed" and self.kind == "cluster"
        return bool(self.estimator.fit_.draws) and not still

    def averages(
        self, groups: RowGroups, frame: pd.DataFrame | None = None, *, loud: bool = False
    ) -> np.ndarray:
        """Return draws of the weighted mean prediction of each group: (groups, K, draws).

        ``frame`` holds the rows as changed; None: as they are. Warnings about rows are given where
        ``loud``. The mean of a group without rows is NaN.
        """
        sums = _GroupSums(groups, self.weight)
        rows = self.frame if frame is None else frame
        if loud:
            mean_draws(self.estimator, rows, self.effects, self.draws, sums.add)
        else:
            with unsaid():
                mean_draws(self.estimator, rows, self.effects, self.draws, sums.add)
        return sums.means()

    def each_row(self, frame: pd.DataFrame | None = None, *, loud: bool = False) -> np.ndarray:
        """Return draws of the prediction of every row, (n, K, draws)."""
        return self.averages(RowGroups.each(len(self.frame)), frame, loud=loud)

    def check_size(self, lines: int) -> None:
        """Refuse an answer that would hold too many draws."""
        numbers = lines * self.draws * max(len(self.classes), 1)
        if numbers > MOST_NUMBERS:
            raise ValueError(
                f"draws={self.draws} of {lines} lines are {numbers:.1e} numbers, more than "
                f"{MOST_NUMBERS:.0e}: ask for fewer draws or rows, or for averages "
                "(avg_predictions, avg_comparisons, avg_slopes). [too-many-draws]"
            )

    def answer(
        self,
        keys: pd.DataFrame,
        draws: np.ndarray,
        n: ArrayLike | None,
        no_difference: float | None = None,
    ) -> Estimates:
        """Return the lines of ``keys`` with their draws (lines, K, draws), one line a class."""
        classes = self.classes
        lines, many = draws.shape[:2]
        frame = keys.loc[keys.index.repeat(many)] if many > 1 else keys
        if not keys.index.is_unique and many > 1:
            frame = keys.iloc[np.repeat(np.arange(lines), many)]
        if classes:
            frame = frame.assign(**{"class": np.tile(np.array(classes, object), lines)})
        flat = draws.reshape(lines * many, -1)
        frame = frame.assign(**summarised(flat, self.level, spread=self.spread))
        if n is not None:
            frame = frame.assign(n=np.repeat(np.asarray(n, int), many))
        return Estimates(named(frame, self.kind), flat, self.effects, self.level, no_difference)


def check_model(estimator: object) -> None:
    """Refuse what is no fitted estimator of this package."""
    if not isinstance(estimator, FairMixedEffects):
        raise TypeError(
            "Expected a fitted FairMixedEffectsClassifier or FairMixedEffectsRegressor, got "
            f"{shown(estimator)}: of a Pipeline give its last step, and X as the steps before "
            "hand it on. [no-fitted-model]"
        )
    check_fitted(estimator)


class _GroupSums:
    """Weighted sums of rows' draws by group."""

    def __init__(self, groups: RowGroups, weight: np.ndarray) -> None:
        self.codes, self.size, self.weight = groups.codes, len(groups.counts), weight
        self.sums: np.ndarray | None = None

    def add(self, part: slice, values: np.ndarray) -> None:
        """Add the values (rows, K, draws) of a slice of the rows."""
        from scipy.sparse import csr_matrix

        codes = self.codes[part]
        rows = np.flatnonzero(codes >= 0)
        there, place = np.unique(codes[rows], return_inverse=True)
        shape = (len(there), len(codes))
        weights = csr_matrix((self.weight[part][rows], (place, rows)), shape=shape)
        if self.sums is None:
            self.sums = np.zeros((self.size, *values.shape[1:]))
        found = weights @ values.reshape(len(codes), -1)
        self.sums[there] += found.reshape(len(there), *values.shape[1:])

    def means(self) -> np.ndarray:
        """Return the weighted means, NaN where a group has no weight."""
        assert self.sums is not None
        inside = self.codes >= 0
        total = np.bincount(self.codes[inside], self.weight[inside], minlength=self.size)
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.sums / total[:, None, None]
