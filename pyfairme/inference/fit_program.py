"""From encoded rows to a `Fit`: members of the ensemble, cluster classifiers, diagnostics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd
from jaxtyping import Array
from scipy.special import logsumexp

from pyfairme.compilation import jitted, make_room, per_structure
from pyfairme.data import TARGETS, Batch
from pyfairme.data.batch import joined, some_rows
from pyfairme.data.encoded_later import BLOCK, blocks, spread_numbers, spread_rows
from pyfairme.inference.adversary_restarts import Played, restart_collapsed, times
from pyfairme.inference.adversary_skill import (
    AdversaryWarning,
    Collapse,
    add_skill,
    adversaries_at_work,
    chances_of,
    find_collapse,
    judge,
)
from pyfairme.inference.cluster_buckets import can_be_filled, filled_spec
from pyfairme.inference.cluster_classifier import MOST_CLUSTERS, fit_membership
from pyfairme.inference.cluster_similarity import likeness
from pyfairme.inference.compiled_steps import guide_draws
from pyfairme.inference.decay_choice import fit_by_decay
from pyfairme.inference.fit_stages import Progress, Report, parts, silent
from pyfairme.inference.guides import GuideChoice, guide_of
from pyfairme.inference.jax_runtime import with_numpyro
from pyfairme.inference.laplace.runaway_effects import check_pull
from pyfairme.inference.laplace.second_stage import Finished, PosteriorWarning, broken_down, finish
from pyfairme.inference.laplace.tangent_posterior import PARTS, check_tangent, finish_tangent
from pyfairme.inference.null_model import (
    held_out_loss,
    null_log_density,
    null_loss,
    worse_than_null,
)
from pyfairme.inference.predictions import CHUNK, Fit, Query, log_density, mean_link
from pyfairme.inference.svi import Schedule, Trained, pad, table_bucket, training_size
from pyfairme.model import tangent
from pyfairme.model.effects import DENSE_CLUSTERS
from pyfairme.model.likelihoods import noise_is_known
from pyfairme.model.penalties import NamedPenalty
from pyfairme.model.program import LAST_LAYER, ModelSpec, Objective, predictor
from pyfairme.notices import DataWarning, held_back, say, warn

MOST_DRAWS = 1000
FEWEST_HELD_OUT = 50  # validation rows that are held against a constant
MOST_JUDGED = 2**16  # validation rows that the history and early stopping look at
LEAST_DRAWS = 100
DRAWN_VALUES = 5e7  # numbers kept in all draws together: fewer draws of very many effects
ADVICE = (
    "The fairness penalty has no grip there. Lower fairness_weight or learning_rate, train longer "
    "(epochs, min_steps), or combine penalties: fairness=('adversarial', 'moment')."
)


class Result(NamedTuple):
    """A fit, its history (one row per chunk of steps and member), and the steps taken.

    ``params`` are those that the SVI of each member ended with, for a fit that goes on from there;
    adversaries have the spec's form, and new initial values where a restart made stronger ones.
    """

    fit: Fit
    history: pd.DataFrame
    epochs: int
    params: list[dict[str, Any]]


@with_numpyro
def train(
    spec: ModelSpec,
    guide: GuideChoice,
    training: Batch,
    validation: Batch | None,
    objective: Objective,
    schedule: Schedule,
    *,
    seed: int,
    members: int = 1,
    infer: bool = True,
    report: Report = silent,
    start: Sequence[dict[str, Any]] | None = None,
    together: np.ndarray | None = None,
) -> Result:
    """Fit every member, draw from its posterior, and warn when an adversary has collapsed.

    With ``start``, the ``params`` of another result, adversaries are not new: λ has no warm-up.
    ``together`` has numbers that validation rows which belong together share: standard errors know.

    Raises
    ------
    FloatingPointError
        When a loss stops being finite, or the fit ends with a loss above that of the null model
        although no penalty acts.

    Warns
    -----
    AdversaryWarning
        When penalties act and the loss ends above the null model's; when a prediction or an
        adversary has collapsed (see `adversary_skill.find_collapse`).
    DataWarning
        When memberships are to be inferred of more clusters than a classifier can tell apart.
    """
    told_apart = _told_apart(spec) if infer else ()
    if validation is not None:
        if together is not None:
            together = together[spread_numbers(len(together), MOST_JUDGED)]
        validation = spread_rows(validation, MOST_JUDGED)
    judged = spread_rows(training, MOST_JUDGED) if validation is None else validation
    chances = chances_of(spec, judged, objective)
    prefix = "" if validation is None else "validation/"
    seeds = tuple(seed + member for member in range(members))
    every = training
    if spec.tangent:
        every = training if validation is None else joined(training, validation)
        check_tangent(spec, len(every.weight))
    trained = replace(lean(spec, objective), tangent=False)
    sizes = [training_size(len(training.weight), schedule.batch_size)]
    sizes += [] if validation is None else [table_bucket(len(validation.weight))]
    shared = filled_spec(trained) if can_be_filled(guide) else trained
    make_room((shared, guide, members, schedule.batch_size, *sizes), training.x[:1])
    if start is not None:
        schedule = replace(schedule, warm_up=0.0)
    fitted = fit_by_decay(
        trained, guide, training, validation, objective, schedule, seeds, report, start,
        together,
    )  # fmt: skip
    rows = every if spec.tangent else training

    def posterior(
        member: int, one: Trained, penalties: tuple[NamedPenalty, ...], told: Report = silent
    ) -> Played:
        """Finish one member, trained with these penalties, and judge its adversaries."""
        own = replace(spec, penalties=penalties)
        add_skill(one.history, chances, prefix)
        done = one._replace(params=dict(one.params))
        begin = parts(told, "posterior", _posterior_parts(spec, guide), member, members)
        with held_back() as said:
            found = _posterior(
                own, guide, done, rows, objective, seeds[member], schedule.batch_size, begin
            )
        done.params["network"] = found.network
        draws = _kept(found.draws, members)
        collapsed = _collapse(spec, done, draws, judged, objective, seed, members)
        return Played(one, done, found._replace(draws=draws), collapsed, said)

    played = [posterior(member, one, spec.penalties, report) for member, one in enumerate(fitted)]
    played = restart_collapsed(
        played, trained, guide, training, validation, judged, objective, schedule, seeds,
        posterior, report,
    )  # fmt: skip
    fitted, draws = [one.done for one in played], [one.found.draws for one in played]
    centres = []
    for member, one in enumerate(played):
        report(Progress("diagnostics", member, members))
        say(one.said)
        centres.append(_centre(spec, one.done.params["network"], draws[member], training))
        _compare_with_null(spec, one.done, draws[member], training, objective)
        _warn_of_collapse(one)
    if validation is not None:
        _compare_held_out(spec, fitted, draws, training, validation, objective, together)
    stacked = _stack(draws)
    network = jax.tree.map(lambda *leaves: np.stack(leaves), *[f.params["network"] for f in fitted])
    if any(told_apart):
        report(Progress("cluster classifier", 0, 1))
    membership = tuple(
        fit_membership(training, factor.column, factor.clusters, seed) if there else ()
        for factor, there in zip(spec.factors, told_apart, strict=infer)
    )
    alike = likeness(spec, stacked, membership, training) if infer else {}
    gains = [one.found.gains for one in played if one.found.gains is not None]
    each = np.stack(gains) if spec.tangent else None
    qualities = _stack([one.found.quality for one in played])
    histories = [pd.DataFrame(one.history).assign(member=at) for at, one in enumerate(fitted)]
    return Result(
        Fit(spec, network, stacked, np.stack(centres), membership, qualities, alike, each),
        pd.concat(histories, ignore_index=True),
        max(f.best + 1 for f in fitted),
        [{**one.trained.params, **one.plain} for one in played],
    )


def trained_networks(fit: Fit, training: Batch) -> Fit:
    """Return a fit without the linear model of its networks: they are point estimates again."""
    priors = tuple(one for one in fit.spec.priors if one[0] not in tangent.OWN_SCALES)
    spec = replace(fit.spec, tangent=False, priors=priors)
    kept = {latent.name for latent in spec.latents}
    draws = {name: value for name, value in fit.draws.items() if name in kept}
    centres = [
        _centre(spec, jax.tree.map(lambda leaf, at=at: leaf[at], fit.network), {}, training)
        for at in range(len(fit.centre))
    ]
    return replace(fit, spec=spec, draws=draws, centre=np.stack(centres), gains=None)


def _told_apart(spec: ModelSpec) -> tuple[bool, ...]:
    """Tell which factors can have a cluster classifier; warn of others before a long fit."""
    for factor in spec.factors:
        if factor.clusters > MOST_CLUSTERS:
            warn(
                f"unseen='infer' tells up to {MOST_CLUSTERS:,} clusters apart, and the column "
                f"{factor.name!r} has {factor.clusters:,}: no cluster classifier is fitted for it, "
                f"and "
                "rows of clusters that were not in the training rows will be predicted as by "
                "unseen='sample', from the spread between clusters. unseen='sample' does the same "
                "without this warning; 'population' and 'raise' are the other choices. "
                "[many-clusters]",
                DataWarning,
            )
    return tuple(factor.clusters <= MOST_CLUSTERS for factor in spec.factors)


def lean(spec: ModelSpec, objective: Objective) -> ModelSpec:
    """Leave out idle cluster adversaries where one has many classes: most of a step's cost.

    Those of few clusters stay at weight 0, as a sweep of weights that starts there compiles once.
    """
    many = any(clusters > DENSE_CLUSTERS for _, clusters in spec.adversaries)
    return replace(spec, adversaries=()) if many and float(objective.cluster) == 0 else spec


def _stack(members: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Let every array lead with the members."""
    return {name: np.stack([one[name] for one in members]) for name in members[0]}


def _posterior(
    spec: ModelSpec,
    guide: GuideChoice,
    one: Trained,
    rows: Batch,
    objective: Objective,
    seed: int,
    batch_size: int,
    begin: Callable[[int], None],
) -> Finished:
    """Return draws of one member given rows, from the second stage where the guide has one."""
    quality = {}
    begin(0)
    if spec.tangent:
        most = _number_of_draws(replace(spec, tangent=False))
        return finish_tangent(
            spec, guide, one.params, rows, objective, most, seed, batch_size, begin
        )
    if spec.latents and guide_of(guide, spec.latents).second_stage:
        number = _number_of_draws(spec)
        try:
            found = finish(spec, guide, one.params, rows, objective, number, seed, batch_size)
            first = partial(_draws, spec, guide, one, seed)
            loss = partial(_predictive_loss, spec, one, training=rows)
            check_pull(
                found.quality, objective, spec.likelihood.target,
                lost=lambda: loss(found.draws) - loss(first()),
                link=lambda: _link_size(spec, one, found.draws, rows),
            )  # fmt: skip
            return found
        except FloatingPointError as error:
            warn(
                f"guide='block' broke down ({error}); the draws come from 'mean_field' and are too "
                f"narrow. Look for columns of random_slopes whose zero lies far from their values, "
                "or for columns that nearly determine each other. [block-broke-down]",
                PosteriorWarning,
            )
            quality = broken_down(spec, objective)
    draws = _draws(spec, guide, one, seed)
    return Finished(one.params["network"], draws, quality)


def _posterior_parts(spec: ModelSpec, guide: GuideChoice) -> tuple[str, ...]:
    if spec.tangent:
        return PARTS
    if spec.latents and guide_of(guide, spec.latents).second_stage:
        return ("scales and effects",)
    return ("draws",)


def _number_of_draws(spec: ModelSpec) -> int:
    size = sum(int(np.prod(latent.shape)) for latent in spec.latents)
    return int(np.clip(DRAWN_VALUES / max(size, 1), LEAST_DRAWS, MOST_DRAWS))


def _draws(spec: ModelSpec, guide: GuideChoice, one: Trained, seed: int) -> dict[str, np.ndarray]:
    if not spec.latents:
        return {}
    number = _number_of_draws(spec)
    key = jax.random.fold_in(jax.random.key(seed), 1)
    drawn = guide_draws(spec, guide)(key, one.params, number)
    return {name: np.asarray(value) for name, value in drawn.items()}


def _kept(draws: dict[str, np.ndarray], members: int) -> dict[str, np.ndarray]:
    """Keep the first of the independent draws, so that all members' are about DRAWN_VALUES."""
    size = sum(int(np.prod(value.shape[1:])) for value in draws.values())
    most = max(int(DRAWN_VALUES / max(members * size, 1)), LEAST_DRAWS // members, 1)
    return {
        name: value[:most].copy() if len(value) > most else value for name, value in draws.items()
    }


def _compare_with_null(
    spec: ModelSpec,
    one: Trained,
    draws: dict[str, np.ndarray],
    training: Batch,
    objective: Objective,
) -> None:
    """Refuse a fit that predicts worse than a constant; under penalties only warn of it.

    The loss of training is that of single draws. On a log link, as of large counts, it is far above
    that of their mean as long as the guide is wide: there the predictive density decides, and so it
    does where the noise is known, of a row of any weight.
    """
    null = null_loss(spec.likelihood, training)
    loss, first = one.history[one.best]["mixed"], one.best == 0
    if not worse_than_null(loss, null, first):
        return
    if TARGETS[spec.likelihood.target].log_link or noise_is_known(spec.likelihood):
        loss = _predictive_loss(spec, one, draws, training)
        if not worse_than_null(loss, null):
            return
    found = (
        f"the loss of the mixed prediction ended at {loss:.3g}, that of a constant is {null:.3g}"
    )
    if _penalties_act(objective):
        warn(f"Under its penalties {found}: lower fairness_weight. [worse-than-null]",
             AdversaryWarning)  # fmt: skip
        return
    raise FloatingPointError(
        f"Training failed: {found}. Lower learning_rate, train longer (epochs, min_steps), or look "
        "for extreme values among the covariates and for columns of random_slopes that lie far "
        "from 0 or nearly determine each other. [worse-than-null]"
    )


def _compare_held_out(
    spec: ModelSpec,
    fitted: Sequence[Trained],
    draws: Sequence[dict[str, np.ndarray]],
    training: Batch,
    validation: Batch,
    objective: Objective,
    together: np.ndarray | None,
) -> None:
    """Warn when the mixed prediction of validation rows is worse than a constant.

    The loss of training rows cannot tell: a network can learn them by heart. The predictive density
    is computed only where the loss at the medians, from the history, is above the constant's.
    """
    rows = np.flatnonzero((validation.cluster >= 0).all(axis=1) & (validation.weight > 0))
    short = min(len(one.history) for one in fitted) < 2  # a trial, which nobody expects to be good
    if len(rows) < FEWEST_HELD_OUT or short or noise_is_known(spec.likelihood):
        return
    some = some_rows(validation, rows)
    null = null_log_density(spec.likelihood, training, some)
    histories = [one.history[one.best] for one in fitted]
    at_medians = np.mean([history["validation/mixed"] for history in histories])
    if null is None or at_medians <= -np.average(null, weights=some.weight):
        return
    found = [
        log_density(_own_query(spec, one, drawn, some))["mixed"]
        for one, drawn in zip(fitted, draws, strict=True)
    ]
    compared = held_out_loss(
        logsumexp(found, axis=0) - np.log(len(found)),
        null,
        some.weight,
        float(np.mean([history["mixed"] for history in histories])),
        null_loss(spec.likelihood, training),
        None if together is None else together[rows],
    )
    if not compared.worse:
        return
    said = (
        f"On {len(rows):,} validation rows the loss of the mixed prediction is "
        f"{compared.loss:.3f}, not below that of a constant, {compared.null:.3f} (standard error "
        f"of the difference {compared.error:.3f})"
    )
    penalised = _penalties_act(objective)
    if compared.by_heart:
        warn(
            f"{said}; on training rows it is {compared.trained:.3f}: the network has learned these "
            "by heart. Try hidden=(), a linear model, or early_stopping=True"
            f"{', then a lower fairness_weight' if penalised else ''}. [worse-than-null]"
        )
    elif penalised:
        warn(f"{said}: lower fairness_weight. [worse-than-null]", AdversaryWarning)
    else:
        warn(f"{said}: train longer (epochs, min_steps), or leave columns out. [worse-than-null]")


def _penalties_act(objective: Objective) -> bool:
    return any(np.any(np.asarray(s) > 0) for v in objective.fairness.values() for s in v.values())


def _predictive_loss(
    spec: ModelSpec, one: Trained, draws: dict[str, np.ndarray], training: Batch
) -> float:
    """Return the mean negative log predictive density of some training rows."""
    some = spread_rows(training, CHUNK)
    density = log_density(_own_query(spec, one, draws, some))["mixed"]
    return -float(np.average(density, weights=some.weight))


def _link_size(
    spec: ModelSpec, one: Trained, draws: dict[str, np.ndarray], training: Batch
) -> float:
    """Return the mean absolute mixed link of some training rows; inf where it is not finite."""
    some = spread_rows(training, CHUNK)
    size = np.abs(_links(spec, one, draws, some, "mixed")).mean(axis=-1)
    mean = float(np.average(size, weights=some.weight))
    return mean if np.isfinite(mean) else np.inf


def _links(
    spec: ModelSpec, one: Trained, draws: dict[str, np.ndarray], batch: Batch, effects: str
) -> np.ndarray:
    """Posterior mean link (n, K) of one member."""
    return mean_link(_own_query(spec, one, draws, batch), effects)


def _own_query(spec: ModelSpec, one: Trained, draws: dict[str, np.ndarray], batch: Batch) -> Query:
    """Ask one member about rows of known clusters."""
    network = jax.tree.map(lambda leaf: leaf[None], one.params["network"])
    stacked = {name: value[None] for name, value in draws.items()}
    centre = np.zeros((1, spec.likelihood.outputs), np.float32)
    return Query(spec, network, stacked, centre, batch, None)


def _centre(
    spec: ModelSpec, network: Any, draws: dict[str, np.ndarray], training: Batch
) -> np.ndarray:
    """Mean fixed link over training rows, (K,), offsets left out.

    The link is linear in latent weights: its posterior mean is that of the mean weights.
    """
    latent = (*LAST_LAYER, tangent.WEIGHTS, tangent.LINEAR)
    last = {name: draws[name].mean(axis=0) for name in latent if name in draws}
    bare = training._replace(offset=np.zeros_like(training.offset))
    fixed_part = replace(spec, factors=(), adversaries=(), attributes=(), penalties=(), views=())
    rows, mean = len(training.weight), _mean_fixed(fixed_part)
    found: Any = 0.0
    for at in blocks(rows):
        share = float(np.sum(bare.weight[at], dtype=float) / np.sum(bare.weight, dtype=float))
        if share > 0:
            block = pad(some_rows(bare, at), min(table_bucket(rows), BLOCK))
            found = found + np.float32(share) * np.asarray(mean(network, last, block))
    return np.asarray(found)


@per_structure()
def _mean_fixed(spec: ModelSpec) -> Callable[..., Array]:
    def mean(network: Any, latents: dict[str, Array], batch: Batch) -> Array:
        share = batch.weight / batch.weight.sum()
        return share @ predictor(spec, network, latents, batch).fixed

    return jitted(mean, "once")


def _collapse(
    spec: ModelSpec,
    one: Trained,
    draws: dict[str, np.ndarray],
    judged: Batch,
    objective: Objective,
    seed: int,
    members: int,
) -> list[Collapse]:
    """Return what has collapsed in one of the members, as far as adversaries are at work."""
    strong = adversaries_at_work(spec, objective)
    views = {
        name: judge(
            spec.likelihood, _links(spec, one, draws, judged, name), judged.y, spec.criterion
        )
        for name in spec.views
        if any(term.startswith(f"skill/{name}/") for term in strong)
    }
    skills = {k: v for k, v in one.history[one.best].items() if k in strong}
    balance = tuple(np.asarray(b) for b in objective.balance)
    return find_collapse(views, skills, spec.attributes, judged, balance, seed, members)


def _warn_of_collapse(member: Played) -> None:
    if member.collapsed:
        tried = ""
        if member.restarts:
            tried = f" The adversaries were restarted {times(member.restarts)}, to no avail."
        found = "; ".join(one.text for one in member.collapsed)
        warn(f"Collapsed: {found}.{tried} {ADVICE} [collapsed]", AdversaryWarning)
