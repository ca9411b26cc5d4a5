"""Whether penalties of any weight leave a model that works: random weights on three data sets.

    python tests/benchmarks/stability.py --fits 100 --store runs/stability

Each fit draws its weights, one per attribute, uniformly from [0, 3], on a sample of Adult, ACS or
Heritage (any day in hospital), and reports what the fit itself warns of (a prediction that is
constant or diverges; an adversary at chance where a fresh probe is not), the spread of its
predictions, AUROC and every adversary's skill on rows that training never saw. Finished fits are
kept in --store.
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
from sklearn.metrics import roc_auc_score

import pyfairme as pf

ROWS = 8000
HIGHEST = 3.0
NAMES = ("adult", "acs_income", "heritage")


def table(name: str) -> tuple[pd.DataFrame, pd.Series, Any]:
    """Return covariates, a binary target and the roles of a data set."""
    loaders = {
        "adult": pf.datasets.load_adult,
        "acs_income": pf.datasets.load_acs_income,
        "heritage": pf.datasets.load_heritage,
    }
    data = loaders[name]()
    return data.frame, (data.target > 0).astype(int), data.schema


def fit(number: int, frame: pd.DataFrame, target: pd.Series, schema: Any) -> dict[str, Any]:
    """Fit once with the weights of this number, and judge rows that were left out."""
    rng = np.random.default_rng(number)
    rows = rng.permutation(len(frame))[: ROWS + 2000]
    learn, judge = rows[:ROWS], rows[ROWS:]
    names = [entry if isinstance(entry, str) else entry.name for entry in schema.sensitive]
    weight = dict(zip(names, rng.uniform(0, HIGHEST, len(names)).round(3).tolist(), strict=True))
    model = pf.FairMixedEffectsClassifier(
        schema.cluster[0], schema.sensitive, fairness_weight=weight, threshold="balanced_accuracy",
        random_state=number, progress=False,
    )  # fmt: skip
    start = time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(frame.iloc[learn], target.iloc[learn])
    probability = model.predict_proba(frame.iloc[judge])[:, 1]
    last = model.history_.iloc[-1]
    flagged = [str(w.message) for w in caught if issubclass(w.category, pf.AdversaryWarning)]
    return {
        "weight": weight,
        "collapsed": flagged,
        "finite": bool(np.isfinite(probability).all()),
        "sd": float(probability.std()),
        "auroc": float(roc_auc_score(target.iloc[judge], probability)),
        "skill": {k: float(v) for k, v in last.items() if str(k).startswith("skill/")},
        "seconds": time.process_time() - start,
    }


def main() -> None:
    """Make the fits that are missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--fits", type=int, default=100)
    parser.add_argument("--store", type=Path, default=Path("runs/stability"))
    parser.add_argument("--part", type=int, nargs=2, default=(0, 1), metavar=("THIS", "OF"))
    given = parser.parse_args()
    given.store.mkdir(parents=True, exist_ok=True)
    loaded: dict[str, Any] = {}
    for number in range(given.part[0], given.fits, given.part[1]):
        path = given.store / f"fit{number:03d}.json"
        if path.exists():
            continue
        name = NAMES[number % len(NAMES)]
        if name not in loaded:
            loaded[name] = table(name)
        found = {"dataset": name, "number": number} | fit(number, *loaded[name])
        path.write_text(json.dumps(found, indent=1), encoding="utf-8")
    show([json.loads(path.read_text(encoding="utf-8")) for path in given.store.glob("fit*.json")])


def show(fits: list[dict[str, Any]]) -> None:
    """Print one line per data set, then every fit that was flagged."""
    frame = pd.DataFrame(fits).assign(flagged=lambda f: f["collapsed"].map(len) > 0)
    groups = frame.groupby("dataset")
    lines = groups.agg(
        fits=("number", "size"), flagged=("flagged", "sum"), finite=("finite", "all"),
        least_sd=("sd", "min"), least_auroc=("auroc", "min"), median_auroc=("auroc", "median"),
        seconds=("seconds", "median"),
    )  # fmt: skip
    print(lines.round(3).to_string())
    for _, one in frame[frame["flagged"]].iterrows():
        print(one["dataset"], one["number"], one["weight"], *one["collapsed"], sep="\n  ")


if __name__ == "__main__":
    main()
