"""Predictions of one model and seed, pooled over folds, and whether a study's belong together."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pyfairme.estimators.fairness_report import NEW_LEVEL, EvaluatedRows

ALIKE = ("y", "cluster", "seen")  # what does not depend on the model


@dataclass(frozen=True)
class Pooled:
    """Test rows of all folds of one model and seed.

    Parameters
    ----------
    judged
        Predictions of n rows and what is needed to judge them, in the order of the data set.
    row
        Position of each row in the data set, int[n], increasing.
    fold
        The fold whose model judged the row, int[n].
    """

    judged: EvaluatedRows
    row: np.ndarray
    fold: np.ndarray


Runs = Mapping[tuple[str, int], Pooled]
"""By model and seed."""


def check_runs(runs: Runs) -> None:
    """Check that all runs judged the same rows, and those of one seed in the same folds.

    Raises
    ------
    ValueError
        When there is no run, or one differs from the first in rows, outcomes, clusters,
        attributes, or from another one of its seed in the folds.
    """
    if not runs:
        raise ValueError(
            "Expected the evaluated rows of at least one model and seed, got none. [no-runs]"
        )
    (first_key, first), *others = runs.items()
    if (np.diff(first.row) <= 0).any():
        raise ValueError(
            f"Rows must be sorted by their position in the data set, each once; those of "
            f"{_name(first_key)} are not. [other-rows]"
        )
    for key, run in others:
        for what in _differences(first, run):
            raise ValueError(
                f"All runs of a study must evaluate the same rows, but {what} of {_name(key)} is "
                f"not "
                f"that of {_name(first_key)}: compare runs of one data set, split alike, with all "
                f"folds evaluated. [other-rows]"
            )
    _check_folds(runs)


def common_labels(runs: Runs) -> dict[str, np.ndarray]:
    """Return each attribute's labels, (n,); a level is new only if no run knows it in that row."""
    every = [run.judged.sensitive for run in runs.values()]
    found = {}
    for name, labels in every[0].items():
        known = labels.copy()
        for other in every[1:]:
            unknown = known == NEW_LEVEL
            if not unknown.any():
                break
            known[unknown] = other[name][unknown]
        found[name] = known
    return found


def _differences(first: Pooled, other: Pooled) -> list[str]:
    """Name what differs between two runs that must be about the same rows."""
    if not np.array_equal(first.row, other.row):
        return ["the position of the rows"]
    one, two = first.judged, other.judged
    found = [name for name in ALIKE if not np.array_equal(getattr(one, name), getattr(two, name))]
    found += ["the list of classes"] if one.classes != two.classes else []
    if list(one.sensitive) != list(two.sensitive):
        return [*found, "the list of attributes"]
    return found + [
        f"attribute {name!r}"
        for name, labels in one.sensitive.items()
        if not _same_labels(labels, two.sensitive[name])
    ]


def _same_labels(one: np.ndarray, two: np.ndarray) -> bool:
    return bool(((one == two) | (one == NEW_LEVEL) | (two == NEW_LEVEL)).all())


def _check_folds(runs: Runs) -> None:
    first: dict[int, tuple[tuple[str, int], Pooled]] = {}
    for key, run in runs.items():
        other_key, other = first.setdefault(key[1], (key, run))
        if not np.array_equal(run.fold, other.fold):
            raise ValueError(
                f"{_name(key)} and {_name(other_key)} have different folds: per-fold differences "
                "need models that were fitted to the same folds. [other-folds]"
            )


def _name(key: tuple[str, int]) -> str:
    return f"{key[0]!r} seed {key[1]}"
