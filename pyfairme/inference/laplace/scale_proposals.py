"""Hyper-parameters drawn around the maximum of the evidence, with importance weights.

Proposals are Student's t, split: each axis has a scale below and one above the centre, since the
log of a scale that few clusters tell reaches further down than up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pyfairme.inference.laplace.cluster_integrals import LaplaceError
from pyfairme.inference.laplace.laplace_evidence import (
    LEAST_FREE,
    AnyGaussian,
    Found,
    LaplaceEvidence,
)

FEWEST_PROPOSALS, MOST_PROPOSALS = 64, 400
WORK = 1.5e10  # products that they may take
DF = 5
STEP = 0.15  # of the real numbers behind scales, for second differences
CROSSED = 10  # hyper-parameters up to which their covariances are found, not variances alone
LEAST_SD, MOST_SD = 1e-3, 3.0
MOST_MOVE = 2.0  # SDs that the centre moves by, for what Laplace's method lacks
CLOSE = 1e-3  # to the lower end of the real numbers behind scales
BEYOND = 100.0  # nats that proposals lose where no search would go
SIDE = 2.0  # SDs from the centre at which the two scales of an axis are found
KEPT = 2e7  # numbers of Gaussians that are kept from proposals to draws


class Proposed(NamedTuple):
    """Hyper-parameters (s, h), the logs of their weights (s,), everything else given each.

    That is None where it would take too much memory.
    """

    free: np.ndarray
    log_weight: np.ndarray
    given: Sequence[AnyGaussian | None]


class Axes(NamedTuple):
    """A Gaussian around ``centre`` (h,): its axes (h, h) in columns, and its SDs along them."""

    centre: np.ndarray
    vectors: np.ndarray
    sd: np.ndarray


def propose(evidence: LaplaceEvidence, found: Found, seed: int) -> Proposed:
    """Draw hyper-parameters, and weigh them by the evidence.

    Scales that the search took to their lower end (of a target without noise) stay there.
    """
    number = int(np.clip(WORK / float(evidence.rows.size) ** 3, FEWEST_PROPOSALS, MOST_PROPOSALS))
    number -= number % 2
    target = _Target(evidence, found, number)
    size = len(target.start)
    if not size:
        return Proposed(found.free[None], np.zeros(1), [None])
    axes = target.axes()
    below, above = _sides(target, axes)
    generator = np.random.default_rng(seed)
    white = np.abs(generator.normal(size=(number // 2, size)))
    white /= np.sqrt(generator.chisquare(DF, (len(white), 1)) / DF)
    at = generator.random(white.shape)
    white, at = np.concatenate([white, white]), np.concatenate([at, 1 - at])
    step = white * np.where(at < below / (below + above), -below, above)
    free = axes.centre + step @ axes.vectors.T
    density = -0.5 * (DF + size) * np.log1p((white**2).sum(axis=1) / DF)
    log_p, given = target(free)
    log_p[(free < LEAST_FREE).any(axis=1)] -= BEYOND
    kept = given if sum(one.held for one in given) <= KEPT else [None] * number
    return Proposed(target.whole(free), log_p - density, kept)


class _Target:
    """The log posterior of the hyper-parameters that are not at their lower end, (s, h).

    The evidence of the quadratic log-likelihood at the mode takes the place of the whole one, with
    a linear term that gives both the same slope there; for a Normal likelihood they are the same.
    Where clusters have few effects, quadrature replaces Laplace's method for these.
    """

    def __init__(self, evidence: LaplaceEvidence, found: Found, number: int) -> None:
        self.evidence, self.found = evidence, found
        self.moving = found.free > LEAST_FREE + CLOSE
        self.start = found.free[self.moving]
        self.away = np.zeros(len(self.start))
        self._around = evidence.around(found)
        self._lack = LaplaceError(evidence, found, number)

    def __call__(self, free: np.ndarray) -> tuple[np.ndarray, list[AnyGaussian]]:
        """Return it (s,), with everything else given each; after `axes`."""
        values, given = self._evidence(free)
        lack = self._lack(self.whole(free), given)
        return values + lack - (free - self.start) @ self.away, given

    def whole(self, free: np.ndarray) -> np.ndarray:
        """Return all hyper-parameters, within their range."""
        every = np.tile(self.found.free, (len(free), 1))
        every[:, self.moving] = np.maximum(free, LEAST_FREE)
        return every

    def axes(self) -> Axes:
        """Find the Gaussian by second differences, and the linear term."""
        start, size = self.start, len(self.start)
        unit = STEP * np.eye(size)
        places = np.concatenate([start[None], start + unit, start - unit])
        values, given = self._evidence(places)
        middle, up, down = values[0], values[1 : size + 1], values[size + 1 :]
        hessian = np.diag((up + down - 2 * middle) / STEP**2)
        if size <= CROSSED:
            i, j = np.tril_indices(size, -1)
            corner, _ = self._evidence(start + unit[i] + unit[j])
            hessian[i, j] = hessian[j, i] = (corner - up[i] - up[j] + middle) / STEP**2
        curvature, vectors = np.linalg.eigh(-hessian)
        sd = 1 / np.sqrt(np.clip(curvature, MOST_SD**-2, LEAST_SD**-2))
        if not self.evidence.layout.spec.likelihood.quadratic:
            slope = self.evidence.value_and_gradient(self.found.free)[1][self.moving]
            self.away = (up - down) / (2 * STEP) - slope
        lack = self._lack(self.whole(places[1:]), given[1:])
        lean = vectors.T @ (lack[:size] - lack[size:]) / (2 * STEP)
        move = np.clip(sd**2 * lean, -MOST_MOVE * sd, MOST_MOVE * sd)
        return Axes(start + vectors @ move, vectors, sd)

    def _evidence(self, free: np.ndarray) -> tuple[np.ndarray, list[AnyGaussian]]:
        every = self.whole(free)
        self.evidence.prepare(every)
        each = [self._around(one) for one in every]
        return np.array([value for value, _ in each]), [given for _, given in each]


def _sides(target: _Target, axes: Axes) -> np.ndarray:
    """Return the scales (2, h) below and above the centre along each axis.

    Those of a split Normal that drops as far as the target does two SDs away (Rue, Martino & Chopin
    2009, section 6.5, who go the square root of two).
    """
    steps = (SIDE * axes.sd * axes.vectors).T
    centre = axes.centre
    ends, _ = target(np.concatenate([centre[None], centre - steps, centre + steps]))
    drop = np.maximum(ends[0] - ends[1:], 1e-3).reshape(2, -1)
    return np.clip(SIDE * axes.sd / np.sqrt(2 * drop), LEAST_SD, MOST_SD)
