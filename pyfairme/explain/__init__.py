"""Answers instead of coefficients: averages, comparisons and slopes of what a model predicts.

Names follow the package marginaleffects. Every answer reads the posterior draw by draw and comes
with an interval; see `Estimates`.
"""

from pyfairme.explain.adjusted_predictions import avg_predictions, predictions
from pyfairme.explain.comparisons import avg_comparisons, comparisons
from pyfairme.explain.estimates import Estimates
from pyfairme.explain.gap_decomposition import gap_decomposition
from pyfairme.explain.marginal_slopes import avg_slopes, slopes
from pyfairme.explain.partial_dependence import partial_dependence
from pyfairme.explain.permutation_importance import permutation_importance
from pyfairme.explain.shap_adapter import shap_values

__all__ = [
    "Estimates",
    "avg_comparisons",
    "avg_predictions",
    "avg_slopes",
    "comparisons",
    "gap_decomposition",
    "partial_dependence",
    "permutation_importance",
    "predictions",
    "shap_values",
    "slopes",
]
