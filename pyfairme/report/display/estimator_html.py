"""An estimator or policy in a notebook: our facts when it is fitted, scikit-learn's diagram."""

from __future__ import annotations

from typing import Any


def estimator_html(estimator: Any, fitted: str = "fit_") -> str:
    """Return the HTML of an estimator.

    Parameters
    ----------
    estimator
        Fitted or not. An unfitted one has scikit-learn's diagram of parameters alone.
    fitted
        The attribute that fitting sets.
    """
    from sklearn.utils import estimator_html_repr

    from pyfairme.report.display.facts_html import environment
    from pyfairme.report.display.shown import facts_of

    shown = facts_of(estimator)._repr_html_() if hasattr(estimator, fitted) else ""
    shell = environment().get_template("diagram.html.jinja")  # follows dark pages
    return shown + shell.render(diagram=estimator_html_repr(estimator))
