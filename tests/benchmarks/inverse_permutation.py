"""Equalized odds by inverse conditional permutation (FairICP, Lai & Guan, arXiv 2404.05678).

Our own implementation for binary outcomes and sensitive attributes of few values, written from the
paper's definitions and the settings of its public experiments. With A the attributes, a permuted
copy A~ that has the same law given y, but knows nothing of x given y, is made by permuting the
outcomes given A (the conditional permutation test of Berrett et al. 2020) and undoing that on A.
A discriminator D tells (f(x), A, y) from (f(x), A~, y), and the network f is trained to fool it:

    minimise over f    (1 - mu) cross-entropy(y, f(x)) + mu cross-entropy of D with swapped labels.

Once nothing is told apart, f(x) and A are independent given y: equalized odds of all attributes at
once. Both networks take turns, an epoch each, with a fresh A~ every epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

STEPS = 50  # rounds of pairwise swaps of a permutation
BINS = 600  # of scores, for kernels of all pairs


def permuted(y: np.ndarray, a: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return A~: ``a`` (n, k) in an order that given y says nothing of anything else.

    ``y`` (n,) 0 or 1. Pairs of rows swap outcomes with the odds of the four conditionals q(y | a),
    estimated by frequencies; the order found for outcomes is undone on A.
    """
    _, cell = np.unique(a, axis=0, return_inverse=True)
    cell = cell.ravel()
    positive = (np.bincount(cell, y) + 0.5) / (np.bincount(cell) + 1.0)
    log_q = np.log(np.stack([1 - positive, positive]))  # (outcome, cell)
    order, half = np.arange(len(y)), len(y) // 2
    for _ in range(STEPS):
        pairs = rng.permutation(len(y))
        i, j = pairs[:half], pairs[half : 2 * half]
        here, there = y[order[i]], y[order[j]]
        odds = log_q[here, cell[j]] + log_q[there, cell[i]]
        odds -= log_q[here, cell[i]] + log_q[there, cell[j]]
        swap = rng.random(half) < 1 / (1 + np.exp(-odds))
        order[i[swap]], order[j[swap]] = order[j[swap]], order[i[swap]]
    return a[np.argsort(order)]


def partial_correlation(
    score: np.ndarray, y: np.ndarray, a: np.ndarray, rng: np.random.Generator
) -> float:
    """Return the kernel partial correlation of score and A given y, 0 (none) to 1.

    Of Huang, Deb & Sen (2022) with a Gaussian kernel k of width the median distance, and one
    nearest neighbour; those of a discrete y and A are all rows of the same cell, over which is
    averaged (scores in bins):

        (E k(s, s' | same y and A) - E k(s, s' | same y)) / (1 - E k(s, s' | same y)).
    """
    some = rng.choice(score, (2, 20_000))
    width = max(float(np.median(np.abs(some[0] - some[1]))), 1e-12)
    least, most = float(score.min()), float(score.max())
    step = max(most - least, 1e-12) / (BINS - 1)
    at = np.round((score - least) / step).astype(int)
    places = np.arange(BINS) * step
    kernel = np.exp(-0.5 * ((places[:, None] - places) / width) ** 2)
    _, cell = np.unique(np.column_stack([y, a]), axis=0, return_inverse=True)

    def alike(group: np.ndarray) -> float:
        total = 0.0
        for one in range(int(group.max()) + 1):
            count = np.bincount(at[group == one], minlength=BINS)
            size = count.sum()
            total += float(count @ kernel @ count - size) / max(size - 1, 1)
        return total / len(score)

    inside, outside = alike(cell.ravel()), alike(y.astype(int))
    return (inside - outside) / (1 - outside)


class Settings(NamedTuple):
    """Those of the published experiment on Adult."""

    batch: int = 512
    rate: float = 1e-3
    discriminator_rate: float = 1e-4
    epochs: int = 20
    hidden: int = 64


def _layers(key: Any, widths: Sequence[int]) -> list[tuple[Any, Any]]:
    found = []
    for one, before, after in zip(
        jax.random.split(key, len(widths)), widths[:-1], widths[1:], strict=False
    ):
        bound = 1 / np.sqrt(before)
        weight, bias = (
            jax.random.uniform(k, shape, minval=-bound, maxval=bound)
            for k, shape in zip(jax.random.split(one), ((before, after), (after,)), strict=True)
        )
        found.append((weight, bias))
    return found


def _network(layers: list[tuple[Any, Any]], x: Any) -> Any:
    for weight, bias in layers[:-1]:
        x = jax.nn.relu(x @ weight + bias)
    return x @ layers[-1][0] + layers[-1][1]


def _told(discriminator: Any, link: Any, a: Any, other: Any, y: Any, genuine: float) -> Any:
    """Return the discriminator's cross-entropy; ``genuine`` is the label of rows with their A."""
    both = jnp.concatenate(
        [jnp.column_stack([link, other, y]), jnp.column_stack([link, a, y])], axis=0
    )
    label = jnp.repeat(jnp.array([1 - genuine, genuine]), len(y))
    return optax.sigmoid_binary_cross_entropy(_network(discriminator, both)[:, 0], label).mean()


@partial(jax.jit, static_argnames=("settings",))
def _epoch(state: Any, rows: Any, order: Any, mu: Any, settings: Settings) -> Any:
    """Take the discriminator through all batches, then the network."""
    x, y, a, other = rows
    f_step, d_step = optax.adam(settings.rate), optax.adam(settings.discriminator_rate)

    def of_discriminator(carry: Any, at: Any) -> Any:
        f, d, f_opt, d_opt = carry
        link = _network(f, x[at])
        slope = jax.grad(lambda d: mu * _told(d, link, a[at], other[at], y[at], 0.0))(d)
        move, d_opt = d_step.update(slope, d_opt)
        return (f, optax.apply_updates(d, move), f_opt, d_opt), None

    def of_network(carry: Any, at: Any) -> Any:
        f, d, f_opt, d_opt = carry

        def loss(f: Any) -> Any:
            link = _network(f, x[at])
            right = optax.softmax_cross_entropy_with_integer_labels(link, y[at].astype(int))
            fooled = _told(d, link, a[at], other[at], y[at], 1.0)
            return (1 - mu) * right.mean() + mu * fooled

        move, f_opt = f_step.update(jax.grad(loss)(f), f_opt)
        return (optax.apply_updates(f, move), d, f_opt, d_opt), None

    state, _ = jax.lax.scan(of_discriminator, state, order[0])
    return jax.lax.scan(of_network, state, order[1])[0]


def fit(
    x: np.ndarray,
    y: np.ndarray,
    a: np.ndarray,
    mu: float,
    seed: int,
    settings: Settings = Settings(),  # noqa: B008 - immutable
) -> Any:
    """Train on standardised ``x`` (n, p), ``y`` (n,) and ``a`` (n, k); return the network f."""
    rng = np.random.default_rng(seed)
    centre, spread = a.mean(axis=0), a.std(axis=0)
    f_key, d_key = jax.random.split(jax.random.key(seed))
    f = _layers(f_key, (x.shape[1], settings.hidden, 2))
    d = _layers(d_key, (3 + a.shape[1], 64, 64, 64, 1))
    optimisers = optax.adam(settings.rate), optax.adam(settings.discriminator_rate)
    state = (f, d, optimisers[0].init(f), optimisers[1].init(d))
    fixed = [jnp.asarray(one, jnp.float32) for one in (x, y, (a - centre) / spread)]
    batches = len(y) // settings.batch
    for _ in range(settings.epochs):
        other = jnp.asarray((permuted(y, a, rng) - centre) / spread, jnp.float32)
        order = np.stack(
            [rng.permutation(len(y))[: batches * settings.batch] for _ in range(2)]
        ).reshape(2, batches, settings.batch)
        state = _epoch(state, (*fixed, other), jnp.asarray(order), mu, settings)
    return state[0]


def probability(network: Any, x: np.ndarray) -> np.ndarray:
    """Return P(y = 1), (n,)."""
    return np.asarray(jax.nn.softmax(_network(network, jnp.asarray(x, jnp.float32)))[:, 1], float)
