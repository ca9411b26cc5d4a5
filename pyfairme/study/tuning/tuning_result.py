"""What a search found: its table, the estimator for a cost, and a judgement on untouched rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pyfairme.estimators.estimator_keywords import check_count
from pyfairme.metrics.array_inputs import check_share
from pyfairme.metrics.metric import ChosenMetrics, chosen_metrics
from pyfairme.study.comparison.compare import compare
from pyfairme.study.tuning.final_evaluation import judge_held_out
from pyfairme.study.tuning.search_space import with_keywords
from pyfairme.study.tuning.trial_frame import (
    Search,
    choose,
    warn_if_missing,
    warn_if_useless,
)
from pyfairme.study.tuning.trials import Problem

if TYPE_CHECKING:
    from optuna import Study

    from pyfairme.estimators.base import FairMixedEffects


@dataclass(frozen=True)
class Tuning:
    """What `tune` found.

    Parameters
    ----------
    study
        The study, for all that Optuna does with one.
    frame
        One line per trial that counts: number, state ("complete", "pruned", "fail", "running"),
        value(s), missing (accuracy below what is demanded, 0 or less: none), folds judged, the
        searched parameters by the names of the space, metrics of the pooled validation rows,
        seconds, error (of a failed one), on_frontier (no other completed trial is more accurate and
        fairer), best.
    best
        Keywords of the best trial, for the estimator's constructor or `set_params`.
    estimator
        Unfitted, with its roles and the best keywords.
    baseline
        Metrics of the unfair model on the same folds; empty for ``objective="accuracy"``.
    held_out
        Positions of rows that the whole search never touched, one fold of the seen clusters.
    points
        What the table and the choice are made from.
    problem, unfair
        Data and folds of the search, and the model that sets the demand, for `judge`.
    """

    study: Study = field(repr=False)
    frame: pd.DataFrame = field(repr=False)
    best: dict[str, Any]
    estimator: FairMixedEffects
    baseline: Mapping[str, float]
    held_out: np.ndarray = field(repr=False)
    points: Search = field(repr=False)
    problem: Problem = field(repr=False)
    unfair: FairMixedEffects = field(repr=False)

    def summary(self) -> Any:
        """Return the best keywords and the first trials: text, or HTML in a notebook."""
        from pyfairme.report.display.shown import facts_of

        return facts_of(self)

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    def judge(
        self, *, n_boot: int = 200, level: float = 0.9, metrics: ChosenMetrics = None
    ) -> pd.DataFrame:
        """Judge the estimator found on the rows that no trial has seen, beside the unfair one.

        Both are fitted once, on all other rows of the seen clusters. These rows are one fold:
        intervals are wide, and `cross_validate` has ten times as many rows, which the search knows.

        Parameters
        ----------
        n_boot
            Bootstrap replicates.
        level
            Coverage of the intervals of differences.
        metrics
            As of `cross_validate`. The search itself looks at its objective only.

        Returns
        -------
        DataFrame
            Of the form of `pyfairme.study.compare`, with one fold: the variant "tuned" against the
            baseline "unfair", after ``objective="accuracy"`` against "start", the estimator as it
            was given.

        Raises
        ------
        ValueError
            When ``level`` or ``n_boot`` is out of range.

        Warns
        -----
        UserWarning
            Of what the two fits warned of, with the model's name.
        """
        check_share(level)
        check_count("n_boot", n_boot, 0)
        chosen_metrics(metrics)
        accuracy = self.points.aim.objective == "accuracy"
        name, other = ("start", self.points.base) if accuracy else ("unfair", self.unfair)
        found = judge_held_out(self.problem, {name: other, "tuned": self.estimator})
        return compare(found, name, n_boot=n_boot, level=level, metrics=metrics).frame

    def choose(self, max_cost: float) -> FairMixedEffects:
        """Return the unfitted estimator of the trial that is fairest for another cost.

        Among completed trials whose accuracy on the pooled validation rows is at least the
        baseline's minus ``max_cost``, the one with the smallest worst SD.

        Raises
        ------
        ValueError
            After ``objective="accuracy"``, which judges no baseline.

        Warns
        -----
        UserWarning
            When no completed trial is as accurate as demanded; the closest one is returned. When
            the chosen one hardly tells rows apart.
        """
        if self.points.aim.objective == "accuracy":
            raise ValueError(
                "choose measures costs from a baseline, and a search with objective='accuracy' "
                "has none: call tune with objective='fairness' or 'frontier'. Its own best is "
                "in estimator. [no-baseline]"
            )
        trial, missing = choose(self.points, max_cost)
        warn_if_missing(missing, max_cost)
        warn_if_useless(self.points, trial)
        return with_keywords(self.points.base, self.points.keywords(trial))
