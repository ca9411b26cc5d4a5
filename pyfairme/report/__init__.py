"""Words and tables about fitted models: comparisons as text, pages, tables."""

from pyfairme.report.comparison_text import comparison_text
from pyfairme.report.posterior_page import posterior_report
from pyfairme.report.shrinkage_table import shrinkage_frame

__all__ = [
    "comparison_text",
    "posterior_report",
    "shrinkage_frame",
]
