"""Adversaries judged: how much better than chance they are, and whether one has collapsed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from pyfairme.data import Batch
from pyfairme.data.brackets import shares_of_groups
from pyfairme.model.likelihoods import Likelihood
from pyfairme.model.penalties import AttributeCodes

AT_CHANCE = 0.01  # skill below which an adversary knows nothing
NEAR_CONSTANT = 1e-3  # standard deviation of a bounded prediction
DIVERGED = 30.0  # mean absolute link
PROBE_ROWS = 5000
TENTHS = 10


class AdversaryWarning(UserWarning):
    """An adversary, or the prediction it plays against, has collapsed."""


class AdversarySkill(NamedTuple):
    """What an adversary saw of one prediction, and of which rows.

    ``told`` is the bounded prediction, with the outcome where the adversary knew it, (n, V);
    ``strata`` (n,) numbers the outcome's classes, or tenths where it is real, and is constant where
    the adversary did not know it; ``counted`` (n,) are the rows that the criterion compares.
    """

    prediction: np.ndarray
    told: np.ndarray
    strata: np.ndarray
    counted: np.ndarray
    link: np.ndarray


def judge(
    likelihood: Likelihood, link: np.ndarray, y: np.ndarray, criterion: str
) -> AdversarySkill:
    """Return what an adversary saw of a prediction under a criterion."""
    prediction = np.asarray(likelihood.bounded(link))
    classes = likelihood.strata(y)
    one_hot = None if classes is None else np.asarray(classes)
    counted = np.ones(len(y), bool)
    if criterion == "equal_opportunity" and one_hot is not None:
        counted = one_hot[:, -1] > 0
    if criterion != "equalized_odds":
        return AdversarySkill(
            prediction, prediction, np.zeros(len(y), int), counted, np.asarray(link)
        )
    told = np.hstack([prediction, np.asarray(likelihood.outcome(y))])
    if one_hot is not None:
        return AdversarySkill(prediction, told, one_hot.argmax(axis=1), counted, np.asarray(link))
    tenths = np.searchsorted(np.quantile(y, np.linspace(0, 1, TENTHS + 1)[1:-1]), y)
    return AdversarySkill(prediction, told, tenths, counted, np.asarray(link))


def chance(batch: Batch, index: int, balance: np.ndarray, view: AdversarySkill) -> float:
    """Cross-entropy of the best guess that does not see the prediction, per row of the batch.

    The entropy of the reweighted levels, within each stratum of the outcome that the adversary
    knows, over the rows that the criterion compares. Of a real outcome it knows more than its
    tenth, so a skill slightly above 0 is chance too.
    """
    total = 0.0
    place = batch.sensitive[:, index]
    inside = view.counted & (place >= 0)
    groups = shares_of_groups(place, len(balance)) * balance
    weight = batch.weight / batch.weight.sum()
    for stratum in np.unique(view.strata[inside]):
        rows = inside & (view.strata == stratum)
        mass = weight[rows] @ groups[rows]
        if mass.sum() > 0:
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
                row[f"skill/{term.partition('/')[2]}"] = 1.0 - row[name] / max(value, 1e-12)
    return history


def find_collapse(
    views: Mapping[str, AdversarySkill],
    skills: Mapping[str, float],
    attributes: tuple[AttributeCodes, ...],
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
    view: AdversarySkill, batch: Batch, index: int, balance: np.ndarray, seed: int
) -> tuple[float, float]:
    """Gain of a probe over chance in nats per row, cross-fitted over two halves, and its error."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    codes = np.rint(batch.sensitive[:, index]).astype(int)
    rows = np.flatnonzero((codes >= 0) & view.counted)
    rows = np.random.default_rng(seed).permutation(rows)[:PROBE_ROWS]
    gains = []
    for train, test in ((rows[::2], rows[1::2]), (rows[1::2], rows[::2])):
        if not 2 <= len(np.unique(codes[train])) <= len(train) / 2:
            continue  # groups of single rows: there is nothing to learn, as scikit-learn warns
        probe: Any = HistGradientBoostingClassifier(max_iter=50, max_depth=3, random_state=seed)
        test = test[np.isin(codes[test], np.unique(codes[train]))]
        # so few rows take a third of the time in one thread; on busy cores several only spin
        with threadpool_limits(1, user_api="openmp"):
            probe.fit(view.told[train], codes[train], sample_weight=balance[codes[train]])
            log_p = np.log(np.maximum(probe.predict_proba(view.told[test]), 1e-6))
        position = np.searchsorted(probe.classes_, codes[test])
        known = log_p[np.arange(len(test)), position]
        gains.append(
            balance[codes[test]] * (known - _guess(codes, view.strata, balance, train, test))
        )
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
