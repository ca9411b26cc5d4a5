"""The z-predictor (subnetwork 6): soft cluster memberships of rows whose cluster is new."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pyfairme.compilation import jitted, per_structure
from pyfairme.data import Batch
from pyfairme.inference.cluster_buckets import cluster_bucket
from pyfairme.inference.jax_runtime import with_jax
from pyfairme.inference.svi import Schedule, fit
from pyfairme.model.effects import RandomEffects
from pyfairme.model.likelihoods import Categorical
from pyfairme.model.networks import Layer, mlp_apply
from pyfairme.model.program import ModelSpec, Objective

MOST_CLUSTERS = 1000  # a softmax over more clusters costs too much for what it tells
WIDTH = 32
SCHEDULE = Schedule(epochs=5, min_steps=500, batch_size=256, learning_rate=3e-3)


def fit_membership(batch: Batch, column: int, clusters: int, seed: int) -> Any:
    """Fit a softmax network x -> cluster for one column of clusters, and return its layers.

    It is the same program as every other: a categorical likelihood, no random effects, no penalty.
    """
    room = Categorical(cluster_bucket(clusters))
    spec = ModelSpec(room, batch.x.shape[1], (WIDTH,), fixed_loss=False)
    rows = batch._replace(
        y=batch.cluster[:, column],
        slopes=batch.slopes[:, :0],
        cluster=batch.cluster[:, :0],
        sensitive=batch.sensitive[:, :0],
        offset=np.zeros_like(batch.offset),
    )
    objective = Objective(classes=float(clusters))
    found = fit(spec, "mean_field", rows, None, objective, SCHEDULE, seed).params["network"]
    weight, bias = found[-1]
    return (*found[:-1], Layer(weight[:, :clusters].copy(), bias[:clusters].copy()))


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
