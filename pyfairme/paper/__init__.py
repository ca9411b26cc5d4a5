"""The reproduction of arXiv 2310.03146: plans, published values, tables and figures."""

from pyfairme.paper.disparity_bars import plot_disparities
from pyfairme.paper.figures import write_figures
from pyfairme.paper.published_values import paper_values
from pyfairme.paper.reproduction import reproduce
from pyfairme.paper.reproduction_files import write_reproduction
from pyfairme.paper.supplement_tables import write_tables

__all__ = [
    "paper_values",
    "plot_disparities",
    "reproduce",
    "write_figures",
    "write_reproduction",
    "write_tables",
]
