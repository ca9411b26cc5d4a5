"""The rows of a model for Gaussian elimination (`mixed_rows`), under a trained network."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from scipy.sparse import csr_array, hstack

from pyfairme.compilation import jitted, per_structure
from pyfairme.data import Batch
from pyfairme.inference.laplace.laplace_evidence import Layout
from pyfairme.inference.laplace.linear_predictor import terms
from pyfairme.inference.laplace.mixed_rows import MixedRows, order_rows
from pyfairme.inference.svi import table_bucket
from pyfairme.model.effects import RandomEffects
from pyfairme.model.networks import Layer, mlp_apply

FEW_NUMBERS = 2e6  # of crossed factors, up to which a product of whole matrices is the faster


def lay_out(
    layout: Layout, network: Any, batch: Batch, features: np.ndarray | None = None
) -> MixedRows:
    """Return the design of D and of the largest factor's effects.

    ``features`` (n, K, r) are a tangent model's directions of weights, whose base is the offset
    alone; that of a latent last layer is, too, and every other one's is the network.
    """
    effects, n = layout.effects, len(batch.weight)
    outputs = effects.outputs
    if effects.layer:
        weight: Any = np.zeros((effects.inputs, outputs), np.float32)
        bias: Any = np.zeros(outputs, np.float32)
        network = (*network[:-1], Layer(weight, bias))
    extra = table_bucket(n) - n  # sizes that share compiled code
    x = np.pad(np.asarray(batch.x), ((0, extra), (0, 0)))
    fixed, hidden = jax.tree.map(lambda value: np.asarray(value)[:n], _layers()(network, x))
    last = np.asarray(hidden[-1] if hidden else batch.x)
    base = np.asarray(batch.offset, np.float64)[:, None] + np.zeros((n, outputs))
    if not layout.spec.tangent:
        base = base + np.asarray(fixed)
    columns = [np.zeros((n, outputs, 0)) if features is None else features]
    if layout.given or layout.spec.tangent:
        columns.append(_of_every_output(_with_constant(batch.x), outputs))
    if effects.layer:
        columns.append(_of_every_output(_with_constant(last), outputs))
    crossed = [_crossed(factor, batch, last) for factor in effects.others]
    together: Any = hstack(crossed, format="csr") if crossed else csr_array((n * outputs, 0))
    if together.shape[0] * together.shape[1] <= FEW_NUMBERS:
        columns.append(together.toarray().reshape(n, outputs, together.shape[1]))
        together = None
    local = effects.local
    z = np.zeros((n, outputs, outputs))
    code: np.ndarray = np.zeros(n, int)
    if local is not None:
        z = _of_every_output(terms(local, batch, last), outputs)
        code = np.asarray(batch.cluster[:, local.column])
    return order_rows(
        base,
        np.concatenate(columns, axis=2).astype(np.float64),
        together,
        z.astype(np.float64),
        code,
        np.asarray(batch.y),
        np.asarray(batch.weight),
        effects.clusters,
    )


def _with_constant(columns: Any) -> np.ndarray:
    return np.column_stack([columns, np.ones(len(columns))])


def _of_every_output(columns: Any, outputs: int) -> np.ndarray:
    """Return columns (n, c) for each output's own numbers, (n, K, c K)."""
    unit = np.eye(outputs, dtype=np.float32)
    wide = np.asarray(columns)[:, None, :, None] * unit[:, None, :]
    return wide.reshape(len(wide), outputs, wide.shape[2] * outputs)


def _crossed(factor: RandomEffects, batch: Batch, last: Any) -> Any:
    """Return the sparse design (n K, clusters d K) of a factor."""
    outputs = factor.outputs
    own = np.asarray(terms(factor, batch, last), np.float64)  # (n, d)
    n, width = own.shape
    code = np.asarray(batch.cluster[:, factor.column])
    first = code[:, None, None] * (width * outputs) + np.arange(outputs)[:, None]
    columns = first + outputs * np.arange(width)
    values = np.broadcast_to(own[:, None, :], columns.shape)
    pointers = np.arange(n * outputs + 1) * width
    shape = (n * outputs, factor.clusters * width * outputs)
    return csr_array((values.ravel(), columns.ravel(), pointers), shape=shape)


@per_structure()
def _layers() -> Any:
    return jitted(mlp_apply, "rows")
