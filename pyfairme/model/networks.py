"""Pure-JAX multilayer perceptrons and the two gradient operators that adversaries need."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

NEVER = -1e9  # the logit of a class that does not exist: its probability is exactly 0


class Layer(NamedTuple):
    """Weights (inputs, outputs) and biases (outputs,) of one dense layer."""

    weight: Float[Array, "inputs outputs"]
    bias: Float[Array, " outputs"]


def mlp_init(
    key: Key[Array, ""], sizes: Sequence[int], existing: Array | float | None = None
) -> tuple[Layer, ...]:
    """Draw the layers of a perceptron with ``sizes = (inputs, *hidden, outputs)``.

    Hidden layers are drawn by He's rule; the output layer a hundred times narrower, so that a fit
    starts from a near-constant prediction. A linear model (no hidden layer) starts at zero.
    ``existing`` says how many outputs there are, None for all: those have the weights that a layer
    of so many outputs has, the others 0.
    """
    keys = jax.random.split(key, max(1, len(sizes) - 1))
    layers = []
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        last = index == len(sizes) - 2
        gain = (0.1 if len(sizes) > 2 else 0.0) if last else 1.0
        scale = gain * (2.0 / max(1, inputs)) ** 0.5
        drawn = jax.random.normal(keys[index], (inputs * outputs,)).reshape(inputs, outputs)
        if last and existing is not None:
            place, column = jnp.arange(inputs)[:, None], jnp.arange(outputs)
            there = (place * jnp.asarray(existing, jnp.int32) + column).clip(0, drawn.size - 1)
            drawn = jnp.where(column < existing, drawn.ravel()[there], 0.0)
        weight = scale * drawn
        layers.append(Layer(weight, jnp.zeros(outputs)))
    return tuple(layers)


def mlp_apply(
    layers: tuple[Layer, ...], x: Float[Array, "n p"]
) -> tuple[Float[Array, "n k"], tuple[Float[Array, "n _"], ...]]:
    """Return the output (n, k) and the activations of every hidden layer, each (n, width)."""
    hidden = []
    for layer in layers[:-1]:
        x = jax.nn.relu(x @ layer.weight + layer.bias)
        hidden.append(x)
    return x @ layers[-1].weight + layers[-1].bias, tuple(hidden)


@jax.custom_vjp
def scale_gradient(x: Array, strength: Array) -> Array:
    """Return ``x`` unchanged; multiply the gradient that flows back through it by ``strength``."""
    del strength
    return x


def _forward(x: Array, strength: Array) -> tuple[Array, Array]:
    return x, strength


def _backward(strength: Array, cotangent: Array) -> tuple[Array, Array]:
    return strength * cotangent, jnp.zeros_like(strength)


scale_gradient.defvjp(_forward, _backward)


def reverse_gradient(x: Array, strength: Array) -> Array:
    """Return ``x`` unchanged; reverse the gradient and multiply it by ``strength``.

    What stands behind the reversal (the adversary) learns at full strength, what stands before it
    ascends the adversary's loss with weight ``strength`` (Ganin et al. 2016). ``strength`` is
    traced and must broadcast to the shape of ``x``.
    """
    return scale_gradient(x, -strength)
