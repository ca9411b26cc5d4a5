"""Add constants to the links of a fit."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np

from pyfairme.inference.predictions import Fit
from pyfairme.model.program import LAST_LAYER
from pyfairme.model.tangent import LINEAR


def shifted(fit: Fit, by: np.ndarray) -> Fit:
    """Return the fit with ``by`` (K,) added to its fixed links: to the biases of the output layer.

    Predictions of all kinds, draws and the centre move with it; effects of clusters stay.
    """
    move = np.asarray(by, np.float32)
    draws = dict(fit.draws)
    network = fit.network
    if fit.spec.tangent:
        draws[LINEAR] = draws[LINEAR].copy()
        draws[LINEAR][..., -1, :] += move
    if fit.spec.last_layer:
        draws[LAST_LAYER[1]] = draws[LAST_LAYER[1]] + move
    else:
        network = (*network[:-1], network[-1]._replace(bias=network[-1].bias + move))
    return replace(
        fit, network=jax.tree.map(np.asarray, network), draws=draws, centre=fit.centre + move
    )
