"""From encoded rows to a `Fit`: members of the ensemble, z-predictors, draws, diagnostics."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
import pandas as pd

from pyfairme.data import Batch
from pyfairme.inference.collapse import AdversaryWarning, add_skill, chance, find_collapse, judge
from pyfairme.inference.engine import engine
from pyfairme.inference.membership import MOST_CLUSTERS, fit_membership
from pyfairme.inference.predict import Fit, Query, mean_link
from pyfairme.inference.svi import Schedule, Trained, fit, pad
from pyfairme.model.program import ModelSpec, Weights

__all__ = ["Result", "train"]

MOST_DRAWS = 1000
DRAWN_VALUES = 5e7  # numbers kept in all draws together: fewer draws of very many effects
ADVICE = (
    "The fairness penalty has no grip there. Lower fairness_weight or learning_rate, train longer "
    "(epochs, min_steps), or combine penalties: fairness=('adversarial', 'moment')."
)


class Result(NamedTuple):
    """A fit, its history (one row per chunk of steps and member), and the steps taken."""

    fit: Fit
    history: pd.DataFrame
    epochs: int


def train(
    spec: ModelSpec,
    guide: str,
    training: Batch,
    validation: Batch | None,
    weights: Weights,
    schedule: Schedule,
    *,
    seed: int,
    members: int = 1,
    infer: bool = True,
    report: Callable[[int, int, dict[str, float]], None] = lambda done, total, row: None,
) -> Result:
    """Fit every member, draw from its posterior, and warn when an adversary has collapsed.

    Raises
    ------
    FloatingPointError
        When a loss stops being finite.

    Warns
    -----
    AdversaryWarning
        When a prediction or an adversary has collapsed (see `collapse.find_collapse`).
    """
    judged = training if validation is None else validation
    chances = _chances(spec, judged, weights)
    prefix = "" if validation is None else "validation/"
    fitted, histories, draws, centres = [], [], [], []
    for member in range(members):
        one = fit(
            spec,
            guide,
            training,
            validation,
            weights,
            schedule,
            seed + member,
            lambda done, total, row, m=member: report(m * total + done, members * total, row),
        )
        add_skill(one.history, chances, prefix)
        fitted.append(one)
        histories.append(pd.DataFrame(one.history).assign(member=member))
        draws.append(_draws(spec, guide, one, training, weights, seed + member))
        centres.append(_centre(spec, one, draws[-1], training))
        _warn_of_collapse(spec, one, draws[-1], judged, weights, seed)
    stacked = {name: np.stack([d[name] for d in draws]) for name in (draws[0] if draws else {})}
    network = jax.tree.map(lambda *leaves: np.stack(leaves), *[f.params["network"] for f in fitted])
    small = all(factor.clusters <= MOST_CLUSTERS for factor in spec.factors)
    membership = tuple(
        fit_membership(training, factor.column, factor.clusters, seed)
        for factor in spec.factors
        if infer and small
    )
    return Result(
        Fit(spec, network, stacked, np.stack(centres), membership),
        pd.concat(histories, ignore_index=True),
        max(f.best + 1 for f in fitted),
    )


def _draws(
    spec: ModelSpec, guide: str, one: Trained, training: Batch, weights: Weights, seed: int
) -> dict[str, np.ndarray]:
    if not spec.latents:
        return {}
    size = sum(int(np.prod(latent.shape)) for latent in spec.latents)
    number = int(np.clip(DRAWN_VALUES / max(size, 1), 100, MOST_DRAWS))
    key = jax.random.fold_in(jax.random.key(seed), 1)
    few = pad(Batch(*(None if a is None else a[:1] for a in training)), 1)
    scaled = weights._replace(rows=1.0, batch_rows=1.0, ramp=1.0)
    drawn = engine(spec, guide).draw(key, one.params, few, scaled, number)
    return {name: np.asarray(value) for name, value in drawn.items()}


def _links(
    spec: ModelSpec, one: Trained, draws: dict[str, np.ndarray], batch: Batch, effects: str
) -> np.ndarray:
    """Posterior mean link (n, K) of one member."""
    network = jax.tree.map(lambda leaf: leaf[None], one.params["network"])
    stacked = {name: value[None] for name, value in draws.items()}
    centre = np.zeros((1, spec.likelihood.outputs), np.float32)
    return mean_link(Query(spec, network, stacked, centre, batch, None), effects)


def _centre(
    spec: ModelSpec, one: Trained, draws: dict[str, np.ndarray], training: Batch
) -> np.ndarray:
    """Mean fixed link over training rows, (K,), offsets left out."""
    link = _links(
        spec, one, draws, training._replace(offset=np.zeros_like(training.offset)), "fixed"
    )
    return ((training.weight @ link) / training.weight.sum()).astype(np.float32)


def _chances(spec: ModelSpec, judged: Batch, weights: Weights) -> dict[str, float]:
    """Cross-entropy of a guess at chance, per adversary's term."""
    if "adversarial" not in spec.penalties:
        return {}
    zeros = np.zeros((len(judged.weight), spec.likelihood.outputs), np.float32)
    blank = judge(spec.likelihood, zeros, judged.y, spec.criterion)
    return {
        f"adversarial/{view}/{attribute.name}": chance(
            judged, index, np.asarray(weights.balance[index]), blank
        )
        for view in spec.views
        for index, attribute in enumerate(spec.attributes)
    }


def _warn_of_collapse(
    spec: ModelSpec,
    one: Trained,
    draws: dict[str, np.ndarray],
    judged: Batch,
    weights: Weights,
    seed: int,
) -> None:
    if "adversarial" not in spec.penalties:
        return
    views = {
        name: judge(
            spec.likelihood, _links(spec, one, draws, judged, name), judged.y, spec.criterion
        )
        for name in spec.views
    }
    skills = {k: v for k, v in one.history[one.best].items() if k.startswith("skill/")}
    balance = tuple(np.asarray(b) for b in weights.balance)
    found = find_collapse(views, skills, spec.attributes, judged, balance, seed)
    if found:
        warnings.warn(f"Collapsed: {'; '.join(found)}. {ADVICE}", AdversaryWarning, stacklevel=3)
