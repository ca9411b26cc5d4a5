"""Adversaries judged: how much better than chance they are, and whether one has collapsed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from pyfairme.data import Batch
from pyfairme.model.likelihoods import Likelihood
from pyfairme.model.penalties import Attribute

__all__ = ["AdversaryWarning", "add_skill", "chance", "find_collapse"]

AT_CHANCE = 0.01  # skill below which an adversary knows nothing
NEAR_CONSTANT = 1e-3  # standard deviation of a bounded prediction
DIVERGED = 30.0  # mean absolute link
PROBE_ROWS = 5000


class AdversaryWarning(UserWarning):
    """An adversary, or the prediction it plays against, has collapsed."""


class Judged(NamedTuple):
    """Bounded prediction (n, V), outcome (n, V), strata (n,) or None and link (n, K) of a view."""

    prediction: np.ndarray
    outcome: np.ndarray
    strata: np.ndarray | None
    link: np.ndarray


def judge(likelihood: Likelihood, link: np.ndarray, y: np.ndarray, criterion: str) -> Judged:
    """Return what an adversary saw of a prediction."""
    strata = likelihood.strata(y) if criterion == "equalized_odds" else None
    return Judged(
        np.asarray(likelihood.bounded(link)),
        np.asarray(likelihood.outcome(y)),
        None if strata is None else np.asarray(strata).argmax(axis=1),
        np.asarray(link),
    )


def chance(batch: Batch, index: int, balance: np.ndarray, strata: np.ndarray | None) -> float:
    """Cross-entropy of the best guess that does not see the prediction.

    The entropy of the reweighted levels, within each outcome class where the adversary is told it.
    """
    total = 0.0
    groups = np.zeros(len(batch.weight), int) if strata is None else strata
    codes = batch.sensitive[:, index]
    weight = batch.weight / batch.weight.sum() * np.where(codes >= 0, balance[codes], 0.0)
    for stratum in np.unique(groups):
        rows = (groups == stratum) & (codes >= 0)
        mass = np.bincount(codes[rows], weight[rows], minlength=len(balance))
        shares = mass[mass > 0] / mass.sum()
        total -= mass.sum() * float(shares @ np.log(shares))
    return total


def add_skill(
    history: list[dict[str, float]], chances: Mapping[str, float], prefix: str
) -> list[dict[str, float]]:
    """Add each adversary's skill, 1 - cross-entropy / chance, to the rows of a history."""
    for row in history:
        for term, value in chances.items():
            name = prefix + term
            if name in row:
                row[term.replace("adversarial", "skill", 1)] = 1.0 - row[name] / max(value, 1e-12)
    return history


def find_collapse(
    views: Mapping[str, Judged],
    skills: Mapping[str, float],
    attributes: tuple[Attribute, ...],
    batch: Batch,
    balance: tuple[np.ndarray, ...],
    seed: int,
) -> list[str]:
    """Return one message per collapse found on validation rows.

    A prediction that is near constant or diverges; an adversary at chance where a fresh probe,
    gradient boosting on what the adversary saw, beats chance by more than two standard errors.
    """
    messages = []
    for name, view in views.items():
        if view.prediction.std(axis=0).max() < NEAR_CONSTANT:
            messages.append(f"the {name} prediction is nearly constant (SD < {NEAR_CONSTANT})")
            continue
        if np.abs(view.link).mean() > DIVERGED:
            messages.append(f"the {name} prediction diverges (mean |link| > {DIVERGED:g})")
            continue
        for index, attribute in enumerate(attributes):
            skill = skills.get(f"skill/{name}/{attribute.name}")
            if skill is None or skill >= AT_CHANCE:
                continue
            gain, error = _probe(view, batch, index, balance[index], seed)
            if gain > 2 * error:
                messages.append(
                    f"the adversary of {attribute.name!r} on the {name} prediction is at chance "
                    f"(skill {skill:.3f}), yet a fresh probe beats chance by {gain:.3f} nats "
                    f"(standard error {error:.3f})"
                )
    return messages


def _probe(
    view: Judged, batch: Batch, index: int, balance: np.ndarray, seed: int
) -> tuple[float, float]:
    """Gain of a probe over chance in nats per row, cross-fitted over two halves, and its error."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    codes = batch.sensitive[:, index]
    rows = np.flatnonzero(codes >= 0)
    rows = np.random.default_rng(seed).permutation(rows)[:PROBE_ROWS]
    strata = np.zeros(len(codes), int) if view.strata is None else view.strata
    told = view.prediction if view.strata is None else np.hstack([view.prediction, view.outcome])
    gains = []
    for train, test in ((rows[::2], rows[1::2]), (rows[1::2], rows[::2])):
        if len(np.unique(codes[train])) < 2:
            continue
        probe: Any = HistGradientBoostingClassifier(max_iter=50, max_depth=3, random_state=seed)
        test = test[np.isin(codes[test], np.unique(codes[train]))]
        # so few rows take a third of the time in one thread; on busy cores several only spin
        with threadpool_limits(1, user_api="openmp"):
            probe.fit(told[train], codes[train], sample_weight=balance[codes[train]])
            log_p = np.log(np.maximum(probe.predict_proba(told[test]), 1e-6))
        position = np.searchsorted(probe.classes_, codes[test])
        known = log_p[np.arange(len(test)), position]
        gains.append(balance[codes[test]] * (known - _guess(codes, strata, balance, train, test)))
    every = np.concatenate(gains) if gains else np.zeros(2)
    return float(every.mean()), float(every.std(ddof=1) / np.sqrt(len(every)))


def _guess(
    codes: np.ndarray,
    strata: np.ndarray,
    balance: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
) -> np.ndarray:
    """Log-probability of each test row's level by the reweighted shares of its stratum."""
    found = np.zeros(len(test))
    for stratum in np.unique(strata[test]):
        inside = train[strata[train] == stratum]
        mass = np.bincount(codes[inside], balance[codes[inside]], minlength=len(balance)) + 1e-3
        here = strata[test] == stratum
        found[here] = np.log(mass / mass.sum())[codes[test[here]]]
    return found
