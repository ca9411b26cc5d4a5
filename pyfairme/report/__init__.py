"""Tables as text, and plots that return a matplotlib Figure (imported where it is drawn)."""

from pyfairme.report.cluster_effects import plot_cluster_effects
from pyfairme.report.comparison_text import comparison_text
from pyfairme.report.disparity_bars import plot_disparities
from pyfairme.report.figures import write_figures
from pyfairme.report.group_rates import plot_group_rates
from pyfairme.report.importance_bars import plot_importance
from pyfairme.report.paper import paper_values
from pyfairme.report.tables import write_tables
from pyfairme.report.training import plot_training

__all__ = [
    "comparison_text",
    "paper_values",
    "plot_cluster_effects",
    "plot_disparities",
    "plot_group_rates",
    "plot_importance",
    "plot_training",
    "write_figures",
    "write_tables",
]
