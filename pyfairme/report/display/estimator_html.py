"""An estimator in a notebook: our facts when it is fitted, and scikit-learn's own diagram."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects


def estimator_html(estimator: FairMixedEffects) -> str:
    """Return the HTML of an estimator.

    Parameters
    ----------
    estimator
        Fitted or not. An unfitted one has scikit-learn's diagram of parameters alone.
    """
    from sklearn.utils import estimator_html_repr

    from pyfairme.report.display.shown import facts_of

    diagram = estimator_html_repr(estimator)
    if not hasattr(estimator, "fit_"):
        return diagram
    return f"{facts_of(estimator)._repr_html_()}{diagram}"
