"""Does a weight that was chosen on held-out clusters do better on clusters never seen?

`python tests/benchmarks/choose_on_clusters.py [--splits 4] [--rows 6000] [--cost 0.02]`: Adult.
Of 14 occupations a random half is set aside. On the rows of the others a frontier is fitted twice,
with folds of rows and with folds of whole occupations (`hold_out`), and a weight is chosen on each
by the worst SD of the attribute. Then both weights, and weight 0, are fitted to all of these rows
with seeds that chose nothing, and judged on the occupations set aside. Prints each split, and the
mean over splits with its standard error.
"""

import argparse
import warnings

import numpy as np
import pandas as pd
from sklearn.base import clone

import pyfairme as pf
from pyfairme.data import Schema
from pyfairme.datasets import Dataset, load_adult
from pyfairme.study import frontier

WEIGHTS = (0.0, 0.1, 0.3, 1.0, 3.0)
SMALL = {
    "hidden": (32,), "network_posterior": "none", "guide": "mean_field", "unseen": "population",
    "cluster_weight": 0.0, "threshold": "balanced_accuracy", "min_steps": 600, "epochs": 10,
    "weight_decay": 10.0, "progress": False,
}  # fmt: skip


def part(frame, target, rows, attribute):
    table = frame.iloc[rows].reset_index(drop=True)
    schema = Schema.infer(table, cluster="occupation", sensitive=[attribute])
    return Dataset(table, target.iloc[rows].reset_index(drop=True), schema, name="adult")


def judged(estimator, weight, own, others, seeds):
    """TPR and FPR SD, balanced accuracy and AUROC on the occupations set aside, mean over seeds."""
    found = []
    for seed in seeds:
        model = clone(estimator).set_params(fairness_weight=weight, random_state=1000 + seed)
        model.fit(own.frame, own.target)
        report = model.fairness_report(others.frame, others.target, n_boot=0)
        lines = report.loc[(report["effects"] == "mixed") & (report["group"] == "all")]
        found.append(lines.groupby("metric")["value"].first())
    means = pd.concat(found, axis=1).mean(axis=1)
    return means[["tpr_sd", "fpr_sd", "balanced_accuracy", "auroc"]].to_dict()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", type=int, default=4)
    parser.add_argument("--rows", type=int, default=6000)
    parser.add_argument("--cost", type=float, default=0.02)
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--attribute", default="sex")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    data = load_adult()
    frame = data.frame.drop(columns=["fnlwgt", "native_country"])
    named = frame["occupation"].notna() & (frame["occupation"].value_counts().reindex(
        frame["occupation"]).to_numpy() >= 100)  # fmt: skip
    frame, target = frame[named].reset_index(drop=True), data.target[named].reset_index(drop=True)
    labels = np.unique(frame["occupation"].astype(str))
    lines = []
    for split in range(options.splits):
        rng = np.random.default_rng(split)
        aside = rng.permutation(labels)[: len(labels) // 2]
        away = frame["occupation"].isin(aside).to_numpy()
        own, others = (rng.permutation(np.flatnonzero(rows)) for rows in (~away, away))
        known = part(frame, target, own[: options.rows], options.attribute)
        new = part(frame, target, others[: 2 * options.rows], options.attribute)
        base = pf.FairMixedEffectsClassifier("occupation", [options.attribute], **SMALL)
        choices = {"weight 0": 0.0}
        for name in ("rows", "clusters"):
            swept = frontier(
                base, known, weights=WEIGHTS, folds=options.folds, seeds=1, hold_out=name,
                n_boot=0, progress=False,
            )  # fmt: skip
            try:
                choices[name] = swept.choose(options.cost).weight
            except ValueError:  # nothing is that cheap
                choices[name] = 0.0
        for name, weight in choices.items():
            estimator = clone(base).set_params(early_stopping=False)
            found = judged(estimator, weight, known, new, range(options.seeds))
            lines.append({"split": split, "chosen on": name, "weight": weight, **found})
            print(lines[-1], flush=True)
    table = pd.DataFrame(lines)
    numbers = ["weight", "tpr_sd", "fpr_sd", "balanced_accuracy", "auroc"]
    print(table.groupby("chosen on")[numbers].mean().round(4).to_string())
    wide = table.pivot(index="split", columns="chosen on", values="tpr_sd")
    gain = wide["rows"] - wide["clusters"]
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    print(f"TPR SD, rows less clusters: {gain.mean():.4f} (standard error {error:.4f})")


if __name__ == "__main__":
    main()
