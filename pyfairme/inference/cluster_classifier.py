"""The z-predictor (subnetwork 6): soft cluster memberships of rows whose cluster is new."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from pyfairme.compilation import jitted, per_structure
from pyfairme.data import Batch
from pyfairme.data.encoded_later import spread_rows
from pyfairme.inference.cluster_buckets import cluster_bucket
from pyfairme.inference.jax_runtime import with_jax
from pyfairme.inference.svi import table_bucket
from pyfairme.model.effects import RandomEffects
from pyfairme.model.networks import NEVER, Layer, mlp_apply

MOST_CLUSTERS = 1000  # a softmax over more clusters costs too much for what it tells
MOST_ROWS, MOST_NUMBERS = 2**18, 2**26  # of x that it learns from, of evenly spread rows
FEWEST_ROWS = 2**13
WIDTH = 32
EPOCHS, LEAST_STEPS = 5, 500
BATCH_SIZE, LEARNING_RATE = 256, 3e-3
CHUNK = 100  # steps of one call: one program for any number of steps
LEAST_SHARE = 1e-6  # of a cluster without rows here
ADAM = optax.scale_by_adam()


class Labelled(NamedTuple):
    """Covariates (n, p), cluster (n,) and weight (n,) of training rows."""

    x: Any
    code: Any
    weight: Any


def fit_membership(batch: Batch, column: int, clusters: int, seed: int) -> Any:
    """Fit a softmax network x -> cluster for one column of clusters, and return its layers.

    One hidden layer, cross-entropy weighted by the rows, Adam with a rate that falls as a cosine.
    It has nothing of the mixed model in it, and a program of its own: that of the model would take
    three times as long to compile. Of a large table it sees a part of the rows.
    """
    most = np.clip(MOST_NUMBERS // max(batch.x.shape[1], 1), FEWEST_ROWS, MOST_ROWS)
    batch = spread_rows(batch, int(most))
    rows, code = len(batch.weight), batch.cluster[:, column]
    weight = np.where(code < 0, 0.0, batch.weight)
    own = Labelled(batch.x[:], code, np.float32(weight / weight.mean()))
    generator = np.random.default_rng(seed)
    layers = _start(own, clusters, generator)
    zeros = jax.tree.map(np.zeros_like, layers)
    adam: Any = optax.ScaleByAdamState(np.zeros((), np.int32), zeros, zeros)  # type: ignore[arg-type]
    chunks = -(-max(EPOCHS * -(-rows // BATCH_SIZE), LEAST_STEPS) // CHUNK)
    rates = 0.5 * LEARNING_RATE * (1 + np.cos(np.linspace(0, np.pi, chunks * CHUNK)))
    extra = table_bucket(rows) - rows
    table = Labelled(*(np.pad(v, [(0, extra)] + [(0, 0)] * (v.ndim - 1)) for v in own))
    order = np.empty(0, int)
    for rate in rates.astype(np.float32).reshape(chunks, CHUNK):
        while len(order) < CHUNK * BATCH_SIZE:
            order = np.concatenate([order, generator.permutation(rows)])
        taken, order = np.split(order, [CHUNK * BATCH_SIZE])
        layers, adam = _steps()(layers, adam, taken.reshape(CHUNK, BATCH_SIZE), rate, table)
    *first, (weight, bias) = jax.tree.map(np.asarray, layers)
    return (*first, Layer(weight[:, :clusters].copy(), bias[:clusters].copy()))


def _start(own: Labelled, clusters: int, generator: np.random.Generator) -> Any:
    """Start as `mlp_init` does, with biases that give each cluster its share of the rows."""
    inputs, room = own.x.shape[1], cluster_bucket(clusters)
    first: Any = generator.normal(0.0, np.sqrt(2 / max(inputs, 1)), (inputs, WIDTH))
    last: Any = np.zeros((WIDTH, room))
    last[:, :clusters] = generator.normal(0.0, 0.1 * np.sqrt(2 / WIDTH), (WIDTH, clusters))
    mass = np.bincount(np.maximum(own.code, 0), own.weight, clusters)
    bias: Any = np.full(room, NEVER)
    bias[:clusters] = np.log(np.maximum(mass / mass.sum(), LEAST_SHARE))
    nothing: Any = np.zeros(WIDTH)
    return jax.tree.map(np.float32, (Layer(first, nothing), Layer(last, bias)))


@per_structure(maxsize=1)
def _steps() -> Any:
    def loss(layers: Any, rows: Labelled) -> Array:
        log_p = jax.nn.log_softmax(mlp_apply(layers, rows.x)[0], axis=-1)
        hit = jax.nn.one_hot(rows.code, log_p.shape[1])  # zeros of a row without a cluster
        return -(rows.weight * (hit * log_p).sum(axis=1)).mean()

    def steps(layers: Any, adam: Any, order: Array, rates: Array, table: Labelled) -> Any:
        def step(state: Any, now: Any) -> tuple[Any, None]:
            layers, adam = state
            rows = jax.tree.map(lambda part: part[now[0]], table)
            update, adam = ADAM.update(jax.grad(loss)(layers, rows), adam)
            return (jax.tree.map(lambda one, by: one - now[1] * by, layers, update), adam), None

        return jax.lax.scan(step, (layers, adam), (order, rates))[0]

    return jitted(steps, "steps")


@with_jax
def memberships(
    networks: tuple[Any, ...], factors: tuple[RandomEffects, ...], batch: Batch
) -> tuple[np.ndarray, ...]:
    """Return (n, G) memberships per factor of rows whose cluster is new; zeros for all others.

    A factor without a network has none to give: zeros.
    """
    found = []
    for network, factor in zip(networks, factors, strict=True):
        codes = batch.cluster[:, factor.column]
        soft: np.ndarray = np.zeros((len(codes), factor.clusters), np.float32)
        new = codes < 0
        if network and new.any():
            inferred = _probabilities(network, batch.x[new])
            soft[new, : inferred.shape[1]] = inferred  # adapted clusters come after these
        found.append(soft)
    return tuple(found)


def left_out(network: Any, x: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return memberships (n, G) in the other clusters of rows whose own is struck out."""
    return _probabilities(network, x, own)


def _probabilities(
    network: Any, x: np.ndarray, own: np.ndarray | None = None, chunk: int = 1024
) -> np.ndarray:
    own = np.full(len(x), -1) if own is None else own
    parts = []
    for start in range(0, len(x), chunk):
        part = x[start : start + chunk]
        rows = [(0, chunk - len(part))]
        padded = np.pad(part, [*rows, (0, 0)])
        struck = np.pad(own[start : start + chunk], rows, constant_values=-1)
        parts.append(np.asarray(_softmax()(network, padded, struck))[: len(part)])
    return np.concatenate(parts)


@per_structure(maxsize=1)
def _softmax() -> Any:
    def softmax(network: Any, x: Array, own: Array) -> Array:
        logits = mlp_apply(network, jnp.asarray(x))[0]
        struck = jax.nn.one_hot(own, logits.shape[1]) > 0  # none for a code of -1
        return jax.nn.softmax(jnp.where(struck, -jnp.inf, logits), axis=-1)

    return jitted(softmax, "once")
