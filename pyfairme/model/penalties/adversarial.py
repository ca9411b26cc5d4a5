"""Adversaries behind a gradient reversal: of sensitive attributes, and of the cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from jaxtyping import Array, Float, Int

from pyfairme.model.networks import NEVER, Layer, mlp_apply, mlp_init, reverse_gradient
from pyfairme.model.penalties.decision import Decision
from pyfairme.model.penalties.view import AttributeCodes, View, members, positive

HASHED_CLASSES = 1000  # above this many clusters the adversary predicts a bucket of clusters
NARROW = 1e-3  # standard deviation below which probabilities are not stretched any further


@dataclass(frozen=True)
class Adversarial:
    """Adversarial debiasing (subnetworks 3 and 5; eqs. 9 and 11).

    One small network per attribute predicts the attribute from the bounded prediction and, for
    equalized odds, the outcome; the prediction ascends its cross-entropy through a gradient
    reversal. The networks of all attributes are computed as one, with block-diagonal weights.
    Levels are weighted by inverse frequency, so that small groups count; those that a step hardly
    meets weigh less (`estimators.level_weights`). Probabilities are `standardised` first: where
    positives are few, all are small and near to each other.

    With a ``sharpness`` the adversary of a class target reads soft decisions as well (see
    `Decision`): what separates the groups there is what TPR and FPR are made of. Without
    ``scores`` it reads decisions only: predictions far from the threshold stay as they are,
    and with them what is unfair in the scores themselves.

    With ``waves`` it reads sines and cosines of all this too, at 1, 2, 4, ... radians a unit (for
    probabilities a standard deviation), so many pairs of them. A small network is smooth for
    thousands of steps, and does not find a group that is common in some narrow ranges of the
    prediction only; from such features it does in hundreds (Tancik et al. 2020).

    Raises
    ------
    ValueError
        When ``width`` or ``waves`` is no whole number, or too small.

    Examples
    --------
    Own settings need a name of their own, that of a class:

    >>> import pandas as pd
    >>> import pyfairme as pf
    >>> @dataclass(frozen=True)
    ... class WideAdversarial(Adversarial):
    ...     width: int = 32
    >>> short = {"guide": "mean_field", "hidden": (), "epochs": 1, "min_steps": 20}
    >>> clf = pf.FairMixedEffectsClassifier(
    ...     "school", ["sex"], fairness=WideAdversarial(), progress=False, **short
    ... )
    >>> groups = {"sex": ["f", "f", "m", "m"], "school": ["a", "b", "a", "b"]}
    >>> X = pd.DataFrame({"age": [18, 19, 20, 21]} | groups).iloc[list(range(4)) * 15]
    >>> clf = clf.fit(X, [0, 1, 1, 0, 1] * 12)
    >>> [name for name in clf.history_ if name.startswith("wide_adversarial")]
    ['wide_adversarial/fixed/sex', 'wide_adversarial/mixed/sex']
    """

    width: int = 16
    sharpness: float | None = None
    scores: bool = True
    waves: int = 0

    def __post_init__(self) -> None:
        for name, least in (("width", 1), ("waves", 0)):
            given = getattr(self, name)
            if not isinstance(given, Integral) or isinstance(given, bool) or given < least:
                raise ValueError(
                    f"Expected a whole number of {least} or more, got {name}={given!r}: an "
                    "adversary has width hidden units, and reads waves pairs of sines and "
                    "cosines. [adversary-size]"
                )

    @property
    def needs_classes(self) -> bool:
        """Whether it reads decisions."""
        return self.sharpness is not None

    def __call__(
        self, name: str, view: View, attributes: tuple[AttributeCodes, ...], criterion: str
    ) -> None:
        """Register one factor per attribute."""
        if self.sharpness is not None and view.strata is not None:
            decided = Decision(self.sharpness).soft(view.prediction, view.threshold)
            seen = jnp.concatenate([view.prediction, decided], axis=1) if self.scores else decided
        else:
            seen = view.prediction
        share = view.share * positive(view) if criterion == "equal_opportunity" else view.share
        if view.strata is not None:
            seen = standardised(seen, share)
        seen = with_waves(seen, self.waves)
        features = self._features(view, seen, len(attributes), criterion)
        logits = self._networks(
            f"{name.replace('adversarial', 'adversary')}_{view.name}", features, attributes
        )
        start = 0
        for index, attribute in enumerate(attributes):
            log_p = jax.nn.log_softmax(logits[:, start : start + attribute.levels], axis=-1)
            weighted = members(view, index, attribute) * view.balance[index]
            loss = -(share * (weighted * log_p).sum(axis=1)).sum()
            numpyro.factor(f"{name}/{view.name}/{attribute.name}", -loss)
            start += attribute.levels

    @staticmethod
    def _features(
        view: View, seen: Float[Array, "n v"], attributes: int, criterion: str
    ) -> Float[Array, "n a f"]:
        shape = (seen.shape[0], attributes, seen.shape[1])
        repeated = jnp.broadcast_to(seen[:, None, :], shape)
        prediction = reverse_gradient(repeated, view.strength[None, :, None])
        if criterion != "equalized_odds":
            return prediction
        outcome = jnp.broadcast_to(view.outcome[:, None, :], (*shape[:2], view.outcome.shape[1]))
        both = jnp.tile(outcome, shape[2] // outcome.shape[2])
        return jnp.concatenate([prediction, outcome, prediction * both], axis=-1)

    def _networks(
        self, site: str, features: Float[Array, "n a f"], attributes: tuple[AttributeCodes, ...]
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


def standardised(seen: Float[Array, "n v"], share: Float[Array, " n"]) -> Float[Array, "n v"]:
    """Return what is seen with mean 0 and variance 1 over the rows of a batch.

    Mean and standard deviation are constants to the gradient: the prediction is to move rows
    against each other, not to spread them all.

    Examples
    --------
    >>> seen, share = jnp.array([[0.01], [0.03]]), jnp.array([0.5, 0.5])
    >>> standardised(seen, share).round(2).ravel()
    Array([-1.,  1.], dtype=float32)
    """
    weight = share / jnp.maximum(share.sum(), 1e-12)
    mean = weight @ seen
    spread = jnp.sqrt(jnp.maximum(weight @ (seen - mean) ** 2, NARROW**2))
    mean, spread = jax.lax.stop_gradient((mean, spread))
    return (seen - mean) / spread


def with_waves(seen: Float[Array, "n v"], waves: int) -> Float[Array, "n w"]:
    """Return what is seen, and its sines and cosines at 1, 2, 4, ... radians a unit.

    Examples
    --------
    >>> np.asarray(with_waves(jnp.array([[0.0], [jnp.pi / 2]]), 1)).round(2)
    array([[ 0.  ,  0.  ,  1.  ],
           [ 1.57,  1.  , -0.  ]], dtype=float32)
    """
    if not waves:
        return seen
    turned = [2.0**power * seen for power in range(waves)]
    parts = [seen, *(wave(one) for one in turned for wave in (jnp.sin, jnp.cos))]
    return jnp.concatenate(parts, axis=1)


def cluster_adversary(
    factor: str,
    clusters: int,
    hidden: Float[Array, "n h"],
    codes: Int[Array, " n"],
    share: Float[Array, " n"],
    strength: Float[Array, ""],
    width: int = 16,
    existing: Array | float | None = None,
    cells: int | None = None,
) -> None:
    """Subnetwork 2: predict the cluster from all hidden activations of the network (eq. 1).

    Above ``HASHED_CLASSES`` clusters it predicts ``code mod HASHED_CLASSES``; features that tell
    clusters apart tell such buckets apart. Where rows x classes are more than ``cells``, it sees a
    random systematic sample of the rows, with the weight of all: each row has the same chance to
    be in it, so the loss and its gradient are unbiased. Both bound what a step costs. A sample
    needs a seeded program; ``cells=None`` takes all rows. ``existing`` says how many of the
    clusters there are, None for all: no other is ever predicted.

    Examples
    --------
    >>> from numpyro import handlers
    >>> hidden, codes, share = jnp.ones((4, 2)), jnp.array([0, 0, 1, 1]), jnp.full(4, 0.25)
    >>> with handlers.seed(rng_seed=0), handlers.trace() as sites:
    ...     cluster_adversary("school", 2, hidden, codes, share, jnp.asarray(1.0))
    >>> sorted(sites)
    ['adversary_cluster_school', 'cluster_adversary/school']
    """
    classes = adversary_classes(clusters)
    sizes = (hidden.shape[1], width, classes)
    rows = len(codes) if cells is None else max(1, min(len(codes), cells // classes))
    if rows < len(codes):
        key: Any = numpyro.prng_key()
        first = jax.random.randint(key, (), 0, len(codes))
        sample = (first + len(codes) // rows * jnp.arange(rows)) % len(codes)
        hidden, codes, share = hidden[sample], codes[sample], share[sample] * len(share) / rows
    layers = _network(adversary_site(factor), lambda key: mlp_init(key, sizes, existing))
    logits, _ = mlp_apply(layers, reverse_gradient(hidden, strength))
    if existing is not None:
        logits = jnp.where(jnp.arange(classes) < existing, logits, NEVER)
    target = jax.nn.one_hot(jnp.where(codes >= 0, codes % classes, -1), classes)
    loss = -(share * (target * jax.nn.log_softmax(logits, axis=-1)).sum(axis=1)).sum()
    numpyro.factor(f"cluster_adversary/{factor}", -loss)


def adversary_site(factor: str) -> str:
    """Name the parameters of the adversary that predicts a factor's clusters.

    Examples
    --------
    >>> adversary_site("school")
    'adversary_cluster_school'
    """
    return f"adversary_cluster_{factor}"


def adversary_classes(clusters: int) -> int:
    """Return how many classes it tells apart: many clusters share them.

    Examples
    --------
    >>> adversary_classes(12)
    12
    >>> adversary_classes(1_000_000) == HASHED_CLASSES
    True
    """
    return min(clusters, HASHED_CLASSES)


def _block_mask(blocks: tuple[int, ...], width: int) -> Float[Array, "rows columns"]:
    """Mask of ``len(blocks)`` diagonal blocks of shape (width, blocks[i])."""
    owner = np.repeat(np.arange(len(blocks)), blocks)
    rows = np.repeat(np.arange(len(blocks)), width)
    return jnp.asarray(rows[:, None] == owner[None, :], dtype=jnp.float32)


def _network(site: str, start: Callable[[Array], Any]) -> Any:
    """Register a network's layers as one ``numpyro.param`` pytree."""
    return numpyro.param(site, start)
