"""The loss of training: each site's term of NumPyro's ELBO, the KL in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.infer import Trace_ELBO, TraceMeanField_ELBO

from pyfairme.inference.compiled_steps import Pace, engine
from pyfairme.inference.elbo import negative_elbo
from pyfairme.model.effects import RandomEffects
from pyfairme.model.likelihoods import Bernoulli, Normal
from pyfairme.model.program import ModelSpec, totals_of
from tests.inference.test_svi import FAIR, make_objective, make_rows

LAST = ModelSpec(Bernoulli(), 3, (8,), (RandomEffects("g", 4),), last_layer=True)
SLOPES = ModelSpec(Normal(), 3, (), (RandomEffects("g", 4, slopes=(0, 1)), RandomEffects("h", 4)))


def first_loss(spec, guide_name, rows, objective, seed):
    """Return the history of one step at the start, the parameters there, and the step's key."""
    machine = engine(spec, guide_name)
    state = machine.init(jax.random.key(0), rows, objective)._replace(key=jax.random.key(seed))
    everyone = jnp.arange(len(rows.y))[None]
    _, terms = machine.run(state, everyone, rows, objective, totals_of(rows), Pace(0.01, 10.0, 0.0))
    chunk_key = jax.random.split(state.key)[1]
    return terms, machine.constrain(state.params), jax.random.split(chunk_key, 1)[0]


@pytest.mark.long
@pytest.mark.parametrize(
    ("spec", "guide_name", "their"),
    [
        (FAIR, "mean_field", TraceMeanField_ELBO),
        (LAST, "mean_field", TraceMeanField_ELBO),
        (SLOPES, "mean_field", TraceMeanField_ELBO),
        (SLOPES, "full_rank", Trace_ELBO),
    ],
)
def test_a_step_has_the_loss_of_numpyro(spec, guide_name, their):
    """Closed forms where NumPyro has them, the same draw elsewhere: the sum of all terms."""
    rows = make_rows(60)
    rng = np.random.default_rng(0)
    rows = rows._replace(slopes=rng.normal(size=(60, 2)).astype(np.float32))
    if spec is SLOPES:
        rows = rows._replace(y=rng.normal(size=60).astype(np.float32))
    rows = jax.tree.map(jnp.asarray, rows)
    objective = jax.tree.map(jnp.asarray, make_objective(spec)._replace(kl=0.7))
    terms, params, key = first_loss(spec, guide_name, rows, objective, 2)
    machine = engine(spec, guide_name)
    model, guide = machine.program.model, machine.guide.sample
    inputs = (rows, objective, None, 0.0)  # the first step of a warm-up
    expected = jax.jit(lambda p: their().loss(key, p, model, guide, *inputs))(params)
    assert float(sum(terms.values())) == pytest.approx(float(expected), rel=1e-4)


def test_each_site_has_the_term_of_numpyro():
    """And its gradient: a closed form where NumPyro has one, the same draw elsewhere."""
    rows = jax.tree.map(jnp.asarray, make_rows(60))
    objective = jax.tree.map(jnp.asarray, make_objective(LAST)._replace(kl=0.7))
    machine = engine(LAST, "mean_field")
    program, guide, key = machine.program, machine.guide, jax.random.key(2)
    params = machine.constrain(machine.init(jax.random.key(0), rows, objective).params)
    inputs = (rows, objective, None, 0.5)

    def theirs(p):
        elbo = TraceMeanField_ELBO(sum_sites=False)
        return elbo.loss(key, p, program.model, guide.sample, *inputs)

    def ours(p):
        return negative_elbo(program, guide, p, key, *inputs)

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
    rows = jax.tree.map(jnp.asarray, make_rows(30))
    spec = ModelSpec(Bernoulli(), 3, (), (), last_layer=True)
    objective = make_objective(spec)
    one, other = (first_loss(spec, "mean_field", rows, objective, k)[0] for k in (0, 1))
    loc, scale, prior = 0.0, 0.1, 2.5
    kl = np.log(prior / scale) + (scale**2 + loc**2) / (2 * prior**2) - 0.5
    for terms in (one, other):  # of three weights and a bias
        assert float(terms["kl"]) == pytest.approx(4 * kl / 30, rel=1e-5)
    assert float(one["mixed"]) != float(other["mixed"])
