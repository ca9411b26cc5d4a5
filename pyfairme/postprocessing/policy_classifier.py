"""What a policy does first: its classifier, fitted if it was not, and the rows of `fit` by it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils import get_tags

from pyfairme.data.frame import as_frame
from pyfairme.data.input_types import Table
from pyfairme.data.schema import Sensitive, attribute_name, components, source
from pyfairme.estimators import table_inputs
from pyfairme.estimators.estimator_keywords import as_tuple
from pyfairme.postprocessing.decided_classifier import Decided, check_kind, decided_by, is_own
from pyfairme.postprocessing.foreign_classifier import (
    ForeignClassifier,
    is_array,
    row_count,
    target_of,
)
from pyfairme.postprocessing.isotonic_calibration import IsotonicCalibration
from pyfairme.postprocessing.out_of_fold import fit_out_of_fold, fits_here
from pyfairme.postprocessing.own_classifier import are_lacking
from pyfairme.postprocessing.policy_rows import PolicyRows
from pyfairme.postprocessing.sensitive_columns import sensitive_frame


class Prepared(NamedTuple):
    """A policy's classifier and the rows of its `fit`.

    ``p`` (n,) are out-of-fold probabilities where the policy fitted the classifier, which then is
    ``own``; None where it was fitted before.
    """

    decided: Decided
    rows: PolicyRows
    own: Any = None
    p: np.ndarray | None = None


def known_attributes(estimator: Any, apart: Any, rows: int) -> dict[str, Sensitive]:
    """Return the attributes that a policy knows of without being told, by name.

    Those of our classifier, else the columns given apart.
    """
    entries: Sequence[Any] = ()
    if is_own(estimator):
        fitted = hasattr(estimator, "design_")
        entries = estimator.design_.schema.sensitive if fitted else as_tuple(estimator.sensitive)
    if not entries and apart is not None:
        entries = tuple(sensitive_frame(apart, rows))
    return {attribute_name(entry): entry for entry in entries}


def columns_of(entries: Collection[Sensitive]) -> tuple[str, ...]:
    """Return the columns that attributes are read from."""
    return tuple(dict.fromkeys(source(part) for one in entries for part in components(one)))


def prepare(
    estimator: Any,
    keywords: tuple[str, Any, int],
    table: tuple[Table, Any, ArrayLike | None, ArrayLike | None],
    wanted: tuple[str, ...],
    hidden: tuple[str, ...] = (),
) -> Prepared:
    """Read the rows of `fit`, and fit the classifier where that is the policy's to do.

    Parameters
    ----------
    estimator
        The policy's classifier.
    keywords
        Its ``effects`` and ``cv``, and the seed of reports.
    table
        X, sensitive features, y and sample weights.
    wanted
        Columns that groups are read from.
    hidden
        Those of them that nothing else may read.
    """
    effects, cv, seed = keywords
    X, apart, y, sample_weight = table
    check_kind(estimator, effects)
    if not fits_here(estimator, cv):
        decided = decided_by(estimator, effects, wanted, seed)
        return Prepared(decided, decided.rows(X, apart, wanted))
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} is not fitted, so that the policy fits it. That "
            "requires y to be passed, but the target y is None: give fit(X, y), or a fitted "
            "classifier. [policy-fits-classifier]"
        )
    outcome = target_of(y, row_count(X))
    weight = table_inputs.sample_weights(sample_weight, len(outcome))
    _check_two(outcome if weight is None else outcome[weight > 0])
    unfitted = ForeignClassifier(estimator, (), seed)
    rows = unfitted.rows(X, apart, () if is_own(estimator) else wanted)
    if is_own(estimator):
        own = unfitted.rows(X).frame
        given = rows.frame if are_lacking(as_tuple(estimator.sensitive), rows.apart, own) else X
    else:
        given = unfitted.rows(X, None, (), hidden).X
    fitted, p = fit_out_of_fold(estimator, given, outcome, sample_weight, cv, effects)
    decided = decided_by(fitted, effects, wanted, seed)
    return Prepared(decided, decided.rows(X, apart, wanted), fitted, p)


def calibrated(
    found: Prepared,
    X: Table,
    hidden: Collection[str],
    outcome: np.ndarray | None,
    mass: np.ndarray,
) -> tuple[Decided, np.ndarray]:
    """Return the classifier with its probabilities calibrated by outcomes (n,), and those, (n,).

    ``hidden`` are columns that the classifier gets no more when it predicts; rows count by ``mass``
    (n,).
    """
    if outcome is None:
        raise ValueError(
            "calibration='isotonic' regresses outcomes on probabilities, and y is missing: give "
            "fit(X, y), or calibration=None. [calibration-without-y]"
        )
    p = found.p
    if p is None:
        rows = found.decided.rows(X, None, (), hidden) if hidden else found.rows
        p = found.decided.probability(rows)
    curve = IsotonicCalibration.fit(p, outcome.astype(float), mass)
    return replace(found.decided, calibration=curve), curve.of(p)


def _check_two(outcome: np.ndarray) -> None:
    classes = np.unique(outcome)
    if len(classes) > 2:
        raise ValueError(
            f"Thresholds are for two classes, and y has {len(classes)}. Only binary classification "
            "is supported. [threshold-many-classes]"
        )
    if len(classes) < 2:
        raise ValueError(
            f"y has one class only, {classes.tolist()}, in rows of some weight: there is nothing "
            "to decide. Give rows of both. [one-class]"
        )


def masked(X: Table, columns: Collection[str]) -> Any:
    """Return a table whose ``columns``, where it has them, are missing in every row."""
    if is_array(X):
        return X
    frame = as_frame(X)
    there = [column for column in columns if column in frame.columns]
    return frame.assign(**{name: frame[name].mask(np.ones(len(frame), bool)) for name in there})


def tagged(tags: Any, estimator: Any) -> Any:
    """Return a policy's tags of scikit-learn: two classes, and inputs as its classifier's."""
    tags.classifier_tags.multi_class = False
    if hasattr(estimator, "__sklearn_tags__"):
        tags.input_tags = get_tags(estimator).input_tags
    return tags


def copied(policy: Any) -> Any:
    """Clone a policy: its classifier is shared where it is used as it is, else cloned too."""
    keywords = policy.get_params(deep=False)
    estimator = keywords["estimator"]
    own = is_own(estimator)
    if fits_here(estimator, policy.cv) and (own or hasattr(estimator, "get_params")):
        keywords["estimator"] = clone(estimator)
    return type(policy)(**{n: clone(v, safe=False) if n == "group_model" else v
                           for n, v in keywords.items()})  # fmt: skip
