"""Fair mixed models beside pyfairme, in the simulation of Burgard & Pamplona (arXiv 2405.09273).

    python tests/benchmarks/fair_mixed_models.py --designs linear --draws 20 --store runs/fair_glmm
    python tests/benchmarks/fair_mixed_models.py --show --store runs/fair_glmm

The design is that of their published script: 100 strata with intercepts N(0, 3^2), three standard
normal covariates, a group that half of the rows belong to, coefficients (-2, .4, .8, .5) and 3 for
the group, and a training sample of 3 to 5 rows of each stratum (here 400 to 410 in all). Fitted
models decide new rows of the same strata, and of strata that nobody sampled. Designs:

linear       as above
no noise     y = 1 where its probability is above .5: the script restarts its generator with the
             same seed before every outcome, so that outcomes are a fixed function of it
interaction  with + 2 x1 x2 - 1.5 s x3, which a linear predictor cannot have; 40 rows a stratum

Every draw makes strata, sample and new rows afresh (in the script only the sample varies). Methods:
theirs (`constrained_mixed_model`): CRLR and GLMM with c = inf, .1 (their setting of CRLR), .05 and
0 (what GLMM's penalty of .8 on the squared sum comes to: it leaves some thousandths); pyfairme with
criterion demographic parity, a linear predictor (``hidden=()``) and the default network, by weight;
the linear one under the penalty "moment" (gaps of the groups' mean predictions) too; and its
thresholds (S read, objective accuracy) on the unpenalised linear model.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import pyfairme as pf
from tests.benchmarks.constrained_mixed_model import fit

STRATA, NEW_STRATA = 100, 100
COEFFICIENTS, GAP = np.array([-2.0, 0.4, 0.8, 0.5]), 3.0  # constant, covariates; the group
WEIGHTS = (0.0, 0.1, 0.3, 1.0, 3.0)
DIFFERENCES = (0.023, 0.025, 0.035, 0.05, 0.066, 0.1, 0.2)  # of selection rates, to interpolate at
DESIGNS = ("linear", "no noise", "interaction")
MOMENT_WEIGHTS = (1.0, 3.0, 10.0, 30.0)
HIDDEN = {"linear": (), "moment": (), "network": (64, 32)}
FAMILIES = ("constrained", *HIDDEN, "thresholds")


class Rows(NamedTuple):
    """Covariates with a column of ones and the group last (n, 5), strata, and outcomes (n,)."""

    x: np.ndarray
    stratum: np.ndarray
    y: np.ndarray

    @property
    def group(self) -> np.ndarray:
        """Whose rates shall be alike: 0 or 1."""
        return self.x[:, -1]

    def frame(self) -> pd.DataFrame:
        """Return the rows as pyfairme reads them."""
        table = pd.DataFrame(self.x[:, 1:4], columns=["x1", "x2", "x3"])
        return table.assign(
            group=np.where(self.group == 1, "b", "a"),
            stratum=[f"k{one}" for one in self.stratum],
        )


class Draw(NamedTuple):
    """Training rows, new rows of the same strata, rows of new strata, true intercepts."""

    train: Rows
    seen: Rows
    unseen: Rows
    intercepts: np.ndarray


def made(design: str, seed: int) -> Draw:
    """Draw a population's strata, a sample, and rows to judge by."""
    rng = np.random.default_rng([2405, seed])
    effects = rng.normal(0, 3, STRATA + NEW_STRATA)

    def rows(counts: np.ndarray, first: int) -> Rows:
        stratum = np.repeat(np.arange(first, first + len(counts)), counts)
        count = len(stratum)
        x = np.column_stack([np.ones(count), rng.normal(size=(count, 3)), rng.random(count) < 0.5])
        eta = x @ np.append(COEFFICIENTS, GAP) + effects[stratum]
        if design == "interaction":
            eta += 2 * x[:, 1] * x[:, 2] - 1.5 * x[:, 4] * x[:, 3]
        level = 0.5 if design == "no noise" else rng.random(count)
        return Rows(x, stratum, (level < 1 / (1 + np.exp(-eta))).astype(int))

    sample = np.tile([3, 4, 5, 4], STRATA // 4)
    if design == "interaction":
        sample = np.full(STRATA, 40)
    seen, unseen = np.full(STRATA, 200), np.full(NEW_STRATA, 200)
    return Draw(rows(sample, 0), rows(seen, 0), rows(unseen, STRATA), effects[:STRATA])


def theirs(draw: Draw, limit: float, variance: float | None) -> dict[str, Any]:
    """Fit the constrained model; its decisions, and the error of what it recovers."""
    train = draw.train
    found = fit(train.x, train.group, train.stratum, train.y, limit, variance)
    new = np.where(draw.unseen.stratum < STRATA, draw.unseen.stratum, -1)
    decisions = {
        "seen": found.probability(draw.seen.x, draw.seen.stratum) > 0.5,
        "unseen": found.probability(draw.unseen.x, new) > 0.5,
    }
    return {"decisions": decisions} | recovered(found.beta[1:4], found.intercepts, draw)


def ours(draw: Draw, family: str, weight: float, seed: int) -> dict[str, Any]:
    """Fit pyfairme; its decisions, and what a linear predictor recovers."""
    model = pf.FairMixedEffectsClassifier(
        "stratum", ["group"], hidden=HIDDEN[family], fairness_weight=weight,
        fairness="moment" if family == "moment" else "decision_adversarial",
        criterion="demographic_parity", random_state=seed, progress=False,
    ).fit(draw.train.frame(), draw.train.y)  # fmt: skip
    decisions = {part: _decided(model, getattr(draw, part)) for part in ("seen", "unseen")}
    line: dict[str, Any] = {"decisions": decisions}
    if not HIDDEN[family]:
        fixed = model.fixed_effects_.set_index("term")["mean"]
        effects = model.cluster_effects_.set_index("cluster")["mean"]
        found = effects[[f"k{one}" for one in range(STRATA)]].to_numpy()
        line |= recovered(fixed[["x1", "x2", "x3"]].to_numpy(), found, draw)
    return line


def thresholds(draw: Draw, limit: float, seed: int) -> dict[str, Any]:
    """Choose thresholds with S read on out-of-fold probabilities of the unpenalised model."""
    model = pf.FairMixedEffectsClassifier(
        "stratum", ["group"], hidden=(), fairness=None, random_state=seed, progress=False
    )
    policy = pf.JointThresholds(
        model, {"group": limit}, "demographic_parity", measure="difference",
        objective="accuracy", cv=5, random_state=seed,
    ).fit(draw.train.frame(), draw.train.y)  # fmt: skip
    return {
        "decisions": {part: _decided(policy, getattr(draw, part)) for part in ("seen", "unseen")}
    }


def _decided(model: Any, rows: Rows) -> np.ndarray:
    return np.asarray(model.predict(rows.frame())) == 1


def recovered(slopes: np.ndarray, intercepts: np.ndarray, draw: Draw) -> dict[str, float]:
    """Return root mean squared errors of slopes and intercepts (both centred), and correlation."""
    centred = intercepts - intercepts.mean() - draw.intercepts + draw.intercepts.mean()
    return {
        "slopes_rmse": float(np.sqrt(np.mean((slopes - COEFFICIENTS[1:]) ** 2))),
        "intercepts_rmse": float(np.sqrt(np.mean(centred**2))),
        "intercepts_r": float(np.corrcoef(intercepts, draw.intercepts)[0, 1]),
    }


def judged(decision: np.ndarray, rows: Rows) -> dict[str, float]:
    """Return accuracies, the ratio of selection rates (less over more), and their difference."""
    hit = decision == (rows.y == 1)
    rates = [float(decision[rows.group == one].mean()) for one in (0, 1)]
    recalls = [float(hit[rows.y == one].mean()) for one in (0, 1)]
    return {
        "accuracy": float(hit.mean()),
        "balanced": float(np.mean(recalls)),
        "ratio": min(rates) / max(rates) if max(rates) else 1.0,
        "difference": abs(rates[1] - rates[0]),
    }


def methods(
    draw: Draw, seed: int, family: str
) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Yield every method's name and fit."""
    if family == "constrained":
        for name, variance in (("CRLR", 0.5), ("GLMM", None)):
            for limit in (np.inf, 0.1, 0.05, 0.0):
                yield (
                    f"{name} c={limit:g}",
                    lambda limit=limit, variance=variance: theirs(draw, limit, variance),
                )
    if family in HIDDEN:
        for weight in MOMENT_WEIGHTS if family == "moment" else WEIGHTS:
            yield (
                f"pyfairme {family} {weight:g}",
                lambda weight=weight: ours(draw, family, weight, seed),
            )
    if family == "thresholds":
        for limit in (0.1, 0.0):
            yield f"thresholds {limit:g}", lambda limit=limit: thresholds(draw, limit, seed)


def run(design: str, seeds: range, families: list[str], folder: Path) -> None:
    """Fit and judge what is not stored yet; one file a draw and family."""
    for seed in seeds:
        draw = made(design, seed)
        for family in families:
            path = folder / f"{design.replace(' ', '_')}-{family}-{seed}.csv"
            if path.exists():
                continue
            lines = []
            for name, fitted in methods(draw, seed, family):
                start = time.perf_counter()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    found = fitted()
                decisions, took = found.pop("decisions"), time.perf_counter() - start
                for part, decision in decisions.items():
                    line = {"design": design, "draw": seed, "method": name, "rows": part}
                    lines.append(line | judged(decision, getattr(draw, part)) | found | {"s": took})
            folder.mkdir(parents=True, exist_ok=True)
            pd.DataFrame(lines).to_csv(path, index=False)
            print(path.name, round(sum(one["s"] for one in lines) / 2), "s", flush=True)


def show(folder: Path, against: str) -> None:
    """Print means, 90 % intervals over draws, and paired differences from a method."""
    found = pd.concat([pd.read_csv(path) for path in sorted(folder.glob("*.csv"))])
    measures = ["accuracy", "balanced", "ratio", "difference", "slopes_rmse", "intercepts_rmse"]
    for (design, part), lines in found.groupby(["design", "rows"], sort=False):
        table = {}
        other = lines[lines["method"] == against].set_index("draw")
        for name, mine in lines.groupby("method", sort=False):
            by_draw = mine.set_index("draw")
            row = {"draws": str(len(by_draw))}
            for measure in [*measures, "intercepts_r", "s"]:
                row[measure] = interval(by_draw[measure], 3)
            apart = (by_draw["accuracy"] - other["accuracy"]).dropna()
            row[f"accuracy less {against}"] = interval(apart, 4)
            table[name] = row
        print(f"\n{design}, {part}")
        print(pd.DataFrame(table).T.to_string(), flush=True)


def show_interpolated(folder: Path) -> None:
    """Print accuracies in strata seen at equal differences of selection rates, by family.

    Means over the draws that both families have are interpolated; differences from GLMM and CRLR
    carry 90 % intervals by the jackknife over draws (none where it would need extrapolation).
    Empty where a family's settings do not reach.
    """
    found = pd.concat([pd.read_csv(path) for path in sorted(folder.glob("*.csv"))])
    found = found[found["rows"] == "seen"]
    found["family"] = found["method"].str.replace(r" (c=)?[\d.inf]+$", "", regex=True)
    for design, lines in found.groupby("design", sort=False):
        table = {}
        families = dict(iter(lines.groupby("family", sort=False)))
        for name, mine in families.items():
            table[name] = {at: _text(accuracy_at(mine, at), 0.0) for at in DIFFERENCES}
        for other in ("GLMM", "CRLR"):
            for name, mine in families.items():
                if name.startswith("pyfairme") and other in families:
                    table[f"{name} less {other}"] = {
                        at: _text(*gap_at(mine, families[other], at)) for at in DIFFERENCES
                    }
        print(f"\n{design}: accuracy at equal differences of selection rates, interpolated")
        print(pd.DataFrame(table).T.to_string(), flush=True)


def accuracy_at(lines: pd.DataFrame, difference: float) -> float:
    """Return accuracy at a difference, between the means of two settings; NaN outside of them."""
    means = lines.groupby("method")[["difference", "accuracy"]].mean().sort_values("difference")
    x = means["difference"].to_numpy()
    if not x[0] <= difference <= x[-1]:
        return np.nan
    return float(np.interp(difference, x, means["accuracy"]))


def gap_at(mine: pd.DataFrame, other: pd.DataFrame, difference: float) -> tuple[float, float]:
    """Return what mine is more accurate by on common draws, and half its 90 % interval."""
    from scipy.stats import t

    draws = sorted(set(mine["draw"]) & set(other["draw"]))

    def gap(kept: list[int]) -> float:
        first, second = (one[one["draw"].isin(kept)] for one in (mine, other))
        return accuracy_at(first, difference) - accuracy_at(second, difference)

    without = np.array([gap([one for one in draws if one != left]) for left in draws])
    n = len(draws)
    error = np.sqrt((n - 1) / n * np.sum((without - without.mean()) ** 2))
    return gap(draws), float(t.ppf(0.95, max(n - 1, 1)) * error)


def _text(mean: float, half: float) -> str:
    return "" if np.isnan(mean) else f"{mean:.4f}" + (f" +-{half:.4f}" if half > 0 else "")


def interval(values: pd.Series, digits: int) -> str:
    """Return the mean over draws and half the width of its 90 % interval, by Student's t."""
    from scipy.stats import t

    half = t.ppf(0.95, max(len(values) - 1, 1)) * values.std() / np.sqrt(len(values))
    return f"{values.mean():.{digits}f} +-{half:.{digits}f}"


def main() -> None:
    """Fit or print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--designs", nargs="+", choices=DESIGNS, default=list(DESIGNS))
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--store", type=Path, default=Path("runs/fair_glmm"))
    parser.add_argument("--show", action="store_true", help="print what is stored")
    parser.add_argument("--against", default="GLMM c=0", help="differences are from this method")
    options = parser.parse_args()
    if options.show:
        show(options.store, options.against)
        show_interpolated(options.store)
        return
    for design in options.designs:
        run(design, range(options.draws), options.families, options.store)


if __name__ == "__main__":
    main()
