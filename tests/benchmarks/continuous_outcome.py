"""A number as sensitive attribute and a number as outcome: errors by age, where the truth is known.

    python -m tests.benchmarks.continuous_outcome [--seeds 4]

Outcomes depend on age by a sine and a slope, on a score that leans on age, on another covariate and
on 12 clusters, with noise of SD 1; 6,000 rows to fit, 20,000 to judge by. Age is read, a covariate,
or hidden (`drop_sensitive`). Means over seeds, with their SD, of the RMSE and of the SDs over ten
groups of age of the mean residual and of the MSE.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import pandas as pd

import pyfairme as pf

PENALTIES = (
    (None, 0.0),
    ("moment", 0.3),
    ("moment", 1.0),
    ("moment", 3.0),
    ("kernel", 1.0),
    ("adversarial", 1.0),
)


def draw(
    rows: int, rng: np.random.Generator, effects: np.ndarray
) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw rows and their outcomes."""
    age, code = rng.uniform(20, 70, rows), rng.integers(0, len(effects), rows)
    score, other = rng.normal(size=rows) + 0.03 * (age - 45), rng.normal(size=rows)
    curve = 0.9 * np.sin((age - 20) / 50 * 2 * np.pi) + 0.02 * (age - 45)
    y = score + 0.5 * other + curve + effects[code] + rng.normal(size=rows)
    cluster = [f"g{one}" for one in code]
    return pd.DataFrame({"age": age, "score": score, "other": other, "g": cluster}), y


def spreads(residual: np.ndarray, age: np.ndarray) -> tuple[float, float, float]:
    """Return the RMSE, and the SDs over tenths of age of mean residual and MSE."""
    tenth = pd.qcut(age, 10, labels=False)
    each = pd.DataFrame({"mean": residual, "mse": residual**2}).groupby(tenth).mean()
    return float(np.sqrt((residual**2).mean())), *each.std(ddof=0)


def main() -> None:
    """Print a line per penalty."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=4)
    seeds = range(parser.parse_args().seeds)
    warnings.simplefilter("ignore")
    print("| age | penalty | weight | RMSE | SD of mean residuals | SD of the MSE |")
    print("|---" * 6 + "|")
    for hidden in (False, True):
        for fairness, weight in PENALTIES:
            found = []
            for seed in seeds:
                rng = np.random.default_rng(seed)
                effects = rng.normal(0, 0.7, 12)
                (X, y), (new, y_new) = draw(6000, rng, effects), draw(20_000, rng, effects)
                model = pf.FairMixedEffectsRegressor(
                    "g",
                    pf.Continuous("age"),
                    fairness=fairness,
                    fairness_weight=weight or 0.3,
                    drop_sensitive=hidden,
                    random_state=seed,
                    progress=False,
                ).fit(X, y)
                found.append(spreads(y_new - model.predict(new), new["age"].to_numpy()))
            cells = [
                f"{mean:.3f} ({sd:.3f})"
                for mean, sd in zip(np.mean(found, 0), np.std(found, 0, ddof=1), strict=True)
            ]
            name = fairness or "none"
            print("|", "hidden" if hidden else "read", "|", name, "|", f"{weight:g} |",
                  " | ".join(cells), "|", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
