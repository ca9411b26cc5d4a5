"""Elimination cluster by cluster against dense algebra of D and u together."""

import numpy as np
import pytest

from pyfairme.inference.laplace.mixed_rows import (
    draw,
    link,
    order_rows,
    row_covariances,
    solve,
    sum_rows,
)

ROWS, CLUSTERS, FIXED = 30, 4, 5


def make(outputs):
    rng = np.random.default_rng(outputs)
    x, z = rng.normal(size=(ROWS, outputs, FIXED)), rng.normal(size=(ROWS, outputs, 2))
    root = rng.normal(size=(ROWS, outputs, outputs))
    base, pull = rng.normal(size=(2, ROWS, outputs))
    code = rng.integers(CLUSTERS - 1, size=ROWS)  # the last cluster has no row
    rows = order_rows(base, x, z, code, np.arange(ROWS), np.ones(ROWS), CLUSTERS)
    return rows, (root @ root.swapaxes(1, 2))[rows.y], pull[rows.y]


def dense_design(rows):
    whole = np.zeros((*rows.base.shape, FIXED + 2 * CLUSTERS))
    whole[..., :FIXED] = rows.x
    for row, code in enumerate(rows.code):
        whole[row, :, FIXED + 2 * code : FIXED + 2 * code + 2] = rows.z[row]
    return whole


def priors():
    return np.diag(np.arange(1.0, FIXED + 1)), np.array([[2.0, 0.5], [0.5, 1.0]])


@pytest.mark.parametrize("outputs", [1, 3])
def test_gaussian_is_that_of_dense_algebra(outputs):
    rows, w, pull = make(outputs)
    whole, (fixed, own) = dense_design(rows), priors()
    precision = np.einsum("nka,nkl,nlb->ab", whole, w, whole)
    precision[:FIXED, :FIXED] += fixed
    precision[FIXED:, FIXED:] += np.kron(np.eye(CLUSTERS), own)
    covariance = np.linalg.inv(precision)
    mean = covariance @ np.einsum("nka,nk->a", whole, pull)
    found = solve(sum_rows(rows, w, pull), fixed, own)
    np.testing.assert_allclose(found.dense, mean[:FIXED], rtol=1e-8)
    np.testing.assert_allclose(found.local.ravel(), mean[FIXED:], rtol=1e-8, atol=1e-12)
    assert found.half_log_det == pytest.approx(0.5 * np.linalg.slogdet(precision)[1])
    dense, local = found.covariances()
    np.testing.assert_allclose(dense, covariance[:FIXED, :FIXED], rtol=1e-8)
    for g in range(CLUSTERS):
        at = slice(FIXED + 2 * g, FIXED + 2 * g + 2)
        np.testing.assert_allclose(local[g], covariance[at, at], rtol=1e-8)
    expected = np.einsum("nka,ab,nlb->nkl", whole, covariance, whole)
    np.testing.assert_allclose(row_covariances(rows, found), expected, rtol=1e-4, atol=1e-5)
    eta = rows.base + np.einsum("nka,a->nk", whole, mean)
    np.testing.assert_allclose(link(rows, found.dense, found.local), eta, rtol=1e-8)


def test_draws_have_the_covariance():
    rows, w, pull = make(1)
    found = solve(sum_rows(rows, w, pull), *priors())
    rng = np.random.default_rng(0)
    number = 40_000
    noise = rng.normal(size=(number, FIXED)), rng.normal(size=(number, CLUSTERS, 2))
    dense, local = draw(found, *noise)
    whole = dense_design(rows)[:, 0]
    drawn = np.concatenate([dense, local.reshape(number, -1)], axis=1) @ whole.T
    expected = row_covariances(rows, found)[:, 0, 0]
    error = np.sqrt(2 / number)  # of a variance, relative
    np.testing.assert_allclose(drawn.var(axis=0), expected, rtol=5 * error)
    mean = link(rows, found.dense, found.local)[:, 0] - rows.base[:, 0]
    sd = np.sqrt(expected / number)
    assert np.all(np.abs(drawn.mean(axis=0) - mean) < 5 * sd)


def test_sums_scale_with_precision():
    rows, w, pull = make(1)
    for one, other in zip(
        sum_rows(rows, w, pull).times(3.0), sum_rows(rows, 3 * w, 3 * pull), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-10)
