"""Peak memory and rows per second of one fit of a large table, from memory and from Parquet.

``python tests/benchmarks/large_tables.py FOLDER --rows 10000000 --source parquet``: a made-up table
(60 clusters, six numbers, four categorical columns of 8 to 40 levels, sex and a group of five; 93
columns once encoded) is written block by block into FOLDER, unless it is there, and one model is
fitted to it, by default the paper's `medl` for one epoch. Peak memory is that of the whole process,
so each measurement is a process of its own; ``--source memory`` reads the file with pandas first.
"""

from __future__ import annotations

import argparse
import resource
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import pyfairme as pf

BLOCK = 250_000  # rows of a row group
LEVELS = {"sector": 8, "region": 12, "degree": 20, "job": 40}
NUMBERS = ("age", "years", "hours", "distance", "score", "load")


def block(rows: int, seed: int) -> pd.DataFrame:
    """Return some rows of the table; equal seeds give equal rows."""
    draw = np.random.default_rng([7, seed])
    fixed = np.random.default_rng(7)  # effects that all blocks share
    effects, levels = (
        fixed.normal(0, 0.6, 60),
        {k: fixed.normal(0, 0.4, n) for k, n in LEVELS.items()},
    )
    cluster, sex, group = (
        draw.integers(60, size=rows),
        draw.integers(2, size=rows),
        draw.integers(5, size=rows),
    )
    x = draw.normal(size=(rows, len(NUMBERS)))
    codes = {name: draw.integers(n, size=rows) for name, n in LEVELS.items()}
    link = (
        effects[cluster] + 0.4 * sex - 0.1 * group + np.sin(2 * x[:, 0]) + 0.5 * x[:, 1] * x[:, 2]
    )
    link += sum(levels[name][codes[name]] for name in LEVELS)
    outcome = draw.uniform(size=rows) < 1 / (1 + np.exp(-link))
    text = {
        k: np.array([f"{k} {i}" for i in range(n)], dtype=object)[codes[k]]
        for k, n in LEVELS.items()
    }
    return pd.DataFrame(
        dict(zip(NUMBERS, x.T.round(3), strict=True))
        | text
        | {
            "branch": np.array([f"branch {i}" for i in range(60)], dtype=object)[cluster],
            "sex": np.array(["f", "m"], dtype=object)[sex],
            "group": group,
            "paid": outcome.astype(np.int64),
        }
    )


def written(folder: Path, rows: int) -> Path:
    """Return the Parquet file of so many rows, which is written first where it is missing."""
    path = folder / f"made_up_{rows}.parquet"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    schema, new = (
        pa.Schema.from_pandas(block(10, 0), preserve_index=False),
        path.with_suffix(".new"),
    )
    with pq.ParquetWriter(new, schema) as file:
        for start in range(0, rows, BLOCK):
            part = block(min(BLOCK, rows - start), start // BLOCK)
            file.write_table(pa.Table.from_pandas(part, schema, preserve_index=False))
    new.rename(path)
    return path


def peak() -> float:
    """Return the largest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Fit once and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_570_000)
    parser.add_argument("--source", choices=("memory", "parquet"), default="parquet")
    parser.add_argument("--variant", default="medl")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--unseen", default="population")
    parser.add_argument("--batch-size", type=int, default=256)
    chosen = parser.parse_args()
    path = written(chosen.folder, chosen.rows)
    settings: dict[str, Any] = (
        dict(pf.VARIANTS[chosen.variant]) if chosen.variant != "default" else {}
    )
    settings |= {"epochs": chosen.epochs, "min_steps": 1, "batch_size": chosen.batch_size}
    settings |= {"unseen": chosen.unseen, "random_state": 0, "progress": True}
    model = pf.FairMixedEffectsClassifier("branch", ("sex", "group"), **settings)
    X: Any = path
    y: Any = "paid"
    if chosen.source == "memory":
        frame = pd.read_parquet(path)
        X, y = frame.drop(columns="paid"), frame["paid"].to_numpy()
        del frame
    before, start = peak(), time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        model.fit(X, y)
    seconds = time.perf_counter() - start
    rows = chosen.rows * chosen.epochs
    print(
        f"{chosen.source} {chosen.rows:,} rows {chosen.variant}: {seconds:.0f} s, "
        f"{rows / seconds:,.0f} rows/s of the whole fit, peak {peak():,.0f} MB "
        f"({before:,.0f} before), "
        f"last loss {model.history_['mixed'].iloc[-1]:.6f}"
    )


if __name__ == "__main__":
    main()
