"""What a cluster's rows say alone: the likeliest shift of their link, without a prior."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from pyfairme.inference.jax_runtime import with_jax
from pyfairme.model.likelihoods import Likelihood

HALVINGS = 45
BOUND = 12.0  # of a shift on a logit or log scale: one that large is none
LARGEST_LINK = 19.0  # counts keep their links below 20, beyond which nothing reacts to a shift


class KnownRows(NamedTuple):
    """Rows of known clusters on the model's scale.

    ``y`` is the encoded target (n,), ``link`` the link (n, K) to which a shift is added, ``codes``
    the cluster of each row (n,), ``weight`` its weight (n,).
    """

    y: np.ndarray
    link: np.ndarray
    codes: np.ndarray
    weight: np.ndarray


@with_jax
def unpooled_shifts(
    likelihood: Likelihood, values: Mapping[str, Any], rows: KnownRows, output: int, clusters: int
) -> np.ndarray:
    """Maximise the likelihood of each cluster's rows over a shift of one link.

    ``argmax_s sum_i w_i log p(y_i | link_i + s e_k)`` over the rows i of a cluster, found by
    halving an interval on which the derivative changes its sign. For a Normal it is the mean
    residual, for a Poisson the log ratio of the sums of y and exp(link).

    Parameters
    ----------
    likelihood, values
        The likelihood and its own parameters.
    rows
        Rows, see `KnownRows`.
    output
        The link k that is shifted.
    clusters
        Number of clusters G.

    Returns
    -------
    np.ndarray
        Shape ``(G,)``; infinite where no finite shift is best (a cluster of zeros only), NaN for a
        cluster without rows.
    """
    bottom, top = _bounds(likelihood, rows.y, rows.link[:, output])
    score = _score(likelihood, values, rows, output, clusters)
    low, high = np.full(clusters, bottom), np.full(clusters, top)
    falling, rising = score(low) <= 0, score(high) >= 0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = score(middle) > 0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    found = np.where(falling, -np.inf, np.where(rising, np.inf, (low + high) / 2))
    weight = np.bincount(rows.codes, rows.weight, minlength=clusters)
    return np.where(weight > 0, found, np.nan)


def _bounds(likelihood: Likelihood, y: np.ndarray, link: np.ndarray) -> tuple[float, float]:
    """Return the interval in which the best shifts are looked for."""
    if likelihood.target == "real":  # they lie among the residuals
        residual = y - link
        reach = 0.01 * float(np.ptp(residual)) + 1e-6
        return float(residual.min()) - reach, float(residual.max()) + reach
    return (
        -min(BOUND, max(1.0, LARGEST_LINK + float(link.min()))),
        min(BOUND, max(1.0, LARGEST_LINK - float(link.max()))),
    )


def _score(
    likelihood: Likelihood, values: Mapping[str, Any], rows: KnownRows, output: int, clusters: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the derivative of each cluster's log likelihood (G,) as a function of the shifts."""
    import jax
    import jax.numpy as jnp

    y, link = jnp.asarray(rows.y), jnp.asarray(rows.link, jnp.float32)
    own = {name: jnp.asarray(value) for name, value in values.items()}

    def total(shift: Any) -> Any:
        eta = link.at[:, output].add(shift)
        return likelihood.distribution(eta, own).log_prob(y).sum()

    slope = jax.jit(jax.grad(total))

    def score(shifts: np.ndarray) -> np.ndarray:
        by_row = np.asarray(slope(jnp.asarray(shifts[rows.codes], jnp.float32)), np.float64)
        return np.bincount(rows.codes, rows.weight * by_row, minlength=clusters)

    return score
