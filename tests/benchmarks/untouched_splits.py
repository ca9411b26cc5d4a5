"""The tables that no setting was chosen on, dealt out anew: do verdicts of one split hold?

    python -m tests.benchmarks.untouched_splits [TABLE ...] [--splits 1 2] [--models ...] [--show]

Roles, rows and models are those of `untouched_tables`, whose store holds split 0; other splits,
with their own seeds of fits, are appended to `--store` and not made again. `--show` prints the
tables of docs/results/untouched_tables.md that take all splits together: an SD is the mean of the
splits', and the worst SD is the largest of these means, so that the luck of one split does not
choose it. Intervals are t intervals over splits. Needs what `untouched_tables` needs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from tests.benchmarks.adversary_weights import stored_lines
from tests.benchmarks.untouched_tables import (
    BASES,
    FAIR,
    MODELS,
    REAL,
    ROLES,
    WEIGHTS,
    asked_for,
    judged_fit,
)

SMALL_TABLES = [name for name in ROLES if name not in ("acs", "heritage")]
Lines = dict[tuple[Any, ...], dict[str, Any]]


def all_splits(first: Path, others: Path) -> Lines:
    """Return the fits of all splits, by table, model, weight and split."""
    return {(*key, 0): line for key, line in stored_lines(first).items()} | stored_lines(others)


def of_pair(lines: Lines, name: str, model: str, splits: list[int]) -> dict[float, Any]:
    """Return the lines of a table and a model by weight; what has no penalty stands for 0."""
    found = {}
    for weight in WEIGHTS:
        own = BASES.get(model, model) if weight == 0 else model
        made = [lines.get((name, own, weight, split)) for split in splits]
        if all(one and "failed" not in one for one in made):
            found[weight] = made
    return found


def spreads(line: dict[str, Any], name: str) -> dict[str, float]:
    """Return the SDs that the worst one is the largest of."""
    kinds = ("mse_sd",) if name in REAL else ("tpr_sd", "fpr_sd")
    return {key: value for key, value in line.items() if key.startswith(kinds)}


def worst_mean(made: list[dict[str, Any]], name: str) -> tuple[float, float]:
    """Return the largest mean over splits of an SD, and half its 90 % interval over splits."""
    drawn = {k: np.array([spreads(one, name)[k] for one in made]) for k in spreads(made[0], name)}
    values = max(drawn.values(), key=np.mean)
    half = stats.t.ppf(0.95, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(half)


def verdicts(lines: Lines, splits: list[int]) -> Iterator[str]:
    """Make the table of what weights do in all splits together."""
    columns = ("table", "model", "skill lost", "worst SD, 0", "at 1", "alike", "half or alike",
               "in each split", "falls", "in each split", "restarted", "collapsed")  # fmt: skip
    yield "| " + " | ".join(columns) + " |"
    yield "|---" * len(columns) + "|"
    for name in ROLES:
        for model in ("default", *FAIR):
            found = of_pair(lines, name, model, splits)
            if not {0.0, 1.0} <= set(found):
                continue
            none, full = (worst_mean(found[w], name)[0] for w in (0.0, 1.0))
            pairs = list(zip(found[0.0], found[1.0], strict=True))
            lost = np.array([a["skill"] - b["skill"] for a, b in pairs])
            alike = float(np.mean([one["null"] for one in found[1.0]]))
            each = [b["worst_sd"] <= max(0.5 * a["worst_sd"], b["null"]) for a, b in pairs]
            weights = sorted(found)
            means = [worst_mean(found[w], name) for w in weights]
            falls = all(b[0] <= a[0] + a[1] for a, b in pairwise(means))
            falls_each = [
                all(found[b][at]["worst_sd"] <= found[a][at]["high"] for a, b in pairwise(weights))
                for at in range(len(splits))
            ]
            made = [one for w in weights if w for one in found[w]]
            counts = [sum(bool(one[what]) for one in made) for what in ("restarts", "collapsed")]
            yield (
                f"| {name} | {model} | {lost.mean():.3f} ({lost.min():.3f} to {lost.max():.3f}) | "
                f"{none:.3f} | {full:.3f} | {alike:.3f} | "
                f"{'yes' if full <= max(0.5 * none, alike) else 'no'} | {sum(each)} of {len(each)} "
                f"| {'yes' if falls else 'no'} | {sum(falls_each)} of {len(each)} | "
                f"{counts[0]} of {len(made)} | {counts[1]} of {len(made)} |"
            )


def curves(lines: Lines, splits: list[int]) -> Iterator[str]:
    """Make the table of skill and worst SD by weight, of the default and `medl_adb`."""
    yield "| table | model | " + " | ".join(f"weight {w:g}" for w in WEIGHTS) + " |"
    yield "|---" * (len(WEIGHTS) + 2) + "|"
    for name in ROLES:
        for model in ("default", "medl_adb"):
            found = of_pair(lines, name, model, splits)
            if 0.0 not in found:
                continue
            cells = []
            for weight in WEIGHTS:
                made = found.get(weight, [])
                if not made:
                    cells.append("")
                    continue
                skill = np.mean([one["skill"] for one in made])
                worst, half = worst_mean(made, name)
                cells.append(f"{skill:.3f} at {worst:.3f} ± {half:.3f}")
            yield f"| {name} | {model} | " + " | ".join(cells) + " |"


def main() -> None:
    """Make the fits that are missing, or print what is stored."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tables", nargs="*")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--splits", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--first", type=Path, default=Path("runs/untouched_tables.jsonl"))
    parser.add_argument("--store", type=Path, default=Path("runs/untouched_splits.jsonl"))
    parser.add_argument("--show", action="store_true")
    given = parser.parse_args()
    if given.show:
        lines, splits = all_splits(given.first, given.store), [0, *given.splits]
        for line in (*verdicts(lines, splits), "", *curves(lines, splits)):
            print(line)
        return
    stored = stored_lines(given.store)
    for split in given.splits:
        for key in asked_for(given.tables or SMALL_TABLES, given.models, WEIGHTS):
            if (*key, split) in stored:
                continue
            try:
                found, _ = judged_fit(key[0], key[2], MODELS[key[1]], split)
            except FloatingPointError as error:  # a failure is a result
                found = {"failed": str(error)}
            stored[(*key, split)] = {"key": (*key, split), **found}
            with given.store.open("a", encoding="utf-8") as file:
                file.write(json.dumps(stored[(*key, split)], default=float) + "\n")
            short = {k: found.get(k) for k in ("skill", "worst_sd", "warned", "failed")}
            print(*key, split, short, flush=True)


if __name__ == "__main__":
    main()
