"""One fit of an estimator at a time, and no answers meanwhile: they would mix two models."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from pyfairme.inference.process_guard import check_process

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects

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


def of_one_model(answer: Callable[P, R]) -> Callable[P, R]:
    """Let a method refuse to answer while another thread fits its estimator anew.

    An answer reads several attributes, and a fit that ends meanwhile would give it some of each.
    """

    @wraps(answer)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        estimator: Any = args[0]
        _refuse_during_fit(estimator)
        first = vars(estimator).get("fit_")
        try:
            found = answer(*args, **kwargs)
        except Exception:
            _refuse_during_fit(estimator, first)  # it may be the fit that took an attribute away
            raise
        _refuse_during_fit(estimator, first)
        return found

    return wrapped


def _refuse_during_fit(estimator: FairMixedEffects, first: object = None) -> None:
    me = threading.get_ident()
    changed = first is not None and vars(estimator).get("fit_") is not first
    if _in_fit.get(id(estimator), me) != me or changed:
        raise RuntimeError(
            f"Another thread is fitting this {type(estimator).__name__}, or has just done so: the "
            "answer would mix two models. Ask when the fit has ended, or fit "
            "sklearn.base.clone(estimator) and keep this one for answers. [answer-during-fit]"
        )
