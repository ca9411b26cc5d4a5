r"""The least loss of accuracy that keeps rates of several attributes within limits.

Let p_i be the probability that row i is positive and q_ig that it belongs to group g if it is, both
given all that the rule reads of it; q_ig is 0 or 1 where the rule reads the groups. A rule that
decides row i positively with chance d_i expects

    TPR_g = sum_i p_i q_ig d_i / sum_i p_i q_ig,

FPR_g with 1 - p_i and the q_ig of negative rows, the selection rate with both summed up; balanced
accuracy and accuracy are linear in d as well. With limits SD_g(rate_g) <= s the least loss over all
d is a convex problem (Menon & Williamson 2018 for a rule that does not read the groups). Its dual
has a number per attribute, rate and group, those of a rate summing to 0 over its groups,

    max_w  min_d  [ loss(d) + sum_j (w_j . rates_j(d) - sqrt(groups_j) s_j ||w_j||) ],

and decides row i by the sign of its score p_i reward_i - (1 - p_i) charge_i, where each attribute
adds its group's part to both. Every w gives a lower bound of the loss (weak duality). Rows whose
score is 0, whole groups where TPR and FPR are to be equal, need a coin: the sign is rounded to
d_i = 1 / (1 + exp(-score_i / scale)) with a small scale, at whose optimum the limits hold exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

RATES = ("tpr", "fpr", "selection_rate")
SMOOTHING = (0.3, 0.1, 0.03, 0.01, 0.003)  # scales in units of an average row's gain
PRECISE = 2e-5  # error of the rates at the optimum
NARROW = 1e-3  # of the norm's kink at 0, rounded, in units of w
SURE = 12.0  # scores beyond so many scales are decided without a coin


class Limit(NamedTuple):
    """The largest SD over the groups of an attribute of one rate of `RATES`."""

    attribute: str
    rate: str
    sd: float


class Members(NamedTuple):
    """Chance that a row belongs to each group of an attribute: if it is positive, if negative.

    Both (n, groups), rows summing to 1.
    """

    positive: np.ndarray
    negative: np.ndarray

    @classmethod
    def of(cls, codes: np.ndarray, groups: int) -> Members:
        """Return those of rows whose groups ``codes`` (n,) are known; -1 belongs to none."""
        known = np.vstack([np.eye(groups), np.zeros(groups)])[codes]
        return cls(known, known)


class Joint(NamedTuple):
    """What the optimum is made of.

    ``reward`` and ``charge`` are those of all rows, ``parts`` what a group of an attribute adds to
    them, (groups, 2). ``least`` is the lower bound of the expected loss of accuracy.
    """

    reward: float
    charge: float
    parts: Mapping[str, np.ndarray]
    scale: float
    least: float

    def weights(self, members: Mapping[str, Members]) -> tuple[np.ndarray, np.ndarray]:
        """Return reward and charge of rows, each (n,), from their groups."""
        reward, charge = np.full((1,), self.reward), np.full((1,), self.charge)
        for name, parts in self.parts.items():
            reward = reward + members[name].positive @ parts[:, 0]
            charge = charge + members[name].negative @ parts[:, 1]
        return reward, charge

    def chances(self, p: np.ndarray, members: Mapping[str, Members]) -> np.ndarray:
        """Return the chance of a positive decision, (n,); most are 0 or 1."""
        reward, charge = self.weights(members)
        score = p * reward - (1 - p) * charge
        if not self.scale:
            return (score > 0).astype(float)
        inside = np.clip(score / self.scale, -SURE, SURE)
        return np.where(np.abs(inside) < SURE, expit(inside), inside > 0)


def gains(p: np.ndarray, objective: str, mass: np.ndarray | None = None) -> tuple[float, float]:
    """Return what deciding a positive row positively adds, and a negative one takes away.

    Rows of probability ``p`` (n,) count by their weight ``mass`` (n,); None: alike.
    """
    mass = np.ones(len(p)) if mass is None else mass
    positives, n = float(p @ mass), float(mass.sum())
    if objective == "accuracy":
        return 1.0 / n, 1.0 / n
    return 0.5 / positives, 0.5 / (n - positives)


def expected_rates(
    decision: np.ndarray, p: np.ndarray, members: Members, rate: str, mass: np.ndarray | float = 1.0
) -> np.ndarray:
    """Return the rate of each group (groups,), expected where ``p`` are probabilities.

    Rows count by their weight ``mass`` (n,). NaN for a group without rows of the outcome.
    """
    weight = _weight(p, members, rate, mass)
    with np.errstate(invalid="ignore"):
        return decision @ weight / weight.sum(0)


def joint_rule(
    p: np.ndarray,
    members: Mapping[str, Members],
    limits: tuple[Limit, ...],
    objective: str,
    mass: np.ndarray | None = None,
) -> Joint:
    """Solve the dual problem on rows of probability ``p`` (n,) and groups ``members``.

    Rows count by their weight ``mass`` (n,); None: alike. Raises ValueError for a group without
    rows, whose rate is not defined.
    """
    mass = np.ones(len(p)) if mass is None else mass
    for name, (positive, negative) in members.items():
        if ((positive + negative).T @ mass == 0).any():
            raise ValueError(
                f"Expected rows of every group of {name!r}, and one has none. [group-without-rows]"
            )
    reward, charge = gains(p, objective, mass)
    parts = {name: np.zeros((one.positive.shape[1], 2)) for name, one in members.items()}
    plain = Joint(reward, charge, parts, 0.0, 0.0)
    unlimited = plain.chances(p, members)
    if all(_sd(unlimited, p, members, limit, mass) <= limit.sd for limit in limits):
        return plain
    limits = tuple(limit for limit in limits if np.isfinite(limit.sd))
    gain = reward * p - charge * (1 - p)
    weights = [_weight(p, members[limit.attribute], limit.rate, 1.0) for limit in limits]
    totals = [np.maximum(mass @ weight, 1e-12) for weight in weights]
    shares = [weight / total for weight, total in zip(weights, totals, strict=True)]
    table = np.hstack([part - part.mean(1, keepdims=True) for part in shares])  # as if sum(w) = 0
    sizes = [len(total) for total in totals]
    margins = np.array([np.sqrt(n) * one.sd for n, one in zip(sizes, limits, strict=True)])
    splits = np.cumsum(sizes)[:-1]
    w, scale = np.zeros(table.shape[1]), 0.0
    for smoothing in SMOOTHING:
        scale = smoothing * float(np.average(np.abs(gain), weights=mass))
        terms = (gain, table, mass, splits, margins, scale)
        w = minimize(
            _negative_dual, w, terms, method="trust-exact", jac=True, hess=_curvature,
            options={"gtol": PRECISE, "maxiter": 200},
        ).x  # fmt: skip
    exact = _negative_dual(w, gain, table, mass, splits, margins, 0.0)[0]
    bound = mass @ np.maximum(gain, 0) - exact
    for limit, total, block in zip(limits, totals, np.split(w, splits), strict=True):
        price = (block - block.mean()) / total  # of a positive decision in each group
        parts[limit.attribute][:, 0] -= price * (limit.rate != "fpr")
        parts[limit.attribute][:, 1] += price * (limit.rate != "tpr")
    return Joint(reward, charge, parts, scale, max(float(bound), 0.0))


def _sd(
    decision: np.ndarray,
    p: np.ndarray,
    members: Mapping[str, Members],
    of: Limit,
    mass: np.ndarray,
) -> float:
    return float(expected_rates(decision, p, members[of.attribute], of.rate, mass).std())


def _weight(p: np.ndarray, members: Members, rate: str, mass: np.ndarray | float) -> np.ndarray:
    """Return how much each row counts in the rate of each group, (n, groups)."""
    positive = (mass * p)[:, None] * members.positive
    negative = (mass * (1 - p))[:, None] * members.negative
    return {"tpr": positive, "fpr": negative, "selection_rate": positive + negative}[rate]


def _negative_dual(
    w: np.ndarray,
    gain: np.ndarray,
    table: np.ndarray,
    mass: np.ndarray,
    splits: np.ndarray,
    margins: np.ndarray,
    scale: float,
) -> tuple[float, np.ndarray]:
    """Return minus the dual value and its gradient, kinks rounded; exact where ``scale`` is 0."""
    score = gain - table @ w
    if scale > 0:
        chance = expit(score / scale)
        taken = scale * np.logaddexp(0.0, score / scale)
    else:
        chance, taken = (score > 0).astype(float), np.maximum(score, 0)
    value, slope = mass @ taken, -(table.T @ (mass * chance))
    for place, centred, norm, margin in _blocks(w, splits, margins, NARROW if scale > 0 else 0.0):
        value += margin * norm
        slope[place] += margin * centred / max(norm, 1e-300)
    return float(value), slope


def _curvature(
    w: np.ndarray,
    gain: np.ndarray,
    table: np.ndarray,
    mass: np.ndarray,
    splits: np.ndarray,
    margins: np.ndarray,
    scale: float,
) -> np.ndarray:
    """Return the second derivatives of `_negative_dual`."""
    chance = expit((gain - table @ w) / scale)
    found = (table * (mass * chance * (1 - chance) / scale)[:, None]).T @ table
    for place, centred, norm, margin in _blocks(w, splits, margins, NARROW):
        size = len(centred)
        inside = np.eye(size) - 1 / size - np.outer(centred, centred) / norm**2
        found[place, place] += margin / norm * inside
    return found


def _blocks(
    w: np.ndarray, splits: np.ndarray, margins: np.ndarray, narrow: float
) -> Iterator[tuple[slice, np.ndarray, float, float]]:
    """Yield of each limit: where its numbers are, they centred, their rounded norm, its margin."""
    edges = [0, *splits, len(w)]
    for start, end, margin in zip(edges, edges[1:], margins, strict=False):
        centred = w[start:end] - w[start:end].mean()
        yield slice(start, end), centred, float(np.hypot(np.linalg.norm(centred), narrow)), margin
