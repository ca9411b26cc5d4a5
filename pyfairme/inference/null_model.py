"""Intercept-only model: the loss that every fit must get below."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from scipy.special import gammaln, logsumexp, xlogy

from pyfairme.data import Batch
from pyfairme.model.likelihoods import LIKELIHOODS, Bernoulli, Categorical, Likelihood

SLACK = 0.1  # nats a row, and this share of the null model's loss: noise of the draws
FIRST_SLACK = 0.5  # the same for a mean over the first steps, which begin anywhere


def null_loss(likelihood: Likelihood, batch: Batch) -> float:
    """Return the mean negative log-likelihood per unit of weight of the best constant prediction.

    Of classes the entropy; of a real target that of a Normal; of counts that of a Poisson with the
    offset as exposure. The last two are upper bounds for likelihoods with more parameters. Of a
    likelihood that is a user's own it is the loss at which a fit starts, another upper bound.
    """
    if type(likelihood) not in (Bernoulli, Categorical, *LIKELIHOODS.values()):
        return _loss_at_start(likelihood, batch)
    share = np.asarray(batch.weight, float) / np.sum(batch.weight, dtype=float)
    y = np.asarray(batch.y, float)
    if likelihood.target == "class":
        frequency = np.bincount(y.astype(int), weights=share)
        return float(-xlogy(frequency, frequency).sum())
    if likelihood.target == "real":
        rest = y - np.asarray(batch.offset, float)
        variance = max(float(share @ (rest - share @ rest) ** 2), 1.0)  # it is standardised
        return float(0.5 * (np.log(2 * np.pi * variance) + 1))
    offset = np.asarray(batch.offset, float)
    mean = np.exp(offset - logsumexp(offset, b=share)) * (share @ y)
    return float(share @ (mean - xlogy(y, mean) + gammaln(y + 1)))


def _loss_at_start(likelihood: Likelihood, batch: Batch) -> float:
    """Return the loss of the constant at which a fit starts, its own parameters where theirs do."""
    share = np.asarray(batch.weight, float) / np.sum(batch.weight, dtype=float)
    offset = np.asarray(batch.offset, float)
    y = jnp.asarray(batch.y)
    start = likelihood.start(jnp.asarray(share @ np.asarray(batch.y, float), jnp.float32))
    eta = start + jnp.asarray(offset - share @ offset, jnp.float32)[:, None]
    values = {
        latent.name: jnp.full(latent.shape, latent.start) for latent, _ in likelihood.latents()
    }
    return -float(share @ np.asarray(likelihood.distribution(eta, values).log_prob(y), float))


def worse_than_null(loss: float, null: float, first: bool = False) -> bool:
    """Tell whether a loss is above the null model's by more than noise explains."""
    return not loss <= null + (FIRST_SLACK if first else SLACK) * (1 + abs(null))
