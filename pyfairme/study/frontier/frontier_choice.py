"""The point of a frontier to take for a stated cost, and the figures it was not chosen by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from pyfairme.metrics.array_inputs import Floats
from pyfairme.notices import DataWarning, warn
from pyfairme.study.frontier.frontier_points import FrontierCurve
from pyfairme.study.frontier.useless_points import useless

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects
    from pyfairme.study.frontier.frontier_result import Frontier

WALKED = "the figures are of a path, and this estimator's fit starts anew"
ROUNDING = 1e-12  # a cost of exactly the budget is within it


@dataclass(frozen=True)
class FrontierChoice:
    """A point of a frontier.

    Parameters
    ----------
    variant
        Its label.
    weight
        Its fairness weight.
    estimator
        Unfitted, with that weight and its roles: ``choice.estimator.fit(X, y)``.
    cost
        Accuracy lost against the unfair point on the choosing seeds.
    point, unfair
        The lines of ``Frontier.points`` of this point and of the unfair one: figures of the
        reported seeds.
    note
        What a reader must know.
    """

    variant: str
    weight: Any
    estimator: FairMixedEffects = field(repr=False)
    cost: float
    point: pd.Series = field(repr=False)
    unfair: pd.Series = field(repr=False)
    note: str

    def summary(self) -> Any:
        """Return what was chosen, and what it costs: text, or HTML in a notebook."""
        from pyfairme.report.display.shown import facts_of

        return facts_of(self)

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    def __str__(self) -> str:
        """Say weight, worst spread before and after, and the cost, on the reported seeds."""
        found = self.point
        text = (
            f"fairness_weight {self.variant}: worst SD {self.unfair['worst_sd']:.3f} -> "
            f"{found['worst_sd']:.3f} ({found['worst_sd_of']}) at a cost of {found['cost']:.4f} "
            f"({found['cost_low']:.4f} to {found['cost_high']:.4f})"
        )
        return f"{text}; {self.note}" if self.note else text


def cheapest_fair(
    curve: FrontierCurve, unfair: str, max_cost: float, where: str = ""
) -> tuple[str, float]:
    """Return the point with the lowest worst spread among those that cost at most so much.

    Parameters
    ----------
    curve
        Points on the rows that decide.
    unfair
        The point that costs are measured from; it is a candidate as well.
    max_cost
        Accuracy that may be lost.
    where
        Which rows decide, for the error.

    Returns
    -------
    tuple
        Label and cost; of equal spreads the cheaper point. One that decides (nearly) every row
        alike is taken only where no other penalised point is within the budget.

    Raises
    ------
    ValueError
        When only the unfair point is that cheap.
    """
    names = list(curve.points)
    accuracy, worst = curve.accuracy(), curve.worst()
    costs: Floats = accuracy[names.index(unfair)] - accuracy
    penalised = np.array([name != unfair for name in names]) & ~np.isnan(worst)
    within = (costs <= max_cost + ROUNDING) & ~np.isnan(worst)
    if not (within & penalised).any():
        raise ValueError(_too_dear(names, costs, penalised, max_cost, curve.goal.accuracy, where))
    alike = np.array([point.decides_alike() for point in curve.points.values()])
    if (within & penalised & ~alike).any():
        within &= ~alike
    best = min(np.flatnonzero(within), key=lambda i: (worst[i], costs[i]))
    return names[best], float(costs[best])


def choice_of(
    frontier: Frontier, label: str, cost: float, max_cost: float, reported: pd.DataFrame
) -> FrontierChoice:
    """Put a choice together.

    Parameters
    ----------
    frontier
        The frontier.
    label, cost, max_cost
        The point, its cost where it was chosen, and what it was allowed to cost.
    reported
        Points of the reported seeds, one line each.
    """
    lines = reported.set_index("variant", drop=False)
    chosen: Any = clone(frontier.estimator)
    point: Any = lines.loc[label]
    before: Any = lines.loc[frontier.unfair]
    weight, unfair = frontier.weights[label], label == frontier.unfair
    seeds = frontier.choosing_seeds, frontier.reported_seeds
    reasons = useless(point, before)
    if reasons:
        warn(f"The chosen point, fairness_weight {label}, {reasons}. [useless-point]", DataWarning)
    said = [reasons] if reasons else []
    if numbers := point.get("against_constant", ""):
        said.append(f"as numbers its predictions are {numbers}")
    said += _notes(unfair, float(point["cost"]), max_cost, *seeds)
    said += [] if unfair else _worse(float(point["worst_sd"]), float(before["worst_sd"]))
    said += [WALKED] if frontier.path and not unfair else []
    chosen.set_params(fairness_weight=weight)
    return FrontierChoice(label, weight, chosen, cost, point, before, "; ".join(said))


def _notes(
    is_unfair: bool,
    reported_cost: float,
    max_cost: float,
    choosing: tuple[int, ...],
    reported: tuple[int, ...],
) -> Iterator[str]:
    if is_unfair:
        yield "no penalised point within the budget has a lower worst SD: this is the unfair one"
    if not set(choosing) & set(reported):
        yield f"chosen on {listed_seeds(choosing)}, the figures are of {listed_seeds(reported)}"
    else:
        both = ", ".join(map(str, sorted({*choosing} & {*reported})))
        yield (
            f"chosen and reported on the same fits (seed {both}), so the figures are flattering: "
            "give more seeds"
        )
    if reported_cost > max_cost:
        yield f"on the reported seeds it costs {reported_cost:.4f}, more than {max_cost:g}"


def _worse(now: float, before: float) -> Iterator[str]:
    if now > before:
        yield (
            f"on the reported seeds its worst SD, {now:.4f}, is above that of the unfair point, "
            f"{before:.4f}: there it is not fairer"
        )


def listed_seeds(seeds: tuple[int, ...]) -> str:
    """Return seeds as a person names them.

    Examples
    --------
    >>> listed_seeds((0,)), listed_seeds((1, 2))
    ('seed 0', 'seeds 1, 2')
    """
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def _too_dear(
    names: list[str],
    costs: Floats,
    penalised: np.ndarray,
    max_cost: float,
    metric: str,
    where: str,
) -> str:
    known = penalised & ~np.isnan(costs)
    if not known.any():
        return (
            f"No penalised point has a cost: {metric} or a spread is not defined on these rows. "
            "Give rows of both outcomes and of two groups or more. [no-cost]"
        )
    least = int(np.flatnonzero(known)[np.argmin(costs[known])])
    return (
        f"No penalised point costs at most {max_cost:g} of {metric}{where}; the cheapest is "
        f"{names[least]}, which costs {costs[least]:.4f}. Add smaller weights, or raise "
        "max_cost. [max-cost-missed]"
    )
