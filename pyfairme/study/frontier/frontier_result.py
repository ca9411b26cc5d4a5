"""What fairness costs: one model at many strengths of its penalties, and which of them to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from pyfairme.study.arguments import check_max_cost
from pyfairme.study.crossval.cross_validate import CrossValidation
from pyfairme.study.evaluation.bootstrap_replicates import Replicates
from pyfairme.study.frontier.frontier_choice import (
    FrontierChoice,
    cheapest_fair,
    choice_of,
    listed_seeds,
)
from pyfairme.study.frontier.frontier_points import (
    Area,
    FrontierCurve,
    area,
    curves,
    pick,
    points_frame,
)
from pyfairme.study.frontier.points_table import PointsTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pyfairme.estimators.base import FairMixedEffects

REFERENCE = (0.70, 0.25)


@dataclass(frozen=True)
class Frontier:
    """What `frontier` found.

    Parameters
    ----------
    estimator
        Unfitted, with its roles.
    weights
        By label: fairness weight of each point, in the order given, or that of the path.
    unfair
        Label of the point without fairness, from which costs are measured.
    study
        All fits, of all seeds: ``timings``, ``warnings``, ``importance``.
    choosing_seeds
        Seeds whose fits `choose` looks at.
    path
        Whether each point was fitted on from the one before it.
    """

    estimator: FairMixedEffects
    weights: Mapping[str, Any]
    unfair: str
    study: CrossValidation = field(repr=False)
    choosing_seeds: tuple[int, ...]
    path: bool = False

    def summary(self) -> Any:
        """Compute the points, and return them with their costs: text, or HTML in a notebook."""
        from pyfairme.report.display.shown import facts_of

        return facts_of(self)

    def __repr__(self) -> str:
        from pyfairme.report.display.study_facts import cheap_facts

        return str(cheap_facts(self))

    def _repr_html_(self) -> str:
        from pyfairme.report.display.study_facts import cheap_facts

        return cheap_facts(self)._repr_html_()

    @property
    def reported_seeds(self) -> tuple[int, ...]:
        """Seeds that the figures come from: those not used for choosing, if there are any."""
        seeds = dict.fromkeys(seed for _, seed in self.study.runs)
        return tuple(seed for seed in seeds if seed not in self.choosing_seeds) or tuple(seeds)

    @cached_property
    def reported(self) -> CrossValidation:
        """The study of the reported seeds; `compare` takes it."""
        return self._of(self.reported_seeds)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Every metric of every point on the reported seeds, tidy.

        Columns as of `cross_validate(...).frame` (``variant`` is the point's label), weight (NaN
        for a dictionary), and non_dominated: whether no other point has both a better accuracy and
        a lower worst spread, for these effects and clusters.
        """
        found = self.reported.frame
        keys = ["variant", "effects", "clusters"]
        marked = self.points[[*keys, "weight", "non_dominated"]]
        joined = found.merge(marked, on=keys, how="left", validate="many_to_one")
        joined.insert(2, "weight", joined.pop("weight"))
        return joined

    @cached_property
    def points(self) -> PointsTable:
        """One line per point, effects and clusters, on the reported seeds.

        It prints the columns that one chooses by; ``points.frame`` prints all.

        Columns variant, weight, unfair, effects, clusters; balanced_accuracy, auroc; cost (balanced
        accuracy of the unfair point minus that of this one, drawn on the same rows); worst_sd
        (largest of TPR SD and FPR SD over the protected attributes), worst_sd_of (which one that
        is), worst_sd_corrected; ``<metric>_<attribute>`` for tpr_sd, fpr_sd and their corrected
        versions, with ``_null_low`` and ``_null_high``; selected, the share of positive decisions;
        against_constant, what to say where the log loss (or MSE) is not below that of a constant;
        useless, why equal groups of this point are no sign of fairness, as it is near chance or
        decides nearly all rows alike, else ""; non_dominated. Most have ``_low`` and ``_high``
        beside them. The worst of seeds' means is taken, not the mean of their worst.

        A regression has r2 and mse instead of balanced_accuracy and auroc; worst_sd is the largest
        residual_sd, and mse_sd stands beside it.
        """
        return points_frame(self._curves(None), self.weights, self.unfair, self.study.level)

    def hypervolume(
        self,
        reference: tuple[float, float] | None = None,
        *,
        effects: str = "mixed",
        clusters: str | None = None,
        attributes: Sequence[str] | None = None,
        convex: bool = True,
    ) -> Area:
        """Compute the area that the points dominate, on the reported seeds.

        Parameters
        ----------
        reference
            Accuracy and worst spread to beat; None: (.70, .25), for classification.
        effects, clusters
            Which predictions, on which rows: "seen" or "unseen"; None: of seen clusters, and of
            unseen ones where all are, as with ``hold_out="clusters"``.
        attributes
            Whose spreads count; None: all protected ones.
        convex
            Whether mixtures of two points count, see `pyfairme.metrics.hypervolume`.

        Returns
        -------
        Area
            value, low, high: bootstrap interval, rows drawn alike for all points.

        Raises
        ------
        ValueError
            When effects, clusters or attributes are not there, or a regression has no reference.
        """
        curve = pick(self._curves(attributes), (effects, clusters or self._clusters))
        if reference is None:
            if curve.goal.accuracy != "balanced_accuracy":
                raise ValueError(
                    "A regression's spread is in the unit of its target: give reference=(R², SD)."
                    " [reference-point]"
                )
            reference = REFERENCE
        return area(curve, reference, convex=convex, level=self.study.level)

    def choose(
        self,
        max_cost: float = 0.01,
        *,
        effects: str = "mixed",
        clusters: str | None = None,
        attributes: Sequence[str] | None = None,
    ) -> FrontierChoice:
        """Name the point with the lowest worst spread among those that cost at most so much.

        The choice looks at the choosing seeds only; the figures are those of the others.

        Parameters
        ----------
        max_cost
            Balanced accuracy that may be lost against the unfair point (.01 is one point); of a
            regression R², that is, MSE by variance of the target.
        effects, clusters
            Which predictions, on which rows: "seen" or "unseen"; None: of seen clusters, and of
            unseen ones where all are, as with ``hold_out="clusters"``.
        attributes
            Whose spreads count; None: all protected ones.

        Returns
        -------
        Choice
            Weight, estimator ready to fit, cost, reported figures, note.

        Raises
        ------
        ValueError
            When ``max_cost`` is negative, no penalised point costs that little, nothing may be
            chosen (``choosing_seeds=()``), or effects, clusters or attributes are not there.
        """
        check_max_cost(max_cost)
        if not self.choosing_seeds:
            raise ValueError(
                "choosing_seeds=() keeps all seeds for reporting: give frontier at least one."
                " [frontier-seeds]"
            )
        key = (effects, clusters or self._clusters)
        where = f" on {listed_seeds(self.choosing_seeds)}"
        if self.reported_seeds != self.choosing_seeds:
            where += f" (points shows {listed_seeds(self.reported_seeds)})"
        deciding = pick(curves(self._deciding, attributes), key)
        label, cost = cheapest_fair(deciding, self.unfair, max_cost, where)
        curve = pick(self._curves(attributes), key)
        reported = points_frame({key: curve}, self.weights, self.unfair, self.study.level)
        return choice_of(self, label, cost, max_cost, reported)

    def plot(
        self,
        *,
        effects: str = "mixed",
        clusters: str | None = None,
        peers: pd.DataFrame | None = None,
        choice: FrontierChoice | None = None,
    ) -> Figure:
        """Draw accuracy against every spread, see `pyfairme.plots.plot_frontier`."""
        from pyfairme.plots.frontier_plot import plot_frontier

        chosen = None if choice is None else choice.variant
        return plot_frontier(
            self.points,
            effects=effects,
            clusters=clusters or self._clusters,
            peers=peers,
            chosen=chosen,
        )

    @property
    def _clusters(self) -> str:
        """Which rows are meant where nobody says: those of seen clusters, if there are any."""
        runs = self.study.runs.values()
        return "seen" if any(run.judged.seen.any() for run in runs) else "unseen"

    @cached_property
    def _deciding(self) -> Replicates:
        return replace(self._of(self.choosing_seeds), n_boot=0).replicates

    def _curves(self, attributes: Sequence[str] | None) -> dict[tuple[str, str], FrontierCurve]:
        return curves(self.reported.replicates, attributes)

    def _of(self, seeds: Sequence[int]) -> CrossValidation:
        runs = {key: run for key, run in self.study.runs.items() if key[1] in seeds}
        return replace(self.study, runs=runs)
