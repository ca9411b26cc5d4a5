"""BlackJAX's `laplace_hmc` (Margossian et al. 2020) on cbpp, beside the block guide.

The model is the one written by hand in `nuts_oracle.py`: herds' effects are integrated out by
Laplace's method, Hamiltonian Monte Carlo moves the other parameters, and the effects are drawn from
their Gaussian given these. Needs ``pip install blackjax``, which is no dependency of pyfairme.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from numpyro.infer.util import log_density

from pyfairme.estimators.posterior_labels import posterior_labels
from tests.benchmarks import nuts_oracle
from tests.benchmarks.conformance_lines import Line, Source, posteriors
from tests.benchmarks.guides_against_nuts import KEYS, quantities, read

WARMUP, DRAWS, STEPS = 500, 4000, 8  # leapfrog steps of a draw
STEP = 0.35  # in posterior SDs


def sampled(folder: Path) -> dict[str, np.ndarray]:
    """Return draws (1, DRAWS, ...) of the sites of `nuts_oracle.cbpp`; ``folder``: lme4's data."""
    import blackjax
    from blackjax.mcmc.laplace_marginal import laplace_marginal_factory

    model = nuts_oracle.cbpp(folder).model
    herds = pd.read_csv(folder / "cbpp.csv")["herd"].nunique()

    def log_joint(unit: Any, phi: Any) -> Any:
        values = {"bias": phi[0], "weight": phi[1:4], "herd_sd": jnp.exp(phi[4]), "unit": unit}
        return log_density(model, (), {}, values)[0] + phi[4]  # of log herd_sd

    laplace = laplace_marginal_factory(log_joint, jnp.zeros(herds), maxiter=100)

    def run(key: Any, phi: Any, variance: Any, draws: int, step: float) -> Any:
        kernel = blackjax.laplace_hmc(
            log_joint, theta_init=jnp.zeros(herds), step_size=step, inverse_mass_matrix=variance,
            num_integration_steps=STEPS, maxiter=100,
        )  # fmt: skip

        def move(state: Any, key: Any) -> Any:
            state, info = kernel.step(key, state)
            found = (state.position, state.theta_star, info.acceptance_rate)
            return state, (*found, info.is_divergent, info.lbfgs_hit_maxiter)

        return jax.lax.scan(move, kernel.init(phi), jax.random.split(key, draws))[1]

    with jax.enable_x64(True):
        first, second, third = jax.random.split(jax.random.key(0), 3)
        start = jnp.array([-1.0, -1.0, -1.0, -1.0, -0.5])
        pilot = np.asarray(run(first, start, jnp.full(5, 0.1), WARMUP, STEP)[0])[WARMUP // 2 :]
        variance = jnp.asarray(pilot.var(axis=0))
        phi, mode, rate, diverged, stuck = run(second, pilot[-1], variance, DRAWS, STEP)
        print(
            f"BlackJAX: acceptance {float(rate.mean()):.2f}, {int(diverged.sum())} divergences, "
            f"{int(stuck.sum())} searches for a mode that did not end"
        )
        keys = jax.random.split(third, DRAWS)
        unit = jax.vmap(laplace.sample_theta)(keys, phi, mode)
    sites = {"bias": phi[:, 0], "weight": phi[:, 1:4], "herd_sd": jnp.exp(phi[:, 4]), "unit": unit}
    return {name: np.asarray(values)[None] for name, values in sites.items()}


def blackjax_lines(data: Path) -> list[Line]:
    """Return the part "blackjax"."""
    folder = data / "lme4"
    drawn = sampled(folder)
    every = [nuts_oracle.summary(one) for one in nuts_oracle.cbpp(folder).quantities(drawn)]
    reference = pd.DataFrame(every)
    print(f"BlackJAX: least effective sample size {reference['ess'].min()}")
    model = read("cbpp", folder).fit(guide="block", network_posterior="last_layer")
    ours = quantities(model.fit_, posterior_labels(model))
    both = reference.merge(ours, on=KEYS, suffixes=("", "_ours"), validate="1:1")
    both.index = both[KEYS].agg(" ".join, axis=1).str.split().str.join(" ")
    by = f"BlackJAX laplace_hmc, {DRAWS:,} draws, run here"
    source = Source("cbpp", "diseased ~ period + (1 | herd), our priors", by, "block")
    theirs = both[["mean_ours", "sd_ours"]].set_axis(["mean", "sd"], axis=1)
    inner, found = both["kind"] == "effect", []
    for rows, of in ((~inner, " of fixed effects and scale"), (inner, " of effects")):
        found += posteriors(source, both.loc[rows, ["mean", "sd"]], theirs[rows], of)
    return found
