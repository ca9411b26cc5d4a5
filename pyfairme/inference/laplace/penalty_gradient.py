"""What the penalties of the first stage do to the effects: a linear term of the second stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpyro import handlers
from numpyro.infer.util import compute_log_probs

from pyfairme.compilation import jitted, per_structure
from pyfairme.data import Batch
from pyfairme.inference.laplace.linear_predictor import LinearPredictor, join
from pyfairme.model.program import ModelSpec, Objective, Totals, build, plain


def pull_of_penalties(
    spec: ModelSpec,
    params: Mapping[str, Any],
    drawn: Mapping[str, Any],
    batch: Batch,
    objective: Objective,
    batch_size: int,
) -> tuple[Array, Array]:
    """Return the penalties' gradient at the effects of the first stage, D (M,) and u (G, a).

    It is that of the first stage's objective with penalties minus without, in the units of the
    second stage's log density (n / kl times those of a mean over rows). A penalty is not linear:
    what pulled in the first stage is its mean over draws of the guide and batches of rows, and a
    gap near zero pulls in either direction from one to the next.

    Parameters
    ----------
    spec, params
        The structure with its penalties; what the first stage fitted, adversaries included.
    drawn
        Every latent by name, draws of the first stage's guide (draws, ...), each for one batch.
    batch, objective
        Training rows with their own weights; the numbers of the objective.
    batch_size
        Rows of a batch in the first stage.
    """
    n, total = batch.x.shape[0], float(np.sum(batch.weight))
    size = min(batch_size, n)
    generator = np.random.default_rng(0)
    number = len(next(iter(drawn.values())))
    index = np.stack([generator.choice(n, size, replace=False) for _ in range(number)])
    totals = Totals(total, total * size / n)
    sites = {site: value for site, value in params.items() if site not in drawn}
    table = jax.device_put(batch)
    pull = _pull(replace(spec, adversaries=()))
    gradient = pull(sites, dict(drawn), table, objective, totals, index)
    scale = total / float(objective.kl)
    return jax.tree.map(lambda v: scale * v, join(LinearPredictor(plain(spec)), gradient))


@per_structure()
def _pull(spec: ModelSpec) -> Callable[..., dict[str, Array]]:
    """Return a function that averages the penalties' gradient by the latents."""
    program = build(spec)
    names = {one.name for one in spec.penalties}

    def terms(latents: Any, sites: Any, *inputs: Any) -> Array:
        seeded = handlers.seed(program.model, jax.random.key(0))
        found, _ = compute_log_probs(seeded, inputs, {}, {**sites, **latents})
        own = [v for k, v in found.items() if k.partition("/")[0] in names]
        return sum(own, start=jnp.zeros(()))

    def mean(
        sites: Any, drawn: Any, table: Batch, objective: Objective, totals: Totals, index: Array
    ) -> Any:
        def add(total: Any, one: tuple[Any, Array]) -> tuple[Any, None]:
            latents, rows = one
            few = jax.tree.map(lambda a: a[rows], table)
            slope = jax.grad(terms)(latents, sites, few, objective, totals)
            return jax.tree.map(jnp.add, total, slope), None

        zero = jax.tree.map(lambda v: jnp.zeros(v.shape[1:]), drawn)
        total, _ = jax.lax.scan(add, zero, (drawn, index))
        return jax.tree.map(lambda v: v / index.shape[0], total)

    return jitted(mean, "steps")
