"""What penalties do to the effects: their gradient, and nothing else of the first stage."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pyfairme.inference.laplace.linear_predictor import LinearPredictor, join, part
from pyfairme.inference.laplace.penalty_gradient import pull_of_penalties
from pyfairme.model.networks import mlp_init
from pyfairme.model.penalties import AttributeCodes, penalties_of
from pyfairme.model.program import Objective, predictor
from tests.inference.laplace.test_linear_predictor import CASES, make_latents, make_rows


def penalised(name, penalty, strength):
    """A case of the layout with one attribute, and a penalty of the mixed prediction."""
    spec = replace(
        CASES[name], attributes=(AttributeCodes("s", 2),), penalties=penalties_of(penalty),
        views=("mixed",),
        criterion="demographic_parity", adversaries=(), fixed_loss=False,
    )  # fmt: skip
    rng = np.random.default_rng(7)
    batch = make_rows(spec)
    n = len(batch.weight)
    batch = batch._replace(sensitive=rng.integers(0, 2, (n, 1)).astype(np.int32))
    objective = Objective(
        kl=2.0,
        fairness={penalty: {"mixed": np.float32([strength])}}, balance=(np.ones(2, np.float32),),
    )  # fmt: skip
    network = mlp_init(jax.random.key(3), (2, *spec.hidden, 1))
    return spec, batch, objective, network


def pull(spec, batch, objective, network, batch_size):
    drawn = {name: np.stack([value] * 200) for name, value in make_latents(spec).items()}
    return pull_of_penalties(spec, {"network": network}, drawn, batch, objective, batch_size)


@pytest.mark.long
@pytest.mark.parametrize("name", ["crossed", "hidden slopes"])  # Normal, Bernoulli
def test_the_pull_is_the_gradient_of_the_penalty_alone(name):
    """- n / kl * strength * d gap / d effects, at draws that are all alike."""
    spec, batch, objective, network = penalised(name, "moment", 0.5)
    layout, latents = LinearPredictor(spec), make_latents(spec)
    effects = join(layout, latents)

    def gap(dense, local):
        mixed = predictor(spec, network, latents | part(layout, dense, local), batch).mixed
        values = spec.likelihood.bounded(mixed)[:, 0]
        share = batch.weight / batch.weight.sum()
        inside = jnp.stack([batch.sensitive[:, 0] == level for level in (0, 1)]) * share
        means = (inside @ values) / inside.sum(axis=1)
        return jnp.abs(means - share @ values).mean()

    expected = jax.jit(jax.grad(gap, argnums=(0, 1)))(*effects)
    found = pull(spec, batch, objective, network, len(batch.weight))
    scale = -0.5 * float(batch.weight.sum()) / 2.0
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, scale * other, rtol=1e-3, atol=1e-4 * abs(scale))
    assert np.abs(found[1]).max() > 0


def test_without_strength_there_is_no_pull_wherever_the_first_stage_ended():
    """The latents are nowhere near a mode: nothing but a penalty may hold them there."""
    for pulled in pull(*penalised("crossed", "moment", 0.0), 10_000):
        assert not np.asarray(pulled).any()


def test_the_pull_of_batches_is_that_of_the_mean_batch():
    """A gap near zero has one sign in all rows and either in batches: its pull there is weaker."""
    case = penalised("crossed", "moment", 1.0)
    whole, parts = pull(*case, 10_000)[1], pull(*case, 12)[1]
    assert np.abs(parts).sum() > 0
    assert np.linalg.norm(parts) < np.linalg.norm(whole)
