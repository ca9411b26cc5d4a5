"""Balanced accuracy of methods at equal unfairness, from points of the frontier comparison.

    python tests/benchmarks/equal_relaxation.py docs/results/frontier_adult.csv
        runs/policies/adult/points.csv --settings sex all

The order of "Unprocessing" (Cruz & Hardt, arXiv 2306.07261): a model without constraints,
thresholds on its scores, and training with a penalty, compared at the same worst SD of TPR and FPR.
Between two points of a method counts the mixture of both (`pyfairme.metrics.pareto.on_hull`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from frontier_problem import ANY

from pyfairme.metrics.pareto import on_hull

LEVELS = (0.1, 0.05, 0.03, 0.02, 0.01)
ATTRIBUTES = {"sex": ("sex",), "race": ("race",), "marital": ("marital_status",),
              "age": ("age_bracket",)}  # fmt: skip
ATTRIBUTES["all"] = tuple(name for names in ATTRIBUTES.values() for name in names)


def accuracy_at(accuracy: np.ndarray, worst: np.ndarray, level: float) -> float:
    """Return the accuracy of the convex frontier at an SD; NaN where the method stays above it."""
    corners = np.flatnonzero(on_hull(accuracy, worst))
    corners = corners[np.argsort(worst[corners])]
    return float(np.interp(level, worst[corners], accuracy[corners], left=np.nan))


def table(points: pd.DataFrame, setting: str) -> pd.DataFrame:
    """Return a line per method: needs S, highest accuracy with its SD, accuracy at each level."""
    mine = points[points["setting"].isin([setting, ANY]) & (points["clusters"] == "seen")]
    spreads = [f"{rate}_sd {name}" for name in ATTRIBUTES[setting] for rate in ("tpr", "fpr")]
    lines = []
    for (needs, method), of in mine.groupby(["needs_s", "method"]):
        a = of["balanced_accuracy"].to_numpy(float)
        d = of[spreads].max(axis=1).to_numpy(float)
        best = int(np.argmax(a))
        line = {"needs S": needs, "method": method, "best": a[best], "its SD": d[best]}
        lines.append(line | {f"at {level:g}": accuracy_at(a, d, level) for level in LEVELS})
    found = pd.DataFrame(lines)
    return found.sort_values(["needs S", "at 0.03"], ascending=[True, False])


def main() -> None:
    """Print a table per setting."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("points", nargs="+", type=Path)
    parser.add_argument("--settings", nargs="+", choices=list(ATTRIBUTES), default=["sex", "all"])
    options = parser.parse_args()
    points = pd.concat([pd.read_csv(path) for path in options.points], ignore_index=True)
    for setting in options.settings:
        print(f"\nprotected: {setting}")
        print(table(points, setting).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
