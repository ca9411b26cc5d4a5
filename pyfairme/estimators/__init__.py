"""scikit-learn estimators: shells around the rooms below."""

from __future__ import annotations

from typing import Any

from pyfairme import persistence
from pyfairme.estimators import state
from pyfairme.estimators.classifier import FairMixedEffectsClassifier
from pyfairme.estimators.regressor import FairMixedEffectsRegressor
from pyfairme.notices import shown

__all__ = ["FairMixedEffectsClassifier", "FairMixedEffectsRegressor", "load"]


def load(
    path: Any, *, key: str | bytes | None = None
) -> FairMixedEffectsClassifier | FairMixedEffectsRegressor:
    """Read an estimator that `save` wrote.

    Reading runs no code of the file. It takes at most three times the memory of the file, and 8 MiB
    beside: for a small file what its largest permitted text needs as objects.

    Parameters
    ----------
    path
        The file.
    key
        The key that it was saved with: a file that was not signed with it is refused. Without a
        key anybody may have written the file, with whatever predictions.

    Returns
    -------
    FairMixedEffectsClassifier or FairMixedEffectsRegressor
        The fitted estimator; its predictions equal the saved one's bit for bit.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        When the file is truncated, altered, of a newer format, not signed with the key, or holds
        something else.
    """
    known = {
        "FairMixedEffectsClassifier": FairMixedEffectsClassifier,
        "FairMixedEffectsRegressor": FairMixedEffectsRegressor,
    }
    kind, saved = persistence.load_state(path, key=key)
    if kind not in known:
        raise ValueError(
            f"{path} holds a {shown(kind)}, not an estimator. Expected one of {sorted(known)}"
            f"{f'; read it with {kind}.load' if kind.endswith('Thresholds') else ''}."
            " [other-kind-of-file]"
        )
    with persistence.as_of_a_file(path):
        return state.from_state(known[kind](), saved)
