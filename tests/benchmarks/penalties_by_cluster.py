"""Do penalties that look at each cluster, or at the worst, do better on clusters never seen?

`python tests/benchmarks/penalties_by_cluster.py fit --out DIR [--seeds 0] [--folds 3] [--splits]
[--penalties adversarial] [--modes pooled within worst] [--weights 0 .3 1]`, then `judge --out DIR`
with the same seeds (`--part seen`, `--effects fixed`, `--against KIND`): Adult.

Penalties of the paper's variant `medl_adb` are wrapped (`ByCluster`): they compare groups over all
rows as ever ("pooled"), over rows weighed so that clusters count alike within each outcome
("alike"), within each cluster, with an adversary of its own each ("within"), or so with weights on
the clusters by exponentiated gradient on their disparities ("worst", as in Sagawa et al. 2020).
Six occupations are seen, as in the study of the paper; with `--splits` the seeds number random
halves of the 14 larger ones. Weights of cells are counted over all rows of seen clusters. `judge`
prints what became of the unseen rows: TPR and FPR SD and balanced accuracy, means over fits, and
paired differences from "pooled" with the standard errors of fits and of rows (drawn again within
occupation x outcome; fits share the draws).
"""

import argparse
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pandas as pd
from frontier_problem import load_task
from numpyro import handlers

import pyfairme as pf
from pyfairme.model.penalties import Adversarial, AttributeCodes, Moment, plain_factor
from pyfairme.study.crossval.splits import rotations, strata

PREFIX = "group of "  # columns that only the penalties see
MODES = ("pooled", "alike", "within", "worst")
MOST_BALANCE = 20.0  # weight of a level in a cluster, at most
DRAWS = 300


@dataclass(frozen=True)
class ByCluster:
    """A penalty that knows the cluster: the last attribute, which has weight 0.

    ``cells`` (2, G) weigh rows by outcome and cluster, ``balance`` levels by attribute and
    cluster (by attribute alone for "alike"); ``chance`` is the cross-entropy of a guess by
    attribute and cluster, ``mass`` the clusters' shares of the rows.
    """

    base: Any
    mode: str
    cells: tuple[tuple[float, ...], ...]
    balance: tuple[Any, ...]
    chance: tuple[tuple[float, ...], ...]
    mass: tuple[float, ...]
    name: str = "clusters_adversarial"

    def __call__(self, name: str, view: Any, attributes: Any, criterion: str) -> None:
        """Register factors of the attributes, or of every attribute in every cluster."""
        *own, last = attributes
        at, codes = len(own), view.sensitive[:, -1]
        plain_factor(name, view, at, last, jnp.zeros(()))
        seen = view._replace(
            sensitive=view.sensitive[:, :at], balance=view.balance[:at], strength=view.strength[:at]
        )
        if self.mode == "pooled":
            self.base(name, seen, tuple(own), criterion)
        elif self.mode == "alike":
            weight = jnp.asarray(self.cells)[view.strata.argmax(axis=1), codes] * (codes >= 0)
            balance = tuple(jnp.asarray(one) for one in self.balance)
            seen = seen._replace(share=view.share * weight, balance=balance)
            self.base(name, seen, tuple(own), criterion)
        else:
            self._each(name, seen, codes, own, criterion)

    def _each(
        self, name: str, view: Any, codes: Any, own: list[AttributeCodes], criterion: str
    ) -> None:
        count, adversarial = len(self.mass), isinstance(self.base, Adversarial)
        theta = jnp.zeros((len(own), count))
        if self.mode == "worst":
            site = f"{name.replace('adversarial', 'adversary')}_log_weights_{view.name}"
            start = (theta,)
            theta: Any = numpyro.param(site, lambda _: start)[0]
        scale = jax.lax.stop_gradient(jax.nn.softmax(theta, axis=1))  # (A, G), rows sum to 1
        if adversarial:  # its loss is a sum over all rows, of which a cluster has a part
            scale = scale / jnp.asarray(self.mass)
        pairs = [(a, g) for a in range(len(own)) for g in range(count)]
        split = view._replace(
            sensitive=jnp.stack(
                [jnp.where(codes == g, view.sensitive[:, a], -1) for a, g in pairs], axis=1
            ),
            balance=tuple(jnp.asarray(self.balance[a][g]) for a, g in pairs),
            strength=(view.strength[:, None] * scale).reshape(-1),
        )
        parts = tuple(AttributeCodes(f"{own[a].name} in {g}", own[a].levels) for a, g in pairs)
        with handlers.trace() as sites:
            self.base(name, split, parts, criterion)
        if self.mode == "worst":
            loss = [-sites[f"{name}/{view.name}/{one.name}"]["fn"].log_factor for one in parts]
            unfair = jnp.stack(loss).reshape(len(own), count)
            if adversarial:
                unfair = jnp.asarray(self.chance) - unfair / jnp.asarray(self.mass)
            step = jax.lax.stop_gradient(unfair - unfair.mean(axis=1, keepdims=True))
            numpyro.factor(f"{name}/{view.name}/log_weights", (theta * step).sum())


def by_cluster(
    base: Any, mode: str, y: np.ndarray, cluster: np.ndarray, groups: list[np.ndarray]
) -> ByCluster:
    """Return the penalty with its weights; codes (n,) of outcomes, clusters and groups."""
    if mode == "pooled":
        return ByCluster(base, mode, (), (), (), ())
    n, count = len(y), cluster.max() + 1
    table = np.zeros((2, count))
    np.add.at(table, (y, cluster), 1.0)
    cells = table.sum(axis=1, keepdims=True) / (count * np.maximum(table, 1.0))
    balance, chance = [], []
    for codes in groups:
        levels = codes.max() + 1
        if mode == "alike":
            mass = np.bincount(codes, cells[y, cluster], levels)
            balance.append(tuple(map(float, mass.sum() / (levels * mass))))
            continue
        balances, chances = [], []
        for g in range(count):
            rows = cluster == g
            held = np.zeros((2, levels))
            np.add.at(held, (y[rows], codes[rows]), 1.0)
            mass = held.sum(axis=0)
            there = (mass > 0).sum()
            weight = np.minimum(rows.sum() / (there * np.maximum(mass, 1.0)), MOST_BALANCE)
            weighted = held * weight / rows.sum()
            p = weighted / np.maximum(weighted.sum(axis=1, keepdims=True), 1e-12)
            chances.append(float(-(weighted * np.log(np.maximum(p, 1e-12))).sum()))
            balances.append(tuple(map(float, weight)))
        balance.append(tuple(balances))
        chance.append(tuple(chances))
    return ByCluster(
        base, mode, tuple(tuple(map(float, row)) for row in cells), tuple(balance), tuple(chance),
        tuple(map(float, np.bincount(cluster) / n)),
    )  # fmt: skip


PENALTIES = {"adversarial": Adversarial(), "moment": Moment()}


def deal(options: argparse.Namespace) -> Any:
    """Yield the name, seed, rows to fit and rows never seen of every fit's table."""
    task = load_task("adult", None)
    data = task.data
    if not options.splits:
        for seed in options.seeds:
            turns = rotations(strata(data)[task.known], 10, seed)
            for fold in np.linspace(0, 9, options.folds + 1).astype(int)[:-1]:
                turn = turns[fold]
                own = np.sort(task.known[np.concatenate([turn.training, turn.validation])])
                yield f"six-{seed}-{fold}", 100 * seed + fold, own, task.known, task.unknown
        return
    labels = data.frame["occupation"]
    large = labels.value_counts().loc[lambda c: c >= 100].index.astype(str).sort_values()
    for split in options.seeds:
        rng = np.random.default_rng(split)
        aside = rng.permutation(large.to_numpy())[: len(large) // 2]
        inside = labels.isin(large) & ~labels.isin(aside)
        known, away = np.flatnonzero(inside), np.flatnonzero(labels.isin(aside))
        for turn in range(options.folds):
            yield f"half-{split}-{turn}", 100 * split + turn, known, known, away


def run(options: argparse.Namespace) -> None:
    """Fit what is missing in the folder; one file of decisions on the unseen rows each."""
    warnings.simplefilter("ignore")
    task = load_task("adult", None)
    frame, y = task.data.frame.copy(), task.data.target.to_numpy()
    covariates = [c for c in frame.columns if c not in ("fnlwgt", "native_country")]
    names = [*task.groups]
    for name in names:
        frame[PREFIX + name] = pd.Categorical(task.groups[name])
    frame[PREFIX + "cluster"] = frame["occupation"].astype(object)
    columns = [PREFIX + name for name in names]
    settings = {k: v for k, v in pf.VARIANTS["medl_adb"].items() if not k.startswith("fairness_w")}
    for table, seed, own, known, away in deal(options):
        cluster = np.unique(frame["occupation"].iloc[known].astype(str), return_inverse=True)[1]
        groups = [np.unique(task.groups[name], return_inverse=True)[1][known] for name in names]
        for penalty in options.penalties:
            for mode in options.modes:
                for weight in options.weights:
                    if weight == 0 and (penalty, mode) != (options.penalties[0], options.modes[0]):
                        continue
                    kind = f"{penalty}-{mode}" if weight else "none-none"
                    path = Path(options.out) / f"{table}_{kind}-{weight:g}.npz"
                    if path.exists():
                        continue
                    wrapped = by_cluster(PENALTIES[penalty], mode, y[known], cluster, groups)
                    clf = pf.FairMixedEffectsClassifier(
                        "occupation", [*columns, PREFIX + "cluster"],
                        **{**settings, "fairness": wrapped if weight else None},
                        fairness_weight=dict.fromkeys(columns, weight), drop_sensitive=True,
                        threshold="balanced_accuracy", random_state=seed, progress=False,
                    )  # fmt: skip
                    used = [*covariates, *columns, PREFIX + "cluster"]
                    clf.fit(frame[used].iloc[own], y[own])
                    levels = {a.name: list(a.levels) for a in clf.design_.attributes}
                    assert all(levels[PREFIX + n] == sorted(set(task.groups[n])) for n in names)
                    rows = np.concatenate([away, np.setdiff1d(known, own)])
                    found = {}
                    for effects in ("mixed", "fixed"):
                        p = clf.predict_proba(frame[used].iloc[rows], effects)[:, 1]
                        found[effects] = (p >= clf.threshold_[effects]).astype(np.int8)
                    last = clf.history_.iloc[-1].filter(like="clusters_").to_dict()
                    np.savez(path, rows=rows, unseen=len(away), **found, **{"log": str(last)})
                    print(path.stem, flush=True)


def spreads(
    decided: np.ndarray, y: np.ndarray, codes: dict[str, np.ndarray], weight: np.ndarray
) -> pd.DataFrame:
    """Return TPR and FPR SD of every attribute and balanced accuracy under weights (b, n)."""
    found, rates = {}, []
    for outcome, rate in ((1, "tpr"), (0, "fpr")):
        rows = y == outcome
        own, hits = weight[:, rows], decided[rows].astype(float)
        rates.append(own @ hits / own.sum(axis=1))
        for name, groups in codes.items():
            one_hot = np.eye(groups.max() + 1)[groups[rows]]
            mass = own @ one_hot
            with np.errstate(invalid="ignore", divide="ignore"):
                each = np.where(mass > 0, (own * hits) @ one_hot / mass, np.nan)
            found[f"{rate} {name}"] = np.nanstd(each, axis=1)
            if groups.max() == 1:
                found[f"{rate} gap {name}"] = each[:, 0] - each[:, 1]
    found["balanced accuracy"] = (rates[0] + 1 - rates[1]) / 2
    return pd.DataFrame(found)


def judge(options: argparse.Namespace) -> None:
    """Print every point, and its paired differences from "pooled" at the same weight."""
    task = load_task("adult", None)
    y = task.data.target.to_numpy()
    labels = task.data.frame["occupation"].astype(object).fillna("none").to_numpy()
    codes = {name: np.unique(each, return_inverse=True)[1] for name, each in task.groups.items()}
    lines, weights = [], {}
    for path in sorted(Path(options.out).glob("*.npz")):
        table, kind = path.stem.split("_")
        if int(table.split("-")[1]) not in options.seeds or (table[:4] == "half") != options.splits:
            continue
        held = np.load(path)
        rows, unseen = held["rows"], int(held["unseen"])
        part = slice(unseen) if options.part == "unseen" else slice(unseen, None)
        rows, decided = rows[part], held[options.effects][part]
        key = table if options.splits or options.part != "unseen" else "all"
        if key not in weights:
            rng, drawn = np.random.default_rng(0), np.ones((DRAWS + 1, len(rows)))
            for cell in np.unique(
                cells := np.char.add(labels[rows].astype(str), y[rows].astype(str))
            ):
                at = np.flatnonzero(cells == cell)
                drawn[1:, at] = rng.multinomial(len(at), np.full(len(at), 1 / len(at)), DRAWS)
            weights[key] = drawn
        own = {name: each[rows] for name, each in codes.items()}
        values = spreads(decided, y[rows], own, weights[key])
        lines.append(values.assign(table=table, kind=kind, draw=np.arange(DRAWS + 1)))
    every = pd.concat(lines).set_index(["kind", "table", "draw"])
    point = every.xs(0, level="draw")
    print(point.groupby("kind").mean().round(4).T.to_string())
    print("fits:", point.groupby("kind").size().to_dict())
    for kind in point.index.unique("kind"):
        penalty, _, weight = kind.split("-", 2)
        base = f"{penalty}-pooled-{weight}" if options.against is None else options.against
        if kind == base or base not in point.index.unique("kind") or penalty == "none":
            continue
        shared = point.loc[kind].index.intersection(point.loc[base].index)
        gain = (point.loc[kind] - point.loc[base]).loc[shared]
        drawn = (every.loc[kind] - every.loc[base]).loc[shared].groupby("draw").mean()
        table = pd.DataFrame(
            {
                "difference": gain.mean(),
                "se of fits": gain.std(ddof=1) / np.sqrt(len(gain)),
                "se of rows": drawn.iloc[1:].std(ddof=1),
            }
        )
        print(f"\n{kind} less {base}\n{table.round(4).T.to_string()}")


def main() -> None:
    """Fit or judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("fit", "judge"))
    parser.add_argument("--out", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--modes", nargs="+", default=list(MODES))
    parser.add_argument("--penalties", nargs="+", default=["adversarial"])
    parser.add_argument("--weights", type=float, nargs="+", default=[0.0, 0.1, 0.3, 1.0])
    parser.add_argument("--splits", action="store_true")
    parser.add_argument("--effects", default="mixed")
    parser.add_argument("--part", default="unseen")
    parser.add_argument("--against", default=None)
    options = parser.parse_args()
    (run if options.what == "fit" else judge)(options)


if __name__ == "__main__":
    main()
