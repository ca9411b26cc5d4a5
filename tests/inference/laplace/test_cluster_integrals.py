"""What Laplace's method lacks in the clusters' integrals, against sums over fine grids."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy.special import expit, logsumexp

from pyfairme.data import Batch
from pyfairme.inference.laplace.cluster_integrals import LaplaceError
from pyfairme.inference.laplace.laplace_evidence import LaplaceEvidence, Layout
from pyfairme.inference.laplace.mixed_design import lay_out
from pyfairme.model.effects import RandomEffects
from pyfairme.model.likelihoods import Bernoulli, Normal
from pyfairme.model.networks import mlp_init
from pyfairme.model.program import ModelSpec, Objective

CLUSTERS, EACH = 12, 4
GRID = np.linspace(-7, 7, 281)  # of effects in prior SDs


def make(likelihood, slopes, each=EACH):
    """Return the evidence of a linear model with as many rows in every cluster."""
    factor = RandomEffects("cluster", CLUSTERS, slopes=slopes, outputs=1)
    bare = ModelSpec(likelihood, 1, (), (factor,), fixed_loss=False)
    rng = np.random.default_rng(1)
    rows = CLUSTERS * each
    code = np.repeat(np.arange(CLUSTERS), each)
    x = rng.normal(size=(rows, 1)).astype(np.float32)
    eta = 1.5 * rng.normal(size=CLUSTERS)[code] + x[:, 0]
    batch = Batch(
        x=x,
        y=(rng.random(rows) < expit(eta)).astype(np.int32),
        cluster=code[:, None].astype(np.int32),
        slopes=x,
        sensitive=np.zeros((rows, 0), np.int32),
        weight=np.ones(rows, np.float32),
        offset=np.zeros(rows, np.float32),
    )
    layout = Layout(replace(bare, tangent=True), bare, 0)
    network = mlp_init(jax.random.key(0), bare.sizes)
    evidence = LaplaceEvidence(
        layout, lay_out(layout, network, batch, np.zeros((rows, 1, 0), np.float32)), Objective()
    )
    return evidence, evidence.maximise(np.full(len(layout.hypers), -0.3))


def by_hand(evidence, free, given):
    """Sum over a grid of whitened effects, minus Laplace's method at the grid's highest point."""
    rows, scales = evidence.rows, np.exp(free[-given.local.shape[1] :])
    width = len(scales)
    white = np.stack(np.meshgrid(*[GRID] * width, indexing="ij"), axis=-1).reshape(-1, width)
    fixed = rows.base[:, 0] + rows.x[:, 0] @ given.dense
    step, total = GRID[1] - GRID[0], 0.0
    for g in range(rows.clusters):
        some = slice(rows.starts[g], rows.starts[g + 1])
        eta = fixed[some] + (white * scales) @ rows.z[some, 0].T
        height = (rows.y[some] * eta - np.logaddexp(0, eta)).sum(axis=1)
        height -= 0.5 * (white**2).sum(axis=1)
        whole = logsumexp(height) + width * np.log(step) - 0.5 * width * np.log(2 * np.pi)
        best = height.argmax()
        p = expit(eta[best])
        z = rows.z[some, 0] * scales
        precision = np.eye(width) + (z * (p * (1 - p))[:, None]).T @ z
        total += whole - (height[best] - 0.5 * np.linalg.slogdet(precision)[1])
    return total


@pytest.mark.long
@pytest.mark.parametrize("slopes", [(), (0,)])
def test_it_is_the_integrals_minus_laplace_s(slopes):
    evidence, found = make(Bernoulli(), slopes)
    around = evidence.around(found)
    free = np.stack([found.free, found.free + 0.5, found.free - 0.4])
    given = [around(one)[1] for one in free]
    lack = LaplaceError(evidence, found, 100)
    assert lack.needed
    expected = [by_hand(evidence, *pair) for pair in zip(free, given, strict=True)]
    assert max(expected) > 0.1  # it is not nothing
    # seven nodes miss a tenth of it at the widest scales
    np.testing.assert_allclose(lack(free, given), expected, rtol=0.12, atol=0.01)


def test_it_is_left_out_where_it_is_nothing_or_dear():
    for likelihood, each, number in [(Normal(), EACH, 100), (Bernoulli(), 80, 100)]:
        evidence, found = make(likelihood, (), each)
        assert not LaplaceError(evidence, found, number).needed
    evidence, found = make(Bernoulli(), ())
    lack = LaplaceError(evidence, found, 10**7)
    assert not lack.needed
    assert lack(found.free[None], [evidence.around(found)(found.free)[1]]) == pytest.approx([0.0])
