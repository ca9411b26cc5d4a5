"""Whether better scores than medl's make fairness on Adult cheaper: AUROC and least costs.

    python tests/benchmarks/better_scores.py fit --settings medl wide lightgbm --seed 0 --folds 0 1
    python tests/benchmarks/better_scores.py show --seed 0 --members 1 3

Settings of one network, and boosting as users would start it, on the folds of `cost_of_fairness`
(all inputs kept, six largest occupations seen); ``fit`` keeps the probabilities of every member of
an ensemble. ``show`` prints, for the rows of the seen occupations that all settings have judged,
AUROC with its difference from medl's first three members (90 % interval by a paired bootstrap of
rows), log loss, the slope of a logistic recalibration (1: calibrated), and with ``--costs`` the
least costs of `cost_of_fairness`, as they are and after that recalibration. ``a+b`` among its
settings is the mean of their probabilities. LightGBM comes from the package registry.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd
from cost_of_fairness import NETWORK, least_costs
from frontier_problem import ANY, TEST, TRAINING, VALIDATION, Problem, load_task, problem
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

import pyfairme as pf
from pyfairme.data import knots
from pyfairme.metrics import auroc
from pyfairme.postprocessing.joint_rule import Members

FOLDS = 10
BASE, BASE_MEMBERS = "medl", 3
WIDE, ONE = {"hidden": (256, 128)}, {"hidden": (128,)}
FEWER = {  # no survey weights as a covariate, no rows held out, no adversary of occupations
    "drop": "fnlwgt",
    "validation_fraction": 0.0,
    "cluster_weight": 0.0,
}
BETTER = "no fnlwgt, all rows"
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    BASE: {},
    "no cluster adversary": {"cluster_weight": 0.0},
    "mixed loss alone": {"cluster_weight": 0.0, "fixed_weight": 0.0},
    "intercepts": {"random_slopes": None},
    "hidden slopes": {"random_slopes": "hidden"},
    "last layer latent": {"network_posterior": "last_layer"},
    "wide": WIDE,
    "wide, decay 10": {**WIDE, "weight_decay": 10.0},
    "wide, decay 30": {**WIDE, "weight_decay": 30.0},
    "deep": {"hidden": (64, 64, 64, 32)},
    "one layer": ONE,
    "long": {"epochs": 60, "learning_rate": 5e-4},
    "short": {"epochs": 15},
    "slow": {"learning_rate": 3e-4},
    "decay 1": {"weight_decay": 1.0},
    "decay 10": {"weight_decay": 10.0},
    "decay 30": {"weight_decay": 30.0},
    "more knots": {},
    "all rows": {"validation_fraction": 0.0},
    "no fnlwgt": {"drop": "fnlwgt"},
    BETTER: FEWER,
    f"{BETTER}, decay 5": {**FEWER, "weight_decay": 5.0},
    f"{BETTER}, wide, decay 10": {**FEWER, **WIDE, "weight_decay": 10.0},
    f"{BETTER}, one layer": {**FEWER, **ONE},
    f"{BETTER}, one layer, decay 6": {**FEWER, **ONE, "weight_decay": 6.0},
    f"{BETTER}, one layer, long": {**FEWER, **ONE, "epochs": 60},
    f"{BETTER}, one layer, hidden slopes": {**FEWER, **ONE, "random_slopes": "hidden"},
    f"{BETTER}, one layer, more knots": {**FEWER, **ONE},
    f"{BETTER}, one wide layer, decay 6": {**FEWER, "hidden": (512,), "weight_decay": 6.0},
}
KNOTS = {"QUANTILES": 96, "ATOMS": 300, "ATOM_ROWS": 4, "COLUMNS": 2400, "GAP": 1 / 5000}


class Judged(NamedTuple):
    """Probabilities of members (members, n) at the rows ``rows`` (n,) of the table."""

    rows: np.ndarray
    p: np.ndarray


def main() -> None:
    """Fit what is missing, or show what there is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("fit", "show"))
    parser.add_argument("--settings", nargs="+", default=[BASE])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--members", nargs="+", type=int, default=[BASE_MEMBERS])
    parser.add_argument("--costs", action="store_true")
    parser.add_argument("--store", type=Path, default=Path("runs/better_scores"))
    options = parser.parse_args()
    if options.what == "show":
        print(_table(options))
        return
    options.store.mkdir(parents=True, exist_ok=True)
    for fold in options.folds:
        for name in options.settings:
            file = _file(options.store, name, options.seed, fold)
            if not file.exists():
                _fit(name, options.seed, fold, max(options.members), file)


def _file(store: Path, name: str, seed: int, fold: int) -> Path:
    return store / f"{name.replace(' ', '_').replace(',', '')}-{seed}-{fold}.npz"


def _fit(name: str, seed: int, fold: int, members: int, file: Path) -> None:
    of = problem(load_task("adult", None), ANY, True, FOLDS, seed, fold)
    rows = np.sort(np.concatenate([of.rows[TRAINING], of.rows[VALIDATION]]))
    start = time.process_time()
    judge = _network if name in SETTINGS else _boosting
    p = judge(name, of, rows, members)
    seconds = time.process_time() - start
    np.savez(file, rows=of.rows[TEST], p=p, seconds=seconds)
    known = np.isin(of.rows[TEST], load_task("adult", None).known)
    found = auroc(of.outcome(TEST)[known], p.mean(axis=0)[known])
    print(f"{name}, seed {seed}, fold {fold}: AUROC {found:.4f}, {seconds:.0f} s", flush=True)


def _network(name: str, of: Problem, rows: np.ndarray, members: int) -> np.ndarray:
    """Fit an ensemble, and return the probabilities of each member, (members, n)."""
    keywords = {
        **NETWORK,
        "ensemble": members,
        "validation_fraction": 1 / (FOLDS - 1),
        "cluster": of.cluster,
        "sensitive": list(of.entries.values()),
        "random_state": of.seed,
        **SETTINGS[name],
    }
    changed = KNOTS if name.endswith("more knots") else {}
    own = {key: getattr(knots, key) for key in changed}
    _set_knots(changed)
    model = pf.FairMixedEffectsClassifier(**keywords).fit(of.frame.iloc[rows], of.y[rows])
    _set_knots(own)
    fit, found = model.fit_, []
    for k in range(members):
        of_one = slice(k, k + 1)
        model.fit_ = replace(
            fit,
            network=jax.tree.map(lambda leaf, of_one=of_one: leaf[of_one], fit.network),
            draws={site: values[of_one] for site, values in fit.draws.items()},
            centre=fit.centre[of_one],
        )
        found.append(model.predict_proba(of.table(TEST))[:, 1])
    return np.array(found)


def _set_knots(values: Mapping[str, float]) -> None:
    for key, value in values.items():
        setattr(knots, key, value)


def _boosting(name: str, of: Problem, rows: np.ndarray, members: int) -> np.ndarray:
    """Fit boosting from as many seeds, and return the probabilities of each, (members, n)."""
    text = of.frame.select_dtypes(exclude="number")
    table = of.frame.assign(**{column: text[column].astype("category") for column in text})
    if name.endswith("no fnlwgt"):
        table = table.drop(columns="fnlwgt")
    X, test = table.iloc[rows], table.iloc[of.rows[TEST]]
    found = [_booster(name, of.seed + k).fit(X, of.y[rows]) for k in range(members)]
    return np.array([one.predict_proba(test)[:, 1] for one in found])


def _booster(name: str, seed: int) -> Any:
    if name == "hist gradient boosting":
        from sklearn.ensemble import HistGradientBoostingClassifier

        return HistGradientBoostingClassifier(
            categorical_features="from_dtype", max_iter=200, learning_rate=0.06, random_state=seed
        )
    from lightgbm import LGBMClassifier

    settings: Any = {
        "lightgbm": {"n_estimators": 200},
        "lightgbm, slow": {
            "n_estimators": 800,
            "learning_rate": 0.02,
            "num_leaves": 24,
            "colsample_bytree": 0.4,
            "subsample": 0.8,
            "subsample_freq": 1,
            "min_child_samples": 20,
        },
    }[name.removesuffix(", no fnlwgt")]
    return LGBMClassifier(**settings, random_state=seed % 2**31, n_jobs=1, verbose=-1)


def _judged(store: Path, name: str, seed: int, folds: Sequence[int]) -> Judged:
    """Return what a setting gives the rows of some folds."""
    parts = [np.load(_file(store, name, seed, fold)) for fold in folds]
    fewest = min(part["p"].shape[0] for part in parts)
    p = np.concatenate([part["p"][:fewest] for part in parts], axis=1)
    return Judged(np.concatenate([part["rows"] for part in parts]), p)


def _table(options: Any) -> str:
    task = load_task("adult", None)
    y_all = task.data.target.to_numpy()
    scores: dict[str, np.ndarray] = {}
    rows = _judged(options.store, BASE, options.seed, options.folds).rows
    known = np.isin(rows, task.known)
    y = y_all[rows][known]
    wanted = [(BASE, BASE_MEMBERS), *((n, k) for n in options.settings for k in options.members)]
    for name, members in dict.fromkeys(wanted):
        parts = [_judged(options.store, n, options.seed, options.folds).p for n in name.split("+")]
        if min(len(p) for p in parts) >= members:
            mean = np.mean([p[:members].mean(axis=0) for p in parts], axis=0)
            scores[f"{name} x {members}"] = np.clip(mean[known], 1e-6, 1 - 1e-6)
    base = scores[f"{BASE} x {BASE_MEMBERS}"]
    groups = {
        of: Members.of(np.unique(v[rows][known], return_inverse=True)[1], len(np.unique(v)))
        for of, v in task.groups.items()
    }
    lines = []
    for name, p in scores.items():
        low, high = _interval(y, p, base)
        slope = _recalibration(y, p)
        line = {
            "setting": name,
            "auroc": f"{auroc(y, p):.4f}",
            "difference": f"{auroc(y, p) - auroc(y, base):+.4f} ({low:+.4f} to {high:+.4f})",
            "log loss": f"{-np.log(np.where(y == 1, p, 1 - p)).mean():.4f}",
            "slope": f"{slope.coef_[0, 0]:.2f}",
        }
        if options.costs:
            right = expit(slope.intercept_[0] + slope.coef_[0, 0] * logit(p))
            for kind, q in {"": p, ", recalibrated": right}.items():
                least = least_costs(q, groups)
                for falls in ("TPR of age and sex", "all six"):
                    line[falls + kind] = f"{least[falls][0]:.3f}"
        lines.append(line)
    return pd.DataFrame(lines).to_string(index=False)


def _interval(
    y: np.ndarray, p: np.ndarray, base: np.ndarray, draws: int = 300
) -> tuple[float, float]:
    """Return the 90 % interval of the difference of AUROC, by resampling rows."""
    coins = np.random.default_rng(0)
    found = []
    for _ in range(draws):
        at = coins.integers(0, len(y), len(y))
        found.append(auroc(y[at], p[at]) - auroc(y[at], base[at]))
    low, high = np.quantile(found, (0.05, 0.95))
    return float(low), float(high)


def _recalibration(y: np.ndarray, p: np.ndarray) -> LogisticRegression:
    return LogisticRegression(C=np.inf).fit(logit(p)[:, None], y)


if __name__ == "__main__":
    main()
