"""Tables as text, and plots that return a matplotlib Figure (imported where it is drawn)."""

from pyfairme.report.caterpillar import plot_caterpillar
from pyfairme.report.cluster_effects import plot_cluster_effects
from pyfairme.report.comparison_text import comparison_text
from pyfairme.report.coverage_plot import plot_coverage
from pyfairme.report.disparity_bars import plot_disparities
from pyfairme.report.figures import write_figures
from pyfairme.report.frontier_plot import plot_frontier
from pyfairme.report.group_rates import plot_group_rates
from pyfairme.report.importance_bars import plot_importance
from pyfairme.report.paper import paper_values
from pyfairme.report.pit_plot import plot_pit
from pyfairme.report.posterior_page import posterior_report
from pyfairme.report.predictive_check import plot_predictive_check
from pyfairme.report.random_disparity import plot_random_disparity
from pyfairme.report.reliability_plot import plot_reliability
from pyfairme.report.shrinkage import shrinkage_frame
from pyfairme.report.shrinkage_plot import plot_shrinkage
from pyfairme.report.tables import write_tables
from pyfairme.report.training import plot_training

__all__ = [
    "comparison_text",
    "paper_values",
    "plot_caterpillar",
    "plot_cluster_effects",
    "plot_coverage",
    "plot_disparities",
    "plot_frontier",
    "plot_group_rates",
    "plot_importance",
    "plot_pit",
    "plot_predictive_check",
    "plot_random_disparity",
    "plot_reliability",
    "plot_shrinkage",
    "plot_training",
    "posterior_report",
    "shrinkage_frame",
    "write_figures",
    "write_tables",
]
