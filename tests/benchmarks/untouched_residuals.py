"""Which penalty makes residuals and errors of numbers alike: made-up rows, Heritage and income.

    python -m tests.benchmarks.untouched_residuals [made|heritage|gss_wages ...] [--show]

The default regressor with the penalties that a real target has, by weight; sensitive columns once
among the covariates ("read") and once not. "adversarial" asks for predictions that tell nothing of
the group given the outcome (equalized odds); of the others, residuals are compared: their means
("moment"), their correlation with the groups, their distribution ("kernel"). Of the made-up rows
the truth is known: without S the mean residuals of the groups are apart by construction, and
proxies could close that. Finished fits are appended to `--store`, and not made again.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import r2_score

import pyfairme as pf
from tests.benchmarks.adversary_weights import groups_of, stored_lines
from tests.benchmarks.untouched_tables import ROLES, Roles, sd_of_means, table

WEIGHTS = (0.1, 0.3, 1.0, 3.0)
MADE = Roles("made up", "place", ("race", "sex"))
TABLES = ("made", "heritage", "gss_wages")
PENALTIES = ("adversarial", "moment", "correlation", "kernel")


def made(rows: int = 12_000, judged: int = 20_000, seed: int = 0):
    """Return rows and outcomes: means and noise of six groups differ, and numbers tell them."""
    rng = np.random.default_rng(seed)
    n = rows + judged
    race = rng.choice(6, n, p=[0.42, 0.25, 0.15, 0.10, 0.05, 0.03])
    sex = (rng.random(n) < 0.38).astype(int)
    place = rng.choice(40, n)
    means = np.array([-0.2, 0.5, -0.3, 0.3, -0.5, 0.1])
    x = rng.normal(size=(n, 4))
    x[:, 0] += 1.5 * means[race]
    x[:, 1] += 0.8 * sex
    noise = 0.6 + 0.15 * (race == 1) + 0.2 * (race == 4) + 0.1 * sex
    y = 0.5 * x[:, 0] + 0.4 * np.sin(x[:, 1]) + 0.3 * x[:, 2] + 0.3 * rng.normal(size=40)[place]
    y = y + means[race] - 0.4 * sex + noise * rng.normal(size=n)
    frame = pd.DataFrame({f"x{j}": x[:, j] for j in range(4)})
    frame["race"], frame["sex"] = np.array(list("uvwxyz"))[race], np.array(list("mf"))[sex]
    frame["place"] = np.char.add("c", place.astype(str))
    parts = [frame.iloc[:rows], frame.iloc[rows:].reset_index(drop=True)]
    return (*parts, y[:rows], y[rows:])


def worst(values: np.ndarray, groups: dict[str, np.ndarray]) -> float:
    """Return the largest SD over groups of a mean, of all attributes."""
    return max(sd_of_means(values, np.ones(len(values)), own) for own in groups.values())


def judged_fit(name: str, keep: bool, fairness: str | None, weight: float) -> dict[str, Any]:
    """Fit once; spreads over groups of mean residuals and of squared ones, in the target's SDs."""
    X, X_test, y, y_test = made() if name == "made" else table(name, 0)
    roles = MADE if name == "made" else ROLES[name]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = pf.FairMixedEffectsRegressor(
            roles.cluster, list(roles.sensitive), fairness=fairness, fairness_weight=weight,
            drop_sensitive=not keep, unseen="population", random_state=0, progress=False,
        ).fit(X, y)  # fmt: skip
    residual = (np.asarray(y_test) - model.predict(X_test)) / np.std(y_test)
    named = groups_of(list(roles.sensitive), X_test)
    groups = {k: np.unique(v, return_inverse=True)[1] for k, v in named.items()}
    found = {"skill": r2_score(y_test, model.predict(X_test)), "mse": float((residual**2).mean())}
    rng, n = np.random.default_rng(0), len(residual)
    for what, values in (("residual", residual), ("mse", residual**2)):
        drawn, alike = [], []
        for _ in range(200):
            rows = rng.integers(n, size=n)
            drawn.append(worst(values[rows], {k: v[rows] for k, v in groups.items()}))
            alike.append(worst(values, {k: rng.permutation(v) for k, v in groups.items()}))
        low, high = np.quantile(drawn, [0.05, 0.95])
        found |= {f"{what}_sd": worst(values, groups), f"{what}_low": low, f"{what}_high": high,
                  f"{what}_null": np.quantile(alike, 0.95)}  # fmt: skip
    means = [np.bincount(v, residual**2) / np.bincount(v) for v in groups.values()]
    found["worst_mse"] = float(max(one.max() for one in means))
    codes = sorted({str(one.message).rpartition("[")[2].rstrip("]") for one in said})
    return found | {"warned": ", ".join(codes)}


def asked_for(tables: list[str]) -> list[tuple[Any, ...]]:
    """Return the fits: without a penalty, and each penalty by weight."""
    one = [(None, 0.0), *((p, weight) for p in PENALTIES for weight in WEIGHTS)]
    return [(name, keep, *rest) for name in tables for keep in (True, False) for rest in one]


def main() -> None:
    """Make the fits that are missing, or print what is stored."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tables", nargs="*")
    parser.add_argument("--store", type=Path, default=Path("runs/untouched_residuals.jsonl"))
    parser.add_argument("--show", action="store_true")
    given = parser.parse_args()
    given.store.parent.mkdir(parents=True, exist_ok=True)
    stored = stored_lines(given.store)
    for key in asked_for(given.tables or list(TABLES)):
        if key in stored or given.show:
            continue
        stored[key] = {"key": key, **judged_fit(*key)}
        with given.store.open("a", encoding="utf-8") as file:
            file.write(json.dumps(stored[key], default=float) + "\n")
        print(*key, {k: round(stored[key][k], 4) for k in ("skill", "residual_sd", "mse_sd")})
    if given.show:
        show([stored[key] for key in asked_for(given.tables or list(TABLES)) if key in stored])


def show(lines: list[dict[str, Any]]) -> None:
    """Print a table in Markdown."""
    print("| table | S | penalty | weight | R² | worst SD of mean residuals (90 %) | alike | worst "
          "SD of the MSE (90 %) | alike | MSE, worst group | warned |")  # fmt: skip
    print("|---" * 11 + "|")
    for one in lines:
        name, keep, fairness, weight = one["key"]
        cells = [
            f"{one[f'{what}_sd']:.3f} ({one[f'{what}_low']:.3f} to {one[f'{what}_high']:.3f}) | "
            f"{one[f'{what}_null']:.3f}"
            for what in ("residual", "mse")
        ]
        print(f"| {name} | {'read' if keep else 'not read'} | {fairness or 'none'} | {weight:g} | "
              f"{one['skill']:.3f} | {cells[0]} | {cells[1]} | {one['worst_mse']:.3f} | "
              f"{one['warned']} |")  # fmt: skip


if __name__ == "__main__":
    main()
