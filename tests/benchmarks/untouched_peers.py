"""Our penalised models beside thresholds on boosting, on the tables of untouched_tables.

    python -m tests.benchmarks.untouched_peers [TABLE ...] [--show]

The default by weight and `medl_adb` at 1, once with sensitive columns among the covariates ("read")
and once without ("not read"). Beside them LightGBM with its default settings on the same rows and
covariates, and on its out-of-fold probabilities (five folds) error-parity, fairlearn and oxonfair,
which get the intersection of the attributes, and our JointThresholds; where S is not read the
groups are those that a logistic regression predicts (theirs) or infers (ours). A point dominates
another if balanced accuracy and worst SD are both better, and both 90 % bootstrap intervals of the
paired differences say so. Needs `lightgbm error-parity fairlearn oxonfair`, and the tables'
packages. Points are appended to `--store`, decisions lie beside it, and neither is made again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

import pyfairme as pf
from pyfairme.data.attributes import Attribute
from pyfairme.data.schema import source
from pyfairme.postprocessing.group_features import GroupFeatures
from pyfairme.postprocessing.inferred_groups import infer, learn
from pyfairme.postprocessing.joint_rule import Members, joint_rule
from pyfairme.postprocessing.limit_support import Limit
from pyfairme.postprocessing.out_of_fold import fit_out_of_fold
from tests.benchmarks.adversary_weights import groups_of
from tests.benchmarks.policy_peers import PEERS, Scored, joined
from tests.benchmarks.untouched_tables import (
    REAL,
    ROLES,
    WEIGHTS,
    answers_file,
    judged_fit,
    table,
    worst_of,
)

OURS = (*(("default", weight) for weight in WEIGHTS), ("medl_adb", 1.0))
KEYWORDS = {"default": {}, "medl_adb": dict(pf.VARIANTS["medl_adb"])}
# of SDs: half of the peers' tolerances
LIMITS = (0.2, 0.15, 0.12, 0.09, 0.06, 0.04, 0.02, 0.01, 0.0)
JOINT, BOOSTING, FOLDS, TIMES = "JointThresholds", "LightGBM", 5, 300
WORST, MEAN = 1, 2  # of the SDs over groups of TPR and FPR, of all attributes
TABLES_STORE = Path("runs/untouched_tables.jsonl")
READ = {True: "read", False: "not read"}


def seed_of(name: str) -> int:
    """Return the seed of a table, as in untouched_tables."""
    return 1 if name == "adult" else 0


def as_categories(here: pd.DataFrame, there: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make labels categories with the levels of the first table; others are missing."""
    here, there = here.copy(), there.copy()
    for name in here.select_dtypes(exclude="number").columns:
        levels = sorted(here[name].dropna().astype(str).unique())
        for of in (here, there):
            text = of[name].astype(str)
            of[name] = pd.Categorical(text.where(text.isin(levels) & of[name].notna()), levels)
    return here, there


def policies(name: str, keep: bool) -> Iterator[tuple[str, str, np.ndarray | str]]:
    """Yield boosting's points: method, point, and decisions (n,), or why there are none."""
    from lightgbm import LGBMClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_curve

    seed, sensitive = seed_of(name), ROLES[name].sensitive
    X, X_test, y, _ = table(name, seed)
    y = (y == np.unique(y)[-1]).astype(int)
    labels, labels_test = groups_of(list(sensitive), X), groups_of(list(sensitive), X_test)
    X, X_test = as_categories(X, X_test)
    if not keep:
        own = list({source(one) for one in sensitive})
        X, X_test = X.drop(columns=own), X_test.drop(columns=own)
    X.columns = X_test.columns = [f"c{i}" for i in range(X.shape[1])]  # LightGBM refuses signs
    model = LGBMClassifier(random_state=seed, n_jobs=1, verbose=-1)
    fitted, p = fit_out_of_fold(model, X, y, None, FOLDS, "mixed")
    p_test = fitted.predict_proba(X_test)[:, 1]
    false, true, cuts = roc_curve(y, p)
    yield BOOSTING, "no policy", (p_test >= cuts[np.argmax(true - false)]).astype(np.int8)
    features = None if keep else GroupFeatures.fit(X)
    here, there = list(labels.values()), list(labels_test.values())
    if features is not None:
        mine, others = features.read(X, p), features.read(X_test, p_test)
        models = [LogisticRegression(max_iter=2000).fit(mine, one) for one in here]
        here, there = ([model.predict(of) for model in models] for of in (mine, others))
    group, group_test = joined(y, here, there)
    scored = Scored(y, p, group, p_test, group_test, seed)
    for peer, points in PEERS.items():
        for point, decide in points(scored):
            try:
                yield peer, point, np.asarray(decide()).astype(np.int8)
            except (ValueError, ZeroDivisionError, AssertionError) as error:  # a result as well
                yield peer, point, f"{type(error).__name__}: {error}"
    try:
        members = [{}, {}]
        for one, values in labels.items():
            attribute = Attribute.fit(pd.DataFrame({one: values}), one)
            size = len(attribute.levels)
            codes = [attribute.encode(pd.DataFrame({one: of[one]})) for of in (labels, labels_test)]
            if features is None:
                found = [Members.of(of, size) for of in codes]
            else:
                learnt = learn(attribute, codes[0], y, mine)
                found = [infer(learnt, of) for of in (mine, others)]
            for part, of in zip(members, found, strict=True):
                part[one] = of
        for limit in LIMITS:
            limits = tuple(Limit(one, rate, limit) for one in labels for rate in ("tpr", "fpr"))
            chance = joint_rule(p, members[0], limits, "balanced_accuracy").chances(
                p_test, members[1]
            )
            coins = np.random.default_rng(seed).random(len(chance))
            yield JOINT, f"SD at most {limit:g}", (coins < chance).astype(np.int8)
    except ValueError as error:
        yield JOINT, "all", str(error)


def our_points(name: str, keep: bool) -> Iterator[tuple[str, str, np.ndarray | str]]:
    """Yield our models' points: a name, a weight, and decisions (n,), or why there are none."""
    for model, weight in OURS:
        made = answers_file(TABLES_STORE, (name, model, weight))
        if keep and made.exists():  # the fit of untouched_tables
            yield model, f"weight {weight:g}", np.load(made)["decided"]
            continue
        try:
            found, answers = judged_fit(
                name, weight, KEYWORDS[model] | {"drop_sensitive": not keep}
            )
            print(name, READ[keep], model, weight, f"{found['skill']:.4f} {found['worst_sd']:.4f}",
                  found["warned"], *found["said"], flush=True)  # fmt: skip
            yield model, f"weight {weight:g}", answers["decided"]
        except FloatingPointError as error:
            yield model, f"weight {weight:g}", str(error)


def make(store: Path, name: str, keep: bool) -> None:
    """Make the points of a table and append them; those there are stay."""
    for make_points, part in ((our_points, "ours"), (policies, "policies")):
        file = store.with_suffix("") / f"{name}-{READ[keep].replace(' ', '-')}-{part}.npz"
        if file.exists():
            continue
        begun = time.perf_counter()
        found = list(make_points(name, keep))
        decided = {f"{a}|{b}": c for a, b, c in found if not isinstance(c, str)}
        failed = {f"{a}|{b}": c for a, b, c in found if isinstance(c, str)}
        line = {"table": name, "S": READ[keep], "part": part, "failed": failed,
                "seconds": time.perf_counter() - begun}  # fmt: skip
        with store.open("a", encoding="utf-8") as written:
            written.write(json.dumps(line) + "\n")
        np.savez_compressed(file, **decided)
        print(line, flush=True)


class Judged:
    """Balanced accuracy, worst and mean SD of all points of a table, and of samples of its rows.

    ``points`` (points, 3); ``drawn`` (times, points, 3): the same rows for all points.
    """

    def __init__(self, name: str, decisions: dict[str, np.ndarray]) -> None:
        seed = seed_of(name)
        _, X_test, _, y = table(name, seed)
        self.y = (y == np.unique(y)[-1]).astype(float)
        named = groups_of(list(ROLES[name].sensitive), X_test)
        self.groups = {k: np.unique(v, return_inverse=True)[1] for k, v in named.items()}
        self.names = list(decisions)
        self._decided = np.stack([decisions[k] for k in self.names], axis=1).astype(float)
        n, rng = len(self.y), np.random.default_rng(seed)
        self.points = self._measured(np.ones(n))
        for i in range(len(self.names)):  # the other benchmark's sums, by another way
            same = max(worst_of(self.y, self._decided[:, i], self.groups).values())
            assert abs(same - self.points[i, 1]) < 1e-9
        self.drawn = np.stack(
            [
                self._measured(np.bincount(rng.integers(n, size=n), minlength=n))
                for _ in range(TIMES)
            ]
        )

    def _measured(self, weight: np.ndarray) -> np.ndarray:
        rates, spreads = [], []
        for value in (1.0, 0.0):
            own = weight * (self.y == value)
            rates.append(own @ self._decided / own.sum())
            for codes in self.groups.values():
                member = np.eye(codes.max() + 1)[codes] * own[:, None]
                mass = member.sum(axis=0)
                sums = member.T @ self._decided
                spreads.append((sums[mass > 0] / mass[mass > 0, None]).std(axis=0))
        accuracy = (rates[0] + 1 - rates[1]) / 2
        return np.stack([accuracy, np.max(spreads, axis=0), np.mean(spreads, axis=0)], axis=1)

    def dominators(self, point: str, others: list[str], spread: int = WORST) -> list[str]:
        """Return those of the others that are better in both, beyond the paired intervals."""
        at = self.names.index(point)
        found = []
        for other in others:
            to = self.names.index(other)
            more = self.drawn[:, to, 0] - self.drawn[:, at, 0]
            less = self.drawn[:, at, spread] - self.drawn[:, to, spread]
            if min(np.quantile(more, 0.05), np.quantile(less, 0.05)) > 0:
                found.append(other)
        return found

    def interval(self, point: str) -> tuple[float, float]:
        """Return the 90 % interval of a point's worst SD."""
        low, high = np.quantile(self.drawn[:, self.names.index(point), 1], [0.05, 0.95])
        return float(low), float(high)


def show(store: Path, names: list[str]) -> None:
    """Print who dominates whom, and all points, in Markdown."""
    lines = store.read_text(encoding="utf-8").splitlines()
    failures = [one for one in map(json.loads, lines) if one["failed"]]
    peers = [*PEERS, BOOSTING]
    totals: dict[tuple[str, str], list[int]] = {}
    details = []
    print("| table | S | our point | balanced accuracy | worst SD (90 %) | dominated by a peer's | "
          "by JointThresholds' | dominates of the peers' |")  # fmt: skip
    print("|---" * 8 + "|")
    for name in names:
        for keep in (False, True):
            folder, S = store.with_suffix(""), READ[keep]
            files = [folder / f"{name}-{S.replace(' ', '-')}-{p}.npz" for p in ("ours", "policies")]
            if not all(file.exists() for file in files):
                continue
            ours, others = (dict(np.load(file)) for file in files)
            judged = Judged(name, ours | others)
            theirs = [one for one in others if one.split("|")[0] in peers]
            joint = [one for one in others if one.split("|")[0] == JOINT]
            for one in ours:
                by, by_joint = judged.dominators(one, theirs), judged.dominators(one, joint)
                beaten = [t for t in theirs if judged.dominators(t, [one])]
                at, (low, high) = judged.points[judged.names.index(one)], judged.interval(one)
                who = ", ".join(sorted({b.split("|")[0] for b in by})) or "none"
                print(f"| {name} | {S} | {one.replace('|', ', ')} | {at[0]:.3f} | {at[1]:.3f} "
                      f"({low:.3f} to {high:.3f}) | {who} | {'yes' if by_joint else 'no'} | "
                      f"{len(beaten)} of {len(theirs)} |")  # fmt: skip
            for mine, those, what in (
                (list(ours), theirs, "ours by peers"),
                (list(ours), joint, "ours by JointThresholds"),
                (joint, theirs, "JointThresholds by peers"),
                (theirs, joint, "peers by JointThresholds"),
                (theirs, list(ours), "peers by ours"),
            ):
                counts = totals.setdefault((S, what), [0, 0, 0])
                for spread in (WORST, MEAN):
                    counts[spread - 1] += sum(
                        bool(judged.dominators(one, those, spread)) for one in mine
                    )
                counts[2] += len(mine)
            details.append((name, S, judged, [*theirs, *joint]))
    print("\n| S | points | dominated, by worst SD | by mean SD | of |\n|---|---|---|---|---|")
    for (S, what), (by_worst, by_mean, of) in totals.items():
        print(f"| {S} | {what} | {by_worst} | {by_mean} | {of} |")
    print("\n| table | S | method | points: balanced accuracy at worst SD |\n|---|---|---|---|")
    for name, S, judged, others in details:
        for method in dict.fromkeys(one.split("|")[0] for one in others):
            at = [judged.points[judged.names.index(o)] for o in others if o.split("|")[0] == method]
            cells = ", ".join(f"{a:.3f} at {b:.3f}" for a, b, _ in at)
            print(f"| {name} | {S} | {method} | {cells} |")
    for one in failures:
        for point, why in one["failed"].items():
            print(f"failed: {one['table']}, S {one['S']}, {point}: {why[:160]}")


def main() -> None:
    """Make the points that are missing, or print what is stored."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tables", nargs="*")
    parser.add_argument("--store", type=Path, default=Path("runs/untouched_peers.jsonl"))
    parser.add_argument("--show", action="store_true")
    given = parser.parse_args()
    given.store.with_suffix("").mkdir(parents=True, exist_ok=True)
    names = given.tables or [name for name in ROLES if name not in REAL]
    if given.show:
        show(given.store, names)
        return
    for name in names:
        for keep in (False, True):
            make(given.store, name, keep)


if __name__ == "__main__":
    main()
