"""Reports made for tests."""

from tests.made_reports import after, before

__all__ = ["after", "before"]
