"""Disparities of links and of predictions: residuals of a real target are not bounded."""

import jax.numpy as jnp
import numpy as np
import pytest

from pyfairme.data import Batch
from pyfairme.inference.smooth_disparity import link_gaps, prediction_gaps
from pyfairme.model.likelihoods import Normal, StudentT
from pyfairme.model.penalties import AttributeCodes, penalties_of
from pyfairme.model.program import ModelSpec


def made(likelihood):
    """Rows of two groups whose residuals have unlike means, in one by a single outlier."""
    y = np.array([0.0, 1.0, 2.0, 1.0, 0.0, 25.0], np.float32)
    batch = Batch(
        x=np.zeros((6, 1), np.float32),
        y=y,
        cluster=np.zeros((6, 0), np.int32),
        slopes=np.zeros((6, 0), np.float32),
        sensitive=np.array([[0], [0], [0], [1], [1], [1]], np.int32),
        weight=np.ones(6, np.float32),
        offset=np.zeros(6, np.float32),
    )
    attributes = (AttributeCodes("s", 2),)
    spec = ModelSpec(likelihood, 1, (), (), (), attributes, penalties_of("moment"), ("mixed",))
    return spec, jnp.ones((6, 1)), batch


def test_gaps_of_links_are_those_of_mean_residuals():
    spec, eta, batch = made(Normal())
    residual = 1 - batch.y
    overall = residual.mean()
    by_hand = np.mean([abs(residual[:3].mean() - overall), abs(residual[3:].mean() - overall)])
    (found,) = link_gaps(spec, eta, batch)
    assert float(found) == pytest.approx(by_hand, rel=1e-6)
    of_predictions = prediction_gaps(spec, np.ones(6), batch, batch.weight[None])
    assert of_predictions[0, 0] == pytest.approx(float(found), rel=1e-6)


def test_of_students_t_an_outlier_does_not_rule():
    spec, eta, batch = made(StudentT())
    assert float(link_gaps(spec, eta, batch)[0]) < 1.0 < float(link_gaps(*made(Normal()))[0])
