"""Whether probabilities are what a policy without outcomes takes them for: calibrated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pyfairme.data.attributes import Attribute
from pyfairme.estimators.refine_and_adapt import FairnessWarning
from pyfairme.notices import warn
from pyfairme.postprocessing.joint_rule import Members

TOO_FAR = 4.0  # standard errors between outcomes and probabilities of a group, or of a tenth
TENTHS, LEAST_OFF = 10, 0.02  # by how much a tenth must be off: many rows show what costs nothing
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
            at = int(far.argmax())
            if far[at] > worst:
                worst = far[at]
                text = [
                    f"The probabilities are not calibrated: of the rows with {name} = "
                    f"{attribute.levels[at]!r}, {seen[at]:.0f} are positive, and "
                    f"{expected[at]:.0f} were expected ({_errors(far[at])} standard errors)."
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
        if far > worst and abs(seen - expected) >= LEAST_OFF * whole:
            worst = far
            text = (
                f"The probabilities are not calibrated: of the {len(rows):,} rows whose "
                f"probability is between {known.min():.2f} and {known.max():.2f}, "
                f"{seen / whole:.1%} are positive, and {expected / whole:.1%} were expected "
                f"({_errors(far)} standard errors), though the sums in the groups are right."
            )
    return text


def _errors(number: float) -> str:
    """Say how many; where probabilities are 0 or 1 the number has no meaning."""
    return f"{number:.1f}" if number <= MOST_SAID else f"more than {MOST_SAID:.0f}"
