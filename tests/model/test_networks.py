import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pyfairme.model.networks import Layer, mlp_apply, mlp_init, reverse_gradient, scale_gradient


def test_mlp_equals_matrix_products():
    rng = np.random.default_rng(0)
    layers = tuple(
        Layer(jnp.asarray(rng.normal(size=s), jnp.float32), jnp.asarray(rng.normal(size=s[1])))
        for s in ((4, 3), (3, 2))
    )
    x = rng.normal(size=(7, 4)).astype(np.float32)
    output, hidden = mlp_apply(layers, jnp.asarray(x))
    first = np.maximum(x @ layers[0].weight + layers[0].bias, 0)
    np.testing.assert_allclose(hidden[0], first, rtol=1e-5)
    np.testing.assert_allclose(output, first @ layers[1].weight + layers[1].bias, rtol=1e-5)


def test_init_sizes_and_scales():
    layers = mlp_init(jax.random.key(0), (400, 300, 1))
    assert [layer.weight.shape for layer in layers] == [(400, 300), (300, 1)]
    assert float(layers[0].weight.std()) == pytest.approx((2 / 400) ** 0.5, rel=0.02)
    assert float(jnp.abs(layers[1].weight).max()) < 0.1
    assert not any(layer.bias.any() for layer in layers)


@pytest.mark.parametrize("inputs", [0, 3])
def test_a_linear_model_starts_at_zero(inputs):
    layers = mlp_init(jax.random.key(0), (inputs, 1))
    output, hidden = mlp_apply(layers, jnp.ones((5, inputs)))
    assert hidden == ()
    np.testing.assert_array_equal(output, np.zeros((5, 1)))


@pytest.mark.parametrize(("operator", "sign"), [(reverse_gradient, -1.0), (scale_gradient, 1.0)])
@pytest.mark.parametrize("strength", [0.0, 0.3, 2.0])
def test_gradient_operators(operator, sign, strength):
    x = jnp.array([0.5, -1.0, 2.0])

    def loss(values):
        return (operator(values, jnp.full(3, strength)) ** 2).sum()

    value, gradient = jax.value_and_grad(loss)(x)
    assert float(value) == float((x**2).sum())
    np.testing.assert_allclose(gradient, sign * strength * 2 * x, rtol=1e-6)


def test_strength_is_traced_and_broadcast_by_column():
    x = jnp.ones((4, 2))

    @jax.jit
    def gradient(strength):
        return jax.grad(lambda v: reverse_gradient(v, strength[None, :]).sum())(x)

    np.testing.assert_allclose(gradient(jnp.array([1.0, 3.0])), np.tile([-1.0, -3.0], (4, 1)))
    np.testing.assert_allclose(gradient(jnp.array([0.0, 2.0])), np.tile([0.0, -2.0], (4, 1)))
    assert gradient._cache_size() == 1
