"""Probability integral transform: where outcomes fall in their predictive distributions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from pyfairme.metrics.array_inputs import Floats, as_real
from pyfairme.metrics.predictive_draws import as_draws, row_slices

MOST_TIES = 0.1  # share of rows whose outcome is also a draw, above which outcomes are discrete


def pit_values(
    y: ArrayLike,
    draws: ArrayLike,
    *,
    discrete: bool = False,
    random_state: int | np.random.RandomState | None = None,
) -> np.ndarray:
    """Compute the probability integral transform of every outcome.

    ``PIT_i = (L_i + V_i (E_i + 1)) / (S + 1)`` with L_i and E_i the numbers of the S draws below
    and equal to y_i. V_i is 1/2, for discrete outcomes uniform on (0, 1): the randomised PIT
    (Czado, Gneiting & Held 2009), F(y - 1) + V (F(y) - F(y - 1)), of the draws. Both are uniform if
    outcomes and draws come from one distribution. A hump says that predictions are too wide, a U
    that they are too narrow, a slope that they are biased.

    Parameters
    ----------
    y
        Shape ``(n,)``: outcomes; classes as 0, 1, ...
    draws
        Shape ``(draws, n)`` or ``(chain, draw, n)``: predictive draws of each outcome.
    discrete
        Whether outcomes are counts or classes.
    random_state
        Seed or generator of V.

    Returns
    -------
    np.ndarray
        Shape ``(n,)``, in (0, 1).

    Raises
    ------
    ValueError
        When shapes differ, values are not finite, or outcomes are discrete and not said to be so.

    Examples
    --------
    >>> pit_values([0.1, 3.0], [[0.0, 1.0], [1.0, 2.0], [2.0, 0.0]])
    array([0.375, 0.875])
    """
    outcome = as_real(y, "y")
    matrix = as_draws(draws, len(outcome))
    below, equal = _counts(outcome, matrix)
    if discrete:
        place: Any = check_random_state(random_state).uniform(size=len(outcome))
    else:
        _refuse_ties(equal)
        place = 0.5
    return (below + place * (equal + 1)) / (len(matrix) + 1)


def _counts(y: Floats, draws: np.ndarray) -> tuple[Floats, Floats]:
    below, equal = np.empty(len(y)), np.empty(len(y))
    for rows in row_slices(draws):
        below[rows] = (draws[:, rows] < y[rows]).sum(axis=0)
        equal[rows] = (draws[:, rows] == y[rows]).sum(axis=0)
    return below, equal


def _refuse_ties(equal: Floats) -> None:
    ties = (equal > 0).mean()
    if ties > MOST_TIES:
        raise ValueError(
            f"{100 * ties:.0f} % of the outcomes equal one of their draws, so they are discrete, "
            "and their PIT is not uniform even for the right model: pass discrete=True. "
            "[discrete-outcomes]"
        )
