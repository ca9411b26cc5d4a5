"""The second stage of a guide that has one: a better posterior, given the trained network."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pyfairme.data import Batch
from pyfairme.inference.block import plain, stage
from pyfairme.inference.guides import GUIDES
from pyfairme.inference.layout import Layout
from pyfairme.inference.psis import RELIABLE
from pyfairme.inference.weighing import weigh
from pyfairme.model.program import ModelSpec, Weights

__all__ = [
    "Finished",
    "PosteriorWarning",
    "check_size",
    "choose_guide",
    "finish",
    "second_stage_weights",
]

FEW_ROWS = 100  # rows of a cluster per effect, below which mean field is not to be trusted
AUTO_ROWS, AUTO_CLUSTERS, AUTO_WIDTH = 100_000, 5_000, 20  # "block" takes long beyond
MOST_DENSE = 600  # effects of all factors but the largest, and of a latent last layer
MOST_WIDTH = 128  # effects of one cluster
HOPELESS = 1.0  # k of a cluster beyond which the correction within the cluster does not help
TOLERATED = 0.1  # share of clusters whose Gaussian may be a bad one
SHORT_OF_MEMORY = 4e8  # numbers of the matrices that couple the clusters with everything else


class PosteriorWarning(UserWarning):
    """The posterior that was found is not to be trusted; the message says what to do."""


class Finished(NamedTuple):
    """The network, posterior draws (draws, ...), and what they are worth (see `weighing`)."""

    network: Any
    draws: dict[str, np.ndarray]
    quality: dict[str, np.ndarray]


def check_size(spec: ModelSpec) -> None:
    """Raise ValueError where the Gaussian of the effects is too large to be held."""
    layout = Layout(plain(spec))
    advice = "Use guide='mean_field', or 'low_rank' for fewer than some thousand effects."
    if layout.width > MOST_WIDTH:
        raise ValueError(
            f"guide='block' holds a covariance for every cluster of {layout.local.name!r}, "  # type: ignore[union-attr]
            f"and it has {layout.width} effects per cluster; at most {MOST_WIDTH}. {advice}"
        )
    too_many = layout.clusters * layout.dense * layout.width > SHORT_OF_MEMORY
    if layout.dense > MOST_DENSE or too_many:
        raise ValueError(
            "guide='block' eliminates the clusters of the largest factor and holds one covariance "
            f"for all other effects together: {layout.dense} numbers, at most {MOST_DENSE} (fewer "
            f"for very many clusters). {advice}"
        )


def choose_guide(spec: ModelSpec, training: Batch) -> str:
    """Return "block" where a typical cluster has few rows per effect, else "mean_field".

    With many rows per effect both find the same posterior and mean field is faster; with few,
    mean field misses how effects lean on each other and on their scale (docs/guide_choice.md).

    Warns
    -----
    PosteriorWarning
        When clusters are small and the table is too large to choose "block" unasked.
    """
    small = []
    for factor in spec.factors:
        codes = training.cluster[:, factor.column]
        rows = np.bincount(codes[codes >= 0], minlength=factor.clusters)
        per_effect = float(np.median(rows)) / factor.width
        small += [(factor.name, per_effect)] if per_effect < FEW_ROWS else []
    if not small:
        return "mean_field"
    layout = Layout(plain(spec))
    quick = len(training.weight) <= AUTO_ROWS and layout.clusters <= AUTO_CLUSTERS
    if quick and layout.width <= AUTO_WIDTH and layout.dense <= MOST_DENSE:
        return "block"
    name, per_effect = small[0]
    warnings.warn(
        f"Clusters of {name!r} have {per_effect:.3g} rows per random effect (median), fewer than "
        f"{FEW_ROWS}: guide='mean_field', chosen as the table is large, understates scales and "
        "intervals of their effects. Predictions suffer little. For the effects give guide='block' "
        "(slow here), or fewer random_slopes; guide='mean_field' silences this.",
        PosteriorWarning,
        stacklevel=5,  # choose_guide, settings.guide, _fit, fit: the line that called fit
    )
    return "mean_field"


def second_stage_weights(batch: Batch, weights: Weights) -> tuple[Batch, Weights]:
    """Let the rows carry the KL weight: likelihood^(1 / kl_weight) times the prior."""
    scaled = jax.tree.map(jnp.asarray, batch._replace(weight=batch.weight / weights.kl))
    bare = weights._replace(kl=1.0, rows=1.0, batch_rows=1.0, ramp=1.0, fairness={}, balance=())
    return scaled, jax.tree.map(jnp.float32, bare)


def finish(
    spec: ModelSpec,
    guide: str,
    params: dict[str, Any],
    batch: Batch,
    weights: Weights,
    draws: int,
    seed: int,
) -> Finished:
    """Fit the block guide of one member, and draw from it.

    A linear network without penalties is fitted on; every other one stays as it is. Where penalties
    act on the mixed or the random prediction, the effects keep their place.

    Warns
    -----
    PosteriorWarning
        When Pareto's k says that the draws do not stand for the posterior.
    """
    first = GUIDES[guide](spec.latents).median(params)
    linear = not spec.hidden and not spec.last_layer and not spec.penalties
    two = stage(plain(spec), linear)
    strength = [
        float(np.max(np.asarray(views[name]), initial=0.0))
        for views in weights.fairness.values()
        for name in set(views) - {"fixed"}
    ]
    tilted = max(strength, default=0.0) > 0
    scaled, bare = second_stage_weights(batch, weights)
    fitted, _ = two.fit(first, params["network"], scaled, bare, tilted, jax.random.key(seed))
    found = weigh(two.layout, fitted, scaled, bare, draws, seed)
    quality = {"pareto_k": np.asarray(found.k)}
    if two.layout.local is not None:
        quality[f"pareto_k/{two.layout.local.name}"] = found.cluster_k
    _warn(found.k, found.cluster_k)
    return Finished(jax.tree.map(np.asarray, fitted.network), found.draws, quality)


def _warn(k: float, cluster_k: np.ndarray) -> None:
    advice = (
        "Means, standard deviations and intervals of the posterior may be off. Call refine() to "
        "sample it with NUTS, or give the factor more clusters or stronger priors (prior_scale)."
    )
    if k > RELIABLE:
        warnings.warn(
            f"Pareto's k of the hyper-parameters is {k:.2f}, above {RELIABLE}: the guide does not "
            f"cover their posterior. {advice}",
            PosteriorWarning,
            stacklevel=7,
        )
    elif (cluster_k > HOPELESS).mean() > TOLERATED:
        warnings.warn(
            f"Pareto's k is above {HOPELESS:g} for {(cluster_k > HOPELESS).mean():.0%} of the "
            f"clusters: their effects are far from Gaussian. {advice}",
            PosteriorWarning,
            stacklevel=7,
        )
