"""What labelled rows of new occupations are worth: `adapt` beside three ways to do without labels.

    python tests/benchmarks/adapt_occupations.py --store runs/adapt [--figure adapt.png]

Adult: the six most frequent occupations train. Of every other one with enough rows, 40 % are test
rows (the same for all methods, models and seeds); of the rest, 5, 20, 100 or 500 are labelled, five
random choices per seed. A seed is one network. ``infer``, ``population`` and ``sample`` use no
label, ``adapt`` learns the new occupations' effects, ``refit`` trains from scratch with the
labelled rows among the training rows. Finished pieces lie in the store, so that it can be stopped
and started again; ``--only`` shows what is there.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.metrics import roc_curve

import pyfairme as pf
from pyfairme.estimators.refine_and_adapt import FairnessWarning
from pyfairme.metrics import auroc, balanced_accuracy, fpr_sd, log_loss, tpr_sd
from pyfairme.plots.adaptation_curve import plot_adaptation
from pyfairme.study.crossval.fits import with_roles
from pyfairme.study.crossval.splits import seen_clusters, seen_rows

LABELLED = (5, 20, 100, 500)
TEST_SHARE = 0.4
KEPT = {"medl": 0.0, "medl_adb": 0.3}  # fairness_weight of `adapt + fairness`; 0: without it
MODELS: dict[str, dict[str, Any]] = {
    f"{variant}, {label}": dict(pf.VARIANTS[variant]) | {"random_slopes": slopes}
    for variant in KEPT
    for label, slopes in (("intercepts", None), ("all slopes", "all"))
}
METRICS = {
    "log_loss": "log loss",
    "balanced_accuracy": "balanced accuracy",
    "balanced_accuracy_half": "threshold .5",
    "balanced_accuracy_own": "own threshold",
    "auroc": "AUROC",
    "tpr_sd_sex": "TPR SD sex",
    "fpr_sd_sex": "FPR SD sex",
    "tpr_sd_age": "TPR SD age",
    "fpr_sd_age": "FPR SD age",
}
SHOWN = ("log_loss", "balanced_accuracy", "tpr_sd_sex")


class Task(NamedTuple):
    """Adult, the rows to train on, and of each new occupation rows to label and to test on."""

    data: Any
    training: np.ndarray
    pools: dict[str, np.ndarray]
    test: np.ndarray


def task() -> Task:
    """Split Adult by occupation, and every new occupation once for all."""
    data = pf.datasets.load_adult()
    training, rest = seen_rows(data, seen_clusters(data, 6))
    rng = np.random.default_rng(0)
    pools, tests = {}, []
    labels = data.frame["occupation"].to_numpy()[rest]
    for occupation in sorted(set(labels)):
        rows = rng.permutation(rest[labels == occupation])
        cut = round(TEST_SHARE * len(rows))
        if len(rows) - cut >= max(LABELLED):
            pools[occupation] = rows[cut:]
            tests.append(rows[:cut])
    return Task(data, training, pools, np.sort(np.concatenate(tests)))


def labelled(of: Task, number: int, seed: int, draw: int) -> np.ndarray:
    """Choose rows of every pool; more rows of one draw contain the fewer."""
    rng = np.random.default_rng([seed, draw])
    return np.concatenate([rng.permutation(pool)[:number] for pool in of.pools.values()])


def judge(of: Task, clf: Any, known: Any = None) -> dict[str, float]:
    """Compute all metrics on the test rows, all occupations pooled.

    The decision threshold is the fit's, from seen occupations; ``known`` labelled rows choose one
    of their own for ``balanced_accuracy_own``.
    """
    X, y = of.data.frame.iloc[of.test], of.data.target.iloc[of.test].to_numpy()
    probability = clf.predict_proba(X)[:, 1]
    decision = (probability >= clf.threshold_["mixed"]).astype(int)
    age = np.digitize(X["age"].to_numpy(), (30, 45), right=True)
    found = {
        "log_loss": log_loss(y, probability),
        "auroc": auroc(y, probability),
        "balanced_accuracy": balanced_accuracy(y, decision),
        "balanced_accuracy_half": balanced_accuracy(y, (probability >= 0.5).astype(int)),
    }
    for name, groups in (("sex", X["sex"].to_numpy()), ("age", age)):
        found[f"tpr_sd_{name}"] = tpr_sd(y, decision, sensitive_features=groups)
        found[f"fpr_sd_{name}"] = fpr_sd(y, decision, sensitive_features=groups)
    if known is not None:
        X_known, y_known = of.data.frame.iloc[known], of.data.target.iloc[known].to_numpy()
        false, true, cuts = roc_curve(y_known, clf.predict_proba(X_known)[:, 1])
        best = probability >= cuts[np.argmax(true - false)]
        found["balanced_accuracy_own"] = balanced_accuracy(y, best.astype(int))
    for occupation in of.pools:
        own = (X["occupation"] == occupation).to_numpy()
        found[f"log_loss {occupation}"] = log_loss(y[own], probability[own])
    return {name: float(value) for name, value in found.items()}


def fitted(of: Task, model: str, seed: int, rows: np.ndarray) -> Any:
    """Train one model on rows of the data."""
    clf = pf.FairMixedEffectsClassifier(
        **MODELS[model], threshold="balanced_accuracy", random_state=seed, progress=False
    )
    return with_roles(clf, of.data).fit(of.data.frame.iloc[rows], of.data.target.iloc[rows])


def base(of: Task, model: str, seed: int, store: Path) -> Any:
    """Return the model that knows the six occupations only, from its file if there is one."""
    path = store / f"{model} {seed}.pyfairme"
    if not path.exists():
        fitted(of, model, seed, of.training).save(path)
    return pf.load(path)


def without_labels(of: Task, clf: Any) -> list[dict]:
    """Judge the three policies."""
    found = []
    for policy in ("infer", "population", "sample"):
        scores = judge(of, clf.set_params(unseen=policy))
        found.append({"method": policy, "rows": 0, "draw": 0, **scores})
    return found


def adapted(
    of: Task, clf: Any, number: int, seed: int, draws: int, weight: float = 0.0
) -> list[dict]:
    """Adapt to several choices of labelled rows; the first call compiles and is not timed."""
    found = []
    for draw in range(draws):
        rows = labelled(of, number, seed, draw)
        X, y = of.data.frame.iloc[rows], of.data.target.iloc[rows]
        start, work = time.perf_counter(), time.process_time()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            grown = clf.adapt(X, y, fairness_weight=weight)
        ends = time.perf_counter() - start, time.process_time() - work
        wall, cpu = (1000 * end / len(of.pools) if draw else np.nan for end in ends)
        found.append({
            "method": "adapt + fairness" if weight else "adapt", "rows": number, "draw": draw,
            **judge(of, grown, rows), "ms": wall, "cpu_ms": cpu,
            "warned": any(issubclass(one.category, FairnessWarning) for one in said),
        })  # fmt: skip
    return found


def refitted(of: Task, model: str, number: int, seed: int) -> list[dict]:
    """Train from scratch with the first choice of labelled rows."""
    rows = np.concatenate([of.training, labelled(of, number, seed, 0)])
    start = time.perf_counter()
    clf = fitted(of, model, seed, rows)
    seconds = time.perf_counter() - start
    return [{"method": "refit", "rows": number, "draw": 0, **judge(of, clf), "seconds": seconds}]


def pieces(of: Task, options: argparse.Namespace) -> Iterator[tuple[str, str, int, Callable]]:
    """List all pieces of work, the cheap ones first."""
    for seed in range(options.seeds):
        for model in options.models:
            kept = KEPT[model.partition(",")[0]]

            def own(model: str = model, seed: int = seed) -> Any:
                return base(of, model, seed, options.store)

            yield "policies", model, seed, lambda own=own: without_labels(of, own())
            for number in LABELLED:
                for weight in {0.0, kept}:
                    yield (
                        f"adapt {number} {weight:g}",
                        model,
                        seed,
                        (
                            lambda own=own, n=number, s=seed, w=weight: adapted(
                                of, own(), n, s, options.draws, w
                            )
                        ),
                    )
        for number in LABELLED if seed < options.refits else ():
            for model in MODELS:
                yield (
                    f"refit {number}",
                    model,
                    seed,
                    (lambda m=model, n=number, s=seed: refitted(of, m, n, s)),
                )


def collect(of: Task, options: argparse.Namespace) -> pd.DataFrame:
    """Do what is missing, and return all records: model, seed, method, rows, draw, metrics."""
    options.store.mkdir(parents=True, exist_ok=True)
    found = []
    for name, model, seed, work in pieces(of, options):
        path = options.store / f"{model} {seed} {name}.json"
        if not path.exists():
            if options.only:
                continue
            start = time.perf_counter()
            text = json.dumps(work())
            hidden = path.with_suffix(".part")
            hidden.write_text(text, encoding="utf-8")
            hidden.replace(path)
            print(f"{path.stem}: {time.perf_counter() - start:.0f} s", flush=True)
        for record in json.loads(path.read_text(encoding="utf-8")):
            found.append({"model": model, "seed": seed, **record})
    return pd.DataFrame(found)


def cases(found: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """List the records of every model, method and number of rows, with their cells of a table."""
    for model in MODELS:
        for method in dict.fromkeys(found["method"]):
            for rows in (0, *LABELLED):
                chosen = (found["model"] == model) & (found["method"] == method)
                own = found.loc[chosen & (found["rows"] == rows)]
                if len(own):
                    yield f"| {model} | {method} | {rows} |", own


def table(found: pd.DataFrame) -> str:
    """Write the means over seeds and draws, and the SD over them of the log loss."""
    head = ["model", "method", "rows", *METRICS.values()]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for names, own in cases(found):
        means = [float(np.mean(own[name])) for name in METRICS]
        cells = ["" if np.isnan(mean) else f"{mean:.3f}" for mean in means]
        if len(own) > 1:
            cells[0] += f" ± {np.std(own['log_loss'], ddof=1):.3f}"
        lines.append(f"{names} {' | '.join(cells)} |")
    return "\n".join(lines)


def times(found: pd.DataFrame) -> str:
    """Write the least milliseconds per cluster of a warm `adapt`, and how often it warned."""
    lines = ["| model | method | rows | ms a cluster | CPU ms | warned |", "|" + "---|" * 6]
    for names, own in cases(found.loc[found["ms"].notna()]):
        least, cpu = np.min(own["ms"]), np.min(own["cpu_ms"])
        lines.append(f"{names} {least:.0f} | {cpu:.0f} | {np.sum(own['warned'])} of {len(own)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--refits", type=int, default=1, help="seeds that are refitted too")
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS))
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--only", action="store_true", help="show what is there, fit nothing")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message="Unlike the training rows")
    of = task()
    print({name: len(rows) for name, rows in of.pools.items()}, "test rows:", len(of.test))
    found = collect(of, options)
    print(table(found))
    if "ms" in found:
        print(times(found))
    if options.figure:
        names = {name: METRICS[name] for name in SHOWN}
        plot_adaptation(found, names).savefig(options.figure, dpi=110)
        with Image.open(options.figure) as picture:  # few colours: a fifth of the size
            picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=64).save(options.figure)


if __name__ == "__main__":
    main()
