"""The guide "block": q(hyper-parameters) full-rank, times the effects given them.

q(phi) is one Normal with a dense covariance over the unconstrained hyper-parameters (logarithms of
scales, correlations, the likelihood's own parameters); q(effects | phi) is a Gaussian, exact for a
Normal likelihood and Laplace's otherwise, whose mean and covariance are functions of phi. One
Gaussian for everything cannot bend as the posterior does, whose effects shrink with their scale;
this one does.

It is found in a second stage, after the network, which stays as it is (a linear one without
penalties is fitted on): q(phi) lies around the maximum of the Laplace evidence (`laplace_evidence`)
with the curvature there, as in lme4 and INLA. Where a penalty pulls the effects, its gradient at
the first stage's solution is kept as a linear term, so that the second stage does not undo what the
penalty achieved. Nothing else of the first stage is kept: effects that it left short of their mode
go there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pyfairme.data import Batch
from pyfairme.inference.guides import free_size
from pyfairme.inference.laplace.conditional import Curvature, compiled, condition, place
from pyfairme.inference.laplace.hyper_parameters import from_free, to_free
from pyfairme.inference.laplace.laplace_evidence import Found, LaplaceEvidence, Layout
from pyfairme.inference.laplace.linear_predictor import LinearPredictor, join, part
from pyfairme.inference.laplace.mixed_design import lay_out
from pyfairme.model.networks import Layer
from pyfairme.model.program import Objective

ITERATIONS = 60
GAIN = 1e-6  # relative gain of the evidence at which the search ends
STEP = 0.1  # of real numbers behind hyper-parameters, for differences of the gradient
LEAST_SD, MOST_SD = 3e-4, 1.5  # of real numbers behind hyper-parameters


class BlockFit(NamedTuple):
    """Where the evidence has its maximum, q(phi)'s mean and Cholesky factor, and the network.

    ``evaluations`` is how often the evidence was computed on the way there.
    """

    evidence: LaplaceEvidence
    found: Found
    loc: np.ndarray
    scale_tril: np.ndarray
    network: Any
    evaluations: int


class BlockGuide(NamedTuple):
    """A fitted q for compiled code: Normal of the hyper-parameters, quadratic of the effects."""

    loc: Array
    scale_tril: Array
    sums: Curvature


class BlockNoise(NamedTuple):
    """Standard Normal numbers that a draw is made of: (h,), (M,), (G, a)."""

    hypers: Array
    dense: Array
    local: Array


class Shapes(NamedTuple):
    """The shapes of `BlockNoise`."""

    hypers: tuple[int, ...]
    dense: tuple[int, ...]
    local: tuple[int, ...]


def fit_block(
    layout: Layout,
    first: Mapping[str, Any],
    network: Any,
    batch: Batch,
    objective: Objective,
    pull: tuple[Any, Any] | None = None,
) -> BlockFit:
    """Find q, given the network.

    Parameters
    ----------
    layout
        Of a plain spec; ``given`` means that its linear network is fitted on.
    first, network
        Named latents of the first stage, where the search starts, and its network.
    batch, objective
        Training rows, whose weights are divided by ``kl_weight`` already; the priors' scale.
    pull
        The penalties' pull on D (M,) and u (G, a), of `penalty_gradient`; None where none acts.

    Raises
    ------
    FloatingPointError
        When the evidence is not finite, or a precision is not positive definite.
    """
    first, network, batch = jax.device_put((dict(first), network, batch))
    evidence = LaplaceEvidence(layout, lay_out(layout, network, batch), objective, pull)
    dense, local = (np.asarray(part, np.float64) for part in join(layout.effects, first))
    evidence.dense[layout.known :], evidence.local[:] = dense, local
    start = np.asarray(to_free(layout.hypers, first), np.float64)
    try:
        found = evidence.maximise(start, ITERATIONS, GAIN)
        tril = _spread(evidence, found)
    except np.linalg.LinAlgError as error:
        raise FloatingPointError(
            f"the precision of the effects: {error} [block-broke-down]"
        ) from error
    if not (np.isfinite(found.mode.value) and np.isfinite(tril).all()):
        raise FloatingPointError(
            "the evidence of the hyper-parameters is not finite [block-broke-down]"
        )
    if layout.given:
        moved = jnp.float32(found.known.reshape(-1, layout.spec.likelihood.outputs))
        weight, bias = jnp.asarray(network[-1].weight), jnp.asarray(network[-1].bias)
        network = (Layer(weight + moved[:-1], bias + moved[-1]),)
    return BlockFit(evidence, found, found.free, tril, network, evidence.evaluations)


def _spread(evidence: LaplaceEvidence, found: Found) -> np.ndarray:
    """Return the Cholesky factor of q(phi)'s covariance, by differences of the exact gradient."""
    size = len(found.free)
    if not size:
        return np.zeros((0, 0))
    bend = np.empty((size, size))
    for index, step in enumerate(STEP * np.eye(size)):
        up, down = (evidence.value_and_gradient(found.free + s * step)[1] for s in (1, -1))
        bend[index] = (down - up) / (2 * STEP)
    values, vectors = np.linalg.eigh((bend + bend.T) / 2)
    sd = 1 / np.sqrt(np.clip(values, MOST_SD**-2, LEAST_SD**-2))
    return np.linalg.cholesky((vectors * sd**2) @ vectors.T)


def guide_for(fitted: BlockFit) -> BlockGuide:
    """Return q for compiled code, of a model whose network is not fitted on."""
    evidence, found = fitted.evidence, fitted.found
    sums = compiled(found.mode.sums, found.precision, evidence.pull, evidence.layer)
    return BlockGuide(jnp.float32(fitted.loc), jnp.float32(fitted.scale_tril), sums)


def sizes(layout: LinearPredictor) -> Shapes:
    """Return the shapes of the noise."""
    local = (layout.clusters, layout.width)
    return Shapes((free_size(layout.hypers),), (layout.dense,), local)


def transport(
    layout: LinearPredictor, fitted: BlockGuide, noise: BlockNoise
) -> tuple[dict[str, Array], Array]:
    """Turn standard Normal noise into a draw of q; return it with log |d draw / d noise|."""
    hypers, volume = from_free(layout.hypers, fitted.loc + fitted.scale_tril @ noise.hypers)
    found = condition(layout, fitted.sums, hypers)
    dense, local, spread = place(found, noise.dense, noise.local)
    volume = volume + jnp.log(jnp.diagonal(fitted.scale_tril)).sum() + spread
    return hypers | part(layout, dense, local), volume
