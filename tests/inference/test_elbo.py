"""Our loss against NumPyro's own, from the same key."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpyro.infer import SVI, Trace_ELBO, TraceMeanField_ELBO

from pyfairme.inference.compiled_steps import engine
from pyfairme.inference.elbo import negative_elbo
from pyfairme.inference.guides import GUIDES
from pyfairme.model.effects import RandomEffects
from pyfairme.model.likelihoods import Bernoulli, Normal
from pyfairme.model.program import ModelSpec, build
from tests.inference.test_svi import FAIR, make_rows, make_weights

LAST = ModelSpec(Bernoulli(), 3, (8,), (RandomEffects("g", 4),), last_layer=True)
SLOPES = ModelSpec(Normal(), 3, (), (RandomEffects("g", 4, slopes=(0, 1)), RandomEffects("h", 4)))


@pytest.mark.parametrize(
    ("spec", "guide_name", "their"),
    [
        (FAIR, "mean_field", TraceMeanField_ELBO),
        (LAST, "mean_field", TraceMeanField_ELBO),
        (SLOPES, "mean_field", TraceMeanField_ELBO),
        (SLOPES, "full_rank", Trace_ELBO),
    ],
)
def test_terms_and_gradients_are_those_of_numpyro(spec, guide_name, their):
    """Closed forms where NumPyro has them, the same draw elsewhere: equal site by site."""
    rows = make_rows(60)
    rng = np.random.default_rng(0)
    rows = rows._replace(slopes=rng.normal(size=(60, 2)).astype(np.float32))
    if spec is SLOPES:
        rows = rows._replace(y=rng.normal(size=60).astype(np.float32))
    rows = jax.tree.map(jnp.asarray, rows)
    weights = make_weights(spec)._replace(rows=60.0, batch_rows=60.0, kl=0.7)
    weights = jax.tree.map(jnp.asarray, weights)
    program, guide = build(spec), GUIDES[guide_name](spec.latents)
    svi = SVI(program.model, guide.sample, optax.identity(), their(sum_sites=False))
    state = jax.jit(svi.init)(jax.random.key(1), rows, weights)
    key = jax.random.key(2)
    constrain = svi.constrain_fn
    assert constrain is not None

    def theirs(params):
        return svi.loss.loss(key, constrain(params), program.model, guide.sample, rows, weights)

    def ours(params):
        return negative_elbo(program, guide, constrain(params), key, rows, weights)

    params = svi.optim.get_params(state.optim_state)
    found, expected = (
        jax.jit(jax.grad(lambda p, f=f: (sum(f(p).values()), f(p)), has_aux=True))(params)
        for f in (ours, theirs)
    )
    assert set(found[1]) == set(expected[1])
    for name, value in expected[1].items():
        np.testing.assert_allclose(found[1][name], value, rtol=1e-4, atol=1e-6, err_msg=name)
    for one, other in zip(*map(jax.tree.leaves, (found[0], expected[0])), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_the_kl_of_normals_is_the_closed_form():
    """No noise in it: whatever the draw, the KL of the weights is that of two Normals."""
    rows = make_rows(30)._replace(y=np.zeros(30, np.float32))
    rows = jax.tree.map(jnp.asarray, rows)
    spec = ModelSpec(Normal(), 3, (), (), last_layer=True)
    weights = make_weights(spec)._replace(rows=30.0, batch_rows=30.0)
    machine = engine(spec, "mean_field")
    state = machine.init(jax.random.key(0), rows, weights)
    params = machine.constrain(state.params)
    terms = [
        negative_elbo(machine.program, machine.guide, params, jax.random.key(k), rows, weights)
        for k in (0, 1)
    ]
    loc, scale, prior = 0.0, 0.1, 2.5
    kl = np.log(prior / scale) + (scale**2 + loc**2) / (2 * prior**2) - 0.5
    for one in terms:
        assert float(one["output_weight"]) == pytest.approx(3 * kl / 30, rel=1e-5)
    assert float(terms[0]["y"]) != float(terms[1]["y"])
