"""Thresholds in the protocol of LinearPost (Xian & Zhao, arXiv 2405.04025), by its notebooks.

    python tests/benchmarks/linearpost_protocol.py --dataset acs adult --store runs/linearpost

A classifier is fitted once to a fixed part of the rows (63 % of ACSIncome, 35 % of Adult); five
times the rest is dealt into rows that thresholds are chosen on (7 % of ACSIncome, 35 % of Adult)
and test rows (30 %): for Adult the same rows as there.

With ``--together`` there is no such cut: classifier and groups are learned from all rows but the
test rows, thresholds chosen on what clones of five folds say of the fold that they did not see.
With ``--decided`` thresholds are chosen on the test rows themselves, without their outcomes (and,
without S, their groups), which JointThresholds allow.

Unfairness (delta EO) is the largest difference of two groups in TPR or FPR, protected is sex, the
goal is accuracy. "With S" the classifier reads sex, and so do thresholds; "without S" it is no
covariate, and groups are inferred. ``--attributes all`` protects sex, race, marital status and age
at once. LightGBM has its default settings; it gets labels as categories, or with
``--encoding onehot`` a column each, as in the notebooks.

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
from functools import partial
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


def covariates(of: Census, hidden: tuple[str, ...], onehot: bool) -> Any:
    """Return the covariates without columns ``hidden``: a frame, or a sparse matrix."""
    from scipy import sparse
    from sklearn.preprocessing import OneHotEncoder

    X = of.X.drop(columns=list(hidden))
    if not onehot:
        return X
    text = X.select_dtypes("category").columns
    levels = OneHotEncoder(dtype=np.float32).fit_transform(X[text].astype(str))
    numbers = sparse.csr_matrix(X.drop(columns=text).to_numpy(np.float32))
    return sparse.hstack([numbers, levels], format="csr")


def at_rows(X: Any, rows: np.ndarray) -> Any:
    """Return rows of a frame or a matrix."""
    return X.iloc[rows] if isinstance(X, pd.DataFrame) else X[rows]


def believed(
    of: Census, names: tuple[str, ...], read: bool, seed: int, stored: Path, onehot: bool
) -> Believed:
    """Fit the classifier and, where groups are not read, their models, on the training rows."""
    from lightgbm import LGBMClassifier
    from sklearn.model_selection import train_test_split

    rest, training = train_test_split(
        np.arange(len(of.y)), test_size=of.training, random_state=seed
    )
    if not stored.exists():
        hidden = () if read else tuple(of.columns[name] for name in names)
        X = covariates(of, hidden, onehot)
        model = LGBMClassifier(random_state=seed, n_jobs=1, verbose=-1)
        here, there = at_rows(X, training), at_rows(X, rest)
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


def _dealt(of: Census, rows: np.ndarray, split: int) -> np.ndarray:
    """Return positions among the rows that no classifier was fitted to, test rows first."""
    test = np.random.default_rng(split).choice(len(rows), int(TEST * len(of.y)), replace=False)
    return np.concatenate([test, np.setdiff1d(np.arange(len(rows)), test)])


def out_of_fold(of: Census, names: tuple[str, ...], read: bool, split: int) -> Believed:
    """Return all rows, test rows by models of the others, these by models of five folds.

    Test rows come first.
    """
    from lightgbm import LGBMClassifier
    from sklearn.model_selection import StratifiedKFold, train_test_split

    first, _ = train_test_split(np.arange(len(of.y)), test_size=of.training, random_state=SPLITS[0])
    test = first[_dealt(of, first, split)[: int(TEST * len(of.y))]]
    mine = np.setdiff1d(np.arange(len(of.y)), test)
    X = of.X if read else of.X.drop(columns=[of.columns[name] for name in names])
    model = LGBMClassifier(random_state=split, n_jobs=1, verbose=-1)
    p = np.zeros(len(of.y))
    found = {}
    for name in names:
        sure = Members.of(of.codes[name], len(of.groups[name].levels))
        found[name] = sure if read else Members(*(np.zeros_like(one) for one in sure))
    folds = StratifiedKFold(5, shuffle=True, random_state=split).split(mine, of.y[mine])
    for here, there in [*((mine[a], mine[b]) for a, b in folds), (mine, test)]:
        p[there] = model.fit(X.iloc[here], of.y[here]).predict_proba(X.iloc[there])[:, 1]
        for name in () if read else names:
            codes = of.codes[name][here]
            learnt = learn(of.groups[name], codes, of.y[here], X.iloc[here], model=model)
            for whole, part in zip(found[name], infer(learnt, X.iloc[there]), strict=True):
                whole[there] = part
    rows = np.concatenate([test, mine])
    return Believed(np.arange(len(of.y)), p, found).part(rows)


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


def run(
    of: Census,
    names: tuple[str, ...],
    splits: list[int],
    known: Callable[[int], tuple[Believed, np.ndarray]],
    decided_rows: bool,
) -> pd.DataFrame:
    """Return accuracy and unfairness of every limit and split, on test rows and on chosen ones.

    ``known`` returns the rows of a split, and their order: test rows first. ``decided_rows``:
    whether thresholds are chosen on test rows.
    """
    lines = []
    for split in splits:
        rows, order = known(split)
        count = int(TEST * len(of.y))
        parts = {"test": order[:count], "chosen": order[count:]}
        chosen = rows.part(parts["test" if decided_rows else "chosen"])
        for limit in LIMITS:
            line: dict[str, Any] = {"split": split, "limit": limit}
            for part, at in parts.items():
                new = rows.part(at)
                decision = decided(chosen, new, limit, split)
                line[f"accuracy {part}"] = float((decision == of.y[new.rows]).mean())
                line[f"delta {part}"] = delta_eo(of, new.rows, decision, names)
            lines.append(line)
    return pd.DataFrame(lines)


def _together(
    of: Census, names: tuple[str, ...], read: bool, split: int
) -> tuple[Believed, np.ndarray]:
    return out_of_fold(of, names, read, split), np.arange(len(of.y))


def _apart(of: Census, rows: Believed, split: int) -> tuple[Believed, np.ndarray]:
    return rows, _dealt(of, rows.rows, split)


def main() -> None:
    """Print a table of limits, mean and SD over splits."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dataset", nargs="+", choices=("acs", "adult"), default=["acs", "adult"])
    parser.add_argument("--attributes", nargs="+", choices=("sex", "all"), default=["sex", "all"])
    parser.add_argument("--encoding", choices=("categories", "onehot"), default="categories")
    parser.add_argument("--together", action="store_true", help="no rows apart for thresholds")
    parser.add_argument(
        "--decided", action="store_true", help="choose on the test rows' covariates"
    )
    parser.add_argument("--splits", nargs="+", type=int, default=list(SPLITS))
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
                if options.together:
                    key = f"{dataset}-{setting}-{'with' if read else 'without'}-together"
                    known = partial(_together, of, names, read)
                else:
                    onehot = options.encoding == "onehot"
                    key += "-onehot" if onehot else ""
                    stored = options.store / f"{key}.npz"
                    known = partial(
                        _apart, of, believed(of, names, read, options.seed, stored, onehot)
                    )
                key += "-decided" if options.decided else ""
                lines = run(of, names, options.splits, known, options.decided)
                lines.to_csv(options.store / f"{key}.csv", index=False)
                found = lines.drop(columns="split").groupby("limit").agg(["mean", "std"])
                print(f"\n{key}, {len(of.y)} rows; published {PUBLISHED.get((dataset, read))}")
                print(found.round(4).to_string(), flush=True)


if __name__ == "__main__":
    main()
