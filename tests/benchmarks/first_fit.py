"""Processor seconds of first and further default fits: what compiling costs, and what is shared.

    python tests/benchmarks/first_fit.py [--rows 600 2000 20000] [--clusters 10 60 500]

Each table in a process of its own: a default fit with nothing compiled yet ("cold"), the same once
more ("warm"), with ten rows fewer, and with one cluster fewer; then the same first fit in a second
process that reads the programs which the first one kept (`pyfairme.keep_compiled`). At the end
`GroupKFold(3)` on 600 rows, and `GridSearchCV` of 12 fits on 2,000 rows. Importing is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

SETTINGS: dict[str, Any] = {"random_state": 0, "progress": False}


def seconds(call: Callable[[], Any]) -> float:
    """Return the processor seconds of one call."""
    begin = time.process_time()
    call()
    return round(time.process_time() - begin, 2)


def of_a_table(rows: int, clusters: int, folder: str) -> dict[str, float]:
    """Time the fits of one table in this process."""
    import pyfairme as pf

    getattr(pf, "keep_compiled", print)(folder)  # older versions keep nothing
    data = pf.datasets.make_clustered(rows, clusters, random_state=0)
    X, y = data.frame, data.target
    fewer = (X["cluster"] != X["cluster"].iloc[0]).to_numpy()
    model = pf.FairMixedEffectsClassifier("cluster", **SETTINGS)
    return {
        "cold": seconds(lambda: model.fit(X, y)),
        "warm": seconds(lambda: model.fit(X, y)),
        "ten rows fewer": seconds(lambda: model.fit(X[:-10], y[:-10])),
        "one cluster fewer": seconds(lambda: model.fit(X[fewer], y[fewer])),
    }


def of_group_folds() -> dict[str, float]:
    """Time three fits that leave clusters out, with predictions for these."""
    from sklearn.model_selection import GroupKFold, cross_val_score

    import pyfairme as pf

    data = pf.datasets.make_clustered(600, 10, random_state=0)
    model = pf.FairMixedEffectsClassifier("cluster", **SETTINGS)
    groups = data.frame["cluster"]
    run = lambda: cross_val_score(  # noqa: E731
        model, data.frame, data.target, groups=groups, cv=GroupKFold(3), error_score="raise"
    )
    return {"GroupKFold(3), 600 rows, cold": seconds(run)}


def of_a_search() -> dict[str, float]:
    """Time a search of twelve fits."""
    from sklearn.model_selection import GridSearchCV

    import pyfairme as pf

    data = pf.datasets.make_clustered(2000, 60, random_state=0)
    model = pf.FairMixedEffectsClassifier("cluster", **SETTINGS)
    grid = {"learning_rate": [0.001, 0.002, 0.003, 0.004]}
    search = GridSearchCV(model, grid, cv=3, refit=False, error_score="raise")
    run = lambda: search.fit(data.frame, data.target)  # noqa: E731
    return {"GridSearchCV of 12 fits, 2,000 rows, cold": seconds(run)}


def in_a_process(*arguments: str) -> dict[str, float]:
    """Run this file with an argument of its own, and read what it prints."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    command = [sys.executable, __file__, "--only", *arguments]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(found.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[600, 2000, 20_000])
    parser.add_argument("--clusters", type=int, nargs="+", default=[10, 60, 500])
    parser.add_argument("--only", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.only:
        kind, *rest = options.only
        if kind == "table":
            found = of_a_table(int(rest[0]), int(rest[1]), rest[2])
        else:
            found = of_group_folds() if kind == "folds" else of_a_search()
        print(json.dumps(found))
        return
    for rows in options.rows:
        for clusters in options.clusters:
            if clusters * 2 > rows:
                continue
            with tempfile.TemporaryDirectory() as folder:
                first = in_a_process("table", str(rows), str(clusters), folder)
                first["second process"] = in_a_process("table", str(rows), str(clusters), folder)[
                    "cold"
                ]
            print(f"{rows:,} rows, {clusters} clusters:", first, flush=True)
    print(in_a_process("folds"), flush=True)
    print(in_a_process("search"), flush=True)


if __name__ == "__main__":
    main()
