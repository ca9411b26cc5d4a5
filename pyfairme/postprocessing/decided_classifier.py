"""Which classifier a threshold policy decides by: ours, or any other; as it is, or fitted here."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError

from pyfairme.estimators.base import FairMixedEffects
from pyfairme.estimators.check_fitted import check_fitted
from pyfairme.estimators.classifier import FairMixedEffectsClassifier
from pyfairme.notices import shown
from pyfairme.postprocessing.foreign_classifier import ForeignClassifier
from pyfairme.postprocessing.own_classifier import OwnClassifier

Decided = OwnClassifier | ForeignClassifier


def is_own(estimator: Any) -> bool:
    """Tell whether a classifier is one of ours."""
    return isinstance(estimator, FairMixedEffectsClassifier)


def is_fitted(estimator: Any) -> bool:
    """Tell whether a classifier knows its classes."""
    return hasattr(estimator, "classes_")


def check_kind(estimator: Any, effects: str = "mixed") -> None:
    """Raise TypeError unless ``estimator`` is a classifier that gives probabilities."""
    if is_own(estimator):
        return
    odd = isinstance(estimator, FairMixedEffects | type)
    if odd or not callable(getattr(estimator, "predict_proba", None)):
        what = f"the class {estimator.__name__}" if isinstance(estimator, type) else ""
        raise TypeError(
            "estimator must be a fitted FairMixedEffectsClassifier, or another classifier with "
            f"predict_proba, got {what or type(estimator).__name__}. [not-a-classifier]"
        )
    if effects != "mixed":
        raise ValueError(
            f"effects={effects!r} chooses among the probabilities of a FairMixedEffectsClassifier, "
            f"and {type(estimator).__name__} has one kind: leave effects out. [effects-of-ours]"
        )


def decided_by(
    estimator: Any,
    effects: str,
    unread: tuple[str, ...] = (),
    seed: int = 0,
    seen: tuple[str, ...] = (),
) -> Decided:
    """Return a fitted classifier of two classes as policies see it.

    ``seen`` are the columns that one without names of its own got in the policy's `fit`.

    Raises
    ------
    TypeError
        When it is no classifier with probabilities.
    NotFittedError
        When it is not fitted.
    ValueError
        When it has not two classes.
    """
    check_kind(estimator, effects)
    if is_own(estimator):
        check_fitted(estimator)
    elif not is_fitted(estimator):
        raise NotFittedError(
            f"This {type(estimator).__name__} instance is not fitted yet: call fit(X, y). "
            "[not-fitted]"
        )
    classes = estimator.classes_
    if isinstance(classes, list) or np.ndim(classes) != 1:
        raise ValueError(
            f"Thresholds are for one target of two classes, and the classifier has {shown(classes)}"
            ". [threshold-many-classes]"
        )
    if len(classes) != 2:
        raise ValueError(
            "Thresholds are for two classes, and the classifier has "
            f"{len(classes)}: its predict takes the likeliest. [threshold-many-classes]"
        )
    if is_own(estimator):
        return OwnClassifier(estimator, effects)
    return ForeignClassifier(estimator, unread, seed, seen)
