"""Numbers eliminated as a diagonal give the Gaussian of the algebra that does not turn them."""

import numpy as np
import pytest

from pyfairme.inference.laplace.mixed_rows import order_rows, solve, sum_rows
from pyfairme.inference.laplace.rotated_sums import rotate, rotation_pays

ROWS, CLUSTERS, FIRST, REST = 40, 5, 7, 3
PRECISION, RATIO = 1.7, 0.6


@pytest.fixture(scope="module")
def sums():
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(ROWS, 1, FIRST + REST)), rng.normal(size=(ROWS, 1, 2))
    x[:, :, 1] = x[:, :, 0]  # rows cannot tell these apart
    code = rng.integers(CLUSTERS - 1, size=ROWS)  # the last cluster has no row
    base, pull = rng.normal(size=(2, ROWS, 1))
    rows = order_rows(base, x, None, z, code, np.zeros(ROWS), np.ones(ROWS), CLUSTERS)
    return sum_rows(rows, rng.random((ROWS, 1, 1)), pull)


def both(sums):
    rest, own = np.diag([1.0, 2.0, 3.0]), np.array([[2.0, 0.5], [0.5, 1.0]])
    prior = np.diag([*[PRECISION] * FIRST, *np.diagonal(rest)])
    whole = solve(sums.times(RATIO), prior, own)
    return whole, rotate(sums, FIRST).solve(RATIO, PRECISION, rest, own)


def test_gaussian_is_the_same(sums):
    whole, found = both(sums)
    np.testing.assert_allclose(found.dense, whole.dense, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.local, whole.local, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.local_factor, whole.local_factor, rtol=1e-8)
    assert found.half_log_det == pytest.approx(whole.half_log_det, rel=1e-10)


def test_draws_have_the_same_covariance(sums):
    """Draws are linear in their noise: unit vectors show the whole covariance."""
    size = FIRST + REST
    unit = np.eye(size + 2 * CLUSTERS)
    noise = unit[:, :size], unit[:, size:].reshape(len(unit), CLUSTERS, 2)
    covariances = []
    for one in both(sums):
        dense, local = one.draw(*noise)
        away = np.concatenate([dense - one.dense, (local - one.local).reshape(len(unit), -1)], 1)
        covariances.append(away.T @ away)
    np.testing.assert_allclose(*covariances, rtol=1e-7, atol=1e-10)


def test_rotation_pays_where_the_first_are_many(sums):
    many = sums._replace(
        dense=np.zeros((300, 300)), cross=sums.cross._replace(full=np.zeros((5, 2, 300)))
    )
    assert rotation_pays(many, 290)
    assert not rotation_pays(many, 0)
    effects = many._replace(cross=sums.cross._replace(full=np.zeros((1000, 2, 300))))
    assert not rotation_pays(effects, 290)
