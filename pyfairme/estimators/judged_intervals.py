"""Prediction intervals and sets that a fairness report judges: what they hold, and how wide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.estimators.estimator_keywords import EFFECTS, check_choice
from pyfairme.metrics.names import apart
from pyfairme.metrics.row_order import warn_of_order
from pyfairme.notices import shown

BESIDE_CLASSES = ("size", "calibrated_on")  # further columns of a frame of sets
Judged = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]


def class_columns(classes: Sequence[Any] | np.ndarray) -> list[Any]:
    """Return the names of the columns of classes in a frame of sets.

    Examples
    --------
    >>> class_columns(np.array(["size", "shape"]))
    ['"size"', 'shape']
    """
    labels = np.asarray(classes).tolist()
    return [apart(one, BESIDE_CLASSES) if isinstance(one, str) else one for one in labels]


def read_intervals(
    given: Any, y: np.ndarray, classes: Sequence[Any], frame: pd.DataFrame
) -> Judged:
    """Return by kind of effects which outcomes are held, 0 or 1, and widths: (n,) each.

    Parameters
    ----------
    given
        None, a frame, or frames by kind of effects.
    y
        Shape ``(n,)``: outcomes, or codes of classes.
    classes
        The classes; none of real outcomes.
    frame
        The rows that are judged.
    """
    frames = given if isinstance(given, Mapping) else {} if given is None else {"mixed": given}
    covered, width = {}, {}
    for effects, one in frames.items():
        check_choice("effects of intervals", effects, EFFECTS)
        names = class_columns(classes) if classes else ["low", "high"]
        _check(one, names, frame)
        if classes:
            inside = _memberships(one[names])
            covered[effects] = inside[np.arange(len(y)), y.astype(int)].astype(np.float64)
            width[effects] = inside.sum(axis=1).astype(np.float64)
        else:
            low, high = _ends(one[names])
            covered[effects] = ((low <= y) & (y <= high)).astype(np.float64)
            width[effects] = high - low
    return covered, width


def _memberships(sets: pd.DataFrame) -> np.ndarray:
    """Return which classes each set has, (n, K)."""
    odd = [name for name, kind in sets.dtypes.items() if not pd.api.types.is_bool_dtype(kind)]
    if odd:
        raise ValueError(
            f"intervals of classes must say True or False of each class, got {odd[0]!r} of dtype "
            f"{sets[odd[0]].dtype}: give what predict_set of ConformalSets returned. "
            "[intervals-values]"
        )
    return sets.to_numpy(dtype=bool)


def _ends(intervals: pd.DataFrame) -> np.ndarray:
    """Return low and high, (2, n)."""
    known = all(pd.api.types.is_numeric_dtype(kind) for kind in intervals.dtypes)
    ends = intervals.to_numpy(np.float64).T if known else np.full((2, 1), np.nan)
    wrong = ~(np.isfinite(ends).all(axis=0) & (ends[0] <= ends[1]))
    if wrong.any():
        first = intervals.iloc[int(wrong.argmax())].tolist()
        raise ValueError(
            f"intervals must hold finite numbers low <= high in each row, got {first}: correct "
            "these rows, or leave them out of X and y too. [intervals-values]"
        )
    return ends


def _check(given: Any, names: Sequence[Any], frame: pd.DataFrame) -> None:
    columns = list(getattr(given, "columns", ()))
    if not isinstance(given, pd.DataFrame) or not set(names) <= set(columns):
        raise ValueError(
            f"intervals expected a frame with the columns {', '.join(map(repr, names))}, got "
            f"{shown(columns) if columns else shown(given)}: give what predict_interval of "
            "ConformalIntervals returned, or for classes predict_set of ConformalSets. "
            "[intervals-frame]"
        )
    if len(given) != len(frame):
        raise ValueError(
            f"X has {len(frame)} rows, intervals have {len(given)}: give one line per row. "
            "[other-length]"
        )
    warn_of_order(frame, "X", intervals=given)
