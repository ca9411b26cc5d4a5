"""Keywords of a fitted estimator: those that still take effect, and those that no longer can."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pyfairme.estimators.estimator_keywords import UNSEEN, check_choice
from pyfairme.notices import shown

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects

# Read when predicting, or by the next fit only and without a bearing on this one.
STILL_READ = {"unseen", "progress", "warm_start", "devices"}


def remember(estimator: FairMixedEffects) -> dict[str, Any]:
    """Return the keywords that a fit ends with, to be compared later."""
    given = estimator.get_params(deep=False)
    return {k: copy.copy(v) if isinstance(v, list | dict) else v for k, v in given.items()}


def check_unchanged(estimator: FairMixedEffects) -> None:
    """Raise ValueError where keywords were changed after fit that only another fit can obey."""
    check_choice("unseen", estimator.unseen, UNSEEN)
    fitted: Mapping[str, Any] = getattr(estimator, "_fitted_params", {})
    now = estimator.get_params(deep=False)
    changed = [k for k in fitted if k not in STILL_READ and not _same(fitted[k], now[k])]
    if changed:
        each = ", ".join(f"{k} ({shown(fitted[k])}, now {shown(now[k])})" for k in changed)
        raise ValueError(
            f"Keywords were changed after fit that take effect only in a fit: {each}. Call fit "
            "again, or set them back; for a model with other keywords and this one too, change a "
            "clone. [changed-after-fit]"
        )


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return type(one) is type(other) and np.array_equal(one, other)
    try:
        return bool(one == other)
    except (TypeError, ValueError):
        return False
