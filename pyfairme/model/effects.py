"""Random effects of one grouping factor: hierarchical prior and contribution to the link.

    tau_0 ~ HalfNormal(s),  intercept_g ~ Normal(0, tau_0)
    tau_j ~ HalfNormal(s),  slope_gj    ~ Normal(0, tau_j)          for clusters g = 1..G

with s = ``likelihood.effect_scale * prior_scale``, unless a scale has another prior. Correlated
effects of a cluster have

    (intercept_g, slope_g) ~ Normal(0, diag(tau) R diag(tau)),  R ~ LKJ(2)

(Lewandowski, Kurowicka & Joe 2009) or as given, slopes drawn given the intercept. Sites carry the
factor's name, so that several crossed factors stand side by side; effects lie in a plate of
clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float, Int
from numpyro import handlers

from pyfairme.model.likelihoods import Latent

DENSE_CLUSTERS = (
    64  # up to here a one-hot product beats gathering each row's slopes on every device
)
LKJ_CONCENTRATION = 2.0  # a mild pull towards no correlation


@dataclass(frozen=True)
class RandomEffects:
    """A grouping factor: ``clusters`` levels, an intercept or not, slopes on columns of ``slopes``.

    ``column`` is its position among the batch's clusters. ``slopes`` holds indices into the batch's
    slope columns; ``hidden`` is the width of the last hidden layer when its activations carry the
    slopes instead, else 0. ``correlated``: the terms of a cluster are (LKJ prior).
    """

    name: str
    clusters: int
    column: int = 0
    outputs: int = 1
    intercept: bool = True
    slopes: tuple[int, ...] = ()
    hidden: int = 0
    correlated: bool = False

    @property
    def terms(self) -> int:
        """Number of slope terms q."""
        return self.hidden or len(self.slopes)

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the terms that exist: a subset of ("intercept", "slopes")."""
        return ("intercept",) * self.intercept + ("slopes",) * (self.terms > 0)

    def shape(self, term: str) -> tuple[int, ...]:
        """Shape of the effects of ``term``: (G, K), or (G, q, K) for slopes."""
        middle = (self.terms,) if term == "slopes" else ()
        return (self.clusters, *middle, self.outputs)

    @property
    def width(self) -> int:
        """Number of a cluster's effects per output: d = intercept + q."""
        return int(self.intercept) + self.terms

    def latents(self, scale: float, plate: str | None = None) -> tuple[Latent, ...]:
        """List scales before effects, in the order in which the model draws them."""
        scales = {
            term: Latent(f"{self.name}_{term}_sd", self.shape(term)[1:], True, 0.3 * scale)
            for term in self.sites
        }
        effects = {
            term: Latent(f"{self.name}_{term}", self.shape(term), False, 0.0, plate=plate)
            for term in self.sites
        }
        if self.correlated:
            square = (self.outputs, self.width, self.width)
            cholesky = Latent(f"{self.name}_cholesky", square, False, 0.0, correlations=True)
            return (*scales.values(), cholesky, *effects.values())
        return tuple(part[term] for term in self.sites for part in (scales, effects))


def sample(
    factor: RandomEffects,
    scale: Array | float,
    plate: str | None = None,
    priors: Mapping[str, dist.Distribution] = MappingProxyType({}),
    existing: Array | float | None = None,
) -> dict[str, Any]:
    """Draw a factor's scales and effects from the prior, as NumPyro sites.

    Effects are drawn in the ``plate`` of its clusters, named after the factor if not given:
    clusters are the first axis of their shape. ``priors`` holds, by site, those of scales and
    correlations that are not the default. ``existing`` says how many clusters there are, None for
    all: the others' density counts nothing.
    """
    clusters = partial(_in_plate, plate or factor.name, factor.clusters, existing)
    if factor.correlated:
        return _sample_correlated(factor, scale, clusters, priors)
    drawn = {}
    for term in factor.sites:
        shape = factor.shape(term)
        tau = f"{factor.name}_{term}_sd"
        drawn[tau] = numpyro.sample(tau, priors.get(tau, _half_normal(scale, shape[1:])))
        prior = dist.Normal(0.0, jnp.broadcast_to(drawn[tau], shape)).to_event(len(shape) - 1)
        with clusters():
            drawn[f"{factor.name}_{term}"] = numpyro.sample(f"{factor.name}_{term}", prior)
    return drawn


@contextmanager
def _in_plate(name: str, clusters: int, existing: Array | float | None) -> Iterator[None]:
    """Enter the plate of a factor's clusters, where those that do not exist count nothing."""
    with numpyro.plate(name, clusters, dim=-1):
        if existing is None:
            yield
            return
        with handlers.scale(scale=jnp.where(jnp.arange(clusters) < existing, 1.0, 0.0)):
            yield


def _half_normal(scale: Array | float, shape: tuple[int, ...]) -> dist.Distribution:
    return dist.HalfNormal(scale).expand(shape).to_event()


def _sample_correlated(
    factor: RandomEffects,
    scale: Array | float,
    clusters: Callable[[], AbstractContextManager[None]],
    priors: Mapping[str, dist.Distribution],
) -> dict[str, Any]:
    drawn = {}
    for term in factor.sites:
        tau = f"{factor.name}_{term}_sd"
        drawn[tau] = numpyro.sample(
            tau, priors.get(tau, _half_normal(scale, factor.shape(term)[1:]))
        )
    site = f"{factor.name}_cholesky"
    lkj = dist.LKJCholesky(factor.width, LKJ_CONCENTRATION).expand([factor.outputs]).to_event(1)
    drawn[site] = numpyro.sample(site, priors.get(site, lkj))
    mean: Any = jnp.zeros(factor.shape("slopes"))
    first = int(factor.intercept)
    if factor.intercept:
        site, tau = f"{factor.name}_intercept", drawn[f"{factor.name}_intercept_sd"]
        prior = dist.Normal(0.0, jnp.broadcast_to(tau, factor.shape("intercept"))).to_event(1)
        with clusters():
            drawn[site] = numpyro.sample(site, prior)
        lean = drawn[f"{factor.name}_slopes_sd"] * drawn[f"{factor.name}_cholesky"][:, 1:, 0].T
        mean = lean * (drawn[site] / tau)[:, None, :]
    rest = drawn[f"{factor.name}_cholesky"][:, first:, first:]  # (K, q, q)
    tril = drawn[f"{factor.name}_slopes_sd"].T[:, :, None] * rest
    size = factor.terms * factor.outputs
    whole = jnp.einsum("kab,kl->akbl", tril, jnp.eye(factor.outputs)).reshape(size, size)
    given = dist.MultivariateNormal(mean.reshape(-1, size), scale_tril=whole)
    shaped = dist.transforms.ReshapeTransform(factor.shape("slopes")[1:], (size,))
    site = f"{factor.name}_slopes"
    with clusters():
        drawn[site] = numpyro.sample(site, dist.TransformedDistribution(given, shaped))
    return drawn


def slope_columns(
    factor: RandomEffects, r: Float[Array | np.ndarray, "n q"]
) -> Float[Array | np.ndarray, "n _"]:
    """Return the columns that carry the factor's slopes."""
    if factor.hidden or factor.slopes == tuple(range(r.shape[1])):
        return r
    return r[:, np.array(factor.slopes)]


def by_cluster(
    factor: RandomEffects, latents: Mapping[str, Array], r: Float[Array, "n _"]
) -> Float[Array, "n g k"]:
    """Return intercept_g + r_i . slope_g for every row i and every cluster g."""
    every = jnp.zeros((r.shape[0], factor.clusters, factor.outputs))
    if factor.intercept:
        every = every + latents[f"{factor.name}_intercept"][None]
    if factor.terms:
        slopes = jnp.moveaxis(latents[f"{factor.name}_slopes"], 1, 0)
        every = every + (slope_columns(factor, r) @ slopes.reshape(factor.terms, -1)).reshape(
            every.shape
        )
    return every


def contribution(
    factor: RandomEffects,
    latents: Mapping[str, Array],
    membership: Float[Array, "n g"],
    r: Float[Array, "n _"],
) -> Float[Array, "n k"]:
    """Return sum_g membership_ig (intercept_g + r_i . slope_g): soft or one-hot membership.

    One product with membership x r (n, g q): for many draws of the latents it stays one product of
    matrices, nine times as fast as every cluster's effect followed by their mean.
    """
    total = jnp.zeros((r.shape[0], factor.outputs))
    if factor.intercept:
        total = total + membership @ latents[f"{factor.name}_intercept"]
    if factor.terms:
        pairs = membership[:, :, None] * slope_columns(factor, r)[:, None, :]
        slopes = latents[f"{factor.name}_slopes"].reshape(-1, factor.outputs)
        total = total + pairs.reshape(r.shape[0], -1) @ slopes
    return total


def contribution_of(
    factor: RandomEffects,
    latents: Mapping[str, Array],
    codes: Int[Array, " n"],
    r: Float[Array, "n _"],
) -> Float[Array, "n k"]:
    """Return intercept_z + r . slope_z for cluster codes z (n,); a code of -1 contributes zero."""
    if factor.clusters <= DENSE_CLUSTERS:
        # for one draw every cluster's effect is cheaper than the product in `contribution`
        membership = jax.nn.one_hot(codes, factor.clusters)
        return (membership[:, :, None] * by_cluster(factor, latents, r)).sum(axis=1)
    inside = jnp.maximum(codes, 0)
    total = jnp.zeros((codes.shape[0], factor.outputs))
    if factor.intercept:
        total = total + latents[f"{factor.name}_intercept"][inside]
    if factor.terms:
        slopes = latents[f"{factor.name}_slopes"][inside]
        total = total + jnp.einsum("nq,nqk->nk", slope_columns(factor, r), slopes)
    return jnp.where(codes[:, None] >= 0, total, 0.0)
