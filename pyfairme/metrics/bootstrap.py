"""Bootstrap of rows or clusters, as sums of tables.

With fewer than 30 clusters, rows are resampled within strata of cluster x group (of the group,
where fewer than five rows of a cluster share it): the intervals are conditional on these clusters.
From 30 up whole clusters are resampled, so that the intervals also speak of clusters that were not
drawn; each row without a cluster is then one of its own. The outcome forms no strata: the share of
positives is as random as all else.

Of a stratum of m rows m - 1 are drawn, each counted m / (m - 1) times (Rao and Wu 1988): drawing m
of m would make the variance of small strata too small, by (m - 1) / m.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pyfairme.metrics.array_inputs import Codes, Floats
from pyfairme.metrics.group_sums import Table, summing_matrix
from pyfairme.metrics.shared_draws import drawn_once

SMALL = 5  # rows of a stratum below which it joins those of the other clusters
MIN_CLUSTERS = 30  # fewer give too coarse a distribution when resampled as units
_BLOCK = 6_000_000  # numbers held at a time: about 50 MB
_WIDE_BLOCK = 4 * _BLOCK
_STRIP = 500_000  # weights multiplied at a time: about 4 MB, which caches hold

Weights = NDArray[np.uint8]


class ResamplingDesign(NamedTuple):
    """What is resampled.

    Attributes
    ----------
    unit
        Shape ``(n,)``: codes of the strata within which rows are drawn, or of the clusters that
        are drawn as wholes.
    whole
        Whether units are drawn as wholes.
    scale
        Shape ``(n,)``: how much each draw of a row counts.
    """

    unit: Codes
    whole: bool
    scale: Floats


def resampling_design(cluster: Codes, group: Codes | None = None) -> ResamplingDesign:
    """Choose between stratified rows and whole clusters by the number of clusters.

    Parameters
    ----------
    cluster
        Shape ``(n,)``: code of each row's cluster; negative for a row without one.
    group
        Shape ``(n,)``: code of each row's group; ``None`` where rows are not grouped.
    """
    clusters, code = np.unique(cluster, return_inverse=True)
    alone = cluster < 0
    named = len(clusters) - bool(alone.any())
    if named >= MIN_CLUSTERS:
        code = code - bool(alone.any())
        code[alone] = named + np.arange(alone.sum())
        units = named + int(alone.sum())
        return ResamplingDesign(code, True, np.full(len(code), units / (units - 1)))
    # few clusters: rows without one are drawn from each other
    grouping = np.zeros(len(code), np.intp) if group is None else group
    unit = _strata(code, grouping)
    rows = np.bincount(unit)[unit]
    return ResamplingDesign(unit, False, rows / np.maximum(rows - 1, 1))


def _strata(cluster: Codes, group: Codes) -> Codes:
    """Return codes of cluster x group; few rows of a group in a cluster join those of others.

    One or two rows that are drawn from themselves hardly vary.
    """
    shape = (int(group.max()) + 1, int(cluster.max()) + 1)
    sizes = np.bincount(group * shape[1] + cluster, minlength=shape[0] * shape[1]).reshape(shape)
    stratum = np.tile(np.arange(shape[1]), (shape[0], 1))
    for mine, rows in zip(stratum, sizes, strict=True):
        small = (rows > 0) & (rows < SMALL)
        large = np.flatnonzero(rows >= SMALL)
        if small.any() and rows[small].sum() < SMALL and large.size:
            small[large[rows[large].argmin()]] = True
        mine[small] = np.flatnonzero(small)[:1]
    return np.unique(stratum[group, cluster] + group * shape[1], return_inverse=True)[1]


def resample(
    tables: Sequence[Table], design: ResamplingDesign, rng: np.random.Generator, n_boot: int
) -> Iterator[list[Floats]]:
    """Yield replicates of the sums of several tables on the same draws, in blocks that fit.

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
    matrices = [_unit_matrix(table, design) for table in tables]
    for size in _block_sizes(tables, n_boot):
        yield _weighted_sums(matrices, tables, _draw_weights(design, rng, size))


def draw_weights(design: ResamplingDesign, rng: np.random.Generator, n_boot: int) -> Weights:
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
        Shape ``(n, n_boot)``, each to be multiplied by the row's ``design.scale``. A byte holds
        them: a row is drawn about Poisson(1) times.

    Examples
    --------
    >>> design = resampling_design(np.repeat([0, 1], [5, 7]))  # of 5 and 7 rows, 4 and 6 are drawn
    >>> weights = draw_weights(design, np.random.default_rng(0), 4)
    >>> weights[:5].sum(0).tolist(), weights[5:].sum(0).tolist()
    ([4, 4, 4, 4], [6, 6, 6, 6])
    """
    n = len(design.unit)
    weights = np.empty((n, n_boot), np.uint8)
    block = max(1, _BLOCK // n)
    for start in range(0, n_boot, block):
        drawn = _draw_weights(design, rng, min(block, n_boot - start))
        weights[:, start : start + block] = drawn[design.unit] if design.whole else drawn
    return weights


def reweighted(
    tables: Sequence[Table], weights: Weights, design: ResamplingDesign
) -> Iterator[list[Floats]]:
    """Yield the sums of several tables under given weights, in blocks that fit into memory.

    Parameters
    ----------
    tables
        Of the same n rows.
    weights
        Shape ``(n, n_boot)``, see `draw_weights`.
    design
        What they were drawn by.

    Yields
    ------
    list of Floats
        For each table, shape ``(block, *table.shape, k)``; blocks add up to ``n_boot``.
    """
    matrices = [_scaled(summing_matrix(table), design) for table in tables]
    for matrix in matrices:
        matrix.eliminate_zeros()
    block = max(1, _WIDE_BLOCK // _widest(tables))
    for start in range(0, weights.shape[1], block):
        yield _weighted_sums(matrices, tables, weights[:, start : start + block])


def _scaled(matrix: sparse.csr_array, design: ResamplingDesign) -> sparse.csr_array:
    """Let every row, which is a column of the matrix, count as much as its draws do."""
    values = matrix.data * design.scale[matrix.indices]
    return sparse.csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape)


def _unit_matrix(table: Table, design: ResamplingDesign) -> sparse.csr_array:
    """Return the map from weights of what is drawn (rows, or whole units) to sums."""
    matrix = _scaled(summing_matrix(table), design)
    if not design.whole:
        return matrix
    n = len(design.unit)
    belongs = (np.ones(n), (np.arange(n), design.unit))
    return matrix @ sparse.csr_array(sparse.coo_array(belongs))


def _draw_weights(design: ResamplingDesign, rng: np.random.Generator, size: int) -> Weights:
    """Draw how often each row (or unit) is taken: shape ``(rows or units, size)``."""
    draw = _draw_units if design.whole else _draw_rows
    return drawn_once(draw, rng, design.unit, size)


def _draw_units(rng: np.random.Generator, unit: Codes, size: int) -> Weights:
    units = int(unit.max()) + 1
    return rng.multinomial(units - 1, np.full(units, 1 / units), size=size).T.astype(np.uint8)


def _draw_rows(rng: np.random.Generator, unit: Codes, size: int) -> Weights:
    n = len(unit)
    order = np.argsort(unit, kind="stable")
    rows = np.bincount(unit)
    drawn = np.maximum(rows - 1, 1)
    start = np.repeat(np.cumsum(rows) - rows, drawn)
    length = np.repeat(rows, drawn).astype(np.float64)
    place, picked = np.empty(len(start)), np.empty(len(start), np.intp)
    times = np.empty((size, n), np.uint8)  # of the rows in the order of their units
    for replicate in times:
        rng.random(out=place)
        place *= length
        np.copyto(picked, place, casting="unsafe")  # rounds down
        picked += start
        replicate[:] = np.bincount(picked, minlength=n)
    weights = np.empty((n, size), np.uint8)
    weights[order] = times.T
    return weights


def _weighted_sums(
    matrices: list[sparse.csr_array], tables: Sequence[Table], weights: Weights
) -> list[Floats]:
    """Multiply weights, (rows or units, size), strip by strip: what caches hold is read fast."""
    size = weights.shape[1]
    found: list[list[Floats]] = [[] for _ in matrices]
    strip = max(8, _STRIP // len(weights))
    for start in range(0, size, strip):
        part = np.ascontiguousarray(weights[:, start : start + strip], np.float64)
        for matrix, parts in zip(matrices, found, strict=True):
            parts.append(matrix @ part)
    sums = [np.concatenate(parts, axis=1) for parts in found]
    return [one.T.reshape(size, *table.shape, -1) for one, table in zip(sums, tables, strict=True)]


def _block_sizes(tables: Sequence[Table], n_boot: int) -> Iterator[int]:
    block = max(1, _BLOCK // _widest(tables))
    for start in range(0, n_boot, block):
        yield min(block, n_boot - start)


def _widest(tables: Sequence[Table]) -> int:
    return max(max(len(t.cell), int(np.prod(t.shape)) * t.columns.shape[1]) for t in tables)
