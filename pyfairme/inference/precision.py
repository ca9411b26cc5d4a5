"""Single precision, whatever JAX is set to: the same numbers with ``JAX_ENABLE_X64=1``."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import jax

__all__ = ["in_single_precision"]

P = ParamSpec("P")
R = TypeVar("R")


def in_single_precision(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function compute in single precision, for which seeds and tolerances are made.

    In double precision the same seed draws other numbers, so that a fit would be another one.
    Nothing changes for the caller's own code.
    """

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        wide = jax.config.jax_enable_x64  # type: ignore[attr-defined]
        if not wide:  # the usual case keeps its compiled functions
            return function(*args, **kwargs)
        with jax.enable_x64(False):
            return function(*args, **kwargs)

    return wrapped
