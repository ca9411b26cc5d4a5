"""Equal-tailed intervals of predictions, a line per row: of a probability, a mean, an outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pyfairme.data.input_types import Table
from pyfairme.estimators.estimator_keywords import EFFECTS, check_choice, check_level
from pyfairme.estimators.interval_kind import interval_kind, named
from pyfairme.estimators.table_predictions import table_quantiles

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects


def value_intervals(
    estimator: FairMixedEffects, X: Table, level: float, kind: str, effects: str
) -> pd.DataFrame:
    """Return the intervals of `FairMixedEffectsRegressor.predict_interval`."""
    kind, index, found = _encoded(estimator, X, level, kind, effects)
    target = estimator.target_
    decoded = {name: target.decode(values) for name, values in found.items()}
    if kind == "observation" and target.whole:
        decoded |= {"low": np.floor(decoded["low"]), "high": np.ceil(decoded["high"])}
    return named(pd.DataFrame(decoded, index=index), kind)


def probability_intervals(
    estimator: FairMixedEffects, X: Table, level: float, kind: str, effects: str
) -> pd.DataFrame:
    """Return the intervals of `FairMixedEffectsClassifier.predict_interval`."""
    kind, index, found = _encoded(estimator, X, level, kind, effects)
    classes = estimator.classes_
    if len(classes) > 2:
        flat = {name: values.ravel().astype(np.float64) for name, values in found.items()}
        lines = {"class": np.tile(classes, len(index)), **flat}
        return named(pd.DataFrame(lines, index=index.repeat(len(classes))), kind)
    second = {name: v[:, 1] if v.ndim == 2 else v for name, v in found.items()}
    of = "observation (0 or 1)" if kind == "observation" else kind  # 0 to 1: either may come
    return named(pd.DataFrame(second, index=index, dtype=np.float64), of)


def _encoded(
    estimator: FairMixedEffects, X: Table, level: float, kind: str, effects: str
) -> tuple[str, pd.Index, dict[str, np.ndarray]]:
    """Return what the intervals are of, the rows' labels, and means and limits as encoded."""
    estimator._check_use()
    kind = interval_kind(kind, estimator.fit_.spec)
    check_choice("effects", effects, EFFECTS)
    check_level(level)
    ends = ((1 - level) / 2, (1 + level) / 2)
    of = "observation" if kind == "observation" else "mean"
    frame, mean, (low, high) = table_quantiles(estimator, X, ends, of, effects)
    return kind, frame.index, {"mean": mean, "low": low, "high": high}
