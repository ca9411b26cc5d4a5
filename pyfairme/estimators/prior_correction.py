"""Correct predicted probabilities for the class weights used in training.

Weights w_k multiply the odds of class k: a fit to weighted rows has P(k | x) w_k / sum_j P(j | x)
w_j for P(k | x) (Elkan 2001; King & Zeng 2001 for logits). Subtracting log w_k from the links takes
that back. Within two classes no rank changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pyfairme.data import Batch
from pyfairme.notices import warn

FAR = 0.05  # of a class's share


def shift_of(weights: Mapping[Any, float], classes: Sequence[Any]) -> np.ndarray:
    """Return what to add to the links: (1,) for two classes, else (K,) of mean 0."""
    logs = np.log([weights[label] for label in classes])
    return logs[:1] - logs[1:] if len(classes) == 2 else logs.mean() - logs


def moved_threshold(
    threshold: float, weights: Mapping[Any, float], classes: Sequence[Any]
) -> float:
    """Return the probability of the weighted fit that a corrected one corresponds to."""
    first, second = (weights[label] for label in classes)
    return threshold * second / (threshold * second + (1 - threshold) * first)


def without_class_weights(
    batch: Batch, weights: Mapping[Any, float], classes: Sequence[Any]
) -> Batch:
    """Return the rows with the weights that they have apart from their class's."""
    own = np.array([weights[label] for label in classes], np.float32)
    return batch._replace(weight=batch.weight / own[batch.y])


def warn_of_moved_shares(
    batch: Batch, weights: Mapping[Any, float], classes: Sequence[Any]
) -> None:
    """Warn where class weights move a class's share, and with it its mean probability, far."""
    bare = without_class_weights(batch, weights, classes)
    before, after = (np.bincount(b.y, b.weight, len(classes)) for b in (bare, batch))
    before, after = before / before.sum(), after / after.sum()
    worst = 1 if len(classes) == 2 else int(np.argmax(np.abs(after - before)))
    if abs(after[worst] - before[worst]) > FAR:
        warn(
            f"class_weight moves the probabilities: a share of {before[worst]:.3f} of the training "
            f"rows has class {classes[worst]!r}, and its mean probability will be near "
            f"{after[worst]:.3f}. Give prior_correction=True for calibrated probabilities in the "
            "same order, prior_correction=False to keep them as they are; or leave class_weight, "
            "and give threshold='balanced_accuracy' for decisions. "
            "[class-weight-moves-probabilities]"
        )
