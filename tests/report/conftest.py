"""Reports made for tests."""

from tests.made_reports import after, before, comparisons, replicates, runs

__all__ = ["after", "before", "comparisons", "replicates", "runs"]
