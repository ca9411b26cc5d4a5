"""What the stored fits of the frontier comparison show: pooled decisions and their metrics."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from frontier_problem import Task

from pyfairme.metrics import auroc
from pyfairme.metrics.bootstrap import ResamplingDesign, draw_weights, resampling_design, reweighted
from pyfairme.metrics.confusion import confusion, fpr, tpr
from pyfairme.metrics.group_sums import PredictedRows, totals
from pyfairme.metrics.metric import find

SPREADS = ("tpr_sd", "fpr_sd", "tpr_sd_corrected", "fpr_sd_corrected")
BLOCKS = ("seen", "unseen")


class Name(NamedTuple):
    """Which point: ``setting`` is `ANY` for a fit that counts in all settings."""

    method: str
    point: str
    setting: str
    needs_s: bool


class Run(NamedTuple):
    """Judged rows of one seed, all folds pooled: positions, decisions, scores (None without)."""

    row: np.ndarray
    decision: np.ndarray
    score: np.ndarray | None


@dataclass(frozen=True)
class Gathered:
    """What a store holds.

    Parameters
    ----------
    runs
        By point and seed, where all folds are there.
    seconds
        By point: processor seconds of every fit.
    failures
        Records of what failed or is not complete: method, point, setting, inputs, reason.
    """

    runs: Mapping[Name, Mapping[int, Run]]
    seconds: Mapping[Name, list[float]]
    failures: list[dict[str, Any]]


def gather(folder: Path, folds: int) -> Gathered:
    """Read all fits of a store."""
    pieces: dict[tuple[Name, int], list[pd.DataFrame]] = defaultdict(list)
    seconds: dict[Name, list[float]] = defaultdict(list)
    failures = []
    for path in sorted((folder / "fits").glob("**/*.json")):
        fit = json.loads(path.read_text(encoding="utf-8"))
        where = {"setting": fit["setting"], "inputs": fit["inputs"]}
        if fit["failure"]:
            failures.append(
                {"method": fit["method"], "point": fit["label"], **where, "reason": fit["failure"]}
            )
        table = pd.read_parquet(path.with_suffix(".parquet")) if fit["readings"] else None
        for reading in fit["readings"]:
            name = Name(*(reading[key] for key in Name._fields))
            if reading["failure"] or table is None:
                own = {"method": name.method, "point": name.point, "inputs": fit["inputs"]}
                failures.append({**own, "setting": name.setting, "reason": reading["failure"]})
                continue
            stored = reading["name"]
            columns = {"row": "row", f"decision|{stored}": "decision", f"score|{stored}": "score"}
            pieces[name, fit["seed"]].append(table.rename(columns=columns).reindex(
                columns=["row", "decision", "score"]))  # fmt: skip
            seconds[name].append(reading["cpu_seconds"])
    runs: dict[Name, dict[int, Run]] = defaultdict(dict)
    for (name, seed), parts in pieces.items():
        if len(parts) >= folds:
            runs[name][seed] = _pooled(parts)
        else:
            reason = f"seed {seed}: {len(parts)} of {folds} folds are there"
            record = {"method": name.method, "point": name.point, "setting": name.setting}
            failures.append({**record, "inputs": _inputs(name), "reason": reason})
    return Gathered(runs, seconds, failures)


def _pooled(parts: list[pd.DataFrame]) -> Run:
    frame = pd.concat(parts, ignore_index=True).sort_values("row")
    score = (
        None
        if bool(np.isnan(frame["score"].to_numpy(float)).any())
        else frame["score"].to_numpy(np.float64)
    )
    return Run(frame["row"].to_numpy(), frame["decision"].to_numpy(np.float64), score)


def _inputs(name: Name) -> str:
    return "keep" if name.needs_s else "drop"


@dataclass(frozen=True, eq=False)
class Judge:
    """Computes metrics of decisions on the rows of one block of clusters."""

    task: Task
    block: str
    n_boot: int
    known: dict[Any, Any] = field(default_factory=dict)

    @cached_property
    def inside(self) -> np.ndarray:
        """Whether a row of the data set is in the block."""
        rows = self.task.known if self.block == "seen" else self.task.unknown
        return np.isin(np.arange(len(self.task.data.frame)), rows)

    @cached_property
    def codes(self) -> dict[str, tuple[np.ndarray, tuple[str, ...]]]:
        """Codes and levels of every attribute."""
        found = {}
        for name, labels in self.task.groups.items():
            levels, codes = np.unique(labels, return_inverse=True)
            found[name] = codes, tuple(levels)
        return found

    @cached_property
    def design(self) -> ResamplingDesign:
        """What is resampled of the rows inside."""
        frame = self.task.data.frame
        cluster = pd.factorize(frame[self.task.data.schema.cluster[0]])[0]
        cluster = np.unique(cluster[self.inside], return_inverse=True)[1]
        return resampling_design(cluster)

    @cached_property
    def weights(self) -> np.ndarray:
        """How often each row inside is drawn in each replicate, the same for all methods."""
        return draw_weights(self.design, np.random.default_rng(0), self.n_boot)

    def tables(self, run: Run, attributes: Iterable[str]) -> tuple[np.ndarray, list[Any]]:
        """Return the positions of the block's rows, and decisions counted by group."""
        mine = self.inside[run.row]
        row, decision = run.row[mine], run.decision[mine]
        y = self.task.data.target.to_numpy()[row].astype(np.float64)
        tables = []
        for name in attributes:
            codes, levels = self.codes[name]
            tables.append(confusion(PredictedRows(y, decision, codes[row], levels)))
        return row, tables

    def goals(self, run: Run, attributes: tuple[str, ...]) -> np.ndarray:
        """Return balanced accuracy and worst spread, (2, 1 + n_boot): value, then replicates."""
        row, tables = self.tables(run, attributes)
        at = (np.cumsum(self.inside) - 1)[row]
        whole = self.design
        design = whole._replace(unit=whole.unit[at], scale=whole.scale[at])
        parts = [_goals([totals(table) for table in tables])[:, None]]
        parts += [_goals(sums) for sums in reweighted(tables, self.weights[at], design)]
        return np.concatenate(parts, axis=1)

    def record(self, runs: Mapping[int, Run]) -> dict[str, float]:
        """Return all metrics of a point, means over seeds."""
        found = [self._metrics(run) for run in runs.values()]
        return pd.DataFrame(found).mean().to_dict()

    def _metrics(self, run: Run) -> dict[str, float]:
        row, tables = self.tables(run, self.task.groups)
        sums = [totals(table) for table in tables]
        found = {"balanced_accuracy": float(_goals(sums)[0]), "auroc": np.nan}
        mine = self.inside[run.row]
        found["positive_rate"] = float(run.decision[mine].mean())
        if run.score is not None:
            y = self.task.data.target.to_numpy()[row]
            found["auroc"] = auroc(y, _as_probability(run.score[mine]))
        for name, counts in zip(self.task.groups, sums, strict=True):
            found |= {f"{metric} {name}": float(_spread(metric, counts)) for metric in SPREADS}
        return found


def _as_probability(score: np.ndarray) -> np.ndarray:
    """Scale scores into [0, 1], which AUROC does not see."""
    low, high = score.min(), score.max()
    return (score - low) / (high - low) if high > low else np.full(len(score), 0.5)


def _goals(sums: list[np.ndarray]) -> np.ndarray:
    """Return balanced accuracy and the worst TPR or FPR SD, (2, ...), from sums (..., G, 2, 2)."""
    everyone = sums[0].sum(axis=-3, keepdims=True)
    accuracy = (tpr(everyone) + 1 - fpr(everyone))[..., 0] / 2
    spreads = [_spread(name, counts) for counts in sums for name in SPREADS[:2]]
    return np.stack([accuracy, np.nanmax(spreads, axis=0)])


def _spread(metric: str, sums: np.ndarray) -> np.ndarray:
    return find(metric, "classification").reduce(sums)


def points_frame(task: Task, found: Gathered) -> pd.DataFrame:
    """Return a line per point and block of clusters, with all metrics."""
    lines = []
    for block in BLOCKS:
        judge = Judge(task, block, 0)
        if not judge.inside.any():
            continue
        for name, runs in found.runs.items():
            record = judge.record(runs)
            names = {**name._asdict(), "clusters": block, "seeds": len(runs)}
            attributes = task.protected.get(name.setting, ())
            for end in ("", "_corrected"):
                spreads = [record[f"{r}_sd{end} {a}"] for a in attributes for r in ("tpr", "fpr")]
                names[f"worst{end}"] = max(spreads, default=np.nan)
            names["cpu_seconds"] = float(np.mean(found.seconds[name]))
            lines.append({**names, **record})
    return pd.DataFrame(lines)
