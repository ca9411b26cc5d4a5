"""Thresholds in the protocol of LinearPost (Xian & Zhao, arXiv 2405.04025), by its notebooks.

    python tests/benchmarks/linearpost_protocol.py --dataset acs adult --store runs/linearpost

A classifier is fitted once to a fixed part of the rows (63 % of ACSIncome, 35 % of Adult); five
times the rest is dealt into rows that thresholds are chosen on (7 % of ACSIncome, 35 % of Adult)
and test rows (30 %). Unfairness (delta EO) is the largest difference of two groups in TPR or FPR,
protected is sex, the goal is accuracy. "With S" the classifier reads sex, and so do thresholds;
"without S" it is no covariate, and groups are inferred. ``--attributes all`` protects sex, race,
marital status and age at once. LightGBM has its default settings, with labels as categories.

ACSIncome is read from `PYFAIRME_DATA` (665,800 rows, 40 % of the published table), Adult from
there too (both files, 48,842 rows). Probabilities are stored, so that a run goes on where it was
stopped.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pyfairme.data.attributes import Attribute
from pyfairme.postprocessing.inferred_groups import infer, learn
from pyfairme.postprocessing.joint_rule import Members, joint_rule
from pyfairme.postprocessing.limit_support import Limit

LIMITS = (0.0, 0.004, 0.008, 0.012, 0.016, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, np.inf)
SPLITS = (33, 34, 35, 36, 37)
TEST = 0.3
ADULT = ("age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation",
         "relationship", "race", "sex", "capital_gain", "capital_loss", "hours_per_week",
         "native_country", "income")  # fmt: skip
# published: data, whether S is read: accuracy, delta EO
PUBLISHED = {("acs", False): (0.8102, 0.012), ("acs", True): (0.8102, 0.018),
             ("adult", False): (0.8688, 0.043)}  # fmt: skip


class Census(NamedTuple):
    """A table: covariates, outcomes (n,), groups (n,) by attribute, and each one's column.

    ``training`` is the share of rows that classifiers are fitted to.
    """

    X: pd.DataFrame
    y: np.ndarray
    groups: Mapping[str, Attribute]
    codes: Mapping[str, np.ndarray]
    columns: Mapping[str, str]
    training: float


def load_adult() -> Census:
    """Read both files of Adult, without the weights of the survey."""
    folder, parts = Path(os.environ["PYFAIRME_DATA"]) / "adult", []
    for path in sorted(folder.glob("adult.[dt][ae][ts]*")):
        text = gzip.decompress(path.read_bytes()).decode()
        lines = [line for line in text.splitlines() if line.count(",") == len(ADULT) - 1]
        parts.append(pd.read_csv(io.StringIO("\n".join(lines)), names=ADULT, skipinitialspace=True))
    table = pd.concat(parts, ignore_index=True).drop(columns="fnlwgt")
    y = table.pop("income").str.startswith(">").to_numpy(int)
    columns = {"sex": "sex", "race": "race", "marital": "marital_status", "age": "age"}
    return _census(table, y, columns, 0.35, {})


def load_acs() -> Census:
    """Read ACSIncome with all codes; race in the five groups of their table of five classes."""
    folder = Path(os.environ["PYFAIRME_DATA"]) / "acs_income"
    parts = [pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))]
    table = pd.concat(parts, ignore_index=True)
    y = table.pop("PINCP").to_numpy(int)
    labels = ["COW", "MAR", "OCCP", "POBP", "RELP", "SEX", "RAC1P"]
    table[labels] = table[labels].fillna(-1).astype(int).astype(str)
    columns = {"sex": "SEX", "race": "RAC1P", "marital": "MAR", "age": "AGEP"}
    race = dict(zip("012345678", "012223344", strict=True))
    return _census(table, y, columns, 0.63, race)


def _census(
    table: pd.DataFrame,
    y: np.ndarray,
    columns: dict[str, str],
    training: float,
    race: dict[str, str],
) -> Census:
    codes, groups = {}, {}
    for name, column in columns.items():
        labels = table[column]
        if name == "age":
            labels = pd.cut(labels, [-np.inf, 30, 45, np.inf]).astype(str)
        elif name == "race" and race:
            labels = labels.map(race)
        frame = pd.DataFrame({name: labels.to_numpy(object)})
        groups[name] = Attribute.fit(frame, name)
        codes[name] = groups[name].encode(frame)
    text = table.select_dtypes(exclude="number").columns
    table = table.astype(dict.fromkeys(text, "category"))
    return Census(table, y, groups, codes, columns, training)


class Believed(NamedTuple):
    """Rows that no classifier was fitted to: their numbers, probabilities and groups."""

    rows: np.ndarray
    p: np.ndarray
    members: Mapping[str, Members]

    def part(self, at: np.ndarray) -> Believed:
        """Return those at positions ``at``."""
        members = {n: Members(a[at], b[at]) for n, (a, b) in self.members.items()}
        return Believed(self.rows[at], self.p[at], members)


def believed(of: Census, names: tuple[str, ...], read: bool, seed: int, stored: Path) -> Believed:
    """Fit the classifier and, where groups are not read, their models, on the training rows."""
    from lightgbm import LGBMClassifier

    order = np.random.default_rng(seed).permutation(len(of.y))
    count = round(of.training * len(of.y))
    training, rest = np.sort(order[:count]), np.sort(order[count:])
    if not stored.exists():
        X = of.X if read else of.X.drop(columns=[of.columns[name] for name in names])
        model = LGBMClassifier(random_state=seed, n_jobs=1, verbose=-1)
        here, there = X.iloc[training], X.iloc[rest]
        found = {"p": model.fit(here, of.y[training]).predict_proba(there)[:, 1]}
        for name in () if read else names:
            learnt = learn(
                of.groups[name], of.codes[name][training], of.y[training], here, model=model
            )
            chances = infer(learnt, there)
            found |= {f"{name} 1": chances.positive, f"{name} 0": chances.negative}
        stored.parent.mkdir(parents=True, exist_ok=True)
        np.savez(stored, **{key: value.astype(np.float32) for key, value in found.items()})
    known = {key: value.astype(float) for key, value in np.load(stored).items()}
    members = {}
    for name in names:
        sure = Members.of(of.codes[name][rest], len(of.groups[name].levels))
        members[name] = sure if read else Members(known[f"{name} 1"], known[f"{name} 0"])
    return Believed(rest, known["p"], members)


def delta_eo(of: Census, rows: np.ndarray, decision: np.ndarray, names: tuple[str, ...]) -> float:
    """Return the largest difference of two groups in TPR or FPR, over the attributes."""
    worst = 0.0
    for name in names:
        for value in (0, 1):
            at = of.y[rows] == value
            codes = of.codes[name][rows[at]]
            rates = np.bincount(codes, decision[at]) / np.maximum(np.bincount(codes), 1)
            worst = max(worst, float(np.ptp(rates)))
    return worst


def decided(chosen: Believed, new: Believed, limit: float, seed: int) -> np.ndarray:
    """Choose thresholds on rows, and decide others."""
    limits = tuple(
        Limit(name, rate, limit, "difference") for name in new.members for rate in ("tpr", "fpr")
    )
    rule = joint_rule(chosen.p, chosen.members, limits, "accuracy")
    chance = rule.chances(new.p, new.members)
    return (np.random.default_rng(seed).random(len(chance)) < chance).astype(int)


def run(of: Census, names: tuple[str, ...], known: Believed) -> pd.DataFrame:
    """Return accuracy and unfairness of every limit and split, on test rows and on chosen ones."""
    lines = []
    for split in SPLITS:
        order = np.random.default_rng(split).permutation(len(known.rows))
        count = round(TEST * len(of.y))
        parts = {"test": np.sort(order[:count]), "chosen": np.sort(order[count:])}
        chosen = known.part(parts["chosen"])
        for limit in LIMITS:
            line: dict[str, Any] = {"split": split, "limit": limit}
            for part, at in parts.items():
                new = known.part(at)
                decision = decided(chosen, new, limit, split)
                line[f"accuracy {part}"] = float((decision == of.y[new.rows]).mean())
                line[f"delta {part}"] = delta_eo(of, new.rows, decision, names)
            lines.append(line)
    return pd.DataFrame(lines)


def main() -> None:
    """Print a table of limits, mean and SD over splits."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dataset", nargs="+", choices=("acs", "adult"), default=["acs", "adult"])
    parser.add_argument("--attributes", nargs="+", choices=("sex", "all"), default=["sex", "all"])
    parser.add_argument("--seed", type=int, default=33, help="of the training rows")
    parser.add_argument("--store", type=Path, default=Path("runs/linearpost"))
    options = parser.parse_args()
    loaders: dict[str, Callable[[], Census]] = {"acs": load_acs, "adult": load_adult}
    for dataset in options.dataset:
        of = loaders[dataset]()
        for setting in options.attributes:
            names = ("sex",) if setting == "sex" else tuple(of.groups)
            for read in (False, True):
                key = f"{dataset}-{setting}-{'with' if read else 'without'}-{options.seed}"
                known = believed(of, names, read, options.seed, options.store / f"{key}.npz")
                lines = run(of, names, known)
                lines.to_csv(options.store / f"{key}.csv", index=False)
                found = lines.drop(columns="split").groupby("limit").agg(["mean", "std"])
                print(f"\n{key}, {len(of.y)} rows; published {PUBLISHED.get((dataset, read))}")
                print(found.round(4).to_string(), flush=True)


if __name__ == "__main__":
    main()
