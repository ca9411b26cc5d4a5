"""Encoded training rows that a fitted estimator holds on to, for `refine`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pyfairme.data import Batch
from pyfairme.data.encoded_later import is_later

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects

LARGEST_KEPT = 1e8  # numbers


def keep_training(estimator: FairMixedEffects, training: Batch | None) -> None:
    """Hold on to the encoded training rows for `refine`, unless they are very many."""
    numbers = sum(np.size(part) for part in training or () if part is not None)
    kept = numbers <= LARGEST_KEPT and not (training and is_later(training))
    estimator._training = training if kept else None
