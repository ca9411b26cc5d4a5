"""Plots, one a file: each returns a matplotlib Figure (imported where it is drawn)."""

from pyfairme.plots.adaptation_curve import plot_adaptation
from pyfairme.plots.caterpillar import plot_caterpillar
from pyfairme.plots.cluster_forest import plot_cluster_effects
from pyfairme.plots.cluster_rates import plot_cluster_rates
from pyfairme.plots.coverage_plot import plot_coverage
from pyfairme.plots.estimate_forest import plot_estimates
from pyfairme.plots.frontier_plot import plot_frontier
from pyfairme.plots.group_coverage import plot_group_coverage
from pyfairme.plots.group_points import plot_group_points
from pyfairme.plots.group_rates import plot_group_rates
from pyfairme.plots.importance_bars import plot_importance
from pyfairme.plots.partial_dependence_plot import plot_partial_dependence
from pyfairme.plots.pit_plot import plot_pit
from pyfairme.plots.predictive_check import plot_predictive_check
from pyfairme.plots.random_disparity_plot import plot_random_disparity
from pyfairme.plots.reliability_plot import plot_reliability
from pyfairme.plots.shrinkage_plot import plot_shrinkage
from pyfairme.plots.training_curves import plot_training

__all__ = [
    "plot_adaptation",
    "plot_caterpillar",
    "plot_cluster_effects",
    "plot_cluster_rates",
    "plot_coverage",
    "plot_estimates",
    "plot_frontier",
    "plot_group_coverage",
    "plot_group_points",
    "plot_group_rates",
    "plot_importance",
    "plot_partial_dependence",
    "plot_pit",
    "plot_predictive_check",
    "plot_random_disparity",
    "plot_reliability",
    "plot_shrinkage",
    "plot_training",
]
