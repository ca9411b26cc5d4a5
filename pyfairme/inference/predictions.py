"""Predictions from a fitted program, in chunks of one fixed shape.

Every chunk has ``CHUNK`` rows, padded if need be: one compiled function serves all calls, memory
does not grow with rows x draws, and a row's prediction does not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pyfairme.compilation import jitted, make_room, per_structure
from pyfairme.data import Batch
from pyfairme.inference.cluster_buckets import filled_columns, filled_effects, filled_spec
from pyfairme.inference.jax_runtime import with_jax
from pyfairme.inference.soft_memberships import alone, between, own_sd, soft_predictor
from pyfairme.inference.svi import pad
from pyfairme.model.effects import DENSE_CLUSTERS
from pyfairme.model.program import ModelSpec, Prediction

CHUNK = 1024
EFFECTS = ("fixed", "random", "mixed")
ALONE = 1 << 20  # folded into keys of rows whose cluster is their own
MEAN_DRAWS = 200  # draws behind a posterior mean: its Monte-Carlo error is sd / 14
NODES = 16  # of Gauss-Hermite quadrature: errs by 2e-5 at an SD of 2 logits, 5e-4 at 3
POINTS = 64  # of a Sobol sequence and as many opposite, where several links vary at once


@dataclass(frozen=True)
class Fit:
    """A fitted program: structure, networks and posterior draws, all NumPy.

    Every leaf of ``network`` leads with the members of the ensemble. ``draws`` maps a latent's name
    to (members, draws, *shape), on the model's own scale: a member is a chain. ``centre`` is each
    member's mean fixed link over training rows (members, K), at which the random part is read.
    ``membership`` holds the layers of every factor's cluster classifier (none of one with too many
    clusters), or nothing; ``likeness`` what belonging to a cluster is worth (see `likeness`).
    ``quality`` says what the draws are worth, per member: Pareto's k after a block guide; R-hat,
    effective sample size and divergences after NUTS. ``gains`` (members, 2) are those of a
    network's linear model (`pyfairme.model.tangent`), None of other models and of older files.
    """

    spec: ModelSpec
    network: Any
    draws: dict[str, np.ndarray]
    centre: np.ndarray
    membership: tuple[Any, ...] = ()
    quality: Mapping[str, np.ndarray] = field(default_factory=dict)
    likeness: Mapping[str, np.ndarray] = field(default_factory=dict)
    gains: np.ndarray | None = None


class Query(NamedTuple):
    """Rows to predict: encoded, with soft memberships per factor where clusters are inferred.

    ``spec`` and ``draws`` are the fit's, or hold extra clusters drawn for this query, and how much
    new clusters share with known ones. ``membership`` is zero where a row's cluster is known;
    ``alone`` (n, factors) is 1 for rows that are each a cluster of their own.
    """

    spec: ModelSpec
    network: Any
    draws: Mapping[str, np.ndarray]
    centre: np.ndarray
    batch: Batch
    membership: tuple[np.ndarray, ...] | None
    alone: np.ndarray | None = None


class Soft(NamedTuple):
    """One chunk's part of what a query says of rows whose cluster is not known."""

    membership: Any
    alone: Any


class PredictionInputs(NamedTuple):
    """One chunk's inputs of a compiled function; ``which`` numbers the kind of effects."""

    network: Any
    draws: Any
    batch: Batch
    soft: Soft
    centre: Any
    which: Any


@with_jax
def means(query: Query, effects: str) -> np.ndarray:
    """Posterior mean of the likelihood's mean: probabilities (n, classes) or values (n,)."""
    return _finite(_by_row(ready(query, MEAN_DRAWS), effects, outcome_mean))


@with_jax
def every_mean(query: Query) -> dict[str, np.ndarray]:
    """Return `means` of all kinds of effects at the cost of little more than one."""
    found = _finite(_by_row(ready(query, MEAN_DRAWS), "mixed", outcome_mean_of_all_effects))
    return {effects: found[:, i] for i, effects in enumerate(EFFECTS)}


@with_jax
def quantiles(
    query: Query, effects: str, probabilities: tuple[float, ...], kind: str, seed: int
) -> np.ndarray:
    """Quantiles over draws of the mean (kind "mean") or of new, one-hot outcomes: (len, n, ...)."""
    quantity = means_of_draws if kind == "mean" else outcomes_of_draws
    query = ready(query)
    function = _compiled(query.spec, quantity)
    # One stream of noise for every row: an interval is marginal, and must not depend on batching.
    key = jax.random.key(seed)

    def chunk(batch: Batch, soft: Any, _: int) -> np.ndarray:
        every = np.asarray(function(query, effects, batch, soft, key))
        return np.moveaxis(_quantiles(every, probabilities), 0, 1)

    found = _over_chunks(query, chunk).astype(np.float32)
    return np.moveaxis(_finite(found) if kind == "mean" else found, 1, 0)


@with_jax
def outcomes(
    query: Query,
    effects: str,
    draws: int,
    seed: int,
    identity: np.ndarray,
    decode: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """Draw new outcomes from the likelihood, in the units that ``decode`` returns: (draws, n).

    ``identity``, uint64[n], seeds the noise of each row, whatever rows come with it: rows that are
    drawn in several calls are then as independent of each other as those of one call.
    """
    query = ready(query, draws)
    function = _compiled(query.spec, new_outcomes)
    base = jax.random.key(seed)
    halves = identity.astype(np.uint64)[:, None] >> np.array([32, 0], np.uint64)
    seeds = np.pad((halves & np.uint64(2**32 - 1)).astype(np.uint32), [(0, CHUNK), (0, 0)])

    def key(pair: Array) -> Array:
        return jax.random.fold_in(jax.random.fold_in(base, pair[0]), pair[1])

    def chunk(batch: Batch, soft: Any, start: int) -> np.ndarray:
        keys = jax.vmap(key)(jnp.asarray(seeds[start : start + CHUNK]))
        return decode(np.asarray(function(query, effects, batch, soft, keys))).T

    return _over_chunks(query, chunk, rows_last=True).T


@with_jax
def each_mean(
    query: Query,
    effects: str,
    draws: int,
    seed: int,
    take: Callable[[slice, np.ndarray], None],
) -> None:
    """Hand the likelihood's mean under every draw to ``take``, chunk by chunk: (n, ..., draws).

    Rows of one new cluster share its effect where the query is joint; a row without a cluster has
    noise by its position, the same in every call. ``effects`` "integrated" averages the mixed
    prediction over the cluster of each row that is alone.
    """
    integrated = effects == "integrated"
    quantity = means_over_clusters if integrated else means_of_rows
    query = ready(query, draws)
    function = _compiled(query.spec, quantity)
    base = jax.random.key(seed)

    def chunk(batch: Batch, soft: Any, start: int) -> np.ndarray:
        places = jnp.arange(start, start + CHUNK)
        keys = jax.vmap(lambda place: jax.random.fold_in(base, place))(places)
        found = function(query, "mixed" if integrated else effects, batch, soft, keys)
        rows = min(start + CHUNK, query.batch.x.shape[0]) - start
        values = _finite(np.asarray(found)[:rows])
        take(slice(start, start + rows), values)
        return np.empty((CHUNK, 0), np.float32)

    _over_chunks(query, chunk)


@with_jax
def log_density(query: Query) -> dict[str, np.ndarray]:
    """Log posterior predictive density of the batch's own y by kind of effects, (n,).

    The log of the mean over draws of p(y).
    """
    found = _by_row(ready(query), "mixed", log_predictive_density_of_all_effects)
    return {effects: found[:, i] for i, effects in enumerate(EFFECTS)}


@with_jax
def log_likelihood(query: Query, effects: str) -> np.ndarray:
    """Log density of the batch's own y for every draw: log p(y | draw), (draws, n)."""
    return _by_row(ready(query), effects, log_density_of_draws).T


@with_jax
def mean_link(query: Query, effects: str) -> np.ndarray:
    """Posterior mean of the link, (n, K)."""
    return _by_row(ready(query, MEAN_DRAWS), effects, link_mean)


def _quantiles(every: np.ndarray, probabilities: tuple[float, ...]) -> np.ndarray:
    """Return quantiles along the last axis: (len(probabilities), ...).

    NumPy selects where XLA sorts, which takes five times as long.
    """
    with np.errstate(invalid="ignore"):
        found = np.quantile(every, probabilities, axis=-1)
    lost = np.isnan(found)
    if lost.any():  # between two infinite draws, which leave no number
        above = np.quantile(every, probabilities, axis=-1, method="higher")
        found = np.where(lost, above, found)
    return found


def _finite(found: np.ndarray) -> np.ndarray:
    """Refuse predictions (n, ...) that are no numbers: none of them may pass for a decision."""
    bad = np.asarray(~np.isfinite(found).reshape(len(found), -1).all(axis=1))
    if bad.any():
        raise FloatingPointError(
            f"{bad.sum()} of {len(bad)} predictions are not finite, the first at positions "
            f"{np.flatnonzero(bad)[:3].tolist()}: single precision does not hold them. Look for "
            "extreme values among these rows' numbers and offsets. [prediction-not-finite]"
        )
    return found


def ready(query: Query, draws: int | None = None) -> Query:
    """Return the query as compiled functions take it: about so many draws, clusters filled up.

    What predictions do not depend on is left out, so that models of one shape share their code.
    Draws are on the device: once, not for every chunk.
    """
    chosen = query.draws if draws is None else _thin(query.draws, draws)
    soft = query.membership
    if soft is not None:
        every = zip(soft, query.spec.factors, strict=True)
        soft = tuple(filled_columns(one, factor) for one, factor in every)
    held = jax.device_put(filled_effects(query.spec, chosen, 2))
    return query._replace(spec=filled_spec(_bare(query.spec)), draws=held, membership=soft)


def _by_row(query: Query, effects: str, quantity: Quantity) -> np.ndarray:
    """Compute a quantity whose first axis is the rows."""
    function = _compiled(query.spec, quantity)
    return _over_chunks(query, lambda batch, soft, _: function(query, effects, batch, soft))


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
    return {name: np.asarray(value)[:, index] for name, value in draws.items()}


def _over_chunks(
    query: Query, function: Callable[[Batch, Any, int], Any], *, rows_last: bool = False
) -> np.ndarray:
    """Return what ``function`` finds of all rows, (n, ...): one array, filled chunk by chunk.

    ``rows_last`` lays it out in memory as its transpose.
    """
    make_room(query.spec, query.draws, query.network)
    whole = None
    for batch, soft, start, count in _chunks(query):
        part = np.asarray(function(batch, soft, start))[:count]
        if whole is None:
            shape = (query.batch.x.shape[0], *part.shape[1:])
            whole = np.empty(shape, part.dtype, order="F" if rows_last else "C")
        whole[start : start + count] = part
    assert whole is not None  # no rows are one chunk
    return whole


def _chunks(query: Query) -> Iterator[tuple[Batch, Any, int, int]]:
    rows = query.batch.x.shape[0]
    for start in range(0, max(rows, 1), CHUNK):
        part = slice(start, min(start + CHUNK, rows))
        batch = Batch(*(None if a is None else a[part] for a in query.batch))
        soft = Soft(query.membership, query.alone)
        soft = jax.tree.map(lambda m, at=part: padded(m[at]), soft)
        yield pad(batch, CHUNK), soft, start, part.stop - part.start


def padded(rows: np.ndarray) -> np.ndarray:
    """Return rows (n, ...) with zeros behind them, as many as a chunk has."""
    if len(rows) == CHUNK:
        return rows
    return np.pad(rows, [(0, CHUNK - len(rows)), *[(0, 0)] * (rows.ndim - 1)])


@dataclass(frozen=True)
class DrawnLinks:
    """Links of one chunk's rows for every member and draw, and what the likelihood makes of them.

    ``keys`` seed the noise of each row; ``None``: the same for every row.
    """

    spec: ModelSpec
    at: PredictionInputs
    keys: Any

    def links(self) -> Any:
        """Link of the wanted effects, one per member and draw: (members * draws, n, K)."""
        at, hard = self.at, _one_hot(self.spec, self.at.batch)

        def member(layers: Any, latents: Any, centre: Array) -> Array:
            def one(values: Any) -> Array:
                known = at.soft.membership
                found = soft_predictor(self.spec, layers, values, at.batch, hard, known)
                return _choose(found, at.which, centre + at.batch.offset[:, None])

            return jax.vmap(one)(latents) if latents else one({})[None]

        eta = jax.vmap(member)(at.network, at.draws, at.centre)
        return eta.reshape(-1, *eta.shape[2:])

    def spread(self) -> Any:
        """Links whose draws also vary as the cluster of a row does that is not known."""
        at, eta = self.at, self.links()
        random = (at.which != EFFECTS.index("fixed")).astype(eta.dtype)
        given = (self.spec, at.network, at.draws, at.batch)
        if at.soft.membership is not None and at.draws:
            eta = eta + random * between(*given, at.soft.membership)
        if at.soft.alone is not None and at.draws:
            shape = (eta.shape[0], eta.shape[2], len(self.spec.factors))
            if self.keys is None:  # the same for every row: only one row at a time is asked for
                z = _evenly_normal(shape)[:, None]
            else:
                one = lambda key: jax.random.normal(jax.random.fold_in(key, ALONE), shape)  # noqa: E731
                z = jnp.moveaxis(jax.vmap(one)(self.keys), 0, 1)
            eta = eta + random * alone(*given, at.soft.alone, z)
        return eta

    def each(self, function: Callable[..., Any], *arrays: Any) -> Any:
        """Call ``function(latents, ...)`` with every draw of the latents and of the arrays."""
        draws = self.at.draws
        flat = {k: v.reshape(v.shape[0] * v.shape[1], *v.shape[2:]) for k, v in draws.items()}
        if not flat:
            return jax.vmap(lambda *one: function({}, *one))(*arrays)
        return jax.vmap(function)(flat, *arrays)

    def values(self, eta: Any) -> Any:
        """Mean of the likelihood for every draw of the link."""
        return self.each(lambda v, e: self.spec.likelihood.mean(e, v), eta)

    def over_clusters(self) -> Any:
        """Mean of the likelihood for every draw, averaged over the own cluster of rows alone.

        What is a row's own is Normal given the scales: E[mu(eta + sd z)], z ~ Normal(0, 1), by
        quadrature; for several links at once by a Sobol sequence.
        """
        at, eta = self.at, self.links()
        sd = own_sd(self.spec, at.network, at.draws, at.batch, at.soft.alone)
        nodes, weights = _normal_nodes(eta.shape[-1])

        def add(total: Any, one: Any) -> Any:
            z, weight = one
            return total + weight * self.values(eta + sd * z), None

        start = jnp.zeros_like(self.values(eta))
        return jax.lax.scan(add, start, (nodes, weights))[0]

    def sampled(self, eta: Any, keys: Array) -> Any:
        """One new outcome per draw and row: (draws, n); with one key rows have the same noise."""
        own = 0 if keys.ndim else None  # noise that rows share is drawn once for all of them

        def one(values: Any, links: Array, index: Array) -> Array:
            def row(link: Array, key: Array) -> Array:
                drawn = self.spec.likelihood.distribution(link, values)
                return drawn.sample(jax.random.fold_in(key, index))

            return jax.vmap(row, (0, own))(links, keys)

        return self.each(one, eta, jnp.arange(eta.shape[0]))

    def densities(self) -> Any:
        """Log density of the chunk's own y for every draw: (draws, n)."""
        y = self.at.batch.y
        density = lambda v, e: self.spec.likelihood.distribution(e, v).log_prob(y)  # noqa: E731
        return self.each(density, self.spread())

    def without_own_noise(self) -> DrawnLinks:
        """Return them with the same noise for every row: an interval is that of one row."""
        return replace(self, keys=None)


Quantity = Callable[[DrawnLinks], Any]


def link_mean(drawn: DrawnLinks) -> Any:
    """Posterior mean of the link: (n, K)."""
    return drawn.links().mean(axis=0)


def outcome_mean(drawn: DrawnLinks) -> Any:
    """Posterior mean of the likelihood's mean: (n, ...)."""
    return drawn.values(drawn.spread()).mean(axis=0)


def outcome_mean_of_all_effects(drawn: DrawnLinks) -> Any:
    """Posterior means for every kind of effects, (n, 3, ...): links are computed once."""
    return _of_all_effects(drawn, outcome_mean)


def _of_all_effects(drawn: DrawnLinks, quantity: Quantity) -> Any:
    def one(which: Array) -> Any:
        return quantity(replace(drawn, at=drawn.at._replace(which=which)))

    return jax.vmap(one, out_axes=1)(jnp.arange(len(EFFECTS)))


def log_density_of_draws(drawn: DrawnLinks) -> Any:
    """Log density of each row's y given each draw: (n, draws)."""
    return drawn.densities().T


def log_predictive_density(drawn: DrawnLinks) -> Any:
    """Log of the mean over draws of the density of each row's y: (n,)."""
    every = drawn.densities()
    return jax.nn.logsumexp(every, axis=0) - jnp.log(every.shape[0])


def log_predictive_density_of_all_effects(drawn: DrawnLinks) -> Any:
    """Log predictive densities for every kind of effects: (n, 3)."""
    return _of_all_effects(drawn, log_predictive_density)


def means_of_draws(drawn: DrawnLinks) -> Any:
    """Mean of the likelihood for every draw: (n, ..., draws)."""
    return jnp.moveaxis(drawn.values(drawn.without_own_noise().spread()), 0, -1)


def means_of_rows(drawn: DrawnLinks) -> Any:
    """Mean of the likelihood for every draw, with noise of the row's own: (n, ..., draws)."""
    return jnp.moveaxis(drawn.values(drawn.spread()), 0, -1)


def means_over_clusters(drawn: DrawnLinks) -> Any:
    """Mean of the likelihood for every draw, over rows' own clusters: (n, ..., draws)."""
    return jnp.moveaxis(drawn.over_clusters(), 0, -1)


def outcomes_of_draws(drawn: DrawnLinks) -> Any:
    """One new outcome per draw, one-hot where it is a class: (n, ..., draws)."""
    found = drawn.sampled(drawn.without_own_noise().spread(), drawn.keys)
    outputs = drawn.spec.likelihood.outputs
    if outputs > 1:  # a code has no quantiles; whether it is class k has
        found = jax.nn.one_hot(found, outputs)
    return jnp.moveaxis(found.astype(jnp.float32), 0, -1)


def new_outcomes(drawn: DrawnLinks) -> Any:
    """One new outcome per draw, with noise of the row's own: (draws, n)."""
    return drawn.sampled(drawn.spread(), drawn.keys)


@per_structure(maxsize=128)
def _compiled(spec: ModelSpec, quantity: Quantity) -> Callable[..., Array]:
    def run(at: PredictionInputs, keys: Any) -> Any:
        return quantity(DrawnLinks(spec, at, keys))

    fast = jitted(run, "rows")

    def call(query: Query, effects: str, batch: Batch, soft: Soft, keys: Any = None) -> Array:
        # The kind of effects is a traced number: one compiled function serves all three.
        which = jnp.asarray(EFFECTS.index(effects))
        at = PredictionInputs(query.network, query.draws, batch, soft, query.centre, which)
        return fast(at, keys)

    return call


def _evenly_normal(shape: tuple[int, ...]) -> Array:
    """Return the Normal's quantiles along the first axis, each column in an order of its own."""
    quantiles = jax.scipy.special.ndtri((jnp.arange(shape[0]) + 0.5) / shape[0])
    every = jnp.broadcast_to(quantiles.reshape(-1, *[1] * (len(shape) - 1)), shape)
    return jax.random.permutation(jax.random.key(ALONE), every, independent=True)


def _normal_nodes(links: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points (nodes, K) and weights (nodes,) of a mean over independent Normal numbers."""
    if links == 1:
        nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
        return nodes[:, None].astype(np.float32), (weights / weights.sum()).astype(np.float32)
    from scipy.stats import norm, qmc

    even = qmc.Sobol(links, scramble=False).random(POINTS) + 0.5 / POINTS  # none is 0
    points = norm.ppf(even)
    points = np.concatenate([points, -points])  # every odd moment is then exact
    return points.astype(np.float32), np.full(2 * POINTS, 0.5 / POINTS, np.float32)


def _bare(spec: ModelSpec) -> ModelSpec:
    """Leave out what predictions do not depend on, so that models of one shape share their code."""
    none: dict[str, Any] = dict.fromkeys(
        ("adversaries", "attributes", "penalties", "views", "priors"), ()
    )
    return replace(spec, criterion="equalized_odds", fixed_loss=True, **none)


def _one_hot(spec: ModelSpec, batch: Batch) -> tuple[Array, ...] | None:
    """Memberships of known clusters where there are few: one product for all draws is cheapest."""
    if any(factor.clusters > DENSE_CLUSTERS for factor in spec.factors):
        return None
    return tuple(jax.nn.one_hot(batch.cluster[:, f.column], f.clusters) for f in spec.factors)


def _choose(prediction: Prediction, which: Array, centre: Array) -> Array:
    every = (prediction.fixed, centre + prediction.random, prediction.mixed)
    return jnp.select([which == index for index in range(len(EFFECTS))], every)
