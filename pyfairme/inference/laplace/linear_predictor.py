"""The linear predictor laid out for Gaussian elimination: eta = base + x . D + r . u_cluster.

u are the effects of the factor with the most of them (the local one); D is everything else that
is linear: a latent last layer and the effects of the smaller factors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import block_diag
from jaxtyping import Array, Float, Int

from pyfairme.data import Batch
from pyfairme.model.effects import RandomEffects, slope_columns
from pyfairme.model.likelihoods import Latent
from pyfairme.model.program import LAST_LAYER, ModelSpec

FEW_CLUSTERS = 64  # up to which products of matrices are faster than gathers and scatters
Either = Array | np.ndarray
HUGE = 1e20  # stands for what is not finite, so that 0 times it is 0


@dataclass(frozen=True)
class LinearPredictor:
    """Which latents are hyper-parameters, which are in D, and which factor is local."""

    spec: ModelSpec

    @property
    def outputs(self) -> int:
        """Number of outputs K."""
        return self.spec.likelihood.outputs

    @property
    def local(self) -> RandomEffects | None:
        """The factor with the most effects."""
        return max(self.spec.factors, key=lambda f: f.clusters * f.width, default=None)

    @property
    def others(self) -> tuple[RandomEffects, ...]:
        """The smaller factors."""
        return tuple(f for f in self.spec.factors if f != self.local)

    @property
    def inputs(self) -> int:
        """Inputs of the last layer."""
        return self.spec.hidden[-1] if self.spec.hidden else self.spec.covariates

    @property
    def layer(self) -> int:
        """Columns of x that belong to the last layer: its inputs and a constant."""
        return self.inputs + 1 if self.spec.last_layer else 0

    @property
    def dense(self) -> int:
        """How many numbers D holds."""
        return (self.layer + sum(f.clusters * f.width for f in self.others)) * self.outputs

    @property
    def width(self) -> int:
        """How many effects a local cluster has, over all outputs."""
        return self.local.width * self.outputs if self.local else self.outputs

    @property
    def clusters(self) -> int:
        """Local clusters; without a factor one whose effects have no design."""
        return self.local.clusters if self.local else 1

    @property
    def hypers(self) -> tuple[Latent, ...]:
        """Scales, correlations and the likelihood's own parameters."""
        effects = {f"{f.name}_{term}" for f in self.spec.factors for term in f.sites}
        return tuple(v for v in self.spec.latents if v.name not in {*effects, *LAST_LAYER})


class DesignRows(NamedTuple):
    """The rows of the linear predictor; ``code`` is the row's local cluster.

    None means that rows are in the order of their clusters, and all of these have as many.
    """

    base: Float[Array, "n k"]
    x: Float[Array, "n m"]
    r: Float[Array, "n d"]
    code: Int[Array, " n"] | None
    y: Array
    weight: Float[Array, " n"]


def terms(factor: RandomEffects, batch: Batch, last: Either) -> Any:
    """Return what multiplies a cluster's effects: (n, d)."""
    own: Any = last if factor.hidden else batch.slopes
    own = slope_columns(factor, own) if factor.terms else own[:, :0]
    space = own.__array_namespace__()
    return space.concatenate(
        [space.ones((len(own), int(factor.intercept)), own.dtype), own], axis=1
    )


def link(rows: DesignRows, dense: Array, local: Array) -> Array:
    """Return eta (n, K) from D (M,) and u (G, a)."""
    outputs = rows.base.shape[1]
    return rows.base + rows.x @ dense.reshape(-1, outputs) + _random_part(rows, local, outputs)


def _random_part(rows: DesignRows, local: Array, outputs: int) -> Array:
    """Return r . u of every row's cluster (n, K)."""
    clusters = local.shape[0]
    if clusters == 1:
        return rows.r @ local.reshape(-1, outputs)
    if rows.code is None:
        each = rows.r.reshape(clusters, -1, rows.r.shape[1])
        own = local.reshape(clusters, rows.r.shape[1], outputs)
        return jnp.einsum("grd,gdk->grk", each, own).reshape(-1, outputs)
    if clusters <= FEW_CLUSTERS:
        every = (_one_hot(rows, clusters)[:, :, None] * rows.r[:, None, :]).reshape(len(rows.r), -1)
        return jnp.matmul(every, _finite(local).reshape(-1, outputs), precision="highest")
    effects = local.reshape(clusters, -1, outputs)[rows.code]
    return (rows.r[:, :, None] * effects).sum(1)


def sum_by_cluster(rows: DesignRows, values: Array, clusters: int) -> Array:
    """Sum values (n, ...) over the rows of each local cluster: (G, ...).

    Of few clusters by one product of matrices, which under `vmap` is many times as fast as a
    scatter; what is not finite then becomes huge, so that it stays within its cluster.
    """
    if clusters == 1:
        return values.sum(axis=0)[None]
    if rows.code is None:
        return values.reshape(clusters, -1, *values.shape[1:]).sum(axis=1)
    if clusters <= FEW_CLUSTERS:
        flat = _finite(values).reshape(values.shape[0], -1)
        sums = jnp.matmul(_one_hot(rows, clusters).T, flat, precision="highest")
        return sums.reshape(clusters, *values.shape[1:])
    return jnp.zeros((clusters, *values.shape[1:])).at[rows.code].add(values)


def _one_hot(rows: DesignRows, clusters: int) -> Array:
    return jax.nn.one_hot(rows.code, clusters)


def _finite(values: Array) -> Array:
    return jnp.nan_to_num(values, nan=-HUGE, posinf=HUGE, neginf=-HUGE)


def whitening(
    layout: LinearPredictor, hypers: Mapping[str, Array], layer_scale: Array | float
) -> tuple[Array, Array]:
    """Return T of D (M, M) and of one local cluster (a, a).

    ``layer_scale`` is the SD of the prior of a latent last layer.
    """
    blocks = []
    if layout.layer:
        blocks.append(layer_scale * jnp.eye(layout.layer * layout.outputs))
    for factor in layout.others:
        own = cluster_scale(factor, hypers)
        blocks.append(jnp.kron(jnp.eye(factor.clusters), own))
    dense = block_diag(*blocks) if blocks else jnp.zeros((0, 0))
    return dense, cluster_scale(layout.local, hypers) if layout.local else jnp.eye(layout.outputs)


def cluster_scale(factor: RandomEffects, hypers: Mapping[str, Array]) -> Array:
    """Return T with u = T v of one cluster, (d K, d K): scales times correlations."""
    taus = [jnp.atleast_2d(hypers[f"{factor.name}_{term}_sd"]) for term in factor.sites]
    tau = jnp.concatenate(taus)  # (d, K)
    if factor.correlated:
        tril = tau.T[:, :, None] * hypers[f"{factor.name}_cholesky"]
    else:
        tril = jax.vmap(jnp.diag)(tau.T)
    size = factor.width * factor.outputs
    return jnp.einsum("kab,kl->akbl", tril, jnp.eye(factor.outputs)).reshape(size, size)


def part(layout: LinearPredictor, dense: Either, local: Either) -> dict[str, Any]:
    """Name the latents in D (..., M) and u (..., G, a); arrays of NumPy stay such, as in `join`."""
    found, at, draws = {}, 0, dense.shape[:-1]
    if layout.layer:
        at = layout.layer * layout.outputs
        numbers = dense[..., :at].reshape(*draws, layout.layer, layout.outputs)
        found = {LAST_LAYER[0]: numbers[..., :-1, :], LAST_LAYER[1]: numbers[..., -1, :]}
    for factor in layout.others:
        size = factor.clusters * factor.width * factor.outputs
        own = dense[..., at : at + size].reshape(*draws, factor.clusters, size // factor.clusters)
        found |= by_term(factor, own)
        at += size
    return found | (by_term(layout.local, local) if layout.local else {})


def by_term(factor: RandomEffects, effects: Either) -> dict[str, Any]:
    """Name the effects (..., G, a) of a factor."""
    shape = (*effects.shape[:-2], factor.clusters, factor.width, factor.outputs)
    effects = effects.reshape(shape)
    found = {f"{factor.name}_intercept": effects[..., 0, :]} if factor.intercept else {}
    if factor.terms:
        found[f"{factor.name}_slopes"] = effects[..., int(factor.intercept) :, :]
    return found


def join(layout: LinearPredictor, latents: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return D (M,) and u (G, a) from named latents: the inverse of `part`.

    Arrays of NumPy are joined by NumPy: JAX would compile each concatenation.
    """
    pieces = [latents[name].ravel() for name in LAST_LAYER] if layout.layer else []
    pieces += [_effects(factor, latents).ravel() for factor in layout.others]
    found = [np.zeros(0, np.float32)] if layout.local is None else [_effects(layout.local, latents)]
    space = (*pieces, *found)[0].__array_namespace__()
    dense = space.concatenate(pieces) if pieces else space.zeros(0)
    if layout.local is None:
        return dense, space.zeros((1, layout.outputs))
    return dense, found[0].reshape(layout.clusters, -1)


def _effects(factor: RandomEffects, latents: Mapping[str, Any]) -> Any:
    """Return the effects (G, d, K)."""
    found: list[Any] = []
    if factor.intercept:
        found = [latents[f"{factor.name}_intercept"][:, None]]
    found += [latents[f"{factor.name}_slopes"]] if factor.terms else []
    return found[0].__array_namespace__().concatenate(found, axis=1)
