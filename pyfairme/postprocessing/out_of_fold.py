"""A classifier that a policy fits itself: probabilities of rows that it was not trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils import _safe_indexing

from pyfairme.postprocessing.decided_classifier import decided_by, is_fitted, is_own
from pyfairme.postprocessing.weight_keyword import weight_keyword

FOLDS = 5


def fits_here(estimator: Any, cv: Any) -> bool:
    """Tell whether a policy fits the classifier: asked for by ``cv``, or as nobody else has.

    Ours take minutes: they are fitted only where ``cv`` asks for it.
    """
    return cv is not None or not (is_own(estimator) or is_fitted(estimator))


def fit_out_of_fold(
    estimator: Any,
    X: Any,
    y: np.ndarray,
    sample_weight: ArrayLike | None,
    cv: Any,
    effects: str,
) -> tuple[Any, np.ndarray]:
    """Fit a clone to all rows, and one to the other folds of each row.

    Parameters
    ----------
    estimator
        A classifier with `predict_proba`; it stays as it is.
    X, y, sample_weight
        What it gets: rows, their classes (n,) and weights (n,).
    cv
        Number of folds, a splitter of scikit-learn, or pairs of row numbers; None: five folds, each
        with its share of each class.
    effects
        Of ours, which probabilities.

    Returns
    -------
    classifier, array (n,)
        The clone that saw all rows, and each row's probability by the one that did not see it.

    Raises
    ------
    ValueError
        When some row is in no fold, or in several, or a fold lacks a class.
    """
    from sklearn.model_selection import check_cv  # slow to import

    weight = None if sample_weight is None else np.asarray(sample_weight, float).reshape(-1)
    keyword = None if weight is None else weight_keyword(estimator)
    options = {} if keyword is None or weight is None else {keyword: weight}
    splitter: Any = check_cv(FOLDS if cv is None else cv, y, classifier=True)
    found = np.full(len(y), np.nan)
    times = np.zeros(len(y), int)
    for train, held_out in splitter.split(np.zeros(len(y)), y):
        model: Any = clone(estimator)
        model.fit(_rows(X, train), y[train], **{n: w[train] for n, w in options.items()})
        decided = decided_by(model, effects)
        found[held_out] = decided.probability(decided.rows(_rows(X, held_out)))
        times[held_out] += 1
    if (times != 1).any():
        raise ValueError(
            f"cv must hold every row out once: {int((times == 0).sum())} rows are in no fold and "
            f"{int((times > 1).sum())} in several. Give a number of folds, or a splitter such as "
            "StratifiedKFold. [cv-partition]"
        )
    last: Any = clone(estimator)
    return last.fit(X, y, **options), found


def _rows(X: Any, at: np.ndarray) -> Any:
    return _safe_indexing(X, at)
