"""What a search found, judged on the rows that it never touched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from pyfairme.estimators.fairness_report import collect
from pyfairme.notices import warn
from pyfairme.study.crossval.cross_validate import CrossValidation
from pyfairme.study.crossval.fits import FitPart, fit_part, texts_of_warnings
from pyfairme.study.crossval.store import Key
from pyfairme.study.evaluation.pooled_predictions import Pooled
from pyfairme.study.tuning.trials import Problem

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects


def judge_held_out(problem: Problem, models: Mapping[str, FairMixedEffects]) -> CrossValidation:
    """Fit copies of the models on all rows of the search, and judge the rows set aside.

    Networks start alike in all models. What comes is a study of one of its folds.
    """
    first, dataset = problem.parts[0], problem.dataset
    training = np.sort(np.concatenate([first.training, first.judged]))
    rows, share = np.sort(problem.held_out), len(first.judged) / len(training)
    together = None if problem.groups is None else problem.groups[training]
    part, key = FitPart(training, rows, share, together), Key("", problem.seed, len(problem.parts))
    X, y, weight = dataset.frame.iloc[rows], dataset.target.iloc[rows], dataset.weights(rows)
    runs = {}
    for name, estimator in models.items():
        with texts_of_warnings() as said:
            model = fit_part(key, estimator, dataset, part)
            judged = collect(model, X, y, sample_weight=weight)
        for text in dict.fromkeys(said):
            warn(f"{name}: {text}")
        runs[name, 0] = Pooled(judged, rows, np.zeros(len(rows), np.int32))
    return CrossValidation(
        dataset=dataset.name or "data",
        folds=round(1 / share) + 1,
        seen=(),
        runs=runs,
        configurations=(),
        turns=1,
    )
