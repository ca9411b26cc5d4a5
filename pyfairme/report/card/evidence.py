"""What a card rests on: reports, calibration, random parts and effects as tidy frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pyfairme.data.chosen_levels import Exclude, Merge
from pyfairme.data.input_types import Attributes, Table
from pyfairme.estimators import fairness_report
from pyfairme.estimators.check_fitted import check_fitted
from pyfairme.estimators.chosen_groups import groups_to_compare
from pyfairme.estimators.fairness_report import EvaluatedRows
from pyfairme.estimators.keywords_after_fit import check_unchanged
from pyfairme.estimators.known_rows import TrainedShare, known_rows
from pyfairme.estimators.random_part_disparity import random_disparity
from pyfairme.estimators.report_table import FairnessReport
from pyfairme.metrics.array_inputs import check_count, check_share
from pyfairme.metrics.small_groups import SMALL_GROUPS, merge_small_groups
from pyfairme.notices import noted, unsaid
from pyfairme.report.card.group_calibration import group_calibration
from pyfairme.report.display.estimator_facts import estimator_facts
from pyfairme.report.display.facts import Facts, Part

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects

MOST_CLUSTERS = 20  # judged one by one: those with most rows
OF_CLASSES = ("balanced_accuracy", "tpr", "fpr", "tpr_sd", "fpr_sd")
OF_NUMBERS = ("rmse", "mae", "mse", "mean_residual", "mse_sd", "residual_sd")


@dataclass(frozen=True)
class CardEvidence:
    """What a card rests on.

    Parameters
    ----------
    estimator, facts
        The fitted model, and what it shows of itself.
    judged
        Rows with their predictions.
    groups
        By attribute the group of each row as the card names it, (n,), None for rows whose level is
        left out. Empty where groups must not be shown beside the report.
    report, by_cluster
        Reports of all rows, and of the mixed predictions in the largest clusters one by one.
    calibration, random_parts
        Frames of `group_calibration` and of ``random_disparity``; empty where there is nothing.
    warnings
        What was warned of meanwhile, with codes.
    n_boot, level
        Bootstrap replicates, and coverage of the intervals.
    min_group_size
        Rows below which groups are put together; 0 and 1: no such limit.
    known
        How many of the rows are training rows; None: hardly any, as far as can be told.
    """

    estimator: FairMixedEffects
    facts: Facts
    judged: EvaluatedRows
    groups: dict[str, np.ndarray]
    report: FairnessReport
    by_cluster: pd.DataFrame
    calibration: pd.DataFrame
    random_parts: pd.DataFrame
    warnings: tuple[str, ...]
    n_boot: int
    level: float
    min_group_size: int = 0
    known: TrainedShare | None = None

    @property
    def hides(self) -> bool:
        """Whether small groups are not to be told."""
        return self.min_group_size > 1

    def part(self, heading: str) -> Part:
        """Return the part of the model's facts with a heading."""
        return next(part for part in self.facts.parts if part.heading == heading)

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tidy frames by name; those without a line are left out."""
        found = {
            "fairness_report": self.report.frame,
            "fairness_by_cluster": self.by_cluster,
            "calibration": self.calibration,
            "random_disparity": self.random_parts,
            "variance_components": self.estimator.variance_components_,
        }
        if not self.hides:  # both have a line per cluster
            found["cluster_effects"] = self.estimator.cluster_effects_
            found["diagnostics"] = self.estimator.diagnostics_
        return {name: frame for name, frame in found.items() if len(frame)}


def gather(
    estimator: FairMixedEffects,
    X: Table,
    y: ArrayLike,
    attributes: Attributes | None = None,
    *,
    n_boot: int = 200,
    level: float = 0.9,
    sample_weight: ArrayLike | None = None,
    min_group_size: int = 0,
    exclude: Exclude = None,
    merge: Merge = None,
) -> CardEvidence:
    """Compute what a card rests on; parameters as of ``fairness_report``.

    Raises
    ------
    NotFittedError
        When the estimator is not fitted.
    ValueError
        For rows, attributes or numbers that ``fairness_report`` refuses.
    """
    check_fitted(estimator)
    check_unchanged(estimator)
    check_count(n_boot, "n_boot")
    check_share(level)
    check_count(min_group_size, "min_group_size")
    options: Any = {"n_boot": n_boot, "level": level}
    with noted() as messages:
        judged = fairness_report.collect(estimator, X, y, attributes, sample_weight)
        judged = groups_to_compare(estimator, judged, exclude, merge)
        least: Any = {"min_group_size": min_group_size}
        report = fairness_report.report(judged, by_cluster=False, **least, **options)
        hides = min_group_size > 1
        parts = bool(estimator.fit_.spec.factors) and not hides
        by_cluster = _by_cluster(judged, options) if parts else pd.DataFrame()
        random_parts = pd.DataFrame()
        if parts and judged.sensitive:
            with unsaid():  # the report has said it of the same rows
                chosen: Any = {"exclude": exclude, "merge": merge}
                random_parts = random_disparity(estimator, X, attributes, level=level, **chosen)
    groups = _groups(judged, min_group_size)
    return CardEvidence(
        estimator=estimator,
        facts=estimator_facts(estimator, sizes=not hides),
        judged=judged,
        groups=groups,
        report=report,
        by_cluster=by_cluster,
        calibration=group_calibration(judged, groups, level),
        random_parts=random_parts,
        warnings=tuple(dict.fromkeys(messages)),
        known=known_rows(estimator, X, y),
        **least,
        **options,
    )


def _groups(judged: EvaluatedRows, least: int) -> dict[str, np.ndarray]:
    """Return the group of each row, put together where it is small.

    Where known and new clusters are reported side by side, groups of both together would show what
    either has put together.
    """
    labels: dict[str, np.ndarray] = {n: a.astype(object) for n, a in judged.sensitive.items()}
    if least > 1 and labels:
        if len(np.unique(judged.seen)) > 1:
            return {}
        merged = merge_small_groups(labels, judged.y if judged.classes else None, least)
        labels = {name: np.asarray(each, object) for name, each in merged.items()}
    for name, gone in judged.left_out.items():
        labels[name] = labels[name].copy()
        labels[name][gone & (labels[name] != SMALL_GROUPS)] = None
    return labels


def _by_cluster(judged: EvaluatedRows, options: Any) -> pd.DataFrame:
    """Report the mixed predictions in each of the clusters with most rows."""
    names, codes, sizes = np.unique(judged.cluster, return_inverse=True, return_counts=True)
    if len(names) < 2:
        return pd.DataFrame()
    largest = np.argsort(-sizes, kind="stable")[:MOST_CLUSTERS]
    rows = judged.only(np.isin(codes, largest))
    metrics = OF_CLASSES if judged.classes else OF_NUMBERS
    with unsaid():
        found = fairness_report.report(rows, by_cluster=True, metrics=list(metrics), **options)
    frame = found.frame
    return frame.loc[frame["effects"] == "mixed"].reset_index(drop=True)
