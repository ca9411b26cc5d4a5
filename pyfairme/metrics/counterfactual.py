"""How far a prediction moves when the sensitive attribute is flipped (eqs. 6 and 7)."""

import numpy as np
from numpy.typing import ArrayLike

from pyfairme.metrics.aggregate import ratio
from pyfairme.metrics.array_inputs import Floats, as_flipped, as_real
from pyfairme.metrics.group_sums import PredictedRows, Table, make_table
from pyfairme.metrics.metric import Metric


def counterfactual_gap(y_prob: ArrayLike, y_prob_flipped: ArrayLike) -> float:
    """Compute the mean absolute change of the prediction under a flip of the attribute.

    ``mean_i mean_{s' != s_i} |p(x_i, s_i) - p(x_i, s')|``. The flip replaces the attribute among
    the covariates and leaves all others as they are: an attribute flip, not a counterfactual of a
    structural causal model.

    Parameters
    ----------
    y_prob
        Shape ``(n,)``: predicted probability (regression: prediction) with the attribute as it is.
    y_prob_flipped
        Shape ``(n, |S| - 1)``: the same with each of the other levels, in any order.

    Returns
    -------
    float
        0 when the attribute does not enter the prediction.

    Raises
    ------
    ValueError
        When shapes do not agree or a cell is not finite (a level that a row cannot take).

    Examples
    --------
    >>> counterfactual_gap([0.5, 0.25], [[0.75], [0.25]])
    0.125
    """
    base = as_real(y_prob, "y_prob")
    flipped = as_flipped(y_prob_flipped, "y_prob_flipped", len(base))
    return float(row_gap(base, flipped).mean())


def flip_gaps(rows: PredictedRows) -> Table:
    """Add up the gaps of the rows of each group: cells ``(G,)``."""
    assert rows.gap is not None  # declared in `needs`
    return make_table(rows.group, (len(rows.levels),), rows.gap)


def row_gap(base: Floats, flipped: Floats) -> Floats:
    """Return each row's mean absolute change, ``(n,)``, over the other levels ``(n, |S| - 1)``."""
    return np.abs(flipped - base[:, None]).mean(1)


def _mean_gap(sums: Floats) -> Floats:
    return ratio(sums[..., 1].sum(-1), sums[..., 0].sum(-1))


METRICS = (
    Metric(
        "counterfactual_gap",
        "classification",
        "attribute",
        flip_gaps,
        _mean_gap,
        needs=("gap",),
        kind="positive",
    ),
    Metric(
        "counterfactual_gap",
        "regression",
        "attribute",
        flip_gaps,
        _mean_gap,
        needs=("gap",),
        kind="positive",
    ),
)
