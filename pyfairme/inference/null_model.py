"""Intercept-only model: the loss that every fit must get below."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.special import gammaln, logsumexp, xlogy

from pyfairme.data import Batch
from pyfairme.metrics.standard_error import error_of_mean
from pyfairme.model.likelihoods import LIKELIHOODS, Bernoulli, Categorical, Likelihood

SLACK = 0.1  # nats a row, and this share of the null model's loss: noise of the draws
FIRST_SLACK = 0.5  # the same for a mean over the first steps, which begin anywhere
REFUTED = 3.0  # standard errors by which held-out rows miss the gain of training rows


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


def null_log_density(likelihood: Likelihood, training: Batch, rows: Batch) -> np.ndarray | None:
    """Return the log density (n,) of rows under the constant that is best on the training rows.

    As of `null_loss`; None for a likelihood that is a user's own.
    """
    if type(likelihood) not in (Bernoulli, Categorical, *LIKELIHOODS.values()):
        return None
    share = np.asarray(training.weight, float) / np.sum(training.weight, dtype=float)
    known, y = np.asarray(training.y, float), np.asarray(rows.y, float)
    offset, others = np.asarray(training.offset, float), np.asarray(rows.offset, float)
    if likelihood.target == "class":
        frequency = np.bincount(known.astype(int), weights=share, minlength=int(y.max()) + 1)
        return np.log(np.maximum(frequency[y.astype(int)], np.finfo(float).tiny))
    if likelihood.target == "real":
        mean = share @ (known - offset)
        variance = max(float(share @ (known - offset - mean) ** 2), 1.0)
        return -0.5 * (np.log(2 * np.pi * variance) + (y - others - mean) ** 2 / variance)
    rate = np.exp(others - logsumexp(offset, b=share)) * (share @ known)
    return xlogy(y, rate) - rate - gammaln(y + 1)


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


class HeldOutLoss(NamedTuple):
    """Mean losses of held-out rows: the model's, the constant's, and the error of the difference.

    ``trained`` is the model's loss on training rows, ``trained_null`` the constant's.
    """

    loss: float
    null: float
    error: float
    trained: float
    trained_null: float

    @property
    def by_heart(self) -> bool:
        """Whether held-out rows refute the gain over the constant that training rows show."""
        gain = self.trained_null - self.trained
        return gain > 0 and gain + self.loss - self.null > REFUTED * self.error

    @property
    def worse(self) -> bool:
        """Whether held-out rows speak against the model.

        Their loss is above the constant's, and either by two standard errors or while they refute
        what training rows show: few rows are held out, and of a network that has learned its rows
        by heart nothing else says that it has learned more.
        """
        return self.loss - self.null > (0.0 if self.by_heart else 2 * self.error)


def held_out_loss(
    log_density: np.ndarray,
    null: np.ndarray,
    weight: np.ndarray,
    trained: float,
    least: float,
    together: np.ndarray | None = None,
) -> HeldOutLoss:
    """Compare the log densities (n,) of held-out rows, row by row.

    Parameters
    ----------
    log_density, null
        Of the model and of the constant, (n,).
    weight
        How much each row counts, (n,).
    trained, least
        Losses of training rows: the model's and the constant's.
    together
        Numbers (n,) that rows which belong together share: the error is robust to that.
    """
    share = np.asarray(weight, float) / np.sum(weight, dtype=float)
    error = error_of_mean(null - log_density, weight, together)
    return HeldOutLoss(-float(share @ log_density), -float(share @ null), error, trained, least)
