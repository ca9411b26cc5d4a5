"""How much the levels of sensitive attributes weigh: all alike, but for the rarest."""

from __future__ import annotations

import numpy as np

from pyfairme.data import Batch
from pyfairme.data.brackets import mass_of_groups
from pyfairme.model.program import ModelSpec

ROWS_A_STEP = 2.0  # a level that has fewer in a mean step counts in proportion


def level_weights(
    spec: ModelSpec, training: Batch, step_rows: int, least: float = ROWS_A_STEP
) -> tuple[np.ndarray, ...]:
    """Return the weight of each level, an array (L,) per attribute, with mean 1 over the rows.

    Inverse frequency among the rows that the criterion compares, so that small groups count as much
    as large ones in adversaries and kernels: level g with mass m_g weighs 1 / m_g. Of a level that
    has n_g rows of n in all, a step of b rows has n_g b / n. Where that is below ``least``, a
    single person would decide what a whole group does in another step: the level weighs
    n_g b / (n least m_g) instead, as if its rows were so many. Weighted rows count as so many as
    their effective number, (sum w)^2 / sum w^2 (Kish 1965).

    Parameters
    ----------
    spec, training
        The model and its training rows.
    step_rows
        Rows of a training step, b.
    least
        Rows of a level in a mean step from which it weighs as much as all others.
    """
    weight = training.weight.astype(np.float64)
    if spec.criterion == "equal_opportunity" and spec.penalties:
        strata = np.asarray(spec.likelihood.strata(training.y))
        weight = weight * strata[:, -1]
    total, in_a_step = training.weight.sum(), min(step_rows / max(len(weight), 1), 1.0)
    found = []
    for index, attribute in enumerate(spec.attributes):
        place = training.sensitive[:, index]
        mass = mass_of_groups(place, weight, attribute.levels)
        there = mass > 0
        own = np.where(there, total / max(there.sum(), 1) / np.where(there, mass, 1.0), 0.0)
        squares = mass_of_groups(place, weight**2, attribute.levels)
        rows = mass**2 / np.where(there, squares, 1.0)
        share = np.minimum(rows * in_a_step / least, 1.0)[there]
        if (share < 1).any():
            own[there] *= share / share.mean()
        found.append(own.astype(np.float32))
    return tuple(found)
