"""A threshold policy in a notebook: its rules when it is fitted, and scikit-learn's diagram."""

from __future__ import annotations

from typing import Any


def policy_html(policy: Any) -> str:
    """Return the HTML of a policy.

    Parameters
    ----------
    policy
        Fitted or not. An unfitted one has scikit-learn's diagram of parameters alone.
    """
    from sklearn.utils import estimator_html_repr

    from pyfairme.report.display.shown import facts_of

    diagram = estimator_html_repr(policy)
    return f"{facts_of(policy)._repr_html_()}{diagram}" if hasattr(policy, "n_rows_") else diagram
