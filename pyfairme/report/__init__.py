"""Tables as text, and plots that return a matplotlib Figure (imported where it is drawn)."""

from pyfairme.report.cluster_effects import plot_cluster_effects
from pyfairme.report.comparison_text import comparison_text
from pyfairme.report.group_rates import plot_group_rates
from pyfairme.report.training import plot_training

__all__ = ["comparison_text", "plot_cluster_effects", "plot_group_rates", "plot_training"]
