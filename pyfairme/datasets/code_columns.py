"""Read a column of codes as sources give it: numbers or text, with or without gaps."""

from typing import cast

import numpy as np
import pandas as pd

from pyfairme.data.columns import read_numbers


def read_codes(series: pd.Series) -> np.ndarray:
    """Return codes as float64[n], NaN where missing.

    Raises
    ------
    ValueError
        When text in it is no number.
    """
    return read_numbers(cast(pd.Series, pd.to_numeric(series)))


def shown(codes: np.ndarray) -> str:
    """Return the first five distinct codes, for error messages."""
    return ", ".join(f"{code:g}" for code in np.unique(codes)[:5])
