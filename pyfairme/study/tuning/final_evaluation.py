"""What a search found, judged on the rows that it never touched."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from pyfairme.estimators.fairness_report import collect
from pyfairme.notices import warn
from pyfairme.study.crossval.cross_validate import CrossValidation
from pyfairme.study.crossval.fits import network_seed
from pyfairme.study.crossval.store import Key
from pyfairme.study.evaluation.pooled_predictions import Pooled
from pyfairme.study.tuning.trials import Problem

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects


def judge_held_out(problem: Problem, models: Mapping[str, FairMixedEffects]) -> CrossValidation:
    """Fit copies of the models on all rows of the search, and judge the rows set aside.

    Networks start alike in all models. What comes is a study of one of its folds.
    """
    part = problem.parts[0]
    training = np.sort(np.concatenate([part.training, part.judged]))
    dataset = problem.dataset
    X, y = dataset.frame, dataset.target
    rows = np.sort(problem.held_out)
    seed = network_seed(Key("", problem.seed, len(problem.parts)))
    share = len(part.judged) / len(training)
    runs = {}
    for name, estimator in models.items():
        model: Any = clone(estimator)
        model.set_params(random_state=seed, validation_fraction=share, progress=False)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(X.iloc[training], y.iloc[training], sample_weight=dataset.weights(training))
            weight = dataset.weights(rows)
            judged = collect(model, X.iloc[rows], y.iloc[rows], sample_weight=weight)
        for text in dict.fromkeys(str(one.message) for one in caught):
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
