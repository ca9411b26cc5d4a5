"""The network linearised at its trained weights: a linear model of its tangent features.

With J(x) the Jacobian of the trained network's output in all of its weights, and J'(x) that of a
network of the same shape that was never trained, the fixed part is

    fixed = J(x) w + J'(x) w' + x . b + c + offset
    w ~ Normal(0, s_1),  w' ~ Normal(0, s_2),  b ~ Normal(0, s_3),  c ~ Normal(0, 10)
    s_1 / g_1, s_2 / g_2 ~ HalfNormal(2 s),  s_3 ~ HalfNormal(s)

or priors of a user's own, with s the scale of the likelihood's effects. The gains g are those with
which J(x) w and J'(x) w' have the variance (s_1 / g_1)^2 and (s_2 / g_2)^2 at the mean row, so that
these are the standard deviations of what the two networks add; `tangent_posterior`, which finds
the posterior, has one of both. Without a hidden layer there is only x . b + c.

The trained network is one of these functions: its last layer is among w. Their posterior is the
linearised Laplace approximation with the mode of the linear model (Khan et al. 2019; Immer, Korzepa
& Bauer 2021; Antoran et al. 2022). The features of the trained network alone are those that it
chose by the same rows: with them the linear model is too sure of itself; features that saw no row
hold what training did not look for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import constraints

from pyfairme.model.likelihoods import Latent
from pyfairme.model.networks import Layer, mlp_apply

WEIGHTS, LINEAR, SCALES = "tangent_weights", "tangent_linear", "tangent_sd"
OWN_SCALES = WEIGHT_SD, LINEAR_SD = "weight_sd", "linear_sd"  # scales, divided by their gains
WEIGHT_PRIOR = 2.0  # times the likelihood's scale of effects: scale of the first one's HalfNormal
CONSTANT_SD = 10.0
LEAST_GAIN = 1e-12  # of a network whose output does not depend on its weights
BLOCK_ROWS = 1024  # rows whose features are held at once


def weight_count(sizes: tuple[int, ...]) -> int:
    """Return how many weights and biases the two networks have; none without a hidden layer."""
    if len(sizes) < 3:
        return 0
    return 2 * sum((inputs + 1) * outputs for inputs, outputs in pairwise(sizes))


def latents(sizes: tuple[int, ...]) -> tuple[Latent, ...]:
    """List the scales, the networks' weights and the linear part."""
    hidden = len(sizes) > 2
    found = [Latent(SCALES, (3 if hidden else 1,), True, 0.1)]
    if hidden:
        found.append(Latent(WEIGHTS, (weight_count(sizes),), False, 0.0))
    found.append(Latent(LINEAR, (sizes[0] + 1, sizes[-1]), False, 0.0))
    return tuple(found)


def scale_prior(name: str, effect_scale: float) -> dist.Distribution:
    """Return the default prior of the scale ``name``, in units of what it adds to the link."""
    return dist.HalfNormal(WEIGHT_PRIOR * effect_scale if name == WEIGHT_SD else effect_scale)


class ScalePriors(dist.Distribution):
    """Independent scales, each with a prior of its own, times a gain.

    Parameters
    ----------
    parts
        The scales' priors, one number each.
    gains
        What their draws are multiplied by.
    """

    support = constraints.independent(constraints.positive, 1)  # type: ignore[assignment]

    def __init__(self, parts: Sequence[dist.Distribution], gains: Sequence[Array | float]) -> None:
        self.parts = tuple(parts)
        self.gains = tuple(jnp.maximum(jnp.asarray(gain), LEAST_GAIN) for gain in gains)
        super().__init__((), (len(self.parts),))

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw scales (*sample_shape, parts)."""
        keys = jax.random.split(key, len(self.parts))
        each = zip(keys, self.parts, self.gains, strict=True)
        return jnp.stack([gain * part.sample(own, sample_shape) for own, part, gain in each], -1)

    def log_prob(self, value: Array) -> Array:
        """Return the log density of scales (..., parts)."""
        each = zip(jnp.moveaxis(value, -1, 0), self.parts, self.gains, strict=True)
        terms = [part.log_prob(own / gain) - jnp.log(gain) for own, part, gain in each]
        return jnp.stack(terms).sum(axis=0)


def sample(
    sizes: tuple[int, ...],
    priors: Mapping[str, dist.Distribution],
    gains: tuple[Array | float, Array | float],
) -> dict[str, Any]:
    """Draw the scales and the weights from the prior, as NumPyro sites.

    ``priors`` are those of `WEIGHT_SD` and `LINEAR_SD`.
    """
    hidden = len(sizes) > 2
    parts, times = [priors[LINEAR_SD]], [1.0]
    if hidden:
        parts, times = [priors[WEIGHT_SD]] * 2 + parts, [*gains, *times]
    scales: Any = numpyro.sample(SCALES, ScalePriors(parts, times))
    drawn = {SCALES: scales}
    if hidden:
        each = jnp.repeat(scales[:2], weight_count(sizes) // 2)
        drawn[WEIGHTS] = numpyro.sample(WEIGHTS, dist.Normal(0.0, each).to_event())
    slopes = jnp.full((sizes[0], sizes[-1]), scales[-1])
    every = jnp.concatenate([slopes, jnp.full((1, sizes[-1]), CONSTANT_SD)])
    drawn[LINEAR] = numpyro.sample(LINEAR, dist.Normal(0.0, every).to_event())
    return drawn


@cache
def untrained(sizes: tuple[int, ...]) -> tuple[Layer, ...]:
    """Return a network of these widths by He's rule, with biases: the same one always.

    NumPy promises that `RandomState` never changes, so that it is stored nowhere.
    """
    numbers = np.random.RandomState(0)
    layers = []
    for inputs, outputs in pairwise(sizes):
        scale = np.sqrt(2.0 / max(1, inputs))
        weight = scale * numbers.standard_normal((inputs, outputs))
        layers.append(Layer(np.float32(weight), np.zeros(outputs, np.float32)))  # type: ignore[arg-type]
    return tuple(layers)


def sensitivities(
    layers: tuple[Layer, ...], x: Float[Array, "n p"]
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Return every layer's inputs (n, width), and d output / d its sums (n, K, width)."""
    _, hidden = mlp_apply(layers, x)
    outputs = layers[-1].bias.shape[0]
    now = jnp.broadcast_to(jnp.eye(outputs), (x.shape[0], outputs, outputs))
    found = [now]
    for layer, active in zip(layers[:0:-1], hidden[::-1], strict=True):
        now = jnp.einsum("nko,io->nki", now, layer.weight) * (active > 0)[:, None, :]
        found.append(now)
    return (x, *hidden), tuple(found[::-1])


def features(layers: tuple[Layer, ...], x: Float[Array, "n p"]) -> Float[Array, "n k _"]:
    """Return the Jacobian of the output in all weights, layer by layer, weights before biases."""
    n, outputs = x.shape[0], layers[-1].bias.shape[0]
    parts = []
    for inputs, slope in zip(*sensitivities(layers, x), strict=True):
        parts.append(jnp.einsum("ni,nko->nkio", inputs, slope).reshape(n, outputs, -1))
        parts.append(slope)
    return jnp.concatenate(parts, axis=-1)


def widths(layers: tuple[Layer, ...]) -> tuple[int, ...]:
    """Return the widths of a network: inputs, hidden layers, outputs."""
    return (layers[0].weight.shape[0], *(layer.bias.shape[0] for layer in layers))


def link(
    layers: tuple[Layer, ...], values: Mapping[str, Array], x: Float[Array, "n p"]
) -> Float[Array, "n k"]:
    """Return J(x) w + J'(x) w' + x . b + c, a block of rows at a time."""
    linear = values[LINEAR]
    total = x @ linear[:-1] + linear[-1]
    if WEIGHTS not in values:
        return total
    other = jax.tree.map(jnp.asarray, untrained(widths(layers)))

    def some(rows: Array) -> Array:
        both = [features(one, rows) for one in (layers, other)]
        return jnp.concatenate(both, axis=-1) @ values[WEIGHTS]

    n = x.shape[0]
    if n <= BLOCK_ROWS:
        return total + some(x)
    blocks = -(-n // BLOCK_ROWS)
    padded = jnp.pad(x, ((0, blocks * BLOCK_ROWS - n), (0, 0)))
    each = jax.lax.map(some, padded.reshape(blocks, BLOCK_ROWS, x.shape[1]))
    return total + each.reshape(-1, total.shape[1])[:n]
