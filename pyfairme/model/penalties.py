"""Fairness penalties and the cluster adversary: terms of the objective, each one NumPyro factors.

A fairness penalty is a frozen dataclass with one method,

``__call__(name, view, attributes, criterion)``

which registers, for every sensitive attribute, one factor ``{name}/{view.name}/{attribute}``. Its
logged value is the plain, unweighted term: strengths act on gradients only, so that a term can be
read in the history whatever its weight, and a weight of 0 equals the model without the term.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from jaxtyping import Array, Float, Int

from pyfairme.model.networks import Layer, mlp_apply, mlp_init, reverse_gradient, scale_gradient

__all__ = [
    "CRITERIA",
    "PENALTIES",
    "Adversarial",
    "Attribute",
    "Correlation",
    "Moment",
    "Penalty",
    "View",
    "cluster_adversary",
    "group_gaps",
]

CRITERIA = ("equalized_odds", "demographic_parity", "equal_opportunity")
HASHED_CLASSES = 1000  # above this many clusters the adversary predicts a bucket of clusters


class Attribute(NamedTuple):
    """Static description of one sensitive attribute."""

    name: str
    levels: int


class View(NamedTuple):
    """What a penalty sees of a batch.

    ``share`` are the rows' weights divided by the expected sum over a batch, so that
    ``(share * term).sum()`` is the batch's estimate of the mean over all training rows.
    ``balance`` holds one weight per level of each attribute (inverse frequency, mean 1 over rows).
    """

    name: str
    prediction: Float[Array, "n v"]
    outcome: Float[Array, "n v"]
    strata: Float[Array, "n c"] | None
    sensitive: Int[Array, "n a"]
    share: Float[Array, " n"]
    balance: tuple[Float[Array, " _"], ...]
    strength: Float[Array, " a"]


@runtime_checkable
class Penalty(Protocol):
    """The interface described at the top of this module."""

    def __call__(
        self, name: str, view: View, attributes: tuple[Attribute, ...], criterion: str
    ) -> None: ...


def _positive(view: View) -> Array:
    """Return 1 for rows of the favourable outcome, the last class, for equal opportunity."""
    assert view.strata is not None
    return view.strata[:, -1]


def _members(view: View, index: int, attribute: Attribute) -> Float[Array, "n l"]:
    """One-hot levels; a row whose level training never saw (-1) belongs to none."""
    return jax.nn.one_hot(view.sensitive[:, index], attribute.levels)


def _block_mask(blocks: tuple[int, ...], width: int) -> Float[Array, "rows columns"]:
    """Mask of ``len(blocks)`` diagonal blocks of shape (width, blocks[i])."""
    owner = np.repeat(np.arange(len(blocks)), blocks)
    rows = np.repeat(np.arange(len(blocks)), width)
    return jnp.asarray(rows[:, None] == owner[None, :], dtype=jnp.float32)


@dataclass(frozen=True)
class Adversarial:
    """Adversarial debiasing (subnetworks 3 and 5; eqs. 9 and 11).

    One small network per attribute predicts the attribute from the bounded prediction and, for
    equalized odds, the outcome; the prediction ascends its cross-entropy through a gradient
    reversal. The networks of all attributes are computed as one, with block-diagonal weights.
    Levels are weighted by inverse frequency, so that small groups count.
    """

    width: int = 16

    def __call__(
        self, name: str, view: View, attributes: tuple[Attribute, ...], criterion: str
    ) -> None:
        features = self._features(view, len(attributes), criterion)
        share = view.share * _positive(view) if criterion == "equal_opportunity" else view.share
        logits = self._networks(f"adversary_{view.name}", features, attributes)
        start = 0
        for index, attribute in enumerate(attributes):
            log_p = jax.nn.log_softmax(logits[:, start : start + attribute.levels], axis=-1)
            weighted = _members(view, index, attribute) * view.balance[index]
            loss = -(share * (weighted * log_p).sum(axis=1)).sum()
            numpyro.factor(f"{name}/{view.name}/{attribute.name}", -loss)
            start += attribute.levels

    @staticmethod
    def _features(view: View, attributes: int, criterion: str) -> Float[Array, "n a f"]:
        shape = (view.prediction.shape[0], attributes, view.prediction.shape[1])
        repeated = jnp.broadcast_to(view.prediction[:, None, :], shape)
        prediction = reverse_gradient(repeated, view.strength[None, :, None])
        if criterion != "equalized_odds":
            return prediction
        outcome = jnp.broadcast_to(view.outcome[:, None, :], shape)
        return jnp.concatenate([prediction, outcome, prediction * outcome], axis=-1)

    def _networks(
        self, site: str, features: Float[Array, "n a f"], attributes: tuple[Attribute, ...]
    ) -> Float[Array, "n levels"]:
        rows, count, inputs = features.shape
        levels = tuple(a.levels for a in attributes)
        inner = _block_mask((self.width,) * count, inputs)
        outer = _block_mask(levels, self.width)

        def start(key: Array) -> tuple[Layer, ...]:
            keys = jax.random.split(key)
            weight = jax.random.normal(keys[0], inner.shape) * (2.0 / inputs) ** 0.5
            last = 0.1 * jax.random.normal(keys[1], outer.shape)
            return (
                Layer(weight * inner, jnp.zeros(inner.shape[1])),
                Layer(last * outer, jnp.zeros(outer.shape[1])),
            )

        first, last = _network(site, start)
        flat = features.reshape(rows, count * inputs)
        hidden = jax.nn.relu(flat @ (first.weight * inner) + first.bias)
        return hidden @ (last.weight * outer) + last.bias


@dataclass(frozen=True)
class Correlation:
    """Absolute correlation loss, ACL (eq. 10): mean over levels of abs(Pearson correlation).

    With ``criterion="demographic_parity"`` this is eq. 10 as printed; with ``"equalized_odds"``
    the correlation is taken within each outcome class and averaged over them, or is that of the
    residual where the outcome is real.
    """

    def __call__(
        self, name: str, view: View, attributes: tuple[Attribute, ...], criterion: str
    ) -> None:
        for index, attribute in enumerate(attributes):
            members = _members(view, index, attribute)
            quantity = _compared(view, criterion)
            terms = [_correlation(quantity, members, rows) for rows in _row_sets(view, criterion)]
            _plain_factor(name, view, index, attribute, jnp.stack(terms).mean())


@dataclass(frozen=True)
class Moment:
    """Group-moment penalty: mean over groups of abs(group's soft rate - overall soft rate).

    For equalized odds the rates are taken within each outcome class; for a real target, whose
    outcome has no classes, the residual replaces the prediction.
    """

    def __call__(
        self, name: str, view: View, attributes: tuple[Attribute, ...], criterion: str
    ) -> None:
        for index, attribute in enumerate(attributes):
            gaps, weight = group_gaps(view, index, attribute, criterion)
            value = (gaps * weight).sum() / jnp.maximum(weight.sum(), 1.0)
            _plain_factor(name, view, index, attribute, value)


PENALTIES: Mapping[str, Penalty] = {
    "adversarial": Adversarial(),
    "correlation": Correlation(),
    "moment": Moment(),
}
"""Fairness penalties by the name a user gives."""


def _plain_factor(
    name: str, view: View, index: int, attribute: Attribute, value: Float[Array, ""]
) -> None:
    weighted = scale_gradient(value, view.strength[index])
    numpyro.factor(f"{name}/{view.name}/{attribute.name}", -weighted)


def _row_sets(view: View, criterion: str) -> list[Float[Array, " n"]]:
    """Row weights of each set of rows in which the criterion compares the groups."""
    if criterion == "equal_opportunity":
        return [view.share * _positive(view)]
    if criterion == "equalized_odds" and view.strata is not None:
        return [view.share * view.strata[:, c] for c in range(view.strata.shape[1])]
    return [view.share]


def _compared(view: View, criterion: str) -> Float[Array, "n v"]:
    """Return what is compared over groups: residuals for equalized odds of a real outcome."""
    if criterion == "equalized_odds" and view.strata is None:
        return view.prediction - view.outcome
    return view.prediction


def _correlation(
    prediction: Float[Array, "n v"], members: Float[Array, "n l"], weight: Float[Array, " n"]
) -> Float[Array, ""]:
    weight = weight / jnp.maximum(weight.sum(), 1e-12)
    centred = prediction - weight @ prediction
    indicator = members - weight @ members
    covariance = (weight[:, None] * centred).T @ indicator
    variance = jnp.outer(weight @ centred**2, weight @ indicator**2)
    return jnp.abs(covariance / jnp.sqrt(variance + 1e-8)).mean()


def group_gaps(
    view: View, index: int, attribute: Attribute, criterion: str
) -> tuple[Float[Array, "c l v"], Float[Array, "c l v"]]:
    """Return abs(group mean - overall mean) per row set, level and output, and what cells exist."""
    members = _members(view, index, attribute)
    quantity = _compared(view, criterion)
    gaps, exists = [], []
    for weight in _row_sets(view, criterion):
        mass = weight @ members
        mean = ((weight[:, None] * members).T @ quantity) / jnp.maximum(mass, 1e-12)[:, None]
        overall = (weight @ quantity) / jnp.maximum(weight.sum(), 1e-12)
        gaps.append(jnp.abs(mean - overall))
        exists.append(jnp.broadcast_to((mass > 0)[:, None], mean.shape).astype(jnp.float32))
    return jnp.stack(gaps), jnp.stack(exists)


def cluster_adversary(
    factor: str,
    clusters: int,
    hidden: Float[Array, "n h"],
    codes: Int[Array, " n"],
    share: Float[Array, " n"],
    strength: Float[Array, ""],
    width: int = 16,
) -> None:
    """Subnetwork 2: predict the cluster from all hidden activations of the network (eq. 1).

    Above ``HASHED_CLASSES`` clusters it predicts ``code mod HASHED_CLASSES``, which keeps a step's
    cost bounded; features that tell clusters apart tell such buckets apart.
    """
    classes = min(clusters, HASHED_CLASSES)
    sizes = (hidden.shape[1], width, classes)
    layers = _network(f"adversary_cluster_{factor}", lambda key: mlp_init(key, sizes))
    logits, _ = mlp_apply(layers, reverse_gradient(hidden, strength))
    target = jax.nn.one_hot(jnp.where(codes >= 0, codes % classes, -1), classes)
    loss = -(share * (target * jax.nn.log_softmax(logits, axis=-1)).sum(axis=1)).sum()
    numpyro.factor(f"cluster_adversary/{factor}", -loss)


def _network(site: str, start: Callable[[Array], Any]) -> Any:
    """Register a network's layers as one ``numpyro.param`` pytree."""
    return numpyro.param(site, start)
