"""What an interval covers: the mean, its uncertainty about clusters alone, or a new outcome."""

from __future__ import annotations

import pandas as pd

from pyfairme.estimators.estimator_keywords import check_choice
from pyfairme.model.program import ModelSpec

KINDS = ("auto", "mean", "cluster", "observation")


def interval_kind(kind: str, spec: ModelSpec) -> str:
    """Return what an interval covers; for "auto" the mean, where the network has a posterior.

    Raises
    ------
    ValueError
        For an unknown kind, and for the mean of a model whose network is a point estimate.
    """
    check_choice("kind", kind, KINDS)
    whole = spec.tangent or (spec.last_layer and not spec.hidden)
    if kind == "auto":
        return "mean" if whole else "cluster"
    if kind == "mean" and not whole:
        raise ValueError(
            "kind='mean' asks for an interval of the mean, and this model has no posterior of its "
            "network, whose error is most of it: fit with network_posterior='laplace' (up to "
            "50,000 rows). kind='cluster' gives the uncertainty about clusters alone, as "
            "kind='auto' does here; kind='observation' an interval of a new outcome. "
            "[network-not-covered]"
        )
    return kind


def named(found: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Let the columns' common name say what the interval is of: shown, and no column of its own."""
    return found.rename_axis(columns=f"{kind} interval")
