"""Refuse what needs a fit before there is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sklearn.utils.validation import check_is_fitted


def check_fitted(estimator: Any, attributes: str | Sequence[str] | None = None) -> None:
    """Raise scikit-learn's `NotFittedError` unless ``estimator`` is fitted."""
    message = "This %(name)s instance is not fitted yet: call fit(X, y), or load a saved one."
    check_is_fitted(estimator, attributes, msg=f"{message} [not-fitted]")
