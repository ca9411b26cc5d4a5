"""Accuracy against every spread: the points of a frontier, their hull, and what others reach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from pyfairme.metrics.metric import metric_label
from pyfairme.metrics.names import words
from pyfairme.metrics.pareto import on_hull
from pyfairme.plots.style import COLOURS, GREY, empty_figure, finish_axes
from pyfairme.study.frontier.frontier_points import GOALS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OWN, CHOSEN, *PEERS = COLOURS
MARKERS = ("s", "^", "D", "v", "P", "X", "<", ">")
BAND = "#d9d9d9"
WORST = "worst_sd"
WORST_LABEL = "worst of these spreads"
ACCURACY = {"balanced_accuracy": "balanced accuracy", "r2": "R²"}
SIDE = 2.05  # inches of a small panel


class _Panel(NamedTuple):
    """A column of the points, its heading and whether the points' weights are written there."""

    column: str
    heading: str
    large: bool


class _Peer(NamedTuple):
    """How one other method is drawn."""

    name: str
    marker: str
    colour: str
    hollow: bool


def plot_frontier(
    points: pd.DataFrame,
    *,
    effects: str = "mixed",
    clusters: str = "seen",
    peers: pd.DataFrame | None = None,
    chosen: str | None = None,
    title: str | None = None,
) -> Figure:
    """Draw accuracy against the worst spread and against the spreads of every attribute.

    Parameters
    ----------
    points
        ``Frontier.points``, or `pyfairme.study.report_points` of models at several weights.
    effects, clusters
        Which predictions, on which rows.
    peers
        Other methods: what `pyfairme.study.report_points` returns of them (lines of these effects
        and clusters are drawn), or a line per point: method, balanced_accuracy (r2 of a
        regression), needs_sensitive (whether predicting needs the attribute), and, as far as known,
        columns named as those of the points, such as tpr_sd_sex. Without worst_sd it is the largest
        of these, where all of them are known.
    chosen
        Label of the point to be ringed.
    title
        Heading of the figure.

    Returns
    -------
    Figure
        Up and to the left is better. Lines join the corners of the convex frontier of each panel,
        whiskers are intervals, faint points are dominated (in accuracy and worst spread), the
        black point is the one without fairness. Grey bands are the spread that equal groups would
        show by chance (5-95 %, at that point's rates): nothing inside can be told from equality.
        Peers are hollow if they need the sensitive attribute when they predict.

    Raises
    ------
    ValueError
        When there are no such points, the chosen one is not among them, or peers lack a column.

    Examples
    --------
    >>> found = pyfairme.study.frontier(estimator, dataset, weights=[0, 0.1, 1])  # doctest: +SKIP
    >>> plot_frontier(found.points)  # doctest: +SKIP
    """
    mine: Any = points[(points["effects"] == effects) & (points["clusters"] == clusters)]
    if mine.empty:
        raise ValueError(
            f"No points of {effects} predictions on {clusters} clusters to draw. [not-in-table]"
        )
    if chosen is not None and chosen not in set(mine["variant"]):
        raise ValueError(
            f"No point is called {chosen!r}; there are {', '.join(mine['variant'])}. [not-in-table]"
        )
    accuracy = next(name for name in ACCURACY if name in mine)
    grid = _panels(mine, accuracy)
    columns = [panel.column for row in grid for panel in row]
    others = _peers(_of(peers, effects, clusters), accuracy, columns)
    figure, axes = _layout(grid)
    for name, panel in axes.items():
        _draw(panel[0], mine, panel[1], accuracy, chosen)
        for peer, lines in others:
            _draw_peer(panel[0], lines, peer, name, accuracy)
        _finish(panel[0], panel[1])
    axes[WORST][0].set_ylabel(ACCURACY[accuracy], fontsize=9)
    figure.suptitle(title or f"Accuracy and fairness: {effects} predictions, {clusters} clusters",
                    fontsize=11)  # fmt: skip
    _legend(figure, [one[0] for one in axes.values()])
    return figure


def _panels(points: pd.DataFrame, accuracy: str) -> list[list[_Panel]]:
    """List the small panels: a row per spread, a column per attribute."""
    goal = next(goal for goal in GOALS.values() if goal.accuracy == accuracy)
    found = []
    for metric in goal.spreads:
        start, end = f"{metric}_", "_null_low"
        columns = [name for name in points if name.startswith(start) and name.endswith(end)]
        columns = [name.removesuffix(end) for name in columns]
        corrected = tuple(f"{name}_" for name in goal.corrected)
        found.append(
            [
                _Panel(name, f"{metric_label(metric)}, {words(name.removeprefix(start))}", False)
                for name in columns
                if not name.startswith(corrected)
            ]
        )
    return found


def _layout(grid: list[list[_Panel]]) -> tuple[Figure, dict[str, tuple[Any, _Panel]]]:
    """Make a large panel at the left, for the worst spread, and small ones at its right."""
    rows, columns = len(grid), max(map(len, grid))
    rows_high = max(rows, 2)
    figure = empty_figure(4.2 + SIDE * columns, 0.9 + SIDE * rows_high)
    spec = figure.add_gridspec(rows, columns + 1, width_ratios=[2.0, *[1.0] * columns])
    large = figure.add_subplot(spec[:, 0])
    placed = {WORST: (large, _Panel(WORST, WORST_LABEL, True))}
    for i, row in enumerate(grid):
        for j, panel in enumerate(row):
            small = figure.add_subplot(spec[i, j + 1], sharey=large)
            small.tick_params(labelleft=False)
            placed[panel.column] = (small, panel)
    return figure, placed


def _draw(
    axes: Any, points: pd.DataFrame, panel: _Panel, accuracy: str, chosen: str | None
) -> None:
    x, y = points[panel.column].to_numpy(float), points[accuracy].to_numpy(float)
    unfair = points["unfair"].to_numpy(bool)
    band = f"{panel.column}_null_low", f"{panel.column}_null_high"
    if band[0] in points:
        low, high = (float(points[name].to_numpy(float)[unfair][0]) for name in band)
        axes.axvspan(low, high, color=BAND, linewidth=0, zorder=0,
                     label="equal groups by chance, 5-95 %")  # fmt: skip
    for line in (axes.hlines, axes.vlines):
        across = line == axes.hlines
        ends = [points[f"{panel.column if across else accuracy}_{e}"] for e in ("low", "high")]
        line(y if across else x, *ends, color=OWN, linewidth=0.8, alpha=0.35, zorder=1)
    corner = np.flatnonzero(on_hull(y, x))
    corner = corner[np.argsort(y[corner])]
    axes.plot(x[corner], y[corner], color=OWN, linewidth=1.3, zorder=2)
    best = points["non_dominated"].to_numpy(bool)
    for rows, shown in ((best & ~unfair, 1.0), (~best & ~unfair, 0.3)):
        name = "fair, by fairness weight" if shown == 1.0 else "dominated by another weight"
        if rows.any():
            axes.scatter(x[rows], y[rows], color=OWN, s=24, alpha=shown, zorder=3, linewidths=0,
                         label=name, clip_on=False)  # fmt: skip
    axes.scatter(x[unfair], y[unfair], color="black", s=26, marker="o", zorder=3,
                 label="without fairness", clip_on=False)  # fmt: skip
    ringed = points["variant"].to_numpy() == chosen
    if ringed.any():
        axes.scatter(x[ringed], y[ringed], s=110, facecolors="none", edgecolors=CHOSEN,
                     linewidths=1.6, zorder=5, label="chosen", clip_on=False)  # fmt: skip
    if panel.large:
        fair = ~unfair  # the other one is named in the legend
        for name, *at in zip(points["variant"][fair], x[fair], y[fair], strict=True):
            axes.annotate(name, at, xytext=(6, -4), textcoords="offset points", fontsize=7,
                          color=GREY, va="top", zorder=6)  # fmt: skip


def _of(peers: pd.DataFrame | None, effects: str, clusters: str) -> pd.DataFrame | None:
    """Return the peers of these effects and clusters, where they say which they are."""
    if peers is None or "variant" not in peers:
        return peers
    chosen = (peers["effects"] == effects) & (peers["clusters"] == clusters)
    return pd.DataFrame(peers[chosen]).rename(columns={"variant": "method"})


def _peers(
    peers: pd.DataFrame | None, accuracy: str, columns: list[str]
) -> list[tuple[_Peer, Any]]:
    """Return each method's look and lines; the worst spread where all are known."""
    if peers is None:
        return []
    needed = ["method", accuracy, "needs_sensitive"]
    if missing := [name for name in needed if name not in peers]:
        raise ValueError(
            f"peers need the columns {', '.join(needed)}, and spreads such as {columns[0]}; "
            f"{', '.join(missing)} missing. [other-table]"
        )
    table: Any = peers.copy()
    if WORST not in table:
        table[WORST] = table.reindex(columns=columns).max(axis=1, skipna=False)
    found = []
    looks = list(dict.fromkeys(zip(table["method"], table["needs_sensitive"], strict=True)))
    for number, (name, hollow) in enumerate(looks):
        lines = table[(table["method"] == name) & (table["needs_sensitive"] == hollow)]
        colour = PEERS[number % len(PEERS)]
        look = _Peer(str(name), MARKERS[number % len(MARKERS)], colour, bool(hollow))
        found.append((look, lines))
    return found


def _draw_peer(axes: Axes, lines: Any, peer: _Peer, column: str, accuracy: str) -> None:
    if column not in lines or lines[column].isna().all():
        return
    name = f"{peer.name} (needs S to predict)" if peer.hollow else peer.name
    axes.scatter(lines[column], lines[accuracy], marker=peer.marker, s=34, zorder=4,
                 facecolors="none" if peer.hollow else peer.colour, edgecolors=peer.colour,
                 linewidths=1.2, label=name, clip_on=False)  # fmt: skip


def _finish(axes: Axes, panel: _Panel) -> None:
    axes.set_xlim(left=0)
    axes.locator_params(axis="x", nbins=6 if panel.large else 4)
    if panel.large:
        axes.set_xlabel(panel.heading, fontsize=9)
    else:
        axes.set_title(panel.heading, fontsize=8)
    finish_axes(axes, "both")


def _legend(figure: Figure, panels: list[Any]) -> None:
    """Write one legend for all panels."""
    found: dict[str, Any] = {}
    for axes in panels:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(name, handle)
    figure.legend(list(found.values()), list(found), loc="outside lower center", ncols=4,
                  frameon=False, fontsize=8)  # fmt: skip
