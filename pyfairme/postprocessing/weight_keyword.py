"""Under which name a classifier of scikit-learn's kind takes the weights of rows."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from pyfairme.notices import DataWarning, warn


def weight_keyword(estimator: Any) -> str | None:
    """Return the keyword of `fit` that weights are given by; of a pipeline, its last step's.

    Parameters
    ----------
    estimator
        A classifier, or a Pipeline that ends with one.

    Returns
    -------
    str or None
        None where it takes none, with a warning.

    Warns
    -----
    DataWarning
        When rows would count alike.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> weight_keyword(make_pipeline(LogisticRegression()))
    'logisticregression__sample_weight'
    """
    pipeline = isinstance(estimator, Pipeline)
    if has_fit_parameter(estimator[-1] if pipeline else estimator, "sample_weight"):
        return f"{estimator.steps[-1][0]}__sample_weight" if pipeline else "sample_weight"
    warn(
        f"{type(estimator).__name__}.fit takes no sample_weight: the classifier is fitted to rows "
        "that count alike, and only thresholds are those of the weighted rows. "
        "[weights-not-fitted]",
        DataWarning,
    )
    return None
