"""Mean and standard deviation of numbers of any size, and what single precision can hold."""

import numpy as np
import pandas as pd

from pyfairme.data.columns import first_rows

LARGEST = float(np.finfo(np.float32).max)


def power_of_two(values: np.ndarray) -> float:
    """Return the power of two at or below the largest absolute value; 1 where there is none.

    Examples
    --------
    >>> power_of_two(np.array([-5.0, 3.0]))
    4.0
    """
    largest = float(np.abs(values).max(initial=0.0))
    if not 0 < largest < np.inf:
        return 1.0
    return float(np.ldexp(1.0, int(np.clip(np.frexp(largest)[1] - 1, -1021, 1023))))


def mean_and_sd(values: np.ndarray) -> tuple[float, float]:
    """Return mean and SD (ddof = 0); the SD is 0 exactly where all values are equal.

    Squares of numbers beyond 1e154 overflow, those below 1e-162 vanish: numbers are divided by a
    power of two near the largest one first, which rounds nothing.

    Examples
    --------
    >>> mean_and_sd(np.array([1e160, 3e160]))
    (2e+160, 1e+160)
    """
    if not values.max() > values.min():
        return float(values.mean()), 0.0
    unit = power_of_two(values)
    scaled = values / unit
    return float(scaled.mean()) * unit, float(scaled.std()) * unit


def check_offset(values: np.ndarray, index: pd.Index, column: object) -> None:
    """Refuse an offset that single precision cannot hold; gaps are refused as such elsewhere."""
    known = np.where(np.isnan(values), 0.0, values)
    check_single(known, index, column, "an offset must stay below 3.4e38")


def check_single(values: np.ndarray, index: pd.Index, column: object, limits: str) -> None:
    """Refuse numbers that single precision cannot hold, naming the column and the first rows.

    Parameters
    ----------
    values
        What will be computed with, (n,) or (n, k): not finite once cast to float32.
    index
        Labels of the rows.
    column
        Name of the column that they come from.
    limits
        What the user's numbers must keep to.
    """
    with np.errstate(invalid="ignore"):
        bad = np.asarray(~(np.abs(values) <= LARGEST))
    if values.ndim > 1:
        bad = np.asarray(bad.any(axis=1))
    if bad.any():
        raise ValueError(
            f"Column {column!r} has {bad.sum()} values that are too large to compute with, first "
            f"at rows {first_rows(index, bad)}: {limits}. Look for a code that stands for a "
            "missing value (1e308, 9e99), correct these values or make them missing. [too-large]"
        )
