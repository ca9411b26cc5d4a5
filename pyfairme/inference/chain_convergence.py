"""Do the chains agree, and what are their draws worth: R-hat and effective sample sizes.

Rank-normalised as in Vehtari, Gelman, Simpson, Carpenter & Buerkner (2021), for many numbers at a
time: ArviZ takes them one by one, which is minutes for ten thousand effects.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpyro.diagnostics import effective_sample_size, gelman_rubin

FEWEST_DRAWS = 10  # per chain: below that halves of chains have nothing to compare
TAILS = (0.05, 0.95)
AT_ONCE = 2e6  # draws of all numbers that are ranked together


class Worth(NamedTuple):
    """The largest R-hat and the smallest effective sample sizes of some numbers."""

    rhat: float
    ess_bulk: float
    ess_tail: float


def worst(values: np.ndarray) -> Worth:
    """Judge draws (chains, draws, ...): the worst of the numbers that vary; NaN if no chain moved.

    Parameters
    ----------
    values
        Draws of one latent, at least `FEWEST_DRAWS` per chain.
    """
    flat = values.reshape(*values.shape[:2], int(np.prod(values.shape[2:])))
    if not (np.ptp(flat, axis=1) > 0).any():
        return Worth(np.nan, np.nan, np.nan)
    varying = np.flatnonzero(np.ptp(flat, axis=(0, 1)) > 0)
    parts = -(-varying.size * flat.shape[0] * flat.shape[1] // int(AT_ONCE))
    found = np.concatenate(
        [_judge(flat[:, :, part].astype(np.float64)) for part in np.array_split(varying, parts)],
        axis=1,
    )
    return Worth(float(found[0].max()), float(found[1].min()), float(found[2].min()))


def _judge(values: np.ndarray) -> np.ndarray:
    """Return R-hat, bulk and tail ESS, (3, numbers), of draws (chains, draws, numbers)."""
    half = values.shape[1] // 2
    halves = np.concatenate([values[:, :half], values[:, -half:]])  # (2 chains, half, numbers)
    folded = np.abs(halves - np.median(halves, axis=(0, 1)))
    tails = [halves <= np.quantile(values, at, axis=(0, 1)) for at in TAILS]
    with np.errstate(divide="ignore", invalid="ignore"):  # of chains that stand still
        rhat = np.maximum(*(gelman_rubin(_normal_scores(part)) for part in (halves, folded)))
        bulk = effective_sample_size(_normal_scores(halves))
        tail = np.minimum(*(effective_sample_size(part.astype(np.float64)) for part in tails))
    return np.stack([rhat, bulk, tail])


def _normal_scores(values: np.ndarray) -> np.ndarray:
    """Replace draws by the Normal quantiles of their ranks over all chains (Blom 1958)."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    count = values.shape[0] * values.shape[1]
    ranks = rankdata(values.reshape(count, -1), axis=0)
    return ndtri((ranks - 0.375) / (count + 0.25)).reshape(values.shape)
