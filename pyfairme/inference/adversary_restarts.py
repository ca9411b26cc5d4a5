"""Adversaries that have collapsed begin anew, as stronger ones, and the game goes on from there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import ceil
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from pyfairme.data import Batch
from pyfairme.inference.adversary_skill import Collapse, judge
from pyfairme.inference.decay_choice import DECAY
from pyfairme.inference.fit_stages import RESTARTING, Progress, Report
from pyfairme.inference.guides import GuideChoice
from pyfairme.inference.laplace.second_stage import Finished
from pyfairme.inference.svi import (
    Schedule,
    Trained,
    attribute_adversaries,
    fit_members,
    objective_scores,
)
from pyfairme.model.penalties import Adversarial, NamedPenalty
from pyfairme.model.program import ModelSpec, Objective

ALONE, TOGETHER = 0.1, 0.5  # shares of the first training: adversaries alone, then with the network
SLOWER = (0.3, 0.1)  # by round: what multiplies the rate of all but adversaries, once together
WAVES = 5  # of an adversary that begins anew (see `Adversarial`)
DEALS = 19  # of the groups among rows: the largest of so many disparities is their 95 % limit
RESTARTS = "restarts"  # column of the history, of fits that had any


class Played(NamedTuple):
    """One member: as training left it, with its posterior, what has collapsed, what it warns of.

    ``plain`` are new adversaries of the form that the spec has, where stronger ones have replaced
    those that collapsed: what a later fit begins with, as collapsed ones may have no gradient.
    """

    trained: Trained
    done: Trained  # with the network of the posterior
    found: Finished
    collapsed: list[Collapse]
    said: dict[tuple[str, type[Warning]], None]
    restarts: int = 0
    plain: Mapping[str, Any] = MappingProxyType({})


def stronger(penalties: tuple[NamedPenalty, ...]) -> tuple[NamedPenalty, ...]:
    """Return the penalties with adversaries that read ``WAVES``, or more if they did before.

    Examples
    --------
    >>> (one,) = stronger((NamedPenalty("adversarial", Adversarial(width=8)),))
    >>> one.penalty.width, one.penalty.waves
    (8, 5)
    """

    def strong(penalty: Any) -> Any:
        if not isinstance(penalty, Adversarial):
            return penalty
        return replace(penalty, waves=max(WAVES, penalty.waves))

    return tuple(NamedPenalty(name, strong(penalty)) for name, penalty in penalties)


def restart_collapsed(
    members: list[Played],
    spec: ModelSpec,
    guide: GuideChoice,
    training: Batch,
    validation: Batch | None,
    judged: Batch,
    objective: Objective,
    schedule: Schedule,
    seeds: Sequence[int],
    posterior: Callable[[int, Trained, tuple[NamedPenalty, ...]], Played],
    report: Report,
) -> list[Played]:
    """Return the members, those with a collapsed adversary trained on with new ones.

    In a round, adversaries of sensitive attributes begin anew in a `stronger` form and learn alone
    from a frozen network, for a share ``ALONE`` of the first training; then all train together for
    ``TOGETHER`` of it, without a warm-up. Adversaries keep their learning rate; in this second part
    of a round that of all else is multiplied by the round's entry of ``SLOWER``, which has as many
    entries as there may be rounds. A member that is still collapsed, or whose weighted disparity
    has risen by more than what groups by chance are apart (`limits_of_chance`), is kept as it was
    if its objective was better, both on the rows that are ``judged``.

    Parameters
    ----------
    posterior
        Makes a member of what training left of it, given the penalties that it was trained with.
    spec, guide, training, validation, objective, schedule, seeds, report
        Those of the fit (see `svi.fit_members`). Members without a collapse stay as they are.
    """
    strong = replace(spec, penalties=stronger(spec.penalties))
    none = replace(schedule, epochs=0, min_steps=0)
    for number in range(1, len(SLOWER) + 1):
        again = [at for at, one in enumerate(members) if any(c.of_adversary for c in one.collapsed)]
        if not again:
            break
        before = [members[at].trained for at in again]
        own = [
            int(np.random.SeedSequence([seeds[at], number]).generate_state(1)[0]) >> 1
            for at in again
        ]
        given = (strong, guide, training, validation, objective)
        try:
            after = _trained_on(before, given, schedule, own, number, report)
        except FloatingPointError:  # the members as they were are finite
            members = [_tried(one) if at in again else one for at, one in enumerate(members)]
            continue
        old_scores = objective_scores(spec, guide, before, judged, objective)
        new_scores = objective_scores(spec, guide, after, judged, objective)
        start = [one.params for one in before]
        begun = fit_members(
            spec, guide, training, None, objective, none, own, start=start, fresh=True
        )
        limits = limits_of_chance(spec, guide, after, judged, objective, number)
        for at, one, fresh, old, now, limit in zip(
            again, after, begun, old_scores, new_scores, limits, strict=True
        ):
            was = members[at]
            new = posterior(at, one, strong.penalties)
            plain = was.plain or attribute_adversaries(spec, fresh.params)
            fair = not new.collapsed and now.disparity <= old.disparity + limit
            best = new._replace(plain=plain) if fair or now.total <= old.total else was
            members[at] = _tried(best._replace(restarts=was.restarts))  # NaN: as it was
    if any(one.restarts for one in members):
        for one in members:
            for row in one.done.history:
                row.setdefault(RESTARTS, 0.0)
            one.done.history[-1][RESTARTS] = float(one.restarts)
    return members


def times(number: int) -> str:
    """Say how often in words.

    Examples
    --------
    >>> times(1), times(2)
    ('once', 'twice')
    """
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _tried(one: Played) -> Played:
    return one._replace(restarts=one.restarts + 1)


def limits_of_chance(
    spec: ModelSpec,
    guide: GuideChoice,
    fitted: Sequence[Trained],
    rows: Batch,
    objective: Objective,
    seed: int,
) -> list[float]:
    """Return each member's largest weighted disparity when groups are dealt out at random.

    Dealt out among rows of the same outcome (where the criterion knows it), ``DEALS`` times: how
    far groups of these sizes are apart where nothing is to be found. As what a disparity may *rise*
    by it is wide: of one fit, not of the difference of two, which on the same rows has less noise.
    The mean of m rows of a class is off by .8 s / sqrt(m) on average (half-normal), where s is the
    SD of predictions: with s = .2 and a group of ten rows by .05. Deals hang on ``seed`` alone, so
    that no member's limit depends on which others are restarted.
    """
    blank = np.zeros((len(rows.weight), spec.likelihood.outputs), np.float32)
    seen = judge(spec.likelihood, blank, rows.y, spec.criterion)
    place, random = 2 * seen.strata + seen.counted, np.random.default_rng(seed)
    order = np.argsort(place, kind="stable")
    found = []
    for _ in range(DEALS):
        dealt = np.empty_like(rows.sensitive)
        dealt[order] = rows.sensitive[np.lexsort((random.random(len(place)), place))]
        scores = objective_scores(spec, guide, fitted, rows._replace(sensitive=dealt), objective)
        found.append([one.disparity for one in scores])
    return np.max(found, axis=0).tolist()


def _trained_on(
    before: Sequence[Trained],
    given: tuple[ModelSpec, GuideChoice, Batch, Batch | None, Objective],
    schedule: Schedule,
    seeds: Sequence[int],
    number: int,
    report: Report,
) -> list[Trained]:
    """Train new adversaries on frozen networks, then both; histories go on."""
    decay = before[0].history[-1].get(DECAY, schedule.weight_decay)
    then = replace(schedule, weight_decay=decay, decays=(), warm_up=0.0)
    alone = replace(_shorter(then, ALONE), others=0.0, early_stopping=False)
    both = replace(_shorter(then, TOGETHER), others=SLOWER[number - 1])
    report = _in_round(report, number)
    start = [one.params for one in before]
    first = fit_members(*given, alone, seeds, report, start, fresh=True)
    start = [one.params for one in first]
    second = fit_members(*given, both, seeds, report, start)
    return [_joined(*parts) for parts in zip(before, first, second, strict=True)]


def _shorter(schedule: Schedule, share: float) -> Schedule:
    epochs, steps = ceil(share * schedule.epochs), ceil(share * schedule.min_steps)
    return replace(schedule, epochs=epochs, min_steps=steps)


def _joined(before: Trained, alone: Trained, together: Trained) -> Trained:
    """Return the last state, with the rows of all three histories."""
    history: list[dict[str, float]] = [dict(row) for row in before.history]
    number = history[-1].get(RESTARTS, 0.0) + 1.0
    for row in history:
        row.setdefault(RESTARTS, 0.0)
    kept: dict[str, Any] = {DECAY: history[-1][DECAY]} if DECAY in history[-1] else {}
    for part in (alone.history, together.history):
        last = history[-1]["epoch"]
        history += [row | kept | {"epoch": last + row["epoch"], RESTARTS: number} for row in part]
    best = len(before.history) + len(alone.history) + together.best
    return Trained(together.params, history, best)


def _in_round(report: Report, number: int) -> Report:
    """Report all training of a round as its own stage."""

    def told(progress: Progress) -> None:
        if progress.stage == "training":
            note = f"round {number}" + (f", {progress.note}" if progress.note else "")
            report(progress._replace(stage=RESTARTING, note=note))

    return told
