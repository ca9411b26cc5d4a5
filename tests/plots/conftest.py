"""Reports and studies made for tests, shared by the rooms that show them."""

from tests.made_reports import (
    after,
    before,
    comparisons,
    importance,
    replicates,
    results,
    runs,
    timings,
)

__all__ = [
    "after",
    "before",
    "comparisons",
    "importance",
    "replicates",
    "results",
    "runs",
    "timings",
]
