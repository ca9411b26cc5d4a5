"""The basis of directions against the whole Jacobian."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pyfairme.inference.laplace import tangent_basis
from pyfairme.inference.laplace.tangent_basis import (
    find_basis,
    jacobian,
    kernel,
    tangents,
    variances,
)
from pyfairme.model import tangent
from pyfairme.model.networks import Layer, mlp_init


def make(outputs=1, rows=40):
    layers = mlp_init(jax.random.key(0), (3, 6, 5, outputs))
    network = tuple(Layer(5 * one.weight, one.bias + 0.1) for one in layers)
    x = np.random.default_rng(0).normal(size=(rows, 3)).astype(np.float32)
    return network, jnp.asarray(x)


def whole_jacobian(network, x):
    both = [network, tangent.untrained(tangent.widths(network))]
    parts = []
    for layers in both:
        own = np.asarray(tangent.features(layers, x), np.float64)
        parts.append(own / np.sqrt((own**2).sum(axis=2).mean()))
    return np.concatenate(parts, axis=2).reshape(-1, tangent.weight_count(tangent.widths(network)))


@pytest.mark.parametrize("outputs", [1, 2])
def test_kernel_is_that_of_the_jacobian(outputs):
    network, x = make(outputs)
    expected = whole_jacobian(network, x)
    found, _ = tangents(network, x)
    rows = np.array([0, 7, 2])
    np.testing.assert_allclose(jacobian(found, rows), expected[rows], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(
        kernel(found, rows), expected @ expected[rows].T, rtol=1e-3, atol=1e-4
    )
    np.testing.assert_allclose(variances(found), (expected**2).sum(axis=1), rtol=1e-4)
    assert variances(found).mean() == pytest.approx(2.0, rel=1e-5)


@pytest.mark.parametrize("outputs", [1, 2])
def test_features_are_the_jacobian_in_orthonormal_directions(outputs):
    network, x = make(outputs)
    basis = find_basis(network, x, 0)
    unit = basis.weights @ basis.weights.T
    np.testing.assert_allclose(unit, np.eye(len(unit)), atol=0.02)
    expected = whole_jacobian(network, x)
    flat = basis.features.reshape(len(expected), -1)
    np.testing.assert_allclose(flat, expected @ basis.weights.T, atol=5e-3)
    whole = (expected**2).sum()
    assert basis.left == pytest.approx(1 - (flat**2).sum() / whole, abs=1e-4)
    assert basis.left <= tangent_basis.LEFT


def test_of_what_rows_span_the_largest_directions_are_kept(monkeypatch):
    network, x = make(rows=60)
    monkeypatch.setattr(tangent_basis, "MOST_KEPT", 10)
    basis = find_basis(network, x, 0)
    values = np.linalg.svd(whole_jacobian(network, x), compute_uv=False) ** 2
    assert basis.weights.shape[0] == 10
    assert basis.left == pytest.approx(values[10:].sum() / values.sum(), rel=0.05)


def test_unscaled_weights_are_those_of_the_networks():
    network, x = make()
    basis = find_basis(network, x, 0)
    drawn = np.random.default_rng(1).normal(size=(1, basis.weights.shape[1])).astype(np.float32)
    expected = whole_jacobian(network, x) @ drawn[0]
    weights = basis.unscaled(drawn.copy())[0]
    linear = np.zeros((4, 1), np.float32)
    values = {tangent.WEIGHTS: jnp.asarray(weights), tangent.LINEAR: jnp.asarray(linear)}
    found = tangent.link(network, values, x)
    np.testing.assert_allclose(np.asarray(found)[:, 0], expected, rtol=1e-3, atol=1e-4)


def test_a_dead_network_has_only_its_constant():
    network, x = make()
    dead = tuple(Layer(0 * one.weight, 0 * one.bias) for one in network)
    basis = find_basis(dead, x, 0)
    assert np.isfinite(basis.features).all()
    assert np.isfinite(basis.weights).all()
