"""The facts of every object that shows itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pyfairme.data.schema import Schema
from pyfairme.datasets.dataset import Dataset
from pyfairme.estimators.base import FairMixedEffects
from pyfairme.estimators.report_comparison import ReportComparison
from pyfairme.estimators.report_table import FairnessReport
from pyfairme.postprocessing.conformal_predictor import ConformalPredictor
from pyfairme.postprocessing.group_thresholds import GroupThresholds
from pyfairme.postprocessing.joint_thresholds import JointThresholds
from pyfairme.report.display.comparison_facts import report_comparison_facts
from pyfairme.report.display.conformal_facts import conformal_facts
from pyfairme.report.display.estimator_facts import estimator_facts
from pyfairme.report.display.facts import Facts
from pyfairme.report.display.fairness_facts import fairness_facts
from pyfairme.report.display.policy_facts import policy_facts
from pyfairme.report.display.study_facts import (
    choice_facts,
    comparisons_facts,
    cross_validation_facts,
    frontier_facts,
    tuning_facts,
)
from pyfairme.report.display.table_facts import dataset_facts, schema_facts
from pyfairme.study.comparison.compare import Comparisons
from pyfairme.study.crossval.cross_validate import CrossValidation
from pyfairme.study.frontier.frontier_choice import FrontierChoice
from pyfairme.study.frontier.frontier_result import Frontier
from pyfairme.study.tuning.tuning_result import Tuning

KINDS: Mapping[type, Callable[[Any], Facts]] = {
    Schema: schema_facts,
    Dataset: dataset_facts,
    FairMixedEffects: estimator_facts,
    FairnessReport: fairness_facts,
    ReportComparison: report_comparison_facts,
    GroupThresholds: policy_facts,
    JointThresholds: policy_facts,
    ConformalPredictor: conformal_facts,
    CrossValidation: cross_validation_facts,
    Comparisons: comparisons_facts,
    Frontier: frontier_facts,
    FrontierChoice: choice_facts,
    Tuning: tuning_facts,
}


def facts_of(thing: object) -> Facts:
    """Gather the facts of an object.

    Parameters
    ----------
    thing
        An object of one of the classes of `KINDS`, or of a class below one.

    Raises
    ------
    StopIteration
        For any other object.
    """
    kind = next(kind for kind in type(thing).__mro__ if kind in KINDS)
    return KINDS[kind](thing)
