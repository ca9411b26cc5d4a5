"""Whether a policy decides all rows alike, and why."""

from __future__ import annotations

import numpy as np

from pyfairme.estimators.refine_and_adapt import FairnessWarning
from pyfairme.notices import warn

ALIKE = (
    "no thresholds that keep rates equal lose less than that. Try objective='balanced_accuracy', "
    "another criterion, or a classifier that tells the classes apart in every group."
)
STRICT = "because the limits are so strict. Give wider limits or fewer of them."


def warn_of_constant_decision(
    share: np.ndarray, p: np.ndarray, before: np.ndarray | None = None
) -> None:
    """Warn where every row has the same chance of a positive decision, and say why.

    Parameters
    ----------
    share
        The chance of a positive decision of each row, (n,).
    p
        The probabilities that thresholds are of, (n,).
    before
        Decisions without limits, (n,), where there are limits: if they differ, limits are the
        reason.

    Warns
    -----
    FairnessWarning
        If all of ``share`` are equal: equal rates of groups are then no sign of fairness.
    """
    if (share != share[0]).any():
        return
    sure = share[0] in (0, 1)
    what = "get the same decision" if sure else f"are decided by one coin, of chance {share[0]:.2g}"
    if (p == p[0]).all():
        why = (
            f"because all have the probability {p[0]:.3g}: no threshold tells them apart. Give a "
            "classifier that does."
        )
    elif before is None:
        why = f"as {ALIKE}"
    elif (before == before[0]).all():
        why = (
            "as one threshold without limits loses least by that. Try "
            "objective='balanced_accuracy', or a classifier that tells the classes apart."
        )
    else:
        why = STRICT
    warn(f"All {len(share)} rows {what}, {why} [constant-decision]", FairnessWarning)
