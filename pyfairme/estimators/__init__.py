"""scikit-learn estimators: classifier, regressor, and `load`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyfairme import persistence
from pyfairme.data.input_types import PathLike
from pyfairme.estimators import saved_state
from pyfairme.estimators.classifier import FairMixedEffectsClassifier
from pyfairme.estimators.custom_objects import check_objects
from pyfairme.estimators.regressor import FairMixedEffectsRegressor
from pyfairme.notices import shown

__all__ = ["FairMixedEffectsClassifier", "FairMixedEffectsRegressor", "load"]


def load(
    path: PathLike, *, key: str | bytes | None = None, objects: Mapping[str, Any] | None = None
) -> FairMixedEffectsClassifier | FairMixedEffectsRegressor:
    """Read an estimator that `save` wrote.

    Reading runs no code of the file, and takes at most three times its size in memory, and 8 MiB:
    names and numbers of a small file take more room as objects than in it.

    Parameters
    ----------
    path
        The file.
    key
        The key that it was saved with: a file that was not signed with it is refused. Without a
        key anybody may have written the file, with whatever predictions. It also gives a private
        file's clusters their names back: each is known by its hash.
    objects
        The penalties, likelihood and guide of your own that the estimator was fitted with, by name:
        ``{"gamma": Gamma()}``. A file names them and says how they were configured; it holds no
        code.

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
        something else; when an object that it names is missing or configured otherwise.
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
    check_objects(path, saved, objects)
    with persistence.as_of_a_file(path):
        return saved_state.from_state(known[kind](), saved, persistence.secret_of(key), objects)
