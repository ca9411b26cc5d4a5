"""How far the groups of every sensitive attribute are apart: one smooth number per attribute.

The mean absolute difference between a group's mean prediction and that of all, within the rows
that the criterion compares: the group-moment penalty of `penalties`. `nuts` and `adapt` keep it
small on request; the estimators compare it before and after.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pyfairme.compilation import jitted, per_structure
from pyfairme.data import Batch
from pyfairme.inference.jax_runtime import with_jax
from pyfairme.model.likelihoods import residual_of
from pyfairme.model.penalties import View, group_gaps
from pyfairme.model.program import ModelSpec


def link_gaps(spec: ModelSpec, eta: Array, batch: Batch) -> Array:
    """Return every attribute's disparity (A,) for links eta (n, K); padded rows weigh 0."""
    likelihood = spec.likelihood
    residual = residual_of(likelihood, eta, batch.y)
    return _gaps(spec, likelihood.bounded(eta), likelihood.outcome(batch.y), batch, residual)


@with_jax
def prediction_gaps(
    spec: ModelSpec, predicted: np.ndarray, batch: Batch, weights: np.ndarray
) -> np.ndarray:
    """Return every attribute's disparity (r, A) under r sets of the rows' weights (r, n).

    ``predicted`` holds means (n,) or probabilities (n, k); real targets are in their own units.
    """
    values, weights = predicted.astype(np.float32), weights.astype(np.float32)
    return np.asarray(_replicates(spec)(values, batch, weights))


@per_structure()
def _replicates(spec: ModelSpec) -> Callable[..., Array]:
    def one(predicted: Array, batch: Batch, weight: Array) -> Array:
        if predicted.ndim == 2:
            values = predicted[:, 1:] if predicted.shape[1] == 2 else predicted
            outcome = spec.likelihood.outcome(batch.y)
        else:
            values, outcome = predicted[:, None], jnp.asarray(batch.y, jnp.float32)[:, None]
        return _gaps(spec, values, outcome, batch._replace(weight=weight))

    return jitted(jax.vmap(one, (None, None, 0)), "once")


def _gaps(
    spec: ModelSpec, values: Array, outcome: Any, batch: Batch, residual: Array | None = None
) -> Array:
    view = View(
        name="mixed",
        prediction=values,
        outcome=outcome,
        strata=spec.likelihood.strata(batch.y),
        sensitive=jnp.asarray(batch.sensitive),
        share=jnp.asarray(batch.weight) / batch.weight.sum(),
        balance=(),
        strength=jnp.zeros(len(spec.attributes)),
        residual=residual,
    )
    found = []
    for index, attribute in enumerate(spec.attributes):
        gaps, exists = group_gaps(view, index, attribute, spec.criterion)
        found.append((gaps * exists).sum() / jnp.maximum(exists.sum(), 1.0))
    return jnp.stack(found) if found else jnp.zeros(0)
