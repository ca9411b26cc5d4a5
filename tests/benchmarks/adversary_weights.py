"""Whether a weight acts, and no adversary collapses, where positives are few (docs/results).

    python tests/benchmarks/adversary_weights.py made-16000-12-87-3-0.3 --models medl_adb

Made-up tables are named by training rows, per cent of positives, clusters, strength of the groups
and of all else, numeric columns and the SD of their slopes over clusters: "made-16000-12-87-3-0.3"
is one where little but the groups tells the outcome. "+3" at the end makes three of the training
rows of its fifth group a group of their own, and a third of that group's rows to judge by.
Other tables are those of few_positives.py. `--models` are variants, "default", "adversarial" (the
default with the paper's adversary) and "point", the default with a network without posterior.
Rates of made-up tables are those that the true probabilities expect, so that few test positives
are no noise. Finished fits are appended to `--store`, and not made again.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score

import pyfairme as pf
from tests.benchmarks import few_positives

WEIGHTS = (0.0, 0.1, 0.3, 1.0, 3.0)
SHARES = (0.42, 0.25, 0.15, 0.10, 0.05, 0.03)  # of the groups of one attribute
EFFECTS = (-0.2, 1.0, -0.6, 0.6, -1.0, 0.2)
JUDGED = 20_000
MODELS: dict[str, dict[str, Any]] = {
    "default": {},
    "point": {"network_posterior": "none"},
    "adversarial": {"fairness": "adversarial"},
    "medl_adb, decay auto": pf.VARIANTS["medl_adb"] | {"weight_decay": "auto"},
    "medl_adb without slopes": pf.VARIANTS["medl_adb"] | {"random_slopes": None},
    **{name: dict(keywords) for name, keywords in pf.VARIANTS.items()},
}


def made(
    rows, percent, clusters, groups=1.0, others=1.0, numbers=3, slopes=0.25, seed=0, judged=JUDGED
):
    """Return rows, outcomes, true probabilities: places, off-centre numbers, groups of 3 % and up.

    Six groups ("race") live apart from each other, "sex" has two; both are columns of the table.
    """
    rng = np.random.default_rng(1000 + seed)
    n, numbers, levels = rows + judged, int(numbers), len(SHARES)
    cluster = rng.choice(clusters, n, p=rng.dirichlet(np.full(clusters, 1.5)))
    place = rng.normal(size=(clusters, 2))[cluster] + 0.35 * rng.normal(size=(n, 2))
    chance = np.exp(np.log(SHARES) + place @ (0.7 * rng.normal(size=(2, levels))))
    chance /= chance.sum(axis=1, keepdims=True)
    race = (chance.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(0, levels - 1)
    sex = (rng.random(n) < 0.38).astype(int)
    kind, hour = rng.integers(3, size=n), rng.integers(24, size=n)
    x = rng.normal(size=(n, numbers))
    slope = slopes * rng.normal(size=(clusters, numbers))[cluster]
    link = 0.5 * np.sin(place[:, 0]) + 0.3 * place[:, 1] + 0.5 * (kind - 1.0)
    link += 0.4 * np.cos(hour * np.pi / 12) + (x * (np.linspace(0.5, 0.2, numbers) + slope)).sum(1)
    link = others * (link + 0.5 * rng.normal(size=clusters)[cluster])
    link += groups * (0.8 * np.array(EFFECTS)[race] + 0.55 * (1 - 2 * sex))
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        under = np.mean(1 / (1 + np.exp(-link - middle))) < percent / 100
        low, high = (middle, high) if under else (low, middle)
    truth = 1 / (1 + np.exp(-link - low))
    frame = pd.DataFrame({"lat": 45 + 0.03 * place[:, 0], "long": -93 + 0.02 * place[:, 1]})
    frame["hour"], frame["kind"] = hour, np.array(list("abc"))[kind]
    frame = frame.assign(**{f"x{j}": 40 + x[:, j] for j in range(numbers)})
    frame["race"], frame["sex"] = np.array(list("uvwxyz"))[race], np.array(list("mf"))[sex]
    frame["place"] = np.char.add("c", cluster.astype(str))
    return frame, (rng.random(n) < truth).astype(int), truth


def table(name, seed):
    """Return training rows, rows to judge by, the latter's chance of y = 1, and the roles."""
    if name.startswith("made-"):
        name, _, few = name.partition("+")
        rows, percent, clusters, *strengths = (float(v) for v in name.split("-")[1:])
        rows = int(rows)
        frame, y, truth = made(rows, percent, int(clusters), *strengths, seed=seed)
        training, judged = frame[:rows].copy(), frame[rows:].reset_index(drop=True)
        if few:
            name_few(training, judged, int(few), np.random.default_rng(7 + seed))
        return (training, judged, y[:rows], y[rows:], truth[rows:]), "place", ["race", "sex"]
    parts, cluster, sensitive, _ = few_positives.table(name, seed, apart=False)
    return (*parts, parts[3].astype(float)), cluster, sensitive


def name_few(training, judged, few, rng):
    """Make some rows of a group a group of their own, and a third of its rows to judge by."""
    for frame, count in ((training, few), (judged, None)):
        own = np.flatnonzero((frame["race"] == "y").to_numpy())
        rows = rng.choice(own, count or len(own) // 3, replace=False)
        frame["race"] = frame["race"].astype(object)
        frame.iloc[rows, frame.columns.get_loc("race")] = "few"


def groups_of(sensitive, frame):
    """Return the groups of every row, by attribute."""
    names = [one if isinstance(one, str) else one.name for one in sensitive]
    found = dict(zip(names, sensitive, strict=True))
    return {
        name: frame[one].astype(str).to_numpy()
        if isinstance(one, str)
        else np.digitize(frame[one.column], one.edges).astype(str)
        for name, one in found.items()
    }


def spread(decided, weight, groups):
    """Return the SD over groups of the rate of decisions among the rows that weigh something."""
    own = pd.DataFrame({"decided": decided * weight, "weight": weight}).groupby(groups).sum()
    return float((own["decided"] / own["weight"]).dropna().std(ddof=0))


def judged_fit(name, seed, weight, keywords):
    """Fit once, and return skill, spreads by attribute, and what the fit warned of."""
    (X, X_test, y, y_test, truth), cluster, sensitive = table(name, seed)
    begun = time.perf_counter()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = pf.FairMixedEffectsClassifier(
            cluster, sensitive, threshold="balanced_accuracy", unseen="population",
            random_state=seed, progress=False, **(keywords | {"fairness_weight": weight}),
        ).fit(X, y)  # fmt: skip
    seconds = time.perf_counter() - begun
    p = model.predict_proba(X_test)[:, 1]
    decided = (model.predict(X_test) == model.classes_[-1]).astype(float)
    constant = log_loss(y_test, np.full(len(y_test), y.mean()))
    spreads = {}
    for attribute, groups in groups_of(sensitive, X_test).items():
        spreads[f"tpr_sd {attribute}"] = spread(decided, truth, groups)
        spreads[f"fpr_sd {attribute}"] = spread(decided, 1 - truth, groups)
    codes = [str(one.message).rpartition("[")[2].rstrip("]") for one in said]
    return {
        "auroc": roc_auc_score(y_test, p),
        "loss": log_loss(y_test, p) / constant - 1,
        **spreads,
        "mean_sd": float(np.mean(list(spreads.values()))),
        "worst_sd": max(spreads.values()),
        "positive": float(decided.mean()),
        "collapsed": float("collapsed" in codes),
        "warned": ", ".join(sorted(set(codes))),
        "seconds": seconds,
    }


def stored_lines(store: Path) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return what a file of finished fits holds, by key; nothing where there is none yet."""
    lines = store.read_text(encoding="utf-8").splitlines() if store.exists() else []
    return {tuple(one["key"]): one for one in map(json.loads, lines)}


def main() -> None:
    """Make the fits that are missing, and print means over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tables", nargs="+")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["medl_adb", "point"])
    parser.add_argument("--weights", type=float, nargs="+", default=WEIGHTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--store", type=Path, default=Path("runs/adversary_weights.jsonl"))
    given = parser.parse_args()
    given.store.parent.mkdir(parents=True, exist_ok=True)
    stored = stored_lines(given.store)
    asked = [
        (name, model, weight, seed)
        for name in given.tables
        for seed in given.seeds
        for model in given.models
        for weight in given.weights
    ]
    for name, model, weight, seed in asked:
        if (name, model, weight, seed) in stored:
            continue
        found = judged_fit(name, seed, weight, MODELS[model])
        one = {"key": [name, model, weight, seed], **found}
        stored[name, model, weight, seed] = one
        with given.store.open("a", encoding="utf-8") as file:
            file.write(json.dumps(one) + "\n")
    show([stored[key] for key in asked])


def show(found: list[dict[str, Any]]) -> None:
    """Print a table for every table and model, a line for every weight."""
    frame = pd.DataFrame(found)
    frame[["table", "model", "weight", "seed"]] = pd.DataFrame(frame.pop("key").tolist())
    for (name, model), lines in frame.groupby(["table", "model"], sort=False):
        numbers = lines.dropna(axis=1, how="all").drop(columns=["table", "model", "seed", "warned"])
        print(f"{name}, {model}: {lines['seed'].nunique()} seeds")
        print(numbers.groupby("weight").mean().round(3).to_string())
        for weight, own in lines.groupby("weight"):
            if said := sorted(set(filter(None, own["warned"]))):
                print(f"  weight {weight:g} warned of {'; '.join(said)}")


if __name__ == "__main__":
    main()
