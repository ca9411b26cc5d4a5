"""Fairness over a number, age, and what becomes of it where the sensitive value is missing.

    python -m tests.benchmarks.continuous_sensitive [TABLE ...] [--seeds 0 1 2 3 4 5] [--show]

Tables: "made-up" and "adult", whose S is age as a number, "made-up groups" and "adult groups",
whose S are two attributes of categories. Made-up rows have a known truth: 6,000 in 12 clusters to
fit, 20,000 to judge by. Adult: 70 % of the rows to fit, occupations as clusters. `ARMS` says what
is known of S in training; about 30 % of the rows are without it. The same seed is the same split
and the same random numbers in every arm, so that differences from "full" are paired. Judging knows
S of all rows: SDs of rates over ten groups of age of equal size, or over the categories.

Finished fits are appended to `--store` and not made again; `--show` prints the tables of
docs/results/continuous.md: means over seeds, and differences from "full" with 90 % t intervals.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

import pyfairme as pf
from pyfairme.model.penalties import PENALTIES
from tests.benchmarks.adversary_weights import stored_lines

GROUPS = 10
LOST = 0.3
AGE = "age"
TOLD = " as told"  # a column that only penalties see: what people told of theirs

ADULT = {
    "full": (0.0, 0.3, 1.0, 3.0),
    "again": (1.0,),  # as "full", from other random numbers: what chance does to a fit
    "binned": (1.0,),  # three brackets
    "random": (0.3, 1.0),  # told by 70 % at random; the covariate age is whole
    "by age": (1.0,),  # the older, the less often told
    "selective": (1.0,),  # the young tell it less if of much education, the old if of little
    "covariate": (0.0, 0.7, 1.0),  # the covariate has the gaps of "random" too
    "no covariate": (1.0,),  # age is no covariate, S is whole
    "no covariate, random": (1.0,),
}
MADE_UP = {
    "full": (0.0, 0.3, 1.0),
    "again": (1.0,),
    "random": (0.3, 1.0),
    "selective": (1.0,),
    "covariate": (0.7, 1.0),
}
GROUPED = {
    "full": (0.0, 0.3, 1.0),
    "left out": (0.3, 1.0),  # exclude={column: [None]}
    "as a group": (1.0,),  # as without a word: "(missing)" is a group
}
FEW = {"full": (0.0, 0.3), "octiles": (0.3,), "moment": (0.3,), "kernel": (0.3,)}
ARMS = {
    "adult": ADULT,
    "adult groups": GROUPED,
    "made-up": MADE_UP,
    "made-up groups": GROUPED,
    "few positives": FEW,
}
BRACKETS = ("binned", "octiles")
BASE = {"no covariate, random": "no covariate"}  # what an arm is compared with, else "full"
FEWER = {0.7: 1.0}  # 70 % of a weight is compared with the weight


class Rows(NamedTuple):
    """A table and its outcomes."""

    frame: pd.DataFrame
    y: np.ndarray


class Problem(NamedTuple):
    """Rows to fit on and to judge by, the cluster, the attributes, brackets, and a covariate."""

    train: Rows
    judge: Rows
    cluster: str
    sensitive: tuple[str, ...]
    brackets: tuple[float, ...] = ()
    other: str = "score"  # what the selective go by
    fair: np.ndarray | None = None  # the true log odds of rows to judge by, without S


def made_up(seed: int) -> Problem:
    """Draw rows whose log odds have a sine of age and a covariate that leans on age."""
    effects = np.random.default_rng(100 + seed).normal(0, 0.7, 12)

    def draw(rows: int, generator: np.random.Generator) -> Rows:
        age, code = generator.uniform(20, 70, rows), generator.integers(0, 12, rows)
        score = generator.normal(size=rows) + 0.03 * (age - 45)
        other = generator.normal(size=rows)
        wave = 0.9 * np.sin((age - 20) / 50 * 2 * np.pi)
        log_odds = -1 + score + 0.5 * other + wave + 0.02 * (age - 45) + effects[code]
        y = (generator.uniform(size=rows) < 1 / (1 + np.exp(-log_odds))).astype(int)
        cluster = [f"g{one}" for one in code]
        return Rows(pd.DataFrame({AGE: age, "score": score, "other": other, "g": cluster}), y)

    train, judge = (draw(*one) for one in _sizes(seed))
    return Problem(train, judge, "g", (AGE,), (30, 45))


def made_up_groups(seed: int) -> Problem:
    """Draw rows whose log odds, and a covariate, lean on two attributes of two and four groups."""
    effects = np.random.default_rng(100 + seed).normal(0, 0.7, 12)

    def draw(rows: int, generator: np.random.Generator) -> Rows:
        two = generator.choice(2, rows, p=(0.65, 0.35))
        four = generator.choice(4, rows, p=(0.6, 0.25, 0.1, 0.05))
        code = generator.integers(0, 12, rows)
        lean = np.array([0.0, -0.8])[two] + np.array([0.0, -0.6, 0.4, -0.9])[four]
        score, other = generator.normal(size=rows) + 0.5 * lean, generator.normal(size=rows)
        log_odds = -0.5 + score + 0.5 * other + lean + effects[code]
        y = (generator.uniform(size=rows) < 1 / (1 + np.exp(-log_odds))).astype(int)
        frame = {"two": two, "four": four, "score": score, "other": other, "g": code}
        return Rows(pd.DataFrame(frame).astype(dict.fromkeys(("two", "four", "g"), str)), y)

    train, judge = (draw(*one) for one in _sizes(seed))
    return Problem(train, judge, "g", ("two", "four"))


def few_positives(seed: int) -> Problem:
    """Draw 2,000 rows of 8 % positives, of whose outcomes age tells as much as the rest."""

    def draw(rows: int, generator: np.random.Generator) -> tuple[Rows, np.ndarray]:
        age = np.round(generator.gamma(9, 5, rows))
        score, other = generator.normal(size=rows), generator.normal(size=rows)
        code = generator.integers(0, 9, rows)
        fair = -2.75 + 0.6 * score
        log_odds = fair + 0.04 * (age - 45)
        y = (generator.uniform(size=rows) < 1 / (1 + np.exp(-log_odds))).astype(int)
        frame = {AGE: age, "score": score, "other": other, "g": [f"g{one}" for one in code]}
        return Rows(pd.DataFrame(frame), y), fair

    (train, _), (judge, fair) = (
        draw(rows, np.random.default_rng(start + seed))
        for rows, start in ((2000, 30), (20_000, 50))
    )
    edges = np.unique(train.frame[AGE].quantile(np.arange(1, 8) / 8))
    return Problem(train, judge, "g", (AGE,), tuple(edges), fair=fair)


def _sizes(seed: int) -> tuple[tuple[int, np.random.Generator], ...]:
    return (6000, np.random.default_rng(10 + seed)), (20_000, np.random.default_rng(20 + seed))


def adult(seed: int, sensitive: tuple[str, ...] = (AGE,)) -> Problem:
    """Split Adult's rows."""
    data = pf.datasets.load_adult()
    y = (data.target == sorted(data.target.unique())[-1]).to_numpy().astype(int)
    mixed = np.random.default_rng(seed).permutation(len(y))
    first, second = np.split(mixed, [int(0.7 * len(y))])
    parts = [Rows(data.frame.iloc[at].reset_index(drop=True), y[at]) for at in (first, second)]
    return Problem(*parts, "occupation", sensitive, (30, 45), "education_num")


TABLES: dict[str, Callable[[int], Problem]] = {
    "adult": adult,
    "adult groups": lambda seed: adult(seed, ("sex", "race")),
    "made-up": made_up,
    "made-up groups": made_up_groups,
    "few positives": few_positives,
}


def chances(problem: Problem, arm: str) -> np.ndarray:
    """Return with what probability S is missing in every training row; about 30 % in all."""
    frame, y = problem.train
    if arm == "by age":  # from 5 to 55 % by rank
        return 0.05 + 0.5 * (frame[AGE].rank(pct=True).to_numpy() - 0.5 / len(y))
    if arm == "selective":
        old = (frame[AGE] > frame[AGE].median()).to_numpy()
        much = (frame[problem.other] > frame[problem.other].median()).to_numpy()
        shy = old != much
        often = 0.55
        return np.where(shy, often, (LOST - often * shy.mean()) / (1 - shy.mean()))
    return np.full(len(y), LOST)


def with_gaps(problem: Problem, arm: str, seed: int) -> tuple[pd.DataFrame, list[str]]:
    """Return the training frame of an arm, and the columns that penalties read."""
    frame = problem.train.frame
    if arm in ("full", "again", "binned", "no covariate", *FEW):
        return frame, list(problem.sensitive)
    probability = chances(problem, arm)
    new = {}
    for index, name in enumerate(problem.sensitive):
        drawn = np.random.default_rng([seed, index]).uniform(size=len(frame))
        new[name] = frame[name].where(drawn >= probability)
    if arm in ("covariate", "no covariate, random"):  # S is the column itself
        return frame.assign(**new), list(new)
    return frame.assign(**{name + TOLD: values for name, values in new.items()}), [
        name + TOLD for name in new
    ]


def fitted(table: str, problem: Problem, arm: str, weight: float, seed: int) -> Any:
    """Fit an arm; settings are the defaults."""
    frame, columns = with_gaps(problem, arm, seed)
    attributes: list[Any] = list(columns)
    if AGE in problem.sensitive:
        attributes = [
            pf.Binned(one, problem.brackets) if arm in BRACKETS else pf.Continuous(one)
            for one in columns
        ]
    out = AGE not in problem.sensitive and arm == "left out"
    return pf.FairMixedEffectsClassifier(
        problem.cluster,
        attributes,
        fairness=arm if arm in PENALTIES else "decision_adversarial",
        fairness_weight=weight,
        exclude={name: [None] for name in columns} if out else None,
        drop_sensitive=arm.startswith("no covariate") or columns[0].endswith(TOLD),
        threshold="balanced_accuracy",
        random_state=seed + 1000 * (arm == "again"),
        progress=False,
    ).fit(frame, problem.train.y)


def parts_of(column: pd.Series) -> np.ndarray:
    """Return numbers of groups: ten of equal size of a number, else the categories."""
    if pd.api.types.is_numeric_dtype(column):
        values = column.to_numpy(float)
        edges = np.quantile(values, np.arange(1, GROUPS) / GROUPS)
        return np.searchsorted(edges, values, side="left")
    return np.unique(column.astype(str), return_inverse=True)[1]


def judged(model: Any, problem: Problem, generator: np.random.Generator) -> dict[str, Any]:
    """Return the figures of one fit: of all rows, and rates by group."""
    frame, y = problem.judge
    p, decision = model.predict_proba(frame)[:, 1], model.predict(frame)
    found: dict[str, Any] = {
        "AUROC": roc_auc_score(y, p),
        "balanced accuracy": balanced_accuracy_score(y, decision),
        "positive": float(decision.mean()),
        "restarts": float(model.history_.get("restarts", pd.Series([0.0])).max()),
    }
    if problem.fair is not None:
        found["AUROC without S"] = roc_auc_score(y, problem.fair)
    for name in problem.sensitive:
        group = parts_of(frame[name])
        for label, of in ((name, group), (f"{name} shuffled", generator.permutation(group))):
            rates = {}
            for kind, values in (("rate", decision), ("p", p)):
                for outcome in (0, 1):
                    rows = y == outcome
                    rates[f"{kind} {outcome}"] = _means(values[rows], of[rows], group.max() + 1)
            found[label] = rates
        found[f"{name} rows"] = [np.bincount(group[y == outcome]).tolist() for outcome in (0, 1)]
    return found


def _means(values: np.ndarray, group: np.ndarray, groups: int) -> list[float]:
    """Return the mean of every group; 0 where it has no rows."""
    count = np.maximum(np.bincount(group, None, groups), 1)
    return (np.bincount(group, values.astype(float), groups) / count).tolist()


def figures(line: dict[str, Any], sensitive: tuple[str, ...]) -> dict[str, float]:
    """Return accuracies and SDs over groups of a finished fit, for several attributes the mean."""
    found = {name: float(line[name]) for name in ("AUROC", "balanced accuracy")}
    for kind, name in (("rate 1", "TPR SD"), ("rate 0", "FPR SD"), (None, "SD of p")):
        each = [kind] if kind else ["p 0", "p 1"]
        for shuffled in ("", " shuffled"):
            values = [np.std(line[s + shuffled][one]) for s in sensitive for one in each]
            found[name + shuffled] = float(np.mean(values))
    counted = [_weighted(line[s]["rate 1"], line[f"{s} rows"][1]) for s in sensitive]
    return found | {"weighted TPR SD": float(np.mean(counted))}


def _weighted(rates: list[float], rows: list[int]) -> float:
    """Return the SD of rates over rows, not over groups: a group of five rows counts as five."""
    mean = np.average(rates, weights=rows)
    return float(np.average((np.array(rates) - mean) ** 2, weights=rows) ** 0.5)


def interval(values: np.ndarray) -> str:
    """Return a mean with its 90 % t interval."""
    half = stats.t.ppf(0.95, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    low, high = values.mean() - half, values.mean() + half
    return f"{_short(values.mean())} ({_short(low)} to {_short(high)})"


def _short(value: float) -> str:
    return f"{value:+.3f}".replace("0.", ".").replace("-.000", ".000").replace("+.000", ".000")


def show(stored: dict[tuple[Any, ...], dict[str, Any]], tables: list[str]) -> None:
    """Print means, paired differences, and rates by age."""
    for table in tables:
        own = {key[1:]: line for key, line in stored.items() if key[0] == table}
        if not own:
            continue
        sensitive = TABLES[table](0).sensitive
        lines = {key: figures(line, sensitive) for key, line in own.items()}
        frame = pd.DataFrame(lines).T.rename_axis(["arm", "weight", "seed"]).sort_index()
        size = frame.groupby(["arm", "weight"]).size()
        arms = [
            (arm, weight)
            for arm, weights in ARMS[table].items()
            for weight in weights
            if (arm, weight) in size
        ]
        print(f"\n{table}: {size[arms].min()} to {size[arms].max()} fits")
        means(frame, arms)
        differences(frame, arms)
        fair = [line.get("AUROC without S", np.nan) for line in own.values()]
        if not np.isnan(fair).all():
            print(f"\nAUROC of the truth without S: {np.mean(fair):.3f}, lowest {min(fair):.3f}")
        if AGE in sensitive:
            curves(own, arms)


FIGURES = ("AUROC", "balanced accuracy", "TPR SD", "weighted TPR SD", "FPR SD", "SD of p")


def means(frame: pd.DataFrame, arms: list[tuple[str, float]]) -> None:
    """Print means over seeds, and the lowest AUROC."""
    chance = frame[["TPR SD shuffled", "FPR SD shuffled"]].groupby(["arm", "weight"]).mean().max()
    print(f"largest TPR SD and FPR SD by chance {chance.round(3).tolist()}\n")
    print(f"| weight | S | {' | '.join(FIGURES)} | lowest AUROC |")
    print(f"|---|---|{'---|' * len(FIGURES)}---|")
    for arm, weight in arms:
        own = frame.loc[arm, weight]
        each = [*(own[one].mean() for one in FIGURES), own["AUROC"].min()]
        print(f"| {weight:g} | {arm} | {' | '.join(f'{one:.3f}'.lstrip('0') for one in each)} |")


def differences(frame: pd.DataFrame, arms: list[tuple[str, float]]) -> None:
    """Print paired differences from what an arm is compared with."""
    print(f"\n| weight | less full | {' | '.join(FIGURES)} |\n|---|---|{'---|' * len(FIGURES)}")
    for arm, weight in arms:
        base = (BASE.get(arm, "full"), FEWER.get(weight, weight))
        if (arm, weight) == base or base not in arms:
            continue
        gain = (frame.loc[arm, weight] - frame.loc[base]).dropna()
        if len(gain) > 1:
            each = " | ".join(interval(gain[one].to_numpy()) for one in FIGURES)
            print(f"| {weight:g} | {arm} | {each} |")


def curves(own: dict[tuple[Any, ...], dict[str, Any]], arms: list[tuple[str, float]]) -> None:
    """Print rates over the ten groups of age, means over seeds."""
    print(f"\n| weight, S | {' | '.join(map(str, range(1, GROUPS + 1)))} |")
    print("|---|" + "---|" * GROUPS)
    for label, at in (("positives", 1), ("negatives", 0)):
        counts = np.mean([one[f"{AGE} rows"][at] for one in own.values()], axis=0)
        print(f"| {label} | {' | '.join(f'{one:.0f}' for one in counts)} |")
    for kind, name in (("rate 1", "TPR"), ("rate 0", "FPR")):
        for arm, weight in arms:
            rates = [one[AGE][kind] for key, one in own.items() if key[:2] == (arm, weight)]
            each = " | ".join(f"{one:.2f}".lstrip("0") for one in np.mean(rates, axis=0))
            print(f"| {name}, {weight:g}, {arm} | {each} |")


def main() -> None:
    """Make the fits that are missing, or show what is stored."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument(
        "tables", nargs="*", default=["adult", "adult groups", "made-up", "made-up groups"]
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(6)))
    parser.add_argument("--store", type=Path, default=Path("runs/continuous_sensitive.jsonl"))
    parser.add_argument("--show", action="store_true")
    given = parser.parse_args()
    stored = stored_lines(given.store)
    if given.show:
        show(stored, given.tables)
        return
    given.store.parent.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    for seed in given.seeds:
        for table in given.tables:
            problem = TABLES[table](seed)
            for arm, weights in ARMS[table].items():
                for weight in weights:
                    if (key := (table, arm, weight, seed)) in stored:
                        continue
                    begun = time.perf_counter()
                    model = fitted(table, problem, arm, weight, seed)
                    seconds = time.perf_counter() - begun
                    found = judged(model, problem, np.random.default_rng(seed))
                    one = {"key": list(key), "seconds": seconds, **found}
                    with given.store.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(one) + "\n")
                    said = {k: round(v, 3) for k, v in figures(one, problem.sensitive).items()}
                    print(*key, f"{seconds:.0f} s", said, flush=True)


if __name__ == "__main__":
    main()
