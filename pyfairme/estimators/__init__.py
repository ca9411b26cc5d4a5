"""scikit-learn estimators: shells around the rooms below."""

from __future__ import annotations

from typing import Any

from pyfairme import persistence
from pyfairme.estimators import state
from pyfairme.estimators.classifier import FairMixedEffectsClassifier
from pyfairme.estimators.regressor import FairMixedEffectsRegressor

__all__ = ["FairMixedEffectsClassifier", "FairMixedEffectsRegressor", "load"]


def load(path: Any) -> FairMixedEffectsClassifier | FairMixedEffectsRegressor:
    """Read an estimator that `save` wrote.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    FairMixedEffectsClassifier or FairMixedEffectsRegressor
        The fitted estimator; its predictions equal the saved one's bit for bit.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        When the file is truncated, altered, of a newer format, or holds something else.
    """
    known = {
        "FairMixedEffectsClassifier": FairMixedEffectsClassifier,
        "FairMixedEffectsRegressor": FairMixedEffectsRegressor,
    }
    kind, saved = persistence.load_state(path)
    if kind not in known:
        raise ValueError(
            f"{path} holds a {kind!r}, not an estimator. Expected one of {sorted(known)}"
            f"{f'; read it with {kind}.load' if kind.endswith('Thresholds') else ''}."
            " [other-kind-of-file]"
        )
    return state.from_state(known[kind](), saved)
