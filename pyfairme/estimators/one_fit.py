"""One fit of an estimator at a time: two at once would leave half of each model."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from pyfairme.inference.process import check_process

__all__ = ["one_at_a_time"]

P = ParamSpec("P")
R = TypeVar("R")
_in_fit: dict[int, int] = {}  # estimators in a fit, by identity, and the thread that fits each


def one_at_a_time(fit: Callable[P, R]) -> Callable[P, R]:
    """Let the method ``fit`` refuse an estimator that another thread is fitting."""

    @wraps(fit)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        check_process()
        estimator, me = args[0], threading.get_ident()
        if _in_fit.setdefault(id(estimator), me) != me:  # one step, so no lock is needed
            raise RuntimeError(
                f"Another thread is fitting this {type(estimator).__name__}, and one object holds "
                "one model: fit sklearn.base.clone(estimator) in each thread. [fit-in-two-threads]"
            )
        try:
            return fit(*args, **kwargs)
        finally:
            _in_fit.pop(id(estimator), None)

    return wrapped
