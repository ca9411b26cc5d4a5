"""Intervals of how unequal rates of groups are, observed on weighted rows whose rule is given."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pyfairme.metrics.interval import distance
from pyfairme.postprocessing.joint_rule import Members, expected_rates, rate_weights
from pyfairme.postprocessing.limit_support import Limit

DRAWS = 2000  # of the rates' noise, the same in all intervals: an error of theirs is in each
LEVEL = 0.9


class ObservedRates(NamedTuple):
    """Rates of groups (groups,), their covariance, and the rows that each rests on in effect.

    Rows are a sample, and each contributes its weight times how far its decision is from its
    group's rate (delta method). Two rows more, one decided each way, are added to the variance: of
    a group whose few rows are decided alike it would be 0, as if its rate were known. It is NaN
    where groups are chances: how far these are off is not known.
    """

    rates: np.ndarray
    covariance: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(
        cls,
        decision: np.ndarray,
        outcome: np.ndarray,
        members: Members,
        limit: Limit,
        mass: np.ndarray,
    ) -> ObservedRates:
        """Return those of a limit's rate, by the chance of a positive ``decision`` (n,).

        ``outcome`` (n,) is 0 or 1, ``mass`` (n,) the weight of each row.
        """
        weight = rate_weights(outcome, members, limit.rate, mass)
        rates = expected_rates(decision, outcome, members, limit.rate, mass)
        shown = np.isin(members.positive, (0.0, 1.0)).all()  # else chances, learnt with an error
        if not (np.isfinite(rates).all() and shown):
            return cls(rates, np.full((len(rates), len(rates)), np.nan), np.zeros(len(rates)))
        away = weight * (decision[:, None] - rates) / weight.sum(0)
        rows = weight.sum(0) ** 2 / (weight**2).sum(0)
        covariance = away.T @ away
        held = (rates * rows + 1) / (rows + 2)
        more = (rows**2 * covariance.diagonal() + held**2 + (1 - held) ** 2) / (rows + 2) ** 2
        return cls(rates, covariance + np.diag(np.maximum(more - covariance.diagonal(), 0)), rows)

    def interval(self, measure: str, level: float = LEVEL) -> tuple[float, float]:
        """Return the interval of their SD, difference or ratio.

        It is that of distances from equality in reports, `pyfairme.metrics.interval.distance`,
        which allows for noise making equal rates look unequal; that of a ratio is taken as a
        distance of logarithms. Thresholds were chosen so that the rates of these very rows are
        alike, so noise may make unequal rates look equal too: the interval holds what noise on top
        of the observed rates comes to. NaN where a group has no row of the outcome, a ratio no
        rate, or groups are inferred.

        Examples
        --------
        >>> found = ObservedRates(np.array([0.5, 0.6]), np.eye(2) * 1e-4, np.array([2500, 2400]))
        >>> [round(limit, 2) for limit in found.interval("difference")]
        [0.08, 0.12]
        """
        ratio = measure == "ratio"
        rates, covariance = self.rates, self.covariance
        known = np.isfinite(rates).all() and np.isfinite(covariance).all()
        if not known or (ratio and rates.min() <= 0):
            return np.nan, np.nan
        if ratio:
            rates, covariance = np.log(rates), covariance / np.outer(rates, rates)
        rng = np.random.default_rng(0)  # the same noise for the same evidence
        half = rng.multivariate_normal(np.zeros(len(rates)), covariance, DRAWS // 2, method="svd")
        noise = np.concatenate([half, -half])  # the same on both sides, lest luck move all limits
        combine = np.std if measure == "sd" else np.ptp
        tail = (1 - level) / 2
        low, high, _ = distance(
            float(combine(rates)),
            rates[None],
            noise[None],
            lambda parts: combine(parts, axis=-1),
            (tail, tail),
            None if ratio else self.rows,
            "real" if ratio else "rate",
        )
        high = max(high, float(np.quantile(combine(rates + noise, axis=-1), 1 - tail)))
        return (float(np.exp(-high)), float(np.exp(-low))) if ratio else (low, high)
