"""Elimination cluster by cluster against dense algebra of D and u together."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from pyfairme.inference.laplace import mixed_rows
from pyfairme.inference.laplace.mixed_rows import (
    Coupling,
    link,
    order_rows,
    row_covariances,
    solve,
    sum_rows,
    times_rows,
)

ROWS, CLUSTERS, FIXED = 30, 4, 5
COLUMNS = {"columns": 5, "crossed": 0, "both": 2}  # of the five, which are not sparse


def make(outputs, columns=FIXED):
    rng = np.random.default_rng(outputs)
    x, z = rng.normal(size=(ROWS, outputs, FIXED)), rng.normal(size=(ROWS, outputs, 2))
    root = rng.normal(size=(ROWS, outputs, outputs))
    base, pull = rng.normal(size=(2, ROWS, outputs))
    code = rng.integers(CLUSTERS - 1, size=ROWS)  # the last cluster has no row
    x[:, :, columns:] *= rng.random(size=(ROWS, outputs, FIXED - columns)) < 0.5
    crossed = csr_array(x[:, :, columns:].reshape(ROWS * outputs, FIXED - columns))
    own = (base, x[:, :, :columns], crossed if columns < FIXED else None, z, code)
    rows = order_rows(*own, np.arange(ROWS), np.ones(ROWS), CLUSTERS)
    return rows, (root @ root.swapaxes(1, 2))[rows.y], pull[rows.y]


def dense_design(rows):
    whole = np.zeros((*rows.base.shape, FIXED + 2 * CLUSTERS))
    columns = rows.x.shape[2]
    whole[..., :columns] = rows.x
    whole[..., columns:FIXED] = rows.crossed.toarray().reshape(whole[..., columns:FIXED].shape)
    for row, code in enumerate(rows.code):
        whole[row, :, FIXED + 2 * code : FIXED + 2 * code + 2] = rows.z[row]
    return whole


def priors():
    return np.diag(np.arange(1.0, FIXED + 1)), np.array([[2.0, 0.5], [0.5, 1.0]])


@pytest.mark.parametrize("columns", COLUMNS.values(), ids=COLUMNS)
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("held", [2e7, 1], ids=["at once", "in pieces"])
def test_gaussian_is_that_of_dense_algebra(outputs, columns, held, monkeypatch):
    monkeypatch.setattr(mixed_rows, "CHUNK_NUMBERS", held)
    monkeypatch.setattr(mixed_rows, "SCATTERED", held)
    rows, w, pull = make(outputs, columns)
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
    root = found.root()
    local = found.local_covariances(root)
    np.testing.assert_allclose(root @ root.T, covariance[:FIXED, :FIXED], rtol=1e-8)
    for g in range(CLUSTERS):
        at = slice(FIXED + 2 * g, FIXED + 2 * g + 2)
        np.testing.assert_allclose(local[g], covariance[at, at], rtol=1e-8)
    expected = np.einsum("nka,ab,nlb->nkl", whole, covariance, whole)
    np.testing.assert_allclose(row_covariances(rows, found, root), expected, rtol=1e-4, atol=1e-5)
    eta = rows.base + np.einsum("nka,a->nk", whole, mean)
    np.testing.assert_allclose(link(rows, found.dense, found.local), eta, rtol=1e-8)
    times = np.concatenate([part.ravel() for part in found.times(*times_rows(rows, pull))])
    np.testing.assert_allclose(times, mean, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("columns", COLUMNS.values(), ids=COLUMNS)
def test_numbers_that_are_given_leave_the_precision_of_the_others(columns):
    rows, w, pull = make(1, columns)
    given = min(columns, 2)
    whole, (fixed, own) = dense_design(rows)[..., given:], priors()
    precision = np.einsum("nka,nkl,nlb->ab", whole, w, whole)
    left = FIXED - given
    precision[:left, :left] += fixed[given:, given:]
    precision[left:, left:] += np.kron(np.eye(CLUSTERS), own)
    found = solve(sum_rows(rows, w, pull).without(given), fixed[given:, given:], own)
    assert found.half_log_det == pytest.approx(0.5 * np.linalg.slogdet(precision)[1])


@pytest.mark.parametrize("columns", COLUMNS.values(), ids=COLUMNS)
def test_draws_have_the_covariance(columns):
    rows, w, pull = make(1, columns)
    found = solve(sum_rows(rows, w, pull), *priors())
    rng = np.random.default_rng(0)
    number = 40_000
    noise = rng.normal(size=(number, FIXED)), rng.normal(size=(number, CLUSTERS, 2))
    dense, local = found.draw(*noise)
    whole = dense_design(rows)[:, 0]
    drawn = np.concatenate([dense, local.reshape(number, -1)], axis=1) @ whole.T
    expected = row_covariances(rows, found, found.root())[:, 0, 0]
    error = np.sqrt(2 / number)  # of a variance, relative
    np.testing.assert_allclose(drawn.var(axis=0), expected, rtol=5 * error)
    mean = link(rows, found.dense, found.local)[:, 0] - rows.base[:, 0]
    sd = np.sqrt(expected / number)
    assert np.all(np.abs(drawn.mean(axis=0) - mean) < 5 * sd)


def test_sums_scale_with_precision():
    rows, w, pull = make(1)
    found = sum_rows(rows, w, pull).times(3.0), sum_rows(rows, 3 * w, 3 * pull)
    for one, other in zip(*(solve(sums, *priors()) for sums in found), strict=True):
        if not isinstance(one, Coupling):
            np.testing.assert_allclose(one, other, rtol=1e-10)
    for one, other in zip(found[0].cross.full, found[1].cross.full, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10)
