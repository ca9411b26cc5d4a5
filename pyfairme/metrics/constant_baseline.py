"""Is a model better than a constant? Losses row by row, and the error of their difference."""

from typing import Any, NamedTuple

import numpy as np

from pyfairme.metrics.array_inputs import Floats
from pyfairme.metrics.standard_error import error_of_mean

AGAINST_CONSTANT = ("log_loss", "rmse")  # metrics whose line says when a constant does as well
BY_DECISION = {  # disparities that compare decisions
    "demographic_parity", "demographic_parity_difference", "equalized_odds_difference",
    "fpr_sd", "fpr_sd_corrected", "tpr_sd", "tpr_sd_corrected",
}  # fmt: skip
FEWEST_DECISIONS = 10  # of which one is the same for all by no chance
NO_BETTER = "no better than a constant"  # begins the note, by which views find it
WIDTH = 1.645  # standard errors: the intervals of a report leave out 5 % on either side
FEWEST_CLUSTERS = 30  # from which whole clusters are what is random, as in a report's intervals
FEW_DECISIONS = 0.01  # share of the rows
EPSILON = 1e-12


class AgainstConstant(NamedTuple):
    """Mean losses of a model and of a constant, and the standard error of their difference.

    ``name`` says what the loss is: "log loss", or "MSE", the mean squared error.
    """

    name: str
    loss: float
    constant: float
    error: float

    @property
    def unclear(self) -> bool:
        """Whether the loss is not below the constant's by more than chance.

        One-sided, at the level of a report's 90 % intervals.
        """
        return not self.loss - self.constant + WIDTH * self.error < 0

    @property
    def note(self) -> str:
        """What to say of it; "" where the model is clearly better.

        Examples
        --------
        >>> AgainstConstant("log loss", 0.281, 0.278, 0.002).note
        'no better than a constant: log loss 0.281, of a constant 0.278 (standard error of the difference 0.002)'
        >>> AgainstConstant("log loss", 0.2, 0.278, 0.002).note
        ''
        """  # noqa: E501 (the output is one line)
        if not self.unclear:
            return ""
        return (
            f"{NO_BETTER}: {self.name} {self.loss:.3g}, of a constant {self.constant:.3g} "
            f"(standard error of the difference {self.error:.2g})"
        )


def against_constant(
    outcome: Floats,
    prediction: Floats,
    base: Floats | float | None = None,
    weight: Floats | None = None,
    clusters: np.ndarray | None = None,
    *,
    classes: bool,
) -> AgainstConstant:
    """Compare a model's log loss, or squared error, with that of a constant, on the same rows.

    Parameters
    ----------
    outcome
        Shape ``(n,)``: outcomes in {0, 1}, or real ones.
    prediction
        Shape ``(n,)``: probabilities of the outcome 1, or predictions.
    base
        The constant: the training rows' base rate or mean; shape ``(n,)`` where rows were predicted
        by several fits. None: that of these rows, the best in hindsight.
    weight
        Shape ``(n,)``: how much each row counts.
    clusters
        Shape ``(n,)``: codes; from 30 clusters up the error is robust to dependence within them.
        Rows of a negative code are alone.
    classes
        Whether the outcome is 0 or 1.

    Examples
    --------
    >>> y = np.array([0, 0, 1, 1])
    >>> found = against_constant(y, np.array([0.1, 0.4, 0.6, 0.9]), classes=True)
    >>> round(found.loss, 3), round(found.constant, 3)
    (0.308, 0.693)
    """
    y = np.asarray(outcome, np.float64)
    if base is None:
        base = float(np.average(y, weights=weight))
    constant = np.broadcast_to(np.asarray(base, np.float64), y.shape)
    own, others = (_losses(y, np.asarray(one, float), classes) for one in (prediction, constant))
    groups = None
    if clusters is not None and len(np.unique(clusters)) >= FEWEST_CLUSTERS:
        alone = clusters < 0
        numbers: Any = np.where(alone, clusters.max() + np.cumsum(alone), clusters)
        groups = np.unique(numbers, return_inverse=True)[1]
    return AgainstConstant(
        "log loss" if classes else "MSE",
        float(np.average(own, weights=weight)),
        float(np.average(others, weights=weight)),
        error_of_mean(own - others, weight, groups),
    )


def _losses(outcome: Floats, prediction: Floats, classes: bool) -> Floats:
    if not classes:
        return (outcome - prediction) ** 2
    given = np.where(outcome == 1, prediction, 1 - prediction)
    return -np.log(np.maximum(given, EPSILON))


def nearly_alike(positive: int, rows: int) -> bool:
    """Tell whether so many positive decisions of so many rows are nearly all, or nearly none.

    Examples
    --------
    >>> nearly_alike(0, 50), nearly_alike(9, 1000), nearly_alike(1, 50)
    (True, True, False)
    """
    return min(positive, rows - positive) < FEW_DECISIONS * rows


def alike_note(decisions: np.ndarray, negative: object, positive: object) -> str:
    """Return what to say of disparities where (nearly) all rows are decided alike, or "".

    Parameters
    ----------
    decisions
        Shape ``(n,)``: decisions in {0, 1}; of fewer than 10 nothing is said.
    negative, positive
        What 0 and 1 are called.

    Examples
    --------
    >>> alike_note(np.zeros(200), "no", "yes")
    'decides no for every row: no sign of fairness'
    >>> alike_note(np.arange(200) > 0, "no", "yes")
    'decides yes for all but 1 of 200 rows: no sign of fairness'
    """
    rows, chosen = len(decisions), int(np.asarray(decisions, bool).sum())
    if rows < FEWEST_DECISIONS or not nearly_alike(chosen, rows):
        return ""
    most, others = (positive, rows - chosen) if 2 * chosen > rows else (negative, chosen)
    which = f"for all but {others:,} of {rows:,} rows" if others else "for every row"
    return f"decides {most} {which}: no sign of fairness"


def share_is_alike(share: float) -> bool:
    """Tell the same of a share of positive decisions; NaN, which is not known, is not."""
    return min(share, 1 - share) < FEW_DECISIONS
