"""`refine` (NUTS) and `adapt` (new clusters): the network is not trained again."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pyfairme.data import Batch
from pyfairme.data.batch import joined
from pyfairme.data.columns import lookup
from pyfairme.data.design import Design
from pyfairme.data.input_types import Strength, Table
from pyfairme.data.one_per_row import one_per_row
from pyfairme.estimators import class_weights, estimator_keywords, table_inputs
from pyfairme.estimators.cluster_label_warnings import warn_of_unknown_labels
from pyfairme.estimators.encoded_rows import encoded_rows
from pyfairme.estimators.fairness_weight import update_strengths
from pyfairme.estimators.kept_training import keep_training
from pyfairme.estimators.progress_display import progress_display
from pyfairme.estimators.rows_without_cluster import placed, refuse_unplaced
from pyfairme.estimators.table_warnings import warn_of_heavy_rows
from pyfairme.inference import nuts, predictions
from pyfairme.inference.adaptation import adapt as adapt_fit
from pyfairme.inference.chain_convergence import FEWEST_DRAWS
from pyfairme.inference.diagnostics import FEWEST_EFFECTIVE, WORST_RHAT
from pyfairme.inference.fit_program import trained_networks
from pyfairme.inference.fit_stages import Progress, Report
from pyfairme.inference.jax_runtime import with_jax
from pyfairme.inference.laplace.hyper_parameters import typical
from pyfairme.inference.laplace.linear_predictor import LinearPredictor
from pyfairme.inference.laplace.second_stage import (
    PosteriorWarning,
    check_size,
    second_stage_inputs,
)
from pyfairme.inference.predictions import Fit, Query
from pyfairme.inference.smooth_disparity import prediction_gaps
from pyfairme.metrics.row_order import warn_of_order
from pyfairme.notices import errors_alone, warn

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects

MOST_NUMBERS = 5e8  # of drawn latents
REPLICATES = 50


class FairnessWarning(UserWarning):
    """Predictions of the groups are further apart after an update than before it."""


# NUTS -------------------------------------------------------------------------------------------


@with_jax
def refine(
    estimator: FairMixedEffects,
    draws: int,
    chains: int,
    fairness_weight: Strength,
    rows: tuple[Any, Any, Any],
    warmup: int,
    progress: bool | str,
) -> Any:
    """Return the estimator of `FairMixedEffects.refine`."""
    estimator_keywords.check_choice("progress", progress, ("auto", True, False))
    with progress_display(progress, "refine") as report:
        return _refined(estimator, draws, chains, fairness_weight, rows, warmup, report)


def _refined(
    estimator: FairMixedEffects,
    draws: int,
    chains: int,
    fairness_weight: Strength,
    rows: tuple[Any, Any, Any],
    warmup: int,
    report: Report,
) -> Any:
    estimator._check_use()
    for name, value in (("draws", draws), ("chains", chains), ("warmup", warmup)):
        estimator_keywords.check_count(name, value, 1)
    if draws < FEWEST_DRAWS:
        raise ValueError(
            f"refine needs at least {FEWEST_DRAWS} draws per chain to diagnose them, got "
            f"{draws}; 1000 are usual. [few-draws]"
        )
    fit: Fit = estimator.fit_
    if not fit.spec.latents:
        raise ValueError(
            "refine samples latent variables, and this model has none: give cluster='column' with "
            "random_intercepts=True or random_slopes, or network_posterior='last_layer'. "
            "[no-latents]"
        )
    if estimator.network_posterior == "laplace":
        raise ValueError(
            "refine samples every latent variable with NUTS, and network_posterior='laplace' makes "
            "all weights of the network latent, too many for it. Fit with network_posterior='none' "
            "or 'last_layer', then refine. [refine-network]"
        )
    _kl_weight(estimator, "refine")
    report(Progress("encoding", 0, 1))
    training = _training_rows(estimator, *rows)
    if fit.spec.tangent:
        fit = trained_networks(fit, training)
    check_size(fit.spec, sampled=True)
    _check_draws(fit, draws, chains)
    strength = update_strengths(fairness_weight, fit.spec.attributes)
    objective = estimator_keywords.objective(estimator.get_params(deep=False), fit.spec, training)
    scaled, bare = second_stage_inputs(training, objective)
    latents = LinearPredictor(fit.spec).hypers
    found: list[nuts.Sampled] = []
    each_member = list(members(fit))
    for network, before in each_member:
        found.append(
            nuts.sample(
                fit.spec,
                network,
                typical(latents, before),
                scaled,
                bare,
                draws=draws,
                chains=chains,
                warmup=warmup,
                strength=strength,
                seed=estimator._seed + len(found),
                report=report,
                turn=len(found),
                turns=len(each_member),
            )
        )
    quality = {"divergences": np.array([one.divergences for one in found])}
    for name in found[0].worth:
        every = np.array([one.worth[name] for one in found])
        for measure, values in zip(("rhat", "ess", "ess_tail"), every.T, strict=True):
            quality[f"{measure}/{name}"] = values
    networks = [network for network, _ in each_member]
    each = len(fit.centre) // len(found)
    refined = replace(
        fit,
        network=jax.tree.map(lambda *leaves: np.repeat(np.stack(leaves), chains, 0), *networks),
        draws={name: np.concatenate([one.draws[name] for one in found]) for name in fit.draws},
        centre=np.repeat(fit.centre[::each], chains, axis=0),
        quality=quality,
    )
    report(Progress("diagnostics", 0, 1))
    _warn_of_sampling(quality)
    return _updated(estimator, refined, estimator.design_, training, estimator.fit_)


def _check_draws(fit: Fit, draws: int, chains: int) -> None:
    members = len(fit.quality.get("divergences", fit.centre))
    held = draws * chains * members * sum(value[0, 0].size for value in fit.draws.values())
    if held > MOST_NUMBERS:
        most = int(MOST_NUMBERS * draws // held)
        raise ValueError(
            f"{draws} draws of {chains} chains are {held:.1e} numbers, more than "
            f"{MOST_NUMBERS:.0e}: give at most draws={most}. [too-many-draws]"
        )


def members(fit: Fit) -> Iterator[tuple[Any, dict[str, np.ndarray]]]:
    """Yield every member's network and draws; after NUTS a member has several chains."""
    each = len(fit.centre) // len(fit.quality.get("divergences", fit.centre))
    for first in range(0, len(fit.centre), each):
        own = {name: value[first : first + each] for name, value in fit.draws.items()}
        flat = {name: np.concatenate(list(value)) for name, value in own.items()}
        yield jax.tree.map(lambda leaf, at=first: leaf[at], fit.network), flat


@errors_alone
def _training_rows(
    estimator: FairMixedEffects,
    X: Table | None,
    y: ArrayLike | None,
    sample_weight: ArrayLike | None,
) -> Batch:
    """Return the rows of the last fit and of `adapt`, or those given, encoded."""
    if X is None and not (y is None and sample_weight is None):
        given = "sample_weight" if y is None else "y"
        raise ValueError(
            f"refine got {given} without X: give the training rows as X=, y= and sample_weight= "
            "together, or none of them for the rows of the last fit. [y-without-x]"
        )
    if X is None:
        kept = getattr(estimator, "_training", None)
        if kept is None:
            raise ValueError(
                "refine needs the training rows, and this estimator does not hold them (it was "
                "loaded from a file, copied to another process, or they are very many): call "
                "refine(X=X, y=y), with the rows that adapt has learned from among them. "
                "[no-training-rows]"
            )
        return kept
    if y is None:
        raise ValueError("refine got X without y: give the targets of its rows too. [x-without-y]")
    frame = table_inputs.new_frame(estimator, X, allow_nan=estimator.missing == "category")
    frame, y, sample_weight = placed(estimator, frame, y, sample_weight)
    for factor in estimator.fit_.spec.factors:
        new = table_inputs.new_clusters(estimator.design_, frame, factor.name)
        if new:
            raise ValueError(
                f"refine got rows of {len(new)} clusters of {factor.name!r} that the model "
                f"does not know: {new[:5]}. Learn them with adapt(X_new, y_new) first, or leave "
                "these rows out. [unknown-clusters]"
            )
    batch = labelled_rows(estimator, frame, y, sample_weight)
    _warn_of_missing_clusters(estimator, batch)
    return batch


def _warn_of_missing_clusters(estimator: FairMixedEffects, batch: Batch) -> None:
    for factor in estimator.fit_.spec.factors:
        known = estimator.design_.clusters[factor.name]
        rows = np.bincount(batch.cluster[:, factor.column], batch.weight, len(known))
        without = [label for label, there in zip(known, rows > 0, strict=True) if not there]
        if without:
            warn(
                f"refine got no rows of {len(without)} known clusters of {factor.name!r}: "
                f"{without[:5]}. Their effects are drawn as those of clusters without data. Give "
                "all rows that the model was fitted and adapted to. [clusters-without-rows]",
                PosteriorWarning,
            )


def labelled_rows(
    estimator: FairMixedEffects, frame: pd.DataFrame, y: ArrayLike, sample_weight: ArrayLike | None
) -> Batch:
    """Encode labelled rows; classes weigh what they did in the fit."""
    warn_of_order(frame, "X", y=y)
    warn_of_order(frame, "X", sample_weight=sample_weight)
    table_inputs.check_target(estimator, y)
    values = one_per_row(y, "y").reshape(-1)
    if len(values) != len(frame):
        raise ValueError(
            f"X has {len(frame)} rows, y has {len(values)}: give one target per row, in the same "
            "order. [other-length]"
        )
    weight = table_inputs.sample_weights(sample_weight, len(frame))
    encoded = estimator.target_.encode(values)
    weight = class_weights.times(estimator._class_weights, values, weight)
    return encoded_rows(estimator, frame, y=encoded, weight=weight)


def _kl_weight(estimator: FairMixedEffects, method: str) -> float:
    """Return the weight of the prior; rows are divided by it, so that 0 leaves no posterior."""
    if not estimator.kl_weight > 0:
        raise ValueError(
            f"{method} needs kl_weight > 0, and this model has kl_weight={estimator.kl_weight!r}: "
            "without the prior the effects have no posterior to draw from. Fit with kl_weight=1. "
            "[prior-off]"
        )
    return float(estimator.kl_weight)


def _warn_of_sampling(quality: dict[str, np.ndarray]) -> None:
    found = []
    divergences = int(quality["divergences"].sum())
    if divergences:
        found.append(
            f"{divergences} draws diverged, so a part of the posterior may be missed: give the "
            "scales stronger priors (prior_scale) or the factor more clusters"
        )
    rhat = {k[5:]: float(np.max(v)) for k, v in quality.items() if k.startswith("rhat/")}
    stuck = [name for name, value in rhat.items() if np.isnan(value)]  # NaN of any member
    if stuck:
        found.append(
            f"no chain of {', '.join(stuck)} has moved, so the draws say nothing: look for extreme "
            "values among the targets and the covariates, give the scales stronger priors "
            "(prior_scale), or more warmup"
        )
    bad = {name: value for name, value in rhat.items() if value > WORST_RHAT}
    if bad:
        name = max(bad, key=lambda key: bad[key])
        found.append(
            f"R-hat of {name} is {bad[name]:.3f}, above {WORST_RHAT}: the chains do not agree; "
            "double warmup and draws"
        )
    ess = {
        f"{where}{k.partition('/')[2]}": float(np.min(v))
        for kind, where in (("ess", ""), ("ess_tail", "the tails of "))
        for k, v in quality.items()
        if k.partition("/")[0] == kind
    }
    few = {name: value for name, value in ess.items() if value < FEWEST_EFFECTIVE}
    if few and not bad:
        name = min(few, key=lambda key: few[key])
        found.append(
            f"{name} has an effective sample size of {few[name]:.0f}, below {FEWEST_EFFECTIVE}: "
            "take more draws"
        )
    if found:
        warn(f"NUTS: {'; '.join(found)}. [nuts]", PosteriorWarning)


# New clusters -----------------------------------------------------------------------------------


@with_jax
def adapt(
    estimator: FairMixedEffects,
    X: Table,
    y: ArrayLike,
    fairness_weight: Strength,
    sample_weight: ArrayLike | None,
) -> Any:
    """Return the estimator of `FairMixedEffects.adapt`."""
    with progress_display(estimator.progress, "adapt") as report:
        return _adapted(estimator, X, y, fairness_weight, sample_weight, report)


def _adapted(
    estimator: FairMixedEffects,
    X: Table,
    y: ArrayLike,
    fairness_weight: Strength,
    sample_weight: ArrayLike | None,
    report: Report,
) -> Any:
    estimator._check_use()
    fit: Fit = estimator.fit_
    if not fit.spec.factors:
        raise ValueError(
            "adapt learns the random effects of new clusters, and this model has none: give "
            "cluster='column' with random_intercepts=True or random_slopes. [no-random-effects]"
        )
    kl_weight = _kl_weight(estimator, "adapt")
    report(Progress("encoding", 0, 1))
    frame, position, labels, batch = _new_rows(estimator, X, y, sample_weight)
    name = fit.spec.factors[position].name
    codes = batch.cluster.copy()
    codes[:, fit.spec.factors[position].column] = lookup(
        estimator.design_.factor(name).read(frame), labels
    )
    strength = update_strengths(fairness_weight, fit.spec.attributes)
    local = batch._replace(cluster=codes, weight=batch.weight / kl_weight)  # as in refine
    grown = adapt_fit(fit, position, len(labels), local, strength, estimator._seed, report)
    report(Progress("diagnostics", 0, 1))
    design = estimator.design_.with_clusters(name, labels)
    known = design.encode(frame, quiet=True).cluster  # `_new_rows` has said what is unlike
    return _updated(estimator, grown, design, batch._replace(cluster=known), fit, batch)


@errors_alone
def _new_rows(
    estimator: FairMixedEffects, X: Table, y: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[pd.DataFrame, int, list[str], Batch]:
    """Return rows to adapt to: the table, its factor of new clusters, their labels, and codes."""
    frame = table_inputs.new_frame(estimator, X, allow_nan=estimator.missing == "category")
    refuse_unplaced(estimator, frame)
    position, labels = _new_factor(estimator, frame)
    warn_of_unknown_labels(estimator.design_.factors, frame)
    batch = labelled_rows(estimator, frame, y, sample_weight)
    weight = table_inputs.sample_weights(sample_weight, len(frame))
    warn_of_heavy_rows(estimator.fit_.spec, weight)
    return frame, position, labels, batch


def _new_factor(estimator: FairMixedEffects, frame: pd.DataFrame) -> tuple[int, list[str]]:
    """Return the factor that has new clusters, and their labels; all rows must belong to them."""
    factors = estimator.fit_.spec.factors
    found = {
        position: table_inputs.new_clusters(estimator.design_, frame, factor.name)
        for position, factor in enumerate(factors)
    }
    new = {position: labels for position, labels in found.items() if labels}
    names = [factors[position].name for position in new]
    if not new:
        known = ", ".join(repr(factor.name) for factor in factors)
        raise ValueError(
            f"adapt found no new cluster in {known}: every row's cluster is known, and adapt "
            "leaves known clusters as they are. To learn from more of their rows, fit again. "
            "[no-new-cluster]"
        )
    paths = [estimator.design_.factor(name).columns for name in names]
    if len(new) > 1 and all(b[: len(a)] == a for a, b in pairwise(sorted(paths, key=len))):
        raise ValueError(
            f"adapt found new clusters in the nested factors {names}: it learns one factor at a "
            f"time, and a new {names[0]!r} brings clusters of its own in the others. Fit again "
            f"with these rows, or give rows of known {names[0]!r} only. [adapt-nested]"
        )
    if len(new) > 1:
        raise ValueError(
            f"adapt found new clusters in {names}, and learns one factor at a time. "
            f"{_in_turn(estimator.design_, frame, names).strip()} [adapt-one-factor]"
        )
    ((position, labels),) = new.items()
    own = table_inputs.cluster_labels(frame, estimator.design_.factor(factors[position].name))
    others = sorted(set(own) - set(labels))
    if others:
        raise ValueError(
            f"adapt got rows of known clusters of {factors[position].name!r} too: {others[:5]}. It "
            "leaves known clusters as they are: give the rows of new clusters only. "
            "[known-clusters]"
        )
    return position, labels


def _in_turn(design: Design, frame: pd.DataFrame, names: Sequence[str]) -> str:
    """Say which rows to adapt to first, where several factors have new clusters, and which then.

    Rows that are new in one factor alone tell its clusters, which are known from then on. What
    remains are rows whose outcome cannot be split between the effects of two new clusters.
    """
    labels = {name: table_inputs.cluster_labels(frame, design.factor(name)) for name in names}
    new = {name: ~np.isin(labels[name], design.clusters[name]) for name in names}
    left, steps = np.ones(len(frame), bool), []
    for name in (*names, *names):
        alone = left & new[name] & (np.sum([*new.values()], axis=0) == 1)
        if alone.any():
            steps.append(f"to the {alone.sum()} rows that are new in {name!r} alone")
            left &= ~alone
            new[name] &= ~np.isin(labels[name], labels[name][alone])
    said = f"Adapt first {', then '.join(steps)}, each time the model of the call before. "
    rest = (
        f"{left.sum()} of {len(frame)} rows are of clusters new in several factors, between whose "
        "effects an outcome cannot be split: leave these rows out, or fit again with them."
    )
    return said * bool(steps) + rest * bool(left.any())


# Before and after -------------------------------------------------------------------------------


def _updated(
    estimator: FairMixedEffects,
    fit: Fit,
    design: Design,
    batch: Batch,
    before: Fit,
    seen_by: Batch | None = None,
) -> Any:
    """Return a copy with another fit; compare the groups' disparity before and after.

    ``batch`` are the rows to compare on, ``seen_by`` the same as the old fit sees their clusters.
    """
    after = copy.copy(estimator)
    after.fit_, after.design_ = fit, design
    if before.spec.tangent and not fit.spec.tangent:
        after.network_posterior_ = "none"
    keep_training(after, batch if seen_by is None else _appended(estimator, batch))
    if fit.spec.attributes:
        first, last = (
            predictions.means(Query(f.spec, f.network, f.draws, f.centre, rows, None), "mixed")
            for f, rows in ((before, batch if seen_by is None else seen_by), (fit, batch))
        )
        after.disparity_ = _compare(estimator, first, last, batch)
        _warn_of_disparity(after.disparity_)
    return after


def _appended(estimator: FairMixedEffects, rows: Batch) -> Batch | None:
    """Return the training rows with others behind them; None where there are none to append to."""
    kept = getattr(estimator, "_training", None)
    if kept is None:
        return None
    return joined(kept, rows)


def _compare(
    estimator: FairMixedEffects, before: np.ndarray, after: np.ndarray, batch: Batch
) -> pd.DataFrame:
    """Return attribute, before, after, change and its 90 % bootstrap interval over rows."""
    spec = estimator.fit_.spec
    unit = float(estimator.target_.value_scale)
    generator = np.random.default_rng(estimator._seed)
    rows = len(batch.weight)
    times = [
        np.bincount(generator.integers(rows, size=rows), minlength=rows) for _ in range(REPLICATES)
    ]
    weights = batch.weight * np.vstack([np.ones(rows), *times])
    first, last = (prediction_gaps(spec, values, batch, weights) for values in (before, after))
    low, high = np.quantile((last - first)[1:], [0.05, 0.95], axis=0)
    first, last = first[0], last[0]
    found = {"before": first, "after": last, "change": last - first, "low": low, "high": high}
    names = [attribute.name for attribute in spec.attributes]
    return pd.DataFrame({"attribute": names} | {k: v * unit for k, v in found.items()})


def _warn_of_disparity(disparity: pd.DataFrame) -> None:
    grown = disparity[(disparity["low"] > 0) & (disparity["change"] > 0)]
    if len(grown):
        each = zip(grown["attribute"], grown["before"], grown["after"], strict=True)
        shown = ", ".join(f"{name} {first:.3f} -> {last:.3f}" for name, first, last in each)
        warn(
            f"The groups' predictions are further apart than before: {shown} (mean absolute gap; "
            "disparity_ has all). The effects were inferred without a fairness term: keep one with "
            "fairness_weight=, or look at fairness_report first. [disparity-grown]",
            FairnessWarning,
        )
