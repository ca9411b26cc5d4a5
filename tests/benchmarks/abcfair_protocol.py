"""Thresholds and penalties in the protocol of ABCFair (arXiv 2409.16965) on ACSIncome.

    python tests/benchmarks/abcfair_protocol.py --peers --store runs/abcfair
    python tests/benchmarks/abcfair_protocol.py --splits 0 --models --store runs/abcfair
    python tests/benchmarks/abcfair_protocol.py --show --store runs/abcfair

Protocol, by its public configuration and data code: 64 % of the rows train, 16 % validate, 20 %
test, afresh for each of five seeds. Covariates are class of worker, schooling, the code of the
occupation as a number, and weekly hours; sex, age, marital status and race (five groups) are
protected and no covariates. Unfairness of decisions is the largest relative distance of a group's
rate from that of all rows,

    max_g |rate_g / rate - 1|,        rate_g = sum_i w_ig d_i / sum_i w_ig over the rows that count,

with w_ig = 1 for members of group g; age is one more "group" whose w is age, scaled to 0 to 1.
"parallel" is over the groups of all attributes at once, "binary" over the two sexes.

Scores here are LightGBM's, default settings (theirs: a network of 512, 256 and 64 units).
Thresholds are chosen on the validation rows with the goal accuracy: `JointThresholds`' rule with
limits of the least ratio of rates, age in brackets (30, 45), S read (as scores are, which know no
S; corrected for the groups by Bayes' rule, as ``sensitive="read_or_inferred"`` does, with chances
of groups learnt here; or by a logistic regression on score and groups, which is no option of
`JointThresholds`) or inferred; with ``--peers`` error-parity on the same scores too, S read, its
intersection of attributes (rare ones together). ``--models`` fits pyfairme's default network with
occupations as clusters under its penalties instead; it reads no S.

ACSIncome comes from `PYFAIRME_DATA`: 665,800 rows, 40 % of theirs.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import pyfairme as pf
from pyfairme.data.attributes import Attribute
from pyfairme.postprocessing.inferred_groups import infer, learn
from pyfairme.postprocessing.joint_rule import Members, joint_rule
from pyfairme.postprocessing.limit_support import Limit
from tests.benchmarks.policy_peers import joined

COVARIATES = ("COW", "SCHL", "OCCP", "WKHP")
OTHERS = {3, 4, 5, 7}  # codes of race that are put to 8, "some other"
NAMES = ("sex", "race", "marital", "age")
RATES = {"demographic parity": "selection_rate", "equal opportunity": "tpr"}
RATIOS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)  # the least of two groups' rates
TOLERANCES = (0.2, 0.1, 0.05, 0.02)
CONSTRAINTS = {"demographic parity": "demographic_parity",
               "equal opportunity": "true_positive_rate_parity"}  # fmt: skip
WEIGHTS = (0.0, 0.3, 1.0, 3.0)


class Table(NamedTuple):
    """Covariates, outcomes (n,), groups by attribute with their codes (n,), and scaled age (n,)."""

    X: pd.DataFrame
    y: np.ndarray
    groups: Mapping[str, Attribute]
    codes: Mapping[str, np.ndarray]
    age: np.ndarray

    def weights(self, names: tuple[str, ...], rows: np.ndarray) -> np.ndarray:
        """Return w (n, groups): columns of 0 and 1, and scaled age in place of brackets."""
        parts = []
        for name in names:
            sure = np.eye(len(self.groups[name].levels))[self.codes[name][rows]]
            parts.append(self.age[rows, None] if name == "age" else sure)
        return np.hstack(parts)


def load() -> Table:
    """Read ACSIncome."""
    folder = Path(os.environ["PYFAIRME_DATA"]) / "acs_income"
    table = pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))])
    table = table.reset_index(drop=True)
    race = table["RAC1P"].astype(int)
    age = table["AGEP"].to_numpy(float)
    labels = {
        "sex": table["SEX"].astype(int).astype(str),
        "race": race.where(~race.isin(OTHERS), 8).astype(str),
        "marital": table["MAR"].astype(int).astype(str),
        "age": pd.Series(np.digitize(age, [30, 45], right=True).astype(str)),
    }
    groups, codes = {}, {}
    for name, column in labels.items():
        frame = pd.DataFrame({name: column.to_numpy(object)})
        groups[name] = Attribute.fit(frame, name)
        codes[name] = groups[name].encode(frame)
    X = table[list(COVARIATES)].astype(float)
    X["COW"] = table["COW"].fillna(-1).astype(int).astype(str).astype("category")
    scaled = (age - age.min()) / (age.max() - age.min())
    return Table(X, table["PINCP"].to_numpy(int), groups, codes, scaled)


def violation(decision: np.ndarray, weights: np.ndarray, counted: np.ndarray) -> float:
    """Return the largest relative distance of a group's rate from that of all rows that count.

    ``decision`` and ``counted`` (n,), ``weights`` (n, groups).
    """
    mass = weights[counted]
    rates = mass.T @ decision[counted] / mass.sum(axis=0)
    return float(np.max(np.abs(rates / decision[counted].mean() - 1)))


def judged(of: Table, rows: np.ndarray, decision: np.ndarray) -> dict[str, float]:
    """Return accuracy and every violation."""
    y = of.y[rows]
    line = {"accuracy": float((decision == y).mean()), "selected": float(decision.mean())}
    for names, kind in ((NAMES, "parallel"), (("sex",), "binary")):
        weights = of.weights(names, rows)
        line[f"{kind} demographic parity"] = violation(decision, weights, np.full(len(y), True))
        line[f"{kind} equal opportunity"] = violation(decision, weights, y == 1)
        line[f"{kind} predictive equality"] = violation(decision, weights, y == 0)
    return line


def by_bayes(p: np.ndarray, told: list[tuple[Any, np.ndarray]]) -> np.ndarray:
    """Return P(y | x, groups) by the rule of ``sensitive="read_or_inferred"``.

    ``told`` are chances of groups given x and y, and the groups (n,), of every attribute: each
    multiplies the odds by P(g | x, y = 1) / P(g | x, y = 0).
    """
    odds, rows = np.ones(len(p)), np.arange(len(p))
    for chances, codes in told:
        odds *= np.maximum(chances.positive[rows, codes], 1e-9)
        odds /= np.maximum(chances.negative[rows, codes], 1e-9)
    return p * odds / (p * odds + 1 - p)


def calibrated(
    of: Table,
    names: tuple[str, ...],
    choose: np.ndarray,
    test: np.ndarray,
    p: np.ndarray,
    p_test: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return P(y | score, groups) of both sets of rows, by logistic regression on those to choose.

    A classifier that read no S is not calibrated in the groups, as the rule needs where S is read.
    """
    from scipy.special import logit
    from sklearn.linear_model import LogisticRegression

    def features(rows: np.ndarray, score: np.ndarray) -> np.ndarray:
        sure = [np.eye(len(of.groups[n].levels))[of.codes[n][rows]] for n in names]
        return np.column_stack([logit(np.clip(score, 1e-6, 1 - 1e-6)), *sure])

    model = LogisticRegression(max_iter=1000).fit(features(choose, p), of.y[choose])
    return (
        model.predict_proba(features(choose, p))[:, 1],
        model.predict_proba(features(test, p_test))[:, 1],
    )


def policies(
    of: Table, parts: list[np.ndarray], seed: int, peers: bool
) -> Iterator[tuple[dict[str, object], np.ndarray]]:
    """Yield what was done, and the decisions on test rows."""
    from lightgbm import LGBMClassifier

    train, choose, test = parts
    model = LGBMClassifier(random_state=seed, n_jobs=1, verbose=-1)
    fitted = model.fit(of.X.iloc[train], of.y[train])
    p, p_test = (fitted.predict_proba(of.X.iloc[part])[:, 1] for part in (choose, test))
    yield {"method": "LightGBM"}, (p_test > 0.5).astype(int)
    known = {}
    for name in NAMES:
        # S is learnt from training rows: those of few leaves tell groups of four covariates well
        learnt = learn(
            of.groups[name], of.codes[name][train], of.y[train], of.X.iloc[train],
            model=LGBMClassifier(random_state=seed, n_jobs=1, verbose=-1, n_estimators=30),
        )  # fmt: skip
        known[name] = [infer(learnt, of.X.iloc[part]) for part in (choose, test)]
    for names, kind in ((("sex",), "binary"), (NAMES, "parallel")):
        versions = {
            "read": (p, p_test),
            "read, by Bayes": tuple(
                by_bayes(score, [(known[n][at], of.codes[n][part]) for n in names])
                for at, (score, part) in enumerate(((p, choose), (p_test, test)))
            ),
            "read, calibrated": calibrated(of, names, choose, test, p, p_test),
            "inferred": (p, p_test),
        }
        for way, scores in versions.items():
            here, there = {}, {}
            for name in names:
                levels = len(of.groups[name].levels)
                for members, part, at in ((here, choose, 0), (there, test, 1)):
                    sure = Members.of(of.codes[name][part], levels)
                    found = known[name][at]
                    inferred = Members(found.positive, found.negative)
                    members[name] = inferred if way == "inferred" else sure
            for notion, rate in RATES.items():
                for ratio in RATIOS:
                    limits = tuple(Limit(name, rate, ratio, "ratio") for name in names)
                    rule = joint_rule(scores[0], here, limits, "accuracy")
                    coins = np.random.default_rng(seed).random(len(test))
                    done = {"method": "JointThresholds", "way": way, "notion": notion}
                    yield (
                        done | {"attributes": kind, "setting": f"ratio {ratio:g}"},
                        (coins < rule.chances(scores[1], there)).astype(int),
                    )
    if not peers:
        return
    from error_parity import RelaxedThresholdOptimizer

    for names, kind in ((("sex",), "binary"), (NAMES, "parallel")):
        group, group_test = joined(
            of.y[choose], [of.codes[n][choose] for n in names], [of.codes[n][test] for n in names]
        )
        for notion, constraint in CONSTRAINTS.items():
            for tolerance in TOLERANCES:
                policy = RelaxedThresholdOptimizer(
                    predictor=lambda X: X[:, 0], constraint=constraint, tolerance=tolerance,
                    seed=seed,
                )  # fmt: skip
                policy.fit(X=p[:, None], y=of.y[choose], group=group)
                done = {"method": "error-parity", "way": "read", "notion": notion}
                yield (
                    done | {"attributes": kind, "setting": f"difference {tolerance:g}"},
                    np.asarray(policy(p_test[:, None], group=group_test)).astype(int),
                )


def models(
    of: Table, parts: list[np.ndarray], seed: int, rows: int
) -> Iterator[tuple[dict[str, object], np.ndarray]]:
    """Yield penalised networks' decisions; ``rows`` of the training rows."""
    rng = np.random.default_rng(seed)
    train, test = rng.choice(parts[0], rows, replace=False), parts[2]
    frame = of.X.assign(OCCP="o" + of.X["OCCP"].astype(int).astype(str))
    for name in NAMES:
        frame[name] = np.asarray(of.groups[name].levels, object)[of.codes[name]].astype(str)
    for weight in WEIGHTS:
        model = pf.FairMixedEffectsClassifier(
            "OCCP", list(NAMES), drop_sensitive=True, fairness_weight=weight,
            criterion="equalized_odds", random_state=seed, progress=False,
        )  # fmt: skip
        model.fit(frame.iloc[train], of.y[train])
        done = {"method": f"pyfairme, {rows} rows", "way": "not read", "notion": "equalized odds"}
        yield (
            done | {"attributes": "parallel", "setting": f"weight {weight:g}"},
            np.asarray(model.predict(frame.iloc[test])),
        )


def run(of: Table, seed: int, options: argparse.Namespace) -> None:
    """Judge one split, and store it."""
    order = np.random.default_rng([2409, seed]).permutation(len(of.y))
    test, rest = np.split(order, [len(order) // 5])
    choose, train = np.split(rest, [len(rest) // 5])
    parts = [train, choose, test]
    found = (
        models(of, parts, seed, options.rows)
        if options.models
        else policies(of, parts, seed, options.peers)
    )
    lines = []
    for done, decision in found:
        lines.append({"split": seed} | done | judged(of, test, decision))
        line = lines[-1]
        said = [line[key] for key in ("accuracy", "parallel equal opportunity")]
        print(*done.values(), *(round(float(one), 4) for one in said), flush=True)
    kind = "models" if options.models else "policies"
    options.store.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(lines).to_csv(options.store / f"{kind}-{seed}.csv", index=False)


def show(folder: Path) -> None:
    """Print means and standard deviations over splits."""
    found = pd.concat([pd.read_csv(path) for path in sorted(folder.glob("*.csv"))])
    keys = ["method", "way", "attributes", "notion", "setting"]
    measures = [one for one in found.columns if one not in ("split", *keys)]
    grouped = found.groupby(keys, dropna=False, sort=False)[measures]
    mean, sd = grouped.mean(), grouped.std()
    text = mean.map(lambda one: f"{one:.4f}") + " " + sd.map(lambda one: f"({one:.4f})")
    with pd.option_context("display.width", 250, "display.max_columns", 20):
        print(text.to_string())


def main() -> None:
    """Run splits, or print what is stored."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--splits", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--models", action="store_true", help="penalised networks, no thresholds")
    parser.add_argument("--rows", type=int, default=20_000, help="training rows of --models")
    parser.add_argument("--peers", action="store_true", help="error-parity too")
    parser.add_argument("--store", type=Path, default=Path("runs/abcfair"))
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    if options.show:
        show(options.store)
        return
    of = load()
    for seed in options.splits:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run(of, seed, options)


if __name__ == "__main__":
    main()
