"""Predictions from a fitted program, in chunks of one fixed shape.

Every chunk has ``CHUNK`` rows, padded if need be: one compiled function serves all calls, memory
does not grow with rows x draws, and a row's prediction does not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pyfairme.data import Batch
from pyfairme.inference.svi import pad
from pyfairme.model.effects import by_cluster
from pyfairme.model.program import ModelSpec, Prediction, predictor

__all__ = [
    "CHUNK",
    "Fit",
    "Query",
    "log_density",
    "mean_link",
    "means",
    "outcomes",
    "quantiles",
    "with_new_clusters",
]

CHUNK = 1024
MEAN_DRAWS = 200  # draws behind a posterior mean: its Monte-Carlo error is sd / 14


@dataclass(frozen=True)
class Fit:
    """A fitted program: structure, networks and posterior draws, all NumPy.

    Every leaf of ``network`` leads with the members of the ensemble. ``draws`` maps a latent's name
    to (members, draws, *shape), on the model's own scale: a member is a chain. ``centre`` is each
    member's mean fixed link over training rows (members, K), at which the random part is read.
    ``membership`` holds the z-predictor's layers of every factor, or nothing.
    """

    spec: ModelSpec
    network: Any
    draws: dict[str, np.ndarray]
    centre: np.ndarray
    membership: tuple[Any, ...] = ()


class Query(NamedTuple):
    """Rows to predict: encoded, with soft memberships per factor where clusters are inferred.

    ``spec`` and ``draws`` are the fit's, or hold extra clusters drawn for this query.
    """

    spec: ModelSpec
    network: Any
    draws: Mapping[str, np.ndarray]
    centre: np.ndarray
    batch: Batch
    membership: tuple[np.ndarray, ...] | None


def means(query: Query, effects: str) -> np.ndarray:
    """Posterior mean of the likelihood's mean: probabilities (n, classes) or values (n,)."""
    function = _compiled(query.spec, effects, query.membership is not None, "mean")
    draws = _thin(query.draws, MEAN_DRAWS)
    return _over_chunks(query, lambda batch, soft, _: function(query, draws, batch, soft))


def quantiles(
    query: Query, effects: str, probabilities: tuple[float, ...], kind: str, seed: int
) -> np.ndarray:
    """Quantiles over draws of the mean (``kind="mean"``) or of new outcomes: (len, n, ...)."""
    function = _compiled(query.spec, effects, query.membership is not None, f"quantile_{kind}")
    at = jnp.asarray(probabilities)
    # One stream of noise for every row: an interval is marginal, and must not depend on batching.
    keys = jnp.broadcast_to(jax.random.key(seed), (CHUNK,))
    found = _over_chunks(
        query,
        lambda batch, soft, _: jnp.moveaxis(
            function(query, query.draws, batch, soft, keys, at), 0, 1
        ),
    )
    return np.moveaxis(found, 1, 0)


def outcomes(query: Query, effects: str, draws: int, seed: int) -> np.ndarray:
    """Draw new outcomes from the likelihood: (draws, n)."""
    function = _compiled(query.spec, effects, query.membership is not None, "outcome")
    chosen = _thin(query.draws, draws)
    base = jax.random.key(seed)

    def chunk(batch: Batch, soft: Any, start: int) -> Array:
        keys = jax.vmap(lambda i: jax.random.fold_in(base, i))(jnp.arange(start, start + CHUNK))
        return function(query, chosen, batch, soft, keys, None).T

    return _over_chunks(query, chunk).T


def log_density(query: Query, effects: str) -> np.ndarray:
    """Log posterior predictive density of the batch's own y: log mean over draws of p(y), (n,)."""
    function = _compiled(query.spec, effects, query.membership is not None, "density")
    return _over_chunks(query, lambda batch, soft, _: function(query, query.draws, batch, soft))


def mean_link(query: Query, effects: str) -> np.ndarray:
    """Posterior mean of the link, (n, K)."""
    function = _compiled(query.spec, effects, query.membership is not None, "link")
    draws = _thin(query.draws, MEAN_DRAWS)
    return _over_chunks(query, lambda batch, soft, _: function(query, draws, batch, soft))


def _thin(draws: Mapping[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
    """Take about ``number`` draws over all members, evenly spread; too few are repeated."""
    if not draws:
        return {}
    members, have = next(iter(draws.values())).shape[:2]
    wanted = -(-number // members)
    if wanted <= have:
        index = np.linspace(0, have - 1, wanted).round().astype(int)
    else:
        index = np.arange(wanted) % have
    return {name: value[:, index] for name, value in draws.items()}


def _over_chunks(query: Query, function: Callable[[Batch, Any, int], Array]) -> np.ndarray:
    parts = [
        np.asarray(function(batch, soft, start))[:count]
        for batch, soft, start, count in _chunks(query)
    ]
    return np.concatenate(parts)


def _chunks(query: Query) -> Iterator[tuple[Batch, Any, int, int]]:
    rows = query.batch.x.shape[0]
    for start in range(0, max(rows, 1), CHUNK):
        part = slice(start, min(start + CHUNK, rows))
        batch = Batch(*(None if a is None else a[part] for a in query.batch))
        soft = query.membership
        if soft is not None:
            soft = tuple(np.pad(m[part], [(0, CHUNK - len(m[part])), (0, 0)]) for m in soft)
        yield pad(batch, CHUNK), soft, start, part.stop - part.start


@lru_cache(maxsize=128)
def _compiled(spec: ModelSpec, effects: str, soft: bool, kind: str) -> Callable[..., Array]:
    likelihood = spec.likelihood

    def links(network: Any, draws: Any, batch: Batch, membership: Any, centre: Any) -> Any:
        """Link of the wanted effects, one per member and draw: (members * draws, n, K)."""

        def member(layers: Any, latents: Any, at: Array) -> Array:
            def one(values: Any) -> Array:
                return _choose(predictor(spec, layers, values, batch, membership), effects, at)

            return jax.vmap(one)(latents) if latents else one({})[None]

        eta = jax.vmap(member)(network, draws, centre)
        return eta.reshape(-1, *eta.shape[2:])

    def spread(network: Any, draws: Any, batch: Batch, membership: Any, centre: Array) -> Array:
        """Links whose draws also vary as the cluster of an inferred row does."""
        eta = links(network, draws, batch, membership, centre)
        if not soft or effects == "fixed" or not draws:
            return eta
        noise = jax.random.normal(jax.random.key(0), (eta.shape[0], 1, 1))
        return eta + noise * _between(spec, network, draws, batch, membership)

    def values(flat: Any, eta: Any) -> Any:
        """Mean of the likelihood for every draw of the link."""
        if not flat:
            return jax.vmap(lambda e: likelihood.mean(e, {}))(eta)
        return jax.vmap(likelihood.mean)(eta, flat)

    def sampled(flat: Any, eta: Any, keys: Array) -> Any:
        """One new outcome per draw and row: (draws, n)."""

        def one(e: Array, v: Any, index: Array) -> Array:
            def row(link: Array, key: Array) -> Array:
                return likelihood.distribution(link, v).sample(jax.random.fold_in(key, index))

            return jax.vmap(row)(e, keys)

        index = jnp.arange(eta.shape[0])
        if not flat:
            return jax.vmap(lambda e, i: one(e, {}, i))(eta, index)
        return jax.vmap(one)(eta, flat, index)

    def densities(flat: Any, eta: Any, y: Any) -> Any:
        if not flat:
            return jax.vmap(lambda e: likelihood.distribution(e, {}).log_prob(y))(eta)
        return jax.vmap(lambda e, v: likelihood.distribution(e, v).log_prob(y))(eta, flat)

    @jax.jit
    def run(
        network: Any, draws: Any, batch: Batch, membership: Any, centre: Array, *more: Any
    ) -> Array:
        flat = {name: value.reshape(-1, *value.shape[2:]) for name, value in draws.items()}
        if kind == "link":
            return links(network, draws, batch, membership, centre).mean(axis=0)
        if kind == "mean":
            return values(flat, links(network, draws, batch, membership, centre)).mean(axis=0)
        if kind == "density":
            eta = spread(network, draws, batch, membership, centre)
            return _log_mean_exp(densities(flat, eta, batch.y))
        keys, at = more
        eta = spread(network, draws, batch, membership, centre)
        if kind == "quantile_mean":
            return jnp.quantile(values(flat, eta), at, axis=0)
        drawn = sampled(flat, eta, keys)
        return drawn if kind == "outcome" else jnp.quantile(drawn.astype(jnp.float32), at, axis=0)

    def call(query: Query, draws: Any, batch: Batch, membership: Any, *more: Any) -> Array:
        return run(query.network, dict(draws), batch, membership, query.centre, *more)

    return call


def _log_mean_exp(values: Array) -> Array:
    return jax.nn.logsumexp(values, axis=0) - jnp.log(values.shape[0])


def _choose(prediction: Prediction, effects: str, centre: Array) -> Array:
    if effects == "random":
        return centre + prediction.random
    return prediction.fixed if effects == "fixed" else prediction.mixed


def _between(
    spec: ModelSpec, network: Any, draws: Any, batch: Batch, membership: tuple[Array, ...]
) -> Array:
    """Return the SD of the random part over a row's possible clusters: (draws, n, K)."""

    def one(layers: Any, latents: Any) -> Array:
        hidden = predictor(spec, layers, latents, batch, membership).hidden
        variance = jnp.zeros((batch.x.shape[0], spec.likelihood.outputs))
        for factor, weight in zip(spec.factors, membership, strict=True):
            every = by_cluster(factor, latents, hidden[-1] if factor.hidden else batch.slopes)
            mean = (weight[:, :, None] * every).sum(axis=1, keepdims=True)
            variance = variance + (weight[:, :, None] * (every - mean) ** 2).sum(axis=1)
        return jnp.sqrt(variance)

    def member(pair: Any) -> Array:
        return jax.lax.map(lambda latents: one(pair[0], latents), pair[1])

    found = jax.lax.map(member, (network, draws))
    return found.reshape(-1, *found.shape[2:])


def with_new_clusters(
    fit: Fit, factor: int, labels: list[str], seeds: list[int]
) -> tuple[ModelSpec, dict[str, np.ndarray]]:
    """Append one cluster per label, drawn from the prior with each draw's fitted scales.

    ``seeds`` derive from the labels, so that a cluster's effects depend neither on batching nor on
    the other new clusters. The number of clusters grows to a power of two, to compile rarely.
    """
    old = fit.spec.factors[factor]
    room = 1 << max(0, (len(labels) - 1).bit_length())
    draws = dict(fit.draws)
    for term in old.sites:
        scale = fit.draws[f"{old.name}_{term}_sd"]
        fresh = np.zeros((*scale.shape[:2], room, *scale.shape[2:]), np.float32)
        for index, seed in enumerate(seeds):
            normal = np.random.default_rng([seed, len(term)]).standard_normal(scale.shape)
            fresh[:, :, index] = scale * normal
        draws[f"{old.name}_{term}"] = np.concatenate([draws[f"{old.name}_{term}"], fresh], axis=2)
    grown = replace(old, clusters=old.clusters + room)
    factors = (*fit.spec.factors[:factor], grown, *fit.spec.factors[factor + 1 :])
    return replace(fit.spec, factors=factors), draws
