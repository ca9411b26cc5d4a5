"""The rows laid out for Gaussian elimination have the model's own links."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from pyfairme.inference.laplace import mixed_design
from pyfairme.inference.laplace.laplace_evidence import Layout
from pyfairme.inference.laplace.linear_predictor import LinearPredictor, join
from pyfairme.inference.laplace.mixed_design import lay_out
from pyfairme.inference.laplace.mixed_rows import link
from pyfairme.model.networks import Layer, mlp_init
from pyfairme.model.program import predictor
from tests.inference.laplace.test_linear_predictor import CASES, make_latents, make_rows


@pytest.mark.parametrize("few", [1e6, 0], ids=["columns", "sparse"])
@pytest.mark.parametrize("name", CASES)
def test_links_are_those_of_the_model(name, few, monkeypatch):
    monkeypatch.setattr(mixed_design, "FEW_NUMBERS", few)
    spec, batch = CASES[name], make_rows(CASES[name])
    network = mlp_init(jax.random.key(3), (2, *spec.hidden, spec.likelihood.outputs))
    rows = lay_out(Layout(spec, spec), network, batch)
    if len(spec.factors) > 1:
        assert (rows.crossed.shape[1] > 0) == (few == 0)
    latents = make_latents(spec)
    dense, local = (np.asarray(part) for part in join(LinearPredictor(spec), latents))
    order = np.argsort(rows.code, kind="stable")
    assert (order == np.arange(len(order))).all()
    expected = jax.jit(lambda: predictor(spec, network, latents, batch).mixed)()
    factor = LinearPredictor(spec).local
    own = np.zeros(len(order), int) if factor is None else batch.cluster[:, factor.column]
    place = np.argsort(own, kind="stable")
    np.testing.assert_allclose(link(rows, dense, local), expected[place], atol=1e-5)
    np.testing.assert_array_equal(rows.y, batch.y[place])


def test_what_is_given_is_added_to_the_network():
    spec = CASES["linear"]
    batch, latents = make_rows(spec), make_latents(spec)
    network = mlp_init(jax.random.key(3), (2, 1))
    rows = lay_out(Layout(spec, spec, given=True), network, batch)
    moved = np.array([0.3, -0.2, 0.1], np.float32)
    dense, local = (np.asarray(part) for part in join(LinearPredictor(spec), latents))
    changed = (Layer(network[0].weight + moved[:2, None], network[0].bias + moved[2:]),)
    found = link(rows, np.concatenate([moved, dense]), local)
    expected = jax.jit(lambda: predictor(spec, changed, latents, batch).mixed)()
    place = np.argsort(batch.cluster[:, LinearPredictor(spec).local.column], kind="stable")
    np.testing.assert_allclose(found, expected[place], atol=1e-5)


def test_a_tangent_model_has_the_offset_alone_as_base():
    spec = CASES["network"]
    batch = make_rows(spec)
    network = mlp_init(jax.random.key(3), (2, 4, 1))
    features = np.random.default_rng(0).normal(size=(len(batch.y), 1, 5))
    layout = Layout(replace(spec, tangent=True), spec, 5)
    rows = lay_out(layout, network, batch, features)
    place = np.argsort(batch.cluster[:, 0], kind="stable")
    np.testing.assert_allclose(rows.base[:, 0], batch.offset[place], atol=1e-6)
    np.testing.assert_allclose(rows.x[:, :, :5], features[place])
    np.testing.assert_allclose(rows.x[:, 0, 5:7], batch.x[place])
    assert (rows.x[:, 0, 7] == 1).all()
    assert rows.size == layout.fixed
