"""Gaps between groups' mean predictions, as a penalty."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp

from pyfairme.model.penalties.view import AttributeCodes, View, group_gaps, plain_factor


@dataclass(frozen=True)
class Moment:
    """Group-moment penalty: mean over groups of abs(group's soft rate - overall soft rate).

    For equalized odds the rates are taken within each outcome class; for a real target, whose
    outcome has no classes, the residual replaces the prediction.

    Examples
    --------
    >>> import pyfairme as pf
    >>> clf = pf.FairMixedEffectsClassifier("school", ["sex"], fairness=Moment())
    >>> clf.fairness == Moment()
    True
    """

    def __call__(
        self, name: str, view: View, attributes: tuple[AttributeCodes, ...], criterion: str
    ) -> None:
        """Register one factor per attribute."""
        for index, attribute in enumerate(attributes):
            gaps, weight = group_gaps(view, index, attribute, criterion)
            value = (gaps * weight).sum() / jnp.maximum(weight.sum(), 1.0)
            plain_factor(name, view, index, attribute, value)
