"""Adversaries that have collapsed begin anew, and the game goes on from there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil
from typing import Any, NamedTuple

import numpy as np

from pyfairme.data import Batch
from pyfairme.inference.adversary_skill import Collapse
from pyfairme.inference.decay_choice import DECAY
from pyfairme.inference.fit_stages import RESTARTING, Progress, Report
from pyfairme.inference.guides import GuideChoice
from pyfairme.inference.laplace.second_stage import Finished
from pyfairme.inference.svi import Schedule, Trained, fit_members, objective_scores
from pyfairme.model.program import ModelSpec, Objective

MOST_RESTARTS = 2
ALONE, TOGETHER = 0.1, 0.5  # shares of the first training: adversaries alone, then with the network
SLOWER = 0.3  # multiple of the learning rate of the second
RESTARTS = "restarts"  # column of the history, of fits that had any


class Played(NamedTuple):
    """One member: as training left it, with its posterior, what has collapsed, what it warns of."""

    trained: Trained
    done: Trained  # with the network of the posterior
    found: Finished
    collapsed: list[Collapse]
    said: dict[tuple[str, type[Warning]], None]
    restarts: int = 0


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
    posterior: Callable[[int, Trained], Played],
    report: Report,
) -> list[Played]:
    """Return the members, those with a collapsed adversary trained on with new ones.

    In a round, adversaries of sensitive attributes begin at new initial values and learn alone
    from a frozen network, for a tenth of the first training; then all train together for half of
    it, without a warm-up and at three tenths of the learning rate. There are at most two rounds. A
    member that is still collapsed, or whose weighted disparity has risen, is kept as it was if its
    objective was better, both on the rows that are ``judged``.

    Parameters
    ----------
    posterior
        Makes a member of what training left of it.
    spec, guide, training, validation, objective, schedule, seeds, report
        Those of the fit (see `svi.fit_members`). Members without a collapse stay as they are.
    """
    for number in range(1, MOST_RESTARTS + 1):
        again = [at for at, one in enumerate(members) if any(c.of_adversary for c in one.collapsed)]
        if not again:
            break
        before = [members[at].trained for at in again]
        own = [
            int(np.random.SeedSequence([seeds[at], number]).generate_state(1)[0]) >> 1
            for at in again
        ]
        given = (spec, guide, training, validation, objective)
        try:
            after = _trained_on(before, given, schedule, own, _in_round(report, number))
        except FloatingPointError:  # the members as they were are finite
            members = [_tried(one) if at in again else one for at, one in enumerate(members)]
            continue
        old_scores = objective_scores(spec, guide, before, judged, objective)
        new_scores = objective_scores(spec, guide, after, judged, objective)
        for at, one, old, now in zip(again, after, old_scores, new_scores, strict=True):
            new = posterior(at, one)
            fair = not new.collapsed and now.disparity <= old.disparity
            best = new if fair or now.total <= old.total else members[at]  # NaN: as it was
            members[at] = _tried(best._replace(restarts=members[at].restarts))
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


def _trained_on(
    before: Sequence[Trained],
    given: tuple[ModelSpec, GuideChoice, Batch, Batch | None, Objective],
    schedule: Schedule,
    seeds: Sequence[int],
    report: Report,
) -> list[Trained]:
    """Train new adversaries on frozen networks, then both; histories go on."""
    decay = before[0].history[-1].get(DECAY, schedule.weight_decay)
    then = replace(schedule, weight_decay=decay, decays=(), warm_up=0.0)
    alone = replace(_shorter(then, ALONE), others=0.0, early_stopping=False)
    rate = SLOWER * schedule.learning_rate
    both = replace(_shorter(then, TOGETHER), learning_rate=rate)
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
