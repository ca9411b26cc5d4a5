"""Rankings, pictures and the docs page of the frontier comparison, from all fits in a store."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from frontier_points import BLOCKS, Gathered, Judge, Name, gather, points_frame
from frontier_problem import ANY, Task

from pyfairme.metrics.names import words
from pyfairme.metrics.pareto import hypervolume, on_hull
from pyfairme.plots.style import COLOURS, empty_figure, finish_axes
from pyfairme.report.markdown import markdown_table
from pyfairme.study.comparison.paired_tests import bootstrap_interval, bootstrap_p

LEVEL = 0.9
CONSTANT = 0.01  # a share of positive decisions below it, or above its complement, is a collapse
BELOW = (0.01, 0.03, 0.05)  # of the highest balanced accuracy
NEEDS = {False: "Methods that predict without S", True: "Methods that need S when predicting"}


def ranking_frame(task: Task, found: Gathered, n_boot: int) -> pd.DataFrame:
    """Return the hypervolume of every method, methods that need S apart.

    The volume is that of the convex hull of points that are means over seeds; its interval is that
    of rows drawn again, the same for all methods; ``sd_seeds`` is over the seeds' own volumes.
    ``lead`` is how much more the best of ours covers.
    """
    lines = []
    for block in BLOCKS:
        judge = Judge(task, block, n_boot)
        if not judge.inside.any():
            continue
        for setting, attributes in task.protected.items():
            for needs_s in (False, True):
                names = [n for n in found.runs if n.setting in (setting, ANY)]
                names = [name for name in names if name.needs_s == needs_s]
                curves = _curves(judge, found, names, attributes)
                where = {"setting": setting, "needs_s": needs_s, "clusters": block}
                lines += [{**where, **line} for line in _ranked(curves, task.reference)]
    return pd.DataFrame(lines)


@dataclass(frozen=True)
class Curve:
    """Points of a method: accuracy and worst spread, each (P, 1 + n_boot), and of each seed."""

    method: str
    accuracy: np.ndarray
    worst: np.ndarray
    by_seed: Mapping[int, list[np.ndarray]]
    seconds: float

    def volumes(self, reference: tuple[float, float]) -> np.ndarray:
        """Return the hypervolume and its replicates, (1 + n_boot,)."""
        columns = zip(self.accuracy.T, self.worst.T, strict=True)
        return np.array([hypervolume(a, d, reference, convex=True) for a, d in columns])

    def sd_seeds(self, reference: tuple[float, float]) -> float:
        """Return the SD over the seeds' own hypervolumes, NaN with one seed."""
        tables = [np.array(goals) for goals in self.by_seed.values()]
        own = [hypervolume(t[:, 0], t[:, 1], reference, convex=True) for t in tables]
        return float(np.std(own, ddof=1)) if len(own) > 1 else np.nan


def _curves(
    judge: Judge, found: Gathered, names: list[Name], attributes: tuple[str, ...]
) -> Iterator[Curve]:
    for method in dict.fromkeys(name.method for name in names):
        mine = [name for name in names if name.method == method]
        means, by_seed = [], defaultdict(list)
        for name in mine:
            goals = []
            for seed, run in found.runs[name].items():
                key = (name, seed, attributes)
                if key not in judge.known:
                    judge.known[key] = judge.goals(run, attributes)
                goals.append(judge.known[key])
                by_seed[seed].append(goals[-1][:, 0])
            means.append(np.mean(goals, axis=0))
        table = np.array(means)
        seconds = float(np.mean([s for name in mine for s in found.seconds[name]]))
        yield Curve(method, table[:, 0], table[:, 1], by_seed, seconds)


def disparity_at(curve: Curve, accuracy: float) -> float:
    """Return the worst spread of the method's convex frontier at an accuracy; NaN beyond it."""
    a, d = curve.accuracy[:, 0], curve.worst[:, 0]
    corners = np.flatnonzero(on_hull(a, d))
    corners = corners[np.argsort(a[corners])]
    return float(np.interp(accuracy, a[corners], d[corners], right=np.nan))


def _ranked(curves: Iterable[Curve], reference: tuple[float, float]) -> Iterator[dict[str, Any]]:
    every = {curve.method: curve for curve in curves}
    if not every:
        return
    volumes = {name: curve.volumes(reference) for name, curve in every.items()}
    mine = [name for name in volumes if "pyfairme" in name]
    best = min(mine, key=_order) if mine else None
    top = max(float(np.nanmax(curve.accuracy[:, 0])) for curve in every.values())
    for name in sorted(every, key=lambda name: -volumes[name][0]):
        value, *draws = volumes[name]
        low, high = bootstrap_interval(value, np.array(draws), LEVEL)
        line = {"method": name, "points": len(every[name].accuracy), "hypervolume": value}
        line |= {"low": max(low, 0.0), "high": high, "sd_seeds": every[name].sd_seeds(reference)}
        line |= {"lead": np.nan, "lead_low": np.nan, "lead_high": np.nan, "lead_p": np.nan}
        if best is not None and name not in mine:
            lead = volumes[best] - volumes[name]
            limits = bootstrap_interval(lead[0], lead[1:], LEVEL)
            line |= {"lead": lead[0], "lead_low": limits[0], "lead_high": limits[1]}
            line["lead_p"] = bootstrap_p(lead[0], lead[1:])
        line["highest_accuracy"] = float(np.nanmax(every[name].accuracy[:, 0]))
        for below in BELOW:
            line[f"worst at best - {below:g}"] = disparity_at(every[name], top - below)
        yield {**line, "cpu_seconds": every[name].seconds}


def _order(name: str) -> tuple[int, bool, str]:
    """Sort our methods: by thresholds per group where S may be used, the mixed prediction first."""
    policies = ("JointThresholds", "GroupThresholds")
    rank = next((i for i, one in enumerate(policies) if name.startswith(one)), len(policies))
    return rank, ", fixed" in name, name


def write_results(
    task: Task, folder: Path, *, folds: int, n_boot: int, page: Path | None, command: str
) -> None:
    """Write points.csv, ranking.csv, failures.csv, tables.md and frontier.png into the store.

    With a page, its part between ``<!-- frontier:<dataset> -->`` and ``<!-- /frontier:<dataset>
    -->`` is replaced by the tables, and the picture and the points lie in ``results/`` beside it.
    """
    found = gather(folder, folds)
    points = points_frame(task, found)
    if points.empty:
        print(f"{folder}: no point has all folds yet", flush=True)
        return
    ranking = ranking_frame(task, found, n_boot)
    failures = failed(found, points)
    name = task.data.name
    text = "\n\n".join(_sections(ranking, failures, command))
    tables = {"points": points, "ranking": ranking, "failures": failures}
    for what, frame in tables.items():
        frame.to_csv(folder / f"{what}.csv", index=False, float_format="%.5f")
    (folder / "tables.md").write_text(text + "\n", encoding="utf-8")
    figure = picture(points, task)
    figure.savefig(folder / "frontier.png")
    print(text, flush=True)
    if page is not None:
        results = page.parent / "results"
        results.mkdir(exist_ok=True)
        (results / "figures").mkdir(exist_ok=True)
        figure.savefig(results / "figures" / f"frontier_{name}.png")
        points.to_csv(results / f"frontier_{name}.csv", index=False, float_format="%.5f")
        links = (
            f"![Frontiers of all methods](results/figures/frontier_{name}.png)\n\n"
            f"Every point with every metric: [frontier_{name}.csv](results/frontier_{name}.csv)."
        )
        replace_part(page, name, f"{links}\n\n{text}")


def replace_part(page: Path, name: str, text: str) -> None:
    """Replace a marked part of a page."""
    old = page.read_text(encoding="utf-8")
    start, end = f"<!-- frontier:{name} -->", f"<!-- /frontier:{name} -->"
    pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.S)
    if not pattern.search(old):
        raise ValueError(f"Expected a part between {start} and {end} in {page}, found none.")
    new = pattern.sub(lambda _: f"{start}\n\n{text}\n\n{end}", old)
    page.write_text(new, encoding="utf-8")


def failed(found: Gathered, points: pd.DataFrame) -> pd.DataFrame:
    """Return what failed, with counts and the first reason, and points that decide all alike."""
    names = ["method", "point", "setting", "inputs", "reason"]
    table = pd.DataFrame(found.failures, columns=pd.Index(names))
    rate = points["positive_rate"]
    alike = points[(points["clusters"] == "seen") & ~rate.between(CONSTANT, 1 - CONSTANT)]
    constant = pd.DataFrame({
        **{name: alike[name] for name in ("method", "point", "setting")},
        "inputs": np.where(alike["needs_s"], "keep", "drop"),
        "reason": [f"decides {rate:.1%} of rows positively" for rate in alike["positive_rate"]],
    })  # fmt: skip
    every: Any = pd.concat([table, constant], ignore_index=True)
    every["kind"] = every["reason"].str.extract(r"^(\w+Error|\w+ \d+|\w+)", expand=False)
    by_kind = every.groupby(["method", "setting", "inputs", "kind"], sort=False)
    counted = by_kind.agg(
        points=("point", "nunique"), times=("point", "size"), reason=("reason", "first")
    )
    return counted.reset_index().drop(columns="kind")


def _sections(ranking: pd.DataFrame, failures: pd.DataFrame, command: str) -> Iterator[str]:
    yield f"Made by `{command}`."
    groups: Any = ranking.groupby(["setting", "clusters"], sort=False)
    for (setting, block), part in groups:
        yield f"### Protected: {words(setting)}; {block} clusters"
        for needs_s, table in part.groupby("needs_s"):
            yield f"{NEEDS[bool(needs_s)]}:"
            yield _ranking_cells(table)
    yield "### Failures"
    columns = ["method", "setting", "inputs", "points", "times", "reason"]  # the first one
    rows = [[str(row[name]) for name in columns] for row in failures.to_dict("records")]
    yield markdown_table(columns, rows) if rows else "None."


def _ranking_cells(table: pd.DataFrame) -> str:
    levels = [f"worst SD at best - {below:.0%}".replace("%", " pt") for below in BELOW]
    header = ["method", "points", "hypervolume x 1000", "SD of seeds", "ours - it (90 %), p"]
    header += ["highest balanced accuracy", *levels, "CPU s per fit"]
    rows = []
    for line in table.to_dict("records"):
        limits = (1000 * line["low"], 1000 * line["high"])
        lead = "-"
        if not np.isnan(line["lead"]):
            lead = f"{1000 * line['lead']:+.1f} ({1000 * line['lead_low']:+.1f}, "
            lead += f"{1000 * line['lead_high']:+.1f}), {line['lead_p']:.3f}"
        rows.append([
            line["method"],
            str(line["points"]),
            f"{1000 * line['hypervolume']:.1f} ({limits[0]:.1f}, {limits[1]:.1f})",
            _number(1000 * line["sd_seeds"], 1),
            lead,
            _number(line["highest_accuracy"], 3),
            *[_number(line[f"worst at best - {below:g}"], 3) for below in BELOW],
            _number(line["cpu_seconds"], 1),
        ])  # fmt: skip
    return markdown_table(header, rows)


def _number(value: float, digits: int) -> str:
    return "-" if np.isnan(value) else f"{value:.{digits}f}"


def picture(points: pd.DataFrame, task: Task) -> Any:
    """Draw each method's points and convex frontier, a panel per setting; dashed: needs S."""
    seen: Any = points[points["clusters"] == "seen"]
    methods = list(dict.fromkeys(sorted(seen["method"], key=lambda m: ("pyfairme" not in m, m))))
    cells = len(task.protected) + 1
    wide = 2 if cells <= 4 else 3
    figure = empty_figure(4.2 * wide, 4.0 * -(-cells // wide))
    panels = figure.subplots(-(-cells // wide), wide).ravel()
    marks = "osD^vPX*<>hp"
    for axes, (setting, attributes) in zip(panels, task.protected.items(), strict=False):
        mine = seen[seen["setting"].isin([setting, ANY])]
        for (method, needs_s), lines in mine.groupby(["method", "needs_s"]):
            number = methods.index(str(method))
            colour = COLOURS[number % len(COLOURS)]
            a = lines["balanced_accuracy"].to_numpy()
            spreads = [f"{rate}_sd {name}" for name in attributes for rate in ("tpr", "fpr")]
            d = lines[spreads].max(axis=1).to_numpy()
            corners = np.flatnonzero(on_hull(a, d))
            corners = corners[np.argsort(a[corners])]
            style = {"color": colour, "linewidth": 1.2, "linestyle": "--" if needs_s else "-"}
            axes.plot(a[corners], d[corners], **style)
            face = "none" if needs_s else colour
            mark = marks[number % len(marks)]
            axes.scatter(
                a, d, s=14, marker=mark, edgecolors=colour, facecolors=face, linewidths=0.8
            )
        axes.set(xlim=(task.reference[0] - 0.02, None), ylim=(0, task.reference[1]))
        axes.set_title(f"protected: {words(setting)}", fontsize=9)
        axes.set_xlabel("balanced accuracy", fontsize=8)
        axes.set_ylabel("worst SD of TPR and FPR", fontsize=8)
        finish_axes(axes, "both")
    for axes in panels[len(task.protected) :]:
        axes.axis("off")
    last = panels[len(task.protected)]
    for number, method in enumerate(methods):
        style = {"color": COLOURS[number % len(COLOURS)], "marker": marks[number % len(marks)]}
        last.plot([], [], label=method, linestyle="none", markersize=4, **style)
    last.plot([], [], color="black", linestyle="-", label="predicts without S (filled)")
    last.plot([], [], color="black", linestyle="--", label="needs S (hollow)")
    last.legend(loc="upper left", fontsize=7, frameon=False)
    return figure
