"""Studies: models judged on rows they never saw, compared by tests, and tried with probes."""

from pyfairme.study.before_after import before_after
from pyfairme.study.compare import Comparisons, compare
from pyfairme.study.crossval import CrossValidation, cross_validate
from pyfairme.study.probes import add_probes
from pyfairme.study.splits import Rotation, rotations, seen_clusters

__all__ = [
    "Comparisons",
    "CrossValidation",
    "Rotation",
    "add_probes",
    "before_after",
    "compare",
    "cross_validate",
    "rotations",
    "seen_clusters",
]
