"""Two ways to widen intervals by held-out rows: the same amount for all rows, or another level.

    python tests/benchmarks/conformal_forms.py

Simulated rows (2,000 train, 2,000 calibrate, 2,000 test): a real target whose noise differs by
group, and overdispersed counts, 48 % of them 0, as Poisson and as negative binomial. Coverage, mean
width and mean interval score (width + 2 / (1 - level) times what an outcome lies outside; smaller
is better: Gneiting & Raftery 2007) of the model's own intervals, of conformalized quantile
regression (Romano, Patterson & Candes 2019) and of `ConformalIntervals`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

import pyfairme as pf
from pyfairme.estimators.table_predictions import table_quantiles
from pyfairme.postprocessing.conformal_quantile import CalibrationScores

LEVELS = (0.8, 0.9, 0.95)


def problems() -> Iterator[tuple[str, pd.DataFrame, np.ndarray]]:
    """Yield likelihood, rows and outcomes."""
    rng = np.random.default_rng(0)
    data = pf.datasets.make_clustered(
        6000, clusters=10, likelihood="normal", sensitive_levels=(2,), random_state=0
    )
    noise = np.where(data.frame["group1"] == "g0", 0.2, 2.0) * rng.normal(size=6000)
    yield "normal", data.frame, data.target.to_numpy() + noise
    data = pf.datasets.make_clustered(6000, clusters=10, likelihood="poisson", random_state=0)
    counts = rng.poisson(data.target.to_numpy() * rng.gamma(2, 0.5, 6000))
    for likelihood in ("poisson", "negative_binomial"):
        yield likelihood, data.frame, counts


def judged(low: np.ndarray, high: np.ndarray, y: np.ndarray, level: float) -> dict[str, float]:
    outside = np.maximum(low - y, 0) + np.maximum(y - high, 0)
    score = high - low + 2 / (1 - level) * outside
    covered = (low <= y) & (y <= high)
    return {"coverage": covered.mean(), "width": (high - low).mean(), "score": score.mean()}


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    lines: list[dict[str, Any]] = []
    for likelihood, X, y in problems():
        fit, test = slice(2000, 4000), slice(4000, 6000)
        model = pf.FairMixedEffectsRegressor(
            "cluster", fairness=None, likelihood=likelihood, random_state=0, progress=False
        ).fit(X[:2000], y[:2000])
        ours = pf.ConformalIntervals(model).fit(X[fit], y[fit])
        ends = [x for level in LEVELS for x in ((1 - level) / 2, (1 + level) / 2)]
        of_fit, of_test = (
            model.target_.decode(table_quantiles(model, X[at], ends, "observation", "mixed")[2])
            for at in (fit, test)
        )
        for place, level in enumerate(LEVELS):
            (low, high), (new_low, new_high) = (
                (np.floor(q[0]), np.ceil(q[1])) if likelihood != "normal" else q
                for q in (found[2 * place : 2 * place + 2] for found in (of_fit, of_test))
            )
            moved = CalibrationScores.of(np.maximum(low - y[fit], y[fit] - high)).quantile(level)
            least = -np.inf if likelihood == "normal" else 0
            found = ours.predict_interval(X[test], level)
            for how, interval in {
                "model": (new_low, new_high),
                "cqr": (np.maximum(new_low - moved, least), new_high + moved),
                "ours": (found["low"].to_numpy(), found["high"].to_numpy()),
            }.items():
                line = {"likelihood": likelihood, "level": level, "intervals": how}
                lines.append(line | judged(*interval, y[test], level))
    print(pd.DataFrame(lines).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
