"""The decay of weights that held-out rows choose, for fits that would learn rows by heart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Array

from pyfairme.compilation import jitted, per_structure
from pyfairme.data import Batch
from pyfairme.data.encoded_later import held
from pyfairme.inference.fit_stages import Progress, Report, silent
from pyfairme.inference.guides import GuideChoice, guide_of
from pyfairme.inference.svi import Schedule, Trained, fit_members, pad, table_bucket
from pyfairme.metrics.standard_error import error_of_mean
from pyfairme.model.program import ModelSpec, Objective, plain, predictor

TIE = 0.25  # standard errors within which the stronger decay is taken: docs/decisions.md
DECAY = "weight_decay"  # column of the history, where there was a choice


def fit_by_decay(
    spec: ModelSpec,
    guide: GuideChoice,
    training: Batch,
    validation: Batch | None,
    objective: Objective,
    schedule: Schedule,
    seeds: Sequence[int],
    report: Report = silent,
    start: Sequence[dict[str, Any]] | None = None,
    together: np.ndarray | None = None,
) -> list[Trained]:
    """Fit the members with each of the schedule's decays, and return those of the chosen one.

    It is chosen by the loss of held-out rows, see `strongest_of_the_best`. Their disparities do not
    count: every candidate has the same penalties, and gaps among a few dozen held-out positives
    are mostly noise, which the flattest prediction has least of.

    Parameters are those of `svi.fit_members`, and which held-out rows belong ``together``. Without
    a choice, or without held-out rows, it is that fit; else every row of the histories has the
    decay that was taken, ``weight_decay``.

    Raises
    ------
    FloatingPointError
        When a term of a member's loss stops being finite.
    """

    def fitted(one: Schedule, told: Report) -> list[Trained]:
        return fit_members(spec, guide, training, validation, objective, one, seeds, told, start)

    decays = sorted(schedule.decays)
    if len(decays) < 2 or validation is None:
        return fitted(schedule, report)
    fits, losses = [], []
    for turn, decay in enumerate(decays):
        told = _in_turn(report, turn, len(decays))
        fits.append(fitted(replace(schedule, weight_decay=decay), told))
        each = [_row_losses(spec, guide, one, validation, objective) for one in fits[-1]]
        losses.append(np.mean(each, axis=0))
    chosen = strongest_of_the_best(np.stack(losses), np.asarray(validation.weight), together)
    for one in fits[chosen]:
        for row in one.history:
            row[DECAY] = decays[chosen]
    return fits[chosen]


def strongest_of_the_best(
    losses: np.ndarray, weight: np.ndarray, together: np.ndarray | None = None
) -> int:
    """Return the last candidate whose loss is within a quarter standard error of the least one's.

    The rule of Breiman et al. (1984, section 3.4.3) with a smaller margin than theirs, one standard
    error, on paired differences of the same rows.

    Parameters
    ----------
    losses
        Losses (candidates, rows), the candidates by increasing strength.
    weight
        Weights of the rows, (rows,).
    together
        Numbers (rows,) that rows which belong together share, or None.

    Examples
    --------
    >>> losses = np.array([[0.0, 2.0, 1.0], [0.1, 2.0, 0.92], [3.0, 3.1, 2.9]])
    >>> strongest_of_the_best(losses, np.ones(3))
    1
    """
    share = weight / weight.sum()
    excess = losses - losses[np.argmin(losses @ share)]
    mean = excess @ share
    error = np.array([error_of_mean(one, weight, together) for one in excess])
    return int(np.flatnonzero(mean <= TIE * np.nan_to_num(error))[-1])


def _row_losses(
    spec: ModelSpec, guide: GuideChoice, one: Trained, validation: Batch, objective: Objective
) -> np.ndarray:
    """Return L_M + λ_F L_F of every row (n,), at the latents' medians."""
    latents = guide_of(guide, spec.latents).median(one.params)
    rows = pad(held(validation), table_bucket(len(validation.weight)))
    found = _losses(plain(spec))(one.params["network"], latents, rows, float(objective.fixed))
    return np.asarray(found, np.float64)[: len(validation.weight)]


@per_structure()
def _losses(spec: ModelSpec) -> Callable[..., Array]:
    def losses(network: Any, latents: Any, rows: Batch, fixed: Array) -> Array:
        prediction = predictor(spec, network, latents, rows)
        mixed = spec.likelihood.distribution(prediction.mixed, latents).log_prob(rows.y)
        if not spec.factors:
            return -mixed
        alone = spec.likelihood.distribution(prediction.fixed, latents).log_prob(rows.y)
        return -mixed - fixed * alone

    return jitted(losses, "once")


def _in_turn(report: Report, turn: int, turns: int) -> Report:
    """Report training as one stage, of which each fit is a part; compiling is the first's."""

    def told(progress: Progress) -> None:
        if progress.stage == "training":
            done = turn * progress.total + progress.done
            report(progress._replace(done=done, total=turns * progress.total))
        elif turn == 0:
            report(progress)

    return told
