"""Numbers given as keywords: finite, in range, and such as single precision holds."""

from __future__ import annotations

import numbers
from math import isfinite
from typing import NamedTuple, TypeGuard

import numpy as np

from pyfairme.notices import shown


class _Range(NamedTuple):
    tiny: float
    max: float


SINGLE = _Range(float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max))


def is_number(value: object) -> TypeGuard[float]:
    """Tell whether a keyword's value is a finite real number, not a boolean."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and isfinite(value)


def check_number(name: str, value: object, low: float, *, above: bool = False) -> None:
    """Raise ValueError unless a keyword's value is a number that single precision can hold."""
    if not is_number(value) or value < low or (above and value == low):
        what = "greater than" if above else "at least"
        raise ValueError(
            f"Invalid value of {name}: {shown(value)}. Expected a number {what} {low:g}. "
            "[not-a-number]"
        )
    if value != 0 and not SINGLE.tiny <= abs(value) <= SINGLE.max:
        raise ValueError(
            f"Invalid value of {name}: {value!r}. Training computes in single precision: expected "
            f"0 or a number from {SINGLE.tiny:.0e} to {SINGLE.max:.0e}. [single-precision]"
        )


def check_count(name: str, value: object, low: int) -> None:
    """Raise ValueError unless a keyword's value is an integer of at least ``low``."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < low:
        raise ValueError(
            f"Invalid value of {name}: {shown(value)}. Expected an integer >= {low}. [not-a-count]"
        )
