"""Gaps between groups' rates of decisions, as a penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pyfairme.model.penalties.view import AttributeCodes, View, group_gaps, plain_factor

EDGE = 1e-6


@dataclass(frozen=True)
class Decision:
    """Group-moment penalty on soft decisions: what TPR and FPR are made of.

    The probability p of the positive of two classes becomes
    ``sigmoid(sharpness * (logit(p) - logit(threshold)))``, a smooth version of ``p > threshold``;
    more classes become ``p ** sharpness`` over its sum. The penalty is then the mean over groups of
    abs(group's rate - overall rate), within each outcome class for equalized odds. It moves only
    predictions near the threshold, where a change of a decision costs least.

    Examples
    --------
    >>> rates = Decision(sharpness=4.0).soft(jnp.array([[0.5], [0.9]]), 0.5)
    >>> rates.round(2)
    Array([[0.5],
           [1. ]], dtype=float32)
    """

    needs_classes: ClassVar[bool] = True

    sharpness: float = 4.0

    def __call__(
        self, name: str, view: View, attributes: tuple[AttributeCodes, ...], criterion: str
    ) -> None:
        """Register one factor per attribute."""
        decided = view._replace(prediction=self.soft(view.prediction, view.threshold))
        for index, attribute in enumerate(attributes):
            gaps, weight = group_gaps(decided, index, attribute, criterion)
            value = (gaps * weight).sum() / jnp.maximum(weight.sum(), 1.0)
            plain_factor(name, view, index, attribute, value)

    def soft(self, p: Float[Array, "n v"], threshold: Array | float) -> Float[Array, "n v"]:
        """Return soft decisions, of the shape of the probabilities."""
        p = jnp.clip(p, EDGE, 1.0 - EDGE)
        if p.shape[1] > 1:
            return jax.nn.softmax(self.sharpness * jnp.log(p), axis=1)
        at = jax.scipy.special.logit(jnp.clip(jnp.asarray(threshold), EDGE, 1.0 - EDGE))
        return jax.nn.sigmoid(self.sharpness * (jax.scipy.special.logit(p) - at))
