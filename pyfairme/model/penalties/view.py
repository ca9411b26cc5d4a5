"""What a fairness penalty sees, and the pieces that penalties share."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
import numpyro
from jaxtyping import Array, Float, Shaped

from pyfairme.model.networks import scale_gradient

CRITERIA = ("equalized_odds", "demographic_parity", "equal_opportunity")
"""Notions of fairness that a penalty can enforce: values of ``criterion=``."""


class AttributeCodes(NamedTuple):
    """Static description of one sensitive attribute.

    Examples
    --------
    >>> AttributeCodes("sex", levels=2)
    AttributeCodes(name='sex', levels=2)
    """

    name: str
    levels: int


class View(NamedTuple):
    """What a penalty sees of a batch.

    ``share`` are the rows' weights divided by the expected sum over a batch, so that
    ``(share * term).sum()`` is the batch's estimate of the mean over all training rows.
    ``balance`` holds one weight per level of each attribute (inverse frequency but for the rarest
    levels, mean 1 over rows).
    ``sensitive`` numbers the groups; rows of a continuous attribute lie between two (`members`).
    ``threshold`` is the probability from which the positive of two classes is decided.
    ``residual`` of a real target is not bounded; None: the difference of what is.

    Examples
    --------
    >>> rows = View(
    ...     "mixed",
    ...     prediction=jnp.array([[0.9], [0.7], [0.3], [0.1]]),
    ...     outcome=jnp.array([[1.0], [1.0], [0.0], [0.0]]),
    ...     strata=None,
    ...     sensitive=jnp.array([[0], [0], [1], [1]]),
    ...     share=jnp.full(4, 0.25),
    ...     balance=(jnp.ones(2),),
    ...     strength=jnp.ones(1),
    ... )
    >>> compared(rows, "equalized_odds").round(1)  # a real outcome: residuals
    Array([[-0.1],
           [-0.3],
           [ 0.3],
           [ 0.1]], dtype=float32)
    """

    name: str
    prediction: Float[Array, "n v"]
    outcome: Float[Array, "n v"]
    strata: Float[Array, "n c"] | None
    sensitive: Shaped[Array, "n a"]
    share: Float[Array, " n"]
    balance: tuple[Float[Array, " _"], ...]
    strength: Float[Array, " a"]
    threshold: Array | float = 0.5
    residual: Float[Array, "n v"] | None = None


@runtime_checkable
class Penalty(Protocol):
    """The interface described at the top of the package.

    Examples
    --------
    >>> from pyfairme.model.penalties import Kernel
    >>> isinstance(Kernel(), Penalty)  # a class of your own needs no more than the call
    True
    """

    def __call__(
        self, name: str, view: View, attributes: tuple[AttributeCodes, ...], criterion: str
    ) -> None:
        """Register one factor per attribute."""
        ...


def positive(view: View) -> Array:
    """Return 1 for rows of the favourable outcome, the last class, for equal opportunity."""
    assert view.strata is not None
    return view.strata[:, -1]


def members(view: View, index: int, attribute: AttributeCodes) -> Float[Array, "n l"]:
    """One-hot groups; a row of none (-1), as its level is left out or new, belongs to none.

    A row of a continuous attribute belongs to two neighbouring groups, in shares that sum to 1.
    """
    place = view.sensitive[:, index].astype(jnp.float32)
    return jnp.maximum(1.0 - jnp.abs(place[:, None] - jnp.arange(attribute.levels)), 0.0)


def plain_factor(
    name: str, view: View, index: int, attribute: AttributeCodes, value: Float[Array, ""]
) -> None:
    """Register a penalty's value; its strength acts on the gradient only."""
    weighted = scale_gradient(value, view.strength[index])
    numpyro.factor(f"{name}/{view.name}/{attribute.name}", -weighted)


def row_sets(
    view: View, criterion: str, groups: Float[Array, "n l"] | None = None
) -> list[Float[Array, " n"]]:
    """Row weights of each set of rows in which the criterion compares the groups.

    Rows that belong to none of the ``groups``, see `members`, weigh nothing.
    """
    share = view.share if groups is None else view.share * (groups > 0).any(axis=1)
    if criterion == "equal_opportunity":
        return [share * positive(view)]
    if criterion == "equalized_odds" and view.strata is not None:
        return [share * view.strata[:, c] for c in range(view.strata.shape[1])]
    return [share]


def compared(view: View, criterion: str) -> Float[Array, "n v"]:
    """Return what is compared over groups: residuals for equalized odds of a real outcome."""
    if criterion == "equalized_odds" and view.strata is None:
        return view.prediction - view.outcome if view.residual is None else view.residual
    return view.prediction


def group_gaps(
    view: View, index: int, attribute: AttributeCodes, criterion: str
) -> tuple[Float[Array, "c l v"], Float[Array, "c l v"]]:
    """Return abs(group mean - overall mean) per row set, level and output, and what cells exist.

    Examples
    --------
    >>> rows = View(
    ...     "mixed",
    ...     prediction=jnp.array([[0.9], [0.7], [0.3], [0.1]]),
    ...     outcome=jnp.array([[1.0], [1.0], [0.0], [0.0]]),
    ...     strata=None,
    ...     sensitive=jnp.array([[0], [0], [1], [1]]),
    ...     share=jnp.full(4, 0.25),
    ...     balance=(jnp.ones(2),),
    ...     strength=jnp.ones(1),
    ... )
    >>> gaps, exists = group_gaps(rows, 0, AttributeCodes("sex", 2), "demographic_parity")
    >>> gaps.round(1).ravel()  # each group's mean, .8 and .2, from .5
    Array([0.3, 0.3], dtype=float32)
    """
    groups = members(view, index, attribute)
    quantity = compared(view, criterion)
    gaps, exists = [], []
    for weight in row_sets(view, criterion, groups):
        mass = weight @ groups
        mean = ((weight[:, None] * groups).T @ quantity) / jnp.maximum(mass, 1e-12)[:, None]
        overall = (weight @ quantity) / jnp.maximum(weight.sum(), 1e-12)
        gaps.append(jnp.abs(mean - overall))
        exists.append(jnp.broadcast_to((mass > 0)[:, None], mean.shape).astype(jnp.float32))
    return jnp.stack(gaps), jnp.stack(exists)
