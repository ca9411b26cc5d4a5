"""Points of a frontier: accuracy and spreads of one model each, with their bootstrap draws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pyfairme.metrics.array_inputs import Floats
from pyfairme.metrics.constant_baseline import NO_BETTER, share_is_alike
from pyfairme.metrics.null_value import NullValue
from pyfairme.metrics.pareto import hypervolume, non_dominated
from pyfairme.study.comparison.paired_tests import bootstrap_interval
from pyfairme.study.evaluation.bootstrap_replicates import Line, Replicates
from pyfairme.study.evaluation.evaluation_subsets import ALL
from pyfairme.study.frontier.points_table import PointsTable
from pyfairme.study.frontier.useless_points import useless


class Goal(NamedTuple):
    """What is traded for what in one task.

    Attributes
    ----------
    accuracy
        The metric whose loss is the cost; higher is better.
    beside
        Overall metrics that are reported with it.
    spreads
        Metrics whose worst value over the attributes is to be small.
    beside_spreads
        Spreads that are reported with them.
    corrected
        The spreads without the noise of small groups.
    classes
        Whether there are decisions.
    """

    accuracy: str
    beside: tuple[str, ...]
    spreads: tuple[str, ...]
    beside_spreads: tuple[str, ...] = ()
    corrected: tuple[str, ...] = ()
    classes: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Every metric that a frontier reads."""
        return (self.accuracy, *self.beside, *self.spreads, *self.beside_spreads, *self.corrected)


GOALS: Mapping[str, Goal] = {
    "classification": Goal(
        "balanced_accuracy",
        ("auroc",),
        ("tpr_sd", "fpr_sd"),
        corrected=("tpr_sd_corrected", "fpr_sd_corrected"),
        classes=True,
    ),
    # R² is linear in the MSE: .01 of it is an error of 1 % of the target's variance. The spread of
    # the mean residual, not of the MSE, which mixes noise with unfairness.
    "regression": Goal("r2", ("mse",), ("residual_sd",), beside_spreads=("mse_sd",)),
}


class Quantity(NamedTuple):
    """A value, its draws (n_boot,), and what equal groups would show."""

    value: float
    draws: Floats
    null: NullValue


class Point(NamedTuple):
    """One model on the rows of one kind of clusters.

    Attributes
    ----------
    overall
        By metric.
    spreads
        By metric and attribute.
    worst, worst_corrected
        Largest of the goal's spreads over the attributes; corrected None where there is none.
    worst_of
        Metric and attribute of the largest.
    selected
        Share of positive decisions, of two classes; NaN where it is not known.
    against_constant
        What to say where its loss is not below a constant's, or "".
    """

    overall: Mapping[str, Quantity]
    spreads: Mapping[tuple[str, str], Quantity]
    worst: Quantity
    worst_corrected: Quantity | None
    worst_of: tuple[str, str]
    selected: float = np.nan
    against_constant: str = ""

    def decides_alike(self) -> bool:
        """Tell whether (nearly) every row gets the same decision: no spread can be seen then.

        Where all do, balanced accuracy is .5 to the last bit, as all rates are 0 or 1.
        """
        if share_is_alike(self.selected):
            return True
        rate = self.overall.get("balanced_accuracy")
        return rate is not None and rate.value == 0.5 and self.worst.value == 0.0


class FrontierCurve(NamedTuple):
    """The points of one kind of effects and clusters, by model, and what they trade."""

    points: Mapping[str, Point]
    goal: Goal

    def accuracy(self) -> Floats:
        """Return the accuracy of every point, (P,)."""
        return np.array([p.overall[self.goal.accuracy].value for p in self.points.values()])

    def worst(self) -> Floats:
        """Return the worst spread of every point, (P,)."""
        return np.array([p.worst.value for p in self.points.values()])


class Area(NamedTuple):
    """An area and its interval."""

    value: float
    low: float
    high: float


def curves(
    replicates: Replicates, attributes: Iterable[str] | None = None
) -> dict[tuple[str, str], FrontierCurve]:
    """Collect the lines of a study as points, by effects and clusters.

    Parameters
    ----------
    replicates
        See `pyfairme.study.evaluation.bootstrap_replicates.replicate`.
    attributes
        Whose spreads count; None: all that there are.

    Returns
    -------
    dict
        With more than two classes a point's accuracy is the mean over classes, each against the
        rest, and its spread the largest over classes.

    Raises
    ------
    ValueError
        When an attribute is unknown, or there is none.
    """
    chosen = _attributes(replicates, attributes)
    lines: dict[tuple[str, str], dict[str, dict[tuple[str, str], list[Line]]]] = {}
    for line in replicates.lines:
        of_groups = line.metric.scope == "group" and line.metric.name != "selection_rate"
        if not of_groups and line.attribute in (ALL, *chosen):
            models = lines.setdefault((line.effects, line.clusters), {})
            model = models.setdefault(line.variant, {})
            model.setdefault((line.metric.name, line.attribute), []).append(line)
    goal = GOALS[replicates.lines[0].metric.task]
    return {
        key: FrontierCurve(
            {name: _point(found, goal, chosen) for name, found in models.items()}, goal
        )
        for key, models in lines.items()
    }


def pick(found: Mapping[tuple[str, str], FrontierCurve], key: tuple[str, str]) -> FrontierCurve:
    """Return the points of one kind of effects and clusters; raise ValueError if there are none."""
    if key not in found:
        there = ", ".join(" on ".join(known) for known in found)
        raise ValueError(
            f"The study has no {key[0]} predictions on {key[1]} clusters; it has {there} clusters."
            " [not-in-table]"
        )
    return found[key]


def points_frame(
    found: Mapping[tuple[str, str], FrontierCurve],
    weights: Mapping[str, Any],
    unfair: str,
    level: float,
) -> PointsTable:
    """Lay points out in a wide table, a line per model, effects and clusters.

    Parameters
    ----------
    found
        See `curves`.
    weights
        Fairness weight by model.
    unfair
        The model that costs are measured from.
    level
        Coverage of the intervals.
    """
    records = []
    for (effects, clusters), curve in found.items():
        best = non_dominated(curve.accuracy(), curve.worst())
        for (name, point), marked in zip(curve.points.items(), best, strict=True):
            record = {"variant": name, "weight": _number(weights[name]), "unfair": name == unfair}
            record |= {"effects": effects, "clusters": clusters}
            record |= _record(point, curve.points[unfair], curve.goal, level)
            records.append(record | {"non_dominated": bool(marked)})
    return PointsTable(pd.DataFrame.from_records(records))


def area(
    curve: FrontierCurve, reference: tuple[float, float], *, convex: bool = True, level: float = 0.9
) -> Area:
    """Compute the area that the points of a curve dominate, with its bootstrap interval.

    Every draw weights the rows of all points alike and gives an area; the interval is the area
    ``± z SE``. Each attribute has draws of its own: what attributes have in common is not in SE.
    """
    accuracy = [one.overall[curve.goal.accuracy].draws for one in curve.points.values()]
    worst = [one.worst.draws for one in curve.points.values()]
    drawn = [
        hypervolume(a, d, reference, convex=convex)
        for a, d in zip(np.transpose(accuracy), np.transpose(worst), strict=True)
    ]
    value = hypervolume(curve.accuracy(), curve.worst(), reference, convex=convex)
    low, high = bootstrap_interval(value, np.array(drawn), level)
    return Area(value, max(low, 0.0) if low == low else low, high)


def _number(weight: Any) -> float:
    return np.nan if isinstance(weight, Mapping) else float(weight)


def _cost(point: Point, unfair: Point, goal: Goal) -> Quantity:
    """Return how much accuracy a point loses against the unfair one, drawn on the same rows."""
    after, before = point.overall[goal.accuracy], unfair.overall[goal.accuracy]
    null = NullValue(np.nan, np.nan, np.nan)
    return Quantity(before.value - after.value, before.draws - after.draws, null)


def _attributes(replicates: Replicates, wanted: Iterable[str] | None) -> tuple[str, ...]:
    known = tuple(dict.fromkeys(line.attribute for line in replicates.lines))
    known = tuple(name for name in known if name != ALL)
    chosen = known if wanted is None else tuple([wanted] if isinstance(wanted, str) else wanted)
    if unknown := [name for name in chosen if name not in known]:
        raise ValueError(
            f"attributes must be some of the protected ones, {', '.join(known)}; got "
            f"{', '.join(map(str, unknown))}. [unknown-attribute]"
        )
    if not chosen:
        raise ValueError(
            "A frontier needs at least one attribute whose spread counts, got none. [no-attribute]"
        )
    return chosen


def _point(
    lines: Mapping[tuple[str, str], list[Line]], goal: Goal, attributes: Sequence[str]
) -> Point:
    spreads = {
        (metric, name): _largest([_quantity(line) for line in lines[metric, name]])[0]
        for metric in (*goal.spreads, *goal.beside_spreads, *goal.corrected)
        for name in attributes
    }

    def worst_of(metrics: tuple[str, ...]) -> tuple[Quantity, tuple[str, str]]:
        places = [(metric, name) for name in attributes for metric in metrics]
        found, position = _largest([spreads[place] for place in places])
        return found._replace(null=NullValue(np.nan, np.nan, np.nan)), places[position]

    worst, place = worst_of(goal.spreads)
    return Point(
        {metric: _mean(lines[metric, ALL]) for metric in (goal.accuracy, *goal.beside)},
        spreads,
        worst,
        worst_of(goal.corrected)[0] if goal.corrected else None,
        place,
        _selected(lines.get(("selection_rate", attributes[0]), [])),
        _against_constant(lines),
    )


def _selected(lines: Sequence[Line]) -> float:
    """Return the share of positive decisions from the rates of an attribute's groups."""
    rows = np.array([line.n for line in lines])
    if not rows.sum() or len({line.label for line in lines}) != 1:
        return np.nan
    return float(np.average([line.values.mean() for line in lines], weights=rows))


def _against_constant(lines: Mapping[tuple[str, str], list[Line]]) -> str:
    """Return what is noted of a loss that is not below a constant's, of two classes or a value."""
    for metric in ("log_loss", "rmse"):
        found = lines.get((metric, ALL), [])
        if len(found) == 1:
            return next((p for p in found[0].note.split("; ") if p.startswith(NO_BETTER)), "")
    return ""


def _quantity(line: Line) -> Quantity:
    return Quantity(float(line.values.mean()), line.draws, line.null)


def _mean(lines: list[Line]) -> Quantity:
    """Average over classes."""
    value = float(np.mean([line.values.mean() for line in lines]))
    return Quantity(value, np.mean([line.draws for line in lines], axis=0), lines[0].null)


def _largest(found: list[Quantity]) -> tuple[Quantity, int]:
    """Return the largest value, draw by draw as well, and which it is; one that is NaN is none."""
    values = np.array([one.value for one in found])
    position = 0 if np.isnan(values).all() else int(np.nanargmax(values))
    draws = np.fmax.reduce([one.draws for one in found])
    return Quantity(float(values[position]), draws, found[position].null), position


def _record(point: Point, unfair: Point, goal: Goal, level: float) -> dict[str, Any]:
    accuracy = point.overall[goal.accuracy]
    record: dict[str, Any] = _with_interval(goal.accuracy, accuracy, level)
    for metric in goal.beside:
        record |= _with_interval(metric, point.overall[metric], level)
    record |= _with_interval("cost", _cost(point, unfair, goal), level)
    record |= _with_interval("worst_sd", point.worst, level, lowest=0.0)
    record["worst_sd_of"] = " ".join(point.worst_of)
    if point.worst_corrected is not None:
        record |= _with_interval("worst_sd_corrected", point.worst_corrected, level, lowest=0.0)
    for (metric, attribute), found in point.spreads.items():
        name = f"{metric}_{attribute}"
        record |= _with_interval(name, found, level, lowest=0.0)
        record |= {f"{name}_null_low": found.null.low, f"{name}_null_high": found.null.high}
    if goal.classes:
        record["selected"] = point.selected
    record["against_constant"] = point.against_constant
    return record | {"useless": useless(record, _skill(unfair, goal))}


def _skill(unfair: Point, goal: Goal) -> dict[str, float]:
    return {name: unfair.overall[name].value for name in (goal.accuracy, *goal.beside)}


def _with_interval(
    name: str, found: Quantity, level: float, lowest: float = -np.inf
) -> dict[str, Any]:
    low, high = bootstrap_interval(found.value, found.draws, level)
    low = max(low, lowest) if low == low else low
    return {name: found.value, f"{name}_low": low, f"{name}_high": high}
