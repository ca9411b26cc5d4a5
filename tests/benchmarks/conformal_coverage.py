"""Coverage of new outcomes by group and cluster, before and after calibration by held-out rows.

    python tests/benchmarks/conformal_coverage.py [adult] [acs] [wages] [heritage] --out FILE

One default model per data set, fitted to a part of the rows. The others are split at random into
calibration and test rows, 20 times; coverage and width are means over the splits. "model" is the
model's own interval (`predict_interval(kind="observation")`; of classes the likeliest ones whose
probabilities add up to the level), "marginal" calibrates all rows together, "own" the groups of the
line's attribute (or its clusters), "several" those of all sensitive attributes at once. Clusters
have a line if 30 test rows are of them; "clusters" are those that training saw, and the others.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import pyfairme as pf
from pyfairme.estimators.table_predictions import table_quantiles
from pyfairme.postprocessing import conformal_groups
from pyfairme.postprocessing.calibrated_groups import CalibratedGroups
from pyfairme.postprocessing.nested_intervals import PROBABILITIES, NestedIntervals
from pyfairme.postprocessing.set_scores import aps_scores, lac_scores

LEVEL = 0.9
FEWEST = 30
KINDS = ("seen", "unseen")
SPLITS = 20


class Problem(NamedTuple):
    """A table, its roles, and how many rows train and calibrate."""

    frame: pd.DataFrame
    target: pd.Series
    cluster: str
    sensitive: tuple[Any, ...]
    train: int
    calibrate: int
    keywords: dict[str, Any]


def adult() -> Problem:
    data = pf.datasets.load_adult()
    frame = data.frame.drop(columns=["fnlwgt", "native_country"])
    return Problem(frame, data.target, "occupation", data.schema.sensitive, 12_000, 8_000, {})


def acs() -> Problem:
    data = pf.datasets.load_acs_income()
    rows = np.random.default_rng(1).permutation(len(data.frame))[:100_000]
    frame, target = data.frame.iloc[rows], data.target.iloc[rows]
    return Problem(frame, target, "occupation", data.schema.sensitive, 30_000, 30_000, {})


def wages() -> Problem:
    """Log wages of young women (NLSY): persons are clusters, race and age protected."""
    table = pd.read_csv(Path(os.environ["PYFAIRME_DATA"], "high_cardinality", "wages.csv.gz"))
    race = np.select([table["race_2"] == 1, table["race_3"] == 1], ["black", "other"], "white")
    dummies = [name for name in table if name.startswith(("race_", "year_"))]
    frame = table.drop(columns=[*dummies, "ln_wage"]).assign(race=race)
    groups = ("race", pf.Binned("age", (25, 32), name="age_bracket"))
    return Problem(frame, table["ln_wage"], "idcode", groups, 14_000, 7_000, {})


def heritage() -> Problem:
    data = pf.datasets.load_heritage()
    rows = np.random.default_rng(1).permutation(len(data.frame))[:24_000]
    frame, target = data.frame.iloc[rows], data.target.iloc[rows]
    keywords = {"likelihood": "negative_binomial"}
    return Problem(frame, target, "specialty", data.schema.sensitive, 12_000, 6_000, keywords)


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "adult": adult, "acs": acs, "wages": wages, "heritage": heritage,
}  # fmt: skip


class Held(NamedTuple):
    """Held-out rows: score of their outcome, of the model's own set, and widths at a quantile."""

    score: np.ndarray
    own: np.ndarray
    own_width: np.ndarray
    width: Callable[[np.ndarray, np.ndarray], np.ndarray]


def of_classes(model: Any, X: pd.DataFrame, y: pd.Series) -> Held:
    p = model.predict_proba(X)
    place = model.target_.encode(y)
    rows = np.arange(len(X))
    scores = lac_scores(p)
    likelier = aps_scores(p, np.zeros(len(X)))  # probability of the classes before
    return Held(
        scores[rows, place],
        likelier[rows, place] < LEVEL,
        (likelier < LEVEL).sum(axis=1),
        lambda at, quantile: (scores[at] <= quantile[:, None]).sum(axis=1),
    )


def of_numbers(model: Any, X: pd.DataFrame, y: pd.Series) -> Held:
    _, _, found = table_quantiles(model, X, PROBABILITIES, "observation", "mixed")
    nested = NestedIntervals.of(model.target_.decode(found), whole=model.target_.whole)

    def ends(at: np.ndarray, quantile: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        part = NestedIntervals(nested.low[:, at], nested.high[:, at], nested.whole)
        low, high = part.at(quantile)
        return (np.maximum(low, 0) if model.target_.log_link else low), high

    own = model.predict_interval(X, LEVEL, kind="observation")
    return Held(
        nested.score(y.to_numpy(np.float64)),
        ((own["low"] <= y) & (y <= own["high"])).to_numpy(),
        (own["high"] - own["low"]).to_numpy(),
        lambda at, quantile: np.subtract(*ends(at, quantile)[::-1]),
    )


def lines(name: str) -> pd.DataFrame:
    """Judge one data set."""
    problem = PROBLEMS[name]()
    order = np.random.default_rng(0).permutation(len(problem.frame))
    learn, rest = order[: problem.train], order[problem.train :]
    regress = problem.keywords or problem.target.nunique() > 20
    kind = pf.FairMixedEffectsRegressor if regress else pf.FairMixedEffectsClassifier
    model: Any = kind(problem.cluster, problem.sensitive, random_state=0, **problem.keywords)
    start = time.time()
    model.fit(problem.frame.iloc[learn], problem.target.iloc[learn])
    print(f"{name}: fitted in {time.time() - start:.0f} s", flush=True)
    X = problem.frame.iloc[rest].reset_index(drop=True)
    y = problem.target.iloc[rest].reset_index(drop=True)
    start = time.time()
    held = (of_numbers if regress else of_classes)(model, X, y)
    print(f"{name}: predicted in {time.time() - start:.0f} s", flush=True)
    unit = conformal_groups.unseen_units(model, X, "mixed")
    print(f"{name}: {np.mean(unit >= 0):.3f} of the rows are of new clusters", flush=True)
    entries = [*problem.sensitive, problem.cluster]
    groups = [conformal_groups.learn_by(model, entry, X)[0] for entry in entries]
    codes = np.stack([conformal_groups.group_codes(model, (one,), X)[0] for one in groups])
    chosen = {"marginal": [], "several": list(range(len(problem.sensitive)))}
    chosen |= {one.name: [i] for i, one in enumerate(groups)}
    sums: dict[tuple[str, str], np.ndarray] = {}
    every = np.vstack([codes, unit >= 0]).astype(np.intp)
    rng = np.random.default_rng(2)
    for _ in range(SPLITS):
        mixed = rng.permutation(len(X))
        fit, test = mixed[: problem.calibrate], mixed[problem.calibrate :]
        for how, which in chosen.items():
            attributes = tuple(groups[i] for i in which)
            calibrated = CalibratedGroups(
                attributes, codes[which][:, fit], unit[fit], held.score[fit]
            )
            asked = [codes[i][test] for i in which]
            quantile = calibrated.row_quantiles(asked, unit[test] >= 0, LEVEL).value
            _add(sums, how, every[:, test], groups, held.score[test] <= quantile,
                 held.width(test, quantile))  # fmt: skip
        _add(
            sums,
            "model",
            every[:, test],
            groups,
            held.own[test],
            held.own_width[test],
        )
    return _table(name, sums, groups)


def _add(
    sums: dict[tuple[str, str], np.ndarray],
    how: str,
    codes: np.ndarray,
    groups: list[Any],
    covered: np.ndarray,
    width: np.ndarray,
) -> None:
    names = {"all": 1} | {one.name: len(one.levels) for one in groups} | {"clusters": len(KINDS)}
    every = [np.zeros(codes.shape[1], int), *codes]
    for (name, number), mine in zip(names.items(), every, strict=True):
        found = [np.bincount(mine, w, minlength=number) for w in (None, covered, width)]
        key = how, name
        sums[key] = sums.get(key, 0) + np.stack(found)


def _table(name: str, sums: dict[tuple[str, str], np.ndarray], groups: list[Any]) -> pd.DataFrame:
    found = []
    levels = {"all": ("all",)} | {one.name: one.levels for one in groups} | {"clusters": KINDS}
    for attribute, names in levels.items():
        for place, group in enumerate(names):
            n = sums["marginal", attribute][0, place] / SPLITS
            if n == 0 or (attribute == groups[-1].name and n < FEWEST):
                continue
            line: dict[str, Any] = {"data": name, "attribute": attribute, "group": group}
            line["n"] = round(n)
            own = "marginal" if attribute in ("all", "clusters") else attribute
            for how, key in {"model": "model", "marginal": "marginal", "own": own,
                             "several": "several"}.items():  # fmt: skip
                rows, covered, width = sums[key, attribute][:, place]
                line[how], line[f"{how}_width"] = covered / rows, width / rows
            found.append(line)
    return pd.DataFrame(found)


def main() -> None:
    """Run the named data sets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="*", default=list(PROBLEMS))
    parser.add_argument("--out", default="conformal_coverage.csv")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    table = pd.concat([lines(name) for name in chosen.data], ignore_index=True)
    table.round(4).to_csv(chosen.out, index=False)
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
