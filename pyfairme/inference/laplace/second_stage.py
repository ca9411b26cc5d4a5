"""The second stage of a guide that has one: a better posterior, given the trained network."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pyfairme.data import Batch
from pyfairme.inference.compiled_steps import guide_draws
from pyfairme.inference.guides import GuideChoice, guide_of
from pyfairme.inference.laplace.block_guide import fit_block
from pyfairme.inference.laplace.importance_sampling import JUDGED, Weighed, weigh
from pyfairme.inference.laplace.laplace_evidence import Layout
from pyfairme.inference.laplace.linear_predictor import LinearPredictor
from pyfairme.inference.laplace.penalty_gradient import pull_of_penalties
from pyfairme.inference.laplace.psis import ENOUGH, LEAST, RELIABLE, trusted
from pyfairme.model.effects import RandomEffects
from pyfairme.model.program import ModelSpec, Objective, plain
from pyfairme.notices import warn

FEW_ROWS = 100  # rows of a cluster per effect, below which mean field misses effects and scales
FEW_INFORMATION = 100.0  # Fisher information per effect, below which it misses their scale
AUTO_ROWS, AUTO_CLUSTERS, AUTO_WIDTH = 100_000, 20_000, 20  # "block" takes long beyond
MOST_DENSE = 600  # effects of all factors but the largest, and of a latent last layer
MOST_DENSE_EXACT = 3000  # the same where effects are Gaussian: a Normal likelihood
MOST_WIDTH = 128  # effects of one cluster
PULL_DRAWS = 200  # draws of the first stage, each with a batch, over which a pull is averaged
HOPELESS = 1.0  # k of a cluster beyond which the correction within the cluster does not help
TOLERATED = 0.1  # share of clusters whose Gaussian may be a bad one
ADVICE = (
    "Means, standard deviations and intervals of the posterior may be off. Call refine() to sample "
    "it with NUTS, or give the factor more clusters or stronger priors (prior_scale)."
)
SHORT_OF_MEMORY = 4e8  # numbers of the matrices that couple the clusters with everything else


class PosteriorWarning(UserWarning):
    """The posterior that was found is not to be trusted; the message says what to do."""


class Finished(NamedTuple):
    """The network, draws (draws, ...), and what they are worth (see `importance_sampling`).

    ``gains`` are those of a network's linear model (2,), of others none.
    """

    network: Any
    draws: dict[str, np.ndarray]
    quality: dict[str, np.ndarray]
    gains: np.ndarray | None = None


def check_size(spec: ModelSpec, sampled: bool = False) -> None:
    """Raise ValueError where the Gaussian of the effects is too large to be held.

    ``sampled``: by NUTS, which holds how every cluster is coupled with everything else.
    """
    layout = LinearPredictor(plain(spec))
    advice = "Use guide='mean_field', or 'low_rank' for fewer than some thousand effects."
    if layout.width > MOST_WIDTH:
        raise ValueError(
            f"guide='block' holds a covariance for every cluster of {layout.local.name!r}, "  # type: ignore[union-attr]
            f"and it has {layout.width} effects per cluster; at most {MOST_WIDTH}. {advice}"
            " [block-too-large]"
        )
    exact = spec.likelihood.quadratic and not sampled
    most = MOST_DENSE_EXACT if exact else MOST_DENSE
    coupled = layout.layer * layout.outputs if exact else layout.dense
    too_many = layout.clusters * coupled * layout.width > SHORT_OF_MEMORY
    if layout.dense > most or too_many:
        raise ValueError(
            "guide='block' eliminates the clusters of the largest factor and holds one covariance "
            f"for all other effects together: {layout.dense} numbers, at most {most} (fewer "
            f"for very many clusters). {advice} [block-too-large]"
        )


def choose_guide(spec: ModelSpec, training: Batch) -> str:
    """Return "block" for small clusters and for a latent last layer, else "mean_field".

    With many rows per effect both find the same posterior of cluster effects and mean field is
    faster; with few, mean field misses how effects lean on each other and on their scale. A row
    counts by what it tells of the link: a binary one by p (1 - p), a count by its mean
    (docs/guide_choice.md). Fixed effects that are latent lean on each other with any number of
    rows: mean field then gives their standard deviations given all others, which may be a third.

    Warns
    -----
    PosteriorWarning
        When "block" is called for, and the model or the table is too large to choose it unasked.
    """
    layout = LinearPredictor(plain(spec))
    quick = len(training.weight) <= AUTO_ROWS and layout.clusters <= AUTO_CLUSTERS
    most = MOST_DENSE_EXACT if spec.likelihood.quadratic else MOST_DENSE
    quick = quick and layout.width <= AUTO_WIDTH and layout.dense <= most
    if spec.last_layer:
        return "block" if quick else _mean_field_of_fixed_effects(spec)
    each = {factor.name: _rows_per_effect(factor, training) for factor in spec.factors}
    few = [rows < FEW_ROWS or rows * _information(spec, training) < FEW_INFORMATION
           for rows in each.values()]  # fmt: skip
    if quick and any(few):
        return "block"
    small = [(name, rows) for name, rows in each.items() if rows < FEW_ROWS]
    if not small:
        return "mean_field"
    name, per_effect = small[0]
    warn(
        f"Clusters of {name!r} have {per_effect:.3g} rows per random effect (median), fewer than "
        f"{FEW_ROWS}: guide='mean_field', chosen as the table is large, understates scales and "
        "intervals of their effects. Predictions suffer little. For the effects give guide='block' "
        "(slow here), or fewer random_slopes; guide='mean_field' silences this. "
        "[few-rows-per-effect]",
        PosteriorWarning,
    )
    return "mean_field"


def _rows_per_effect(factor: RandomEffects, training: Batch) -> float:
    codes = training.cluster[:, factor.column]
    rows = np.bincount(codes[codes >= 0], minlength=factor.clusters)
    return float(np.median(rows)) / factor.width


def _information(spec: ModelSpec, training: Batch) -> float:
    """Return the Fisher information of one row on its link, at the mean of the target."""
    y = np.asarray(training.y)
    if spec.likelihood.target == "class":
        classes = max(spec.likelihood.outputs, 2)
        share = np.bincount(y.astype(int), training.weight, classes) / training.weight.sum()
        return float(np.median(share * (1 - share)))
    if spec.likelihood.target == "count":
        return float(np.average(y, weights=training.weight))
    return 1.0  # of a standardised target whose residual has most of the variance


def _mean_field_of_fixed_effects(spec: ModelSpec) -> str:
    try:
        check_size(spec)
    except ValueError:
        advice = (
            "guide='block' and refine() cannot hold so many effects: give fewer columns, slopes or "
            "units of the last hidden layer, or use ensemble= for the network's uncertainty."
        )
    else:
        advice = "For these give guide='block' (slow here), or call refine()."
    warn(
        "guide='mean_field', chosen as the model or the table is large, takes the fixed effects of "
        "network_posterior='last_layer' as independent: their standard deviations and intervals "
        f"may be several times too small. {advice} [narrow-fixed-effects]",
        PosteriorWarning,
    )
    return "mean_field"


def second_stage_inputs(batch: Batch, objective: Objective) -> tuple[Batch, Objective]:
    """Let the rows carry the KL weight: likelihood^(1 / kl_weight) times the prior."""
    scaled = jax.device_put(batch._replace(weight=batch.weight / objective.kl))
    bare = objective._replace(kl=1.0, fairness={}, balance=())
    return scaled, jax.tree.map(jnp.float32, bare)


def finish(
    spec: ModelSpec,
    guide: GuideChoice,
    params: dict[str, Any],
    batch: Batch,
    objective: Objective,
    draws: int,
    seed: int,
    batch_size: int,
) -> Finished:
    """Fit the block guide of one member, and draw from it.

    A linear network that no penalty acts on is fitted on; every other one stays as it is. Where
    penalties act on the effects, their pull is kept. ``batch_size`` is that of the first stage.

    Warns
    -----
    PosteriorWarning
        When Pareto's k and the effective sample size of the weights say that the draws do not stand
        for the posterior.
    """
    first = guide_of(guide, spec.latents).median(params)
    layout = Layout(plain(spec), plain(spec), given=_fitted_on(spec, objective))
    pull = pull_on_effects(spec, guide, params, batch, objective, seed, batch_size)
    scaled, bare = second_stage_inputs(batch, objective)
    fitted = fit_block(layout, first, params["network"], scaled, bare, pull)
    found = weigh(fitted, draws, seed)
    quality = {"pareto_k": np.asarray(found.k), "relative_ess": np.asarray(found.ess)}
    local = layout.effects.local
    if local is not None:
        k = found.cluster_k
        quality[f"pareto_k/{local.name}"] = np.where(np.isnan(k), np.inf, k)
    _warn(found)
    return Finished(jax.tree.map(np.asarray, fitted.network), found.draws, quality)


def pull_on_effects(
    spec: ModelSpec,
    guide: GuideChoice,
    params: dict[str, Any],
    batch: Batch,
    objective: Objective,
    seed: int,
    batch_size: int,
) -> Any:
    """Return `pull_of_penalties` at draws of the first stage; None where none acts."""
    pulled = {"random", "mixed", "fixed"} if spec.last_layer else {"random", "mixed"}
    strength = [
        float(np.max(np.asarray(views[name]), initial=0.0))
        for views in objective.fairness.values()
        for name in set(views) & pulled
    ]
    if max(strength, default=0.0) == 0:
        return None
    drawn = _first_draws(spec, guide, params, seed)
    return pull_of_penalties(spec, params, drawn, batch, objective, batch_size)


def _first_draws(
    spec: ModelSpec, guide: GuideChoice, params: dict[str, Any], seed: int
) -> dict[str, Any]:
    """Draw the latents from the first stage's guide."""
    key = jax.random.fold_in(jax.random.key(seed), 2)
    return guide_draws(spec, guide)(key, params, PULL_DRAWS)


def broken_down(spec: ModelSpec, objective: Objective) -> dict[str, np.ndarray]:
    """Return the quality of a member whose second stage broke down: nothing of it is ok."""
    layout = LinearPredictor(plain(spec))
    quality = {"pareto_k": np.asarray(np.inf), "relative_ess": np.asarray(0.0)}
    if layout.local is not None:
        judged = min(layout.clusters, JUDGED)
        quality[f"pareto_k/{layout.local.name}"] = np.full(judged, np.inf)
    return quality


def _fitted_on(spec: ModelSpec, objective: Objective) -> bool:
    """Tell whether the second stage fits the network on: a linear one that no penalty acts on."""
    return not spec.hidden and not spec.last_layer and not penalised(objective)


def penalised(objective: Objective) -> bool:
    """Tell whether any penalty acts."""
    return any(
        np.any(np.asarray(strength) > 0)
        for views in objective.fairness.values()
        for strength in views.values()
    )


def _warn(found: Weighed) -> None:
    hopeless = (found.cluster_k > HOPELESS).mean()
    if not warn_of_scales(found.k, found.ess) and hopeless > TOLERATED:
        warn(
            f"Pareto's k is above {HOPELESS:g} for {hopeless:.0%} of the clusters: their effects "
            f"are far from Gaussian. {ADVICE} [pareto-k-clusters]",
            PosteriorWarning,
        )


def warn_of_scales(k: float, ess: float) -> bool:
    """Warn where the weights of the hyper-parameters' draws say that the draws are bad; tell if so.

    Warns
    -----
    PosteriorWarning
    """
    if trusted(k, ess):
        return False
    tail, share, limit = f", above {RELIABLE}", f"{ess:.0%}", ENOUGH
    if k <= RELIABLE:
        tail, share, limit = "", f"{ess:.1%}", LEAST
    warn(
        f"Pareto's k of the hyper-parameters is {k:.2f}{tail}, and only "
        f"{share} of the proposals are effective, fewer than {limit:.0%}: the guide "
        f"does not cover their posterior. {ADVICE} [pareto-k-scales]",
        PosteriorWarning,
    )
    return True
