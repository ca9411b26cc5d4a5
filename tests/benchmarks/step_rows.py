"""What more rows a step do to log loss and time: `batch_size` with a rate that grows with its root.

    PYFAIRME_DATA=... python tests/benchmarks/step_rows.py acs 150000 [--weight 0.3]
    python tests/benchmarks/step_rows.py made-up 200000 --clusters 500

Fits of so many rows, two seeds each, judged on 50,000 others: log loss, AUROC, accuracy, processor
seconds, epochs, and with a penalty the spreads of true positive rates.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

import pyfairme as pf

SIZES, SEEDS, JUDGED = (256, 512, 1024, 2048), 2, 50_000


def table(name: str, rows: int, clusters: int) -> tuple[pd.DataFrame, np.ndarray, pf.Schema]:
    """Return rows to fit, then rows to judge."""
    if name == "made-up":
        made = pf.datasets.make_clustered(rows + JUDGED, clusters, random_state=0)
        return made.frame, made.target.to_numpy(), made.schema
    acs = pf.datasets.load_acs_income()
    some = np.random.default_rng(0).permutation(len(acs.frame))[: rows + JUDGED]
    return acs.frame.iloc[some], acs.target.iloc[some].to_numpy(), acs.schema


def main() -> None:
    """Fit, judge, print one table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("table", choices=["acs", "made-up"])
    parser.add_argument("rows", type=int)
    parser.add_argument("--clusters", type=int, default=60)
    parser.add_argument("--weight", type=float, default=0.0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    X, y, schema = table(options.table, options.rows, options.clusters)
    own, others = slice(0, options.rows), slice(options.rows, None)
    lines = []
    for size in SIZES:
        for seed in range(SEEDS):
            model = pf.FairMixedEffectsClassifier(
                schema.cluster[0],
                schema.sensitive,
                fairness_weight=options.weight,
                batch_size=size,
                learning_rate=1e-3 * (size / 256) ** 0.5,
                random_state=seed,
                progress=False,
            )
            begin = time.process_time()
            model.fit(X.iloc[own], y[own])
            seconds = time.process_time() - begin
            p, true = model.predict_proba(X.iloc[others])[:, 1], y[others]
            line = {
                "rows a step": size,
                "seed": seed,
                "log loss": round(log_loss(true, p), 5),
                "AUROC": round(roc_auc_score(true, p), 5),
                "accuracy": round(accuracy_score(true, p > 0.5), 4),
                "seconds": round(seconds, 1),
                "epochs": round(model.history_["epoch"].iloc[-1], 1),
            }
            if options.weight:
                report = model.fairness_report(X.iloc[others], true, n_boot=0).frame
                spreads = report.query("metric == 'tpr_sd' and effects == 'mixed'")
                line |= dict(zip(spreads["attribute"], spreads["value"].round(3), strict=True))
            lines.append(line)
            print(line, flush=True)
    print(pd.DataFrame(lines).to_string(index=False))


if __name__ == "__main__":
    main()
