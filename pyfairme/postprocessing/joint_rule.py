r"""The least loss of accuracy that keeps rates of several attributes within limits.

Let p_i be the probability that row i is positive and q_ig that it belongs to group g if it is, both
given all that the rule reads of it; q_ig is 0 or 1 where the rule reads the groups. A rule that
decides row i positively with chance d_i expects

    TPR_g = sum_i p_i q_ig d_i / sum_i p_i q_ig,

FPR_g with 1 - p_i and the q_ig of negative rows, the selection rate with both summed up; balanced
accuracy and accuracy are linear in d as well. With limits of how unequal the rates of groups are,
by their SD, largest difference or least ratio, the least loss over all d is a convex problem (Menon
& Williamson 2018 for a rule that does not read the groups). Its dual has a number per attribute,
rate and group,

    max_w  min_d  [ loss(d) + sum_j (w_j . rates_j(d) - h_j(w_j)) ],

with h_j the support function of the rates that limit j allows (`limit_support`),

and decides row i by the sign of its score p_i reward_i - (1 - p_i) charge_i, where each attribute
adds its group's part to both. Every w gives a lower bound of the loss (weak duality). Rows whose
score is 0, whole groups where TPR and FPR are to be equal, need a coin: the sign is rounded to
d_i = 1 / (1 + exp(-score_i / scale)) with a small scale, at whose optimum the limits hold exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from pyfairme.data.attributes import Attribute
from pyfairme.postprocessing.joint_dual import CellRows, Dual, EachRow, RowSums, search
from pyfairme.postprocessing.limit_support import Limit

MOST_CELLS = 1e6  # combinations of groups that are told apart
NOBODY = 1e-9  # share of a group's rows that are expected to be of an outcome: none
IDLE = 1e-4  # share of rows that only coins decide positively: none is
SURE = 12.0  # scores beyond so many scales are decided without a coin


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
    with np.errstate(invalid="ignore"):
        return _sums(decision * mass, p, members, rate) / _sums(mass, p, members, rate)


def _sums(mass: np.ndarray | float, p: np.ndarray, members: Members, rate: str) -> np.ndarray:
    """Return what rows of weight ``mass`` count in the rate of each group, summed, (groups,)."""
    positive, negative = (mass * p) @ members.positive, (mass * (1 - p)) @ members.negative
    return {"tpr": positive, "fpr": negative, "selection_rate": positive + negative}[rate]


def joint_rule(
    p: np.ndarray,
    members: Mapping[str, Members],
    limits: tuple[Limit, ...],
    objective: str,
    mass: np.ndarray | None = None,
    groups: Mapping[str, Attribute] | None = None,
) -> Joint:
    """Solve the dual problem on rows of probability ``p`` (n,) and groups ``members``.

    Rows count by their weight ``mass`` (n,); None: alike. ``groups`` name the groups in messages.
    Raises ValueError for a group whose rate is not defined: without rows, or without expected ones
    of the outcome.
    """
    mass = np.ones(len(p)) if mass is None else mass
    for name, (positive, negative) in members.items():
        if (mass @ positive + mass @ negative == 0).any():
            raise ValueError(
                f"Expected rows of every group of {name!r}, and one has none. [group-without-rows]"
            )
    reward, charge = gains(p, objective, mass)
    parts = {name: np.zeros((one.positive.shape[1], 2)) for name, one in members.items()}
    plain = Joint(reward, charge, parts, 0.0, 0.0)
    limits = tuple(limit for limit in limits if not limit.binds_nothing)
    _check_defined(limits, p, members, mass, groups or {})
    unlimited = plain.chances(p, members)
    rates = [expected_rates(unlimited, p, members[of.attribute], of.rate, mass) for of in limits]
    if all(limit.excess(found) <= 0 for limit, found in zip(limits, rates, strict=True)):
        return plain
    gain = reward * p - charge * (1 - p)
    limited = {name: members[name] for name in dict.fromkeys(of.attribute for of in limits)}
    rows = _rows(p, limited, mass, reward, charge)
    dual, totals = _dual(rows, limits, p, limited, mass)
    w, scale = search(dual, float(np.average(np.abs(gain), weights=mass)))
    exact = dual.value(w, 0.0, 0.0)[0]
    bound = mass @ np.maximum(gain, 0) - exact
    splits = np.cumsum(dual.sizes)[:-1]
    for limit, total, block in zip(limits, totals, np.split(w, splits), strict=True):
        free = block.mean() if limit.measure != "ratio" else 0.0  # a shift that costs nothing
        price = (block - free) / total  # of a positive decision in each group
        parts[limit.attribute][:, 0] -= price * (limit.rate != "fpr")
        parts[limit.attribute][:, 1] += price * (limit.rate != "tpr")
    found = Joint(reward, charge, parts, scale, max(float(bound), 0.0))
    chance = found.chances(p, members)
    nobody = chance[mass > 0].max() < 0.5 and np.average(chance, weights=mass) < IDLE
    return found._replace(scale=0.0) if nobody else found  # ratios of next to nothing say nothing


def _check_defined(
    limits: tuple[Limit, ...],
    p: np.ndarray,
    members: Mapping[str, Members],
    mass: np.ndarray,
    groups: Mapping[str, Attribute],
) -> None:
    """Raise for a group whose p are all 0, or all 1, where a limit is of a rate that this undoes.

    Its price would be without bounds, and its rate count as 0, to which all others were pulled.
    """
    for limit in limits:
        of = members[limit.attribute]
        share = _sums(mass, p, of, limit.rate) / _sums(mass, p, of, "selection_rate")
        if (share > NOBODY).all():
            continue
        at, kind = int(share.argmin()), "positive" if limit.rate == "tpr" else "negative"
        name = repr(groups[limit.attribute].levels[at]) if limit.attribute in groups else at
        raise ValueError(
            f"The probabilities of all rows with {limit.attribute} = {name} are "
            f"{0 if limit.rate == 'tpr' else 1}: no {kind} row is expected among them, so that "
            f"their {limit.rate} is not defined and cannot be limited. Leave "
            f"{limit.attribute!r} out of limits, join the group with another, or calibrate the "
            "classifier (CalibratedClassifierCV; trees with more rows per leaf). "
            "[group-without-outcome]"
        )


def _rows(
    p: np.ndarray, members: Mapping[str, Members], mass: np.ndarray, reward: float, charge: float
) -> RowSums:
    """Return rows by what the dual needs of them; those whose groups are all read, by cells."""
    number = [one.positive.shape[1] for one in members.values()]
    known = all(map(_are_known, members.values()))
    if not known or np.prod(number, dtype=float) > MOST_CELLS:
        parts = [np.hstack([a for a, _ in members.values()]) * p[:, None]]
        parts += [np.hstack([b for _, b in members.values()]) * (1 - p)[:, None]]
        return EachRow(reward * p - charge * (1 - p), mass, np.hstack(parts))
    joint = np.zeros(len(p))
    for one, size in zip(members.values(), number, strict=True):
        joint = joint * size + one.positive @ np.arange(size)
    joint = joint.astype(np.int64)
    counts = np.bincount(joint)
    there = np.flatnonzero(counts)
    sizes = counts[there]
    small = joint.astype(np.uint16) if joint.max() < 2**16 else joint  # sorted in one pass
    order = np.argsort(small, kind="stable")
    cells = np.unravel_index(there, tuple(number))
    member = np.hstack([np.eye(k)[at] for k, at in zip(number, cells, strict=True)])
    cell = np.repeat(np.arange(len(sizes)), sizes)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return CellRows(p[order], mass[order], cell, starts, member, reward, charge)


def _are_known(members: Members) -> bool:
    """Tell whether every row is of one group."""
    positive, negative = members
    if positive is not negative or np.count_nonzero(positive) != len(positive):
        return False
    return bool((positive @ np.ones(positive.shape[1]) == 1).all())


def _dual(
    rows: RowSums,
    limits: tuple[Limit, ...],
    p: np.ndarray,
    members: Mapping[str, Members],
    mass: np.ndarray,
) -> tuple[Dual, list[np.ndarray]]:
    """Return the dual problem, and the denominator of each rate by group."""
    number = {name: one.positive.shape[1] for name, one in members.items()}
    starts = dict(zip(number, np.cumsum([0, *number.values()]), strict=False))
    every = sum(number.values())
    blocks, totals = [], []
    for limit in limits:
        size, start = number[limit.attribute], starts[limit.attribute]
        total = np.maximum(_sums(mass, p, members[limit.attribute], limit.rate), 1e-12)
        each = np.diag(1 / total)
        if limit.measure != "ratio":
            each = each - each.mean(1, keepdims=True)  # as if the prices summed to 0
        block = np.zeros((2 * every, size))
        if limit.rate != "fpr":
            block[start : start + size] = each
        if limit.rate != "tpr":
            block[every + start : every + start + size] = each
        blocks.append(block)
        totals.append(total)
    sizes = tuple(number[limit.attribute] for limit in limits)
    return Dual(rows, limits, np.hstack(blocks), sizes), totals


def rate_weights(
    p: np.ndarray, members: Members, rate: str, mass: np.ndarray | float
) -> np.ndarray:
    """Return how much each row counts in the rate of each group, (n, groups)."""
    positive = (mass * p)[:, None] * members.positive
    negative = (mass * (1 - p))[:, None] * members.negative
    return {"tpr": positive, "fpr": negative, "selection_rate": positive + negative}[rate]
