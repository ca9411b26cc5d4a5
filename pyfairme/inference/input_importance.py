"""Importance of inputs: how far the prediction moves with them.

By permutation: when a covariate takes the value of another row. By gradient: for a small step
(Dimopoulos et al. 1995).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array

from pyfairme.compilation import jitted, per_structure
from pyfairme.data import Batch
from pyfairme.inference.jax_runtime import with_jax
from pyfairme.inference.predictions import CHUNK, EFFECTS, Query, means, padded, ready
from pyfairme.inference.soft_memberships import soft_predictor
from pyfairme.inference.svi import pad
from pyfairme.model.program import ModelSpec

EXCHANGES = 4000  # exchanged rows behind a permutation importance, where rows are few
MOST_REPEATS = 20


class ImportanceInputs(NamedTuple):
    """What moves the columns of x: a number moves its hat functions too, a level one column.

    ``rates`` (n, p) says how fast each column moves with its input, ``of`` (p,) which that is.
    """

    rates: np.ndarray
    of: np.ndarray


@with_jax
def mean_absolute_gradients(
    query: Query,
    effects: str,
    slope_positions: tuple[int, ...],
    inputs: ImportanceInputs | None = None,
) -> np.ndarray:
    """Return the mean over rows of abs(d prediction / d input), one per input, (inputs,).

    Without ``inputs`` every column of x is one.

    The prediction is a probability (the last class's; with more than two classes the absolute
    gradients of all are summed), a standardised value or a mean count. Random effects are at their
    posterior mean; members of an ensemble are averaged. ``slope_positions`` are the columns of x
    that carry slopes: moving such a column moves its slope term as well.
    """
    averaged = {name: value.mean(axis=1, keepdims=True) for name, value in query.draws.items()}
    query = ready(query._replace(draws=averaged))
    function = _compiled(query.spec, slope_positions)
    latents = {name: np.asarray(value)[:, 0] for name, value in query.draws.items()}
    rows, columns = query.batch.x.shape
    rates, of = inputs or ImportanceInputs(np.ones((rows, columns)), np.arange(columns))
    joins = (of[:, None] == np.unique(of)).astype(np.float32)
    total = np.zeros(joins.shape[1])
    for start in range(0, rows, CHUNK):
        part = slice(start, min(start + CHUNK, rows))
        batch = Batch(*(None if a is None else a[part] for a in query.batch))
        counted = (np.arange(CHUNK) < part.stop - start).astype(np.float32)
        soft = query.membership
        if soft is not None:
            soft = tuple(padded(m[part]) for m in soft)
        total += np.asarray(
            function(
                query.network, latents, pad(batch._replace(y=None), CHUNK), soft, query.centre,
                EFFECTS.index(effects), counted, padded(rates[part]).astype(np.float32), joins,
            )
        )  # fmt: skip
    return total / rows


def mean_absolute_changes(
    query: Query,
    effects: str,
    columns: Mapping[str, Sequence[int]],
    slopes: Sequence[int],
    seed: int,
) -> np.ndarray:
    """Return, per feature, the mean over rows of abs(change) when it is another row's, (features,).

    The prediction is that of `mean_absolute_gradients`. ``columns`` are the positions in x of each
    feature's columns, which move together; ``slopes`` the positions in x of the slopes' columns.
    A row keeps its cluster, or its membership. Where rows are few, they are exchanged repeatedly.
    """
    averaged = {k: v.mean(axis=1, keepdims=True) for k, v in query.draws.items()}
    query = query._replace(draws=averaged)
    own = _outputs(query, effects)
    x, r = query.batch.x.copy(), query.batch.slopes.copy()
    moved = query._replace(batch=query.batch._replace(x=x, slopes=r))
    generator = np.random.default_rng(seed)
    rows = len(x)
    others = [_partners(rows, generator) for _ in range(min(-(-EXCHANGES // rows), MOST_REPEATS))]
    found = np.zeros(len(columns))
    for number, places in enumerate(columns.values()):
        at, beside = list(places), [i for i, place in enumerate(slopes) if place in set(places)]
        for other in others:
            x[:, at], r[:, beside] = (
                query.batch.x[other][:, at],
                query.batch.slopes[other][:, beside],
            )
            found[number] += np.abs(_outputs(moved, effects) - own).sum(axis=1).mean()
        x[:, at], r[:, beside] = query.batch.x[:, at], query.batch.slopes[:, beside]
    return found / len(others)


class Exchanged(NamedTuple):
    """Predicted means (n, ...) when one feature of every row is another row's."""

    feature: str
    repeat: int
    mean: np.ndarray


def exchanged_means(
    query: Query,
    effects: str,
    columns: Mapping[str, Sequence[int]],
    slopes: Sequence[int],
    factors: Mapping[str, int],
    repeats: int,
    seed: int,
) -> Iterator[Exchanged]:
    """Yield predicted means with each feature taken from another row, ``repeats`` times.

    The first, of the feature "", is of rows as they are. Random effects are at their posterior
    mean. ``columns`` and ``slopes`` are those of `mean_absolute_changes`; ``factors`` the positions
    in the spec of the grouping factors that are exchanged too, with all that is known of a row's
    cluster. Every feature is exchanged between the same rows.
    """
    averaged = {k: v.mean(axis=1, keepdims=True) for k, v in query.draws.items()}
    query = query._replace(draws=averaged)
    batch = query.batch
    yield Exchanged("", 0, means(query, effects))
    generator = np.random.default_rng(seed)
    others = [_partners(len(batch.x), generator) for _ in range(repeats)]
    for feature, places in columns.items():
        at, beside = list(places), [i for i, place in enumerate(slopes) if place in set(places)]
        for repeat, other in enumerate(others):
            x, r = batch.x.copy(), batch.slopes.copy()
            x[:, at], r[:, beside] = batch.x[other][:, at], batch.slopes[other][:, beside]
            moved = query._replace(batch=batch._replace(x=x, slopes=r))
            yield Exchanged(feature, repeat, means(moved, effects))
    for feature, position in factors.items():
        for repeat, other in enumerate(others):
            moved = _with_clusters_of(query, position, other)
            yield Exchanged(feature, repeat, means(moved, effects))


def _with_clusters_of(query: Query, position: int, other: np.ndarray) -> Query:
    """Give every row another one's cluster of a factor, or what is known of it."""
    codes, column = query.batch.cluster.copy(), query.spec.factors[position].column
    codes[:, column] = codes[other, column]
    soft, lone = query.membership, query.alone
    if soft is not None:
        soft = tuple(m[other] if i == position else m for i, m in enumerate(soft))
    if lone is not None:
        lone = lone.copy()
        lone[:, position] = lone[other, position]
    return query._replace(batch=query.batch._replace(cluster=codes), membership=soft, alone=lone)


def _outputs(query: Query, effects: str) -> np.ndarray:
    """Return predicted means (n, K): the last class's where there are two."""
    found = means(query, effects).reshape(len(query.batch.x), -1)
    return found[:, -1:] if query.spec.likelihood.outputs == 1 else found


def _partners(rows: int, generator: np.random.Generator) -> np.ndarray:
    """Return for each row another one at random, never itself, each taken once."""
    order = generator.permutation(rows)
    found = np.empty(rows, int)
    found[order] = np.roll(order, 1)
    return found


def rank_features(importance: np.ndarray, terms: list[str]) -> pd.DataFrame:
    """Join the columns of each covariate (root of the sum of squares), from large to small."""
    features = list(dict.fromkeys(terms))
    of = np.array(terms)
    sums = np.array([np.sqrt((importance[of == name] ** 2).sum()) for name in features])
    order = np.argsort(-sums, kind="stable")
    share = sums / sums.sum() if sums.sum() > 0 else sums
    return pd.DataFrame(
        {
            "feature": [features[i] for i in order],
            "importance": sums[order],
            "share": share[order],
            "rank": np.arange(1, len(features) + 1),
        }
    )


@per_structure(maxsize=32)
def _compiled(spec: ModelSpec, slope_positions: tuple[int, ...]) -> Any:
    positions = np.asarray(slope_positions, dtype=int)

    def value(
        x: Array, row: Batch, network: Any, latents: Any, membership: Any, centre: Array, which: Any
    ) -> Array:
        """Predicted means (outputs,) of one row."""
        moved = row.slopes + (x - row.x)[:, positions]
        found = soft_predictor(
            spec, network, latents, row._replace(x=x, slopes=moved), None, membership
        )
        every = (found.fixed, centre + row.offset[:, None] + found.random, found.mixed)
        eta = jnp.select([which == i for i in range(len(EFFECTS))], every)
        mean = jnp.atleast_2d(spec.likelihood.mean(eta, latents))[0]
        return mean[-1:] if spec.likelihood.outputs == 1 else mean

    def one(row: Batch, soft_row: Any, rates: Array, joins: Array, member: Any) -> Array:
        network, latents, centre, which = member
        single = jax.tree.map(lambda a: a[None], row)
        membership = None if soft_row is None else tuple(m[None] for m in soft_row)
        jacobian = jax.jacrev(value)(single.x, single, network, latents, membership, centre, which)
        return jnp.abs((jacobian[:, 0] * rates) @ joins).sum(axis=0)

    def run(
        network: Any, latents: Any, batch: Batch, soft_rows: Any, centre: Array, which: Any,
        counted: Array, rates: Array, joins: Array,
    ) -> Array:  # fmt: skip
        def member(layers: Any, values: Any, at: Array) -> Array:
            each = jax.vmap(
                lambda row, s, rate: one(row, s, rate, joins, (layers, values, at, which))
            )
            return counted @ each(batch, soft_rows, rates)

        return jax.vmap(member)(network, latents, centre).mean(axis=0)

    return jitted(run, "rows")
