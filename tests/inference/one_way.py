"""A small mixed model whose posterior is known: Normal, one factor, a latent linear layer.

Given the scales everything is Gaussian, and the two scales are integrated over a grid.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from pyfairme.data import Batch
from pyfairme.inference.laplace.block_guide import fit_block
from pyfairme.inference.laplace.laplace_evidence import Layout
from pyfairme.inference.laplace.second_stage import second_stage_inputs
from pyfairme.model.effects import RandomEffects
from pyfairme.model.likelihoods import Normal
from pyfairme.model.networks import Layer
from pyfairme.model.program import LAST_LAYER_SCALE, ModelSpec, Objective, plain

CLUSTERS, ROWS = 8, 40
SPEC = ModelSpec(
    Normal(), 1, factors=(RandomEffects("g", CLUSTERS),), fixed_loss=False, last_layer=True
)
LAYOUT = Layout(plain(SPEC), plain(SPEC))
NETWORK = (Layer(jnp.zeros((1, 1)), jnp.zeros(1)),)
START = {
    "residual_sd": np.array(0.7, np.float32),
    "output_weight": np.zeros((1, 1), np.float32),
    "output_bias": np.zeros(1, np.float32),
    "g_intercept_sd": np.full(1, 0.3, np.float32),
    "g_intercept": np.zeros((CLUSTERS, 1), np.float32),
}
OBJECTIVE = Objective()


class Moments(NamedTuple):
    """Means and SDs of: residual SD, effects' SD, weight, bias, the clusters' effects."""

    mean: np.ndarray
    sd: np.ndarray


def make_rows() -> Batch:
    rng = np.random.default_rng(0)
    code = np.arange(ROWS) % CLUSTERS
    x = rng.normal(size=(ROWS, 1))
    y = 0.8 * x[:, 0] - 0.3 + rng.normal(0, 0.9, CLUSTERS)[code] + rng.normal(0, 0.6, ROWS)
    return Batch(
        x=x.astype(np.float32),
        y=y.astype(np.float32),
        cluster=code[:, None].astype(np.int32),
        slopes=np.zeros((ROWS, 0), np.float32),
        sensitive=np.zeros((ROWS, 0), np.int32),
        weight=np.ones(ROWS, np.float32),
        offset=np.zeros(ROWS, np.float32),
    )


def half_normals(residual_sd: float, sd: float) -> float:
    """Log density of the two scales a priori, up to a constant."""
    return -(residual_sd**2 + sd**2) / 2


def exact(
    rows: Batch,
    points: int = 80,
    log_prior: Callable[[float, float], float] = half_normals,
    layer_scale: float = LAST_LAYER_SCALE,
) -> Moments:
    """Integrate over the scales on a grid of their logarithms."""
    design = np.column_stack([rows.x, np.ones(ROWS), np.eye(CLUSTERS)[rows.cluster[:, 0]]])
    y = np.asarray(rows.y, np.float64)
    inside, outside = np.log(0.25), np.log(1.6)
    sigma, tau = np.meshgrid(
        np.exp(np.linspace(inside, outside, points)),
        np.exp(np.linspace(np.log(0.01), np.log(6), points)),
        indexing="ij",
    )
    log_density, first, second = [], [], []
    for s, t in zip(sigma.ravel(), tau.ravel(), strict=True):
        prior = np.r_[np.full(2, layer_scale**2), np.full(CLUSTERS, t**2)]
        precision = design.T @ design / s**2 + np.diag(1 / prior)
        covariance = np.linalg.inv(precision)
        mean = covariance @ design.T @ y / s**2
        fit = y @ y / s**2 - mean @ precision @ mean
        volume = 2 * ROWS * np.log(s) + np.log(prior).sum() + np.linalg.slogdet(precision)[1]
        own = log_prior(s, t) + np.log(s) + np.log(t)  # of the logarithms
        log_density.append(-0.5 * (fit + volume) + own)
        inner = np.r_[s, t, mean]
        first.append(inner)
        second.append(inner**2 + np.r_[0, 0, np.diag(covariance)])
    share = np.exp(np.array(log_density) - np.max(log_density))
    share /= share.sum()
    mean = share @ np.array(first)
    return Moments(mean, np.sqrt(share @ np.array(second) - mean**2))


def found(draws: dict[str, np.ndarray]) -> Moments:
    """Return the moments of draws (draws, ...), in the order of `exact`."""
    number = len(draws["residual_sd"])
    parts = [np.asarray(draws[name]).reshape(number, -1) for name in (
        "residual_sd", "g_intercept_sd", "output_weight", "output_bias", "g_intercept",
    )]  # fmt: skip
    flat = np.concatenate(parts, axis=1).astype(np.float64)
    return Moments(flat.mean(axis=0), flat.std(axis=0))


def fit_one_way(rows: Batch):
    """Return the fitted second stage."""
    scaled, bare = second_stage_inputs(rows, OBJECTIVE)
    return fit_block(LAYOUT, START, NETWORK, scaled, bare)
