"""What the encoding of numbers and weight decay do to accuracy, on three data sets.

    python tests/benchmarks/network_strength.py [adult] [acs] [heritage]

The unfair mixed model (random slopes on all covariates) is trained on 80 % of the rows of the
largest clusters and judged on the rest: AUROC and log loss, beside scikit-learn's gradient boosting
on the same rows and columns (the cluster among them).
"""

from __future__ import annotations

import sys
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss, roc_auc_score

import pyfairme as pf

SETTINGS = [("standard", 0.0), ("standard", 3.0), ("auto", 0.0), ("auto", 3.0), ("auto", 10.0)]
ROWS = 50_000
SEEN = {"adult": 6, "acs": 7, "heritage": 6}
LOADERS = {
    "adult": pf.datasets.load_adult,
    "acs": pf.datasets.load_acs_income,
    "heritage": pf.datasets.load_heritage,
}


def boosting(learn: pd.DataFrame, y: np.ndarray, judge: pd.DataFrame) -> np.ndarray:
    """Return gradient boosting's probabilities."""
    text = [name for name in learn if not pd.api.types.is_numeric_dtype(learn[name])]
    levels = {name: pd.CategoricalDtype(sorted(learn[name].astype(str).unique())) for name in text}

    def coded(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(**{n: frame[n].astype(str).astype(levels[n]).cat.codes for n in text})

    model = HistGradientBoostingClassifier(
        categorical_features=text, learning_rate=0.06, max_iter=300, max_leaf_nodes=20,
        l2_regularization=1.0, random_state=0,
    )  # fmt: skip
    return model.fit(coded(learn), y).predict_proba(coded(judge))[:, 1]


def lines(name: str) -> list[dict[str, Any]]:
    """Judge every setting on one data set."""
    data = LOADERS[name]()
    cluster, target = data.schema.cluster[0], (data.target > 0).astype(int)
    largest = data.frame[cluster].value_counts().index[: SEEN[name]]
    rows = np.flatnonzero(data.frame[cluster].isin(largest))
    rows = np.random.default_rng(0).permutation(rows)[:ROWS]
    learn, judge = rows[: int(0.8 * len(rows))], rows[int(0.8 * len(rows)) :]
    X, y = data.frame.iloc[learn], target.iloc[learn]
    found = []

    def add(label: str, decay: float, probability: np.ndarray, start: float) -> None:
        truth = target.iloc[judge]
        found.append(
            {
                "dataset": name, "encoding": label, "weight_decay": decay,
                "auroc": roc_auc_score(truth, probability),
                "log_loss": log_loss(truth, probability),
                "seconds": time.process_time() - start,
            }
        )  # fmt: skip

    for encoding, decay in SETTINGS:
        start = time.process_time()
        keywords = dict(pf.VARIANTS["medl"]) | {
            "numeric_encoding": encoding, "weight_decay": decay, "cluster_weight": 0.1,
            "fixed_weight": 0.1, "random_state": 0, "progress": False,
        }  # fmt: skip
        model = pf.FairMixedEffectsClassifier(cluster, data.schema.sensitive, **keywords).fit(X, y)
        probability = model.predict_proba(data.frame.iloc[judge])[:, 1]
        add(encoding, decay, probability, start)
    start = time.process_time()
    add("boosting", np.nan, boosting(X, y.to_numpy(), data.frame.iloc[judge]), start)
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    table = pd.DataFrame([line for name in sys.argv[1:] or LOADERS for line in lines(name)])
    print(table.round(4).to_string(index=False))
