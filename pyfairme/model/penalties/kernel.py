"""Kernel dependence between prediction and group, as a penalty."""

from __future__ import annotations

from dataclasses import dataclass

import jax
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
class Kernel:
    """Centred kernel alignment of prediction and group: HSIC scaled to [0, 1].

    ``HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))`` (Gretton et al. 2005; Cortes, Mohri & Rostamizadeh
    2012) with a Gaussian kernel K on the prediction, as wide as its standard deviation, and a
    kernel L that is 1 / frequency for two rows of one group, else 0 (less for groups that a step
    hardly meets: `estimators.level_weights`). It sees every difference
    between the groups' distributions, not of their means alone. Within each outcome class for
    equalized odds; of the residual where the outcome is real. Memory and time are quadratic in the
    batch.

    Examples
    --------
    >>> import pyfairme as pf
    >>> clf = pf.FairMixedEffectsClassifier("school", ["sex"], fairness=Kernel())
    >>> clf.fairness == Kernel()
    True
    """

    def __call__(
        self, name: str, view: View, attributes: tuple[AttributeCodes, ...], criterion: str
    ) -> None:
        """Register one factor per attribute."""
        quantity = compared(view, criterion)
        for index, attribute in enumerate(attributes):
            groups = members(view, index, attribute) * jnp.sqrt(view.balance[index])
            terms = [_alignment(quantity, groups, w) for w in row_sets(view, criterion, groups)]
            plain_factor(name, view, index, attribute, jnp.stack(terms).mean())


def _alignment(
    quantity: Float[Array, "n v"], groups: Float[Array, "n l"], weight: Float[Array, " n"]
) -> Float[Array, ""]:
    weight = weight / jnp.maximum(weight.sum(), 1e-12)
    variance = weight @ (quantity - weight @ quantity) ** 2
    scaled = quantity / jax.lax.stop_gradient(jnp.sqrt(variance + 1e-8))
    distance = ((scaled[:, None, :] - scaled[None, :, :]) ** 2).sum(axis=2)
    k = _centred(jnp.exp(-0.5 * distance), weight)
    groups = groups - weight @ groups
    within = groups @ groups.T
    return _inner(k, within, weight) / jnp.sqrt(
        _inner(k, k, weight) * _inner(within, within, weight) + 1e-12
    )


def _centred(kernel: Float[Array, "n n"], weight: Float[Array, " n"]) -> Float[Array, "n n"]:
    rows = kernel @ weight
    return kernel - rows[:, None] - rows[None, :] + weight @ rows


def _inner(
    one: Float[Array, "n n"], other: Float[Array, "n n"], weight: Float[Array, " n"]
) -> Float[Array, ""]:
    return weight @ (one * other) @ weight
