"""Adversaries judged: how much better than chance they are, and whether one has collapsed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pyfairme.data import Batch
from pyfairme.data.brackets import shares_of_groups
from pyfairme.inference.adversary_probe import probe, units_of_level
from pyfairme.model.likelihoods import Likelihood
from pyfairme.model.penalties import AttributeCodes
from pyfairme.model.program import ModelSpec, Objective

AT_CHANCE = 0.01  # skill below which an adversary knows nothing
NEAR_CONSTANT = 1e-3  # standard deviation of a bounded prediction
DIVERGED = 30.0  # mean absolute link
TENTHS = 10


class AdversaryWarning(UserWarning):
    """An adversary, or the prediction it plays against, has collapsed."""


class Collapse(NamedTuple):
    """What has collapsed, in words, and whether it is an adversary: those can be restarted."""

    text: str
    of_adversary: bool


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


def chances_of(spec: ModelSpec, judged: Batch, objective: Objective) -> dict[str, float]:
    """Cross-entropy of a guess at chance, per adversary's term."""
    adversarial = [one.name for one in spec.penalties if one.adversarial]
    if not adversarial:
        return {}
    zeros = np.zeros((len(judged.weight), spec.likelihood.outputs), np.float32)
    blank = judge(spec.likelihood, zeros, judged.y, spec.criterion)
    return {
        f"{name}/{view}/{attribute.name}": chance(
            judged, index, np.asarray(objective.balance[index]), blank
        )
        for name in adversarial
        for view in spec.views
        for index, attribute in enumerate(spec.attributes)
    }


def adversaries_at_work(spec: ModelSpec, objective: Objective) -> set[str]:
    """Return the history's names of the skills of adversaries whose strength is not 0."""
    return {
        f"skill/{view}/{attribute.name}"
        for name in {one.name for one in spec.penalties if one.adversarial}
        for view in spec.views
        for attribute, strength in zip(
            spec.attributes, np.asarray(objective.fairness[name][view]), strict=True
        )
        if strength > 0
    }


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
    members: int = 1,
) -> list[Collapse]:
    """Return each collapse found on validation rows.

    A prediction that is near constant or diverges; an adversary at chance where a fresh probe of
    what it saw beats chance (`adversary_probe.probe`). ``skills`` are those of all adversaries at
    work, and ``members`` says of how many fits: so many are looked at.
    """
    found = []
    looks = members * len(skills)
    for name, view in views.items():
        if view.prediction.std(axis=0).max() < NEAR_CONSTANT:
            said = f"the {name} prediction is nearly constant (SD < {NEAR_CONSTANT})"
            found.append(Collapse(said, False))
            continue
        if np.abs(view.link).mean() > DIVERGED:
            said = f"the {name} prediction diverges (mean |link| > {DIVERGED:g})"
            found.append(Collapse(said, False))
            continue
        for index, attribute in enumerate(attributes):
            skill = skills.get(f"skill/{name}/{attribute.name}")
            if skill is None or skill >= AT_CHANCE:
                continue
            codes = np.rint(batch.sensitive[:, index]).astype(int)
            rows = np.flatnonzero((codes >= 0) & view.counted)
            told, strata = view.told[rows], view.strata[rows]
            units = units_of_level(np.asarray(batch.cluster)[rows], codes[rows])
            probed = probe(told, codes[rows], strata, balance[index], seed, looks, units)
            if probed.beats_chance:
                said = (
                    f"the adversary of {attribute.name!r} on the {name} prediction is at chance "
                    f"(skill {skill:.3f}), yet a fresh probe beats chance by {probed.gain:.3f} "
                    f"nats (standard error {probed.error:.3f})"
                )
                found.append(Collapse(said, True))
    return found
