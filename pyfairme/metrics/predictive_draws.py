"""Check predictive draws at the border: one row of numbers per draw, one column per outcome."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from pyfairme.metrics.array_inputs import as_numbers

NUMBERS = 4_000_000  # of one slice of the draws, which bounds the memory of copies


def as_draws(draws: ArrayLike, n: int) -> np.ndarray:
    """Return predictive draws as a finite matrix ``(draws, n)``.

    Parameters
    ----------
    draws
        Shape ``(draws, n)``, or ``(chain, draw, n)`` as of ``sample_predictive``.
    n
        The number of outcomes.

    Raises
    ------
    ValueError
        When the shape is wrong, or a value is no finite number.

    Examples
    --------
    >>> as_draws([[[1, 2], [3, 4]]], 2).shape
    (2, 2)
    """
    array = np.asarray(draws)
    if np.ma.isMaskedArray(draws) and np.ma.getmaskarray(draws).any():
        as_numbers(draws, "draws")  # refuses it
    if array.ndim not in (2, 3) or array.shape[-1] != n or array.size == 0:
        raise ValueError(
            f"draws must have shape (draws, {n}) or (chain, draw, {n}), the rows of y last; got "
            f"shape {array.shape}. estimator.sample_predictive(X) has the right one. [draws-shape]"
        )
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        raise ValueError(
            f"draws must hold finite numbers, got dtype {array.dtype} or values that are missing "
            "or infinite; pass the draws of outcomes, classes as 0, 1, ... [draws-numbers]"
        )
    return array.reshape(-1, n)


def row_slices(draws: np.ndarray) -> Iterator[slice]:
    """Yield slices of rows whose draws are few enough to be copied."""
    step = max(1, NUMBERS // len(draws))
    for start in range(0, draws.shape[1], step):
        yield slice(start, start + step)
