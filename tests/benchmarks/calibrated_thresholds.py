"""What calibrating probabilities first is worth to joint thresholds, where the truth is known.

    python -m tests.benchmarks.calibrated_thresholds [--rows 300 1000 10000] [--draws 40]

Rows of three groups (50, 30 and 20 %) have a true probability each; a classifier tells it as it is,
too moderate (its link halved), too bold (doubled), or with the odds of other shares of the classes
(times four). `JointThresholds` with SDs of TPR and FPR up to .02 are chosen on some rows, with and
without ``calibration="isotonic"``, and judged by the true probabilities of 20,000 others: the worst
SD and balanced accuracy that they expect, less those of the same limit with true probabilities.
Means over draws, with standard errors, and the share of rows that coins decide.
"""

from __future__ import annotations

import argparse
import warnings
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit

import pyfairme as pf

LIMIT = 0.02
BENT = {"true": (1.0, 1.0), "too moderate": (0.5, 1.0), "too bold": (2.0, 1.0),
        "other shares": (1.0, 4.0)}  # fmt: skip


class Told:
    """A classifier whose probabilities are those of a column, bent."""

    classes_ = np.array([0, 1])

    def __init__(self, factor: float, times: float) -> None:
        self.factor, self.times = factor, times

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Return the bent probabilities, (n, 2)."""
        p = expit(self.factor * logit(X["true"].to_numpy()) + np.log(self.times))
        return np.stack([1 - p, p], axis=1)


def people(n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw rows with their true probability, and outcomes."""
    code = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    true = expit(-0.5 + 1.2 * rng.normal(size=n) + np.array([0.0, -0.8, 0.6])[code])
    return pd.DataFrame({"true": true, "group": np.array(list("abc"))[code]}), (
        rng.random(n) < true
    ).astype(int)


def judged(policy: Any, new: pd.DataFrame) -> np.ndarray:
    """Return worst SD and balanced accuracy as true probabilities expect them, and coins."""
    d, true = policy.predict_proba(new)[:, 1], new["true"].to_numpy()
    group, rates, sds = new["group"].to_numpy(), [], []
    for mass in (true, 1 - true):
        sums = pd.DataFrame({"d": d * mass, "n": mass}).groupby(group).sum()
        sds.append(np.std(sums["d"] / sums["n"]))
        rates.append(d @ mass / mass.sum())
    return np.array([max(sds), (rates[0] + 1 - rates[1]) / 2, np.mean((d > 0) & (d < 1))])


def one_draw(rows: int, seed: int) -> dict[tuple[str, str], np.ndarray]:
    """Return what bending, and calibrating, does in one draw."""
    rng = np.random.default_rng(seed)
    (known, y), (new, _) = people(rows, rng), people(20_000, rng)
    found = {}
    for name, bent in BENT.items():
        for calibration in (None, "isotonic"):
            policy = pf.JointThresholds(Told(*bent), {"group": LIMIT}, calibration=calibration)
            found[name, calibration or "as it is"] = judged(policy.fit(known, y), new)
    best = found["true", "as it is"]
    best = np.append(best[:2], 0.0)  # coins are shares, not differences
    return {key: value - best for key, value in found.items()}


def main() -> None:
    """Print a line per number of rows and kind of probabilities."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[300, 1000, 10_000])
    parser.add_argument("--draws", type=int, default=40)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    print("| rows | probabilities | worst SD, as it is | calibrated | balanced accuracy, as it is |"
          " calibrated | coins, as it is | calibrated |")  # fmt: skip
    print("|---" * 8 + "|")
    for rows in given.rows:
        draws = [one_draw(rows, seed) for seed in range(given.draws)]
        for name in BENT:
            cells = []
            for at in (0, 1):
                for how in ("as it is", "isotonic"):
                    values = np.array([draw[name, how][at] for draw in draws])
                    error = values.std(ddof=1) / np.sqrt(len(values))
                    cells.append(f"{values.mean():+.4f} ({error:.4f})")
            for how in ("as it is", "isotonic"):
                cells.append(f"{np.mean([draw[name, how][2] for draw in draws]):.3f}")
            print(f"| {rows:,} | {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
