"""Reference posteriors by NUTS, from models written here by hand: no line of pyfairme takes part.

    PYFAIRME_DATA=data python tests/benchmarks/nuts_oracle.py [name ...] [--chains --warmup --draws]

Each function below writes out one of lme4's examples as the model that pyfairme defines with
``hidden=()`` and ``network_posterior="last_layer"``: numbers standardised by mean and SD (ddof =
0), levels as 0/1 columns without the first; output weights and bias ~ Normal(0, 2.5) and
residual_sd ~ HalfNormal(1) on that scale; scales of effects ~ HalfNormal(1), on the logit scale
HalfNormal(1.5); columns with random slopes scaled, not centred; correlations ~ LKJ(2). Effects are
drawn around the fixed part (centred parametrisation), except where `cbpp` says otherwise. All
tables but `cbpp` are balanced, so that y is a matrix with a row per cluster.

A run that did not converge (R-hat, divergences, effective sample sizes) writes nothing and ends in
an error; else ``tests/inference/oracles/<name>.csv`` is written, in the units of the data.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin
from numpyro.infer import MCMC, NUTS

RESULTS = Path(__file__).resolve().parents[1] / "inference" / "oracles"
RHAT, ESS = 1.005, 4000
FIXED_SCALE = 2.5  # prior SD of output weights and bias
LOGIT_SCALE = 1.5  # prior scale of effects' SDs on the logit scale

Draws = Mapping[str, Any]  # site -> (chains, draws, ...)


class Quantity(NamedTuple):
    """One number of the posterior: its names and its draws (chains, draws), in the data's units."""

    kind: str  # "fixed" | "effect" | "scale" | "correlation"
    factor: str
    cluster: str
    term: str
    values: np.ndarray


class Oracle(NamedTuple):
    """A model, and how its draws become quantities."""

    model: Callable[[], None]
    quantities: Callable[[Draws], Iterable[Quantity]]
    dense: Any = True  # which sites share a dense mass matrix


def normal(name: str, shape: tuple[int, ...] = ()) -> Any:
    return numpyro.sample(name, dist.Normal(0.0, FIXED_SCALE).expand(shape).to_event())


def half_normal(name: str, scale: float = 1.0, shape: tuple[int, ...] = ()) -> Any:
    return numpyro.sample(name, dist.HalfNormal(scale).expand(shape).to_event())


def around(name: str, centre: Any, tau: Any, clusters: int) -> Any:
    """Draw each cluster's intercept ~ Normal(centre, tau), centre a number or (clusters,)."""
    prior = dist.Normal(jnp.broadcast_to(centre, (clusters,)), tau).to_event(1)
    return numpyro.sample(name, prior)


fixed = partial(Quantity, "fixed", "", "")


def effects(factor: str, clusters: Iterable, term: str, values: np.ndarray) -> list[Quantity]:
    """List the effects of all clusters; values (chains, draws, clusters)."""
    pairs = zip(clusters, np.moveaxis(values, -1, 0), strict=True)
    return [Quantity("effect", factor, str(label), term, column) for label, column in pairs]


def sleepstudy(folder: Path, *, correlated: bool) -> Oracle:
    """Reaction ~ Days + (Days | Subject), or (Days || Subject)."""
    rows = pd.read_csv(folder / "sleepstudy.csv")
    table = rows.pivot(index="Subject", columns="Days", values="Reaction")
    y_mean, y_sd = rows["Reaction"].mean(), rows["Reaction"].std(ddof=0)
    y, days_sd = (table.to_numpy() - y_mean) / y_sd, rows["Days"].std(ddof=0)
    scaled = table.columns.to_numpy() / days_sd  # the slopes' column; x = scaled - scaled.mean()

    def model() -> None:
        bias, weight = normal("bias"), normal("weight")
        residual_sd, tau = half_normal("residual_sd"), half_normal("tau", shape=(2,))
        factor = jnp.eye(2)
        if correlated:
            factor = numpyro.sample("factor", dist.LKJCholesky(2, concentration=2.0))
        centre = jnp.stack([bias - weight * scaled.mean(), weight])
        with numpyro.plate("Subject", len(table)):
            prior = dist.MultivariateNormal(centre, scale_tril=tau[:, None] * factor)
            line: Any = numpyro.sample("line", prior)
        mean = line[:, :1] + line[:, 1:] * scaled
        numpyro.sample("y", dist.Normal(mean, residual_sd).to_event(2), obs=y)

    def quantities(draws: Draws) -> Iterable[Quantity]:
        slope = y_sd / days_sd
        start = draws["bias"] - draws["weight"] * scaled.mean()
        yield fixed("Intercept", start * y_sd + y_mean)
        yield fixed("Days", draws["weight"] * slope)
        deviation = draws["line"] - np.stack([start, draws["weight"]], axis=-1)[..., None, :]
        yield from effects("Subject", table.index, "Intercept", deviation[..., 0] * y_sd)
        yield from effects("Subject", table.index, "Days", deviation[..., 1] * slope)
        yield Quantity("scale", "residual", "", "residual_sd", draws["residual_sd"] * y_sd)
        yield Quantity("scale", "Subject", "", "Intercept", draws["tau"][..., 0] * y_sd)
        yield Quantity("scale", "Subject", "", "Days", draws["tau"][..., 1] * slope)
        if correlated:
            found = draws["factor"][..., 1, 0]
            yield Quantity("correlation", "Subject", "", "cor(Intercept, Days)", found)

    return Oracle(model, quantities)


def penicillin(folder: Path) -> Oracle:
    """Diameter ~ 1 + (1 | plate) + (1 | sample); the constant is part of the samples' effects."""
    rows = pd.read_csv(folder / "Penicillin.csv")
    table = rows.pivot(index="plate", columns="sample", values="diameter")
    y_mean, y_sd = rows["diameter"].mean(), rows["diameter"].std(ddof=0)
    y = (table.to_numpy() - y_mean) / y_sd

    def model() -> None:
        bias, residual_sd = normal("bias"), half_normal("residual_sd")
        plate = around("plate", 0.0, half_normal("plate_sd"), table.shape[0])
        sample = around("sample", bias, half_normal("sample_sd"), table.shape[1])
        mean = plate[:, None] + sample
        numpyro.sample("y", dist.Normal(mean, residual_sd).to_event(2), obs=y)

    def quantities(draws: Draws) -> Iterable[Quantity]:
        yield fixed("Intercept", draws["bias"] * y_sd + y_mean)
        sample = draws["sample"] - draws["bias"][..., None]
        yield from effects("plate", table.index, "Intercept", draws["plate"] * y_sd)
        yield from effects("sample", table.columns, "Intercept", sample * y_sd)
        yield Quantity("scale", "residual", "", "residual_sd", draws["residual_sd"] * y_sd)
        yield Quantity("scale", "plate", "", "Intercept", draws["plate_sd"] * y_sd)
        yield Quantity("scale", "sample", "", "Intercept", draws["sample_sd"] * y_sd)

    return Oracle(model, quantities)


def cbpp(folder: Path) -> Oracle:
    """Diseased ~ period + (1 | herd), one 0/1 row per animal.

    Equal rows are counted together: Binomial(size) is their likelihood up to a constant. Herds say
    little each, so their effects are drawn in units of their SD (non-centred parametrisation).
    """
    rows = pd.read_csv(folder / "cbpp.csv")
    herd, herds = pd.factorize(rows["herd"], sort=True)
    period, periods = pd.factorize(rows["period"], sort=True)
    marks = np.eye(len(periods))[period][:, 1:]
    member = np.eye(len(herds))[herd]

    def model() -> None:
        bias, weight = normal("bias"), normal("weight", (len(periods) - 1,))
        tau = half_normal("herd_sd", LOGIT_SCALE)
        herd_effect = tau * around("unit", 0.0, 1.0, len(herds))
        logits = bias + marks @ weight + member @ herd_effect
        binomial = dist.Binomial(rows["size"].to_numpy(), logits=logits).to_event(1)
        numpyro.sample("y", binomial, obs=rows["incidence"].to_numpy())

    def quantities(draws: Draws) -> Iterable[Quantity]:
        yield fixed("Intercept", draws["bias"])
        for index, label in enumerate(periods[1:]):
            yield fixed(f"period[{label}]", draws["weight"][..., index])
        herd_effects = draws["unit"] * draws["herd_sd"][..., None]
        yield from effects("herd", herds, "Intercept", herd_effects)
        yield Quantity("scale", "herd", "", "Intercept", draws["herd_sd"])

    return Oracle(model, quantities)


def verbagg(folder: Path) -> Oracle:
    """r2 ~ Anger + Gender + btype + situ + (1 | id) + (1 | item): r2 = "Y" is 1.

    Anger and gender belong to persons, behaviour and situation to items: each part is the centre of
    that factor's effects.
    """
    rows = pd.read_csv(folder / "VerbAgg.csv")
    y = rows.pivot(index="id", columns="item", values="r2") == "Y"
    people = rows.drop_duplicates("id").set_index("id").loc[y.index]
    items = rows.drop_duplicates("item").set_index("item").loc[y.columns]
    anger_mean, anger_sd = rows["Anger"].mean(), rows["Anger"].std(ddof=0)
    anger, male = (people["Anger"] - anger_mean) / anger_sd, people["Gender"] == "M"
    marks = [items["btype"] == "scold", items["btype"] == "shout", items["situ"] == "self"]
    person_x, item_x = np.stack([anger, male], 1).astype(float), np.stack(marks, 1).astype(float)

    def model() -> None:
        bias = normal("bias")
        by_person, by_item = normal("by_person", (2,)), normal("by_item", (3,))
        id_sd, item_sd = half_normal("id_sd", LOGIT_SCALE), half_normal("item_sd", LOGIT_SCALE)
        person = around("id", person_x @ by_person, id_sd, len(people))
        item = around("item", bias + item_x @ by_item, item_sd, len(items))
        logits = person[:, None] + item
        numpyro.sample("y", dist.Bernoulli(logits=logits).to_event(2), obs=y.to_numpy(dtype=int))

    def quantities(draws: Draws) -> Iterable[Quantity]:
        per_unit = draws["by_person"][..., 0] / anger_sd
        yield fixed("Intercept", draws["bias"] - per_unit * anger_mean)
        yield fixed("Anger", per_unit)
        yield fixed("Gender[M]", draws["by_person"][..., 1])
        for index, term in enumerate(("btype[scold]", "btype[shout]", "situ[self]")):
            yield fixed(term, draws["by_item"][..., index])
        person = draws["id"] - draws["by_person"] @ person_x.T
        item = draws["item"] - draws["bias"][..., None] - draws["by_item"] @ item_x.T
        yield from effects("id", y.index, "Intercept", person)
        yield from effects("item", y.columns, "Intercept", item)
        yield Quantity("scale", "id", "", "Intercept", draws["id_sd"])
        yield Quantity("scale", "item", "", "Intercept", draws["item_sd"])

    return Oracle(model, quantities, [("bias", "by_person", "by_item", "item", "item_sd", "id_sd")])


ORACLES: dict[str, Callable[[Path], Oracle]] = {
    "sleepstudy": partial(sleepstudy, correlated=True),
    "sleepstudy_uncorrelated": partial(sleepstudy, correlated=False),
    "penicillin": penicillin,
    "cbpp": cbpp,
    "verbagg": verbagg,
}


def summary(quantity: Quantity) -> dict[str, Any]:
    """Summarise one quantity; `worst` is the least ESS among mean, SD and both tails."""
    values = quantity.values
    mean, sd, squares = values.mean(), values.std(), (values - values.mean()) ** 2
    found: dict[str, Any] = {"mean": mean, "sd": sd}
    found["q05"], found["median"], found["q95"] = np.quantile(values, [0.05, 0.5, 0.95])
    ess, ess_squares = effective_sample_size(values), effective_sample_size(squares)
    tails = [effective_sample_size((values <= found[end]) * 1.0) for end in ("q05", "q95")]
    found |= {"ess": round(float(ess)), "mcse": sd / np.sqrt(ess)}
    found["mcse_sd"] = squares.std() / np.sqrt(ess_squares) / (2 * sd)
    found |= {"rhat": split_gelman_rubin(values), "worst": min(ess, ess_squares, *tails)}
    names = quantity._asdict()
    del names["values"]
    return names | found


def run(name: str, options: argparse.Namespace) -> pd.DataFrame:
    """Fit one model and summarise all its quantities; SystemExit when it did not converge."""
    oracle = ORACLES[name](options.data / "lme4")
    mcmc = MCMC(
        NUTS(oracle.model, dense_mass=oracle.dense, target_accept_prob=options.accept),
        num_warmup=options.warmup,
        num_samples=options.draws,
        num_chains=options.chains,
        chain_method="vectorized",
        progress_bar=False,
    )
    start = time.perf_counter()
    mcmc.run(jax.random.key(options.seed), extra_fields=("diverging", "num_steps"))
    fields = mcmc.get_extra_fields()
    divergences, steps = int(fields["diverging"].sum()), float(fields["num_steps"].mean())
    draws = {site: np.asarray(v) for site, v in mcmc.get_samples(group_by_chain=True).items()}
    table = pd.DataFrame([summary(quantity) for quantity in oracle.quantities(draws)])
    rhat, worst, seconds = max(table["rhat"]), min(table["worst"]), time.perf_counter() - start
    print(
        f"{name}: R-hat {rhat:.4f}, divergences {divergences}, least ESS {worst:.0f} (means "
        f"{min(table['ess'])}), steps a draw {steps:.1f}, {seconds:.0f} s",
        flush=True,
    )
    if rhat >= RHAT or divergences or worst < ESS:
        raise SystemExit(
            f"Expected R-hat below {RHAT}, no divergences and ESS of at least {ESS}: raise "
            "--warmup, --draws or --accept. Nothing was written."
        )
    return table.drop(columns=["rhat", "worst"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Write reference posteriors, by NUTS.")
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(ORACLES))
    parser.add_argument("--data", type=Path, default=os.environ.get("PYFAIRME_DATA", "data"))
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--warmup", type=int, default=2000)
    parser.add_argument("--draws", type=int, default=20000)
    parser.add_argument("--accept", type=float, default=0.9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    if unknown := set(options.names) - set(ORACLES):
        parser.error(f"expected names among {', '.join(ORACLES)}; got {', '.join(unknown)}")
    numpyro.enable_x64()
    options.results.mkdir(parents=True, exist_ok=True)
    for name in options.names or ORACLES:
        table = run(name, options)
        table.to_csv(options.results / f"{name}.csv", index=False, float_format="%.5g")


if __name__ == "__main__":
    main()
