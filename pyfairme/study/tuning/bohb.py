"""What a search minimises, and how it draws and prunes: the recipe of BOHB, with a constraint.

BOHB (Falkner, Klein & Hutter 2018) draws points from tree-structured Parzen estimators and stops
the poor ones by Hyperband. Hyperband's resource is the number of validation folds judged so far,
not of epochs: the penalties warm up and the learning rate decays over a *whole* fit, so that half a
fit is another model, which looks more accurate and less fair than it will be; one fold is the same
model on fewer rows, its figures are noisy but not misleading, and a metric of groups gains most by
rows. With ten folds a point is judged on 1, 3 and at last all 9 validation folds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

    Space = dict[str, BaseDistribution]

OBJECTIVES = ("fairness", "accuracy", "frontier")
# Points that lack accuracy are pruned as if every missing point of accuracy were so many points of
# disparity: a soft limit, for one fold cannot tell a quarter of a point.
EXCHANGE = 5.0
START = 10  # random points before the estimators of density, as many again in each bracket


class Aim(NamedTuple):
    """What is minimised.

    Attributes
    ----------
    objective
        "fairness": the worst SD over groups, with accuracy of at least the baseline's minus
        ``max_cost``; "accuracy": the loss, a proper score; "frontier": both accuracy (maximised)
        and worst SD.
    max_cost
        Accuracy that may be given up, as a share: 0.01 is one point of balanced accuracy.
    baseline
        Metrics of the unfair model after 1, 2, ... folds; empty for "accuracy".
    """

    objective: str
    max_cost: float
    baseline: Sequence[Mapping[str, float]]

    @property
    def directions(self) -> list[str]:
        """Return Optuna's directions."""
        return ["maximize", "minimize"] if self.objective == "frontier" else ["minimize"]

    def values(self, metrics: Mapping[str, float]) -> list[float]:
        """Return the values of a judged point."""
        if self.objective == "frontier":
            return [metrics["accuracy"], metrics["worst_sd"]]
        return [metrics["loss" if self.objective == "accuracy" else "worst_sd"]]

    def violation(self, metrics: Mapping[str, float], folds: int, max_cost: float) -> float:
        """Return the accuracy that is missing, on the same folds; 0 or less: none."""
        return self.baseline[folds - 1]["accuracy"] - max_cost - metrics["accuracy"]

    def reported(self, metrics: Mapping[str, float], folds: int) -> float:
        """Return the one number that pruning compares."""
        (value,) = self.values(metrics)
        if self.objective == "accuracy":
            return value
        return value + EXCHANGE * max(0.0, self.violation(metrics, folds, self.max_cost))


def make_pruner(objective: str, turns: int) -> BasePruner:
    """Return Hyperband over folds; several objectives have no order to prune by."""
    import optuna

    if objective == "frontier" or turns < 2:
        return optuna.pruners.NopPruner()
    return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=turns, reduction_factor=3)


def make_sampler(
    random_state: int,
    objective: str,
    space: Mapping[str, BaseDistribution],
    start: Mapping[str, Any],
) -> BaseSampler:
    """Return a TPE sampler whose draws depend on the trial's number and on what is finished.

    Processes that share a study have the same seed; numbered draws keep them from drawing the same
    points. After a kill later points may be others than without it: a lost trial keeps its number,
    its point is queued under a new one, and what is finished at a draw may be other trials.

    Parameters
    ----------
    random_state
        Seeds the draws.
    objective
        One of `OBJECTIVES`.
    space
        Optuna's distributions by name.
    start
        The point of trial 0; what it does not say is drawn.
    """
    import optuna

    def drawn_for(number: int) -> BaseSampler:
        seed = int(np.random.SeedSequence([random_state, number]).generate_state(1)[0])
        multivariate = None if objective == "frontier" else True
        return optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=START, multivariate=multivariate, constant_liar=True
        )

    class Numbered(optuna.samplers.BaseSampler):
        """Optuna's interface: a new sampler for every trial."""

        def before_trial(self, study: Study, trial: FrozenTrial) -> None:
            self._sampler = drawn_for(trial.number)

        def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Space:
            if trial.number == 0:
                return {name: space[name] for name in start}
            return self._sampler.infer_relative_search_space(study, trial)

        def sample_relative(
            self, study: Study, trial: FrozenTrial, search_space: Space
        ) -> dict[str, Any]:
            if trial.number == 0:
                return dict(start)
            return self._sampler.sample_relative(study, trial, search_space)

        def sample_independent(
            self,
            study: Study,
            trial: FrozenTrial,
            param_name: str,
            param_distribution: BaseDistribution,
        ) -> Any:
            return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    return Numbered()
