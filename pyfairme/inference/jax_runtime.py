"""Wrapper of every computation with JAX: right settings, process and thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import jax

from pyfairme.compilation import counted
from pyfairme.inference.process_guard import check_process, turn

P = ParamSpec("P")
R = TypeVar("R")


def with_jax(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function compute with JAX: not in a forked process, and in single precision.

    In double precision the same seed draws other numbers, so that a fit would be another one.
    Nothing changes for the caller's own code.
    """

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        check_process()
        wide = jax.config.jax_enable_x64  # type: ignore[attr-defined]
        if not wide:  # the usual case keeps its compiled functions
            with counted():
                return function(*args, **kwargs)
        with counted(), jax.enable_x64(False):
            return function(*args, **kwargs)

    return wrapped


def with_numpyro(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function run numpyro's programs: as `with_jax`, and one thread at a time.

    numpyro keeps the handlers that are at work in one list for all threads. Two threads that go
    through a program at once take each other's: almost every fit fails.
    """
    inner = with_jax(function)

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with turn():
            return inner(*args, **kwargs)

    return wrapped
