"""NUTS on the random effects, their scales and the likelihood's parameters; the network is frozen.

The No-U-Turn sampler (Hoffman & Gelman 2014) runs in the coordinates of a fitted block guide:
standard Normal noise that `block_guide.transport` turns into a draw. Where the guide is right the
target is a standard Normal, whatever the number of clusters or the units; where it is not, NUTS
corrects it, since the change of variables is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array
from numpyro import handlers
from numpyro.infer import NUTS
from numpyro.infer.hmc import HMCState
from numpyro.infer.util import log_density

from pyfairme.compilation import jitted, make_room, per_structure
from pyfairme.data import Batch
from pyfairme.inference.chain_convergence import Worth, worst
from pyfairme.inference.fit_stages import Progress, Report, silent
from pyfairme.inference.jax_runtime import with_numpyro
from pyfairme.inference.laplace.block_guide import (
    BlockGuide,
    BlockNoise,
    fit_block,
    guide_for,
    sizes,
    transport,
)
from pyfairme.inference.laplace.laplace_evidence import Layout
from pyfairme.inference.laplace.linear_predictor import LinearPredictor
from pyfairme.inference.smooth_disparity import link_gaps
from pyfairme.model.program import SUMS, ModelSpec, Objective, build, plain, predictor

TARGET_ACCEPT = 0.85
CHUNK = 50  # steps at most between two reports
NO_START = (
    "NUTS found no place to start where the posterior has a finite density: look for extreme "
    "values among the targets and the covariates, or give the scales stronger priors "
    "(prior_scale). [nuts-no-start]"
)


class Sampled(NamedTuple):
    """Draws (chains, draws, ...), what they are worth per latent, and divergences."""

    draws: dict[str, np.ndarray]
    worth: dict[str, Worth]
    divergences: int


class Target(NamedTuple):
    """What the potential depends on, traced."""

    fitted: BlockGuide
    network: Any
    batch: Batch
    objective: Objective
    strength: Array  # of the fairness term, per attribute, times the sum of the rows' weights


@with_numpyro
def sample(
    spec: ModelSpec,
    network: Any,
    first: Mapping[str, np.ndarray],
    batch: Batch,
    objective: Objective,
    *,
    draws: int,
    chains: int,
    warmup: int,
    strength: np.ndarray,
    seed: int,
    report: Report = silent,
    turn: int = 0,
    turns: int = 1,
) -> Sampled:
    """Sample the posterior given the network.

    Parameters
    ----------
    spec
        The fitted structure; attributes and criterion describe the fairness term.
    network
        Layers of one member.
    first
        Values of every latent to start from.
    batch, objective
        Training rows; the prior's scale. Row weights are divided by ``kl_weight`` already.
    draws, chains, warmup
        ChainSteps draws per chain, chains in parallel on one device, and draws of warm-up.
    strength
        Weight of the fairness term per attribute, (A,): the density is multiplied by exp(-strength
        n disparity), with the mean absolute gap of groups as disparity of the mixed prediction.
    seed
        Of the sampler.
    report, turn, turns
        Told of the stages "guide", "compiling" and "sampling"; number of this member,
        from 0, and of all.
    """
    total = warmup + draws
    chunks = -(-total // CHUNK)
    steps = -(-total // chunks)
    make_room((spec, chains, warmup, steps), batch)
    report(Progress("guide", turn, turns))
    bare = plain(spec)
    try:
        fitted = guide_for(fit_block(Layout(bare, bare), first, network, batch, objective))
    except FloatingPointError as error:
        raise FloatingPointError(NO_START) from error
    batch, network = jax.device_put((batch, network))
    target = Target(fitted, network, batch, objective, jnp.asarray(strength * batch.weight.sum()))
    sampler = _sampler(spec, bool(np.any(strength)), chains, warmup, steps)
    report(Progress("compiling", turn, turns, "once for each shape of table"))
    state = sampler.start(jax.random.key(seed), target)
    each = []
    for number in range(chunks):
        state, kept = sampler.advance(state, target)
        if number == 0:
            report(Progress("sampling", turn * total, turns * total, "warm-up", "steps"))
        if not np.isfinite(kept.potential).all():  # a chain that starts there never leaves
            raise FloatingPointError(NO_START)
        done = min((number + 1) * steps, total)
        if done > warmup:
            each.append(jax.tree.map(np.asarray, kept))
        note = "warm-up" if done < warmup else ""
        report(Progress("sampling", turn * total + done, turns * total, note, "steps"))
    skipped = warmup % steps
    every = jax.tree.map(lambda *parts: np.concatenate(parts)[skipped : skipped + draws], *each)
    noise = jax.tree.map(lambda value: np.swapaxes(value, 0, 1), every.noise)
    found = _draws(spec)(fitted, noise)
    values = {name: np.asarray(value) for name, value in found.items()}
    factors = {latent.name for latent in spec.latents if latent.correlations}
    judged = {
        name: _correlations(value) if name in factors else value for name, value in values.items()
    }
    return Sampled(
        values,
        {name: worst(value) for name, value in judged.items() if value.size},
        int(every.diverging.sum()),
    )


def _correlations(cholesky: np.ndarray) -> np.ndarray:
    """Return the lower triangle of L L', (..., pairs): what a Cholesky factor stands for."""
    rows, columns = np.tril_indices(cholesky.shape[-1], -1)
    return (cholesky @ np.swapaxes(cholesky, -1, -2))[..., rows, columns]


class ChainSteps(NamedTuple):
    """What is kept of every step: noise, potential energy and divergence, (steps, chains, ...)."""

    noise: BlockNoise
    potential: Array
    diverging: Array


class NutsSampler(NamedTuple):
    """Compiled once for all members and data of one shape, as many draws as there are."""

    start: Callable[[Array, Target], HMCState]
    advance: Callable[[HMCState, Target], tuple[HMCState, ChainSteps]]


@per_structure(maxsize=16)
def _sampler(spec: ModelSpec, fair: bool, chains: int, warmup: int, steps: int) -> NutsSampler:
    """Return functions that place all chains, and let them go so many steps on."""
    bare = plain(spec)
    layout, program = LinearPredictor(bare), build(bare)

    def given_network(batch: Batch, objective: Objective, network: Any) -> None:
        fixed = handlers.substitute(program.model, data={"network": network})
        handlers.block(fixed, hide=["network"])(batch, objective._replace(kl=1.0), SUMS)

    def model(target: Target) -> None:
        noise = BlockNoise(*(_standard(*item) for item in sizes(layout)._asdict().items()))
        latents, volume = transport(layout, target.fitted, noise)
        arguments = (target.batch, target.objective, target.network)
        with handlers.block():  # the sites of the model are no latents of this one
            log_joint, _ = log_density(given_network, arguments, {}, latents)
        if fair:
            mixed = predictor(bare, target.network, latents, target.batch).mixed
            log_joint = log_joint - target.strength @ link_gaps(spec, mixed, target.batch)
        reference = sum(0.5 * (part**2).sum() for part in noise)  # of the sites above
        numpyro.factor("posterior", log_joint + volume + reference)

    def start(key: Array, target: Target) -> HMCState:
        kernel = NUTS(model, target_accept_prob=TARGET_ACCEPT)
        return kernel.init(jax.random.split(key, chains), warmup, None, (target,), {})

    def advance(state: HMCState, target: Target) -> tuple[HMCState, ChainSteps]:
        kernel = NUTS(model, target_accept_prob=TARGET_ACCEPT)
        # it makes its step in `init`, of which nothing else is needed here: so nothing is compiled
        jax.eval_shape(lambda: kernel.init(state.rng_key, warmup, None, (target,), {}))

        def step(state: HMCState, _: None) -> tuple[HMCState, ChainSteps]:
            state = kernel.sample(state, (target,), {})
            z: Any = state.z
            noise = BlockNoise(**{name: z[name] for name in BlockNoise._fields})
            return state, ChainSteps(noise, state.potential_energy, state.diverging)

        return jax.lax.scan(step, state, None, steps)

    return NutsSampler(jitted(start, "once"), jitted(advance, "rows"))


def _standard(name: str, shape: tuple[int, ...]) -> Any:
    return numpyro.sample(name, dist.Normal(0.0, 1.0).expand(shape).to_event())


@per_structure()
def _draws(spec: ModelSpec) -> Any:
    layout = LinearPredictor(plain(spec))
    one = lambda fitted, noise: transport(layout, fitted, noise)[0]  # noqa: E731
    return jitted(jax.vmap(jax.vmap(one, (None, 0)), (None, 0)), "once")
