"""Studies: models judged on rows they never saw, compared by tests, and tried with probes."""

from pyfairme.study.comparison.before_after import before_after
from pyfairme.study.comparison.compare import Comparisons, compare
from pyfairme.study.crossval.cross_validate import CrossValidation, cross_validate
from pyfairme.study.crossval.splits import Rotation, rotations, seen_clusters
from pyfairme.study.frontier.frontier_result import Frontier
from pyfairme.study.frontier.frontier_sweep import frontier
from pyfairme.study.frontier.report_points import report_points
from pyfairme.study.probes import add_probes
from pyfairme.study.tuning.tune_study import Tuning, tune

__all__ = [
    "Comparisons",
    "CrossValidation",
    "Frontier",
    "Rotation",
    "Tuning",
    "add_probes",
    "before_after",
    "compare",
    "cross_validate",
    "frontier",
    "report_points",
    "rotations",
    "seen_clusters",
    "tune",
]
