"""Whether probabilities are what a policy without outcomes takes them for: calibrated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import root_scalar

from pyfairme.data.attributes import Attribute
from pyfairme.estimators.refine_and_adapt import FairnessWarning
from pyfairme.notices import warn
from pyfairme.postprocessing.joint_rule import Members

TOO_FAR = 4.0  # standard errors between outcomes and probabilities of a group, or of a tenth
TENTHS, LEAST_OFF = 10, 0.02  # by how much a tenth must be off: many rows show what costs nothing
FURTHEST = 600.0  # the largest exponent of a row's weight
MOST_SAID = 100.0  # standard errors beyond which a message gives no number


def warn_of_beliefs(
    doubts: Sequence[str],
    p: np.ndarray,
    members: Mapping[str, Members],
    groups: Mapping[str, Attribute],
    outcome: np.ndarray | None,
    mass: np.ndarray | float = 1.0,
) -> None:
    """Warn of what keeps ``p`` (n,) from being calibrated in the groups, read or inferred.

    ``doubts`` are those that the classifier itself raises. Rows count by their weight ``mass``
    (n,). Where no group's positives are off, tenths of the rows by probability may be: too moderate
    or too bold ones have the right sums in every group, and wrong rates above every threshold.
    """
    said, shape = [*doubts], ""
    if outcome is not None:
        said += _by_outcomes(p, members, groups, outcome, mass)
        shape = "" if said else _by_tenths(p, outcome, np.broadcast_to(mass, p.shape))
    if shape:
        warn(
            f"{shape} So expected rates above a threshold are wrong, and thresholds cost more than "
            "they must. JointThresholds(..., calibration='isotonic') calibrates them by these "
            "rows; if they are the classifier's training rows, give other ones. "
            "[uncalibrated-probabilities]",
            FairnessWarning,
        )
    for text in said:
        warn(
            f"{text} So expected rates are wrong, and thresholds keep limits other than the given "
            f"ones. "
            "[uncalibrated-groups]",
            FairnessWarning,
        )


def _by_outcomes(
    p: np.ndarray,
    members: Mapping[str, Members],
    groups: Mapping[str, Attribute],
    outcome: np.ndarray,
    mass: np.ndarray | float,
) -> list[str]:
    """Name the worst group whose positives are too many, or too few, to be chance."""
    worst, text = TOO_FAR, []
    for name, attribute in groups.items():
        for share in members[name]:  # of each row in each group
            counted = (share.T * mass).T
            seen, expected = outcome @ counted, p @ counted
            variance = (p * (1 - p)) @ counted**2
            far = np.abs(seen - expected) / np.sqrt(np.maximum(variance, 1e-12))
            for at in np.argsort(-far, kind="stable"):  # no surprise counts for more than far
                if far[at] <= worst:
                    break
                off = min(float(far[at]), surprise(float(seen[at]), p, counted[:, at]))
                if off <= worst:
                    continue
                worst = off
                text = [
                    f"The probabilities are not calibrated: of the rows with {name} = "
                    f"{attribute.levels[at]!r}, {_number(float(seen[at]))} are positive, and "
                    f"{_number(float(expected[at]))} were expected "
                    f"({_errors(off)} standard errors)."
                ]
    return text


def _by_tenths(p: np.ndarray, outcome: np.ndarray, mass: np.ndarray) -> str:
    """Name the tenth of the rows, by probability, whose positives are the furthest off.

    Rows of one probability are in one part, so that their order says nothing.
    """
    worst, text = TOO_FAR, ""
    part = np.searchsorted(np.unique(np.quantile(p, np.arange(1, TENTHS) / TENTHS)), p)
    for rows in (np.flatnonzero(part == one) for one in np.unique(part)):
        own, known = mass[rows], p[rows]
        seen, expected, whole = own @ outcome[rows], own @ known, own.sum()
        error = np.sqrt(max(float((known * (1 - known)) @ own**2), 1e-12))
        far = abs(seen - expected) / error
        if far <= worst or abs(seen - expected) < LEAST_OFF * whole:
            continue
        far = min(far, surprise(float(seen), known, own))
        if far > worst:
            worst = far
            text = (
                f"The probabilities are not calibrated: of the {len(rows):,} rows whose "
                f"probability is between {known.min():.2f} and {known.max():.2f}, "
                f"{seen / whole:.1%} are positive, and {expected / whole:.1%} were expected "
                f"({_errors(far)} standard errors), though the sums in the groups are right."
            )
    return text


def surprise(seen: float, p: np.ndarray, weight: np.ndarray) -> float:
    """Return how odd a weighted sum of outcomes is, in standard errors where it is nearly Normal.

    The sum of few rows, or of small probabilities, is far from that: where .05 positives are
    expected, one is 4.2 standard errors off and comes up in 5 % of tables. With K the logarithm of
    the sum's moment generating function this is r = sqrt(2 max_t [t seen - K(t)]), so that a sum as
    far off on this side has a chance of exp(-r^2 / 2) at most (Chernoff), 3e-4 for r = 4.

    Parameters
    ----------
    seen
        Sum of outcomes, each by its weight.
    p, weight
        Shape ``(n,)``: probabilities of outcomes, and weights.

    Examples
    --------
    >>> p, ones = np.full(5, 0.01), np.ones(5)
    >>> round(float((1 - p.sum()) / np.sqrt((p * (1 - p)).sum())), 1)
    4.3
    >>> round(surprise(1.0, p, ones), 1)
    2.1
    """
    counted = (weight > 0) & (p > 0)
    p, weight = p[counted], weight[counted]
    if not len(p):
        return np.inf if seen > 0 else 0.0

    def slope(t: float) -> float:
        grown = p * np.exp(t * weight)  # rows are drawn by exp(t weight)
        return seen - float(weight @ (grown / (1 - p + grown)))

    end = np.copysign(FURTHEST / weight.max(), slope(0.0))
    inside = slope(0.0) * slope(end) < 0  # else the sum is the largest or least there is
    t = root_scalar(slope, bracket=(0.0, end), method="brentq").root if inside else end
    found = t * seen - float(np.log(1 - p + p * np.exp(t * weight)).sum())
    return float(np.sqrt(2 * max(found, 0.0)))


def _number(sum_: float) -> str:
    """Say a number of rows, small ones with a digit."""
    return f"{sum_:.0f}" if sum_ >= 10 or float(sum_).is_integer() else f"{sum_:.2g}"


def _errors(number: float) -> str:
    """Say how many; where probabilities are 0 or 1 the number has no meaning."""
    return f"{number:.1f}" if number <= MOST_SAID else f"more than {MOST_SAID:.0f}"
