"""What is reported, chosen and decided at 1, 3 and 12 % positives: frontiers of small tables.

    python -m tests.benchmarks.few_positives_choice [--rows 4000] [--percents 1 3 12]

Made-up rows (a signal of middling strength), Adult and police stops (`PYFAIRME_DATA`), of which
positives are left out at random until so many per cent are left. Small networks, weights 0,
.3 and 1, by thresholds of .5 and of the best balanced accuracy: three folds, one seed. Printed are
the points, why one of them is useless, and what `choose` takes within two points of accuracy.
"""

import argparse
import itertools
import warnings

import numpy as np
import pandas as pd

import pyfairme as pf
from pyfairme.data import Schema
from pyfairme.datasets import Dataset
from pyfairme.study import frontier
from tests.benchmarks.few_positives import adult, made, police_stops

# Small networks without a posterior: what is looked at is what is said of their points.
QUICK = {"hidden": (16,), "network_posterior": "none", "guide": "mean_field", "min_steps": 600,
         "unseen": "population"}  # fmt: skip


def thinned(frame, y, percent, rows, seed):
    """Leave positives out until ``percent`` are left, of so many rows in all."""
    rng = np.random.default_rng(seed)
    wanted = round(rows * percent / 100)
    positive = rng.permutation(np.flatnonzero(y == 1))[:wanted]
    negative = rng.permutation(np.flatnonzero(y == 0))[: rows - wanted]
    at = rng.permutation(np.concatenate([positive, negative]))
    return frame.iloc[at].reset_index(drop=True), y[at]


def dataset(name, percent, rows):
    """Return the table with the roles that `few_positives` gives it."""
    if name == "made-up":
        frame, y, cluster, sensitive = made(rows // 2, percent, 1.0, 0)  # twice as many
    else:
        frame, y, cluster, sensitive = {"adult": adult, "police_stops": police_stops}[name]()
        frame, y = thinned(frame, y, percent, rows, 0)
    frame = frame.reset_index(drop=True)
    roles = {"cluster": cluster, "sensitive": sensitive}
    schema = Schema.infer(frame, **roles, target="y", task="classification")
    return Dataset(frame, pd.Series(np.asarray(y), name="y"), schema, name=name)


def judged(data, threshold):
    """Return the points of one frontier, what `choose` says of it, and what it warns of."""
    model = pf.FairMixedEffectsClassifier(threshold=threshold, **QUICK)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fits: what is said of points is printed
        found = frontier(
            model, data, weights=[0, 0.3, 1], folds=3, seeds=1, n_boot=20, progress=False
        )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            chosen = f"weight {found.choose(max_cost=0.02).weight}"
        except ValueError as error:
            chosen = str(error)
    points = found.points.frame
    codes = sorted({str(one.message).rpartition("[")[2].rstrip("]") for one in said})
    return points[points["effects"] == "mixed"], chosen, ", ".join(codes)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--percents", type=float, nargs="+", default=[1, 3, 12])
    parser.add_argument("--tables", nargs="+", default=["made-up", "adult", "police_stops"])
    options = parser.parse_args()
    print("| table | positives | threshold | weight | AUROC | positive | worst SD | useless |")
    print("|---|---|---|---|---|---|---|---|")
    cases = itertools.product(options.tables, options.percents, (0.5, "balanced_accuracy"))
    choices = []
    for name, percent, threshold in cases:
        case = f"| {name} | {percent:g} % | {threshold} |"
        points, chosen, codes = judged(dataset(name, percent, options.rows), threshold)
        choices.append(f"{case} {chosen} | {codes} |")
        for _, one in points.iterrows():
            why = str(one["useless"] or "").partition(":")[0]
            skill = f"{one['weight']} | {one['auroc']:.3f} | {one['selected']:.3f}"
            print(case, f"{skill} | {one['worst_sd']:.3f} | {why} |", flush=True)
    print("\n| table | positives | threshold | chosen | warned |\n|---|---|---|---|---|")
    print("\n".join(choices))


if __name__ == "__main__":
    main()
