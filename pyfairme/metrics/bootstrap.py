"""Bootstrap of rows or clusters, as sums of tables.

With fewer than 30 clusters, rows are resampled within strata of cluster x group x outcome (of
group x outcome, where fewer than five rows of a cluster share them): the intervals are conditional
on these clusters. From 30 up whole clusters are resampled, so that the
intervals also speak of clusters that were not drawn.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pyfairme.metrics.inputs import Codes, Floats
from pyfairme.metrics.table import Table, summing_matrix, totals

SMALL = 5  # rows of a stratum below which it joins those of the other clusters
MIN_CLUSTERS = 30  # fewer give too coarse a distribution when resampled as units
_BLOCK = 6_000_000  # numbers held at a time: about 50 MB
_WIDE_BLOCK = 4 * _BLOCK

Weights = NDArray[np.uint8]


class Design(NamedTuple):
    """What is resampled.

    Attributes
    ----------
    unit
        Shape ``(n,)``: codes of the strata within which rows are drawn, or of the clusters that
        are drawn as wholes.
    whole
        Whether units are drawn as wholes.
    """

    unit: Codes
    whole: bool


def resampling_design(cluster: Codes, *strata: Codes) -> Design:
    """Choose between stratified rows and whole clusters by the number of clusters.

    Parameters
    ----------
    cluster
        Shape ``(n,)``: code of each row's cluster.
    *strata
        Each of shape ``(n,)``: codes of group and, for binary outcomes, outcome.
    """
    if len(np.unique(cluster)) >= MIN_CLUSTERS:
        return Design(_joint_codes(cluster), whole=True)
    fine = _joint_codes(cluster, *strata)
    small = np.bincount(fine)[fine] < SMALL
    if not (small.any() and strata):
        return Design(fine, whole=False)
    # one or two rows drawn from themselves never vary: such rows are drawn across clusters
    coarse = _joint_codes(*strata) + int(fine.max()) + 1
    return Design(_joint_codes(np.where(small, coarse, fine)), whole=False)


def resample(
    tables: Sequence[Table], design: Design, rng: np.random.Generator, n_boot: int
) -> Iterator[list[Floats]]:
    """Yield replicates of the sums of several tables, in blocks that fit into memory.

    Tables that add up one 0/1 column and whose cells contain whole strata (decisions by group and
    outcome) need no rows: within a stratum of n rows with m ones, the ones in n draws with
    replacement are Binomial(n, m/n), exactly. All others share the same drawn rows.

    Parameters
    ----------
    tables
        Of the same n rows.
    design
        What is resampled.
    rng
        Source of randomness.
    n_boot
        Number of replicates.

    Yields
    ------
    list of Floats
        For each table, shape ``(block, *table.shape, k)``; blocks add up to ``n_boot``.
    """
    samplers = [_binomial_sampler(table, design) for table in tables]
    others = [table for table, sampler in zip(tables, samplers, strict=True) if sampler is None]
    matrices = [_unit_matrix(table, design) for table in others]
    for size in _block_sizes(tables, n_boot):
        weights = _draw_weights(design, rng, size) if others else np.empty((0, size))
        by_weight = iter(_weighted_sums(matrices, others, weights))
        yield [next(by_weight) if draw is None else draw(rng, size) for draw in samplers]


def draw_weights(design: Design, rng: np.random.Generator, n_boot: int) -> Weights:
    """Draw how often each row is taken in every replicate.

    For several models of the same rows: the same draws for all of them make their replicates pairs.

    Parameters
    ----------
    design
        What is resampled.
    rng
        Source of randomness.
    n_boot
        Number of replicates.

    Returns
    -------
    Weights
        Shape ``(n, n_boot)``. A byte holds them: a row is drawn about Poisson(1) times.

    Examples
    --------
    >>> design = resampling_design(np.array([0, 0, 1]))
    >>> weights = draw_weights(design, np.random.default_rng(0), 4)
    >>> weights[:2].sum(0).tolist(), weights[2].tolist()
    ([2, 2, 2, 2], [1, 1, 1, 1])
    """
    n = len(design.unit)
    weights = np.empty((n, n_boot), np.uint8)
    block = max(1, _BLOCK // n)
    for start in range(0, n_boot, block):
        drawn = _draw_weights(design, rng, min(block, n_boot - start))
        weights[:, start : start + block] = drawn[design.unit] if design.whole else drawn
    return weights


def reweighted(tables: Sequence[Table], weights: Weights) -> Iterator[list[Floats]]:
    """Yield the sums of several tables under given weights, in blocks that fit into memory.

    Parameters
    ----------
    tables
        Of the same n rows.
    weights
        Shape ``(n, n_boot)``, see `draw_weights`.

    Yields
    ------
    list of Floats
        For each table, shape ``(block, *table.shape, k)``; blocks add up to ``n_boot``.
    """
    matrices = [summing_matrix(table) for table in tables]
    for matrix in matrices:
        matrix.eliminate_zeros()
    block = max(1, _WIDE_BLOCK // _widest(tables))
    for start in range(0, weights.shape[1], block):
        part = weights[:, start : start + block].astype(np.float64)
        yield list(_weighted_sums(matrices, list(tables), part))


def percentile_interval(replicates: Floats, level: float) -> tuple[float, float]:
    """Return the percentile interval of replicates of shape ``(n_boot,)``.

    Replicates without a value (NaN) are passed over; without any the limits are NaN.

    Examples
    --------
    >>> percentile_interval(np.arange(101.0), level=0.5)
    (25.0, 75.0)
    """
    known = replicates[~np.isnan(replicates)]
    if not known.size:
        return np.nan, np.nan
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _joint_codes(*codes: Codes) -> Codes:
    sizes = tuple(int(code.max()) + 1 for code in codes)
    return np.unique(np.ravel_multi_index(codes, sizes), return_inverse=True)[1]


class _BinomialSampler(NamedTuple):
    rows: Codes  # [H] rows of each stratum
    ones: Floats  # [H] share of ones in it
    place: sparse.csr_array  # [cells, H] the cell that contains the stratum
    count: Floats  # [*shape] rows of each cell, the same in every replicate

    def __call__(self, rng: np.random.Generator, size: int) -> Floats:
        drawn = rng.binomial(self.rows, self.ones, size=(size, len(self.rows)))
        ones = (self.place @ drawn.T).T.reshape(size, *self.count.shape)
        return np.stack(np.broadcast_arrays(self.count, ones), axis=-1)


def _binomial_sampler(table: Table, design: Design) -> _BinomialSampler | None:
    if design.whole or table.columns.shape[1] != 2 or table.weight is not None:
        return None
    value = table.columns[:, 1]
    _, first, unit = np.unique(design.unit, return_index=True, return_inverse=True)
    cell = table.cell[first]
    if not (np.isin(value, (0, 1)).all() and (cell[unit] == table.cell).all()):
        return None
    rows = np.bincount(unit)
    place = (np.ones(len(cell)), (cell, np.arange(len(cell))))
    shape = (int(np.prod(table.shape)), len(cell))
    matrix = sparse.csr_array(sparse.coo_array(place, shape=shape))
    return _BinomialSampler(rows, np.bincount(unit, value) / rows, matrix, totals(table)[..., 0])


def _unit_matrix(table: Table, design: Design) -> sparse.csr_array:
    """Return the map from weights of what is drawn (rows, or whole units) to sums."""
    matrix = summing_matrix(table)
    if not design.whole:
        return matrix
    n = len(design.unit)
    belongs = (np.ones(n), (np.arange(n), design.unit))
    return matrix @ sparse.csr_array(sparse.coo_array(belongs))


def _draw_weights(design: Design, rng: np.random.Generator, size: int) -> Floats:
    """Draw how often each row (or unit) is taken: shape ``(rows or units, size)``."""
    if design.whole:
        units = int(design.unit.max()) + 1
        return rng.multinomial(units, np.full(units, 1 / units), size=size).T.astype(np.float64)
    n = len(design.unit)
    order = np.argsort(design.unit, kind="stable")
    rows = np.bincount(design.unit)
    start = np.repeat(np.cumsum(rows) - rows, rows)
    length = np.repeat(rows, rows)
    weights = np.empty((size, n))
    for replicate in range(size):
        picked = start + (rng.random(n) * length).astype(np.intp)
        weights[replicate, order] = np.bincount(picked, minlength=n)
    return np.ascontiguousarray(weights.T)


def _weighted_sums(
    matrices: list[sparse.csr_array], tables: list[Table], weights: Floats
) -> Iterator[Floats]:
    for matrix, table in zip(matrices, tables, strict=True):
        sums = matrix @ weights
        yield sums.T.reshape(weights.shape[1], *table.shape, -1)


def _block_sizes(tables: Sequence[Table], n_boot: int) -> Iterator[int]:
    block = max(1, _BLOCK // _widest(tables))
    for start in range(0, n_boot, block):
        yield min(block, n_boot - start)


def _widest(tables: Sequence[Table]) -> int:
    return max(max(len(t.cell), int(np.prod(t.shape)) * t.columns.shape[1]) for t in tables)
