"""Coverage of every interval of the fairness reports, by simulation.

    python tests/benchmarks/interval_coverage.py --out coverage.csv [--datasets 300] [--seed 0]

Clusters differ in their rates of the outcome and in how well they are predicted, and groups do too.
Below 30 clusters the truth is that of the drawn clusters, with their numbers of rows of each group,
which stay for DRAWN data sets; from 30 up it is that of the population of clusters. Truths are
computed, not drawn: the metric of a table in which every row stands with POINTS quantiles of what
is random about it (and, of a binary outcome, with both outcomes, weighted by their probabilities).

Writes one line per cell (task, number of clusters, groups, line, metric): how many intervals there
were, how many held the truth, how many lay above and below it, and their mean width.
A cell that the file already has is not made again. `--settings 1` has other base rates and effects.
Takes about 6 minutes on one free core.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit, ndtri

from pyfairme.metrics import ecosystem
from pyfairme.metrics.group_sums import PredictedRows, tabulated, totals
from pyfairme.metrics.metric import registered
from pyfairme.metrics.report_frame import classification_report_frame, regression_report_frame
from pyfairme.metrics.report_lines import NULL_DRAWS, measured_metrics

LEVEL = 0.9
POINTS = 60
DRAWN = 15
POPULATION = 400  # clusters that stand for all
SHARES = {"balanced": (0.4, 0.3, 0.3), "rare": (0.6, 0.35, 0.05)}
ROWS = {6: 1500, 40: 2400}


class Setting(NamedTuple):
    """What groups and clusters do to outcome and prediction, on the scale of the link."""

    base: tuple[float, ...]  # of each group's outcome
    judged: tuple[float, ...]  # of each group's prediction
    outcome_sd: float  # of clusters, in the outcome
    judged_sd: float  # of clusters, in the prediction beside the outcome's
    slope: float  # of the prediction on x
    noise: tuple[float, ...]  # of each group's real outcome


SETTINGS = (
    Setting((0.0, -0.6, 0.5), (0.1, -1.2, 1.0), 0.6, 0.4, 1.2, (1.0, 1.4, 0.8)),
    Setting((-0.8, -0.2, -1.4), (-0.9, 0.5, -1.4), 0.5, 0.3, 0.9, (1.2, 0.8, 1.5)),
)


class World(NamedTuple):
    """Rows: cluster, group, and what their cluster and they themselves have of their own."""

    cluster: np.ndarray
    group: np.ndarray
    effect: np.ndarray  # (n, 2): of the row's cluster, on outcome and on prediction
    x: np.ndarray
    e: np.ndarray


def draw_world(clusters: int, shares: tuple, rows: int, s: Setting, rng) -> World:
    """Draw clusters and rows."""
    cluster = rng.integers(0, clusters, rows)
    group = rng.choice(len(shares), rows, p=shares)
    effect = rng.normal(size=(clusters, 2)) * (s.outcome_sd, s.judged_sd)
    return World(cluster, group, effect[cluster], rng.normal(size=rows), rng.normal(size=rows))


def redrawn(world: World, rng) -> World:
    """Draw what is random about the rows of the same clusters."""
    n = len(world.x)
    return world._replace(x=rng.normal(size=n), e=rng.normal(size=n))


def points_of(world: World, points: int) -> World:
    """Return each row ``points`` times, with the quantiles of x and e in the place of its own."""
    order = np.lexsort((world.cluster, world.group))
    n = len(order)
    index = np.repeat(order, points)
    # a rank-1 lattice over each stretch of rows is far more even than random numbers
    number = np.arange(n * points)
    x = ndtri((number * 0.7548776662466927 + 0.5) % 1 * (1 - 1e-9) + 5e-10)
    e = ndtri((number * 0.5698402909980532 + 0.5) % 1 * (1 - 1e-9) + 5e-10)
    return World(world.cluster[index], world.group[index], world.effect[index], x, e)


def population(shares: tuple, s: Setting) -> World:
    """Return rows of POPULATION clusters, their effects quantiles of their distribution."""
    number = np.arange(POPULATION) + 0.5
    effect = np.stack(
        [ndtri(number / POPULATION), ndtri(number * 0.6180339887498949 % 1)], axis=-1
    ) * (s.outcome_sd, s.judged_sd)
    cluster = np.repeat(np.arange(POPULATION), 100)
    group = np.tile(
        np.repeat(np.arange(len(shares)), np.round(np.array(shares) * 100).astype(int)), POPULATION
    )
    empty = np.zeros(len(cluster))
    return World(cluster, group, effect[cluster], empty, empty)


def classification_rows(world: World, s: Setting) -> tuple[np.ndarray, PredictedRows]:
    """Return the probability of the outcome 1, and rows with predictions (outcomes to be set)."""
    own = np.array(s.base)[world.group] + world.effect[:, 0]
    chance = expit(own + world.x)
    link = np.array(s.judged)[world.group] + world.effect.sum(1) + s.slope * world.x
    prob = expit(link)
    flips = [expit(link - np.array(s.judged)[world.group] + other) for other in s.judged]
    gap = np.abs(np.stack(flips) - prob).sum(0) / (len(flips) - 1)
    pred = (prob > 0.5).astype(float)
    levels = tuple("abc")
    return chance, PredictedRows(
        np.zeros(len(prob)), pred, world.group, levels, y_prob=prob, gap=gap
    )


def regression_rows(world: World, s: Setting) -> PredictedRows:
    """Return rows with outcomes and predictions."""
    scale = np.array(s.noise)[world.group]
    y = np.array(s.base)[world.group] + world.effect[:, 0] + world.x + scale * world.e
    pred = np.array(s.judged)[world.group] + world.effect.sum(1) + 0.8 * world.x
    flips = [np.array(s.judged)[world.group] - other for other in s.judged]
    gap = np.abs(np.stack(flips)).sum(0) / (len(flips) - 1) * (1 + 0.2 * np.abs(world.x))
    density = -0.5 * np.log(2 * np.pi) - 0.5 * (y - pred) ** 2
    return PredictedRows(y, pred, world.group, tuple("abc"), gap=gap, log_density=density)


def truths(task: str, world: World, s: Setting, points: int) -> dict[tuple[str, str], float]:
    """Return the value of each metric by group and name, randomness of rows averaged out."""
    fine = points_of(world, points)
    if task == "regression":
        rows = regression_rows(fine, s)
    else:
        chance, rows = classification_rows(fine, s)
        n = len(chance)
        twice = [None if field is None else np.concatenate([field, field]) for field in rows[1:3]]
        rows = PredictedRows(
            np.repeat([1.0, 0.0], n),
            *twice,
            rows.levels,
            np.tile(rows.y_prob, 2),
            np.tile(rows.gap, 2),
            weight=np.concatenate([chance, 1 - chance]),
        )
    found = {}
    for grouped in (False, True):
        mine = rows if grouped else rows._replace(group=0 * rows.group, levels=("all",))
        for metric in measured_metrics(registered(), task, mine, grouped=grouped):
            sums = totals(tabulated(metric.tabulate, mine))
            values = metric.reduce(sums)
            if metric.name.endswith("_sd_corrected"):
                continue
            for group, value in zip(
                mine.levels if metric.scope == "group" else ("all",),
                np.atleast_1d(values),
                strict=True,
            ):
                found[group, metric.name] = float(value)
    for name in ("tpr_sd", "fpr_sd"):
        if ("all", name) in found:
            found["all", f"{name}_corrected"] = found["all", name]
    return found


def report(task: str, world: World, s: Setting, rng) -> pd.DataFrame:
    """Return the report of one data set."""
    names = np.array(list("abc"))[world.group]
    shared = {"sensitive": {"s": names}, "cluster": world.cluster, "rng": rng, "level": LEVEL}
    if task == "regression":
        rows = regression_rows(world, s)
        return regression_report_frame(
            rows.y_true, rows.y_pred, gap={"s": rows.gap}, log_density=rows.log_density, **shared
        )
    chance, rows = classification_rows(world, s)
    y = (rng.random(len(chance)) < chance).astype(int)
    return classification_report_frame(y, rows.y_prob, rows.y_pred, gap={"s": rows.gap}, **shared)


def cell(
    task: str, clusters: int, groups: str, setting: int, datasets: int, seed: int
) -> Iterator[dict]:
    """Yield one line per metric and group of one world."""
    s, shares = SETTINGS[setting], SHARES[groups]
    whole = clusters >= 30
    fixed = truths(task, population(shares, s), s, 4) if whole else {}
    found: dict[tuple[str, str], list[tuple]] = {}
    for number in range(datasets):
        rng = np.random.default_rng((seed, setting, clusters, len(groups), number))
        if whole or number % DRAWN == 0:
            drawn = draw_world(clusters, shares, ROWS[clusters], s, rng)
            true = fixed or truths(task, drawn, s, POINTS)
        world = redrawn(drawn, rng)
        for line in report(task, world, s, rng).itertuples():
            key = (line.group, line.metric)
            if not np.isnan(line.low):
                entry = (true[key], line.value, line.low, line.high)
                found.setdefault(key, []).append(entry)
    for (group, metric), lines in found.items():
        true, value, low, high = np.array(lines).T
        yield {
            "task": task,
            "clusters": clusters,
            "groups": groups,
            "setting": setting,
            "seed": seed,
            "group": group,
            "metric": metric,
            "intervals": len(lines),
            "held": np.mean((low <= true) & (true <= high)),
            "above": np.mean(low > true),
            "below": np.mean(high < true),
            "own_value": np.mean((low <= value) & (value <= high)),
            "width": np.mean(high - low),
            "truth": np.mean(true),
            "bias": np.mean(value - true),
        }


def main() -> None:
    """Make the cells that the file does not have."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--datasets", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--settings", type=int, default=0, choices=range(len(SETTINGS)))
    chosen = parser.parse_args()
    NULL_DRAWS.update(dict.fromkeys(NULL_DRAWS, 1))  # null bands are not looked at here
    ecosystem._all_defined = lambda rates: False  # from counts: the same value, without fairlearn
    done = pd.read_csv(chosen.out) if chosen.out.exists() else pd.DataFrame()
    for task, clusters, groups in itertools.product(("classification", "regression"), ROWS, SHARES):
        key = {
            "task": task,
            "clusters": clusters,
            "groups": groups,
            "setting": chosen.settings,
            "seed": chosen.seed,
        }
        if len(done) and (done[list(key)] == pd.Series(key)).all(axis=1).any():
            continue
        lines = cell(task, clusters, groups, chosen.settings, chosen.datasets, chosen.seed)
        frame = pd.DataFrame(lines)
        frame.to_csv(chosen.out, mode="a", header=not chosen.out.exists(), index=False)
        inside = frame["held"].between(0.86, 0.94)
        print(task, clusters, groups, f"{inside.mean():.0%} of {len(frame)} within .86-.94")


if __name__ == "__main__":
    main()
