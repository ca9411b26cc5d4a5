"""Draws of the network's weights and the random effects together: the guide "laplace".

The model is `pyfairme.model.tangent`: the trained network's tangent features with one prior scale.
The scales are found by the evidence (`laplace_evidence`); around its maximum their posterior is a
Gaussian of the real numbers behind them, with heavier tails and corrected by importance weights.
Given each of them weights and effects are drawn from their joint Gaussian. In the few directions of
weights that rows cannot tell apart (`tangent_basis`) weights have their prior.

Where penalties act, the linear model must not undo them: draws are then moved so that their mean is
the trained network, and the mode of the effects given it and the penalties' pull. Their spread is
that of the model without penalties.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from pyfairme.compilation import jitted, per_structure
from pyfairme.data import Batch
from pyfairme.inference.compiled_steps import guide_draws
from pyfairme.inference.guides import GuideChoice, guide_of
from pyfairme.inference.laplace.hyper_parameters import to_free
from pyfairme.inference.laplace.laplace_evidence import (
    AnyGaussian,
    Found,
    LaplaceEvidence,
    Layout,
)
from pyfairme.inference.laplace.linear_predictor import LinearPredictor, join, part
from pyfairme.inference.laplace.mixed_design import lay_out
from pyfairme.inference.laplace.mixed_rows import Gaussian, link
from pyfairme.inference.laplace.psis import relative_ess, resample, smooth
from pyfairme.inference.laplace.scale_proposals import propose
from pyfairme.inference.laplace.second_stage import (
    MOST_WIDTH,
    Finished,
    PosteriorWarning,
    penalised,
    pull_on_effects,
    second_stage_inputs,
    warn_of_scales,
)
from pyfairme.inference.laplace.tangent_basis import TangentBasis, find_basis
from pyfairme.model import tangent
from pyfairme.model.likelihoods import Latent
from pyfairme.model.program import ModelSpec, Objective, plain
from pyfairme.model.tangent import LINEAR_SD, WEIGHT_SD
from pyfairme.notices import warn

PARTS = ("effects of penalties", "features of the network", "scales", "draws")
START_SD = 0.7
GAIN = 1e-4  # relative gain at which the search for the scales ends: draws are weighed anyway
DRAWN_NUMBERS = 5e6  # weights in all draws together
FEWEST_DRAWS = 100
MOST_ROWS = 50_000
MOST_WEIGHTS = 100_000
MOST_COLUMNS = 1500
MOST_EFFECTS = 50_000


class TangentDraws(NamedTuple):
    """Draws (draws, ...) by name, and what the weights of their hyper-parameters are worth.

    ``gains`` are those of `tangent_basis.TangentBasis`.
    """

    draws: dict[str, np.ndarray]
    k: float
    ess: float
    gains: tuple[float, float]


class Anchor(NamedTuple):
    """What draws are moved to: the network's weights are its own, effects D (M,) and u (G, a)."""

    dense: np.ndarray
    local: np.ndarray


def start_of(layout: Layout, first: Mapping[str, Any]) -> np.ndarray:
    """Return where the search for the scales starts: at those of the first stage."""
    own: Any = dict.fromkeys((WEIGHT_SD, LINEAR_SD), START_SD * layout.spec.likelihood.effect_scale)
    values = {latent.name: {**first, **own}[latent.name] for latent in layout.hypers}
    return np.asarray(_real_numbers(layout.hypers)(values), np.float64)


@per_structure()
def _real_numbers(latents: tuple[Latent, ...]) -> Callable[..., Any]:
    return jitted(partial(to_free, latents), "once")


def check_tangent(spec: ModelSpec, rows: int) -> None:
    """Raise ValueError where the linear model is too large to be held."""
    found = too_large(spec, rows)
    if found:
        raise ValueError(
            "network_posterior='laplace' holds one Gaussian of the network and of all effects, and "
            f"there are {found}. Use network_posterior='none' with ensemble=5, fit fewer rows, or "
            "give fewer columns, clusters or units. [network-too-large]"
        )


def too_large(spec: ModelSpec, rows: int) -> str:
    """Say what of the linear model is too large to be held, and the limit; "" where nothing is."""
    effects = LinearPredictor(replace(plain(spec), tangent=False))
    outputs = effects.outputs
    dense = (spec.covariates + 1) * outputs + effects.dense
    limits = (
        ("rows times outputs", rows * outputs, MOST_ROWS),
        ("weights of the network", tangent.weight_count(spec.sizes) // 2, MOST_WEIGHTS),
        ("columns and effects of smaller factors", dense, MOST_COLUMNS),
        ("effects of a cluster", effects.width, MOST_WIDTH),
        ("effects of all clusters", effects.clusters * effects.width, MOST_EFFECTS),
    )
    for what, number, most in limits:
        if number > most:
            return f"{number:,} {what}; at most {most:,}"
    return ""


def finish_tangent(
    spec: ModelSpec,
    guide: GuideChoice,
    params: dict[str, Any],
    batch: Batch,
    objective: Objective,
    most: int,
    seed: int,
    batch_size: int,
    begin: Callable[[int], None] = lambda part: None,
) -> Finished:
    """Draw from the posterior of one member's linear model, at most ``most`` times.

    ``params`` and ``guide`` are those of the first stage, whose model has no tangent; ``begin`` is
    told of each of the `PARTS` as it begins.
    """
    trained = replace(spec, tangent=False)
    layout = Layout(replace(plain(spec), tangent=True), plain(trained), 0)
    first = jax.tree.map(np.asarray, dict(guide_of(guide, trained.latents).median(params)))
    pull = None
    if penalised(objective):
        pull = pull_on_effects(trained, guide, params, batch, objective, seed, batch_size)
        if pull is None:
            effects = join(layout.effects, first)
            pull = jax.tree.map(np.zeros_like, effects)
    scaled, bare = second_stage_inputs(batch, objective)
    draws = number_of_draws(spec, most)
    try:
        found = draw_tangent(
            layout, params["network"], scaled, bare, first, draws, seed, pull, begin
        )
    except (FloatingPointError, np.linalg.LinAlgError) as error:
        warn(
            f"network_posterior='laplace' broke down ({error}): predictions are those of the "
            "trained network, and intervals hold the uncertainty of its training's guide about "
            "clusters alone. Look for columns of random_slopes whose zero lies far from their "
            "values, or for columns that nearly determine each other. [laplace-broke-down]",
            PosteriorWarning,
        )
        found = _as_trained(trained, guide, params, layout, draws, seed)
    else:
        if layout.hypers:
            warn_of_scales(found.k, found.ess)
    quality = {"pareto_k": np.asarray(found.k), "relative_ess": np.asarray(found.ess)}
    quality = quality if layout.hypers else {}
    return Finished(params["network"], found.draws, quality, np.asarray(found.gains, np.float32))


def _as_trained(
    trained: ModelSpec,
    guide: GuideChoice,
    params: dict[str, Any],
    layout: Layout,
    draws: int,
    seed: int,
) -> TangentDraws:
    """Return the first stage's draws, all of them with the network's own weights."""
    network, likelihood = params["network"], layout.spec.likelihood
    drawn = (
        guide_draws(trained, guide)(jax.random.key(seed), params, draws) if trained.latents else {}
    )
    found = {name: np.asarray(value) for name, value in drawn.items()}
    linear = np.zeros((layout.spec.covariates + 1, likelihood.outputs))
    scales = 1
    if layout.spec.hidden:
        found[tangent.WEIGHTS] = np.tile(_own_weights(network), (draws, 1))
        scales = 3
    else:
        linear = _own_linear(network)
    found[tangent.LINEAR] = np.tile(linear, (draws, 1, 1))
    found[tangent.SCALES] = np.ones((draws, scales))
    names = [latent.name for latent in layout.spec.latents]
    return TangentDraws({k: found[k].astype(np.float32) for k in names}, np.inf, 0.0, (1.0, 1.0))


def draw_tangent(
    layout: Layout,
    network: Any,
    batch: Batch,
    objective: Objective,
    first: Mapping[str, Any],
    draws: int,
    seed: int,
    pull: tuple[Any, Any] | None = None,
    begin: Callable[[int], None] = lambda part: None,
) -> TangentDraws:
    """Fit the linear model of a network, and draw from its posterior.

    Parameters
    ----------
    layout
        Of the model; its ``directions`` are filled in here.
    network, first
        The trained network, and typical values of the other latents.
    batch, objective
        Training rows, whose weights are divided by ``kl_weight`` already; the priors' scale.
    pull
        The penalties' pull on the effects, D (M,) and u (G, a), where penalties act: see above.
    begin
        Told of each of the `PARTS` as it begins.
    """
    begin(1)
    batch = jax.tree.map(np.asarray, batch)
    basis = find_basis(network, batch.x, seed) if layout.spec.hidden else _nothing(layout, batch)
    layout = layout._replace(directions=basis.weights.shape[0])
    begin(2)
    evidence = LaplaceEvidence(layout, lay_out(layout, network, batch, basis.features), objective)
    start = start_of(layout, first)
    evidence.start_at(start, _trained_links(layout, network, batch, first))
    found = evidence.maximise(start, gain=GAIN)
    anchor = None
    if pull is not None:
        anchor = _anchor(layout, network, batch, objective, found, pull)
    begin(3)
    proposals = propose(evidence, found, seed)
    free = proposals.free
    smoothed, k = smooth(proposals.log_weight)
    generator = np.random.default_rng(seed)
    chosen = resample(smoothed, draws, generator)
    chosen.sort()
    each = [
        _given_scales(
            proposals.given[index] or evidence.given(found, free[index]), int(count), generator
        )
        for index, count in zip(*np.unique(chosen, return_counts=True), strict=True)
    ]
    dense, local = (np.concatenate(parts) for parts in zip(*each, strict=True))
    values = evidence.hyper_parameters(free[chosen])
    if anchor is not None:
        dense, local = _moved(layout, dense, local, found.mode.gaussian, anchor)
    r, m = layout.directions, layout.directions + layout.linear
    every = {name: np.asarray(v) for name, v in part(layout.effects, dense[:, m:], local).items()}
    every[tangent.LINEAR] = dense[:, r:m].reshape(draws, -1, layout.spec.likelihood.outputs)
    if r:
        every[tangent.WEIGHTS] = _weights(basis, dense[:, :r], values[WEIGHT_SD], generator)
    every |= _scales(layout, basis, values)
    order = generator.permutation(draws)
    every = {name: value[order] for name, value in every.items()}
    if anchor is not None and layout.spec.hidden:
        every[tangent.WEIGHTS] += _own_weights(network)
    elif anchor is not None:
        every[tangent.LINEAR] += _own_linear(network)
    names = [latent.name for latent in layout.spec.latents]
    kept = {k: every[k].astype(np.float32) for k in names}
    return TangentDraws(kept, float(k), relative_ess(smoothed), basis.gains)


def number_of_draws(spec: ModelSpec, most: int) -> int:
    """Return how many draws of all weights are held."""
    return int(
        np.clip(DRAWN_NUMBERS / max(tangent.weight_count(spec.sizes), 1), FEWEST_DRAWS, most)
    )


def _nothing(layout: Layout, batch: Batch) -> TangentBasis:
    empty = np.zeros((len(batch.weight), layout.spec.likelihood.outputs, 0), np.float32)
    return TangentBasis(empty, np.zeros((0, 0), np.float32), 0.0, (0.0, 0.0))


def _own_weights(network: Any) -> np.ndarray:
    """Return the weights of the linear model that are the trained network: its last layer's."""
    last = np.concatenate([np.ravel(network[-1].weight), np.ravel(network[-1].bias)])
    found = np.zeros(tangent.weight_count(tangent.widths(network)), np.float32)
    found[len(found) // 2 - len(last) : len(found) // 2] = last
    return found


def _own_linear(network: Any) -> np.ndarray:
    """Return coefficients and constant (p + 1, K) of a network without hidden layers."""
    return np.concatenate([network[-1].weight, network[-1].bias[None]])


def _scales(
    layout: Layout, basis: TangentBasis, values: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the hyper-parameters as the model has them: scales of weights that are not scaled."""
    each = [values.pop(LINEAR_SD)]
    if layout.spec.hidden:
        weight_sd = values.pop(WEIGHT_SD)
        each = [basis.gains[0] * weight_sd, basis.gains[1] * weight_sd, *each]
    return values | {tangent.SCALES: np.column_stack(each)}


def _trained_links(
    layout: Layout, network: Any, batch: Batch, first: Mapping[str, Any]
) -> np.ndarray:
    """Return the first stage's links (n, K), rows in the order of `lay_out`."""
    own = Layout(layout.bare, layout.bare)
    dense, local = (np.asarray(value, np.float64) for value in join(layout.effects, first))
    return link(lay_out(own, network, batch), dense, local)


def _anchor(
    layout: Layout, network: Any, batch: Batch, objective: Objective, found: Found, pull: Any
) -> Anchor:
    """Find the mode of the effects given the network, the scales and the penalties' pull."""
    own = Layout(layout.bare, layout.bare)
    evidence = LaplaceEvidence(own, lay_out(own, network, batch), objective, pull)
    mode = evidence.at_mode(found.free[len(layout.own) :])
    return Anchor(mode.gaussian.dense, mode.gaussian.local)


def _given_scales(
    gaussian: AnyGaussian, count: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw D (s, m) and u (s, G, a) given hyper-parameters."""
    noise = generator.normal(size=(count, len(gaussian.dense)))
    return gaussian.draw(noise, generator.normal(size=(count, *gaussian.local.shape)))


def _moved(
    layout: Layout, dense: np.ndarray, local: np.ndarray, mode: Gaussian, anchor: Anchor
) -> tuple[np.ndarray, np.ndarray]:
    """Move draws so that their mode is the anchor; the network's own weights come later."""
    m = layout.directions + layout.linear
    away = np.concatenate([-mode.dense[:m], anchor.dense - mode.dense[m:]])
    return dense + away, local + anchor.local - mode.local


def _weights(
    basis: TangentBasis, inside: np.ndarray, sd: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Return weights (s, P): ``inside`` (s, r) in the basis, from their prior outside of it."""
    shape = (len(inside), basis.weights.shape[1])
    rest = generator.standard_normal(shape, dtype=np.float32)
    rest *= sd[:, None].astype(np.float32)
    rest += (inside.astype(np.float32) - rest @ basis.weights.T) @ basis.weights
    return basis.unscaled(rest)
