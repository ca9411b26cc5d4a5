"""Correlation of the prediction with the sensitive levels, as a penalty."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float

from pyfairme.model.penalties.view import (
    AttributeCodes,
    View,
    compared,
    members,
    plain_factor,
    row_sets,
)


@dataclass(frozen=True)
class Correlation:
    """Absolute correlation loss, ACL (eq. 10): mean over levels of abs(Pearson correlation).

    With ``criterion="demographic_parity"`` this is eq. 10 as printed; with ``"equalized_odds"``
    the correlation is taken within each outcome class and averaged over them, or is that of the
    residual where the outcome is real.

    Examples
    --------
    >>> import pyfairme as pf
    >>> clf = pf.FairMixedEffectsClassifier("school", ["sex"], fairness=Correlation())
    >>> clf.fairness == Correlation()
    True
    """

    def __call__(
        self, name: str, view: View, attributes: tuple[AttributeCodes, ...], criterion: str
    ) -> None:
        """Register one factor per attribute."""
        for index, attribute in enumerate(attributes):
            groups = members(view, index, attribute)
            quantity = compared(view, criterion)
            terms = [
                _correlation(quantity, groups, rows) for rows in row_sets(view, criterion, groups)
            ]
            plain_factor(name, view, index, attribute, jnp.stack(terms).mean())


def _correlation(
    prediction: Float[Array, "n v"], members: Float[Array, "n l"], weight: Float[Array, " n"]
) -> Float[Array, ""]:
    weight = weight / jnp.maximum(weight.sum(), 1e-12)
    centred = prediction - weight @ prediction
    indicator = members - weight @ members
    covariance = (weight[:, None] * centred).T @ indicator
    variance = jnp.outer(weight @ centred**2, weight @ indicator**2)
    return jnp.abs(covariance / jnp.sqrt(variance + 1e-8)).mean()
